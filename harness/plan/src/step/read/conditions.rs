//! Conditions: what is looked at, how it is compared, and how several are joined.

use history::{NodeId, Partition};

use crate::model::{Comparison, Condition, NODES, Quantity};
use crate::step::StepError;
use crate::step::cursor::Cursor;
use crate::step::words::{COMPARISONS, SUBJECTS, Subject};

impl Cursor<'_> {
    /// `A or B and C for 2s`: `for` binds closest, then `and`, then `or`.
    pub(super) fn condition(&mut self) -> Result<Condition, StepError> {
        let mut any = vec![self.all_of()?];
        while self.accept("or") {
            any.push(self.all_of()?);
        }
        Ok(joined(any, Condition::Or))
    }

    fn all_of(&mut self) -> Result<Condition, StepError> {
        let mut all = vec![self.lasting()?];
        while self.accept("and") {
            all.push(self.lasting()?);
        }
        Ok(joined(all, Condition::And))
    }

    fn lasting(&mut self) -> Result<Condition, StepError> {
        let mut condition = if self.accept("(") {
            self.nested(Self::condition)?
        } else {
            self.single()?
        };
        while self.accept("for") {
            condition = Condition::Lasting(Box::new(condition), self.duration()?);
        }
        Ok(condition)
    }

    fn single(&mut self) -> Result<Condition, StepError> {
        let quantity = match self.one_of(SUBJECTS)? {
            Subject::Leader => {
                let partition = self.of_partition()?;
                self.require("==")?;
                let is = self.node()?;
                return Ok(Condition::Leader { partition, is });
            }
            Subject::Controller => {
                self.require("==")?;
                return Ok(Condition::Controller(self.node()?));
            }
            Subject::Log => {
                self.require("of")?;
                let node = self.node()?;
                self.require("has")?;
                let contains = self.quotation()?;
                return Ok(Condition::LogLine { node, contains });
            }
            Subject::Election => {
                let partition = self.of_partition()?;
                self.require("within")?;
                let within = self.some_time()?;
                return Ok(Condition::Election { partition, within });
            }
            Subject::All => {
                self.require("in")?;
                self.require("sync")?;
                return Ok(Condition::AllInSync);
            }
            Subject::Recovery => return self.recovery_point(),
            Subject::Isr if !self.accept("size") => return self.isr(),
            Subject::Isr => Quantity::IsrSize(self.of_partition()?),
            Subject::Hw => {
                self.require("lag")?;
                let (partition, node) = self.replica()?;
                Quantity::HwLag(partition, node)
            }
            Subject::Lag => {
                let (partition, node) = self.replica()?;
                Quantity::Lag(partition, node)
            }
            Subject::Unflushed => {
                let (partition, node) = self.replica()?;
                Quantity::Unflushed(partition, node)
            }
            Subject::Uncommitted => Quantity::Uncommitted(self.of_partition()?),
            Subject::Epoch => Quantity::Epoch(self.of_partition()?),
            Subject::Acked if self.accept("of") => Quantity::Acked(Some(self.topic()?)),
            Subject::Acked => Quantity::Acked(None),
        };
        let by = self.one_of(COMPARISONS)?;
        let number = self.number("a whole number")?;
        Ok(Condition::Compare {
            quantity,
            by,
            number,
        })
    }

    /// `of P == {n0, n1}` or `of P == {leader}`.
    fn isr(&mut self) -> Result<Condition, StepError> {
        let partition = self.of_partition()?;
        self.require("==")?;
        if self.sees(0, "{") && self.sees(1, "leader") {
            self.require("{")?;
            self.require("leader")?;
            self.require("}")?;
            return Ok(Condition::LeaderAlone(partition));
        }
        let members = self.members()?;
        Ok(Condition::Isr { partition, members })
    }

    /// `of P on n2`.
    fn replica(&mut self) -> Result<(Partition, NodeId), StepError> {
        let partition = self.of_partition()?;
        self.require("on")?;
        Ok((partition, self.node()?))
    }

    /// `point of P [on n2] < leo - 1000`, which is `unflushed of P on n2 > 1000`; without a node it
    /// is the leader's own, whoever that is.
    fn recovery_point(&mut self) -> Result<Condition, StepError> {
        self.require("point")?;
        let partition = self.of_partition()?;
        let node = if self.accept("on") {
            Some(self.node()?)
        } else {
            None
        };
        let by = mirrored(self.one_of(COMPARISONS)?);
        let number = self.below_the_end()?;
        let unflushed = |node| Condition::Compare {
            quantity: Quantity::Unflushed(partition.clone(), node),
            by,
            number,
        };
        if let Some(node) = node {
            return Ok(unflushed(node));
        }
        let of_leader = NODES.map(|node| {
            let partition = partition.clone();
            let leads = Condition::Leader {
                partition,
                is: node,
            };
            Condition::And(vec![leads, unflushed(node)])
        });
        Ok(Condition::Or(of_leader.into()))
    }

    /// `leo - 1000`, however it is spaced.
    fn below_the_end(&mut self) -> Result<i64, StepError> {
        const WHAT: &str = "the log end less a number: `leo - 1000`";
        let number = |text: &str| text.parse().ok().filter(|n: &i64| *n >= 0);
        if !self.accept("leo") {
            return self.word(WHAT, |word| number(word.strip_prefix("leo-")?));
        }
        if self.accept("-") {
            return self.number(WHAT);
        }
        self.word(WHAT, |word| number(word.strip_prefix('-')?))
    }
}

/// One condition stands for itself; several are joined.
fn joined(mut several: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    match several.pop() {
        Some(only) if several.is_empty() => only,
        Some(last) => {
            several.push(last);
            join(several)
        }
        None => join(several),
    }
}

/// `a < end - n` says `end - a > n`.
fn mirrored(by: Comparison) -> Comparison {
    match by {
        Comparison::AtLeast => Comparison::AtMost,
        Comparison::Above => Comparison::Below,
        Comparison::AtMost => Comparison::AtLeast,
        Comparison::Below => Comparison::Above,
        Comparison::Equal => Comparison::Equal,
    }
}
