//! Histories that Tidemark did not record, judged as Jepsen's Kafka checker judges them, or by our
//! own rules for the client layer.
//!
//! `docs/jepsen.md` lists every difference between the two. A history alone shows no replica, so
//! nothing here says anything about one.

mod clojure;
mod cycles;
mod entry;
mod lost;
mod native;
mod offsets;
mod polls;
mod sends;
mod tables;
mod transactions;
mod unseen;
mod vanished;
mod verdict;

use history::jepsen::{Function, History};

use self::entry::Entry;
pub use self::native::judge_natively;
use self::tables::Tables;
pub use self::verdict::{ForeignVerdict, Guaranteed, Valid};

/// What the test was, as far as the history does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Whether writes depend on the writes before them in the log.
    pub ww_deps: bool,
    /// Whether consumers subscribed; unless it is said, whether the history has a subscribe.
    pub subscribed: Option<bool>,
}

impl Asked {
    fn subscribed(self, history: &History) -> bool {
        self.subscribed.unwrap_or_else(|| {
            let subscribes = |op: &history::jepsen::Op| op.function == Function::Subscribe;
            history.ops().iter().any(subscribes)
        })
    }
}

/// Exactly what Jepsen's own checker says, its crashes included.
pub fn judge_as_jepsen(history: &History, asked: Asked) -> ForeignVerdict<'_> {
    let tables = Tables::new(history);
    let mut verdict = ForeignVerdict::new(tables);
    let tables = &verdict.tables;
    let polls = polls::external(tables, polls::Rebalances::Ignored);
    let within = polls::internal(tables);
    let sends = sends::internal(tables);
    let (inconsistent, uncomparable) = offsets::inconsistent(tables);
    let unseen = unseen::unseen(tables, unseen::Glitch::Reproduced);
    let (lost, unfindable) = lost::lost(tables);
    let found = if history.ops().is_empty() {
        cycles::Found::default()
    } else {
        cycles::cycles(tables, asked.ww_deps)
    };
    // In the order in which Jepsen's analysis asks for its parts.
    let (unseen, unsortable) = unseen.unzip();
    verdict.crash = uncomparable
        .or(unfindable)
        .or(found.crash)
        .or(unsortable.flatten());
    let families = [
        ("duplicate", offsets::duplicate(tables)),
        ("int-poll-skip", within.skips),
        ("int-nonmonotonic-poll", within.backwards),
        ("int-nonmonotonic-send", sends.backwards),
        ("int-send-skip", sends.skips),
        ("inconsistent-offsets", inconsistent),
        ("precommitted-read", transactions::precommitted(tables)),
        ("G1a", transactions::aborted(tables)),
        ("lost-write", lost),
        ("nonmonotonic-poll", polls.backwards),
        ("nonmonotonic-send", sends::external(tables).0),
        ("poll-skip", polls.skips),
        ("unseen", unseen.into_iter().collect()),
    ];
    for (name, entries) in families {
        verdict.add(name, entries);
    }
    if found.empty && !history.ops().is_empty() {
        verdict.add("empty-transaction-graph", vec![Entry::EmptyGraph]);
    }
    for exists in found.exist {
        verdict.add(
            exists.model.name,
            vec![Entry::CycleExists(Box::new(exists))],
        );
    }
    for cycle in found.cycles {
        verdict.add(cycle.name, vec![Entry::Cycle(Box::new(cycle))]);
    }
    verdict.fold(&verdict::allowed(asked.ww_deps, asked.subscribed(history)));
    verdict
}
