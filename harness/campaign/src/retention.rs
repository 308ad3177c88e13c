//! What is kept of run directories, and for how long.
//!
//! [`decide`] is a function of what there is and of the rule; it touches nothing. [`apply`] does what
//! was decided, inside `results/runs` only. Nothing of the last day, nothing that somebody marked with
//! a file `keep`, and no report that a kept page links to is ever removed.

mod disk;

use std::time::Duration;

use checkers::Fold;
use plan::suite::Keep;
use serde::{Deserialize, Serialize};

use crate::index::{KnownRun, State};

pub use disk::{Freed, apply, stored, tidy};

/// What a run is worth keeping for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It ended as it had to: Held, or a control that was convicted.
    Held,
    /// No verdict: torn, or the lab failed.
    Unjudged,
    /// Something is open.
    Unproven,
    /// It broke a promise, or is a control that was not convicted.
    Broken,
}

impl Kind {
    /// The kind of a judged run, against what its plan has to end with.
    pub fn of(verdict: Fold, wanted: Option<Fold>) -> Self {
        if verdict == wanted.unwrap_or(Fold::Held) {
            return Kind::Held;
        }
        match verdict {
            Fold::Unproven => Kind::Unproven,
            Fold::Broken | Fold::Held => Kind::Broken,
        }
    }
}

/// How long runs of one kind are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Whole for so many days,
    pub whole_days: u32,
    /// as long as all of them together take no more bytes than this, the newest first.
    pub whole_bytes: u64,
    /// Thinned to verdict, report and logs until so many days; then deleted.
    pub thinned_days: u32,
}

impl Bounds {
    const ENDLESS: Self = Self {
        whole_days: u32::MAX,
        whole_bytes: u64::MAX,
        thinned_days: u32::MAX,
    };
}

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Kept longest, and whole.
    pub broken: Bounds,
    /// Next.
    pub unproven: Bounds,
    /// Thinned soon.
    pub held: Bounds,
    /// Without a verdict.
    pub unjudged: Bounds,
    /// What all runs together may take.
    pub total_bytes: u64,
}

const GB: u64 = 1_000_000_000;

impl Default for Rule {
    /// For a disk with some 50 GB to spare: a run takes 50 MB whole and 2 MB thinned.
    fn default() -> Self {
        let bounds = |whole_days, gigabytes, thinned_days| Bounds {
            whole_days,
            whole_bytes: gigabytes * GB,
            thinned_days,
        };
        Self {
            broken: bounds(365, 20, 3650),
            unproven: bounds(60, 10, 730),
            held: bounds(3, 5, 365),
            unjudged: bounds(14, 2, 30),
            total_bytes: 40 * GB,
        }
    }
}

impl Rule {
    /// The rule of a suite. What it does not bound is kept; a kind that it bounds in time takes its
    /// part of all bytes, as in [`Rule::default`], and is kept thinned as long as there. What was not
    /// judged is kept as there as soon as anything is bounded.
    pub fn of(keep: &Keep) -> Self {
        let days = [keep.broken, keep.unproven, keep.held];
        if days.iter().all(Option::is_none) && keep.bytes.is_none() {
            return Self::ENDLESS;
        }
        let default = Self::default();
        let total_bytes = keep.bytes.unwrap_or(default.total_bytes);
        let part = |bytes: u64| {
            let part =
                u128::from(bytes) * u128::from(total_bytes) / u128::from(default.total_bytes);
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        let bounds = |default: Bounds, kept: Option<Duration>| {
            let Some(kept) = kept else {
                return Bounds::ENDLESS;
            };
            let days = kept.as_secs().div_ceil(24 * 60 * 60);
            let whole_days = u32::try_from(days).unwrap_or(u32::MAX);
            Bounds {
                whole_days,
                whole_bytes: part(default.whole_bytes),
                thinned_days: default.thinned_days.max(whole_days),
            }
        };
        Self {
            broken: bounds(default.broken, keep.broken),
            unproven: bounds(default.unproven, keep.unproven),
            held: bounds(default.held, keep.held),
            unjudged: Bounds {
                whole_bytes: part(default.unjudged.whole_bytes),
                ..default.unjudged
            },
            total_bytes,
        }
    }

    const ENDLESS: Self = Self {
        broken: Bounds::ENDLESS,
        unproven: Bounds::ENDLESS,
        held: Bounds::ENDLESS,
        unjudged: Bounds::ENDLESS,
        total_bytes: u64::MAX,
    };

    fn bounds(&self, kind: Kind) -> Bounds {
        match kind {
            Kind::Held => self.held,
            Kind::Unjudged => self.unjudged,
            Kind::Unproven => self.unproven,
            Kind::Broken => self.broken,
        }
    }
}

/// A run directory as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub run: String,
    /// What it is worth keeping for.
    pub kind: Kind,
    /// Whole days since it began.
    pub age_days: u32,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Bytes that it takes, or would take, thinned.
    pub thinned_bytes: u64,
    /// It has been thinned already.
    pub thinned: bool,
    /// A page that is kept links to its report.
    pub linked: bool,
    /// Somebody put a file `keep` into it.
    pub marked: bool,
}

/// What becomes of a run directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Nothing is removed.
    Kept,
    /// Images and history are removed; verdict, report, settings and logs stay.
    Thinned,
    /// All of it is removed.
    Deleted,
}

