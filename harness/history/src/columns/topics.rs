//! Topics' names, each kept once however often a history names it.

use rustc_hash::FxHashSet;

use crate::event::{Call, Event, Reply};
use crate::ids::{Partition, Topic};
use crate::observation::Seen;

/// The topics that were named so far.
#[derive(Default)]
pub(crate) struct Topics(FxHashSet<Topic>);

impl Topics {
    /// The topic of this name, by the allocation of whoever named it first.
    pub(super) fn named(&mut self, name: &str) -> Topic {
        if let Some(topic) = self.0.get(name) {
            return topic.clone();
        }
        let topic = Topic::from(name);
        self.0.insert(topic.clone());
        topic
    }

    /// Lets an event name its topics by the same allocations as all others.
    pub(super) fn share(&mut self, event: &mut Event) {
        let mut share = |partition: &mut Partition| {
            partition.topic = self.named(&partition.topic);
        };
        match event {
            Event::Invoked { call, .. } => match call {
                Call::Send { partition, .. } => share(partition),
                Call::Assign { from } => from.iter_mut().for_each(|(p, _)| share(p)),
                Call::Seek { to: at } | Call::Commit { offsets: at } => {
                    at.iter_mut().for_each(|(p, _)| share(p));
                }
                Call::Subscribe { .. } | Call::Poll | Call::Begin | Call::End { .. } => {}
            },
            Event::Returned { reply, .. } => {
                if let Reply::Polled(crate::Outcome::Ok(deliveries)) = reply {
                    deliveries.iter_mut().for_each(|d| share(&mut d.partition));
                }
            }
            Event::Observed(observation) => match &mut observation.seen {
                Seen::LogEnd { partition, .. }
                | Seen::Watermarks { partition, .. }
                | Seen::LeaderHw { partition, .. }
                | Seen::Belief { partition, .. }
                | Seen::ZkState { partition, .. } => share(partition),
                Seen::Controller { .. } | Seen::Silent { .. } => {}
            },
            Event::Rebalance(event) => event.partitions.iter_mut().for_each(share),
            Event::Harm(event) => share(&mut event.partition),
            Event::Altered(_)
            | Event::Fault(_)
            | Event::Process(_)
            | Event::Phase { .. }
            | Event::Step(_)
            | Event::Clock(_)
            | Event::Image(_) => {}
        }
    }
}
