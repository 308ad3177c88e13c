//! What clients asked besides sends and polls: positions, groups, transactions.

use std::collections::BTreeMap;

use history::{Call, ClientId, Event, Mark, OpId, Outcome, Reply};

/// A call with its answer.
#[derive(Debug, Clone, Copy)]
pub struct CallFact<'a> {
    /// The operation.
    pub op: OpId,
    /// Whose.
    pub client: ClientId,
    /// What was asked; never a send or a poll.
    pub call: &'a Call,
    /// Before the call.
    pub invoked: Mark,
    /// After the answer, and what it was.
    pub answer: Option<(Mark, &'a Outcome<()>)>,
}

impl CallFact<'_> {
    /// Whether the client was told that it was done.
    pub fn done(&self) -> bool {
        matches!(self.answer, Some((_, Outcome::Ok(()))))
    }
}

/// Collects them, in order of invocation.
pub fn of(events: &[Event]) -> Vec<CallFact<'_>> {
    let mut calls: Vec<CallFact> = Vec::new();
    let mut open: BTreeMap<OpId, usize> = BTreeMap::new();
    for event in events {
        match event {
            Event::Invoked {
                call: Call::Send { .. } | Call::Poll,
                ..
            } => {}
            Event::Invoked {
                op,
                client,
                at,
                call,
            } => {
                open.insert(*op, calls.len());
                calls.push(CallFact {
                    op: *op,
                    client: *client,
                    call,
                    invoked: *at,
                    answer: None,
                });
            }
            Event::Returned {
                op,
                at,
                reply: Reply::Assigned(outcome) | Reply::Done(outcome),
            } => {
                if let Some(call) = open.remove(op) {
                    calls[call].answer = Some((*at, outcome));
                }
            }
            _ => {}
        }
    }
    calls
}
