//! What became of a command on a host.

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With this exit status.
    Exit(i32),
    /// By this signal: `KILL`, `TERM`.
    Signal(String),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Exit(status) => write!(f, "exit status {status}"),
            End::Signal(name) => write!(f, "signal {name}"),
        }
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// Its standard output; the first 8 MiB of it.
    pub stdout: Vec<u8>,
    /// Its standard error; the last 64 KiB or more of it.
    pub stderr: Vec<u8>,
    /// Bytes of standard output beyond those kept.
    pub dropped: u64,
}

impl Ran {
    /// It ended by itself, with status 0.
    pub fn succeeded(&self) -> bool {
        self.end == End::Exit(0)
    }
}
