//! The events of clients in the order of their times.
//!
//! A recorder writes down what it is told, which is a little out of order. Whoever reads Jepsen's
//! form takes the order of lines for the order of time, and would believe that one operation ended
//! before another began when the two overlapped. So the history is read twice: once to learn how
//! late the latest event stands, once to hand all events over in order, holding no more than that.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use history::{Event, Mark};

use crate::export::error::ExportError;
use crate::export::recorded::Recorded;

/// Hands over operations, faults and rebalances in the order of their times; recorded order where
/// those are equal. Gives where and why the history breaks off, if it does.
pub(super) fn each(
    recorded: &Recorded<'_>,
    mut take: impl FnMut(Mark, Event) -> io::Result<()>,
) -> Result<Option<String>, ExportError> {
    let mut late = Lateness::default();
    recorded.each(|event| {
        late.see(&event);
        Ok(())
    })?;
    let mut held = Held::new(late.most);
    let torn = recorded.each(|event| {
        held.take(event);
        while let Some((at, event)) = held.ready() {
            take(at, event)?;
        }
        Ok(())
    })?;
    for (at, event) in held.rest() {
        take(at, event)?;
    }
    Ok(torn)
}

/// When an event happened, if it has a place in Jepsen's form.
fn moment(event: &Event) -> Option<Mark> {
    match event {
        Event::Invoked { at, .. } | Event::Returned { at, .. } => Some(*at),
        Event::Fault(event) => Some(event.at),
        Event::Rebalance(event) => Some(event.at),
        Event::Observed(_)
        | Event::Process(_)
        | Event::Phase { .. }
        | Event::Step(_)
        | Event::Clock(_)
        | Event::Image(_)
        | Event::Harm(_)
        | Event::Altered(_) => None,
    }
}

/// How much earlier an event can be than one that was written before it.
#[derive(Default)]
struct Lateness {
    newest: Mark,
    most: Duration,
}

impl Lateness {
    fn see(&mut self, event: &Event) {
        if let Some(at) = moment(event) {
            self.most = self.most.max(self.newest.since(at));
            self.newest = self.newest.max(at);
        }
    }
}

/// Events that an earlier one may still come before.
struct Held {
    late: Duration,
    newest: Mark,
    seen: u64,
    events: BTreeMap<Reverse<(Mark, u64)>, Event>,
}

impl Held {
    fn new(late: Duration) -> Self {
        Self {
            late,
            newest: Mark(0),
            seen: 0,
            events: BTreeMap::new(),
        }
    }

    fn take(&mut self, event: Event) {
        if let Some(at) = moment(&event) {
            self.newest = self.newest.max(at);
            self.events.insert(Reverse((at, self.seen)), event);
            self.seen += 1;
        }
    }

    /// The earliest event, if none can come before it any more: not one of the same moment either,
    /// which was recorded later and would stand after it.
    fn ready(&mut self) -> Option<(Mark, Event)> {
        let (Reverse((at, _)), _) = self.events.last_key_value()?;
        if self.newest.since(*at) < self.late {
            return None;
        }
        let (Reverse((at, _)), event) = self.events.pop_last()?;
        Some((at, event))
    }

    fn rest(self) -> impl Iterator<Item = (Mark, Event)> {
        self.events
            .into_iter()
            .rev()
            .map(|(Reverse((at, _)), event)| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::{Call, ClientId, OpId};

    fn invoked(op: u64, at: u64) -> Event {
        Event::Invoked {
            op: OpId(op),
            client: ClientId(0),
            at: Mark(at),
            call: Call::Poll,
        }
    }

    #[test]
    fn events_come_in_the_order_of_their_times_and_few_are_held() {
        let recorded: Vec<Event> = [
            (0, 10),
            (1, 12),
            (2, 11),
            (3, 12),
            (4, 20),
            (5, 17),
            (6, 30),
        ]
        .map(|(op, at)| invoked(op, at))
        .into();
        let mut late = Lateness::default();
        recorded.iter().for_each(|event| late.see(event));
        assert_eq!(late.most, Duration::from_nanos(3));
        let mut held = Held::new(late.most);
        let mut order = Vec::new();
        for event in recorded {
            held.take(event);
            while let Some((_, Event::Invoked { op, .. })) = held.ready() {
                order.push(op.0);
            }
            assert!(held.events.len() <= 4);
        }
        for (_, event) in held.rest() {
            if let Event::Invoked { op, .. } = event {
                order.push(op.0);
            }
        }
        assert_eq!(order, [0, 2, 1, 3, 5, 4, 6]);
    }
}
