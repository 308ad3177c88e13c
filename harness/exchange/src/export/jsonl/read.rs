//! Lines back to events. What is not a line of the form is refused with its number and the reason;
//! nothing is guessed.

use std::io::BufRead;

use history::{
    Alteration, Call, ClockSample, Deed, Delivery, Event, Exit, FaultEvent, Harm, HarmEvent,
    ImageReason, ImageTaken, Observation, Offset, Outcome, Partition, Payload, ProcessChange,
    ProcessEvent, ProcessState, RebalanceEvent, Reply, Seen, SendAck, Stage, StepEvent, StepStage,
};

use super::client::{
    At, CallLine, DeliveryLine, NothingLine, OddLine, OutcomeLine, PartitionText, ReplyLine,
    ValueLine,
};
use super::cluster::{
    ChangeLine, DeedLine, HarmLine, ProcessLine, ReasonLine, SeenLine, StageLine, StepLine,
};
use super::line::{FORMAT, Header, Line};

/// A history as its lines tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The first line.
    pub header: Header,
    /// The events, in their order.
    pub events: Vec<Event>,
    /// What the last line says of the recording's tear.
    pub torn: Option<String>,
}

/// Why lines were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// From 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a whole history from its lines.
///
/// # Errors
/// At the first line that is none of the form, is out of place, or is of a newer format; and when
/// the last one is missing or counts other events than there are.
pub fn read(from: impl BufRead) -> Result<Told, BadLine> {
    let mut header = None;
    let mut events = Vec::new();
    let mut end = None;
    let mut number = 0;
    for text in from.lines() {
        number += 1;
        let bad = |why: String| BadLine { line: number, why };
        let text = text.map_err(|error| bad(error.to_string()))?;
        let line: Line = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if end.is_some() {
            return Err(bad("stands after the end".to_owned()));
        }
        match line {
            Line::Header(found) if header.is_none() => {
                known(&found).map_err(bad)?;
                header = Some(found);
            }
            Line::Header(_) => return Err(bad("a second header".to_owned())),
            _ if header.is_none() => return Err(bad("no header came before".to_owned())),
            Line::End { events, torn } => end = Some((events, torn)),
            other => events.extend(event(other)),
        }
    }
    let last = |why: String| BadLine { line: number, why };
    let header = header.ok_or_else(|| last("there is no header".to_owned()))?;
    let (counted, torn) = end.ok_or_else(|| {
        last("the end is missing: the export was cut, or is still going on".to_owned())
    })?;
    if counted != events.len() as u64 {
        let found = events.len();
        return Err(last(format!(
            "the end counts {counted} events, {found} are there"
        )));
    }
    Ok(Told {
        header,
        events,
        torn,
    })
}

fn known(header: &Header) -> Result<(), String> {
    if header.format <= FORMAT {
        return Ok(());
    }
    Err(format!(
        "written by a newer Tidemark (format {}; this one reads up to {FORMAT}): upgrade",
        header.format
    ))
}

/// The event of a line; none for the lines around them.
fn event(line: Line) -> Option<Event> {
    Some(match line {
        Line::Header(_) | Line::End { .. } => return None,
        Line::Invoked {
            op,
            client,
            at,
            call: asked,
        } => Event::Invoked {
            op,
            client,
            at,
            call: call(asked),
        },
        Line::Returned { op, at, reply } => Event::Returned {
            op,
            at,
            reply: replied(reply),
        },
        Line::Fault {
            fault,
            at,
            stage: reached,
        } => Event::Fault(FaultEvent {
            fault,
            at,
            stage: stage(reached),
        }),
        Line::Observed {
            asked,
            answered,
            node,
            seen: said,
        } => Event::Observed(Observation {
            asked,
            answered,
            node,
            seen: seen(said),
        }),
        Line::Process {
            at,
            node,
            service,
            change: happened,
        } => Event::Process(ProcessEvent {
            at,
            node,
            service,
            change: change(happened),
        }),
        Line::Phase { at, phase } => Event::Phase { at, phase },
        Line::Step {
            at,
            index,
            text,
            stage,
        } => Event::Step(StepEvent {
            at,
            index,
            text,
            stage: match stage {
                StepLine::Fired => StepStage::Fired,
                StepLine::Done => StepStage::Done,
                StepLine::Missed { why } => StepStage::Missed(why),
            },
        }),
        line => return rare(line),
    })
}

fn rare(line: Line) -> Option<Event> {
    Some(match line {
        Line::Clock {
            node,
            asked,
            answered,
            host_unix_nanos,
        } => Event::Clock(ClockSample {
            node,
            asked,
            answered,
            host_unix_nanos,
        }),
        Line::Image {
            node,
            from,
            to,
            process,
            unchanged,
            reason,
            file,
        } => Event::Image(ImageTaken {
            node,
            from,
            to,
            process: match process {
                ProcessLine::Running { pid } => ProcessState::Running { pid },
                ProcessLine::Paused { pid } => ProcessState::Paused { pid },
                ProcessLine::Gone => ProcessState::Gone,
            },
            unchanged,
            reason: match reason {
                ReasonLine::Final => ImageReason::Final,
                ReasonLine::BeforeReturn { fault } => ImageReason::BeforeReturn(fault),
            },
            file,
        }),
        Line::Rebalance {
            at,
            client,
            change,
            partitions,
        } => Event::Rebalance(RebalanceEvent {
            at,
            client,
            change,
            partitions: partitions.into_iter().map(|text| text.0).collect(),
        }),
        Line::Harm {
            at,
            fault,
            partition: PartitionText(partition),
            harm,
        } => Event::Harm(HarmEvent {
            at,
            fault,
            partition,
            harm: match harm {
                HarmLine::SuffixLost { node, from } => Harm::SuffixLost { node, from },
                HarmLine::Wiped { node } => Harm::Wiped { node },
                HarmLine::Damaged { node, from } => Harm::Damaged { node, from },
                HarmLine::Deleted { before } => Harm::Deleted { before },
            },
        }),
        Line::Altered {
            asked,
            answered,
            topic,
            key,
            value,
        } => Event::Altered(Alteration {
            asked,
            answered,
            topic,
            key,
            value,
        }),
        Line::Header(_)
        | Line::End { .. }
        | Line::Invoked { .. }
        | Line::Returned { .. }
        | Line::Fault { .. }
        | Line::Observed { .. }
        | Line::Process { .. }
        | Line::Phase { .. }
        | Line::Step { .. } => return None,
    })
}

