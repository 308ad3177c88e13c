//! A producer that copies: a member of a group reads another topic, sends each record on, and commits
//! its offsets in the transaction of its sends (KIP-98, KIP-447). Each transaction holds what one poll
//! brought, one in five is aborted at its end, and every poll lies in one: what an aborted one had
//! read is to be read again.
//!
//! What may come in between, and what an application does then:
//!
//! - A send or the offsets are not taken: the transaction is aborted, and the consumer goes back to
//!   where the transaction began to read. It goes by what it knows itself. Where its group stands it
//!   asks the cluster only when it joins, so that a cluster that has forgotten offsets is not excused
//!   by a consumer that asked for them.
//! - The group takes partitions away while their records are read: aborted, and of these nothing is
//!   read again. One that the group dropped without its knowledge is refused by its coordinator: the
//!   offsets name the generation in which the records were read.
//! - Whether a transaction was committed cannot be learned any more, or the producer is fenced: both
//!   are opened anew, under another id. The next producer of that name ends what is open, and only
//!   then its consumer joins and asks for the offsets.
//! - Nothing is there to be read: the transaction ends after a second, empty.
//! - The load stops: the open transaction is ended in order, within the time that there is.
//!
//! It decides nothing about what was read or written, and does not know whether a fault is in force.

mod hands;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use history::{Call, Delivery, Offset, Outcome, Partition, Reply, Topic};
use plan::{Group, Load, Seed};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::booking::{handed_over, records_to};
use super::crash::{Crashed, Now, Order};
use super::sending::{Ask, transactional_id};
use super::transacting::{ABORTED, ATTEMPT, PAUSE};
use super::{Counts, Desk};
use crate::client::{Clients, Member, OpenError, Producer, Then, Transact};
use hands::Hands;

/// Records asked for in one poll, at most.
const MOST: usize = 500;
/// How long one poll waits for records.
const POLL: Duration = Duration::from_millis(500);
/// How long a transaction waits for records.
const IDLE: Duration = Duration::from_secs(1);
/// How much longer than a record may take a producer may take to say so.
const GRACE: Duration = Duration::from_secs(2);

/// What a copier copies, and what it shares with others.
pub struct Copier<C: Clients> {
    pub clients: Rc<C>,
    pub topic: Topic,
    pub source: Topic,
    pub group: Group,
    pub load: Load,
    /// Of its own topic.
    pub partitions: Vec<Partition>,
    /// Which of how many handles of its topic this is.
    pub share: (u32, u32),
    pub counts: Rc<Cell<Counts>>,
    pub desk: Desk,
    pub now: Rc<Cell<Now>>,
}

/// What one poll brought, and what the group took away meanwhile.
#[derive(Default)]
struct Read {
    records: Vec<Delivery>,
    taken: Vec<Partition>,
}

impl<C: Clients> Copier<C> {
    /// Opens a producer and a consumer under a new id. They ask nothing of the cluster yet.
    pub fn open(&self) -> Result<Hands<C>, OpenError> {
        let client = self.desk.client();
        let name = transactional_id(&self.topic, &self.load, self.share);
        let producer = self.clients.producer(client, &self.load, name.as_deref())?;
        let member = self.clients.member(client, &self.group, true)?;
        self.desk.describe(client, &self.topic, &self.load, name);
        self.desk.describe_member(client, &self.group, true);
        self.now.set(Now::Alive(client));
        Ok(Hands {
            client,
            producer,
            member,
            ready: false,
            in_flight: 0,
            open: None,
            desk: self.desk.clone(),
            counts: Rc::clone(&self.counts),
            chance: Seed(0).stream(&format!("transactions of {client}")),
        })
    }

    /// Copies until it is told to stop, or nobody is left who could tell it.
    pub async fn run(self, mut hands: Hands<C>, mut inbox: mpsc::UnboundedReceiver<Ask>) {
        loop {
            let crash = self.until_told(&mut hands, &mut inbox).await;
            let Some(answer) = crash else {
                hands.ended("the run ended");
                return hands.member.leave();
            };
            let crashed = hands.ended("the client crashed");
            hands.member.crash();
            self.now.set(Now::Gone(crashed.client));
            // Nobody waits for the answer any more when the run ends meanwhile.
            let _ = answer.send(crashed);
            let Some(fresh) = self.revived(&mut inbox).await else {
                return;
            };
            hands = fresh;
        }
    }

