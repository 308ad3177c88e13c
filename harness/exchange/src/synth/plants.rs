//! What can be planted, by the name of the guarantee that it breaks.
//!
//! Each plant makes one local deviation and says what must be found: its own finding and, where
//! the rules themselves say that a second one follows, that one too. Plants keep away from faults
//! and from each other.

mod answers;
mod clients;
mod logs;
mod records;

use std::collections::BTreeSet;

use history::{ClientId, FaultKind, NodeId, Offset, ValueId};
use plan::Seed;
use serde::Serialize;

use super::edits::{Edits, Extra, Stands, Taken, Told};
use super::shape::{Change, LOOK_EVERY, NODES, Shape};
use super::{Asked, SynthError};

/// Smallest batches in which records can be planted.
const BATCH_MIN: u64 = 4;
/// So many rounds around a fault, and between two plants of one partition, nothing is planted.
const AWAY: u64 = 12;
const APART: u64 = 3;
/// So often a place is looked for before there is none.
const TRIES: u32 = 2_000;

/// A kind of plant.
pub(super) struct Plant {
    /// The guarantee that it breaks, and how, where there are several ways.
    pub name: &'static str,
    guarantee: &'static str,
    /// Sends that one of it takes beside the ordinary ones.
    pub sends: u32,
    /// The option without which there is nothing to break.
    needs: Option<&'static str>,
    /// Plants one.
    how: fn(&mut Planter) -> Option<()>,
}

/// Every kind.
pub(super) const ALL: &[Plant] = &[
    plant("acked-lost-below-hw", 1, records::acked_lost_below_hw),
    plant("acked-lost-above-hw", 0, records::acked_lost_above_hw),
    plant(
        "acked-lost-undetermined",
        0,
        records::acked_lost_undetermined,
    ),
    plant("committed-lost", 1, records::committed_lost),
    plant("acked-offset-wrong", 0, records::acked_offset_wrong),
    plant("read-then-vanished", 1, records::read_then_vanished),
    plant("read-then-changed", 1, records::read_then_vanished),
    plant("duplicate-in-log", 0, records::duplicate_in_log),
    plant("order-broken", 0, records::order_broken),
    plant("real-time-order-broken", 1, records::real_time_order_broken),
    plant("committed-prefix", 0, logs::committed_prefix),
    plant("divergence-below-hw", 0, logs::divergence_below_hw),
    plant("divergence-lasting", 0, logs::divergence_lasting),
    plant("log-matching-broken", 0, logs::log_matching_broken),
    plant("log-malformed", 0, logs::log_malformed),
    plant("log-hole", 0, records::log_hole),
    plant("producer-state", 0, logs::producer_state),
    plant("truncation-audit", 0, logs::truncation_audit),
    plant("truncated-below-hw", 0, logs::truncated_below_hw),
    plant("dirty-hw", 0, logs::dirty_hw),
    plant("hw-regressed", 0, answers::hw_regressed),
    plant("watermarks-disordered", 0, answers::watermarks_disordered),
    plant("isr-member-lacks-data", 0, answers::isr_member_lacks_data),
    plant("two-leaders-one-epoch", 0, answers::two_leaders_one_epoch),
    plant(
        "committed-past-election",
        0,
        answers::committed_past_election,
    ),
    plant("hw-stalled", 0, answers::hw_stalled),
    plant("acked-under-min-isr", 1, records::acked_under_min_isr),
    plant("phantom", 0, records::phantom),
    plant("misplaced", 1, records::misplaced),
    plant("stuck", 0, answers::stuck),
    ordered("txn-atomicity", clients::committed_aborted),
    ordered("txn-atomicity-revived", clients::aborted_committed),
    ordered("txn-atomicity-torn", clients::torn),
    ordered("txn-atomicity-given", clients::aborted_given),
    ordered("txn-atomicity-withheld", clients::withheld),
    ordered("txn-atomicity-index", clients::unlisted),
    grouped("group-skipped", clients::group_skipped),
    grouped("redelivered", clients::redelivered),
    grouped("offset-regressed", clients::offset_regressed),
];

const fn plant(name: &'static str, sends: u32, how: fn(&mut Planter) -> Option<()>) -> Plant {
    Plant {
        name,
        guarantee: name,
        sends,
        needs: None,
        how,
    }
}

const fn ordered(name: &'static str, how: fn(&mut Planter) -> Option<()>) -> Plant {
    Plant {
        guarantee: "txn-atomicity",
        needs: Some("--transactions"),
        ..plant(name, 0, how)
    }
}

const fn grouped(name: &'static str, how: fn(&mut Planter) -> Option<()>) -> Plant {
    Plant {
        needs: Some("--groups"),
        ..plant(name, 0, how)
    }
}

/// The kind of this name.
pub(super) fn named(name: &str) -> Option<&'static Plant> {
    ALL.iter().find(|plant| plant.name == name)
}

