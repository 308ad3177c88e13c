//! Consumers of groups in memory: who has which partition, and where each group goes on.
//!
//! There is no protocol of joining: a member takes what is free, and gives up what was taken away.

use std::collections::BTreeMap;
use std::time::Duration;

use history::{ClientId, Offset, Outcome, Partition, Rebalance, Reply, Topic, Why};
use tokio::time::{Instant, sleep_until};

use super::{FakeConsumer, FakeKafka};
use crate::client::{Member, Move};

/// What the members of a group share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) owners: BTreeMap<Partition, ClientId>,
    pub(super) committed: BTreeMap<Partition, Offset>,
}

/// Which member of which group.
pub struct FakeStanding {
    pub(super) group: String,
    pub(super) client: ClientId,
}

/// A consumer of a group in memory: it takes every partition that nobody has, and keeps it until it
/// ends. A crash is known at once.
pub struct FakeMember {
    cluster: FakeKafka,
    client: ClientId,
    group: String,
    own: BTreeMap<Partition, Offset>,
    topics: Vec<Topic>,
    moves: Vec<Move>,
}

impl FakeMember {
    pub(super) fn of(cluster: &FakeKafka, client: ClientId, group: &str) -> Self {
        Self {
            cluster: cluster.clone(),
            client,
            group: group.to_owned(),
            own: BTreeMap::new(),
            topics: Vec::new(),
            moves: Vec::new(),
        }
    }

    fn shared<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        let mut groups = self.cluster.groups.borrow_mut();
        act(groups.entry(self.group.clone()).or_default())
    }

    fn take_free(&mut self) {
        let logs = self.cluster.logs.borrow();
        let named = logs.keys().filter(|it| self.topics.contains(&it.topic));
        let named: Vec<Partition> = named.cloned().collect();
        drop(logs);
        let taken = self.shared(|shared| {
            let free = named
                .into_iter()
                .filter(|it| !shared.owners.contains_key(it));
            let free: Vec<Partition> = free.collect();
            let mut taken = BTreeMap::new();
            for partition in free {
                shared.owners.insert(partition.clone(), self.client);
                let from = shared.committed.get(&partition).copied();
                taken.insert(partition, from.unwrap_or(Offset(0)));
            }
            taken
        });
        if !taken.is_empty() {
            let partitions = taken.keys().cloned().collect();
            let at = self.cluster.clock.mark();
            self.moves.push((at, Rebalance::Assigned, partitions));
            self.own.extend(taken);
        }
    }

    /// Gives up what was taken away.
    fn lose_taken(&mut self) {
        let client = self.client;
        let ours = |shared: &Shared, it: &Partition| shared.owners.get(it) == Some(&client);
        let own = std::mem::take(&mut self.own);
        let (own, lost): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.shared(|shared| own.into_iter().partition(|(it, _)| ours(shared, it)));
        self.own = own;
        if !lost.is_empty() {
            let at = self.cluster.clock.mark();
            self.moves
                .push((at, Rebalance::Lost, lost.into_keys().collect()));
        }
    }
}

impl Member for FakeMember {
    type Standing = FakeStanding;

    async fn subscribe(&mut self, topics: &[Topic]) -> Outcome<()> {
        self.topics = topics.to_vec();
        Outcome::Ok(())
    }

    async fn poll(&mut self, max: usize, within: Duration) -> Reply {
        let client = self.client;
        let kept = |shared: &mut Shared| {
            let mut own = self.own.keys();
            own.all(|it| shared.owners.get(it) == Some(&client))
        };
        // Who does not know yet what was taken away takes nothing.
        if self.shared(kept) {
            self.take_free();
        }
        let mut consumer = FakeConsumer {
            cluster: self.cluster.clone(),
            positions: std::mem::take(&mut self.own),
        };
        let taken = consumer.take(max);
        self.own = consumer.positions;
        self.lose_taken();
        match taken {
            Ok(none) if none.is_empty() => {
                sleep_until(Instant::now() + within).await;
                Reply::Polled(Outcome::Ok(none))
            }
            Ok(deliveries) => Reply::Polled(Outcome::Ok(deliveries)),
            Err(why) => Reply::Polled(Outcome::Failed(why)),
        }
    }

    async fn commit(&mut self, offsets: &[(Partition, Offset)]) -> Outcome<()> {
        self.shared(|shared| shared.committed.extend(offsets.iter().cloned()));
        Outcome::Ok(())
    }

    async fn standing(&mut self) -> Option<FakeStanding> {
        Some(FakeStanding {
            group: self.group.clone(),
            client: self.client,
        })
    }

    async fn seek(&mut self, to: &[(Partition, Offset)]) -> Outcome<()> {
        for (partition, offset) in to {
            let Some(position) = self.own.get_mut(partition) else {
                return Outcome::Failed(Why::new(format!("{partition} is not its own")));
            };
            *position = *offset;
        }
        Outcome::Ok(())
    }

    fn moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves)
    }

    fn leave(self) {
        self.crash();
    }

    fn crash(self) {
        self.shared(|shared| shared.owners.retain(|_, owner| *owner != self.client));
    }
}
