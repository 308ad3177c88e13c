//! A producer's transactions: begun, kept open for a while, committed or aborted, one after another.
//!
//! Which are aborted and how long each is open follows from the client's id alone. A transaction
//! with a send that was not acknowledged is aborted, as an application would.

use std::time::Duration;

use history::{Call, ClientId, Mark, Reply};
use plan::{Rate, Seed, Stream};
use tokio::time::sleep;

use super::booking;
use super::sending::Sender;
use crate::client::{Clients, Producer, Then, Transact, Transacted};

/// Between two attempts at the same step.
pub const PAUSE: Duration = Duration::from_millis(100);
/// For one attempt; what takes longer is of unknown outcome and tried again.
pub const ATTEMPT: Duration = Duration::from_secs(5);
/// Bounds of how long a transaction takes records.
const OPEN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(400));
/// One of so many is aborted.
pub const ABORTED: u64 = 5;

/// Where a producer stands between two transactions or in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not registered with its coordinator.
    Fresh,
    /// No transaction is open.
    Ready,
    /// One is; it takes no more from then on, and is committed then or aborted.
    Open { full: Mark, commit: bool },
    /// One is, and can only be aborted.
    Spoilt,
}

/// The transactions of one producer handle.
#[derive(Debug)]
pub struct Transactions {
    state: State,
    chance: Stream,
}

impl Transactions {
    /// Of a producer that was just opened.
    pub fn of(client: ClientId) -> Self {
        Self {
            state: State::Fresh,
            chance: Seed(0).stream(&format!("transactions of {client}")),
        }
    }

    /// Whether records may be handed over now.
    pub fn takes(&self, now: Mark) -> bool {
        matches!(self.state, State::Open { full, .. } if now < full)
    }

    /// A send was not acknowledged.
    pub fn spoil(&mut self) {
        if matches!(self.state, State::Open { .. }) {
            self.state = State::Spoilt;
        }
    }
}

impl<C: Clients> Sender<C> {
    /// Takes the next step of the transactions, where one is due.
    pub(super) async fn step(&mut self) {
        let Some(transactions) = &self.transactions else {
            return;
        };
        let now = self.desk.clock.mark();
        let idle = matches!(self.load.rate, Rate::OnDemand) && self.asked.is_empty();
        match transactions.state {
            State::Fresh => self.register().await,
            State::Ready if !idle => self.begin().await,
            State::Open { full, .. } if now < full => {}
            State::Open { .. } | State::Spoilt if self.in_flight == 0 => {
                if self.end().await == Then::Dead {
                    self.bury_and_reopen().await;
                }
            }
            State::Ready | State::Open { .. } | State::Spoilt => {}
        }
    }

    /// Makes itself known to its coordinator, which ends what an earlier holder of its name left.
    async fn register(&mut self) {
        match self.transact(Transact::Register).await.then {
            Then::GoOn => self.now_is(State::Ready),
            Then::Again | Then::Abort => sleep(PAUSE).await,
            Then::Dead => self.bury_and_reopen().await,
        }
    }

    async fn begin(&mut self) {
        let begun = self.recorded(Call::Begin, Transact::Begin).await;
        let now = self.desk.clock.mark();
        match begun.then {
            Then::GoOn => {
                let Some(transactions) = &mut self.transactions else {
                    return;
                };
                let full = now + transactions.chance.duration(OPEN);
                let commit = transactions.chance.below(ABORTED) != 0;
                transactions.state = State::Open { full, commit };
            }
            Then::Again => sleep(PAUSE).await,
            Then::Abort => self.now_is(State::Spoilt),
            Then::Dead => self.bury_and_reopen().await,
        }
    }

    /// One attempt to end the open transaction.
    async fn end(&mut self) -> Then {
        let state = self.transactions.as_ref().map(|it| it.state);
        let commit = matches!(state, Some(State::Open { commit: true, .. }));
        let ended = self.recorded(Call::End { commit }, Transact::End { commit });
        match ended.await.then {
            Then::GoOn => {
                self.now_is(State::Ready);
                Then::GoOn
            }
            Then::Again => {
                sleep(PAUSE).await;
                Then::Again
            }
            Then::Abort if commit => {
                self.now_is(State::Spoilt);
                Then::Again
            }
            // Not even that: its transaction is left to the coordinator.
            Then::Abort | Then::Dead => Then::Dead,
        }
    }

    /// A producer in the place of one that is of no more use. Its transaction stays open until the
    /// next one registers, by the same name.
    async fn bury_and_reopen(&mut self) {
        sleep(PAUSE).await;
        self.reopen().await;
    }

    /// Ends what is open before the producer ends, for at most `within`. What is not ended then is
    /// the coordinator's to abort.
    pub(super) async fn close(&mut self, within: Duration) {
        let until = self.desk.clock.mark() + within;
        let open = |transactions: &Transactions| {
            matches!(transactions.state, State::Open { .. } | State::Spoilt)
        };
        while self.producer.is_some()
            && self.transactions.as_ref().is_some_and(open)
            && self.desk.clock.mark() < until
        {
            if self.end().await == Then::Dead {
                return;
            }
        }
    }

    async fn recorded(&mut self, call: Call, step: Transact) -> Transacted {
        let op = booking::invoked(&self.desk.pen, &self.desk.clock, self.client, call);
        let done = self.transact(step).await;
        let reply = Reply::Done(done.outcome.clone());
        booking::returned(&self.desk.pen, &self.desk.clock, op, reply);
        done
    }

    async fn transact(&mut self, step: Transact) -> Transacted {
        match &mut self.producer {
            Some(producer) => producer.transact(step, ATTEMPT).await,
            None => Transacted::dead("closed"),
        }
    }

    fn now_is(&mut self, state: State) {
        if let Some(transactions) = &mut self.transactions {
            transactions.state = state;
        }
    }
}
