//! One line of the notation, word by word. A comma is a word of its own.

use std::fmt::Display;
use std::str::FromStr;

use crate::clock::Mark;
use crate::ids::NodeId;
use crate::notation::words;

/// What should have stood where a line stopped making sense.
pub(super) struct Wanted(pub(super) String);

impl Wanted {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

pub(super) struct Line<'a> {
    /// From the last word taken on, for messages.
    last: &'a str,
    rest: &'a str,
    times: Option<(Mark, Mark)>,
}

impl<'a> Line<'a> {
    /// A line without blanks around it. Its times, which end it, are taken off first.
    pub(super) fn new(text: &'a str) -> Self {
        let cut = text.rfind(" at ");
        let timed = cut.and_then(|at| Some((at, times(text[at + 4..].trim())?)));
        let (rest, times) = match timed {
            Some((at, times)) => (text[..at].trim_end(), Some(times)),
            None => (text, None),
        };
        Self {
            last: rest,
            rest,
            times,
        }
    }

    /// The text from the last word taken on.
    pub(super) fn place(&self) -> &'a str {
        self.last
    }

    pub(super) fn take_times(&mut self) -> Option<(Mark, Mark)> {
        self.times.take()
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// That nothing is left over.
    pub(super) fn end(&mut self) -> Result<(), Wanted> {
        self.last = self.rest;
        match self.rest.is_empty() && self.times.is_none() {
            true => Ok(()),
            false => Err(Wanted::new(
                "nothing more, or times: `at 1.5s`, `at 1s..1.25s`",
            )),
        }
    }

    /// The next word; empty at the end.
    pub(super) fn peek(&self) -> &'a str {
        let end = match self.rest.starts_with(',') {
            true => 1,
            false => self
                .rest
                .find(|c: char| c == ',' || c.is_whitespace())
                .unwrap_or(self.rest.len()),
        };
        &self.rest[..end]
    }

    /// Takes the next word.
    pub(super) fn word(&mut self) -> &'a str {
        let word = self.peek();
        self.skip(word.len());
        word
    }

    fn skip(&mut self, bytes: usize) {
        self.last = self.rest;
        self.rest = self.rest[bytes..].trim_start();
    }

    /// Takes the next word if it is this one.
    pub(super) fn eat(&mut self, word: &str) -> bool {
        let there = self.peek() == word;
        if there {
            self.skip(word.len());
        }
        there
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<(), Wanted> {
        match self.eat(word) {
            true => Ok(()),
            false => Err(self.miss(format!("`{word}`"))),
        }
    }

    /// An error about the word that comes next.
    fn miss(&mut self, wanted: impl Into<String>) -> Wanted {
        self.last = self.rest;
        Wanted::new(wanted)
    }

    /// Takes the next word as an identity or a number.
    pub(super) fn id<T: FromStr>(&mut self, wanted: &str) -> Result<T, Wanted> {
        self.word().parse().map_err(|_| Wanted::new(wanted))
    }

    /// Takes the next word as a moment, exactly.
    pub(super) fn moment(&mut self, wanted: &str) -> Result<Mark, Wanted> {
        time(self.word()).ok_or_else(|| Wanted::new(wanted))
    }

    /// The same, if it is one.
    pub(super) fn try_id<T: FromStr>(&mut self) -> Option<T> {
        let id = self.peek().parse().ok()?;
        self.word();
        Some(id)
    }

    /// Takes the next word as a member of a closed set.
    pub(super) fn named<T: Display + Copy>(&mut self, set: &[T]) -> Result<T, Wanted> {
        words::named(set, self.word()).ok_or_else(|| Wanted::new(words::names(set)))
    }

    /// Takes a text: in quotes, or bare to the end of the line.
    pub(super) fn text(&mut self) -> Result<String, Wanted> {
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        if self.rest.is_empty() || self.rest.contains(" at ") {
            return Err(self.miss("a text; in double quotes if it holds ` at `"));
        }
        let text = self.rest;
        self.skip(text.len());
        Ok(text.to_owned())
    }

    /// Takes a text and the word between blanks that ends it.
    pub(super) fn text_before(&mut self, end: &str) -> Result<String, Wanted> {
        if self.rest.starts_with('"') {
            let text = self.quoted()?;
            self.expect(end.trim())?;
            return Ok(text);
        }
        let Some((text, _)) = self.rest.split_once(end) else {
            return Err(self.miss(format!("a text and `{end}`")));
        };
        self.skip(text.len() + end.len());
        Ok(text.trim_end().to_owned())
    }

    /// Takes a text in brackets; empty if there are none.
    pub(super) fn bracketed(&mut self) -> Result<String, Wanted> {
        let Some(inside) = self.rest.strip_prefix('(') else {
            return Ok(String::new());
        };
        if inside.starts_with('"') {
            self.skip(1);
            let text = self.quoted()?;
            self.expect(")")?;
            return Ok(text);
        }
        let Some(text) = inside.strip_suffix(')') else {
            return Err(self.miss("a text that ends with `)`"));
        };
        self.skip(self.rest.len());
        Ok(text.to_owned())
    }

    /// Takes a text in double quotes.
    pub(super) fn quoted(&mut self) -> Result<String, Wanted> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        if chars.next().is_none_or(|(_, c)| c != '"') {
            return Err(self.miss("a text in double quotes"));
        }
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.skip(at + 1);
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, c @ ('"' | '\\'))) => text.push(c),
                    _ => return Err(self.miss("after a backslash: n, r, a quote or a backslash")),
                },
                c => text.push(c),
            }
        }
        Err(self.miss("a closing double quote"))
    }

    /// Takes `{n1,n2}`.
    pub(super) fn nodes(&mut self) -> Result<Vec<NodeId>, Wanted> {
        const WANTED: &str = "nodes in braces, {n0,n1}";
        let inside = self.rest.strip_prefix('{').and_then(|s| s.split_once('}'));
        let Some((inside, _)) = inside else {
            return Err(self.miss(WANTED));
        };
        self.skip(inside.len() + 2);
        inside
            .split(',')
            .map(str::trim)
            .filter(|node| !node.is_empty())
            .map(|node| node.parse().map_err(|_| Wanted::new(WANTED)))
            .collect()
    }
}

/// `1.5s` or `1s..1.25s`.
fn times(text: &str) -> Option<(Mark, Mark)> {
    match text.split_once("..") {
        Some((from, to)) => Some((time(from)?, time(to)?)),
        None => time(text).map(|at| (at, at)),
    }
}

/// Seconds with up to nine decimals, exactly.
fn time(text: &str) -> Option<Mark> {
    let digits = text.strip_suffix('s')?;
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !numeric(whole) || !numeric(decimals) || decimals.len() > 9 {
        return None;
    }
    let nanos: u64 = format!("{decimals:0<9}").parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    whole
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
        .map(Mark)
}
