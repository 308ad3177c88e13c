//! One producer handle: hands records to the library as they fall due, and records what came back.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use history::{ClientId, Mark, OpId, Outcome, Partition, SendAck, Topic};
use plan::{Load, Rate};
use rustc_hash::FxHashMap;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::booking::{came_back, handed_over, records_to};
use super::crash::{Crashed, Now, Order};
use super::transacting::Transactions;
use super::{Counts, Desk, Sent};
use crate::client::{Clients, Completion, OpenError, Producer, Record};

/// Records in flight at most for one producer; below what the library's queue holds.
pub const IN_FLIGHT_MAX: usize = 50_000;

/// Records handed over at once, at most.
const CHUNK: usize = 500;

/// How often due records are handed out.
const TICK: Duration = Duration::from_millis(5);

/// How much of a backlog is caught up after the runtime was held up; the rest is forgone, so that
/// a hiccup does not turn into a burst.
const CATCH_UP: Duration = Duration::from_secs(1);

/// How long a producer that the library gave up may take to give its records back.
const BURIAL: Duration = Duration::from_secs(2);

/// What a sender is asked from outside.
pub enum Ask {
    /// Send so many records to a partition.
    Send {
        partition: Partition,
        count: u32,
        progress: Rc<Progress>,
    },
    /// Crash, or come back.
    Order(Order),
    /// Finish and end.
    Stop { within: Duration },
}

impl From<Order> for Ask {
    fn from(order: Order) -> Self {
        Ask::Order(order)
    }
}

/// How far an asked send has come.
pub struct Progress {
    asked: u32,
    sent: Cell<Sent>,
    done: Notify,
}

impl Progress {
    /// Nothing of `asked` records has an outcome yet.
    pub fn of(asked: u32) -> Self {
        Self {
            asked,
            sent: Cell::default(),
            done: Notify::new(),
        }
    }

    fn settled(&self) -> u32 {
        let sent = self.sent.get();
        sent.acked + sent.failed + sent.unknown
    }

    /// Waits until every record has an outcome.
    pub async fn done(&self) {
        while self.settled() < self.asked {
            self.done.notified().await;
        }
    }

    /// Outcomes so far; records without one count as unknown.
    pub fn so_far(&self) -> Sent {
        let mut sent = self.sent.get();
        sent.unknown += self.asked - self.settled();
        sent
    }

    fn settle(&self, outcome: &Outcome<SendAck>) {
        let mut sent = self.sent.get();
        match outcome {
            Outcome::Ok(_) => sent.acked += 1,
            Outcome::Failed(_) => sent.failed += 1,
            Outcome::Unknown(_) => sent.unknown += 1,
        }
        self.sent.set(sent);
        if self.settled() == self.asked {
            self.done.notify_one();
        }
    }
}

/// One producer handle and what it still has to do.
pub struct Sender<C: Clients> {
    clients: Rc<C>,
    topic: Topic,
    pub(super) load: Load,
    partitions: Vec<Partition>,
    /// Which of how many handles of its topic this is.
    share: (u32, u32),
    counts: Rc<Cell<Counts>>,
    pub(super) desk: Desk,
    inbox: mpsc::UnboundedReceiver<Ask>,
    /// None after a crash, until it is revived.
    pub(super) producer: Option<C::Producer>,
    pub(super) client: ClientId,
    now: Rc<Cell<Now>>,
    /// None where sends stand alone.
    pub(super) transactions: Option<Transactions>,
    pub(super) in_flight: usize,
    /// The next partition's turn.
    turn: usize,
    /// Records that fell due and were handed out or forgone.
    handed: u64,
    began: Mark,
    /// Asked sends that are not yet handed over.
    pub(super) asked: VecDeque<(Partition, u32, Rc<Progress>)>,
    /// Asked sends in flight.
    awaited: FxHashMap<OpId, Rc<Progress>>,
}

