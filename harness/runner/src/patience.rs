//! How long the runner waits for a host: never without end, and not long once somebody asked to
//! stop. A signal ends a run within 20 s, whatever the hosts do; these shares add up to 17.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::interrupt::Interrupt;

/// A wait has at least this much left when it begins after the signal.
const AT_LEAST: Duration = Duration::from_secs(1);

/// A limit, and the moment after the first signal at which the wait is over in any case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    within: Duration,
    after_signal: Duration,
}

impl Limit {
    const fn seconds(within: u64, after_signal: u64) -> Limit {
        Limit {
            within: Duration::from_secs(within),
            after_signal: Duration::from_secs(after_signal),
        }
    }

    /// Logs of a run that did not come up.
    pub const LAST_LOGS: Limit = Limit::seconds(60, 5);
    /// Images before a return, which the control lane of an SSH host bounds as well.
    pub const IMAGE: Limit = Limit::seconds(900, 3);
    /// A pause, a look at a process table, a clock: short commands.
    pub const SHORT: Limit = Limit::seconds(25, 12);
    /// A replica image or logs at the end.
    pub const CAPTURE: Limit = Limit::seconds(900, 13);
    /// The same of a host that has just failed to answer.
    pub const CAPTURE_OF_THE_SILENT: Limit = Limit::seconds(30, 13);
    /// Processes ended, files removed, locks given back.
    pub const TEARDOWN: Limit = Limit::seconds(300, 16);
}

/// Why a wait ended without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// The limit passed.
    Deadline(Duration),
    /// Somebody had asked to stop.
    Signal,
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Late::Deadline(within) => write!(f, "no answer within {}s", within.as_secs()),
            Late::Signal => f.write_str("no answer before the run had to end"),
        }
    }
}

/// Bounds every wait of a run.
#[derive(Debug, Clone)]
pub(crate) struct Patience(pub Interrupt);

impl Patience {
    /// The work's result, unless its limit passes.
    pub async fn bound<T>(&self, limit: Limit, work: impl Future<Output = T>) -> Result<T, Late> {
        let began = Instant::now();
        let signal = async {
            let since = self.0.asked_since().await;
            sleep_until((since + limit.after_signal).max(began + AT_LEAST)).await;
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = signal => Err(Late::Signal),
            () = sleep(limit.within) => Err(Late::Deadline(limit.within)),
        }
    }

    /// The same for work that can fail, with either reason in words.
    pub async fn bound_ok<T, E: fmt::Display>(
        &self,
        limit: Limit,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        match self.bound(limit, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(error.to_string()),
            Err(late) => Err(late.to_string()),
        }
    }
}
