//! What every rule of Jepsen's Kafka checker looks things up in: who wrote and read which value,
//! and the log of each key as clients saw it.
//!
//! Offsets are sparse here: cost grows with the records, never with the largest offset.
//! Nothing is judged.

use history::jepsen::{Function, History, Item, Key, Kind, Op, Value};
use rustc_hash::{FxHashMap, FxHashSet};

use super::clojure;

/// No operation, no index.
pub(super) const NONE: u32 = u32::MAX;

/// A value of a key; the same value of two keys is two messages.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub key: Key,
    pub value: Value,
    /// The last completion that sent it.
    pub writer: u32,
    /// The first completion that read it.
    pub reader: u32,
    /// The last one.
    pub last_reader: u32,
    /// Where it stands in the order of its key, if it was picked there.
    pub at: u32,
    /// The first and last dense index that hold it.
    pub first: u32,
    pub last: u32,
    pub ok_read: bool,
    pub ok_sent: bool,
    pub fail_sent: bool,
    /// A send of it was invoked and never came to an end.
    pub under_way: bool,
}

/// For each operation, its keys in order of mention, and for each of those its messages.
#[derive(Debug, Default)]
pub(super) struct Groups {
    ends: Vec<u32>,
    groups: Vec<(Key, u32)>,
    messages: Vec<u32>,
}

impl Groups {
    /// The keys of an operation, each with its messages in order.
    pub fn of(&self, op: usize) -> impl Iterator<Item = (Key, &[u32])> {
        let start = if op == 0 {
            0
        } else {
            self.ends[op - 1] as usize
        };
        let end = self.ends[op] as usize;
        (start..end).map(move |group| {
            let from = if group == 0 {
                0
            } else {
                self.groups[group - 1].1 as usize
            };
            let (key, to) = self.groups[group];
            (key, &self.messages[from..to as usize])
        })
    }

    /// Whether an operation has any.
    pub fn has(&self, op: usize) -> bool {
        self.of(op).next().is_some()
    }

    /// Adds the next operation; `found` is grouped by key, order kept, where a key comes twice.
    fn push(&mut self, found: &mut Vec<(Key, u32)>, keys: &mut Vec<Key>) {
        if repeats(keys) {
            let mut rank: FxHashMap<Key, usize> = FxHashMap::default();
            let mut once = Vec::new();
            for &key in keys.iter() {
                rank.entry(key).or_insert_with(|| {
                    once.push(key);
                    once.len()
                });
            }
            found.sort_by_key(|(key, _)| rank[key]);
            *keys = once;
        }
        let mut rest = found.iter().peekable();
        for key in keys.drain(..) {
            while let Some((_, message)) = rest.next_if(|(of, _)| *of == key) {
                self.messages.push(*message);
            }
            self.groups.push((key, self.messages.len() as u32));
        }
        found.clear();
        self.ends.push(self.groups.len() as u32);
    }
}

/// Everything.
#[derive(Debug)]
pub(super) struct Tables<'h> {
    pub history: &'h History,
    pub messages: Vec<Message>,
    pub reads: Groups,
    pub writes: Groups,
    /// Keys that some ok operation read, if only an empty list.
    pub ok_read_key: Vec<bool>,
    /// (offset, message), by key and offset, without repetition.
    log: Vec<(i64, u32)>,
    log_ends: Vec<u32>,
    /// One message an index, by key.
    order: Vec<u32>,
    order_ends: Vec<u32>,
    message_of: FxHashMap<(Key, Value), u32>,
}