impl<C: Clients> Sender<C> {
    /// Opens the handle.
    pub fn open(
        clients: &Rc<C>,
        topic: &Topic,
        load: &Load,
        (counts, partitions, share): (Rc<Cell<Counts>>, Vec<Partition>, (u32, u32)),
        desk: Desk,
        inbox: mpsc::UnboundedReceiver<Ask>,
    ) -> Result<Self, OpenError> {
        let client = desk.client();
        let transactional_id = transactional_id(topic, load, share);
        let producer = clients.producer(client, load, transactional_id.as_deref())?;
        let transactions = transactional_id.as_ref().map(|_| Transactions::of(client));
        desk.describe(client, topic, load, transactional_id);
        Ok(Self {
            clients: Rc::clone(clients),
            topic: topic.clone(),
            load: load.clone(),
            turn: share.0 as usize,
            partitions,
            share,
            counts,
            began: desk.clock.mark(),
            desk,
            inbox,
            producer: Some(producer),
            client,
            now: Rc::new(Cell::new(Now::Alive(client))),
            transactions,
            in_flight: 0,
            handed: 0,
            asked: VecDeque::new(),
            awaited: FxHashMap::default(),
        })
    }

    /// Who is behind this handle, kept up to date.
    pub fn now(&self) -> Rc<Cell<Now>> {
        Rc::clone(&self.now)
    }

    /// Works until it is told to stop, or nobody is left who could tell it.
    pub async fn run(mut self) {
        self.began = self.desk.clock.mark();
        let mut tick = ticks();
        let within = loop {
            if self.producer.is_some() {
                self.step().await;
            }
            let alive = self.producer.is_some();
            let open = self.takes();
            let room = alive && open && self.in_flight < IN_FLIGHT_MAX;
            // Between transactions the ticks go on: it is they that begin and end them.
            let ticking = alive
                && (self.transactions.is_some() || matches!(self.load.rate, Rate::PerSecond(_)));
            let greedy = alive
                && open
                && matches!(self.load.rate, Rate::Max)
                && self.in_flight + CHUNK <= IN_FLIGHT_MAX;
            tokio::select! {
                biased;
                ask = self.inbox.recv() => match ask {
                    Some(Ask::Send { partition, count, progress }) => {
                        self.asked.push_back((partition, count, progress));
                    }
                    Some(Ask::Order(Order::Crash(answer))) => {
                        // Nobody waits for the answer any more when the run ends meanwhile.
                        let _ = answer.send(self.crash());
                    }
                    Some(Ask::Order(Order::Revive(answer))) => {
                        let _ = answer.send(self.revive());
                    }
                    Some(Ask::Stop { within }) => break within,
                    None => break Duration::ZERO,
                },
                batch = completions(&mut self.producer), if self.in_flight > 0 => {
                    self.returned(batch);
                }
                _ = tick.tick(), if ticking => if self.takes() {
                    self.hand_out_due();
                },
                () = tokio::task::yield_now(), if room && !self.asked.is_empty() => {
                    self.hand_out_asked();
                }
                () = tokio::task::yield_now(), if greedy => self.hand_out(CHUNK),
            }
            if self.producer.as_ref().is_some_and(Producer::is_dead) {
                self.reopen().await;
            }
        };
        self.finish(within).await;
        self.close(within).await;
    }

    /// Whether records may be handed over now.
    fn takes(&self) -> bool {
        let now = self.desk.clock.mark();
        self.transactions.as_ref().is_none_or(|it| it.takes(now))
    }

    async fn finish(&mut self, within: Duration) {
        if let Some(producer) = &mut self.producer {
            let last = producer.finish(within).await;
            self.returned(last);
        }
        assert_eq!(
            self.in_flight, 0,
            "{}: a finished producer still owes completions",
            self.client
        );
    }

    /// Does what an application does with a handle that the library gave up: opens another.
    pub(super) async fn reopen(&mut self) {
        self.finish(BURIAL).await;
        // If no other can be had, the dead handle's refusals go on saying so.
        let _refused = self.open_another();
    }

    fn open_another(&mut self) -> Result<ClientId, OpenError> {
        let client = self.desk.client();
        let name = transactional_id(&self.topic, &self.load, self.share);
        let producer = self.clients.producer(client, &self.load, name.as_deref())?;
        self.transactions = name.as_ref().map(|_| Transactions::of(client));
        self.desk.describe(client, &self.topic, &self.load, name);
        (self.producer, self.client) = (Some(producer), client);
        self.now.set(Now::Alive(client));
        Ok(client)
    }

    fn crash(&mut self) -> Crashed {
        let mut crashed = Crashed {
            client: self.client,
            in_flight: 0,
        };
        if let Some(mut producer) = self.producer.take() {
            let last = producer.crash();
            let unknown = |it: &&Completion| matches!(it.outcome, Outcome::Unknown(_));
            crashed.in_flight = last.iter().filter(unknown).count() as u64;
            self.returned(last);
        }
        self.now.set(Now::Gone(self.client));
        crashed
    }

