//! Candidates for being gone: what was acknowledged, given to a consumer or seen in an image, and is
//! not where it was in the final log. What deletion or retention took is excused here, and counted.

use std::collections::BTreeMap;

use history::{Epoch, Mark, Offset, Payload, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::GoneTopic;
use crate::contract::Contract;
use crate::facts::served_by_leader;
use crate::facts::txns::Marked;
use crate::facts::{Facts, HwBack, LogView, PartFacts, PartId, PartImage, ReadFact, SendFact};

/// Something that was seen at an offset where the final log has something else.
#[derive(Debug, Clone, Default)]
pub struct Candidate {
    /// Which value.
    pub value: Option<ValueId>,
    /// Where it was; absent for a success without an offset.
    pub offset: Option<Offset>,
    /// The epochs of batches that held it there, as batches and deliveries show: another epoch is
    /// another record.
    pub epochs: Vec<Epoch>,
    /// Its send; as `ops.send` counts.
    pub send: Option<u32>,
    /// It was acknowledged.
    pub acked: bool,
    /// It stands elsewhere in the final log.
    pub elsewhere: bool,
    /// The first delivery of it; as `ops.read` counts.
    pub read: Option<u32>,
    /// The first delivery of it by a leader.
    pub served: Option<u32>,
    /// How its deliveries came about; of several the one that is hardest to explain.
    pub given: Option<Given>,
}

/// How a delivery of a record that is gone came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Given {
    /// By a broker that saw its high watermark go back below it, once it followed the leader from
    /// which it had taken it (KAFKA-14704).
    InWindow,
    /// Perhaps so: no broker is named.
    PerhapsInWindow,
    /// Otherwise.
    Otherwise,
}

impl Given {
    fn of(facts: &Facts, part: &PartFacts, read: &ReadFact) -> Self {
        // A library may have fetched it long before the poll that hands it out, and not after it.
        let begun = |back: &HwBack| {
            let cut = back.cut.map(|cut| &part.roles.cuts[cut]);
            let follow = cut.and_then(|cut| cut.follow);
            let line = follow.map(|follow| part.roles.follows[follow].line);
            let span = line.and_then(|line| facts.line_span(line));
            span.is_none_or(|span| span.from <= read.returned)
        };
        let mut windows = part.roles.hw_back.iter().filter(|back| {
            let covered = back.from > read.offset && back.to <= read.offset;
            back.cut.is_some() && covered && begun(back)
        });
        match read.broker {
            Some(broker) if windows.any(|back| back.node == broker) => Self::InWindow,
            None if windows.next().is_some() => Self::PerhapsInWindow,
            Some(_) | None => Self::Otherwise,
        }
    }
}

impl Candidate {
    fn note(&mut self, epoch: Option<Epoch>) {
        let new = epoch.filter(|epoch| !self.epochs.contains(epoch));
        self.epochs.extend(new);
    }
}

/// Acknowledgements, deliveries and sightings in images that the final log does not bear out.
pub fn candidates(
    facts: &Facts,
    contract: &Contract,
    id: PartId,
    gone: &mut GoneTopic,
) -> BTreeMap<(Option<Offset>, ValueId), Candidate> {
    let part = &facts.parts[id];
    let (Some(log), Ok(fin)) = (part.final_log(), &part.fin) else {
        return BTreeMap::new();
    };
    let sent = |value: ValueId| -> Option<Mark> {
        Some(facts.ops.send(facts.ops.by_value.get(value)?).invoked)
    };
    let excused = |offset: Offset, value: ValueId| {
        contract.deleted_below(id, offset)
            || offset < fin.start && contract.may_have_aged(sent(value), facts.length)
    };
    let mut found: BTreeMap<(Option<Offset>, ValueId), Candidate> = BTreeMap::new();
    // Values that were seen where deletion took them.
    let mut deleted: FxHashSet<ValueId> = FxHashSet::default();
    for place in part.acked_there.noes() {
        let send = facts.ops.send(part.sends[place]);
        let at = part.final_at.at(place);
        if !send.acked() || acknowledged_there(&send, at) {
            continue;
        }
        // A success without an offset is judged by its value only.
        let excused = send
            .acked_at()
            .is_some_and(|offset| excused(offset, send.value));
        if excused {
            // A copy of it may have stayed: it is present.
            *gone.expired.entry(id).or_default() += u64::from(at.is_none());
            continue;
        }
        let entry = found.entry((send.acked_at(), send.value)).or_default();
        entry.acked = true;
        entry.send = Some(part.sends[place]);
        entry.elsewhere = at.is_some();
    }
    for index in part.read_there.noes().map(|place| part.reads[place]) {
        let read = facts.ops.read(index);
        let Payload::Value(value) = read.payload else {
            continue;
        };
        if excused(read.offset, value) {
            deleted.insert(value);
            continue;
        }
        let entry = found.entry((Some(read.offset), value)).or_default();
        entry.read = entry.read.or(Some(index));
        let given = Given::of(facts, part, &read);
        entry.given = entry.given.max(Some(given));
        // Without a name it may have been a follower that was about to cut it.
        if entry.served.is_none()
            && given != Given::PerhapsInWindow
            && served_by_leader(facts, part, index)
        {
            entry.served = Some(index);
        }
        entry.note(read.epoch);
    }
    let causes = contract.causes.get(&id);
    for image in &part.images {
        let marred = causes.and_then(|causes| causes.marred(facts, part, image));
        let until = marred.map_or(Offset(i64::MAX), |marred| marred.from);
        let mut sighted = |offset: Offset, value: ValueId, epoch: Epoch| {
            if excused(offset, value) {
                deleted.insert(value);
                return;
            }
            let entry = found.entry((Some(offset), value)).or_default();
            entry.note(Some(epoch));
        };
        sightings(image, (log, fin.start), until, &mut sighted);
    }
    let expired = place_by_sight(&mut found, &deleted);
    if expired > 0 {
        *gone.expired.entry(id).or_default() += expired;
    }
    for ((offset, value), candidate) in &mut found {
        candidate.value = Some(*value);
        candidate.offset = *offset;
        candidate.send = candidate.send.or_else(|| facts.ops.by_value.get(*value));
    }
    if contract.compacted {
        superseded(part, log, id, &mut found, gone);
    }
    found
}