fn positions(of: Vec<At>) -> Vec<(Partition, Offset)> {
    of.into_iter()
        .map(|at| (at.partition.0, at.offset))
        .collect()
}

fn call(line: CallLine) -> Call {
    match line {
        CallLine::Send {
            partition: PartitionText(partition),
            value,
        } => Call::Send { partition, value },
        CallLine::Poll => Call::Poll,
        CallLine::Assign { from } => Call::Assign {
            from: positions(from),
        },
        CallLine::Subscribe { topics } => Call::Subscribe { topics },
        CallLine::Seek { to } => Call::Seek { to: positions(to) },
        CallLine::Commit { offsets } => Call::Commit {
            offsets: positions(offsets),
        },
        CallLine::Begin => Call::Begin,
        CallLine::End { commit } => Call::End { commit },
    }
}

fn replied(line: ReplyLine) -> Reply {
    match line {
        ReplyLine::Sent(told) => Reply::Sent(outcome(told, |ack| SendAck {
            offset: ack.offset,
            broker: ack.broker,
        })),
        ReplyLine::Polled(told) => Reply::Polled(outcome(told, |polled| {
            polled.records.into_iter().map(delivery).collect()
        })),
        ReplyLine::Assigned(told) => Reply::Assigned(outcome(told, |NothingLine {}| ())),
        ReplyLine::Done(told) => Reply::Done(outcome(told, |NothingLine {}| ())),
    }
}

fn outcome<L, T>(line: OutcomeLine<L>, told: impl Fn(L) -> T) -> Outcome<T> {
    match line {
        OutcomeLine::Ok(line) => Outcome::Ok(told(line)),
        OutcomeLine::Failed { why } => Outcome::Failed(why),
        OutcomeLine::Unknown { why } => Outcome::Unknown(why),
    }
}

fn delivery(line: DeliveryLine) -> Delivery {
    Delivery {
        partition: line.partition.0,
        offset: line.offset,
        payload: match line.value {
            ValueLine::Value(value) => Payload::Value(value),
            ValueLine::Odd(OddLine::Corrupt) => Payload::Corrupt,
            ValueLine::Odd(OddLine::Foreign) => Payload::Foreign,
        },
        epoch: line.epoch,
        broker: line.broker,
    }
}

fn stage(line: StageLine) -> Stage {
    match line {
        StageLine::Injecting { asked, deed } => Stage::Injecting {
            asked,
            deed: done(deed),
        },
        StageLine::Injected { evidence } => Stage::Injected { evidence },
        StageLine::Ineffective { evidence } => Stage::Ineffective { evidence },
        StageLine::Healing => Stage::Healing,
        StageLine::Healed { evidence } => Stage::Healed { evidence },
        StageLine::Stuck { why } => Stage::Stuck { why },
        StageLine::TookEffect { after, before } => Stage::TookEffect {
            after: history::Mark(after),
            before: history::Mark(before),
        },
    }
}

fn done(line: DeedLine) -> Deed {
    Deed {
        kind: line.kind,
        processes: line
            .processes
            .into_iter()
            .map(|target| (target.node, target.service))
            .collect(),
        links: line.links,
        because: line.because,
    }
}

fn seen(line: SeenLine) -> Seen {
    match line {
        SeenLine::LogEnd {
            partition: PartitionText(partition),
            leo,
            epoch,
        } => Seen::LogEnd {
            partition,
            leo,
            epoch,
        },
        SeenLine::Watermarks {
            partition: PartitionText(partition),
            hw,
            lso,
            log_start,
        } => Seen::Watermarks {
            partition,
            hw,
            lso,
            log_start,
        },
        SeenLine::LeaderHw {
            partition: PartitionText(partition),
            epoch,
            hw,
        } => Seen::LeaderHw {
            partition,
            epoch,
            hw,
        },
        SeenLine::Belief {
            partition: PartitionText(partition),
            leader,
            epoch,
            isr,
        } => Seen::Belief {
            partition,
            leader,
            epoch,
            isr,
        },
        SeenLine::Controller { controller } => Seen::Controller { node: controller },
        SeenLine::ZkState {
            partition: PartitionText(partition),
            leader,
            epoch,
            isr,
            version,
        } => Seen::ZkState {
            partition,
            leader,
            epoch,
            isr,
            version,
        },
        SeenLine::Silent { why } => Seen::Silent { why },
    }
}

fn change(line: ChangeLine) -> ProcessChange {
    match line {
        ChangeLine::Started { pid } => ProcessChange::Started { pid },
        ChangeLine::Killed => ProcessChange::Exited(Exit::Killed),
        ChangeLine::Stopped => ProcessChange::Exited(Exit::Stopped),
        ChangeLine::Died => ProcessChange::Exited(Exit::Died),
        ChangeLine::Paused => ProcessChange::Paused,
        ChangeLine::Resumed => ProcessChange::Resumed,
    }
}