/// Something that a judge must find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Find {
    /// The plant that it belongs to; `none` for what the rules permit in any such run.
    pub plant: String,
    /// The guarantee.
    pub guarantee: String,
    /// The partition.
    pub partition: String,
    /// How many records, cuts or moments.
    pub count: u64,
    /// First offset and the offset after the last one, where it is about offsets.
    pub offsets: Option<(i64, i64)>,
    /// It follows from the plant, which is that of another guarantee.
    pub also: bool,
}

/// What was planted, and what is found in any such run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planted {
    /// Version of this file's format.
    pub format: u32,
    /// What must be found, in the order in which it was planted.
    pub planted: Vec<Find>,
    /// Losses that acks=1 permits.
    pub permitted: Vec<Find>,
}

/// Plants everything that was asked for.
pub(super) fn sow(asked: &Asked, shape: &Shape) -> Result<(Edits, Planted), SynthError> {
    let mut planter = Planter {
        shape,
        stream: Seed(asked.seed).stream("synth plants"),
        edits: Edits::default(),
        finds: Vec::new(),
        used: BTreeSet::new(),
        taken: BTreeSet::new(),
        plant: "none",
        breaks: "none",
    };
    let permitted = permitted(shape);
    for (name, count) in &asked.plants {
        let plant = named(name).ok_or_else(|| SynthError::UnknownPlant { name: name.clone() })?;
        if !asked.images {
            return Err(SynthError::PlantsNeedImages);
        }
        let given = match plant.needs {
            Some("--transactions") => asked.transactions,
            Some(_) => asked.groups,
            None => true,
        };
        if let Some(option) = plant.needs.filter(|_| !given) {
            let plant = plant.name;
            return Err(SynthError::Needs { plant, option });
        }
        (planter.plant, planter.breaks) = (plant.name, plant.guarantee);
        for planted in 0..*count {
            let done = (shape.batch >= BATCH_MIN).then(|| (plant.how)(&mut planter));
            done.flatten().ok_or(SynthError::NoRoom {
                plant: plant.name,
                wanted: *count,
                planted,
            })?;
        }
    }
    let mut edits = planter.edits;
    edits.extra.sort_by_key(|extra| extra.round);
    let planted = Planted {
        format: 1,
        planted: planter.finds,
        permitted,
    };
    Ok((edits, planted))
}

/// What the leaders of acks=1 topics lose whenever they are lost.
fn permitted(shape: &Shape) -> Vec<Find> {
    let mut finds = Vec::new();
    for (part, of) in shape
        .parts
        .iter()
        .enumerate()
        .filter(|(_, of)| !of.acks_all)
    {
        for change in of.changes.iter().filter(|change| change.deposed()) {
            let cut = shape.base(part, change.tail.start).0;
            let batches = (change.tail.end - change.tail.start) as i64;
            let doubtful = (shape.batch / 2) as i64;
            let lost = batches * shape.batch as i64 - doubtful;
            finds.push(Find {
                plant: "none".to_owned(),
                guarantee: lost_by(shape, change).to_owned(),
                partition: of.name.to_string(),
                count: lost as u64,
                offsets: Some((cut, cut + lost)),
                also: false,
            });
        }
    }
    finds
}

/// A leader that was killed cannot say where its high watermark stood.
fn lost_by(shape: &Shape, change: &Change) -> &'static str {
    match shape.faults[change.fault].kind {
        FaultKind::Kill => "acked-lost-undetermined",
        _ => "acked-lost-above-hw",
    }
}

/// Plants one thing after the other.
struct Planter<'a> {
    shape: &'a Shape,
    stream: plan::Stream,
    edits: Edits,
    finds: Vec<Find>,
    used: BTreeSet<(usize, u64)>,
    /// Where only one plant of a kind has room.
    taken: BTreeSet<(&'static str, usize, u64)>,
    plant: &'static str,
    /// The guarantee that it breaks.
    breaks: &'static str,
}

/// A record's place.
#[derive(Debug, Clone, Copy)]
struct Spot {
    part: usize,
    batch: u64,
    index: u64,
    at: Offset,
}