/// Gives successes without an offset the place where a leader gave their value to a consumer. Those
/// whose value was seen, by a consumer or in an image, where deletion took it are excused, and counted.
fn place_by_sight(
    found: &mut BTreeMap<(Option<Offset>, ValueId), Candidate>,
    deleted: &FxHashSet<ValueId>,
) -> u64 {
    let unplaced: Vec<ValueId> = found
        .keys()
        .filter_map(|(offset, value)| offset.is_none().then_some(*value))
        .collect();
    if unplaced.is_empty() {
        return 0;
    }
    // What a leader gave stood there for certain; what an image shows may be another copy.
    let mut seen: FxHashMap<ValueId, Offset> = FxHashMap::default();
    for ((offset, value), candidate) in &*found {
        if let Some(offset) = offset.filter(|_| candidate.served.is_some()) {
            seen.entry(*value).or_insert(offset);
        }
    }
    let mut expired = 0;
    for value in unplaced {
        let place = seen.get(&value).copied();
        if place.is_none() && !deleted.contains(&value) {
            continue;
        }
        let Some(acked) = found.remove(&(None, value)) else {
            continue;
        };
        match place.and_then(|place| found.get_mut(&(Some(place), value))) {
            Some(there) => {
                there.acked = acked.acked;
                there.send = acked.send;
                there.elsewhere = acked.elsewhere;
            }
            None => expired += 1,
        }
    }
    expired
}

/// Excuses what a compacted log replaced: a later record of the same key stands in the same log. The
/// key is known where an image holds the record. What belongs to an aborted transaction the log
/// cleaner may take as well.
fn superseded(
    part: &PartFacts,
    log: &LogView,
    id: PartId,
    found: &mut BTreeMap<(Option<Offset>, ValueId), Candidate>,
    gone: &mut GoneTopic,
) {
    let cleaning = &gone.cleaning[&id];
    let latest = cleaning.latest(log);
    let superseded = gone.superseded.entry(id).or_default();
    found.retain(|(offset, value), _| {
        let key = offset.and_then(|offset| key_of(part, offset, *value));
        let later = key.and_then(|key| latest.get(&key));
        let replaced = later
            .zip(*offset)
            .is_some_and(|(later, offset)| *later > offset);
        let excused = replaced || cleaning.end(*value) == Marked::Aborted;
        if excused {
            superseded.insert(*value);
        }
        !excused
    });
}

/// The key of a record, as any image shows it.
pub fn key_of(part: &PartFacts, offset: Offset, value: ValueId) -> Option<u64> {
    let mut holders = part
        .images
        .iter()
        .filter(|image| image.view.holds(offset, value));
    holders.find_map(|image| image.view.at(offset)?.key())
}

/// Whether an acknowledgement is borne out by the first place of its value: it is the acknowledged
/// one, or any where the answer named no offset.
fn acknowledged_there(send: &SendFact, at: Option<Offset>) -> bool {
    match send.acked_at() {
        Some(offset) => at == Some(offset),
        None => at.is_some(),
    }
}

/// CRC-valid batches of any image, smeared ones included, are sightings; where the files were damaged
/// by our doing, those before the damage: neither offset nor epoch of a batch is under its CRC.
fn sightings(
    image: &PartImage,
    (log, start): (&LogView, Offset),
    until: Offset,
    sighted: &mut dyn FnMut(Offset, ValueId, Epoch),
) {
    let view = &image.view;
    let mut next = Offset(i64::MIN);
    for batch in &view.log.batches {
        if until < Offset(i64::MAX) && (batch.base < next || batch.last >= until) {
            break;
        }
        next = batch.last;
        // Equal bytes at an equal place are in the final log, if it still begins there.
        let same = log.batch_at(batch.base).filter(|same| same.base >= start);
        let same = same.is_some_and(|same| same.base == batch.base && same.digest == batch.digest);
        if batch.is_control() || same {
            continue;
        }
        for record in view.log.records_of(batch) {
            let Payload::Value(value) = record.payload else {
                continue;
            };
            if record.offset < start || !log.holds(record.offset, value) {
                sighted(record.offset, value, batch.epoch);
            }
        }
    }
}
