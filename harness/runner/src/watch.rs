//! Brokers and ZooKeepers that end by themselves are noticed within seconds.
//!
//! A process that an open fault holds is not looked at: its end is the fault's. A host that does
//! not answer says nothing about its processes, so nothing is written then.

use std::time::Duration;

use cluster::System;
use futures_util::future::join_all;
use history::{ProcessState, Service};
use nemesis::Roll;
use tokio::time::{sleep, timeout};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// ZooKeepers are looked at once in so many looks.
const ZOOKEEPERS_EVERY: u32 = 5;
/// For one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Looks for ever, and tells each death once.
pub(crate) async fn watch<S: System>(system: &S, roll: &Roll, tell: impl Fn(String)) {
    for look in 1_u32.. {
        sleep(LOOK_EVERY).await;
        let mut called = roll.call();
        called.retain(|it| it.service == Service::Broker || look.is_multiple_of(ZOOKEEPERS_EVERY));
        let states = called
            .iter()
            .map(|it| timeout(ANSWER_WITHIN, system.process(it.node, it.service)));
        for (it, state) in called.iter().zip(join_all(states).await) {
            if let Ok(Ok(ProcessState::Gone)) = state
                && roll.died(*it)
            {
                tell(format!("the {} of {} ended by itself", it.service, it.node));
            }
        }
    }
}
