//! One consumer handle, recorded: reading along during the run, and draining at its end.
//!
//! Nothing is remembered between the two: a drain has clients of its own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use history::{Call, ClientId, Clock, Delivery, Offset, OpId, Outcome, Partition, Pen, Reply, Why};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::crash::{Crashed, Now, Order};
use super::{Counts, Desk, booking};
use crate::client::{Clients, Consumer, OpenError, Reading};

/// Records asked for in one poll of a read-along consumer, at most.
const ALONG_MAX: usize = 500;

/// Records asked for in one poll of a drain, at most.
const DRAIN_MAX: usize = 1000;

/// How long one poll waits for records; also how late a consumer hears that it should end.
const POLL: Duration = Duration::from_millis(500);

/// The pause after a poll that failed, before asking again.
const PAUSE: Duration = Duration::from_millis(500);

/// A read-along consumer. A run's topics are new, so it begins at offset 0.
pub struct Reader<C: Clients> {
    pub clients: Rc<C>,
    pub consumer: C::Consumer,
    pub client: ClientId,
    pub now: Rc<Cell<Now>>,
    pub desk: Desk,
    pub positions: BTreeMap<Partition, Offset>,
    pub counts: Rc<Cell<Counts>>,
    pub read_committed: bool,
    /// False once it should end.
    pub reading: Rc<Cell<bool>>,
    pub inbox: mpsc::UnboundedReceiver<Order>,
}

impl<C: Clients> Reader<C> {
    /// Reads until it is told to end. A poll is never cut short by that: it returns, and is
    /// recorded.
    pub async fn run(self) {
        let Reader {
            clients,
            consumer,
            client,
            now,
            desk,
            positions,
            counts,
            read_committed,
            reading,
            mut inbox,
        } = self;
        let mut recorded = Recorded {
            consumer,
            client,
            pen: desk.pen.clone(),
            clock: desk.clock,
            positions,
            failures: 0,
        };
        while let Some(crash) = recorded.along(&mut inbox, &reading, &counts).await {
            let (client, positions) = (recorded.client, recorded.positions);
            recorded.consumer.crash();
            now.set(Now::Gone(client));
            if let Order::Crash(answer) = crash {
                let in_flight = 1;
                let _ = answer.send(Crashed { client, in_flight });
            }
            // It goes on where the other stood, as an application does that keeps its positions.
            let Some(consumer) = revived(&clients, &desk, read_committed, &mut inbox).await else {
                return;
            };
            now.set(Now::Alive(consumer.0));
            recorded = Recorded {
                consumer: consumer.1,
                client: consumer.0,
                pen: desk.pen.clone(),
                clock: desk.clock,
                positions,
                failures: 0,
            };
        }
    }
}

/// How a consumer reads along.
pub fn along(read_committed: bool) -> Reading {
    match read_committed {
        true => Reading::Committed,
        false => Reading::Everything,
    }
}

/// A fresh consumer, once one is asked for; none when the run ends first.
async fn revived<C: Clients>(
    clients: &Rc<C>,
    desk: &Desk,
    read_committed: bool,
    inbox: &mut mpsc::UnboundedReceiver<Order>,
) -> Option<(ClientId, C::Consumer)> {
    loop {
        let Order::Revive(answer) = inbox.recv().await? else {
            continue;
        };
        let client = desk.client();
        match clients.consumer(client, along(read_committed)) {
            Ok(consumer) => {
                desk.describe_reader(client, read_committed);
                let _ = answer.send(Ok(client));
                return Some((client, consumer));
            }
            Err(refused) => {
                let _ = answer.send(Err(refused));
            }
        }
    }
}

/// A consumer whose every call is recorded, with the positions that it has reached.
struct Recorded<R> {
    consumer: R,
    client: ClientId,
    pen: Pen,
    clock: Clock,
    /// The next offset of each partition.
    positions: BTreeMap<Partition, Offset>,
    /// Polls that failed since something was delivered.
    failures: u32,
}

impl<R: Consumer> Recorded<R> {
    fn invoked(&self, call: Call) -> OpId {
        booking::invoked(&self.pen, &self.clock, self.client, call)
    }

    fn returned(&self, op: OpId, reply: Reply) {
        booking::returned(&self.pen, &self.clock, op, reply);
    }

    /// Reads along until told to end; what it is told otherwise cuts its poll short.
    async fn along(
        &mut self,
        inbox: &mut mpsc::UnboundedReceiver<Order>,
        reading: &Cell<bool>,
        counts: &Cell<Counts>,
    ) -> Option<Order> {
        self.assign().await;
        while reading.get() {
            let op = self.invoked(Call::Poll);
            let reply = tokio::select! {
                biased;
                // Closed when the run ends: then the poll goes on to its end.
                Some(order) = inbox.recv() => {
                    let why = Why::new("the client crashed");
                    self.returned(op, Reply::Polled(Outcome::Unknown(why)));
                    return Some(order);
                }
                reply = self.consumer.poll(ALONG_MAX, POLL) => reply,
            };
            if let Some(delivered) = self.polled(op, reply) {
                let mut all = counts.get();
                all.delivered += delivered;
                counts.set(all);
                // A consumer that never has to wait would starve everybody else.
                tokio::task::yield_now().await;
            } else {
                self.resume().await;
            }
        }
        None
    }

