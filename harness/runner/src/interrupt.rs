//! The user's wish to stop: the first one ends the run early but in order, a second one also skips
//! the capture. Healing is never skipped.

use tokio::sync::watch;
use tokio::time::Instant;

/// The sending side; signal handlers hold it.
#[derive(Debug)]
pub struct Interrupts(watch::Sender<Option<Wish>>);

/// The receiving side.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<Option<Wish>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    signal: String,
    times: u32,
    /// Of the first time.
    since: Instant,
}

impl Interrupts {
    /// A pair without a wish.
    pub fn new() -> (Interrupts, Interrupt) {
        let (sender, receiver) = watch::channel(None);
        (Interrupts(sender), Interrupt(receiver))
    }

    /// Somebody asked to stop, by this signal's name.
    pub fn raise(&self, signal: &str) {
        self.0.send_modify(|wish| {
            let first = wish.as_ref().map(|wish| (wish.times, wish.since));
            let (times, since) = first.unwrap_or_else(|| (0, Instant::now()));
            *wish = Some(Wish {
                signal: signal.to_owned(),
                times: times + 1,
                since,
            });
        });
    }
}

impl Interrupt {
    /// The signal that asked to stop, if one did.
    pub fn signal(&self) -> Option<String> {
        self.0.borrow().as_ref().map(|wish| wish.signal.clone())
    }

    /// Waits until somebody asks to stop for the `times`-th time; for ever when nobody does.
    pub async fn asked(&self, times: u32) {
        let _since = self.asked_times(times).await;
    }

    /// Waits until somebody asks to stop; when that was.
    pub(crate) async fn asked_since(&self) -> Instant {
        self.asked_times(1).await
    }

    async fn asked_times(&self, times: u32) -> Instant {
        let mut wishes = self.0.clone();
        let asked = |wish: &Option<Wish>| wish.as_ref().is_some_and(|wish| wish.times >= times);
        if let Ok(wish) = wishes.wait_for(asked).await
            && let Some(wish) = wish.as_ref()
        {
            return wish.since;
        }
        // Whoever could ask is gone.
        std::future::pending().await
    }
}
