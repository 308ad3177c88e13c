//! Our own rules for a history that somebody else recorded.
//!
//! Jepsen's names and definitions, with the differences that `docs/jepsen.md` lists. Each
//! guarantee says how much it examined; what only replicas can show is unproven.

use std::collections::BTreeMap;

use history::jepsen::{Function, History, Kind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::entry::{Entry, Place};
use super::tables::{NONE, Tables};
use super::vanished::Vanished;
use super::verdict::{ForeignVerdict, Guaranteed};
use super::{Asked, cycles, lost, offsets, polls, sends, transactions, unseen, vanished};

/// Guarantees that only images and brokers' logs can prove.
const OF_REPLICAS: [&str; 17] = [
    "acked-lost-below-hw",
    "committed-lost",
    "acked-offset-wrong",
    "acked-lost-above-hw",
    "duplicate-in-log",
    "order-broken",
    "committed-prefix",
    "divergence-below-hw",
    "divergence-lasting",
    "log-matching-broken",
    "two-leaders-one-epoch",
    "log-malformed",
    "producer-state",
    "truncated-below-hw",
    "committed-past-election",
    "hw-regressed",
    "acked-under-min-isr",
];

const UNLOGGED: &str = "its consumers subscribed and logged no rebalance, so a jump may be one";
const SLOW: &str = "who read again was given nothing in the end, and may have been slow";
const NO_IMAGES: &str = "no images";
const NOTHING: &str = "nothing to examine";

/// Judges the client layer.
pub fn judge_natively(history: &History, asked: Asked) -> ForeignVerdict<'_> {
    let mut verdict = ForeignVerdict::new(Tables::new(history));
    let tables = &verdict.tables;
    let rows = Rows::new(tables, asked);
    let mut guarantees = rows.guarantees;
    guarantees.extend(OF_REPLICAS.map(|name| Guaranteed {
        name,
        verdict: "unproven",
        examined: 0,
        why: Some(NO_IMAGES),
    }));
    for (name, entries) in rows.anomalies {
        verdict.add(name, entries);
    }
    verdict.fold_guarantees(guarantees);
    verdict
}

#[derive(Default)]
struct Rows {
    guarantees: Vec<Guaranteed>,
    anomalies: BTreeMap<&'static str, Vec<Entry>>,
}

impl Rows {
    fn new(tables: &Tables<'_>, asked: Asked) -> Rows {
        let mut rows = Rows::default();
        let counts = Counts::new(tables);
        rows.judge(
            "inconsistent-offsets",
            counts.offsets,
            offsets::inconsistent(tables).0,
        );
        rows.judge("duplicate", counts.placed, offsets::duplicate(tables));
        rows.judge("phantom", counts.read, phantoms(tables));
        rows.judge("lost-write", counts.acked_with_offset, lost::lost(tables).0);
        let unseen = unseen::unseen(tables, unseen::Glitch::Absent);
        rows.judge(
            "unseen",
            counts.acked,
            unseen.map(|(entry, _)| entry).into_iter().collect(),
        );
        rows.judge("G1a", counts.ok_read, transactions::aborted(tables));
        let own = transactions::precommitted(tables);
        rows.judge("precommitted-read", counts.mixed, own);
        rows.polls(tables, asked);
        let within = sends::internal(tables);
        rows.judge("int-nonmonotonic-send", within.examined, within.backwards);
        rows.note("int-send-skip", within.skips);
        let (backwards, examined) = sends::external(tables);
        rows.judge("nonmonotonic-send", examined, backwards);
        rows.cycles(tables, asked);
        rows
    }

    /// A guarantee that was judged.
    fn judge(&mut self, name: &'static str, examined: u64, entries: Vec<Entry>) {
        let (verdict, why) = match (entries.is_empty(), examined) {
            (false, _) => ("broken", None),
            (true, 0) => ("unproven", Some(NOTHING)),
            (true, _) => ("held", None),
        };
        self.guarantees.push(Guaranteed {
            name,
            verdict,
            examined,
            why,
        });
        self.note(name, entries);
    }

    /// The same, but what is found only leaves it open where none of it convicts.
    fn judge_unless(
        &mut self,
        doubtful: bool,
        name: &'static str,
        (examined, entries): (u64, Vec<Entry>),
        why: &'static str,
    ) {
        if !doubtful || entries.is_empty() {
            return self.judge(name, examined, entries);
        }
        self.guarantees.push(Guaranteed {
            name,
            verdict: "unproven",
            examined,
            why: Some(why),
        });
        self.note(name, entries);
    }

    /// What is told, but breaks nothing.
    fn note(&mut self, name: &'static str, entries: Vec<Entry>) {
        if !entries.is_empty() {
            self.anomalies.entry(name).or_default().extend(entries);
        }
    }

