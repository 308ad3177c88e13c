//! What lines of the notation are made of: calls, answers, targets, stages, observations.

use super::line::{Line, Wanted};
use crate::event::{Call, Delivery, Payload, SendAck};
use crate::fault::{Deed, FaultKind, Link, Stage};
use crate::ids::{Epoch, NodeId, Offset, Partition, ValueId};
use crate::notation::words;
use crate::observation::{ProcessChange, Seen};
use crate::outcome::{Outcome, Why};

pub(super) fn call(line: &mut Line) -> Result<Call, Wanted> {
    match line.word() {
        "send" => Ok(Call::Send {
            partition: line.id("a partition, ledger/0")?,
            value: line.id("a value, v1")?,
        }),
        "poll" => Ok(Call::Poll),
        "assign" => {
            let from = positions(line)?;
            Ok(Call::Assign { from })
        }
        "subscribe" => {
            let mut topics = Vec::new();
            while !line.at_end() && !matches!(line.peek(), "->" | "...") {
                topics.push(line.word().into());
                if !line.eat(",") {
                    break;
                }
            }
            Ok(Call::Subscribe { topics })
        }
        "seek" => Ok(Call::Seek {
            to: positions(line)?,
        }),
        "commit" => Ok(Call::Commit {
            offsets: positions(line)?,
        }),
        "begin" => Ok(Call::Begin),
        "end" => match line.word() {
            "commit" => Ok(Call::End { commit: true }),
            "abort" => Ok(Call::End { commit: false }),
            _ => Err(Wanted::new("`end commit` or `end abort`")),
        },
        _ => Err(Wanted::new(
            "send, poll or assign; subscribe, seek, commit, rebalance, begin or end",
        )),
    }
}

/// `ledger/0@5, ledger/1@0`, or nothing.
fn positions(line: &mut Line) -> Result<Vec<(Partition, Offset)>, Wanted> {
    let mut positions = Vec::new();
    while line.peek().contains('@') {
        positions.push(position(line)?);
        if !line.eat(",") {
            break;
        }
    }
    Ok(positions)
}

/// `ledger/0@5`.
pub(super) fn position(line: &mut Line) -> Result<(Partition, Offset), Wanted> {
    let wanted = || Wanted::new("a partition and its first offset, ledger/0@0");
    let word = line.word();
    let at = word.rfind('@').ok_or_else(wanted)?;
    let partition = word[..at].parse().map_err(|_| wanted())?;
    Ok((partition, word[at..].parse().map_err(|_| wanted())?))
}

pub(super) fn outcome<T>(
    line: &mut Line,
    told: impl Fn(&mut Line) -> Result<T, Wanted>,
) -> Result<Outcome<T>, Wanted> {
    Ok(if line.eat("?") {
        Outcome::Unknown(Why::new(line.text()?))
    } else if line.eat("!") {
        Outcome::Failed(Why::new(line.text()?))
    } else {
        Outcome::Ok(told(line)?)
    })
}

pub(super) fn done(line: &mut Line) -> Result<(), Wanted> {
    match line.word() {
        "ok" => Ok(()),
        _ => Err(Wanted::new("ok, `? why` or `! why`")),
    }
}

pub(super) fn ack(line: &mut Line) -> Result<SendAck, Wanted> {
    let offset = match line.eat("@?") {
        true => None,
        false => Some(line.id("an offset (@0), @?, `? why` or `! why`")?),
    };
    let broker = by(line)?;
    Ok(SendAck { offset, broker })
}

pub(super) fn by(line: &mut Line) -> Result<Option<NodeId>, Wanted> {
    match line.eat("by") {
        true => Ok(Some(line.id("a node, n0")?)),
        false => Ok(None),
    }
}

pub(super) fn deliveries(line: &mut Line) -> Result<Vec<Delivery>, Wanted> {
    let mut all = Vec::new();
    if line.eat("nothing") {
        return Ok(all);
    }
    loop {
        let partition: Partition =
            line.id("a partition (ledger/0), nothing, `? why` or `! why`")?;
        let first = all.len();
        while first == all.len() || line.peek().starts_with('@') {
            let (offset, payload) = record(line)?;
            all.push(Delivery {
                partition: partition.clone(),
                offset,
                payload,
                epoch: None,
                broker: None,
            });
        }
        let epoch = line.try_id();
        let broker = by(line)?;
        for delivery in &mut all[first..] {
            delivery.epoch = epoch;
            delivery.broker = broker;
        }
        if !line.eat(",") {
            return Ok(all);
        }
    }
}

/// `@0=v0`.
pub(super) fn record(line: &mut Line) -> Result<(Offset, Payload), Wanted> {
    let wanted = || Wanted::new("a record, @0=v0, @0=corrupt or @0=foreign");
    let (offset, payload) = line.word().split_once('=').ok_or_else(wanted)?;
    let payload = match payload {
        "corrupt" => Payload::Corrupt,
        "foreign" => Payload::Foreign,
        value => Payload::Value(value.parse::<ValueId>().map_err(|_| wanted())?),
    };
    Ok((offset.parse().map_err(|_| wanted())?, payload))
}

