//! What a broker keeps beside a log says what the log says: the epoch file gives every batch its
//! epoch, a producer snapshot gives what the batches before it add up to, and at rest the snapshots
//! of leader and followers at one offset are the same.
//!
//! Snapshots of a compacted log cannot be added up again; of such a topic only the files are compared
//! with each other. Producers that the log start has taken away, or that may have been forgotten by
//! time, are left out.

use std::collections::BTreeMap;

use evidence::{Batch, Marker, ProducerEntry, ProducerSnapshot, ReplicaLog};
use history::Offset;
use rustc_hash::FxHashMap;

use super::{Case, Check, DAMAGE, Tally};
use crate::causes::Marred;
use crate::facts::{PartFacts, PartImage};
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::{Finding, Group};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "producer-state",
    sentence: "epoch files and producer snapshots say what the logs say, on every replica alike",
    group: Group::Replicas,
    premises: &["evidence-read"],
    look,
};

/// At most so many faults of one replica are told; all are counted.
const TOLD: usize = 5;

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("epoch files and producer snapshots");
    for part in case.parts() {
        for image in part.images.iter().filter(|image| image.sound) {
            let log = image.view.log;
            tally.examined += u64::from(!log.epochs.is_empty()) + log.snapshots.len() as u64;
            let mut faults = epoch_faults(log);
            if !case.contract.compacted {
                faults.extend(snapshot_faults(case, part, image));
            }
            faults.extend(replica_faults(case, part, image));
            let own = case.marred(part, image);
            let (ours, faults): (Vec<Fault>, Vec<Fault>) = faults
                .into_iter()
                .partition(|(at, _)| own.is_some_and(|marred| *at >= marred.from));
            for (faults, marred) in [(faults, None), (ours, own)] {
                if !faults.is_empty() {
                    let finding = tell(case, part, image, faults, marred);
                    tally.found(findings, finding);
                }
            }
        }
    }
    tally
}

/// A fault: the last offset that it concerns, and in words.
type Fault = (Offset, String);

fn tell(
    case: &Case,
    part: &PartFacts,
    image: &PartImage,
    faults: Vec<Fault>,
    marred: Option<Marred>,
) -> Finding {
    let archive = case.facts.image(image.image);
    let title = format!(
        "{}: {} in the files beside the log of {} ({})",
        part.name,
        many(faults.len() as u64, "fault", "faults"),
        archive.node,
        archive.file
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    finding.count = faults.len() as u64;
    let mut story = Story::default();
    for (_, fault) in faults.into_iter().take(TOLD) {
        story.say(case.facts, fault, &[]);
    }
    if let Some(marred) = marred {
        story.say(case.facts, marred.words(), &[]);
        (finding.class, finding.standing) = DAMAGE;
    }
    finding.story = story.sentences;
    finding
}

/// Where the epoch file, as a function from offset to epoch, is not what the batches say.
fn epoch_faults(log: &ReplicaLog) -> Vec<Fault> {
    let mut faults: Vec<Fault> = log
        .epochs
        .windows(2)
        .filter(|pair| pair[1].0 <= pair[0].0 || pair[1].1 <= pair[0].1)
        .map(|pair| {
            let ((a, from), (b, to)) = (pair[0], pair[1]);
            let text = format!("The epoch file lists {b} from {to} after {a} from {from}.");
            (from.max(to), text)
        })
        .collect();
    if !faults.is_empty() || log.epochs.is_empty() {
        return faults;
    }
    let mut place = 0;
    let first = log.epochs[0].1;
    let mut highest = Offset(i64::MIN);
    // Batches below the first entry lie below the log start.
    for batch in log.batches.iter().filter(|batch| batch.last >= first) {
        if batch.base < highest {
            // Out of order: another guarantee speaks of it.
            continue;
        }
        highest = batch.base;
        while log
            .epochs
            .get(place + 1)
            .is_some_and(|next| next.1 <= batch.base)
        {
            place += 1;
        }
        // An epoch begins where a batch does: truncation would cut one in two.
        let mut said = log.epochs[place..]
            .iter()
            .take_while(|from| from.1 <= batch.last);
        let wrong = said.find(|(epoch, _)| *epoch != batch.epoch);
        if let Some((said, from)) = wrong {
            let at = batch.base.max(*from);
            let text = format!(
                "The epoch file gives {said} to {at}, where a batch of {} stands.",
                batch.epoch
            );
            faults.push((batch.last, text));
        }
    }
    faults
}

/// What is left of a producer's entry when times and coordinators are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    epoch: i16,
    last_sequence: i32,
    last_offset: Offset,
    open_since: Option<Offset>,
}

impl State {
    fn of(entry: &ProducerEntry) -> Self {
        Self {
            epoch: entry.epoch,
            last_sequence: entry.last_sequence,
            last_offset: entry.last_offset,
            open_since: entry.current_txn_first_offset,
        }
    }

    /// Without the log's beginning nothing is known of when a transaction began.
    fn like(&self, other: &Self, whole: bool) -> bool {
        let open_since = if whole {
            self.open_since
        } else {
            other.open_since
        };
        Self {
            open_since,
            ..*self
        } == *other
    }

    fn words(&self) -> String {
        let open = match self.open_since {
            Some(offset) => format!(", a transaction open since {offset}"),
            None => String::new(),
        };
        format!(
            "epoch {}, sequence {} at {}{open}",
            self.epoch, self.last_sequence, self.last_offset
        )
    }
}

