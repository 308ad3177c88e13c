//! Steps read from text, word by word.
//!
//! The first thing that is wrong is reported, with its place; nothing is guessed.

use std::collections::BTreeSet;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use history::{FaultKind, Link, NodeId, Partition, PortName, Service, Topic};

use super::token::{Token, TokenKind, cut};
use super::{
    PORTS, SERVICES, SUBJECTS, StepError, Subject, TARGETS, TargetWord, Trouble, VERBS, Verb,
};
use crate::ask::{Ask, Target};
use crate::duration;
use crate::model::{Action, Comparison, Condition, Missed, Quantity, Step, When};

impl FromStr for Step {
    type Err = StepError;

    fn from_str(text: &str) -> Result<Self, StepError> {
        let mut cursor = Cursor::new(text)?;
        let when = if cursor.accept("at") {
            When::At(cursor.duration()?)
        } else {
            When::Next
        };
        let action = cursor.action()?;
        cursor.end()?;
        Ok(Step {
            when,
            action,
            name: None,
        })
    }
}

impl FromStr for Ask {
    type Err = StepError;

    /// Reads a fault alone, as a palette names it: `kill leader of ledger/0`.
    fn from_str(text: &str) -> Result<Self, StepError> {
        let mut cursor = Cursor::new(text)?;
        let faults: Vec<_> = VERBS
            .iter()
            .filter(|(_, verb)| matches!(verb, Verb::Process(_) | Verb::Isolate | Verb::Cut))
            .copied()
            .collect();
        let verb = cursor.one_of(&faults)?;
        let ask = cursor.ask(verb)?;
        cursor.end()?;
        Ok(ask)
    }
}

