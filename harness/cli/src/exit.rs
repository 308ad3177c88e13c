//! Exit codes. Scripts and nights rely on them.

use std::process::ExitCode;

use checkers::judgement::Fold;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All that was promised held; or there was nothing to judge.
    Held = 0,
    /// Something promised was broken.
    Broken = 1,
    /// Nothing broken, something unproven.
    Unproven = 2,
    /// The harness or the lab failed.
    Harness = 3,
    /// Usage, a bad plan or lab file, malformed or newer input.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<Fold> for Exit {
    fn from(fold: Fold) -> Exit {
        match fold {
            Fold::Held => Exit::Held,
            Fold::Broken => Exit::Broken,
            Fold::Unproven => Exit::Unproven,
        }
    }
}

/// An error with the exit code that it deserves.
#[derive(Debug)]
pub struct Failure {
    /// What to say.
    pub error: anyhow::Error,
    /// How to end.
    pub exit: Exit,
}

impl Failure {
    /// The error for people.
    pub fn said(&self) -> String {
        sentence(&self.error)
    }
}

/// An error and its causes in one sentence. A cause that an error has told already is not repeated.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.contains(&cause) {
            continue;
        }
        if !said.is_empty() {
            said += ": ";
        }
        said += &cause;
    }
    said
}

/// Gives errors their exit code.
pub trait OrExit<T> {
    /// The user's input is at fault: exit code 64.
    fn or_usage(self) -> Result<T, Failure>;
    /// The harness or the lab is at fault: exit code 3.
    fn or_harness(self) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_usage(self) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            error: error.into(),
            exit: Exit::Usage,
        })
    }

    fn or_harness(self) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            error: error.into(),
            exit: Exit::Harness,
        })
    }
}