/// `broker n0, n1 -> n2 port probe :`, the colon included.
pub(super) fn targets(line: &mut Line, deed: &mut Deed) -> Result<(), Wanted> {
    while !line.eat(":") {
        if let Some(service) = words::named(&words::SERVICES, line.peek()) {
            line.word();
            deed.processes.push((line.id("a node, n0")?, service));
        } else {
            deed.links.push(link(line)?);
        }
        if !line.eat(",") {
            return line.expect(":");
        }
    }
    Ok(())
}

/// `n1 -> n2 port probe`.
pub(super) fn link(line: &mut Line) -> Result<Link, Wanted> {
    let from = line.id("`broker n0`, `zookeeper n0`, `n0 -> n1`, or `:` and a stage")?;
    line.expect("->")?;
    let to = line.id("the node that no longer receives, n1")?;
    let mut port = None;
    if line.eat("port") {
        let named = words::called(&words::PORTS, line.word());
        port = Some(named.ok_or_else(|| {
            Wanted::new("a port: broker, probe, zk-client, zk-peer or zk-election")
        })?);
    }
    Ok(Link { from, to, port })
}

pub(super) fn later_stage(stage: &str, line: &mut Line) -> Result<Stage, Wanted> {
    Ok(match stage {
        "injected" => Stage::Injected {
            evidence: line.bracketed()?,
        },
        "ineffective" => Stage::Ineffective {
            evidence: line.bracketed()?,
        },
        "healing" => Stage::Healing,
        "healed" => Stage::Healed {
            evidence: line.bracketed()?,
        },
        "stuck" => Stage::Stuck {
            why: line.bracketed()?,
        },
        "took-effect" => {
            let after = line.moment("the moment before, 12.43s")?;
            line.expect("to")?;
            let before = line.moment("the moment after, 12.455s")?;
            Stage::TookEffect { after, before }
        }
        _ => {
            let kinds: Vec<FaultKind> = FaultKind::all().collect();
            return Err(Wanted::new(format!(
                "a kind of fault ({}) or a stage (injecting, took-effect, injected, ineffective, healing, healed, stuck)",
                words::names(&kinds)
            )));
        }
    })
}

pub(super) fn change(line: &mut Line) -> Result<ProcessChange, Wanted> {
    Ok(match line.word() {
        "started" => ProcessChange::Started {
            pid: line.id("a process id")?,
        },
        "paused" => ProcessChange::Paused,
        "resumed" => ProcessChange::Resumed,
        word => {
            ProcessChange::Exited(words::called(&words::EXITS, word).ok_or_else(|| {
                Wanted::new("started 123, killed, stopped, died, paused or resumed")
            })?)
        }
    })
}

pub(super) fn seen(line: &mut Line) -> Result<Seen, Wanted> {
    const PARTITION: &str = "a partition, ledger/0";
    const OFFSET: &str = "an offset, @0";
    Ok(match line.word() {
        "leo" => Seen::LogEnd {
            partition: line.id(PARTITION)?,
            leo: line.id(OFFSET)?,
            epoch: line.try_id(),
        },
        "marks" => {
            let partition = line.id(PARTITION)?;
            line.expect("hw")?;
            let hw = line.id(OFFSET)?;
            let lso = if line.eat("lso") {
                line.id(OFFSET)?
            } else {
                hw
            };
            let log_start = match line.eat("start") {
                true => line.id(OFFSET)?,
                false => Offset(0),
            };
            Seen::Watermarks {
                partition,
                hw,
                lso,
                log_start,
            }
        }
        "leader-hw" => Seen::LeaderHw {
            partition: line.id(PARTITION)?,
            epoch: line.id("an epoch, e1")?,
            hw: line.id(OFFSET)?,
        },
        "believes" => {
            let (partition, leader, epoch, isr) = leadership(line)?;
            Seen::Belief {
                partition,
                leader,
                epoch,
                isr,
            }
        }
        "controller" => Seen::Controller {
            node: node_or_none(line)?,
        },
        "zk" => {
            let (partition, leader, epoch, isr) = leadership(line)?;
            line.expect("version")?;
            Seen::ZkState {
                partition,
                leader,
                epoch,
                isr,
                version: line.id("a version")?,
            }
        }
        "silent" => Seen::Silent {
            why: Why::new(line.bracketed()?),
        },
        _ => {
            return Err(Wanted::new(
                "broker, zookeeper, leo, marks, leader-hw, believes, zk, controller or silent",
            ));
        }
    })
}

type Leadership = (Partition, Option<NodeId>, Epoch, Vec<NodeId>);

/// `ledger/0 leader n1 e1 isr {n1,n2}`.
pub(super) fn leadership(line: &mut Line) -> Result<Leadership, Wanted> {
    let partition = line.id("a partition, ledger/0")?;
    line.expect("leader")?;
    let leader = node_or_none(line)?;
    let epoch = line.id("an epoch, e1")?;
    line.expect("isr")?;
    Ok((partition, leader, epoch, line.nodes()?))
}

pub(super) fn node_or_none(line: &mut Line) -> Result<Option<NodeId>, Wanted> {
    match line.eat("none") {
        true => Ok(None),
        false => Ok(Some(line.id("a node (n0) or none")?)),
    }
}
