//! Faults and targets, written.

use std::fmt::{self, Display, Formatter};

use history::{Link, Service};

use crate::ask::{Ask, SegmentChoice, Shape, Tail, Target};
use crate::duration::Seconds;
use crate::step::token::word_or_quote;
use crate::step::words::{
    BANDWIDTHS, CLIENTS, COUNTERPARTS, CutVerb, DiskVerb, ELECTIONS, FAULTS, FaultVerb, PacketVerb,
    SEGMENTS, SERVICES, TAILS, TARGETS, TargetWord, word_of,
};

impl Display for Ask {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verb = |verb| word_of(FAULTS, &verb);
        match self {
            Ask::Process {
                kind,
                service,
                target,
            } => {
                write!(f, "{} ", verb(FaultVerb::Process(*kind)))?;
                // Else nobody could tell the target `zookeeper leader` from its ZooKeeper server.
                if *service == Service::ZooKeeper || *target == Target::ZooKeeperLeader {
                    write!(f, "{} of ", word_of(SERVICES, service))?;
                }
                write!(f, "{target}")
            }
            Ask::Isolate(_)
            | Ask::Cut(_)
            | Ask::Split(_)
            | Ask::Bridge(_)
            | Ask::Ring
            | Ask::Part { .. } => cut(f, self),
            Ask::Flap { cut, every } => {
                write!(
                    f,
                    "{} {cut} every {}",
                    verb(FaultVerb::Flap),
                    Seconds(*every)
                )
            }
            Ask::Shape {
                links,
                target,
                shape: how,
            } => shape(f, links, target.as_ref(), *how),
            Ask::Elect { partition, unclean } => {
                let which = word_of(ELECTIONS, unclean);
                write!(f, "{} {which} of {partition}", verb(FaultVerb::Elect))
            }
            Ask::Reassign { partition, to } => {
                let to = comma_separated(to);
                write!(f, "{} {partition} to {to}", verb(FaultVerb::Reassign))
            }
            Ask::Configure { topic, key, value } => {
                let value = word_or_quote(value);
                write!(f, "{} {topic} {key} = {value}", verb(FaultVerb::Configure))
            }
            Ask::FillDisk(target) => disk(f, DiskVerb::Fill, target),
            Ask::FailDisk(target) => disk(f, DiskVerb::Fail, target),
            Ask::SlowDisk(target, by) => {
                disk(f, DiskVerb::Slow, target)?;
                write!(f, " by {}", Seconds(*by))
            }
            Ask::PowerCut { target, tail } => {
                write!(f, "{} {target}", verb(FaultVerb::PowerCut))?;
                match tail {
                    Tail::Aligned => Ok(()),
                    Tail::Torn | Tail::Zeroed => write!(f, " {}", word_of(TAILS, tail)),
                }
            }
            Ask::FlipBit {
                target,
                partition,
                segment,
            } => {
                write!(
                    f,
                    "{} bit of {partition} on {target}",
                    verb(FaultVerb::Flip)
                )?;
                match segment {
                    SegmentChoice::Active => Ok(()),
                    SegmentChoice::Closed => write!(f, " {}", word_of(SEGMENTS, segment)),
                }
            }
            Ask::Checkpoints { target, stale } => {
                let verb = verb(FaultVerb::Checkpoints(*stale));
                write!(f, "{verb} checkpoints of {target}")
            }
            Ask::Wipe(target) => write!(f, "{} {target}", verb(FaultVerb::Wipe)),
            Ask::DeleteRecords { partition, before } => {
                write!(
                    f,
                    "{} records of {partition} before ",
                    verb(FaultVerb::Delete)
                )?;
                match before {
                    Some(offset) => write!(f, "{offset}"),
                    None => f.write_str("hw"),
                }
            }
            Ask::Clock {
                target,
                by_ms,
                strobe,
            } => clock(f, target, *by_ms, *strobe),
            Ask::CrashClient { topic, consumer } => {
                let client = word_of(CLIENTS, consumer);
                write!(f, "{} {client} of {topic}", verb(FaultVerb::Crash))
            }
        }
    }
}

