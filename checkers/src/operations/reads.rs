//! Every delivered record, with the poll that handed it out.

use history::frames::Given;
use history::{ClientId, Epoch, Mark, NodeId, Offset, OpId, Payload, ValueId};
use rustc_hash::FxHashMap;

use super::Column;
use super::column::{ROWS, View};

/// A delivered record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadFact {
    /// The poll.
    pub op: OpId,
    /// The consumer handle.
    pub client: ClientId,
    /// Where from: the partition's number in `Operations::names`, or, from `Facts`, its `PartId`.
    pub part: usize,
    /// At which offset.
    pub offset: Offset,
    /// What.
    pub payload: Payload,
    /// The epoch of its batch, where the library tells.
    pub epoch: Option<Epoch>,
    /// The broker that served it, where the library tells.
    pub broker: Option<NodeId>,
    /// Before the poll.
    pub invoked: Mark,
    /// After it.
    pub returned: Mark,
    /// In the drain, by a fresh consumer.
    pub drain: bool,
}

/// All deliveries, in recorded order.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    /// The poll's row in `polls`.
    poll: Column,
    part: Column,
    offset: Column,
    /// The value; an earlier one where the payload is none of ours.
    value: Column,
    /// Which of `sources`.
    source: Column,
    sources: Vec<Source>,
    by_source: FxHashMap<Source, u32>,
    polls: Polls,
    last_source: u32,
    last_value: u64,
    /// Deliveries by partition.
    by_part: Vec<u64>,
}

/// A block of deliveries.
#[derive(Debug, Clone, Copy, Default)]
struct ReadView<'a> {
    poll: View<'a>,
    part: View<'a>,
    offset: View<'a>,
    value: View<'a>,
    source: View<'a>,
}

/// What the deliveries of a poll have in common.
#[derive(Debug, Clone, Copy)]
struct Poll {
    op: OpId,
    client: ClientId,
    invoked: Mark,
    returned: Mark,
    drain: bool,
}

/// Remembers the block, the poll and the source of the last delivery: the next one mostly has the
/// same.
#[derive(Debug, Clone, Copy)]
pub struct ReadCursor<'a> {
    reads: &'a Reads,
    block: usize,
    view: ReadView<'a>,
    in_poll: u64,
    poll: Poll,
    from_source: u64,
    source: Source,
}

impl ReadCursor<'_> {
    /// A delivery. What the caller does not use is not fetched.
    #[inline(always)]
    pub fn get(&mut self, row: u32) -> ReadFact {
        if row as usize / ROWS != self.block {
            self.block = row as usize / ROWS;
            self.view = self.reads.view(row);
        }
        let poll = self.view.poll.get(row as usize);
        if poll != self.in_poll {
            self.in_poll = poll;
            self.poll = self.reads.poll(poll);
        }
        let source = self.view.source.get(row as usize);
        if source != self.from_source {
            self.from_source = source;
            self.source = self.reads.source_of(source);
        }
        self.view.get(row, &self.poll, &self.source)
    }
}

impl ReadView<'_> {
    #[inline(always)]
    fn get(&self, row: u32, poll: &Poll, source: &Source) -> ReadFact {
        let row = row as usize % ROWS;
        ReadFact {
            op: poll.op,
            client: poll.client,
            part: self.part.get(row) as usize,
            offset: Offset(self.offset.get(row) as i64),
            payload: match source.payload {
                Kind::Corrupt => Payload::Corrupt,
                Kind::Foreign => Payload::Foreign,
                Kind::Value => Payload::Value(ValueId(self.value.get(row))),
            },
            epoch: source.epoch,
            broker: source.broker,
            invoked: poll.invoked,
            returned: poll.returned,
            drain: poll.drain,
        }
    }
}

/// What many deliveries have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source {
    payload: Kind,
    epoch: Option<Epoch>,
    broker: Option<NodeId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Value,
    Corrupt,
    Foreign,
}

/// Polls that delivered something.
#[derive(Debug, Clone, Default)]
struct Polls {
    op: Column,
    client: Column,
    invoked: Column,
    took: Column,
    drain: Column,
}

