//! Every send with its outcome.

use history::{ClientId, Mark, NodeId, Offset, OpId, ValueId};

use super::Column;
use super::column::{ROWS, View};

/// A send, from invocation to outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendFact {
    /// The operation.
    pub op: OpId,
    /// The producer handle.
    pub client: ClientId,
    /// Where to: the partition's number in `Operations::names`, or, from `Facts`, its `PartId`.
    pub part: usize,
    /// What.
    pub value: ValueId,
    /// Before the call.
    pub invoked: Mark,
    /// After the answer.
    pub returned: Option<Mark>,
    /// What the client may conclude.
    pub fate: Fate,
}

/// What a producer may conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Accepted.
    Acked {
        /// At this offset, where it was told.
        offset: Option<Offset>,
        /// By this broker, where the library tells.
        broker: Option<NodeId>,
    },
    /// Certainly refused.
    Failed,
    /// Either.
    Unknown,
}

impl SendFact {
    /// Whether it was acknowledged.
    pub fn acked(&self) -> bool {
        matches!(self.fate, Fate::Acked { .. })
    }

    /// The acknowledged offset.
    pub fn acked_at(&self) -> Option<Offset> {
        match self.fate {
            Fate::Acked { offset, .. } => offset,
            Fate::Failed | Fate::Unknown => None,
        }
    }
}

/// All sends, in order of invocation.
#[derive(Debug, Clone, Default)]
pub struct Sends {
    op: Column,
    client: Column,
    part: Column,
    value: Column,
    invoked: Column,
    /// From invocation to answer.
    took: Column,
    /// Of the acknowledgement; of an earlier one where there is none.
    offset: Column,
    /// What came of it: one of the codes below.
    code: Column,
    /// The last acknowledged offset.
    last_offset: u64,
    /// By the partition's number.
    by_part: Vec<Counts>,
}

/// A block of sends.
#[derive(Debug, Clone, Copy, Default)]
struct SendView<'a> {
    op: View<'a>,
    client: View<'a>,
    part: View<'a>,
    value: View<'a>,
    invoked: View<'a>,
    took: View<'a>,
    offset: View<'a>,
    code: View<'a>,
}

/// Remembers the block that the last send was in: the next one is mostly in the same.
#[derive(Debug, Clone, Copy)]
pub struct SendCursor<'a> {
    sends: &'a Sends,
    block: usize,
    view: SendView<'a>,
}

impl SendCursor<'_> {
    /// A send. What the caller does not use is not fetched.
    #[inline(always)]
    pub fn get(&mut self, row: u32) -> SendFact {
        if row as usize / ROWS != self.block {
            self.block = row as usize / ROWS;
            self.view = self.sends.view(row);
        }
        self.view.get(row)
    }
}

impl SendView<'_> {
    #[inline(always)]
    fn get(&self, row: u32) -> SendFact {
        let row = row as usize % ROWS;
        let invoked = self.invoked.get(row);
        let code = self.code.get(row);
        let took = self.took.get(row);
        SendFact {
            op: OpId(self.op.get(row)),
            client: ClientId(self.client.get(row) as u16),
            part: self.part.get(row) as usize,
            value: ValueId(self.value.get(row)),
            invoked: Mark(invoked),
            returned: (code != OPEN).then_some(Mark(invoked.wrapping_add(took))),
            fate: match code & KIND {
                ACKED => Fate::Acked {
                    offset: (code & HAS_OFFSET != 0).then_some(Offset(self.offset.get(row) as i64)),
                    broker: (code & HAS_BROKER != 0).then_some(NodeId((code >> BROKER) as u8)),
                },
                FAILED => Fate::Failed,
                _ => Fate::Unknown,
            },
        }
    }
}

/// How many sends came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub sent: u64,
    /// Acknowledged.
    pub acked: u64,
    /// Certainly refused.
    pub failed: u64,
}

// What came of a send: two bits, then which of offset and broker are known, then the broker.
const OPEN: u64 = 0;
const UNKNOWN: u64 = 1;
const FAILED: u64 = 2;
const ACKED: u64 = 3;
const KIND: u64 = 3;
const HAS_OFFSET: u64 = 4;
const HAS_BROKER: u64 = 8;
const BROKER: u32 = 4;

impl Sends {
    /// How many.
    pub fn len(&self) -> usize {
        self.op.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many went to each partition, by its number; shorter where the last ones got none.
    pub fn by_part(&self) -> &[Counts] {
        &self.by_part
    }

    /// The number of a send's partition.
    #[inline(always)]
    pub fn part(&self, row: u32) -> usize {
        self.part.get(row as usize) as usize
    }

    /// A send. What the caller does not use is not fetched.
    #[inline(always)]
    pub fn get(&self, row: u32) -> SendFact {
        self.view(row).get(row)
    }

    /// The block that holds a send.
    #[inline(always)]
    fn view(&self, row: u32) -> SendView<'_> {
        let block = row as usize / ROWS;
        SendView {
            op: self.op.view(block),
            client: self.client.view(block),
            part: self.part.view(block),
            value: self.value.view(block),
            invoked: self.invoked.view(block),
            took: self.took.view(block),
            offset: self.offset.view(block),
            code: self.code.view(block),
        }
    }

    /// For going through sends whose rows ascend or descend.
    #[inline(always)]
    pub fn cursor(&self) -> SendCursor<'_> {
        SendCursor {
            sends: self,
            block: usize::MAX,
            view: SendView::default(),
        }
    }

    /// Adds a send; its row.
    pub fn invoked(
        &mut self,
        op: OpId,
        client: ClientId,
        part: u32,
        value: ValueId,
        at: Mark,
    ) -> u32 {
        let row = self.len() as u32;
        self.op.push(op.0);
        self.client.push(u64::from(client.0));
        self.part.push(u64::from(part));
        self.value.push(value.0);
        self.invoked.push(at.0);
        self.took.push(0);
        self.offset.push(self.last_offset);
        self.code.push(OPEN);
        if part as usize >= self.by_part.len() {
            self.by_part.resize(part as usize + 1, Counts::default());
        }
        self.by_part[part as usize].sent += 1;
        row
    }

    /// Notes what came of a send; when it was invoked.
    pub fn returned(&mut self, row: u32, at: Mark, fate: Fate) -> Mark {
        let row = row as usize;
        let invoked = self.invoked.get(row);
        self.took.set(row, at.0.wrapping_sub(invoked));
        let code = match fate {
            Fate::Unknown => UNKNOWN,
            Fate::Failed => FAILED,
            Fate::Acked { offset, broker } => {
                let mut code = ACKED;
                if let Some(offset) = offset {
                    code |= HAS_OFFSET;
                    self.last_offset = offset.0 as u64;
                    self.offset.set(row, offset.0 as u64);
                }
                if let Some(broker) = broker {
                    code |= HAS_BROKER | u64::from(broker.0) << BROKER;
                }
                code
            }
        };
        self.code.set(row, code);
        if let Some(counts) = self.by_part.get_mut(self.part.get(row) as usize) {
            counts.acked += u64::from(code & KIND == ACKED);
            counts.failed += u64::from(code & KIND == FAILED);
        }
        Mark(invoked)
    }

    /// Bytes of the heap that they occupy.
    pub fn heap_bytes(&self) -> u64 {
        let columns = [
            &self.op,
            &self.client,
            &self.part,
            &self.value,
            &self.invoked,
            &self.took,
            &self.offset,
            &self.code,
        ];
        columns.iter().map(|column| column.heap_bytes()).sum()
    }
}
