//! Events to lines. Every event has exactly one.

use history::{
    Call, Deed, Delivery, Event, Exit, Harm, ImageReason, Observation, Offset, Outcome, Partition,
    Payload, ProcessChange, ProcessState, Reply, Seen, SendAck, Stage, StepStage,
};

use super::client::{
    AckLine, At, CallLine, DeliveryLine, NothingLine, OddLine, OutcomeLine, PartitionText,
    PolledLine, ReplyLine, ValueLine,
};
use super::cluster::{
    ChangeLine, DeedLine, HarmLine, ProcessLine, ReasonLine, SeenLine, StageLine, StepLine,
    TargetLine,
};
use super::line::Line;

impl From<&Event> for Line {
    fn from(event: &Event) -> Line {
        match event {
            Event::Invoked {
                op,
                client,
                at,
                call,
            } => Line::Invoked {
                op: *op,
                client: *client,
                at: *at,
                call: call_line(call),
            },
            Event::Returned { op, at, reply } => Line::Returned {
                op: *op,
                at: *at,
                reply: reply_line(reply),
            },
            Event::Fault(event) => Line::Fault {
                fault: event.fault,
                at: event.at,
                stage: stage(&event.stage),
            },
            Event::Observed(observation) => observed(observation),
            Event::Process(event) => Line::Process {
                at: event.at,
                node: event.node,
                service: event.service,
                change: change(&event.change),
            },
            Event::Phase { at, phase } => Line::Phase {
                at: *at,
                phase: *phase,
            },
            Event::Step(event) => Line::Step {
                at: event.at,
                index: event.index,
                text: event.text.clone(),
                stage: match &event.stage {
                    StepStage::Fired => StepLine::Fired,
                    StepStage::Done => StepLine::Done,
                    StepStage::Missed(why) => StepLine::Missed { why: why.clone() },
                },
            },
            Event::Clock(sample) => Line::Clock {
                node: sample.node,
                asked: sample.asked,
                answered: sample.answered,
                host_unix_nanos: sample.host_unix_nanos,
            },
            Event::Image(_) | Event::Rebalance(_) | Event::Harm(_) | Event::Altered(_) => {
                rare(event)
            }
        }
    }
}

fn rare(event: &Event) -> Line {
    match event {
        Event::Image(taken) => Line::Image {
            node: taken.node,
            from: taken.from,
            to: taken.to,
            process: match taken.process {
                ProcessState::Running { pid } => ProcessLine::Running { pid },
                ProcessState::Paused { pid } => ProcessLine::Paused { pid },
                ProcessState::Gone => ProcessLine::Gone,
            },
            unchanged: taken.unchanged,
            reason: match taken.reason {
                ImageReason::Final => ReasonLine::Final,
                ImageReason::BeforeReturn(fault) => ReasonLine::BeforeReturn { fault },
            },
            file: taken.file.clone(),
        },
        Event::Rebalance(event) => Line::Rebalance {
            at: event.at,
            client: event.client,
            change: event.change,
            partitions: event.partitions.iter().map(text).collect(),
        },
        Event::Harm(event) => Line::Harm {
            at: event.at,
            fault: event.fault,
            partition: text(&event.partition),
            harm: match event.harm {
                Harm::SuffixLost { node, from } => HarmLine::SuffixLost { node, from },
                Harm::Wiped { node } => HarmLine::Wiped { node },
                Harm::Damaged { node, from } => HarmLine::Damaged { node, from },
                Harm::Deleted { before } => HarmLine::Deleted { before },
            },
        },
        Event::Altered(alteration) => Line::Altered {
            asked: alteration.asked,
            answered: alteration.answered,
            topic: alteration.topic.clone(),
            key: alteration.key.clone(),
            value: alteration.value.clone(),
        },
        Event::Invoked { .. }
        | Event::Returned { .. }
        | Event::Fault(_)
        | Event::Observed(_)
        | Event::Process(_)
        | Event::Phase { .. }
        | Event::Step(_)
        | Event::Clock(_) => event.into(),
    }
}

fn text(partition: &Partition) -> PartitionText {
    PartitionText(partition.clone())
}

fn positions(of: &[(Partition, Offset)]) -> Vec<At> {
    of.iter()
        .map(|(partition, offset)| At {
            partition: text(partition),
            offset: *offset,
        })
        .collect()
}

fn call_line(call: &Call) -> CallLine {
    match call {
        Call::Send { partition, value } => CallLine::Send {
            partition: text(partition),
            value: *value,
        },
        Call::Poll => CallLine::Poll,
        Call::Assign { from } => CallLine::Assign {
            from: positions(from),
        },
        Call::Subscribe { topics } => CallLine::Subscribe {
            topics: topics.clone(),
        },
        Call::Seek { to } => CallLine::Seek { to: positions(to) },
        Call::Commit { offsets } => CallLine::Commit {
            offsets: positions(offsets),
        },
        Call::Begin => CallLine::Begin,
        Call::End { commit } => CallLine::End { commit: *commit },
    }
}

