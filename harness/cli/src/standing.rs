//! A lab for as long as a run needs it.
//!
//! A local lab that this run brought up goes down with it; one that stood before, or that somebody
//! else came to use, stays.

use std::time::Duration;

use anyhow::Context;
use cluster::labfile::{Kind, LabFile};

use crate::home::say_error;

/// A lab that is up; a local one that we brought up ourselves goes down again.
pub struct Up {
    /// With how to log in.
    pub lab: LabFile,
    ours: bool,
}

/// How long another run, which was refused or is just ending, may still stand in a lab of ours.
const OTHERS_MAX: Duration = Duration::from_secs(10);

impl Up {
    /// Brings a local lab up, unless it is; real machines just are.
    pub fn new(lab: LabFile, keep: bool) -> anyhow::Result<Up> {
        match lab.kind {
            Kind::Machines => Ok(Up { lab, ours: false }),
            Kind::Namespaces => {
                let was_up = !lab::status(&lab.name)?.is_down();
                match lab::up(&lab) {
                    Ok(lab) => Ok(Up {
                        lab,
                        ours: !was_up && !keep,
                    }),
                    Err(error) => {
                        if !was_up && let Err(left) = lab::down_unless_used(&lab.name) {
                            say_error(&format!("tidemark: the lab did not go down: {left}"));
                        }
                        Err(error.into())
                    }
                }
            }
        }
    }

    /// Whether somebody takes a local lab down just now, or has done so.
    pub async fn has_gone_down(&self) -> anyhow::Result<bool> {
        if self.lab.kind == Kind::Machines {
            return Ok(false);
        }
        let deadline = tokio::time::Instant::now() + OTHERS_MAX / 2;
        loop {
            let down = lab::status(&self.lab.name)?.is_down();
            if down || tokio::time::Instant::now() >= deadline {
                return Ok(down);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Another run may have come to use the lab meanwhile; then it stays.
    pub fn down(self, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
        if !self.ours {
            return Ok(());
        }
        let gone = runtime.block_on(async {
            let deadline = tokio::time::Instant::now() + OTHERS_MAX;
            loop {
                match lab::down_unless_used(&self.lab.name) {
                    Err(lab::LabError::InUse { .. }) if tokio::time::Instant::now() < deadline => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    gone => return gone,
                }
            }
        });
        match gone {
            Ok(_) => Ok(()),
            Err(used @ lab::LabError::InUse { .. }) => {
                say_error(&format!("the lab stays up: {used}"));
                Ok(())
            }
            Err(error) => Err(error).context("the lab did not go down"),
        }
    }
}