    async fn assign(&mut self) {
        let from: Vec<(Partition, Offset)> = self
            .positions
            .iter()
            .map(|(p, o)| (p.clone(), *o))
            .collect();
        let op = self.invoked(Call::Assign { from: from.clone() });
        let outcome = self.consumer.assign(&from).await;
        self.returned(op, Reply::Assigned(outcome));
    }

    /// One poll: how many records came, or nothing when it failed.
    async fn poll(&mut self, max: usize, within: Duration) -> Option<u64> {
        let op = self.invoked(Call::Poll);
        let reply = self.consumer.poll(max, within).await;
        self.polled(op, reply)
    }

    /// Records what a poll brought: how many records, or nothing when it failed.
    fn polled(&mut self, op: OpId, reply: Reply) -> Option<u64> {
        let came = match &reply {
            Reply::Polled(Outcome::Ok(deliveries)) => {
                advance(&mut self.positions, deliveries);
                if !deliveries.is_empty() {
                    self.failures = 0;
                }
                Some(deliveries.len() as u64)
            }
            Reply::Polled(Outcome::Failed(_) | Outcome::Unknown(_)) => {
                self.failures += 1;
                None
            }
            Reply::Sent(_) | Reply::Assigned(_) | Reply::Done(_) => {
                panic!("{op}: {reply:?} does not answer a poll")
            }
        };
        self.returned(op, reply);
        came
    }

    /// Behind the last record there may be markers of transactions, which nobody is given.
    fn pass_ends(&mut self) {
        for (partition, end) in self.consumer.ends() {
            if let Some(position) = self.positions.get_mut(&partition) {
                *position = end.max(*position);
            }
        }
    }

    /// After a failed poll: asks again where it stood, and if that fails at once, from the start of
    /// the logs. A position may have gone for good: a log may end before it.
    async fn resume(&mut self) {
        sleep(PAUSE * self.failures.clamp(1, 8)).await;
        if self.failures > 1 {
            self.positions.values_mut().for_each(|at| *at = Offset(0));
        }
        self.assign().await;
    }
}

fn advance(positions: &mut BTreeMap<Partition, Offset>, deliveries: &[Delivery]) {
    for run in deliveries.chunk_by(|a, b| a.partition == b.partition) {
        if let Some(last) = run.last()
            && let Some(position) = positions.get_mut(&last.partition)
        {
            *position = Offset(last.offset.0 + 1);
        }
    }
}

/// How far a drain came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// The next offset of each partition.
    pub reached: BTreeMap<Partition, Offset>,
    /// Whether every partition was read to the end that was asked for.
    pub complete: bool,
    /// Records delivered, over all partitions.
    pub records: u64,
}

/// Reads partitions with a fresh consumer, each from its first offset until it has reached its
/// second (the end, exclusive), or until the time is up.
///
/// # Errors
/// When the client library refuses the consumer.
pub async fn drain<C: Clients>(
    clients: &C,
    client: ClientId,
    partitions: &[(Partition, Offset, Offset)],
    pen: &Pen,
    clock: &Clock,
    within: Duration,
) -> Result<Drained, OpenError> {
    let ends = clock.mark() + within;
    let mut recorded = Recorded {
        consumer: clients.consumer(client, Reading::ToTheEnd)?,
        client,
        pen: pen.clone(),
        clock: *clock,
        positions: partitions
            .iter()
            .map(|(p, from, _)| (p.clone(), *from))
            .collect(),
        failures: 0,
    };
    let at_end = |positions: &BTreeMap<Partition, Offset>| {
        let reached = |(p, _, end): &(Partition, Offset, Offset)| positions.get(p) >= Some(end);
        partitions.iter().all(reached)
    };
    let mut records = 0;
    if !at_end(&recorded.positions) {
        recorded.assign().await;
    }
    while !at_end(&recorded.positions) && clock.mark() < ends {
        let left = ends.since(clock.mark());
        match recorded.poll(DRAIN_MAX, POLL.min(left)).await {
            Some(delivered) => {
                records += delivered;
                recorded.pass_ends();
            }
            None => recorded.resume().await,
        }
        tokio::task::yield_now().await;
    }
    Ok(Drained {
        complete: at_end(&recorded.positions),
        reached: recorded.positions,
        records,
    })
}