fn reply_line(reply: &Reply) -> ReplyLine {
    match reply {
        Reply::Sent(outcome) => {
            ReplyLine::Sent(told(outcome, |SendAck { offset, broker }| AckLine {
                offset: *offset,
                broker: *broker,
            }))
        }
        Reply::Polled(outcome) => ReplyLine::Polled(told(outcome, |records| PolledLine {
            records: records.iter().map(delivery).collect(),
        })),
        Reply::Assigned(outcome) => ReplyLine::Assigned(told(outcome, |()| NothingLine {})),
        Reply::Done(outcome) => ReplyLine::Done(told(outcome, |()| NothingLine {})),
    }
}

fn told<T, L>(outcome: &Outcome<T>, line: impl Fn(&T) -> L) -> OutcomeLine<L> {
    match outcome {
        Outcome::Ok(told) => OutcomeLine::Ok(line(told)),
        Outcome::Failed(why) => OutcomeLine::Failed { why: why.clone() },
        Outcome::Unknown(why) => OutcomeLine::Unknown { why: why.clone() },
    }
}

fn delivery(delivery: &Delivery) -> DeliveryLine {
    DeliveryLine {
        partition: text(&delivery.partition),
        offset: delivery.offset,
        value: match delivery.payload {
            Payload::Value(value) => ValueLine::Value(value),
            Payload::Corrupt => ValueLine::Odd(OddLine::Corrupt),
            Payload::Foreign => ValueLine::Odd(OddLine::Foreign),
        },
        epoch: delivery.epoch,
        broker: delivery.broker,
    }
}

fn stage(stage: &Stage) -> StageLine {
    match stage {
        Stage::Injecting { asked, deed } => StageLine::Injecting {
            asked: asked.clone(),
            deed: deed_line(deed),
        },
        Stage::Injected { evidence } => StageLine::Injected {
            evidence: evidence.clone(),
        },
        Stage::Ineffective { evidence } => StageLine::Ineffective {
            evidence: evidence.clone(),
        },
        Stage::Healing => StageLine::Healing,
        Stage::Healed { evidence } => StageLine::Healed {
            evidence: evidence.clone(),
        },
        Stage::Stuck { why } => StageLine::Stuck { why: why.clone() },
        Stage::TookEffect { after, before } => StageLine::TookEffect {
            after: after.0,
            before: before.0,
        },
    }
}

fn deed_line(deed: &Deed) -> DeedLine {
    DeedLine {
        kind: deed.kind,
        processes: deed
            .processes
            .iter()
            .map(|&(node, service)| TargetLine { node, service })
            .collect(),
        links: deed.links.clone(),
        because: deed.because.clone(),
    }
}

fn observed(observation: &Observation) -> Line {
    let seen = match &observation.seen {
        Seen::LogEnd {
            partition,
            leo,
            epoch,
        } => SeenLine::LogEnd {
            partition: text(partition),
            leo: *leo,
            epoch: *epoch,
        },
        Seen::Watermarks {
            partition,
            hw,
            lso,
            log_start,
        } => SeenLine::Watermarks {
            partition: text(partition),
            hw: *hw,
            lso: *lso,
            log_start: *log_start,
        },
        Seen::LeaderHw {
            partition,
            epoch,
            hw,
        } => SeenLine::LeaderHw {
            partition: text(partition),
            epoch: *epoch,
            hw: *hw,
        },
        Seen::Belief {
            partition,
            leader,
            epoch,
            isr,
        } => SeenLine::Belief {
            partition: text(partition),
            leader: *leader,
            epoch: *epoch,
            isr: isr.clone(),
        },
        Seen::Controller { node } => SeenLine::Controller { controller: *node },
        Seen::ZkState {
            partition,
            leader,
            epoch,
            isr,
            version,
        } => SeenLine::ZkState {
            partition: text(partition),
            leader: *leader,
            epoch: *epoch,
            isr: isr.clone(),
            version: *version,
        },
        Seen::Silent { why } => SeenLine::Silent { why: why.clone() },
    };
    Line::Observed {
        asked: observation.asked,
        answered: observation.answered,
        node: observation.node,
        seen,
    }
}

fn change(change: &ProcessChange) -> ChangeLine {
    match change {
        ProcessChange::Started { pid } => ChangeLine::Started { pid: *pid },
        ProcessChange::Exited(Exit::Killed) => ChangeLine::Killed,
        ProcessChange::Exited(Exit::Stopped) => ChangeLine::Stopped,
        ProcessChange::Exited(Exit::Died) => ChangeLine::Died,
        ProcessChange::Paused => ChangeLine::Paused,
        ProcessChange::Resumed => ChangeLine::Resumed,
    }
}