impl<'h> Tables<'h> {
    pub fn new(history: &'h History) -> Tables<'h> {
        let mut tables = Tables {
            history,
            messages: Vec::new(),
            reads: Groups::default(),
            writes: Groups::default(),
            ok_read_key: vec![false; history.key_count()],
            log: Vec::new(),
            log_ends: Vec::new(),
            order: Vec::new(),
            order_ends: Vec::new(),
            message_of: FxHashMap::default(),
        };
        let of_items = tables.meet();
        let seen = tables.sightings(&of_items);
        drop(of_items);
        tables.lay_out(seen);
        tables
    }

    pub fn op(&self, at: usize) -> &Op {
        &self.history.ops()[at]
    }

    pub fn message(&self, id: u32) -> &Message {
        &self.messages[id as usize]
    }

    /// The handle of a value of a key, if anybody ever named it.
    pub fn find(&self, key: Key, value: Value) -> Option<u32> {
        self.message_of.get(&(key, value)).copied()
    }

    pub fn keys(&self) -> impl Iterator<Item = Key> + use<> {
        (0..self.history.key_count() as u32).map(Key)
    }

    /// (offset, message) of a key, ascending.
    pub fn log(&self, key: Key) -> &[(i64, u32)] {
        part(&self.log, &self.log_ends, key)
    }

    /// One message an index.
    pub fn order(&self, key: Key) -> &[u32] {
        part(&self.order, &self.order_ends, key)
    }

    /// Where a message stands in its key's order.
    pub fn at(&self, id: u32) -> Option<i64> {
        let at = self.message(id).at;
        (at != NONE).then_some(i64::from(at))
    }

    /// The index of the last or first of a list; an empty list's is that of `nil`, as in Clojure.
    pub fn index_or_nil(&self, key: Key, id: Option<&u32>) -> Option<i64> {
        let id = id.copied().or_else(|| self.find(key, Value::NIL))?;
        self.at(id)
    }

    /// Ok, or undecided with one of its messages read by an ok operation.
    pub fn must_have_committed(&self, op: usize) -> bool {
        match self.op(op).kind {
            Kind::Ok => true,
            Kind::Info => self.writes.of(op).any(|(_, ids)| {
                ids.iter().any(|&id| {
                    let message = self.message(id);
                    message.ok_read && message.value.is_truthy()
                })
            }),
            Kind::Invoke | Kind::Fail => false,
        }
    }

    /// Numbers all messages, notes who sent and who read them. Gives the message of each item.
    fn meet(&mut self) -> Vec<u32> {
        let history = self.history;
        let mut of_items = Vec::with_capacity(history.item_count());
        let mut keys = (Vec::new(), Vec::new());
        let mut found = (Vec::new(), Vec::new());
        for (at, op) in history.ops().iter().enumerate() {
            let reads = matches!(op.function, Function::Poll | Function::Txn);
            let items = history.items(op);
            let completed = op.kind != Kind::Invoke;
            let counts = completed || items.iter().any(|item| matches!(item, Item::Read { .. }));
            let writes = counts && matches!(op.function, Function::Send | Function::Txn);
            let mut polled = Key(NONE);
            for item in items {
                let mut message = NONE;
                match *item {
                    Item::Send { key, value, .. } if counts => {
                        message = self.number(key, value);
                        if writes {
                            note_key(&mut keys.1, key);
                            found.1.push((key, message));
                            self.note_sent(message, at, op.kind);
                        }
                    }
                    Item::Send { key, value, .. } if op.partner().is_none() => {
                        message = self.number(key, value);
                        self.messages[message as usize].under_way = true;
                    }
                    Item::Polled(key) => {
                        polled = key;
                        if reads {
                            note_key(&mut keys.0, key);
                            self.ok_read_key[key.0 as usize] |= op.kind == Kind::Ok;
                        }
                    }
                    Item::Read { value, .. } => {
                        message = self.number(polled, value);
                        if reads {
                            found.0.push((polled, message));
                            self.note_read(message, at, op.kind);
                        }
                    }
                    Item::Send { .. } | Item::Poll | Item::Named(_) => {}
                }
                of_items.push(message);
            }
            self.reads.push(&mut found.0, &mut keys.0);
            self.writes.push(&mut found.1, &mut keys.1);
        }
        of_items
    }

    fn number(&mut self, key: Key, value: Value) -> u32 {
        let next = self.messages.len() as u32;
        let id = *self.message_of.entry((key, value)).or_insert(next);
        if id == next {
            self.messages.push(Message {
                key,
                value,
                writer: NONE,
                reader: NONE,
                last_reader: NONE,
                at: NONE,
                first: NONE,
                last: NONE,
                ok_read: false,
                ok_sent: false,
                fail_sent: false,
                under_way: false,
            });
        }
        id
    }

    fn note_sent(&mut self, id: u32, op: usize, kind: Kind) {
        let message = &mut self.messages[id as usize];
        match kind {
            Kind::Invoke => return,
            Kind::Ok => message.ok_sent = true,
            Kind::Fail => message.fail_sent = true,
            Kind::Info => {}
        }
        message.writer = op as u32;
    }

    fn note_read(&mut self, id: u32, op: usize, kind: Kind) {
        let message = &mut self.messages[id as usize];
        if kind != Kind::Invoke {
            message.reader = message.reader.min(op as u32);
            message.last_reader = op as u32;
        }
        message.ok_read |= kind == Kind::Ok;
    }

    /// (key, offset, message) of everything that the log is made from.
    fn sightings(&self, of_items: &[u32]) -> Vec<(Key, i64, u32)> {
        let mut seen = Vec::with_capacity(self.messages.len());
        let mut messages = of_items.iter();
        for (at, op) in self.history.ops().iter().enumerate() {
            let items = self.history.items(op);
            let transactional = op.function.is_transactional();
            let sends = transactional
                && items.iter().any(|item| matches!(item, Item::Send { .. }))
                && self.must_have_committed(at);
            let mut polled = Key(NONE);
            for (item, &message) in items.iter().zip(&mut messages) {
                let (key, offset) = match *item {
                    Item::Send { key, offset, .. } if sends => (key, offset),
                    Item::Read { offset, .. } if transactional => (polled, offset),
                    Item::Polled(key) => {
                        polled = key;
                        continue;
                    }
                    _ => continue,
                };
                // Offset -1 is how Kafka's own clients say that they were told none; Jepsen's log
                // begins at 0 and drops it as well.
                if let Some(offset) = offset
                    && offset >= 0
                {
                    seen.push((key, offset, message));
                }
            }
        }
        seen
    }

    /// Sorts the sightings into logs, picks the orders, notes indices.
    fn lay_out(&mut self, seen: Vec<(Key, i64, u32)>) {
        let keys = self.history.key_count();
        let mut ends = vec![0_u32; keys + 1];
        for (key, _, _) in &seen {
            ends[key.0 as usize + 1] += 1;
        }
        for key in 0..keys {
            ends[key + 1] += ends[key];
        }
        let mut places = ends.clone();
        let mut by_key = vec![(0_i64, 0_u32); seen.len()];
        for (key, offset, message) in &seen {
            let place = &mut places[key.0 as usize];
            by_key[*place as usize] = (*offset, *message);
            *place += 1;
        }
        drop(seen);
        for key in 0..keys {
            let log = &mut by_key[ends[key] as usize..ends[key + 1] as usize];
            log.sort();
            let mut before = None;
            for &entry in log.iter() {
                if before != Some(entry) {
                    self.log.push(entry);
                }
                before = Some(entry);
            }
            self.log_ends.push(self.log.len() as u32);
            self.pick(Key(key as u32));
            self.order_ends.push(self.order.len() as u32);
        }
    }

    /// One message an index. Which of several is arbitrary; it is the one that Clojure's set gives
    /// first, so that both checkers pick the same.
    fn pick(&mut self, key: Key) {
        let log = part(&self.log, &self.log_ends, key);
        let same_offset = |one: &(i64, u32), other: &(i64, u32)| one.0 == other.0;
        for (index, same) in log.chunk_by(same_offset).enumerate() {
            let index = index as u32;
            for &(_, id) in same {
                let message = &mut self.messages[id as usize];
                if message.first == NONE {
                    message.first = index;
                }
                message.last = index;
            }
            let picked = match same {
                [(_, only)] => *only,
                several => {
                    let values = several.iter().map(|&(_, id)| {
                        let value = self.messages[id as usize].value;
                        (clojure::place_in_set(&self.history.value(value)), id)
                    });
                    values.min().map_or(NONE, |(_, id)| id)
                }
            };
            self.messages[picked as usize].at = index;
            self.order.push(picked);
        }
    }
}

fn repeats(keys: &[Key]) -> bool {
    if keys.len() <= 16 {
        let twice = |(at, key): (usize, &Key)| keys[..at].contains(key);
        return keys.iter().enumerate().any(twice);
    }
    let mut seen = FxHashSet::default();
    !keys.iter().all(|key| seen.insert(*key))
}

fn note_key(keys: &mut Vec<Key>, key: Key) {
    if keys.last() != Some(&key) {
        keys.push(key);
    }
}

fn part<'a, T>(all: &'a [T], ends: &[u32], key: Key) -> &'a [T] {
    let key = key.0 as usize;
    let start = if key == 0 { 0 } else { ends[key - 1] as usize };
    &all[start..ends[key] as usize]
}
