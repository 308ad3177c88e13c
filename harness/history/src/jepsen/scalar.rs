//! Keys and values: mostly whole numbers, sometimes words, always one handle each.
//!
//! Two handles are equal exactly when Clojure's `=` would say so of what was written; texts are
//! kept once. Collections are no keys and no values: readers refuse them.

use rustc_hash::FxHashMap;

/// One EDN form without parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// `nil`.
    Nil,
    /// `true`, `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// `:x`, without its colon.
    Keyword(String),
    /// `"x"`.
    Text(String),
    /// `x`.
    Symbol(String),
    /// `\x`.
    Char(char),
    /// Any other number, in one spelling a value: longer whole numbers, fractions, decimals.
    Number(String),
    /// `#inst "..."` and the like, as written.
    Tagged(String),
}

/// A topic-partition, which Jepsen calls key: a handle, numbered from 0 as they appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u32);

/// A message: the whole number itself, or a handle in a range that numbers hardly ever reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(i64);

/// The first whole number that stands for itself.
const FIRST_INT: i64 = i64::MIN + (1 << 32);

impl Value {
    /// `nil`, which is also what Clojure finds at the end of an empty list.
    pub const NIL: Value = Value(i64::MIN);
    /// `false`, which like `nil` proves nothing to `some`.
    pub const FALSE: Value = Value(i64::MIN + 1);

    /// A whole number, unless it is one of the few that have to be interned.
    pub fn int(value: i64) -> Option<Value> {
        (value >= FIRST_INT).then_some(Value(value))
    }

    /// The whole number that it is.
    pub fn as_int(self) -> Option<i64> {
        (self.0 >= FIRST_INT).then_some(self.0)
    }

    /// Whether Clojure takes it for true.
    pub fn is_truthy(self) -> bool {
        self != Value::NIL && self != Value::FALSE
    }

    /// A number that is unique to it, for hash tables.
    pub fn bits(self) -> u64 {
        self.0 as u64
    }
}

/// Everything that was ever named.
#[derive(Debug, Clone)]
pub(super) struct Names {
    keys: Vec<Scalar>,
    key_of: FxHashMap<Scalar, u32>,
    key_of_int: FxHashMap<i64, u32>,
    others: Vec<Scalar>,
    other_of: FxHashMap<Scalar, u32>,
}

impl Default for Names {
    fn default() -> Names {
        let mut names = Names {
            keys: Vec::new(),
            key_of: FxHashMap::default(),
            key_of_int: FxHashMap::default(),
            others: Vec::new(),
            other_of: FxHashMap::default(),
        };
        let nil = names.intern_value(Scalar::Nil);
        let no = names.intern_value(Scalar::Bool(false));
        assert_eq!((nil, no), (Value::NIL, Value::FALSE));
        names
    }
}

impl Names {
    pub(super) fn key_count(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn key(&self, key: Key) -> &Scalar {
        &self.keys[key.0 as usize]
    }

    pub(super) fn value(&self, value: Value) -> Scalar {
        match value.as_int() {
            Some(int) => Scalar::Int(int),
            None => self.others[(value.0 - i64::MIN) as usize].clone(),
        }
    }

    pub(super) fn intern_key(&mut self, name: Scalar) -> Key {
        let next = self.keys.len() as u32;
        let at = match name {
            Scalar::Int(int) => *self.key_of_int.entry(int).or_insert(next),
            ref other => match self.key_of.get(other) {
                Some(&at) => at,
                None => {
                    self.key_of.insert(other.clone(), next);
                    next
                }
            },
        };
        if at == next {
            self.keys.push(name);
        }
        Key(at)
    }

    pub(super) fn intern_value(&mut self, value: Scalar) -> Value {
        if let Scalar::Int(int) = value
            && let Some(value) = Value::int(int)
        {
            return value;
        }
        let at = match self.other_of.get(&value) {
            Some(&at) => at,
            None => {
                let at = self.others.len() as u32;
                self.others.push(value.clone());
                self.other_of.insert(value, at);
                at
            }
        };
        Value(i64::MIN + i64::from(at))
    }
}
