//! The signals by which a user ends a run, and their names.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// A runtime on this thread that hears signals, to be made before anything is started that one of
/// them could leave behind.
///
/// # Errors
/// When the system gives neither.
pub fn runtime() -> std::io::Result<(Runtime, Signals)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    Ok((runtime, signals))
}

/// INT, TERM and HUP, from the moment of `listen` on.
pub struct Signals([(Signal, tokio::signal::unix::Signal); 3]);

impl Signals {
    /// Begins to listen; needs a runtime.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self([
            (Signal::SIGINT, signal(SignalKind::interrupt())?),
            (Signal::SIGTERM, signal(SignalKind::terminate())?),
            (Signal::SIGHUP, signal(SignalKind::hangup())?),
        ]))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Signal {
        let [(int, on_int), (term, on_term), (hup, on_hup)] = &mut self.0;
        tokio::select! {
            biased;
            _ = on_int.recv() => *int,
            _ = on_term.recv() => *term,
            _ = on_hup.recv() => *hup,
        }
    }

    /// One that came already.
    pub async fn raised(&mut self) -> Option<Signal> {
        tokio::time::timeout(Duration::from_millis(20), self.next())
            .await
            .ok()
    }
}

/// `INT` for `SIGINT`, as seals and people say it.
pub fn name(signal: Signal) -> &'static str {
    signal.as_str().trim_start_matches("SIG")
}
