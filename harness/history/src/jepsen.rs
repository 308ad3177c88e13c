//! A history as Jepsen's Kafka workload writes it: sends, polls and transactions of clients.
//!
//! These are other people's recordings. They know no images, no brokers and no faults, so nothing
//! here can be turned into [`crate::Event`]s without inventing what was not written down. Only
//! operations of clients are kept (Jepsen's checker looks at nothing else), in columns, because a
//! history of millions of operations has to fit. Nothing is repaired: what contradicts itself is
//! refused where it is pushed.

use std::ops::Range;

use rustc_hash::FxHashMap;

mod scalar;

pub use scalar::{Key, Scalar, Value};

/// How far an operation has come, as Jepsen says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It begins.
    Invoke,
    /// It succeeded.
    Ok,
    /// Nobody knows.
    Info,
    /// It did not happen.
    Fail,
}

/// What a client was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// A transaction, or none, of sends only.
    Send,
    /// A transaction, or none, of polls only.
    Poll,
    /// Both.
    Txn,
    /// These keys and no others from now on, chosen by hand.
    Assign,
    /// The topics of these keys and no others from now on; the group decides which partitions.
    Subscribe,
    /// The client is thrown away.
    Crash,
    /// Asks where partitions live; no part of any rule.
    DebugTopicPartitions,
}

impl Function {
    /// Whether micro-operations are its value.
    pub fn is_transactional(self) -> bool {
        matches!(self, Function::Send | Function::Poll | Function::Txn)
    }
}

/// One flat piece of an operation's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// `[:send key value]` or `[:send key [offset value]]`.
    Send {
        /// Where to.
        key: Key,
        /// Absent where the client was not told.
        offset: Option<i64>,
        /// What.
        value: Value,
    },
    /// `[:poll]` or `[:poll {...}]`; what it returned follows.
    Poll,
    /// A key that the poll before it returned, perhaps with an empty list; its records follow.
    Polled(Key),
    /// `[offset value]` of the key before it.
    Read {
        /// Absent where the client did not say.
        offset: Option<i64>,
        /// What.
        value: Value,
    },
    /// A key that an assign or subscribe names.
    Named(Key),
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Jepsen's number of it: ascending, with gaps where nemesis operations stood.
    pub index: u64,
    /// Nanoseconds since the test began.
    pub time: Option<i64>,
    /// The single-threaded process that did it.
    pub process: i64,
    /// How far it has come.
    pub kind: Kind,
    /// What was asked.
    pub function: Function,
    /// `:seek-to-beginning? true` of an assign.
    pub from_beginning: bool,
    /// Whether it carries a rebalance log with at least one event.
    pub rebalance_logged: bool,
    items: (u32, u32),
    rebalanced: (u32, u32),
    partner: u32,
}

impl Op {
    /// The position of its completion, or of its invocation; none for what never ended.
    pub fn partner(&self) -> Option<usize> {
        (self.partner != NOBODY).then_some(self.partner as usize)
    }
}

const NOBODY: u32 = u32::MAX;

/// An operation as a reader found it.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// `:index`; a history numbers all its operations or none.
    pub index: Option<u64>,
    /// `:time`.
    pub time: Option<i64>,
    /// `:seek-to-beginning?`.
    pub from_beginning: bool,
    /// Whether `:rebalance-log` holds an event.
    pub rebalance_logged: bool,
    /// The value's pieces.
    pub items: Vec<Item>,
    /// The keys that the rebalance log names.
    pub rebalanced: Vec<Key>,
}

/// Why an operation does not belong into the history that was read so far.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JepsenError {
    /// Indices do not ascend.
    #[error(":index {index} does not come after :index {before}; a history's indices ascend")]
    IndexOrder {
        /// This one.
        index: u64,
        /// The one before.
        before: u64,
    },
    /// Some operations are numbered, some are not.
    #[error("this operation has {} :index, unlike those before it; number all of them or none", if *.has { "an" } else { "no" })]
    IndexSometimes {
        /// Whether this one is numbered.
        has: bool,
    },
    /// A completion without its invocation.
    #[error("process {process} completes :{function} without having invoked anything")]
    NothingInvoked {
        /// Whose.
        process: i64,
        /// What.
        function: &'static str,
    },
    /// A completion of something else.
    #[error("process {process} completes :{function}, but what it has under way is :{invoked}")]
    OtherInvoked {
        /// Whose.
        process: i64,
        /// What is completed.
        function: &'static str,
        /// What was invoked.
        invoked: &'static str,
    },
    /// A process does one thing at a time.
    #[error("process {process} invokes :{function} while its :{under_way} is still under way")]
    TwoAtOnce {
        /// Whose.
        process: i64,
        /// What.
        function: &'static str,
        /// What has not ended.
        under_way: &'static str,
    },
    /// More than four thousand million operations or pieces.
    #[error("the history is too long: more than {} operations or records", u32::MAX - 1)]
    TooLong,
}

/// A whole history, operations of clients only.
#[derive(Debug, Clone, Default)]
pub struct History {
    ops: Vec<Op>,
    items: Vec<Item>,
    rebalanced: Vec<Key>,
    names: scalar::Names,
}

impl History {
    /// All operations, in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The pieces of an operation's value.
    pub fn items(&self, op: &Op) -> &[Item] {
        &self.items[span(op.items)]
    }