struct Cursor<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Result<Self, StepError> {
        Ok(Self {
            text,
            tokens: cut(text)?,
            next: 0,
        })
    }

    fn peek(&self) -> Option<&TokenKind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn place(&self) -> Range<usize> {
        self.tokens
            .get(self.next)
            .map_or(self.text.len()..self.text.len(), |token| token.at.clone())
    }

    fn fail(&self, trouble: Trouble) -> StepError {
        StepError::new(self.text, self.place(), trouble)
    }

    /// Something else was expected at the next token; `words` are what it may have been meant as.
    fn expected(&self, what: impl Into<String>, words: &[&str]) -> StepError {
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
    fn accept(&mut self, wanted: &str) -> bool {
        let met = match self.peek() {
            Some(TokenKind::Word(word)) => word == wanted,
            Some(TokenKind::Sign(sign)) => *sign == wanted,
            Some(TokenKind::Quoted(_)) | None => false,
        };
        self.next += usize::from(met);
        met
    }

    fn require(&mut self, wanted: &str) -> Result<(), StepError> {
        if self.accept(wanted) {
            Ok(())
        } else {
            Err(self.expected(format!("`{wanted}`"), &[wanted]))
        }
    }

    /// Takes the next word through `read`, or fails with what was expected.
    fn word<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StepError> {
        if let Some(TokenKind::Word(word)) = self.peek()
            && let Some(value) = read(word)
        {
            self.next += 1;
            return Ok(value);
        }
        Err(self.expected(what, &[]))
    }

    fn one_of<T: Copy>(&mut self, table: &[(&'static str, T)]) -> Result<T, StepError> {
        for (word, value) in table {
            if self.accept(word) {
                return Ok(*value);
            }
        }
        let words: Vec<&str> = table.iter().map(|(word, _)| *word).collect();
        Err(match self.tokens.get(self.next) {
            Some(token) => self.fail(Trouble::word(&words, &self.text[token.at.clone()])),
            None => self.expected(crate::nearest::any_of(words), &[]),
        })
    }

    fn end(&self) -> Result<(), StepError> {
        if self.next == self.tokens.len() {
            return Ok(());
        }
        Err(self.expected("the end of the step", &["for", "within", "required", "or"]))
    }

    fn node(&mut self) -> Result<NodeId, StepError> {
        self.word("a node such as `n1`", |word| word.parse().ok())
    }

    fn partition(&mut self) -> Result<Partition, StepError> {
        self.word("a partition such as `ledger/0`", |word| word.parse().ok())
    }

    /// A duration, possibly of several words: `1m 30s`.
    fn duration(&mut self) -> Result<Duration, StepError> {
        let first = self.place();
        let mut end = first.start;
        while let Some(TokenKind::Word(word)) = self.peek()
            && word.starts_with(|c: char| c.is_ascii_digit())
        {
            end = self.place().end;
            self.next += 1;
        }
        if end == first.start {
            return Err(self.expected("a duration such as `6s`", &[]));
        }
        let at = first.start..end;
        duration::read(&self.text[at.clone()])
            .map_err(|why| StepError::new(self.text, at, Trouble::Duration(why)))
    }

    fn action(&mut self) -> Result<Action, StepError> {
        match self.one_of(VERBS)? {
            Verb::Send => {
                if self.peek() == Some(&TokenKind::Word("0".to_owned())) {
                    return Err(self.fail(Trouble::NothingToSend));
                }
                let count = self.word("a number of records", |word| word.parse().ok())?;
                self.require("to")?;
                let partition = self.partition()?;
                Ok(Action::Send { count, partition })
            }
            Verb::Heal => Ok(Action::Heal(None)),
            Verb::Wait => Ok(Action::Wait(self.duration()?)),
            Verb::Await => self.awaiting(),
            verb @ (Verb::Process(_) | Verb::Isolate | Verb::Cut) => {
                let ask = self.ask(verb)?;
                let hold = if self.accept("for") {
                    Some(self.duration()?)
                } else {
                    None
                };
                let required = self.accept("required");
                Ok(Action::Fault {
                    ask,
                    hold,
                    meanwhile: false,
                    required,
                })
            }
        }
    }

    fn ask(&mut self, verb: Verb) -> Result<Ask, StepError> {
        match verb {
            Verb::Process(kind) => self.process(kind),
            Verb::Isolate => Ok(Ask::Isolate(self.target()?)),
            Verb::Cut => {
                let mut links = vec![self.link()?];
                while self.accept(",") {
                    links.push(self.link()?);
                }
                Ok(Ask::Cut(links))
            }
            Verb::Send | Verb::Heal | Verb::Await | Verb::Wait => {
                unreachable!("{verb:?} begins no fault")
            }
        }
    }

    fn process(&mut self, kind: FaultKind) -> Result<Ask, StepError> {
        let named = SERVICES.iter().find(|(word, _)| self.accept(word));
        let service = match named {
            Some((_, service)) => {
                self.require("of")?;
                *service
            }
            None => Service::Broker,
        };
        let target = self.target()?;
        Ok(Ask::Process {
            kind,
            service,
            target,
        })
    }

    fn target(&mut self) -> Result<Target, StepError> {
        if let Some(TokenKind::Word(word)) = self.peek()
            && let Ok(node) = word.parse()
        {
            self.next += 1;
            return Ok(Target::Node(node));
        }
        let Some((_, word)) = TARGETS.iter().find(|(word, _)| self.accept(word)) else {
            let words: Vec<&str> = TARGETS
                .iter()
                .filter(|(_, word)| *word != TargetWord::A)
                .map(|(word, _)| *word)
                .chain(SERVICES.iter().map(|(word, _)| *word))
                .collect();
            return Err(self.expected(
                "a target: `n1`, `any`, `all`, `controller`, `leader of ledger/0` or \
                 `a follower of ledger/0`",
                &words,
            ));
        };
        Ok(match word {
            TargetWord::Any => Target::Any,
            TargetWord::All => Target::All,
            TargetWord::Controller => Target::Controller,
            TargetWord::Leader => {
                self.require("of")?;
                Target::LeaderOf(self.partition()?)
            }
            TargetWord::A => {
                self.require("follower")?;
                self.require("of")?;
                Target::FollowerOf(self.partition()?)
            }
        })
    }

    fn link(&mut self) -> Result<Link, StepError> {
        let start = self.place().start;
        let from = self.node()?;
        self.require("->")?;
        let to_place = self.place();
        let to = self.node()?;
        if from == to {
            let at = start..to_place.end;
            return Err(StepError::new(self.text, at, Trouble::LinkToItself));
        }
        let port = if self.accept("port") {
            let place = self.place();
            match self.one_of(PORTS)? {
                PortName::Probe => {
                    return Err(StepError::new(self.text, place, Trouble::ProbeIsNeverCut));
                }
                port => Some(port),
            }
        } else {
            None
        };
        Ok(Link { from, to, port })
    }

    fn awaiting(&mut self) -> Result<Action, StepError> {
        let condition = self.condition()?;
        self.require("within")?;
        let within = self.duration()?;
        let missed = if self.accept("or") {
            self.require("go")?;
            self.require("on")?;
            Missed::GoOn
        } else {
            Missed::Stop
        };
        Ok(Action::Await {
            condition,
            within,
            missed,
        })
    }

    fn condition(&mut self) -> Result<Condition, StepError> {
        let subject = self.one_of(SUBJECTS)?;
        if subject == Subject::Controller {
            self.require("==")?;
            return Ok(Condition::Controller(self.node()?));
        }
        self.require("of")?;
        match subject {
            Subject::Controller => unreachable!("handled above"),
            Subject::Leader => {
                let partition = self.partition()?;
                self.require("==")?;
                let is = self.node()?;
                Ok(Condition::Leader { partition, is })
            }
            Subject::Isr => {
                let partition = self.partition()?;
                self.require("==")?;
                let members = self.members()?;
                Ok(Condition::Isr { partition, members })
            }
            Subject::Acked => {
                let topic = self.word("a topic", |word| {
                    (!word.contains('/')).then(|| Topic::from(word))
                })?;
                self.require(">=")?;
                let at_least = self.word("a number of records", |word| word.parse().ok())?;
                Ok(Condition::Compare {
                    quantity: Quantity::Acked(Some(topic)),
                    by: Comparison::AtLeast,
                    number: at_least,
                })
            }
            Subject::Log => {
                let node = self.node()?;
                self.require("has")?;
                let contains = self.quotation()?;
                Ok(Condition::LogLine { node, contains })
            }
        }
    }

    /// `{n0, n1}`: at least one, none twice.
    fn members(&mut self) -> Result<BTreeSet<NodeId>, StepError> {
        self.require("{")?;
        let mut members = BTreeSet::new();
        loop {
            let before = self.next;
            let node = self.node()?;
            if !members.insert(node) {
                self.next = before;
                return Err(self.expected("a node that is not yet in the set", &[]));
            }
            if !self.accept(",") {
                break;
            }
        }
        if !self.accept("}") {
            return Err(self.expected("`,` or `}`", &[]));
        }
        Ok(members)
    }

    fn quotation(&mut self) -> Result<String, StepError> {
        if let Some(TokenKind::Quoted(content)) = self.peek()
            && !content.is_empty()
        {
            let content = content.clone();
            self.next += 1;
            return Ok(content);
        }
        Err(self.expected("a part of a log line in double quotes", &[]))
    }
}
