//! One anomaly, with the fields that its rule names. Operations are told by their `:index`.
//!
//! What can be long (`skipped`) is kept as a range and written out only when it is printed.

use history::jepsen::{Key, Scalar, Value};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::cycles::{Cycle, Exists};
use super::tables::{NONE, Tables};

/// Where two messages met.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// In one operation.
    Within(u32),
    /// In two of one process.
    Between(u32, u32),
}

/// One anomaly.
#[derive(Debug)]
pub(super) enum Entry {
    Inconsistent {
        key: Key,
        offset: i64,
        index: u32,
        values: Vec<Value>,
    },
    Duplicate {
        key: Key,
        value: Value,
        offsets: Vec<i64>,
    },
    Aborted {
        key: Key,
        value: Value,
        writer: u32,
        reader: u32,
    },
    Precommitted {
        op: u32,
        key: Key,
        value: Value,
    },
    Lost {
        key: Key,
        value: Value,
        index: u32,
        max_read_index: u32,
        writer: u32,
        max_read: u32,
    },
    Step {
        key: Key,
        values: Option<[Value; 2]>,
        delta: i64,
        skipped: (u32, u32),
        place: Place,
    },
    Unseen {
        time: Option<i64>,
        messages: Vec<(Key, Vec<Value>)>,
    },
    Cycle(Box<Cycle>),
    CycleExists(Box<Exists>),
    EmptyGraph,
    Phantom {
        key: Key,
        value: Value,
        offset: Option<i64>,
        reader: u32,
    },
    Vanished {
        key: Key,
        value: Value,
        offset: i64,
        reader: u32,
        missed_by: u32,
        how: &'static str,
    },
}

/// An anomaly and what is needed to print it.
pub(super) struct Shown<'a, 'h>(pub &'a Entry, pub &'a Tables<'h>);

impl Serialize for Shown<'_, '_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Shown(entry, tables) = self;
        let mut fields = Fields {
            map: out.serialize_map(None)?,
            tables,
        };
        match entry {
            Entry::Inconsistent {
                key,
                offset,
                index,
                values,
            } => {
                fields.key(*key)?;
                fields.put("offset", offset)?;
                fields.put("index", index)?;
                fields.values("values", values)?;
            }
            Entry::Duplicate {
                key,
                value,
                offsets,
            } => {
                fields.key(*key)?;
                fields.value("value", *value)?;
                fields.put("count", &offsets.len())?;
                fields.put("offsets", offsets)?;
            }
            Entry::Aborted {
                key,
                value,
                writer,
                reader,
            } => {
                fields.key(*key)?;
                fields.value("value", *value)?;
                fields.op("writer", *writer)?;
                fields.op("reader", *reader)?;
            }
            Entry::Precommitted { op, key, value } => {
                fields.op("op", *op)?;
                fields.key(*key)?;
                fields.value("value", *value)?;
            }
            Entry::Lost {
                key,
                value,
                index,
                max_read_index,
                writer,
                max_read,
            } => {
                fields.key(*key)?;
                fields.value("value", *value)?;
                fields.put("index", index)?;
                fields.put("max-read-index", max_read_index)?;
                fields.op("writer", *writer)?;
                fields.op("max-read", *max_read)?;
            }
            Entry::Step {
                key,
                values,
                delta,
                skipped,
                place,
            } => {
                fields.key(*key)?;
                if let Some(values) = values {
                    fields.values("values", values)?;
                }
                fields.put("delta", delta)?;
                if *delta > 1 {
                    fields.put(
                        "skipped",
                        &Skipped {
                            key: *key,
                            range: *skipped,
                            tables,
                        },
                    )?;
                }
                match place {
                    Place::Within(op) => fields.op("op", *op)?,
                    Place::Between(one, other) => {
                        let index = |op: u32| tables.op(op as usize).index;
                        fields.put("ops", &[index(*one), index(*other)])?;
                    }
                }
            }
            Entry::Unseen { time, messages } => fields.unseen(*time, messages)?,
            Entry::Cycle(cycle) => cycle.print(&mut fields)?,
            Entry::CycleExists(exists) => exists.print(&mut fields)?,
            Entry::EmptyGraph => {}
            Entry::Phantom {
                key,
                value,
                offset,
                reader,
            } => {
                fields.key(*key)?;
                fields.value("value", *value)?;
                fields.put("offset", offset)?;
                fields.op("reader", *reader)?;
            }
            Entry::Vanished {
                key,
                value,
                offset,
                reader,
                missed_by,
                how,
            } => {
                fields.key(*key)?;
                fields.value("value", *value)?;
                fields.put("offset", offset)?;
                fields.op("reader", *reader)?;
                fields.op("missed-by", *missed_by)?;
                fields.put("how", how)?;
            }
        }
        fields.map.end()
    }
}

