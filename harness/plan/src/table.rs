//! TOML with places: tables whose keys are known, values of which every complaint has a line.
//!
//! Nothing here knows what a plan is.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::duration;
use crate::error::{Flaw, PlanError};
use crate::nearest::{any_of, nearest};

/// The text of a file, to find lines in.
pub(crate) struct Source<'a> {
    pub(crate) origin: &'a str,
    pub(crate) text: &'a str,
}

impl<'a> Source<'a> {
    /// Parses the text; its top-level table may hold these keys.
    pub(crate) fn parse(&self) -> Result<Spanned<DeTable<'a>>, PlanError> {
        DeTable::parse(self.text).map_err(|why| {
            let at = why.span().unwrap_or(0..0);
            let message = why.message().trim().replace('\n', ", ");
            self.fail(at, Flaw::Syntax(message))
        })
    }

    /// An error at a place of the text.
    pub(crate) fn fail(&self, at: Range<usize>, flaw: Flaw) -> PlanError {
        let before = &self.text.as_bytes()[..at.start.min(self.text.len())];
        PlanError::At {
            origin: self.origin.to_owned(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            flaw: Box::new(flaw),
        }
    }
}

/// A table of which every key is known.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    source: &'a Source<'a>,
    path: String,
    at: Range<usize>,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The table of the whole file; refuses keys that are not in `known`.
    pub(crate) fn root(
        source: &'a Source<'a>,
        table: &'a Spanned<DeTable<'a>>,
        known: &[&'static str],
    ) -> Result<Self, PlanError> {
        Self::open(source, String::new(), 0..0, table.get_ref(), known)
    }

    fn open(
        source: &'a Source<'a>,
        path: String,
        at: Range<usize>,
        entries: &'a DeTable<'a>,
        known: &[&'static str],
    ) -> Result<Self, PlanError> {
        let table = Self {
            source,
            path,
            at,
            entries,
        };
        let mut strangers: Vec<_> = entries
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
            .collect();
        strangers.sort_by_key(|key| key.span().start);
        match strangers.first() {
            None => Ok(table),
            Some(key) => Err(source.fail(
                key.span(),
                Flaw::UnknownKey {
                    key: table.key(key.get_ref()),
                    near: nearest(key.get_ref(), known.iter().copied()).map(str::to_owned),
                    known: known.to_vec(),
                },
            )),
        }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value of a key, if it is there.
    pub(crate) fn get(&self, key: &str) -> Option<Value<'a>> {
        Some(Value {
            source: self.source,
            path: self.key(key),
            value: self.entries.get(key)?,
        })
    }

    /// The value of a key that must be there; `why` says what it is for.
    pub(crate) fn need(&self, key: &str, why: &'static str) -> Result<Value<'a>, PlanError> {
        self.get(key).ok_or_else(|| {
            let key = self.key(key);
            self.source
                .fail(self.at.clone(), Flaw::MissingKey { key, why })
        })
    }

    /// A complaint about the table as a whole.
    pub(crate) fn bad(&self, why: impl Into<String>) -> PlanError {
        let flaw = Flaw::BadValue {
            key: self.path.clone(),
            why: why.into(),
        };
        self.source.fail(self.at.clone(), flaw)
    }
}

/// One value and the path of its key.
#[derive(Clone)]
pub(crate) struct Value<'a> {
    source: &'a Source<'a>,
    path: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    /// A complaint about this value.
    pub(crate) fn bad(&self, why: impl Into<String>) -> PlanError {
        self.flawed(Flaw::BadValue {
            key: self.path.clone(),
            why: why.into(),
        })
    }

    /// A complaint with its own words.
    pub(crate) fn flawed(&self, flaw: impl Into<Flaw>) -> PlanError {
        self.source.fail(self.value.span(), flaw.into())
    }

    fn wrong(&self, wanted: impl Into<String>) -> PlanError {
        self.flawed(Flaw::WrongType {
            key: self.path.clone(),
            wanted: wanted.into(),
            found: match self.value.get_ref() {
                DeValue::String(text) => format!("the text \"{text}\""),
                DeValue::Integer(number) => format!("the number {number}"),
                DeValue::Float(number) => format!("the number {number}"),
                DeValue::Boolean(yes) => yes.to_string(),
                DeValue::Datetime(when) => format!("the date {when}"),
                DeValue::Array(_) => "a list".to_owned(),
                DeValue::Table(_) => "a table".to_owned(),
            },
        })
    }

    /// The value as text, if it is text.
    pub(crate) fn as_text(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    /// Text.
    pub(crate) fn text(&self) -> Result<&'a str, PlanError> {
        self.as_text().ok_or_else(|| self.wrong("text in quotes"))
    }

    /// Text that is not blank, on one line.
    pub(crate) fn line(&self) -> Result<&'a str, PlanError> {
        let text = self.text()?;
        if text.trim().is_empty() || text.contains('\n') {
            return Err(self.bad("must be one line that is not blank"));
        }
        Ok(text)
    }

    /// A whole number that fits.
    pub(crate) fn number<T: TryFrom<u64>>(&self) -> Result<T, PlanError> {
        let wanted = "a whole number, not negative";
        let number = self
            .value
            .get_ref()
            .as_integer()
            .ok_or_else(|| self.wrong(wanted))?;
        let digits = u64::from_str_radix(number.as_str(), number.radix());
        let number = digits.map_err(|_| self.wrong(wanted))?;
        T::try_from(number).map_err(|_| self.bad(format!("{number} is too large")))
    }

    /// A whole number of at least one.
    pub(crate) fn positive<T: TryFrom<u64>>(&self) -> Result<T, PlanError> {
        if self.number::<u64>()? == 0 {
            return Err(self.bad("must be at least 1"));
        }
        self.number()
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Result<bool, PlanError> {
        let value = self.value.get_ref();
        value
            .as_bool()
            .ok_or_else(|| self.wrong("`true` or `false`"))
    }

    /// A duration such as `"5s"`.
    pub(crate) fn duration(&self) -> Result<Duration, PlanError> {
        let text = self
            .as_text()
            .ok_or_else(|| self.wrong("a duration in quotes such as \"5s\""))?;
        duration::read(text).map_err(|why| self.bad(why))
    }

    /// A word of a table, as the value that it stands for.
    pub(crate) fn word<T: Clone>(&self, table: &[(&'static str, T)]) -> Result<T, PlanError> {
        let words = table.iter().map(|(word, _)| *word);
        let text = self
            .as_text()
            .ok_or_else(|| self.wrong(any_of(words.clone())))?;
        let found = table.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            let hint = crate::nearest::hint(nearest(text, words.clone()));
            self.bad(format!("`{text}` is none of {}{hint}", any_of(words)))
        })
    }

    /// The elements of a list.
    pub(crate) fn list(&self) -> Result<Vec<Value<'a>>, PlanError> {
        let elements = self.value.get_ref().as_array();
        let elements = elements.ok_or_else(|| self.wrong("a list"))?;
        Ok(elements
            .iter()
            .map(|value| Value {
                source: self.source,
                path: self.path.clone(),
                value,
            })
            .collect())
    }

    /// A table that holds no other keys than these.
    pub(crate) fn table(&self, known: &[&'static str]) -> Result<Table<'a>, PlanError> {
        let entries = self.value.get_ref().as_table();
        let entries = entries.ok_or_else(|| self.wrong("a table"))?;
        Table::open(
            self.source,
            self.path.clone(),
            self.value.span(),
            entries,
            known,
        )
    }

    /// The entries of a table with keys of the writer's choice, in the order of the file.
    pub(crate) fn entries(&self) -> Result<Vec<(&'a str, Value<'a>)>, PlanError> {
        let entries = self.value.get_ref().as_table();
        let entries = entries.ok_or_else(|| self.wrong("a table"))?;
        let mut entries: Vec<_> = entries.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        Ok(entries
            .into_iter()
            .map(|(key, value)| {
                let key: &'a str = key.get_ref();
                let value = Value {
                    source: self.source,
                    path: format!("{}.{key}", self.path),
                    value,
                };
                (key, value)
            })
            .collect())
    }

    /// A Kafka property's value: text, or a bare number or boolean.
    pub(crate) fn property(&self) -> Result<String, PlanError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            DeValue::Integer(number) if number.radix() == 10 => Ok(number.to_string()),
            DeValue::Float(number) => Ok(number.to_string()),
            DeValue::Boolean(yes) => Ok(yes.to_string()),
            DeValue::Table(_) => {
                Err(self
                    .bad("a property's name must be quoted, as it has dots in it: \"a.b\" = ..."))
            }
            DeValue::Integer(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
                Err(self.wrong("text, a number, `true` or `false`"))
            }
        }
    }
}