impl Reads {
    /// How many.
    pub fn len(&self) -> usize {
        self.poll.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many came from each partition, by its number; shorter where the last ones gave none.
    pub fn by_part(&self) -> &[u64] {
        &self.by_part
    }

    /// The number of a delivery's partition.
    #[inline(always)]
    pub fn part(&self, row: u32) -> usize {
        self.part.get(row as usize) as usize
    }

    /// A delivery. What the caller does not use is not fetched.
    #[inline(always)]
    pub fn get(&self, row: u32) -> ReadFact {
        let view = self.view(row);
        let poll = self.poll(view.poll.get(row as usize));
        let source = self.source_of(view.source.get(row as usize));
        view.get(row, &poll, &source)
    }

    /// The block that holds a delivery.
    #[inline(always)]
    fn view(&self, row: u32) -> ReadView<'_> {
        let block = row as usize / ROWS;
        ReadView {
            poll: self.poll.view(block),
            part: self.part.view(block),
            offset: self.offset.view(block),
            value: self.value.view(block),
            source: self.source.view(block),
        }
    }

    #[inline(always)]
    fn poll(&self, poll: u64) -> Poll {
        let poll = poll as usize;
        let invoked = self.polls.invoked.get(poll);
        Poll {
            op: OpId(self.polls.op.get(poll)),
            client: ClientId(self.polls.client.get(poll) as u16),
            invoked: Mark(invoked),
            returned: Mark(invoked.wrapping_add(self.polls.took.get(poll))),
            drain: self.polls.drain.get(poll) != 0,
        }
    }

    #[inline(always)]
    fn source_of(&self, source: u64) -> Source {
        let none = Source {
            payload: Kind::Value,
            epoch: None,
            broker: None,
        };
        self.sources.get(source as usize).copied().unwrap_or(none)
    }

    /// For going through deliveries whose rows ascend or descend.
    #[inline(always)]
    pub fn cursor(&self) -> ReadCursor<'_> {
        ReadCursor {
            reads: self,
            block: usize::MAX,
            view: ReadView::default(),
            in_poll: 0,
            poll: self.poll(0),
            from_source: 0,
            source: self.source_of(0),
        }
    }

    /// Begins a poll; what is [`given`](Self::given) next is its.
    pub fn polled(&mut self, op: OpId, client: ClientId, from: Mark, to: Mark, drain: bool) {
        self.polls.op.push(op.0);
        self.polls.client.push(u64::from(client.0));
        self.polls.invoked.push(from.0);
        self.polls.took.push(to.0.wrapping_sub(from.0));
        self.polls.drain.push(u64::from(drain));
    }

    /// Adds a delivery of the last poll.
    pub fn given(&mut self, part: u32, delivery: Given<'_>) {
        let payload = match delivery.payload {
            Payload::Value(value) => {
                self.last_value = value.0;
                Kind::Value
            }
            Payload::Corrupt => Kind::Corrupt,
            Payload::Foreign => Kind::Foreign,
        };
        let source = self.source(Source {
            payload,
            epoch: delivery.epoch,
            broker: delivery.broker,
        });
        self.poll.push((self.polls.op.len() - 1) as u64);
        self.part.push(u64::from(part));
        self.offset.push(delivery.offset.0 as u64);
        self.value.push(self.last_value);
        self.source.push(u64::from(source));
        if part as usize >= self.by_part.len() {
            self.by_part.resize(part as usize + 1, 0);
        }
        self.by_part[part as usize] += 1;
    }

    fn source(&mut self, source: Source) -> u32 {
        if self.sources.get(self.last_source as usize) != Some(&source) {
            let sources = &mut self.sources;
            self.last_source = *self.by_source.entry(source).or_insert_with(|| {
                sources.push(source);
                (sources.len() - 1) as u32
            });
        }
        self.last_source
    }

    /// Bytes of the heap that they occupy.
    pub fn heap_bytes(&self) -> u64 {
        let polls = &self.polls;
        let columns = [
            &self.poll,
            &self.part,
            &self.offset,
            &self.value,
            &self.source,
            &polls.op,
            &polls.client,
            &polls.invoked,
            &polls.took,
            &polls.drain,
        ];
        let columns: u64 = columns.iter().map(|column| column.heap_bytes()).sum();
        let known = self.sources.capacity() * size_of::<Source>()
            + self.by_source.capacity() * (size_of::<(Source, u32)>() + 1);
        columns + known as u64
    }
}
