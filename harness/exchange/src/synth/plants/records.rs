//! Plants in records: what stands where, and what senders and readers were told of it.
//!
//! A slot of the log that loses its record is filled by another one, so that the log stays whole.

use history::{ClientId, FaultKind, Offset};

use super::{Planter, Spot, looked_at, lost_by};
use crate::synth::edits::{Retouch, Stands, Taken, Told};

/// So many rounds later everything near a batch is answered.
const LATER: u64 = 8;

impl Planter<'_> {
    /// A further send of the same producer takes the place of a record in every log.
    fn displace(&mut self, spot: Spot) {
        let client = self.shape.producer(spot.part, spot.batch);
        let value = self.extra(spot.batch, spot.part, client, Told::Unknown);
        let at = self.shape.time(spot.batch);
        self.stands(spot, Stands::Value { value, client, at });
    }

    /// The record before a spot.
    fn before(spot: Spot) -> Spot {
        Spot {
            index: spot.index - 1,
            at: Offset(spot.at.0 - 1),
            ..spot
        }
    }

    /// A record of the batch of a spot, as it was sent.
    fn sent(&self, spot: Spot) -> Stands {
        let client: ClientId = self.shape.producer(spot.part, spot.batch);
        Stands::Value {
            value: self.shape.value(spot.part, spot.batch, spot.index),
            client,
            at: self.shape.sent_at(spot.part, spot.batch, spot.index),
        }
    }
}

/// Acknowledged under acks=all, and something else stands there.
pub(super) fn acked_lost_below_hw(planter: &mut Planter) -> Option<()> {
    let spot = planter.spot(true)?;
    planter.displace(spot);
    planter.find_at("acked-lost-below-hw", spot);
    planter.find_at("committed-lost", spot);
    Some(())
}

/// A deposed leader's last records, whose senders had given up, were acknowledged.
fn acked_lost(planter: &mut Planter, kind: FaultKind) -> Option<()> {
    let shape = planter.shape;
    for (part, of) in shape
        .parts
        .iter()
        .enumerate()
        .filter(|(_, of)| !of.acks_all)
    {
        let changes = of.changes.iter().filter(|change| change.deposed());
        for change in changes.filter(|change| shape.faults[change.fault].kind == kind) {
            let batch = change.tail.end - 1;
            for index in shape.doubts(part, batch).into_iter().flatten() {
                if planter.take(part, batch * shape.batch + index) {
                    let base = shape.tail_base(part, change, batch);
                    let at = Offset(base.0 + index as i64);
                    let spot = Spot {
                        part,
                        batch,
                        index,
                        at,
                    };
                    planter.told(spot, Told::At(at, change.old));
                    planter.find_at(lost_by(shape, change), spot);
                    return Some(());
                }
            }
        }
    }
    None
}

/// Acknowledged by a leader that was cut off and says where its high watermark stood.
pub(super) fn acked_lost_above_hw(planter: &mut Planter) -> Option<()> {
    acked_lost(planter, FaultKind::Isolate)
}

/// Acknowledged by a leader that died.
pub(super) fn acked_lost_undetermined(planter: &mut Planter) -> Option<()> {
    acked_lost(planter, FaultKind::Kill)
}

/// An image taken before shows a committed record whose place another has at the end.
pub(super) fn committed_lost(planter: &mut Planter) -> Option<()> {
    let shape = planter.shape;
    let free = |part: usize, index: usize, batch: u64, planter: &Planter| {
        batch < shape.faults[index].strike - 3
            && !planter
                .edits
                .retouched
                .contains_key(&(part, Taken::Before(index)))
    };
    for index in 0..shape.faults.len() {
        let fits: Vec<bool> = (0..shape.load)
            .map(|part| shape.parts[part].acks_all && free(part, index, 0, planter))
            .collect();
        let until = shape.faults[index].strike - 3;
        let found = planter.batch(Some(true), |part, batch| {
            fits[part] && batch < until && !looked_at(batch)
        });
        let Some((part, batch)) = found else {
            continue;
        };
        let spot = planter.last_of(part, batch);
        planter.displace(spot);
        planter.told(spot, Told::Unknown);
        let odd = Taken::Before(index);
        planter
            .edits
            .retouched
            .insert((part, odd), Retouch::AsSent(batch));
        planter.find_at("committed-lost", spot);
        planter.find("committed-prefix", part, 1, planter.range(part, batch));
        let pairs = planter.pairs(batch, odd);
        planter.find(
            "log-matching-broken",
            part,
            pairs,
            planter.range(part, batch),
        );
        return Some(());
    }
    None
}

