//! Inner processes: this binary again, told what to do on its standard input.
//!
//! A child has its own process group, so that a terminal's Ctrl-C does not count twice; the signals
//! that we get are passed on. How a child went is for the caller to say.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::signals::Signals;

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, or the signal that killed it.
    pub status: ExitStatus,
    /// What it printed, where its standard output is a pipe.
    pub said: Vec<u8>,
    /// The last signal that was passed on to it.
    pub raised: Option<Signal>,
}

impl Ended {
    /// The signal that killed it.
    pub fn killed_by(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// Starts a child, tells it, and waits for its end.
///
/// # Errors
/// When it cannot be started or waited for.
pub async fn tell(
    command: std::process::Command,
    told: &impl Serialize,
    signals: &mut Signals,
) -> anyhow::Result<Ended> {
    let told = serde_json::to_vec(told)?;
    let mut child = Command::from(command)
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("cannot start the inner process")?;
    let pid = pid(&child);
    if let Some(mut input) = child.stdin.take() {
        // One that ended before it was told has said why, and its status says the rest.
        let _ = input.write_all(&told).await;
    }
    let mut raised = None;
    let ended = child.wait_with_output();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            biased;
            output = &mut ended => {
                let output = output?;
                return Ok(Ended { status: output.status, said: output.stdout, raised });
            }
            signal = signals.next() => {
                raised = Some(signal);
                pass_on(pid, signal);
            }
        }
    }
}

/// The process of a child that was not waited for yet.
pub fn pid(child: &tokio::process::Child) -> Option<Pid> {
    child.id().map(|id| Pid::from_raw(id.cast_signed()))
}

/// A child that is just ending is no error.
pub fn pass_on(pid: Option<Pid>, signal: Signal) {
    if let Some(pid) = pid {
        let _ = kill(pid, signal);
    }
}
