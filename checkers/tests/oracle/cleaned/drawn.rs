//! How worlds of cleaned logs are drawn: whatever is left of a log, no marker goes before the records
//! that it ends.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{End, Entry, Txn, World};

/// Producer, records (key, told), how it ends and whether what is not known was a commit.
type Drawn = (u8, Vec<(char, bool)>, End, bool);

/// Any world.
pub fn any_world() -> impl Strategy<Value = World> {
    let key = || prop_oneof![3 => Just('a'), 2 => Just('b')];
    let end = prop_oneof![
        5 => Just(End::Committed),
        4 => Just(End::CommitUnknown),
        3 => Just(End::Aborted),
        1 => Just(End::AbortUnknown),
        1 => Just(End::Never),
    ];
    let record = (key(), proptest::bool::weighted(0.8));
    let txn = (1u8..3, vec(record, 1..4), end, any::<bool>());
    let log = || vec(proptest::bool::weighted(0.5), 10);
    let earlier = option::weighted(0.7, (vec(proptest::bool::weighted(0.9), 10), 1usize..12));
    let tombstones = vec(key(), 0..4);
    (
        (
            proptest::bool::weighted(0.7),
            vec(txn, 1..4),
            tombstones,
            any::<u32>(),
        ),
        (log(), log(), earlier),
    )
        .prop_map(
            |((short_lived, txns, tombstones, merge), (n0, n1, earlier))| {
                build(short_lived, txns, tombstones, merge, ([n0, n1], earlier))
            },
        )
}

type Left = ([Vec<bool>; 2], Option<(Vec<bool>, usize)>);

fn build(
    short_lived: bool,
    drawn: Vec<Drawn>,
    tombstones: Vec<char>,
    merge: u32,
    (logs, earlier): Left,
) -> World {
    let mut parts: [Vec<Entry>; 3] = Default::default();
    parts[0].extend(tombstones.into_iter().map(|key| Entry::Tombstone { key }));
    let mut txns = Vec::new();
    for (txn, (producer, records, end, luck)) in drawn.into_iter().enumerate() {
        let part = &mut parts[usize::from(producer)];
        part.extend(records.iter().map(|(key, _)| Entry::Record {
            producer,
            txn,
            key: *key,
        }));
        part.push(match end {
            End::Committed => Entry::Commit { producer },
            End::CommitUnknown if luck => Entry::Commit { producer },
            _ => Entry::Abort { producer },
        });
        let records = records.into_iter().map(|(_, told)| (0, told)).collect();
        txns.push(Txn {
            producer,
            end,
            records,
        });
    }
    let mut written = Vec::new();
    let mut parts = parts.map(Vec::into_iter);
    for turn in 0..16 {
        written.extend(parts[[1, 2, 1 + turn % 2, 0][(merge >> (2 * turn) & 3) as usize]].next());
    }
    written.extend(parts.into_iter().flatten());
    for (n, txn) in txns.iter_mut().enumerate() {
        let own = |entry: &Entry| matches!(entry, Entry::Record { txn, .. } if *txn == n);
        let mut at = (0..written.len()).filter(|at| own(&written[*at]));
        for record in &mut txn.records {
            record.0 = at.next().expect("it was merged");
        }
    }
    let mut world = World {
        short_lived,
        txns,
        written,
        logs,
        earlier: earlier.map(|(mut kept, end)| {
            kept.resize(16, true);
            kept.iter_mut().skip(end).for_each(|kept| *kept = false);
            kept
        }),
    };
    let logs = world.logs.clone().map(|kept| world.with_markers(kept));
    world.logs = logs;
    world.earlier = world.earlier.take().map(|kept| {
        let end = kept.iter().rposition(|kept| *kept).map_or(0, |at| at + 1);
        let mut kept = world.with_markers(kept);
        kept.iter_mut().skip(end).for_each(|kept| *kept = false);
        kept
    });
    world
}

impl World {
    /// No marker goes before the records that it ends.
    fn with_markers(&self, mut kept: Vec<bool>) -> Vec<bool> {
        kept.resize(self.written.len(), true);
        for offset in 0..self.written.len() {
            let Entry::Record { producer: of, .. } = self.written[offset] else {
                continue;
            };
            let ends = |entry: &Entry| match entry {
                Entry::Commit { producer } | Entry::Abort { producer } => *producer == of,
                _ => false,
            };
            let marker = self.written[offset..].iter().position(ends);
            if kept[offset] {
                kept[offset + marker.expect("all end")] = true;
            }
        }
        kept
    }
}