/// Acknowledged at the next record's offset.
pub(super) fn acked_offset_wrong(planter: &mut Planter) -> Option<()> {
    let next = planter.spot(true)?;
    let spot = Planter::before(next);
    let leader = planter.shape.term(spot.part, spot.batch).leader;
    planter.told(spot, Told::At(next.at, leader));
    planter.find_at("acked-offset-wrong", next);
    planter.find_at("committed-lost", next);
    Some(())
}

/// A follower gave a consumer a record that stands nowhere.
pub(super) fn read_then_vanished(planter: &mut Planter) -> Option<()> {
    let (part, batch) = planter.batch(None, |_, batch| looked_at(batch))?;
    let spot = planter.last_of(part, batch);
    let client = planter.shape.producer(part, batch);
    let value = planter.extra(batch, part, client, Told::Unknown);
    let broker = planter.never_leads(part)?;
    let given = (spot.index, value, broker);
    planter.edits.looked.insert((part, batch), given);
    planter.find_at("read-then-vanished", spot);
    // The place holds the record that belongs there, as the drain shows.
    planter.find_at("read-then-changed", spot);
    Some(())
}

/// A record stands in its own place and in that of the next one, which came nowhere.
pub(super) fn duplicate_in_log(planter: &mut Planter) -> Option<()> {
    let spot = planter.spot(true)?;
    let copied = planter.sent(Planter::before(spot));
    planter.stands(spot, copied);
    planter.told(spot, Told::Unknown);
    planter.find_at("duplicate-in-log", spot);
    Some(())
}

/// Two records of one producer stand in each other's places, as both were told.
pub(super) fn order_broken(planter: &mut Planter) -> Option<()> {
    let second = planter.spot(true)?;
    let first = Planter::before(second);
    let leader = planter.shape.term(first.part, first.batch).leader;
    let (a, b) = (planter.sent(first), planter.sent(second));
    planter.stands(first, b);
    planter.stands(second, a);
    planter.told(first, Told::At(second.at, leader));
    planter.told(second, Told::At(first.at, leader));
    planter.find_at("order-broken", first);
    Some(())
}

/// A record stands before others that had been acknowledged when it was sent.
pub(super) fn real_time_order_broken(planter: &mut Planter) -> Option<()> {
    let spot = planter.spot(false)?;
    let shape = planter.shape;
    let leader = shape.term(spot.part, spot.batch).leader;
    // A producer that sends nothing else there, so that its own order is none.
    let client = shape.refused_by(shape.parts[spot.part].topic);
    let round = spot.batch + LATER;
    let value = planter.extra(round, spot.part, client, Told::At(spot.at, leader));
    let at = shape.time(round);
    planter.stands(spot, Stands::Value { value, client, at });
    planter.told(spot, Told::Unknown);
    planter.find_at("real-time-order-broken", spot);
    Some(())
}

/// Something that nobody of this run sent stands in the place of a record.
pub(super) fn phantom(planter: &mut Planter) -> Option<()> {
    let spot = planter.spot(true)?;
    planter.stands(spot, Stands::Foreign);
    planter.told(spot, Told::Unknown);
    planter.find_at("phantom", spot);
    Some(())
}

/// A send is acknowledged under acks=all while its leader is alone in sync.
pub(super) fn acked_under_min_isr(planter: &mut Planter) -> Option<()> {
    let spot = planter.spot(true)?;
    let shape = planter.shape;
    let leader = shape.term(spot.part, spot.batch).leader;
    let client = shape.producer(spot.part, spot.batch);
    let how = Told::At(spot.at, leader);
    let value = planter.extra(spot.batch, spot.part, client, how);
    planter.edits.alone.insert(value);
    let at = shape.time(spot.batch);
    planter.stands(spot, Stands::Value { value, client, at });
    planter.told(spot, Told::Unknown);
    planter.find_at("acked-under-min-isr", spot);
    Some(())
}

/// A record that was sent to another partition takes the place of one.
pub(super) fn misplaced(planter: &mut Planter) -> Option<()> {
    let spot = planter.spot(true)?;
    let shape = planter.shape;
    let other = (0..shape.load).rfind(|part| *part != spot.part)?;
    let client = shape.producer(other, spot.batch);
    let value = planter.extra(spot.batch, other, client, Told::Unknown);
    let at = shape.time(spot.batch);
    planter.stands(spot, Stands::Value { value, client, at });
    planter.told(spot, Told::Unknown);
    planter.find_at("misplaced", spot);
    Some(())
}

/// An offset is left out of every log.
pub(super) fn log_hole(planter: &mut Planter) -> Option<()> {
    // Without idempotence no sequence tells that a record is missing.
    let spot = planter.spot(false)?;
    planter.stands(spot, Stands::Nothing);
    planter.told(spot, Told::Unknown);
    let images = planter.images_of(spot.batch).len() as u64;
    let hole = Some((spot.at.0, spot.at.0 + 1));
    planter.find("log-hole", spot.part, images, hole);
    Some(())
}