    /// The keys that an operation's rebalance log names.
    pub fn rebalanced(&self, op: &Op) -> &[Key] {
        &self.rebalanced[span(op.rebalanced)]
    }

    /// How many keys there are; they are numbered from 0.
    pub fn key_count(&self) -> usize {
        self.names.key_count()
    }

    /// How many pieces all values have.
    pub fn item_count(&self) -> usize {
        self.items.len()
    }

    /// What a key is called.
    pub fn key(&self, key: Key) -> &Scalar {
        self.names.key(key)
    }

    /// What a value is.
    pub fn value(&self, value: Value) -> Scalar {
        self.names.value(value)
    }
}

fn span((start, end): (u32, u32)) -> Range<usize> {
    start as usize..end as usize
}

/// Puts a history together and refuses what cannot be one.
#[derive(Debug, Default)]
pub struct Builder {
    history: History,
    under_way: FxHashMap<i64, u32>,
    last: Option<Numbering>,
}

#[derive(Debug, Clone, Copy)]
enum Numbering {
    Written(u64),
    Counted(u64),
}

impl Builder {
    /// An empty history.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// The handle of a key.
    pub fn key(&mut self, name: Scalar) -> Key {
        self.history.names.intern_key(name)
    }

    /// The handle of a value.
    pub fn value(&mut self, value: Scalar) -> Value {
        self.history.names.intern_value(value)
    }

    /// Takes an operation that no client did: it only uses up its index.
    pub fn pass_over(&mut self, index: Option<u64>) -> Result<(), JepsenError> {
        self.number(index).map(|_| ())
    }

    /// Takes a client's operation; the draft's lists are emptied.
    pub fn push(
        &mut self,
        process: i64,
        kind: Kind,
        function: Function,
        draft: &mut Draft,
    ) -> Result<(), JepsenError> {
        let index = self.number(draft.index)?;
        let at = small(self.history.ops.len())?;
        let partner = self.pair(process, kind, function, at)?;
        let items = small(self.history.items.len())?;
        let rebalanced = small(self.history.rebalanced.len())?;
        self.history.items.append(&mut draft.items);
        self.history.rebalanced.append(&mut draft.rebalanced);
        self.history.ops.push(Op {
            index,
            time: draft.time,
            process,
            kind,
            function,
            from_beginning: draft.from_beginning,
            rebalance_logged: draft.rebalance_logged,
            items: (items, small(self.history.items.len())?),
            rebalanced: (rebalanced, small(self.history.rebalanced.len())?),
            partner,
        });
        Ok(())
    }

    /// The history that was pushed.
    pub fn finish(self) -> History {
        self.history
    }

    fn number(&mut self, index: Option<u64>) -> Result<u64, JepsenError> {
        let next = match (self.last, index) {
            (None, Some(index)) => Numbering::Written(index),
            (None, None) => Numbering::Counted(0),
            (Some(Numbering::Written(before)), Some(index)) if index > before => {
                Numbering::Written(index)
            }
            (Some(Numbering::Written(before)), Some(index)) => {
                return Err(JepsenError::IndexOrder { index, before });
            }
            (Some(Numbering::Counted(before)), None) => Numbering::Counted(before + 1),
            (Some(_), index) => {
                let has = index.is_some();
                return Err(JepsenError::IndexSometimes { has });
            }
        };
        self.last = Some(next);
        match next {
            Numbering::Written(index) | Numbering::Counted(index) => Ok(index),
        }
    }

    fn pair(
        &mut self,
        process: i64,
        kind: Kind,
        function: Function,
        at: u32,
    ) -> Result<u32, JepsenError> {
        if kind == Kind::Invoke {
            return match self.under_way.insert(process, at) {
                None => Ok(NOBODY),
                Some(before) => Err(JepsenError::TwoAtOnce {
                    process,
                    function: function.name(),
                    under_way: self.history.ops[before as usize].function.name(),
                }),
            };
        }
        let Some(invoked) = self.under_way.remove(&process) else {
            return Err(JepsenError::NothingInvoked {
                process,
                function: function.name(),
            });
        };
        let invocation = &mut self.history.ops[invoked as usize];
        if invocation.function != function {
            return Err(JepsenError::OtherInvoked {
                process,
                function: function.name(),
                invoked: invocation.function.name(),
            });
        }
        invocation.partner = at;
        Ok(invoked)
    }
}

impl Function {
    /// Jepsen's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Function::Send => "send",
            Function::Poll => "poll",
            Function::Txn => "txn",
            Function::Assign => "assign",
            Function::Subscribe => "subscribe",
            Function::Crash => "crash",
            Function::DebugTopicPartitions => "debug-topic-partitions",
        }
    }

    /// What a word means.
    pub fn parse(word: &[u8]) -> Option<Function> {
        Some(match word {
            b"send" => Function::Send,
            b"poll" => Function::Poll,
            b"txn" => Function::Txn,
            b"assign" => Function::Assign,
            b"subscribe" => Function::Subscribe,
            b"crash" => Function::Crash,
            b"debug-topic-partitions" => Function::DebugTopicPartitions,
            _ => return None,
        })
    }
}

fn small(count: usize) -> Result<u32, JepsenError> {
    u32::try_from(count)
        .ok()
        .filter(|&count| count != NOBODY)
        .ok_or(JepsenError::TooLong)
}
