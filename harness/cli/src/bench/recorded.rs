//! What a turn of ours was, told by its own history: the figures rest on what was recorded, not on
//! what the sender believes. Refuses a history that is torn, holds a send without
//! its answer, or no answer of a probe.

use std::path::Path;

use anyhow::{anyhow, bail};
use history::frames::Reader;
use history::{Call, Event, Mark, Outcome, Reply};

/// What a history holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recorded {
    /// Records sent, each acknowledged with an offset.
    pub records: u64,
    /// From the first send to the last acknowledgement.
    pub seconds: f64,
}

impl Recorded {
    /// Reads a history frame by frame.
    ///
    /// # Errors
    /// When it is torn, or holds a send that was not acknowledged, no send or no probe's answer.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let mut tally = Tally::default();
        for frame in Reader::open(file)? {
            let events = frame.map_err(|torn| anyhow!("{torn}"))?;
            events.iter().for_each(|event| tally.take(event));
        }
        tally.close()
    }
}

#[derive(Default)]
struct Tally {
    sent: u64,
    acked: u64,
    observed: u64,
    span: Option<(Mark, Mark)>,
}

impl Tally {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Invoked {
                at,
                call: Call::Send { .. },
                ..
            } => {
                self.sent += 1;
                self.span.get_or_insert((*at, *at));
            }
            Event::Returned {
                at,
                reply: Reply::Sent(Outcome::Ok(ack)),
                ..
            } if ack.offset.is_some() => {
                self.acked += 1;
                if let Some((_, last)) = &mut self.span {
                    *last = (*last).max(*at);
                }
            }
            Event::Observed(_) => self.observed += 1,
            _ => {}
        }
    }

    fn close(self) -> anyhow::Result<Recorded> {
        let Self {
            sent,
            acked,
            observed,
            span,
        } = self;
        if observed == 0 {
            bail!("no probe was answered: this turn did not do what a run does");
        }
        let Some((first, last)) = span.filter(|_| acked == sent) else {
            bail!("without faults every send is acknowledged, but {acked} of {sent} were");
        };
        Ok(Recorded {
            records: acked,
            seconds: last.since(first).as_secs_f64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use history::{
        ClientId, NodeId, Observation, Offset, OpId, Partition, Seen, SendAck, ValueId, Why,
    };

    use super::*;

    fn send(op: u64, millis: u64) -> Event {
        Event::Invoked {
            op: OpId(op),
            client: ClientId(0),
            at: Mark::from_millis(millis),
            call: Call::Send {
                partition: Partition::new("ours-1", 0),
                value: ValueId(op),
            },
        }
    }

    fn answer(op: u64, millis: u64, outcome: Outcome<SendAck>) -> Event {
        Event::Returned {
            op: OpId(op),
            at: Mark::from_millis(millis),
            reply: Reply::Sent(outcome),
        }
    }

    fn ack(offset: i64) -> Outcome<SendAck> {
        Outcome::Ok(SendAck {
            offset: Some(Offset(offset)),
            broker: Some(NodeId(0)),
        })
    }

    fn probe() -> Event {
        Event::Observed(Observation {
            asked: Mark::from_millis(0),
            answered: Mark::from_millis(9000),
            node: NodeId(0),
            seen: Seen::Controller { node: None },
        })
    }

    fn tally(events: &[Event]) -> anyhow::Result<Recorded> {
        let mut tally = Tally::default();
        events.iter().for_each(|event| tally.take(event));
        tally.close()
    }

    #[test]
    fn time_runs_from_the_first_send_to_the_last_acknowledgement() {
        let events = [
            probe(),
            send(0, 1000),
            send(1, 1500),
            answer(1, 3500, ack(0)),
            answer(0, 2000, ack(1)),
        ];
        let recorded = tally(&events).unwrap();
        assert_eq!((recorded.records, recorded.seconds), (2, 2.5));
    }

    #[test]
    fn a_send_without_its_acknowledgement_spoils_the_turn() {
        assert!(tally(&[probe(), send(0, 0)]).is_err());
        let unknown = Outcome::Unknown(Why::new("timed out"));
        assert!(tally(&[probe(), send(0, 0), answer(0, 1, unknown)]).is_err());
        assert!(tally(&[probe()]).is_err());
    }

    #[test]
    fn a_turn_without_probes_is_none() {
        let turn = [send(0, 0), answer(0, 1, ack(0)), probe()];
        assert!(tally(&turn).is_ok());
        assert!(tally(&turn[..2]).is_err());
    }
}