    /// What fell due meanwhile is forgone: nobody was there to send it.
    fn revive(&mut self) -> Result<ClientId, OpenError> {
        let client = self.open_another()?;
        if let Rate::PerSecond(rate) = self.load.rate {
            let elapsed = self.desk.clock.mark().since(self.began);
            self.handed = share_of(records(rate, elapsed), self.share);
        }
        Ok(client)
    }

    /// Hands out what has fallen due since the last time, this handle's share of it.
    fn hand_out_due(&mut self) {
        let Rate::PerSecond(rate) = self.load.rate else {
            return;
        };
        let elapsed = self.desk.clock.mark().since(self.began);
        let due = share_of(records(rate, elapsed), self.share);
        let most = records(rate, CATCH_UP).max(1) as usize;
        let count = ((due - self.handed) as usize)
            .min(most)
            .min(IN_FLIGHT_MAX.saturating_sub(self.in_flight));
        self.handed = due;
        self.hand_out(count);
    }

    /// Hands out `count` records, the partitions in turn.
    fn hand_out(&mut self, count: usize) {
        let (partitions, first) = (&self.partitions, self.turn);
        let targets =
            (first..first + count).map(|turn| partitions[turn % partitions.len()].clone());
        let records = records_to(targets, &self.desk);
        self.turn = (first + count) % self.partitions.len();
        self.submit(&records);
    }

    /// Hands out a chunk of what was asked for first.
    fn hand_out_asked(&mut self) {
        let Some((partition, count, progress)) = self.asked.pop_front() else {
            return;
        };
        let now = (count as usize)
            .min(CHUNK)
            .min(IN_FLIGHT_MAX.saturating_sub(self.in_flight));
        let records = records_to(std::iter::repeat_n(partition.clone(), now), &self.desk);
        for record in &records {
            self.awaited.insert(record.op, Rc::clone(&progress));
        }
        let rest = count - now as u32;
        if rest > 0 {
            self.asked.push_front((partition, rest, progress));
        }
        self.submit(&records);
    }

    /// Records, then hands over.
    fn submit(&mut self, records: &[Record]) {
        if records.is_empty() {
            return;
        }
        handed_over(&self.desk, &self.counts, self.client, records);
        self.in_flight += records.len();
        if let Some(producer) = &mut self.producer {
            producer.submit(records);
        }
    }

    /// Records what came back.
    fn returned(&mut self, batch: Vec<Completion>) {
        self.in_flight -= batch.len();
        for Completion { op, outcome, .. } in &batch {
            if let Some(transactions) = &mut self.transactions
                && !matches!(outcome, Outcome::Ok(_))
            {
                transactions.spoil();
            }
            if !self.awaited.is_empty()
                && let Some(progress) = self.awaited.remove(op)
            {
                progress.settle(outcome);
            }
        }
        came_back(&self.desk, &self.counts, batch);
    }
}

/// The name by which a handle's transactions are known to their coordinator, whoever is behind it.
pub fn transactional_id(topic: &Topic, load: &Load, (index, _): (u32, u32)) -> Option<String> {
    load.transactional
        .then(|| format!("tidemark-{topic}-{index}"))
}

async fn completions<P: Producer>(producer: &mut Option<P>) -> Vec<Completion> {
    match producer {
        Some(producer) => producer.completions().await,
        None => std::future::pending().await,
    }
}

fn ticks() -> Interval {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Records that fall due in a time.
fn records(per_second: u32, elapsed: Duration) -> u64 {
    (u128::from(per_second) * elapsed.as_nanos() / 1_000_000_000) as u64
}

/// One handle's share of what is due to all, dealt out in turn; the shares add up to `due`.
fn share_of(due: u64, (index, handles): (u32, u32)) -> u64 {
    (due + u64::from(handles - 1 - index)) / u64::from(handles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_are_dealt_in_turn() {
        for due in 0..20 {
            let shares: Vec<u64> = (0..3).map(|index| share_of(due, (index, 3))).collect();
            assert_eq!(shares.iter().sum::<u64>(), due);
            assert!(
                shares.is_sorted_by(|a, b| a >= b && a - b <= 1),
                "{shares:?}"
            );
        }
        assert_eq!(records(2000, Duration::from_millis(1234)), 2468);
    }
}