    /// Works until it is told to stop and has ended in order, or the time for that is over; or until
    /// it is told to crash.
    async fn until_told(
        &self,
        hands: &mut Hands<C>,
        inbox: &mut mpsc::UnboundedReceiver<Ask>,
    ) -> Option<oneshot::Sender<Crashed>> {
        let stopping = Cell::new(false);
        let mut until = Instant::now();
        let mut work = pin!(self.work(hands, &stopping));
        loop {
            tokio::select! {
                biased;
                ask = inbox.recv(), if !stopping.get() => match ask {
                    Some(Ask::Order(Order::Crash(answer))) => return Some(answer),
                    // Nobody is missing in this place.
                    Some(Ask::Order(Order::Revive(_))) => {}
                    Some(Ask::Send { partition, .. }) => {
                        unreachable!("{partition} is only copied to: plans are checked for that")
                    }
                    Some(Ask::Stop { within }) => {
                        stopping.set(true);
                        until = Instant::now() + within;
                    }
                    None => {
                        stopping.set(true);
                        until = Instant::now();
                    }
                },
                () = &mut work => return None,
                () = sleep_until(until), if stopping.get() => return None,
            }
        }
    }

    async fn revived(&self, inbox: &mut mpsc::UnboundedReceiver<Ask>) -> Option<Hands<C>> {
        loop {
            match inbox.recv().await? {
                Ask::Order(Order::Revive(answer)) => match self.open() {
                    Ok(fresh) => {
                        let _ = answer.send(Ok(fresh.client));
                        return Some(fresh);
                    }
                    Err(refused) => {
                        let _ = answer.send(Err(refused));
                    }
                },
                Ask::Stop { .. } => return None,
                Ask::Order(Order::Crash(_)) | Ask::Send { .. } => {}
            }
        }
    }

    /// One transaction after another. Whatever is dropped in here has lost nothing: what is open
    /// stands in `hands`.
    async fn work(&self, hands: &mut Hands<C>, stopping: &Cell<bool>) {
        while !stopping.get() {
            match self.turn(hands, stopping).await {
                Then::GoOn => {}
                Then::Again | Then::Abort => sleep(PAUSE).await,
                Then::Dead if stopping.get() => return,
                Then::Dead => self.anew(hands).await,
            }
        }
    }

    /// One transaction; dead when its end is not known, or both clients are of no more use.
    async fn turn(&self, hands: &mut Hands<C>, stopping: &Cell<bool>) -> Then {
        if !hands.ready {
            match self.join(hands).await {
                Then::GoOn => hands.ready = true,
                other => return other,
            }
        }
        let begin = hands.step(Call::Begin, Transact::Begin).await;
        let mut read = Read::default();
        let then = match begin {
            Then::GoOn => {
                read = self.read(hands, stopping).await;
                self.copy(hands, &read).await
            }
            Then::Again => return Then::Again,
            other => other,
        };
        let commit = match then {
            Then::GoOn => read.records.is_empty() || hands.chance.below(ABORTED) != 0,
            Then::Again | Then::Abort => false,
            Then::Dead => return Then::Dead,
        };
        match self.end(hands, commit).await {
            Some(true) => Then::GoOn,
            Some(false) => self.go_back(hands, &read).await,
            None => Then::Dead,
        }
    }

    /// Makes the producer known to its coordinator, which ends what an earlier holder of its name left;
    /// then joins the group.
    async fn join(&self, hands: &mut Hands<C>) -> Then {
        let known = hands.producer.transact(Transact::Register, ATTEMPT).await;
        if known.then != Then::GoOn {
            return known.then;
        }
        let topics = vec![self.source.clone()];
        let call = Call::Subscribe {
            topics: topics.clone(),
        };
        let op = hands.invoked(call);
        let joined = hands.member.subscribe(&topics).await;
        let done = matches!(joined, Outcome::Ok(()));
        hands.returned(op, Reply::Done(joined));
        match done {
            true => Then::GoOn,
            false => Then::Dead,
        }
    }

    /// Polls until something comes, for a second at most.
    async fn read(&self, hands: &mut Hands<C>, stopping: &Cell<bool>) -> Read {
        let until = self.desk.clock.mark() + IDLE;
        loop {
            let op = hands.invoked(Call::Poll);
            let left = until.since(self.desk.clock.mark());
            let reply = hands.member.poll(MOST, POLL.min(left)).await;
            // What the group did during the poll is told before what the poll brought.
            let taken = hands.moved();
            let records = match &reply {
                Reply::Polled(Outcome::Ok(records)) => Some(records.clone()),
                _ => None,
            };
            hands.returned(op, reply);
            match records {
                Some(records) if !records.is_empty() => return Read { records, taken },
                Some(_) => {}
                None => sleep(PAUSE).await,
            }
            if stopping.get() || self.desk.clock.mark() >= until {
                return Read::default();
            }
        }
    }