    fn polls(&mut self, tables: &Tables<'_>, asked: Asked) {
        let within = polls::internal(tables);
        let between = polls::external(tables, polls::Rebalances::Honoured);
        let unlogged = unlogged(tables, asked);
        let convicts = |entry: &&Entry| !excused(tables, &unlogged, entry);
        let skips = within
            .skips
            .iter()
            .chain(between.skips.iter().filter(convicts));
        let skips: Vec<&Entry> = skips.collect();
        let Vanished {
            mut gone,
            perhaps,
            examined,
        } = vanished::vanished(tables, &skips);
        let doubtful = gone.is_empty();
        gone.extend(perhaps);
        self.judge_unless(doubtful, "read-then-vanished", (examined, gone), SLOW);
        self.judge("int-poll-skip", within.examined, within.skips);
        self.judge("int-nonmonotonic-poll", within.examined, within.backwards);
        let sides = [
            ("poll-skip", between.skips),
            ("nonmonotonic-poll", between.backwards),
        ];
        for (name, entries) in sides {
            let excused = entries
                .iter()
                .all(|entry| excused(tables, &unlogged, entry));
            self.judge_unless(excused, name, (between.examined, entries), UNLOGGED);
        }
    }

    /// Cycles of writes and reads alone always convict. Those that need one write to follow
    /// another are told, and normal: Kafka isolates no writes.
    fn cycles(&mut self, tables: &Tables<'_>, asked: Asked) {
        let pure = cycles::cycles(tables, false);
        let mut by_name: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
        for cycle in pure.cycles {
            let name = cycle.name;
            by_name
                .entry(name)
                .or_default()
                .push(Entry::Cycle(Box::new(cycle)));
        }
        for name in ["G1c", "G1c-realtime"] {
            self.judge(
                name,
                pure.examined,
                by_name.remove(name).unwrap_or_default(),
            );
        }
        if asked.ww_deps {
            for cycle in cycles::cycles(tables, true).cycles {
                if cycle.mixes_ww() {
                    let name = match cycle.name {
                        "G1c" => "G1c-mixed",
                        "G1c-realtime" => "G1c-realtime-mixed",
                        name => name,
                    };
                    self.note(name, vec![Entry::Cycle(Box::new(cycle))]);
                }
            }
        }
    }
}

/// Values that were read and that nobody sent, not even in a send that is still under way.
fn phantoms(tables: &Tables<'_>) -> Vec<Entry> {
    let unsent = |id: &u32| {
        let message = tables.message(*id);
        message.reader != NONE && message.writer == NONE && !message.under_way
    };
    let ids: Vec<u32> = (0..tables.messages.len() as u32).filter(unsent).collect();
    let mut offsets: FxHashMap<u32, i64> = FxHashMap::default();
    if !ids.is_empty() {
        for &(offset, id) in tables.keys().flat_map(|key| tables.log(key)) {
            offsets.entry(id).or_insert(offset);
        }
    }
    let entry = |id: u32| {
        let message = tables.message(id);
        Entry::Phantom {
            key: message.key,
            value: message.value,
            offset: offsets.get(&id).copied(),
            reader: message.reader,
        }
    };
    ids.into_iter().map(entry).collect()
}

/// Processes whose consumers were in a group and never told of a rebalance.
fn unlogged(tables: &Tables<'_>, asked: Asked) -> FxHashSet<i64> {
    let mut grouped = FxHashSet::default();
    let mut logged = FxHashSet::default();
    for op in tables.history.ops() {
        let subscribes = op.function == Function::Subscribe;
        if asked.subscribed.unwrap_or(subscribes) {
            grouped.insert(op.process);
        }
        if op.rebalance_logged {
            logged.insert(op.process);
        }
    }
    grouped.retain(|process| !logged.contains(process));
    grouped
}

fn excused(tables: &Tables<'_>, unlogged: &FxHashSet<i64>, entry: &Entry) -> bool {
    match entry {
        Entry::Step {
            place: Place::Between(op, _),
            ..
        } => unlogged.contains(&tables.op(*op as usize).process),
        _ => false,
    }
}

/// How much there was to look at.
#[derive(Default)]
struct Counts {
    offsets: u64,
    placed: u64,
    read: u64,
    ok_read: u64,
    acked: u64,
    acked_with_offset: u64,
    mixed: u64,
}

impl Counts {
    fn new(tables: &Tables<'_>) -> Counts {
        let mut counts = Counts::default();
        for key in tables.keys() {
            counts.offsets += tables.order(key).len() as u64;
        }
        for message in &tables.messages {
            let placed = message.first != NONE;
            counts.placed += u64::from(placed);
            counts.acked += u64::from(message.ok_sent);
            counts.acked_with_offset += u64::from(message.ok_sent && placed);
        }
        for (at, op) in tables.history.ops().iter().enumerate() {
            let read: usize = tables.reads.of(at).map(|(_, ids)| ids.len()).sum();
            counts.read += read as u64;
            if op.kind == Kind::Ok {
                counts.ok_read += read as u64;
            }
            let writes = op.kind != Kind::Invoke && tables.writes.has(at);
            counts.mixed += u64::from(writes && read > 0);
        }
        counts
    }
}
