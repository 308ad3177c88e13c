//! The drain: fresh consumers read everything from its start once the load has ended.

use history::{ClientId, Mark, Offset, OpId};

use super::play::{FLUSH, Play};

/// Polls of the drain are given so many batches at once.
pub(super) const DRAINED_AT_ONCE: u64 = 10;
/// And come so many nanoseconds after each other.
pub(super) const DRAIN_STEP: u64 = 20_000;
/// The first consumer of the drain; there is one for each topic.
const DRAINERS: u16 = 1_000;
const COMMITTED: u16 = 1_100;

impl Play<'_> {
    /// Fresh consumers read every log from its start; gives the moment after. Where there are
    /// transactions, others do so that are shown only what is committed.
    pub fn drain(&mut self, from: Mark) -> Mark {
        let shape = self.shape;
        let mut next = (self.ops_before(shape.rounds() + FLUSH), from.0);
        for committed in [false, true] {
            for topic in 0..shape.topics.len() {
                let client = drainer(topic, committed);
                match shape.topics[topic].parts.start < shape.load {
                    true if committed && shape.orders.is_none() => {}
                    true => self.drain_topic(topic, client, &mut next),
                    false => self.drain_orders(client, committed, &mut next),
                }
            }
        }
        Mark(next.1)
    }

    fn drain_topic(&mut self, topic: usize, client: ClientId, (op, at): &mut (u64, u64)) {
        let shape = self.shape;
        let parts = shape.topics[topic].parts.clone();
        let names = parts.clone();
        let start = names.map(|part| (shape.parts[part].name.clone(), Offset(0)));
        self.assign(OpId(*op), client, Mark(*at), start.collect());
        *op += 1;
        for part in parts {
            let leader = shape.term(part, shape.rounds()).leader;
            let mut batch = 0;
            while batch < shape.rounds() {
                let end = (batch + DRAINED_AT_ONCE).min(shape.rounds());
                let mut given = Vec::with_capacity((DRAINED_AT_ONCE * shape.batch) as usize);
                for one in (batch..end).filter(|one| shape.lost_by(part, *one).is_none()) {
                    self.deliver(part, one, Some(leader), &mut given);
                }
                self.polled(OpId(*op), client, Mark(*at), Mark(*at + DRAIN_STEP), given);
                *at += DRAIN_STEP;
                *op += 1;
                batch = end;
            }
        }
    }
}

/// Who reads a topic from its start in the drain: all of it, or what is committed.
pub(super) fn drainer(topic: usize, committed: bool) -> ClientId {
    let first = if committed { COMMITTED } else { DRAINERS };
    ClientId(first + topic as u16)
}