/// Adds a batch to what is known of producers, as a broker does.
fn add(states: &mut FxHashMap<i64, State>, batch: &Batch) {
    if batch.producer_id < 0 {
        return;
    }
    let fresh = State {
        epoch: batch.producer_epoch,
        last_sequence: -1,
        last_offset: Offset(-1),
        open_since: None,
    };
    let known = states.get(&batch.producer_id).copied();
    let mut state = match known {
        Some(known) if known.epoch == batch.producer_epoch => known,
        Some(known) => State {
            open_since: known.open_since,
            ..fresh
        },
        None => fresh,
    };
    match batch.control {
        Some(Marker::Commit { .. } | Marker::Abort { .. }) => state.open_since = None,
        Some(Marker::Other) => return,
        None if batch.is_control() => return,
        None => {
            let last = i64::from(batch.base_sequence) + batch.last.0 - batch.base.0;
            state.last_sequence = (last % (1 << 31)) as i32;
            state.last_offset = batch.last;
            if batch.is_transactional() && state.open_since.is_none() {
                state.open_since = Some(batch.base);
            }
        }
    }
    states.insert(batch.producer_id, state);
}

/// Where a snapshot is not what the batches before it add up to.
fn snapshot_faults(case: &Case, part: &PartFacts, image: &PartImage) -> Vec<Fault> {
    let log = image.view.log;
    let mut faults = Vec::new();
    if !log.batches.is_sorted_by(|a, b| a.last < b.base) || log.snapshots.is_empty() {
        return faults;
    }
    let whole = image.view.start() == Offset(0) && log_start(case, part, image) == Offset(0);
    let mut states: FxHashMap<i64, State> = FxHashMap::default();
    let mut batches = log.batches.iter().peekable();
    for snapshot in &log.snapshots {
        while let Some(batch) = batches.next_if(|batch| batch.base < snapshot.offset) {
            add(&mut states, batch);
        }
        if !whole {
            // Without the log's beginning only what was seen since can be compared.
            states.retain(|_, state| state.last_sequence >= 0);
        }
        let unlike = unlike(snapshot, &states, whole, forgets(case)).into_iter();
        faults.extend(unlike.map(|text| (reaches(snapshot), text)));
    }
    faults
}

/// The last offset that a snapshot adds up.
fn reaches(snapshot: &ProducerSnapshot) -> Offset {
    Offset(snapshot.offset.0 - 1)
}

fn unlike(
    snapshot: &ProducerSnapshot,
    states: &FxHashMap<i64, State>,
    whole: bool,
    forgets: bool,
) -> Vec<String> {
    let at = snapshot.offset;
    let mut faults = Vec::new();
    let mut listed: BTreeMap<i64, State> = BTreeMap::new();
    for entry in &snapshot.entries {
        listed.insert(entry.producer_id, State::of(entry));
    }
    for (id, said) in &listed {
        match states.get(id) {
            Some(state) if !state.like(said, whole) => faults.push(format!(
                "The snapshot at {at} gives producer {id} {}; the log before it {}.",
                said.words(),
                state.words()
            )),
            None if whole => faults.push(format!(
                "The snapshot at {at} lists producer {id}, of which the log has nothing."
            )),
            Some(_) | None => {}
        }
    }
    let mut missing: Vec<i64> = states.keys().copied().collect();
    missing.retain(|id| !forgets && !listed.contains_key(id));
    missing.sort_unstable();
    for id in missing {
        faults.push(format!(
            "The snapshot at {at} lacks producer {id}, which stands in the log before it."
        ));
    }
    faults
}

/// Where the leader has a snapshot at the same offset, at rest, and it is another.
fn replica_faults(case: &Case, part: &PartFacts, image: &PartImage) -> Vec<Fault> {
    let Ok(fin) = part.fin else { return Vec::new() };
    let leader = &part.images[fin.image];
    if !image.last || image.node == fin.leader || case.never_healed().is_some() {
        return Vec::new();
    }
    let start = log_start(case, part, image).max(log_start(case, part, leader));
    let forgets = forgets(case);
    // Snapshots of a leader whose files we damaged are no measure.
    let measure = case.final_marred(part);
    let mut faults = Vec::new();
    for theirs in &image.view.log.snapshots {
        let ours = leader.view.log.snapshots.iter();
        let Some(ours) = ours.clone().find(|ours| ours.offset == theirs.offset) else {
            continue;
        };
        let kept = |snapshot: &ProducerSnapshot| -> BTreeMap<i64, State> {
            let entries = snapshot.entries.iter();
            let entries = entries.filter(|entry| entry.last_offset >= start);
            entries.map(|e| (e.producer_id, State::of(e))).collect()
        };
        let (ours, theirs_kept) = (kept(ours), kept(theirs));
        let differs = if forgets {
            theirs_kept
                .iter()
                .any(|(id, state)| ours.get(id).is_some_and(|known| known != state))
        } else {
            ours != theirs_kept
        };
        let marred = measure.is_some_and(|marred| reaches(theirs) >= marred.from);
        if differs && !marred {
            let text = format!(
                "The snapshot at {} is not that of {}, the leader, at the same offset.",
                theirs.offset, fin.leader
            );
            faults.push((reaches(theirs), text));
        }
    }
    faults
}

/// Whether a broker may have forgotten a producer within the run: 3.0.0 does so by the setting for
/// transactional ids, later releases by one of its own.
fn forgets(case: &Case) -> bool {
    let run = case.facts.length.0 / 1_000_000;
    let soon = |key: &str| {
        let set = case
            .facts
            .broker_setting(key)
            .and_then(|ms| ms.parse::<u64>().ok());
        set.is_some_and(|ms| ms <= run)
    };
    soon("transactional.id.expiration.ms") || soon("producer.id.expiration.ms")
}

/// Where a replica's log begins.
fn log_start(case: &Case, part: &PartFacts, image: &PartImage) -> Offset {
    let moved = case.facts.image(image.image).log_start.get(&part.name);
    moved.copied().unwrap_or(Offset(0)).max(image.view.start())
}