impl Planter<'_> {
    /// A partition and a batch of it, away from everything else.
    fn batch(
        &mut self,
        acks_all: Option<bool>,
        fits: impl Fn(usize, u64) -> bool,
    ) -> Option<(usize, u64)> {
        let shape = self.shape;
        let parts = 0..shape.load;
        let kind = |part: &usize| acks_all.is_none_or(|all| shape.parts[*part].acks_all == all);
        let parts: Vec<usize> = parts.filter(kind).collect();
        let last = shape.whole.checked_sub(2 * AWAY)?;
        for _ in 0..TRIES {
            let part = *self.stream.pick(&parts)?;
            let batch = self.stream.between(AWAY, last.max(AWAY));
            let struck = shape.faults.iter().any(|fault| {
                (fault.strike.saturating_sub(AWAY)..=fault.healed + AWAY).contains(&batch)
            });
            let near = (part, batch.saturating_sub(APART))..=(part, batch + APART);
            let crowded = self.used.range(near).next().is_some();
            if !struck && !crowded && fits(part, batch) {
                self.used.insert((part, batch));
                return Some((part, batch));
            }
        }
        None
    }

    /// The last record of a batch that no live consumer looks at.
    fn spot(&mut self, acks_all: bool) -> Option<Spot> {
        let (part, batch) = self.batch(Some(acks_all), |_, batch| !looked_at(batch))?;
        Some(self.last_of(part, batch))
    }

    fn last_of(&self, part: usize, batch: u64) -> Spot {
        let index = self.shape.batch - 1;
        let at = Offset(self.shape.base(part, batch).0 + index as i64);
        Spot {
            part,
            batch,
            index,
            at,
        }
    }

    /// A partition and a change of its leader, by its fault, of which nothing else is told wrongly.
    fn change(
        &mut self,
        acks_all: Option<bool>,
        kind: Option<FaultKind>,
        free: impl Fn(&Self, usize, usize) -> bool,
    ) -> Option<(usize, usize)> {
        let shape = self.shape;
        for (part, of) in shape.parts.iter().enumerate() {
            for (index, change) in of.changes.iter().enumerate() {
                let fits = change.deposed()
                    && acks_all.is_none_or(|all| of.acks_all == all)
                    && kind.is_none_or(|kind| shape.faults[index].kind == kind)
                    && !self.edits.words.contains_key(&(part, index))
                    && free(self, part, index);
                if fits {
                    self.edits.words.entry((part, index)).or_default();
                    return Some((part, index));
                }
            }
        }
        None
    }

    /// Notes that a place is taken by this plant; false if it was.
    fn take(&mut self, part: usize, what: u64) -> bool {
        self.taken.insert((self.plant, part, what))
    }

    /// A send beside the ordinary ones; gives its value.
    fn extra(&mut self, round: u64, part: usize, client: ClientId, told: Told) -> ValueId {
        let value = ValueId(self.shape.sends() + self.edits.extras());
        let extra = Extra {
            round,
            part,
            client,
            value,
            told,
        };
        self.edits.extra.push(extra);
        value
    }

    fn stands(&mut self, spot: Spot, what: Stands) {
        let place = self
            .edits
            .stands
            .entry((spot.part, spot.batch))
            .or_default();
        place.push((spot.index, what));
    }

    fn told(&mut self, spot: Spot, what: Told) {
        let place = self.edits.told.entry((spot.part, spot.batch)).or_default();
        place.push((spot.index, what));
    }

    /// A follower of a partition that never leads it.
    fn never_leads(&self, part: usize) -> Option<NodeId> {
        let of = &self.shape.parts[part];
        let leads = |node: NodeId| {
            (0..=of.changes.len()).any(|faults| of.term_after(faults).leader == node)
        };
        NODES.into_iter().find(|node| !leads(*node))
    }

    /// What must be found: under this plant's own name, or another that follows from it.
    fn find(&mut self, guarantee: &str, part: usize, count: u64, offsets: Option<(i64, i64)>) {
        self.finds.push(Find {
            plant: self.plant.to_owned(),
            guarantee: guarantee.to_owned(),
            partition: self.shape.parts[part].name.to_string(),
            count,
            offsets,
            also: guarantee != self.breaks,
        });
    }

    fn find_at(&mut self, guarantee: &str, spot: Spot) {
        self.find(guarantee, spot.part, 1, Some((spot.at.0, spot.at.0 + 1)));
    }

    /// Images that hold a batch, in the order in which they are taken.
    fn images_of(&self, batch: u64) -> Vec<Taken> {
        let faults = self.shape.faults.iter().enumerate();
        let before = faults.filter(|(_, fault)| batch < fault.strike - 3);
        let before = before.map(|(index, _)| Taken::Before(index));
        before.chain(NODES.map(Taken::Final)).collect()
    }

    /// Images are compared with the first that holds a batch.
    fn pairs(&self, batch: u64, odd: Taken) -> u64 {
        let images = self.images_of(batch);
        match images.first() {
            Some(first) if *first == odd => images.len() as u64 - 1,
            _ => 1,
        }
    }

    /// The offsets of a batch.
    fn range(&self, part: usize, batch: u64) -> Option<(i64, i64)> {
        let base = self.shape.base(part, batch).0;
        Some((base, base + self.shape.len(part, batch) as i64))
    }
}

/// No partition and no fault is excluded.
fn anywhere(_: &Planter, _: usize, _: usize) -> bool {
    true
}

/// Whether live consumers look at a batch: the newest that is committed when they do.
fn looked_at(batch: u64) -> bool {
    (batch + 4).is_multiple_of(LOOK_EVERY)
}