/// Faults that drop packets.
fn cut(f: &mut Formatter<'_>, ask: &Ask) -> fmt::Result {
    let verb = |cut| word_of(FAULTS, &FaultVerb::Cut(cut));
    match ask {
        Ask::Isolate(target) => write!(f, "{} {target}", verb(CutVerb::Isolate)),
        Ask::Cut(links) => write!(f, "{} {}", verb(CutVerb::Links), comma_separated(links)),
        Ask::Split(groups) => {
            let braced = groups
                .iter()
                .map(|group| format!("{{{}}}", comma_separated(group)));
            let groups: Vec<String> = braced.collect();
            write!(f, "{} {}", verb(CutVerb::Split), groups.join(" | "))
        }
        Ask::Bridge(target) => write!(f, "{} {target}", verb(CutVerb::Bridge)),
        Ask::Part { target, from } => {
            let from = word_of(COUNTERPARTS, from);
            write!(f, "{} {target} from {from}", verb(CutVerb::Part))
        }
        _ => f.write_str(verb(CutVerb::Ring)),
    }
}

fn shape(
    f: &mut Formatter<'_>,
    links: &[Link],
    target: Option<&Target>,
    how: Shape,
) -> fmt::Result {
    let whom = match target {
        Some(target) => target.to_string(),
        None => comma_separated(links),
    };
    let verb = |verb| word_of(FAULTS, &verb);
    let (packets, share) = match how {
        Shape::Delay { by, jitter } => {
            write!(f, "{} {whom} by {}", verb(FaultVerb::Delay), Seconds(by))?;
            return if jitter.is_zero() {
                Ok(())
            } else {
                write!(f, " jitter {}", Seconds(jitter))
            };
        }
        Shape::Bandwidth(kilobits) => {
            let (unit, of) = BANDWIDTHS
                .iter()
                .find(|(_, of)| kilobits.is_multiple_of(*of))
                .unwrap_or_else(|| unreachable!("every number is a multiple of 1"));
            return write!(
                f,
                "{} {whom} to {}{unit}",
                verb(FaultVerb::Limit),
                kilobits / of
            );
        }
        Shape::Loss(share) => (PacketVerb::Lose, share),
        Shape::Duplicate(share) => (PacketVerb::Duplicate, share),
        Shape::Corrupt(share) => (PacketVerb::Corrupt, share),
        Shape::Reorder(share) => (PacketVerb::Reorder, share),
    };
    write!(
        f,
        "{} {} of {whom}",
        verb(FaultVerb::Packets(packets)),
        percent(share)
    )
}

/// So many of 100 000 as a percentage, without trailing zeros.
fn percent(share: u32) -> String {
    let fraction = format!("{:03}", share % 1_000);
    match fraction.trim_end_matches('0') {
        "" => format!("{}%", share / 1_000),
        fraction => format!("{}.{fraction}%", share / 1_000),
    }
}

fn disk(f: &mut Formatter<'_>, verb: DiskVerb, target: &Target) -> fmt::Result {
    write!(
        f,
        "{} disk of {target}",
        word_of(FAULTS, &FaultVerb::Disk(verb))
    )
}

fn clock(
    f: &mut Formatter<'_>,
    target: &Target,
    by_ms: i64,
    strobe: Option<std::time::Duration>,
) -> fmt::Result {
    let verb = if strobe.is_some() {
        FaultVerb::Strobe
    } else {
        FaultVerb::Bump
    };
    let sign = if by_ms < 0 { "-" } else { "" };
    let by = Seconds(std::time::Duration::from_millis(by_ms.unsigned_abs()));
    write!(
        f,
        "{} clock of {target} by {sign}{by}",
        word_of(FAULTS, &verb)
    )?;
    match strobe {
        Some(every) => write!(f, " every {}", Seconds(every)),
        None => Ok(()),
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = |word| word_of(TARGETS, &word);
        match self {
            Target::Node(node) => write!(f, "{node}"),
            Target::Any => f.write_str(word(TargetWord::Any)),
            Target::All => f.write_str(word(TargetWord::All)),
            Target::Minority => f.write_str(word(TargetWord::Minority)),
            Target::Majority => f.write_str(word(TargetWord::Majority)),
            Target::LeaderOf(partition) => write!(f, "{} of {partition}", word(TargetWord::Leader)),
            Target::FollowerOf(partition) => {
                write!(f, "{} follower of {partition}", word(TargetWord::A))
            }
            Target::FollowersOf(partition) => {
                write!(f, "{} of {partition}", word(TargetWord::Followers))
            }
            Target::LastInSyncOf(partition) => {
                write!(f, "{} in sync of {partition}", word(TargetWord::Last))
            }
            Target::Controller => f.write_str(word(TargetWord::Controller)),
            Target::ZooKeeperLeader => write!(f, "{} leader", word(TargetWord::ZooKeeper)),
            Target::CoordinatorOf(group) => {
                let group = word_or_quote(group);
                write!(f, "{} of {group}", word(TargetWord::Coordinator))
            }
        }
    }
}

/// `a, b, c`.
pub(super) fn comma_separated(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}