/// The fields of an entry being printed.
pub(super) struct Fields<'a, 'h, M> {
    map: M,
    pub tables: &'a Tables<'h>,
}

impl<M: SerializeMap> Fields<'_, '_, M> {
    pub fn put(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), M::Error> {
        self.map.serialize_entry(name, value)
    }

    pub fn key(&mut self, key: Key) -> Result<(), M::Error> {
        let name = self.tables.history.key(key);
        self.map.serialize_entry("key", &Json(name))
    }

    pub fn value(&mut self, name: &str, value: Value) -> Result<(), M::Error> {
        let value = self.tables.history.value(value);
        self.map.serialize_entry(name, &Json(&value))
    }

    pub fn op(&mut self, name: &str, op: u32) -> Result<(), M::Error> {
        let index = (op != NONE).then(|| self.tables.op(op as usize).index);
        self.map.serialize_entry(name, &index)
    }

    pub fn values(&mut self, name: &str, values: &[Value]) -> Result<(), M::Error> {
        let values = Values {
            values,
            tables: self.tables,
        };
        self.map.serialize_entry(name, &values)
    }

    fn unseen(
        &mut self,
        time: Option<i64>,
        messages: &[(Key, Vec<Value>)],
    ) -> Result<(), M::Error> {
        self.put("time", &time)?;
        let tables = self.tables;
        let counts = PerKey {
            messages,
            tables,
            print: &|values: &[Value]| Json2::Count(values.len()),
        };
        self.map.serialize_entry("unseen", &counts)?;
        let lists = PerKey {
            messages,
            tables,
            print: &|values: &[Value]| Json2::Values(values.to_vec()),
        };
        self.map.serialize_entry("messages", &lists)
    }
}

/// What stands for a key in the map of an `unseen` entry.
enum Json2 {
    Count(usize),
    Values(Vec<Value>),
}

struct PerKey<'a, 'h> {
    messages: &'a [(Key, Vec<Value>)],
    tables: &'a Tables<'h>,
    print: &'a dyn Fn(&[Value]) -> Json2,
}

impl Serialize for PerKey<'_, '_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.messages.len()))?;
        for (key, values) in self.messages {
            let name = shown(self.tables.history.key(*key));
            match (self.print)(values) {
                Json2::Count(count) => map.serialize_entry(&name, &count)?,
                Json2::Values(values) => {
                    let values = Values {
                        values: &values,
                        tables: self.tables,
                    };
                    map.serialize_entry(&name, &values)?;
                }
            }
        }
        map.end()
    }
}

struct Values<'a, 'h> {
    values: &'a [Value],
    tables: &'a Tables<'h>,
}

impl Serialize for Values<'_, '_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut list = out.serialize_seq(Some(self.values.len()))?;
        for &value in self.values {
            list.serialize_element(&Json(&self.tables.history.value(value)))?;
        }
        list.end()
    }
}

/// What stands between two indices of a key's order.
struct Skipped<'a, 'h> {
    key: Key,
    range: (u32, u32),
    tables: &'a Tables<'h>,
}

impl Serialize for Skipped<'_, '_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let order = self.tables.order(self.key);
        let mut list = out.serialize_seq(None)?;
        for &id in &order[self.range.0 as usize..self.range.1 as usize] {
            let value = self.tables.history.value(self.tables.message(id).value);
            list.serialize_element(&Json(&value))?;
        }
        list.end()
    }
}

/// A scalar as JSON has it: numbers and truth values as such, everything else as text.
pub(super) struct Json<'a>(pub &'a Scalar);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Scalar::Nil => out.serialize_unit(),
            Scalar::Bool(yes) => out.serialize_bool(*yes),
            Scalar::Int(int) => out.serialize_i64(*int),
            other => out.serialize_str(&shown(other)),
        }
    }
}

/// A scalar as text: words without their colon, texts without quotes.
pub(super) fn shown(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Nil => "nil".to_owned(),
        Scalar::Bool(yes) => yes.to_string(),
        Scalar::Int(int) => int.to_string(),
        Scalar::Char(letter) => letter.to_string(),
        Scalar::Keyword(text)
        | Scalar::Text(text)
        | Scalar::Symbol(text)
        | Scalar::Number(text)
        | Scalar::Tagged(text) => text.clone(),
    }
}
