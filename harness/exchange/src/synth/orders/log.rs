//! The transactions in replica images: data and control batches, the index of aborted transactions,
//! producer snapshots.

use evidence::{
    AbortedTxn, Marker, NewBatch, NewRecord, NewSegment, ProducerEntry, SegmentEnd, file_name,
    write_marker, write_snapshot,
};
use history::Offset;

use super::{Ending, Orders, PRODUCERS, RECORDS};
use crate::synth::SynthError;
use crate::synth::edits::OrderTwist;
use crate::synth::images::{Archive, INDEX_BYTES, Images, producer_id, put};

/// The epoch of the transaction coordinator, which never moves.
const COORDINATOR: i32 = 0;

impl Orders {
    /// Whether a transaction stands committed in a partition.
    pub fn stands_committed(&self, txn: usize, twist: Option<OrderTwist>) -> bool {
        self.txns[txn].ending.commits() != (twist == Some(OrderTwist::OtherEnd))
    }

    /// What a roll has flushed of a log that holds all that was sent before a round.
    pub fn flushed(&self, until: u64, segment: usize) -> Offset {
        let txns = self.ended(until) as usize;
        self.first(txns.saturating_sub(1) / segment * segment)
    }

    /// The epoch under which its marker is written: who never heard is fenced first.
    fn marker_epoch(&self, txn: usize) -> i16 {
        let txn = &self.txns[txn];
        txn.epoch + i16::from(txn.ending == Ending::UnheardAborted)
    }
}

impl Images<'_> {
    /// The log of one partition of `orders`: all that was sent before a round, which none is open at.
    pub fn order_log(
        &self,
        part: usize,
        until: u64,
        archives: &mut [Archive],
    ) -> Result<(), SynthError> {
        let Some(orders) = &self.shape.orders else {
            return Ok(());
        };
        let name = self.shape.parts[part].name.dir_name();
        let txns = orders.ended(until) as usize;
        let mut segment = NewSegment::new(Offset(0));
        for first in (0..txns).step_by(PRODUCERS as usize) {
            if first > 0 && first.is_multiple_of(self.order_segment) {
                let full = std::mem::replace(&mut segment, NewSegment::new(orders.first(first)));
                put(archives, &name, full.files(SegmentEnd::Closed))?;
                let snapshot = write_snapshot(&self.order_producers(orders, first));
                let file = file_name(orders.first(first), "snapshot");
                put(archives, &name, vec![(file, snapshot)])?;
            }
            let both = first..first + PRODUCERS as usize;
            for txn in both.clone() {
                self.order_batch(orders, part, txn, &mut segment);
            }
            for txn in both {
                self.order_marker(orders, part, txn, &mut segment);
            }
        }
        let active = SegmentEnd::Active {
            index_bytes: INDEX_BYTES,
        };
        put(archives, &name, segment.files(active))
    }

    fn order_batch(&self, orders: &Orders, part: usize, txn: usize, into: &mut NewSegment) {
        let of = &orders.txns[txn];
        let client = self.shape.order_client(txn);
        let at = self.shape.time(of.round);
        let mut payloads = [(); RECORDS as usize].map(|()| Vec::new());
        for (payload, index) in payloads.iter_mut().zip(0..) {
            let value = orders.value(txn, part - self.shape.load, index);
            history::payload::encode(self.run, client, value, at, self.value_bytes, payload);
        }
        let records = payloads.each_ref().map(|bytes| NewRecord::value(bytes));
        let epoch = self.shape.term(part, of.round).epoch;
        into.append(&NewBatch {
            transactional: true,
            timestamp: self.timestamp(of.round),
            producer_id: producer_id(client),
            producer_epoch: of.epoch,
            base_sequence: of.sequence,
            ..NewBatch::plain(orders.first(txn), epoch, &records)
        });
    }

    fn order_marker(&self, orders: &Orders, part: usize, txn: usize, into: &mut NewSegment) {
        let of = &orders.txns[txn];
        let twist = self.edits.order(txn, part - self.shape.load);
        let producer = producer_id(self.shape.order_client(txn));
        let coordinator_epoch = COORDINATOR;
        let marker = match orders.stands_committed(txn, twist) {
            true => Marker::Commit { coordinator_epoch },
            false => Marker::Abort { coordinator_epoch },
        };
        let place = (orders.marker(txn), self.shape.term(part, of.ends()).epoch);
        let epoch = orders.marker_epoch(txn);
        let mut bytes = Vec::new();
        let time = self.timestamp(of.ends());
        write_marker(&mut bytes, place, (producer, epoch), marker, time);
        into.append_written(&bytes);
        if matches!(marker, Marker::Abort { .. }) && twist != Some(OrderTwist::Unlisted) {
            // The one beside it is still open when the first of both ends.
            let last = txn as u64 % PRODUCERS + 1 == PRODUCERS;
            let stable = match last {
                true => Offset(orders.marker(txn).0 + 1),
                false => orders.first(txn + 1),
            };
            into.aborted(AbortedTxn {
                producer_id: producer,
                first_offset: orders.first(txn),
                last_offset: orders.marker(txn),
                last_stable_offset: stable,
            });
        }
    }

    /// What a broker knows of both producers when it begins a segment with these transactions.
    fn order_producers(&self, orders: &Orders, first: usize) -> Vec<ProducerEntry> {
        let last = first.saturating_sub(PRODUCERS as usize)..first;
        let entry = |txn: usize| {
            let of = &orders.txns[txn];
            // A new epoch begins without a batch.
            let fenced = orders.marker_epoch(txn) != of.epoch;
            let last = RECORDS as i32 - 1;
            let known = |what: i64| if fenced { -1 } else { what };
            ProducerEntry {
                producer_id: producer_id(self.shape.order_client(txn)),
                epoch: orders.marker_epoch(txn),
                last_sequence: known(i64::from(of.sequence + last)) as i32,
                last_offset: Offset(known(orders.range(txn).1 - 1)),
                offset_delta: if fenced { 0 } else { last },
                timestamp: self.timestamp(of.ends()),
                coordinator_epoch: COORDINATOR,
                current_txn_first_offset: None,
            }
        };
        last.map(entry).collect()
    }
}