    /// Sends what was read on, then commits how far that was; abort, where anything of it is in doubt.
    async fn copy(&self, hands: &mut Hands<C>, read: &Read) -> Then {
        if read.records.is_empty() {
            return Then::GoOn;
        }
        if !read.taken.is_empty() {
            return Then::Abort;
        }
        match self.send(hands, &read.records).await {
            Then::GoOn => {}
            other => return other,
        }
        let next = read.records.iter();
        let next = next.map(|it| (it.partition.clone(), Offset(it.offset.0 + 1)));
        let next: BTreeMap<Partition, Offset> = next.collect();
        let Some(standing) = hands.member.standing().await else {
            return Then::Abort;
        };
        let offsets: Vec<(Partition, Offset)> = next.into_iter().collect();
        let call = Call::Commit {
            offsets: offsets.clone(),
        };
        let op = hands.invoked(call);
        let producer = &mut hands.producer;
        let sent = producer.send_offsets(&offsets, standing, ATTEMPT).await;
        hands.returned(op, Reply::Done(sent.outcome));
        sent.then
    }

    /// Sends a record for each that was read, into the partition of the same number.
    async fn send(&self, hands: &mut Hands<C>, read: &[Delivery]) -> Then {
        let to = |it: &Delivery| {
            let index = it.partition.index as usize % self.partitions.len();
            self.partitions[index].clone()
        };
        let records = records_to(read.iter().map(to), &self.desk);
        handed_over(&self.desk, &self.counts, hands.client, &records);
        hands.in_flight += records.len();
        hands.producer.submit(&records);
        let until = Instant::now() + self.load.delivery_timeout + GRACE;
        let mut then = Then::GoOn;
        while hands.in_flight > 0 {
            let Ok(batch) = timeout_at(until, hands.producer.completions()).await else {
                return Then::Dead;
            };
            if batch.iter().any(|it| !matches!(it.outcome, Outcome::Ok(_))) {
                then = Then::Abort;
            }
            hands.back(batch);
        }
        match hands.producer.is_dead() {
            true => Then::Dead,
            false => then,
        }
    }

    /// Ends the open transaction: whether it is committed; nothing when nobody can tell.
    async fn end(&self, hands: &mut Hands<C>, committed: bool) -> Option<bool> {
        let mut commit = committed;
        loop {
            let ended = hands.step(Call::End { commit }, Transact::End { commit });
            match ended.await {
                // The commit before this abort may have been carried out.
                Then::GoOn if commit != committed => return None,
                Then::GoOn => return Some(commit),
                Then::Again => sleep(PAUSE).await,
                Then::Abort if commit => commit = false,
                Then::Abort | Then::Dead => return None,
            }
        }
    }

    /// Goes back to where an aborted transaction began to read, in what is still its own.
    async fn go_back(&self, hands: &mut Hands<C>, read: &Read) -> Then {
        let mut began: BTreeMap<Partition, Offset> = BTreeMap::new();
        for it in &read.records {
            if !read.taken.contains(&it.partition) {
                began.entry(it.partition.clone()).or_insert(it.offset);
            }
        }
        if began.is_empty() {
            return Then::GoOn;
        }
        let to: Vec<(Partition, Offset)> = began.into_iter().collect();
        let op = hands.invoked(Call::Seek { to: to.clone() });
        let sought = hands.member.seek(&to).await;
        let done = matches!(sought, Outcome::Ok(()));
        hands.returned(op, Reply::Done(sought));
        match done {
            true => Then::GoOn,
            false => Then::Dead,
        }
    }

    /// Opens both clients anew, under another id. What their transaction was is ended when the next
    /// producer of that name becomes known.
    async fn anew(&self, hands: &mut Hands<C>) {
        let until = Instant::now() + GRACE;
        while hands.in_flight > 0
            && let Ok(batch) = timeout_at(until, hands.producer.completions()).await
        {
            hands.back(batch);
        }
        sleep(PAUSE).await;
        match self.open() {
            Ok(fresh) => {
                let mut old = std::mem::replace(hands, fresh);
                old.ended("the producer was given up");
                old.member.leave();
            }
            // The old ones go on saying why.
            Err(_) => sleep(PAUSE).await,
        }
    }
}