/// What was decided about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its name.
    pub run: String,
    /// What becomes of it.
    pub fate: Fate,
    /// Bytes that this frees.
    pub frees: u64,
    /// Why.
    pub why: &'static str,
}

/// What becomes of each run, in the order in which they were given.
pub fn decide(stored: &[Stored], rule: &Rule) -> Vec<Decision> {
    let mut fates: Vec<(Fate, &'static str)> = vec![(Fate::Kept, "within the rule"); stored.len()];
    for kind in [Kind::Held, Kind::Unjudged, Kind::Unproven, Kind::Broken] {
        let bounds = rule.bounds(kind);
        let mut of_kind: Vec<usize> = (0..stored.len())
            .filter(|&at| stored[at].kind == kind)
            .collect();
        of_kind.sort_by_key(|&at| (stored[at].age_days, std::cmp::Reverse(&stored[at].run)));
        let mut whole = 0;
        for at in of_kind {
            fates[at] = by_kind(&stored[at], bounds, &mut whole);
        }
    }
    within(stored, rule.total_bytes, &mut fates);
    let decisions = stored.iter().zip(fates).map(|(run, (fate, why))| Decision {
        run: run.run.clone(),
        fate,
        frees: run.bytes - left(run, fate),
        why,
    });
    decisions.collect()
}

/// By age and by what its kind may take whole; `whole` is what newer ones of the kind take.
fn by_kind(run: &Stored, bounds: Bounds, whole: &mut u64) -> (Fate, &'static str) {
    if let Some(why) = untouchable(run) {
        if !run.thinned {
            *whole += run.bytes;
        }
        return (Fate::Kept, why);
    }
    let fits = whole.saturating_add(run.bytes) <= bounds.whole_bytes;
    if !run.thinned && run.age_days <= bounds.whole_days && fits {
        *whole += run.bytes;
        return (Fate::Kept, "within the rule");
    }
    let why = if run.age_days > bounds.whole_days {
        "older than its kind is kept whole"
    } else {
        "its kind takes too many bytes"
    };
    if run.age_days > bounds.thinned_days && !run.linked {
        return (Fate::Deleted, "older than its kind is kept at all");
    }
    match run.thinned {
        true => (Fate::Kept, "thinned already"),
        false => (Fate::Thinned, why),
    }
}

/// Why a run is left alone whatever the rule says.
fn untouchable(run: &Stored) -> Option<&'static str> {
    if run.age_days == 0 {
        Some("of the last day")
    } else if run.marked {
        Some("marked with a file `keep`")
    } else {
        None
    }
}

/// Bytes that are left of a run.
fn left(run: &Stored, fate: Fate) -> u64 {
    match fate {
        Fate::Kept => run.bytes,
        Fate::Thinned => run.thinned_bytes.min(run.bytes),
        Fate::Deleted => 0,
    }
}

/// Takes more away until all fits: thins what is least worth keeping, oldest first, then deletes in
/// the same order what no page links to.
fn within(stored: &[Stored], total: u64, fates: &mut [(Fate, &'static str)]) {
    let mut takes: u64 = stored
        .iter()
        .zip(&*fates)
        .map(|(run, (fate, _))| left(run, *fate))
        .sum();
    let mut order: Vec<usize> = (0..stored.len()).collect();
    order.sort_by_key(|&at| {
        (
            stored[at].kind,
            std::cmp::Reverse(stored[at].age_days),
            &stored[at].run,
        )
    });
    for to in [Fate::Thinned, Fate::Deleted] {
        for &at in &order {
            let run = &stored[at];
            let gains = match to {
                Fate::Kept => false,
                Fate::Thinned => !run.thinned,
                Fate::Deleted => !run.linked,
            };
            if takes <= total || !gains || fates[at].0 >= to || untouchable(run).is_some() {
                continue;
            }
            takes = takes - left(run, fates[at].0) + left(run, to);
            fates[at] = (to, "all runs together take too many bytes");
        }
    }
}

/// What a disk should have left when a run is over: logs of brokers and of the system grow as well.
pub const RESERVE_BYTES: u64 = GB;

/// What a run of a plan will need, by the largest one that lies whole, of this plan if there is one,
/// else of any.
pub fn needed(runs: &[KnownRun], plan: &str) -> u64 {
    let whole = |run: &&KnownRun| run.state == State::Whole;
    let largest = |of_plan: bool| {
        let runs = runs
            .iter()
            .filter(whole)
            .filter(|run| !of_plan || run.plan == plan);
        runs.map(|run| run.bytes).max()
    };
    needed_beside(largest(true).or_else(|| largest(false)))
}

/// What a run will need, by the largest that is known: half more than that; 200 MB before there is
/// any.
pub fn needed_beside(largest: Option<u64>) -> u64 {
    largest.map_or(GB / 5, |bytes| bytes + bytes / 2)
}

/// Why a run that may need so many bytes is not to be begun, in a sentence; `None` if it fits into
/// the free ones, with [`RESERVE_BYTES`] to spare.
pub fn too_full(needed: u64, free: u64) -> Option<String> {
    let wanted = needed.saturating_add(RESERVE_BYTES);
    let missing = wanted.checked_sub(free).filter(|missing| *missing > 0)?;
    Some(format!(
        "the results would be full: a run may need {} MB, and {} MB are missing beside what must \
         stay free",
        needed / 1_000_000,
        missing.div_ceil(1_000_000)
    ))
}
