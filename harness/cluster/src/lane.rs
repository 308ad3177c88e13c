//! Lanes: one OS thread with one SSH session each, so that a long copy never delays a fault.
//!
//! libssh2 locks a whole session while any channel of it waits; therefore lanes, and never one
//! session for two threads. A lane does one order after another and decides nothing.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::ssh::{Route, Seat, sit_down};
use crate::ssh_exec::{Done, Failure, Order, exec};

/// An idle session is spoken to this often, so that firewalls remember it.
const IDLE: Duration = Duration::from_secs(15);

type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// The asking side of a lane. The thread ends when every handle is gone.
#[derive(Debug)]
pub(crate) struct LaneHandle {
    jobs: Sender<Job>,
}

/// The thread's side: a session that is opened when it is first needed, and again when it died.
pub(crate) struct Worker {
    route: Route,
    seat: Option<Seat>,
}

impl LaneHandle {
    /// Starts the thread; nothing is connected yet.
    pub fn open(route: Route, name: &str) -> Result<Self, String> {
        let (jobs, inbox) = channel::<Job>();
        let name = format!("{}-{name}", route.node);
        std::thread::Builder::new()
            .name(name)
            .spawn(move || serve(&mut Worker { route, seat: None }, &inbox))
            .map_err(|e| format!("no thread for an SSH session: {e}"))?;
        Ok(Self { jobs })
    }

    /// Has `work` done on the lane's thread. Dropping the future stops the work: the question
    /// handed to `work` answers whether anybody still waits.
    pub async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker, &dyn Fn() -> bool) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            if reply.is_closed() {
                return;
            }
            let done = work(worker, &|| reply.is_closed());
            // Whoever asked may be gone by now; then nobody wants the answer.
            let _unheard = reply.send(done);
        });
        let gone = || "the thread of this SSH session ended unexpectedly".to_owned();
        self.jobs.send(job).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn serve(worker: &mut Worker, inbox: &Receiver<Job>) {
    loop {
        match inbox.recv_timeout(IDLE) {
            Ok(job) => job(worker),
            Err(RecvTimeoutError::Timeout) => worker.keep_alive(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Worker {
    /// Connects, unless that was done.
    pub fn sit(&mut self) -> Result<(), String> {
        if self.seat.is_none() {
            self.seat = Some(sit_down(&self.route)?);
        }
        Ok(())
    }

    /// Runs an order. A session that died while it was idle is replaced once; an order that may
    /// have started is never given twice.
    pub fn run(&mut self, mut order: Order<'_>) -> Result<Done, String> {
        let mut fresh = self.seat.is_none();
        loop {
            self.sit()?;
            let Some(seat) = &self.seat else {
                return Err("no SSH session".to_owned());
            };
            let again = Order {
                words: order.words.clone(),
                stdin: order
                    .stdin
                    .as_mut()
                    .map(|(from, size)| (&mut **from as &mut dyn std::io::Read, *size)),
                stdout: &mut *order.stdout,
                deadline: order.deadline,
                cancelled: order.cancelled,
            };
            match exec(seat, again) {
                Ok(done) => return Ok(done),
                Err(Failure::Unsent(why)) => {
                    self.seat = None;
                    if fresh {
                        return Err(format!("could not be started: {why}"));
                    }
                    fresh = true;
                }
                Err(Failure::Lost(why)) => {
                    self.seat = None;
                    return Err(format!(
                        "may or may not have run: the SSH connection died ({why})"
                    ));
                }
                Err(Failure::Stopped(why, confirmed)) => {
                    if !confirmed {
                        self.seat = None;
                    }
                    return Err(why);
                }
            }
        }
    }

    fn keep_alive(&mut self) {
        if self
            .seat
            .as_ref()
            .is_some_and(|seat| seat.session.keepalive_send().is_err())
        {
            self.seat = None;
        }
    }
}
