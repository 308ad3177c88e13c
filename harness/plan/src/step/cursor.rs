//! A place in a step, and the small things that stand at one: words, names, durations, numbers.
//!
//! The first thing that is wrong is reported, with its place; nothing is guessed.

use std::ops::Range;
use std::time::Duration;

use history::{NodeId, Partition, Topic};

use super::token::{Token, TokenKind, cut};
use super::words::words_of;
use super::{StepError, Trouble};
use crate::duration;
use crate::nearest::any_of;

/// How deep brackets may be nested.
const DEPTH_MAX: usize = 16;

pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, StepError> {
        Ok(Self {
            text,
            tokens: cut(text)?,
            next: 0,
            depth: 0,
        })
    }

    /// The token so many places on; 0 is the next.
    fn token(&self, ahead: usize) -> Option<&TokenKind> {
        self.tokens.get(self.next + ahead).map(|token| &token.kind)
    }

    /// Whether the token so many places on is this word or sign.
    pub(super) fn sees(&self, ahead: usize, wanted: &str) -> bool {
        match self.token(ahead) {
            Some(TokenKind::Word(word)) => word == wanted,
            Some(TokenKind::Sign(sign)) => *sign == wanted,
            Some(TokenKind::Quoted(_)) | None => false,
        }
    }

    /// Whether the next token is a word that begins with a digit, as durations and numbers do.
    pub(super) fn sees_number(&self) -> bool {
        matches!(self.token(0), Some(TokenKind::Word(word)) if word.starts_with(|c: char| c.is_ascii_digit()))
    }

    pub(super) fn place(&self) -> Range<usize> {
        self.tokens
            .get(self.next)
            .map_or(self.text.len()..self.text.len(), |token| token.at.clone())
    }

    /// From `start` to the end of the token before this one.
    pub(super) fn since(&self, start: usize) -> Range<usize> {
        let end = self.next.checked_sub(1).and_then(|i| self.tokens.get(i));
        start..end.map_or(start, |token| token.at.end)
    }

    pub(super) fn fail(&self, trouble: Trouble) -> StepError {
        self.fail_at(self.place(), trouble)
    }

    pub(super) fn fail_at(&self, at: Range<usize>, trouble: Trouble) -> StepError {
        StepError::new(self.text, at, trouble)
    }

    /// Something else was expected at the next token; `words` are what it may have been meant as.
    pub(super) fn expected(&self, what: impl Into<String>, words: &[&str]) -> StepError {
        let what = what.into();
        match self.tokens.get(self.next) {
            Some(token) => self.fail(Trouble::unexpected(
                what,
                &self.text[token.at.clone()],
                words,
            )),
            None => self.fail(Trouble::Unexpected {
                expected: what,
                found: "the end".to_owned(),
                near: None,
            }),
        }
    }

    /// Takes the next token if it is this word or sign.
    pub(super) fn accept(&mut self, wanted: &str) -> bool {
        let met = self.sees(0, wanted);
        self.next += usize::from(met);
        met
    }

    pub(super) fn require(&mut self, wanted: &str) -> Result<(), StepError> {
        if self.accept(wanted) {
            Ok(())
        } else {
            Err(self.expected(format!("`{wanted}`"), &[wanted]))
        }
    }

    /// Takes the next word through `read`, or fails with what was expected.
    pub(super) fn word<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StepError> {
        if let Some(TokenKind::Word(word)) = self.token(0)
            && let Some(value) = read(word)
        {
            self.next += 1;
            return Ok(value);
        }
        Err(self.expected(what, &[]))
    }

    /// Takes the next word or sign if the table has it.
    pub(super) fn accept_one_of<T: Copy>(&mut self, table: &[(&'static str, T)]) -> Option<T> {
        let found = table.iter().find(|(word, _)| self.sees(0, word));
        self.next += usize::from(found.is_some());
        found.map(|(_, value)| *value)
    }

    pub(super) fn one_of<T: Copy>(&mut self, table: &[(&'static str, T)]) -> Result<T, StepError> {
        if let Some(value) = self.accept_one_of(table) {
            return Ok(value);
        }
        let words = words_of(table);
        Err(self.expected(any_of(words.iter().copied()), &words))
    }

    /// Something in brackets, the opening one of which was taken.
    pub(super) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        if self.depth == DEPTH_MAX {
            return Err(self.fail(Trouble::TooDeep));
        }
        self.depth += 1;
        let inner = read(self)?;
        self.depth -= 1;
        self.require(")")?;
        Ok(inner)
    }

    /// Nothing more stands here; `what` would end.
    pub(super) fn end(&self, what: &str) -> Result<(), StepError> {
        const MORE: &[&str] = &[
            "for",
            "meanwhile",
            "within",
            "required",
            "times",
            "or",
            "as",
        ];
        if self.next == self.tokens.len() {
            return Ok(());
        }
        Err(self.expected(what, MORE))
    }

    pub(super) fn node(&mut self) -> Result<NodeId, StepError> {
        self.word("a node such as `n1`", |word| word.parse().ok())
    }

    /// The next word as a node, if it is one.
    pub(super) fn accept_node(&mut self) -> Option<NodeId> {
        self.word("", |word| word.parse().ok()).ok()
    }

    /// `n1, n2`: at least one, none twice.
    pub(super) fn nodes(&mut self) -> Result<Vec<NodeId>, StepError> {
        let mut nodes = Vec::new();
        loop {
            let before = self.next;
            let node = self.node()?;
            if nodes.contains(&node) {
                self.next = before;
                return Err(self.expected("a node that is not yet named", &[]));
            }
            nodes.push(node);
            if !self.accept(",") {
                return Ok(nodes);
            }
        }
    }

    pub(super) fn partition(&mut self) -> Result<Partition, StepError> {
        self.word("a partition such as `ledger/0`", |word| word.parse().ok())
    }

    /// `of ledger/0`.
    pub(super) fn of_partition(&mut self) -> Result<Partition, StepError> {
        self.require("of")?;
        self.partition()
    }

    pub(super) fn topic(&mut self) -> Result<Topic, StepError> {
        self.word("a topic", |word| {
            (!word.contains('/')).then(|| Topic::from(word))
        })
    }

    /// A whole number, not negative.
    pub(super) fn number(&mut self, what: &str) -> Result<i64, StepError> {
        self.word(what, |word| word.parse().ok().filter(|n| *n >= 0))
    }

    /// A name that a step gives itself: a letter, then letters, digits, `-` and `_`. Not `as`,
    /// which begins a name.
    pub(super) fn name(&mut self) -> Result<String, StepError> {
        self.word("a name such as `cutoff`", |word| {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let fits =
                word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(legal);
            (fits && word != "as").then(|| word.to_owned())
        })
    }

    /// A duration, possibly of several words: `1m 30s`.
    pub(super) fn duration(&mut self) -> Result<Duration, StepError> {
        let start = self.place().start;
        let first = self.next;
        while self.sees_number() {
            self.next += 1;
        }
        if self.next == first {
            return Err(self.expected("a duration such as `6s`", &[]));
        }
        let at = self.since(start);
        duration::read(&self.text[at.clone()])
            .map_err(|why| self.fail_at(at, Trouble::Duration(why)))
    }

    /// A duration that is some time.
    pub(super) fn some_time(&mut self) -> Result<Duration, StepError> {
        let start = self.place().start;
        let length = self.duration()?;
        if length < Duration::from_millis(1) {
            return Err(self.fail_at(self.since(start), Trouble::NoTime));
        }
        Ok(length)
    }

    /// Text in double quotes that is not empty.
    pub(super) fn quotation(&mut self) -> Result<String, StepError> {
        if let Some(TokenKind::Quoted(content)) = self.token(0)
            && !content.is_empty()
        {
            let content = content.clone();
            self.next += 1;
            return Ok(content);
        }
        Err(self.expected("a part of a log line in double quotes", &[]))
    }

    /// A word, or anything in double quotes.
    pub(super) fn text(&mut self, what: &str) -> Result<String, StepError> {
        let text = match self.token(0) {
            Some(TokenKind::Word(text) | TokenKind::Quoted(text)) => text.clone(),
            Some(TokenKind::Sign(_)) | None => return Err(self.expected(what, &[])),
        };
        self.next += 1;
        Ok(text)
    }
}
