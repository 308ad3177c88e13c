//! Faults: each verb with what it needs to know.

use std::time::Duration;

use history::{FaultKind, Offset, Service};

use crate::ask::{Ask, SegmentChoice, Shape, Tail, Target};
use crate::step::cursor::Cursor;
use crate::step::words::{
    BANDWIDTHS, CLIENTS, COUNTERPARTS, CutVerb, DiskVerb, ELECTIONS, FAULTS, FaultVerb, PacketVerb,
    SEGMENTS, SERVICES, TAILS,
};
use crate::step::{StepError, Trouble};

impl Cursor<'_> {
    /// What stands behind the verb of a fault.
    pub(super) fn ask(&mut self, verb: FaultVerb) -> Result<Ask, StepError> {
        match verb {
            FaultVerb::Process(kind) => self.process(kind),
            FaultVerb::Cut(cut) => self.cutting(cut),
            FaultVerb::Flap => self.flap(),
            FaultVerb::Delay => self.delay(),
            FaultVerb::Packets(packets) => self.packets(packets),
            FaultVerb::Limit => self.limit(),
            FaultVerb::Elect => {
                let unclean = self.one_of(ELECTIONS)?;
                let partition = self.of_partition()?;
                Ok(Ask::Elect { partition, unclean })
            }
            FaultVerb::Reassign => {
                let partition = self.partition()?;
                self.require("to")?;
                let to = self.nodes()?;
                Ok(Ask::Reassign { partition, to })
            }
            FaultVerb::Configure => self.configure(),
            FaultVerb::Disk(disk) => self.disk(disk),
            FaultVerb::PowerCut => {
                let target = self.target()?;
                let tail = self.accept_one_of(TAILS).unwrap_or(Tail::Aligned);
                Ok(Ask::PowerCut { target, tail })
            }
            FaultVerb::Flip => self.flip(),
            FaultVerb::Checkpoints(stale) => {
                self.require("checkpoints")?;
                let target = self.of_target()?;
                Ok(Ask::Checkpoints { target, stale })
            }
            FaultVerb::Wipe => Ok(Ask::Wipe(self.target()?)),
            FaultVerb::Delete => self.delete(),
            FaultVerb::Bump => self.clock(false),
            FaultVerb::Strobe => self.clock(true),
            FaultVerb::Crash => {
                let consumer = self.one_of(CLIENTS)?;
                self.require("of")?;
                let topic = self.topic()?;
                Ok(Ask::CrashClient { topic, consumer })
            }
        }
    }

    fn process(&mut self, kind: FaultKind) -> Result<Ask, StepError> {
        // `zookeeper leader` is a target, `zookeeper of TARGET` a service.
        let named = SERVICES
            .iter()
            .find(|(word, _)| self.sees(0, word) && !self.sees(1, "leader"));
        let service = match named {
            Some((word, service)) => {
                self.require(word)?;
                self.require("of")?;
                Some(*service)
            }
            None => None,
        };
        let start = self.place().start;
        let target = self.target()?;
        if service.is_none() && target == Target::ZooKeeperLeader {
            return Err(self.fail_at(self.since(start), Trouble::WhichService));
        }
        Ok(Ask::Process {
            kind,
            service: service.unwrap_or(Service::Broker),
            target,
        })
    }

    fn cutting(&mut self, verb: CutVerb) -> Result<Ask, StepError> {
        Ok(match verb {
            CutVerb::Isolate => Ask::Isolate(self.target()?),
            CutVerb::Links => Ask::Cut(self.links()?),
            CutVerb::Split => Ask::Split(self.groups()?),
            CutVerb::Bridge => Ask::Bridge(self.target()?),
            CutVerb::Ring => Ask::Ring,
            CutVerb::Part => {
                let target = self.target()?;
                self.require("from")?;
                let from = self.one_of(COUNTERPARTS)?;
                Ask::Part { target, from }
            }
        })
    }

    /// `flap isolate n1 every 500ms`; brackets around the cut are free.
    fn flap(&mut self) -> Result<Ask, StepError> {
        let cut = if self.accept("(") {
            self.nested(Self::flapping)?
        } else {
            self.flapping()?
        };
        self.require("every")?;
        let every = self.some_time()?;
        Ok(Ask::Flap {
            cut: Box::new(cut),
            every,
        })
    }

    fn flapping(&mut self) -> Result<Ask, StepError> {
        let cuts: Vec<(&str, CutVerb)> = FAULTS
            .iter()
            .filter_map(|(word, verb)| match verb {
                FaultVerb::Cut(cut) => Some((*word, *cut)),
                _ => None,
            })
            .collect();
        let verb = self.one_of(&cuts)?;
        self.cutting(verb)
    }

    fn delay(&mut self) -> Result<Ask, StepError> {
        let (links, target) = self.links_or_target()?;
        self.require("by")?;
        let by = self.some_time()?;
        let jitter = if self.accept("jitter") {
            self.duration()?
        } else {
            Duration::ZERO
        };
        let shape = Shape::Delay { by, jitter };
        Ok(Ask::Shape {
            links,
            target,
            shape,
        })
    }

    /// `5% of n1`, `0.125% of n1 -> n2`.
    fn packets(&mut self, verb: PacketVerb) -> Result<Ask, StepError> {
        let share = self.word(
            "a share such as `5%` or `0.125%`, above 0% and up to 100%",
            share,
        )?;
        self.require("of")?;
        let (links, target) = self.links_or_target()?;
        let shape = match verb {
            PacketVerb::Lose => Shape::Loss(share),
            PacketVerb::Duplicate => Shape::Duplicate(share),
            PacketVerb::Corrupt => Shape::Corrupt(share),
            PacketVerb::Reorder => Shape::Reorder(share),
        };
        Ok(Ask::Shape {
            links,
            target,
            shape,
        })
    }

    fn limit(&mut self) -> Result<Ask, StepError> {
        let (links, target) = self.links_or_target()?;
        self.require("to")?;
        let kilobits = self.word("a bandwidth such as `512kbit` or `2mbit`", bandwidth)?;
        Ok(Ask::Shape {
            links,
            target,
            shape: Shape::Bandwidth(kilobits),
        })
    }

    /// `ledger min.insync.replicas = 1`.
    fn configure(&mut self) -> Result<Ask, StepError> {
        let topic = self.topic()?;
        let key = self.word("a topic's property such as `min.insync.replicas`", |word| {
            Some(word.to_owned())
        })?;
        self.require("=")?;
        let value = self.text("the property's value")?;
        Ok(Ask::Configure { topic, key, value })
    }

    fn disk(&mut self, verb: DiskVerb) -> Result<Ask, StepError> {
        self.require("disk")?;
        let target = self.of_target()?;
        Ok(match verb {
            DiskVerb::Fill => Ask::FillDisk(target),
            DiskVerb::Fail => Ask::FailDisk(target),
            DiskVerb::Slow => {
                self.require("by")?;
                Ask::SlowDisk(target, self.some_time()?)
            }
        })
    }

    /// `bit of ledger/0 on n1 [closed]`.
    fn flip(&mut self) -> Result<Ask, StepError> {
        self.require("bit")?;
        let partition = self.of_partition()?;
        self.require("on")?;
        let target = self.target()?;
        let segment = self.accept_one_of(SEGMENTS);
        Ok(Ask::FlipBit {
            target,
            partition,
            segment: segment.unwrap_or(SegmentChoice::Active),
        })
    }

    /// `records of ledger/0 before @500`.
    fn delete(&mut self) -> Result<Ask, StepError> {
        self.require("records")?;
        let partition = self.of_partition()?;
        self.require("before")?;
        let before = if self.accept("hw") {
            None
        } else {
            let offset = |word: &str| word.parse().ok().filter(|Offset(at)| *at >= 0);
            Some(self.word("an offset such as `@500`, or `hw`", offset)?)
        };
        Ok(Ask::DeleteRecords { partition, before })
    }

    /// `clock of n1 by -500ms`, for a strobe with `every 50ms`.
    fn clock(&mut self, strobe: bool) -> Result<Ask, StepError> {
        self.require("clock")?;
        let target = self.of_target()?;
        self.require("by")?;
        let by_ms = self.signed_millis()?;
        let strobe = if strobe {
            self.require("every")?;
            Some(self.some_time()?)
        } else {
            None
        };
        Ok(Ask::Clock {
            target,
            by_ms,
            strobe,
        })
    }

    /// Whole milliseconds, not 0, back where a `-` stands before them: `500ms`, `-1.5s`.
    fn signed_millis(&mut self) -> Result<i64, StepError> {
        self.word(
            "so many whole milliseconds, such as `500ms` or `-1.5s`",
            |word| {
                let length = word.strip_prefix('-').unwrap_or(word);
                let length = crate::duration::read(length).ok()?;
                let millis = i64::try_from(length.as_millis())
                    .ok()
                    .filter(|ms| *ms > 0)?;
                let whole = length.subsec_nanos() % 1_000_000 == 0;
                whole.then_some(if word.starts_with('-') {
                    -millis
                } else {
                    millis
                })
            },
        )
    }
}

/// A percentage as so many of 100 000.
fn share(word: &str) -> Option<u32> {
    let number = word.strip_suffix('%')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let thousandths: u32 = format!("{fraction:0<3}").parse().ok()?;
    let share = whole
        .parse::<u32>()
        .ok()?
        .checked_mul(1_000)?
        .checked_add(thousandths)?;
    (1..=100_000).contains(&share).then_some(share)
}

/// Kilobits a second, at least one.
fn bandwidth(word: &str) -> Option<u32> {
    BANDWIDTHS.iter().find_map(|(unit, kilobits)| {
        let number: u32 = word.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*kilobits).filter(|sum| *sum > 0)
    })
}
