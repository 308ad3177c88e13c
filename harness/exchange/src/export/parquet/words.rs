//! Our values as the words and numbers that stand in cells.

use history::{Call, Epoch, NodeId, Offset, Outcome, Partition, Payload, Seen};

/// An outcome and the client's words; `open` for what never came back.
pub(super) fn words<T>(outcome: Option<&Outcome<T>>) -> (&'static str, Option<&str>) {
    match outcome {
        Some(Outcome::Ok(_)) => ("ok", None),
        Some(Outcome::Failed(why)) => ("failed", Some(&why.0)),
        Some(Outcome::Unknown(why)) => ("unknown", Some(&why.0)),
        None => ("open", None),
    }
}

/// What a payload is, and its value if it is one of ours.
pub(super) fn payload(payload: Payload) -> (&'static str, Option<u64>) {
    match payload {
        Payload::Value(value) => ("value", Some(value.0)),
        Payload::Corrupt => ("corrupt", None),
        Payload::Foreign => ("foreign", None),
    }
}

/// The word for a call, that of the JSON form.
pub(super) fn call_name(call: &Call) -> &'static str {
    match call {
        Call::Send { .. } => "send",
        Call::Poll => "poll",
        Call::Assign { .. } => "assign",
        Call::Subscribe { .. } => "subscribe",
        Call::Seek { .. } => "seek",
        Call::Commit { .. } => "commit",
        Call::Begin => "begin",
        Call::End { .. } => "end",
    }
}

/// `0,1,2`.
pub(super) fn nodes(nodes: &[NodeId]) -> String {
    let numbers: Vec<String> = nodes.iter().map(|node| node.0.to_string()).collect();
    numbers.join(",")
}

/// A probe's answer, flat. What a kind of answer does not say is absent.
#[derive(Default)]
pub(super) struct Answer<'a> {
    pub(super) seen: &'static str,
    pub(super) partition: Option<&'a Partition>,
    pub(super) epoch: Option<Epoch>,
    pub(super) leo: Option<Offset>,
    pub(super) hw: Option<Offset>,
    pub(super) lso: Option<Offset>,
    pub(super) log_start: Option<Offset>,
    pub(super) leader: Option<NodeId>,
    pub(super) isr: Option<&'a [NodeId]>,
    pub(super) version: Option<i32>,
    pub(super) why: Option<&'a str>,
}

impl<'a> Answer<'a> {
    pub(super) fn of(seen: &'a Seen, node: NodeId) -> Self {
        let nothing = Answer::default();
        match seen {
            Seen::LogEnd {
                partition,
                leo,
                epoch,
            } => Answer {
                seen: "log-end",
                partition: Some(partition),
                epoch: *epoch,
                leo: Some(*leo),
                ..nothing
            },
            Seen::Watermarks {
                partition,
                hw,
                lso,
                log_start,
            } => Answer {
                seen: "watermarks",
                partition: Some(partition),
                hw: Some(*hw),
                lso: Some(*lso),
                log_start: Some(*log_start),
                ..nothing
            },
            Seen::LeaderHw {
                partition,
                epoch,
                hw,
            } => Answer {
                seen: "leader-hw",
                partition: Some(partition),
                epoch: Some(*epoch),
                hw: Some(*hw),
                leader: Some(node),
                ..nothing
            },
            Seen::Belief {
                partition,
                leader,
                epoch,
                isr,
            } => Answer {
                seen: "belief",
                partition: Some(partition),
                epoch: Some(*epoch),
                leader: *leader,
                isr: Some(isr),
                ..nothing
            },
            Seen::Controller { node } => Answer {
                seen: "controller",
                leader: *node,
                ..nothing
            },
            Seen::ZkState {
                partition,
                leader,
                epoch,
                isr,
                version,
            } => Answer {
                seen: "zk-state",
                partition: Some(partition),
                epoch: Some(*epoch),
                leader: *leader,
                isr: Some(isr),
                version: Some(*version),
                ..nothing
            },
            Seen::Silent { why } => Answer {
                seen: "silent",
                why: Some(&why.0),
                ..nothing
            },
        }
    }
}
