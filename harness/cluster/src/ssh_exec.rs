//! One command over one session: output drained as it comes, a deadline, the true way it ended.
//!
//! It never retries what may have run, and never reports an end that the server did not report.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Channel};

use crate::cmd::{LONGEST_COMMAND, quoted};
use crate::ran::End;
use crate::ssh::Seat;

/// How often a waiting lane looks at its deadline, at cancellation and at its keepalive.
const TICK: Duration = Duration::from_millis(200);
/// How long a server may take to confirm that a channel is closed.
const CLOSING: u32 = 1_500;
/// Bytes of standard error that are kept: the last ones.
const STDERR_KEPT: usize = 64 * 1024;

/// Runs "$@" with nothing to read. When the session's standard input ends (the channel was closed,
/// the connection is gone, this program was killed) the whole process group is killed: sshd makes
/// every command a group leader, and a command that only lost its session would live on. After a
/// normal end the watcher kills what is left of the group, itself first of all.
const WATCHED: &str = r#"exec 3<&0; { while read -r _; do :; done; kill -9 -$$; } <&3 >/dev/null 2>&1 & exec "$@" </dev/null 3<&-"#;

/// The same with $1 bytes to read. The feeding half is put in the background inside its half of the
/// pipeline, because some shells wait for both halves. The shell stays, since a pipeline's command
/// cannot take its place; it ends the way the command ended (exit status 128 + n counts as signal n
/// here).
const WATCHED_FED: &str = r#"exec 3<&0; { { head -c "$1"; exec >&-; while read -r _; do :; done; kill -9 -$$; } <&3 2>/dev/null & } | { shift; exec "$@"; } 3<&-; s=$?; [ $s -gt 128 ] && [ $s -le 192 ] && kill -$((s-128)) $$; exit $s"#;

/// What is to be run.
pub(crate) struct Order<'a> {
    pub words: Vec<String>,
    /// What it reads, and how many bytes that is.
    pub stdin: Option<(&'a mut dyn Read, u64)>,
    /// Where its standard output goes.
    pub stdout: &'a mut dyn Write,
    pub deadline: Duration,
    /// Nobody waits for the answer any more.
    pub cancelled: &'a dyn Fn() -> bool,
}

/// How it went.
pub(crate) struct Done {
    pub end: End,
    /// The last 64 KiB of standard error.
    pub stderr: Vec<u8>,
    /// Bytes of standard output.
    pub bytes: u64,
}

/// Why there is no end to report.
pub(crate) enum Failure {
    /// The command never started; asking a fresh session is safe.
    Unsent(String),
    /// The connection died under it; whether it ran to its end is not known.
    Lost(String),
    /// Stopped by us. False: the server did not confirm, and the session is of no use.
    Stopped(String, bool),
}

/// Runs an order to its end.
pub(crate) fn exec(seat: &Seat, order: Order<'_>) -> Result<Done, Failure> {
    let line = command_line(&order)?;
    let deadline = now() + order.deadline;
    let mut channel = open(seat, &line, deadline.min(now() + Duration::from_secs(10)))?;
    let mut flow = Flow {
        feed: order.stdin.map(|(from, left)| Feed {
            from,
            left,
            buffer: Vec::new(),
        }),
        sink: order.stdout,
        stderr: Vec::new(),
        bytes: 0,
    };
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let moved = match flow.step(&mut channel, &mut buffer) {
            Ok(moved) => moved,
            Err(Stop::Here(why)) => return Err(Failure::Stopped(why, abandon(seat, channel))),
            Err(Stop::Connection(why)) => return Err(Failure::Lost(why)),
        };
        if !moved && channel.eof() && closed(&mut channel)? {
            break;
        }
        if now() >= deadline {
            let why = format!("did not end within {}", seconds(order.deadline));
            return Err(Failure::Stopped(why, abandon(seat, channel)));
        }
        if (order.cancelled)() {
            return Err(Failure::Stopped(
                "was cancelled".to_owned(),
                abandon(seat, channel),
            ));
        }
        if !moved {
            wait(seat, deadline).map_err(Failure::Lost)?;
        }
    }
    let end = ended(&channel)?;
    Ok(Done {
        end,
        stderr: flow.stderr,
        bytes: flow.bytes,
    })
}

fn command_line(order: &Order<'_>) -> Result<String, Failure> {
    let mut words: Vec<String> = ["sh", "-c"].map(str::to_owned).into();
    match &order.stdin {
        None => words.extend([WATCHED, "tidemark"].map(str::to_owned)),
        Some((_, size)) => words.extend([
            WATCHED_FED.to_owned(),
            "tidemark".to_owned(),
            size.to_string(),
        ]),
    }
    words.extend(order.words.iter().cloned());
    let line = format!("exec {}", quoted(&words));
    if line.len() > LONGEST_COMMAND {
        let why = format!(
            "is {} bytes long, a host takes at most {LONGEST_COMMAND}: pass it by standard input",
            line.len()
        );
        return Err(Failure::Stopped(why, true));
    }
    Ok(line)
}

/// Opens a channel and starts the command. As long as the server has not confirmed the start, a
/// failure is `Unsent` only if the request itself was not sent.
fn open(seat: &Seat, line: &str, until: Instant) -> Result<Channel, Failure> {
    let unsent = |e: ssh2::Error| Failure::Unsent(e.to_string());
    let mut channel = patiently(seat, until, || seat.session.channel_session()).map_err(unsent)?;
    match patiently(seat, until, || channel.exec(line)) {
        Ok(()) => Ok(channel),
        // LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED: the server said no, in so many words.
        Err(e) if e.code() == ssh2::ErrorCode::Session(-22) => Err(Failure::Unsent(
            "the server refuses to run commands".to_owned(),
        )),
        Err(e) => Err(Failure::Lost(e.to_string())),
    }
}

fn patiently<T>(
    seat: &Seat,
    until: Instant,
    mut call: impl FnMut() -> Result<T, ssh2::Error>,
) -> Result<T, ssh2::Error> {
    const EAGAIN: ssh2::ErrorCode = ssh2::ErrorCode::Session(-37);
    const TIMEOUT: ssh2::ErrorCode = ssh2::ErrorCode::Session(-9);
    loop {
        match call() {
            Err(e) if e.code() == EAGAIN && now() < until => {
                wait(seat, until)
                    .map_err(|_| ssh2::Error::from_errno(ssh2::ErrorCode::Session(-13)))?;
            }
            Err(e) if e.code() == EAGAIN => return Err(ssh2::Error::from_errno(TIMEOUT)),
            other => return other,
        }
    }
}

/// Why the flow stops.
enum Stop {
    /// Our side cannot go on.
    Here(String),
    /// The other side cannot be heard any more.
    Connection(String),
}

struct Feed<'a> {
    from: &'a mut dyn Read,
    left: u64,
    buffer: Vec<u8>,
}

struct Flow<'a> {
    feed: Option<Feed<'a>>,
    sink: &'a mut dyn Write,
    stderr: Vec<u8>,
    bytes: u64,
}

impl Flow<'_> {
    /// Moves what can be moved, in all three directions: a command that fills one stream while we
    /// wait for another would hang both sides. True if anything moved.
    fn step(&mut self, channel: &mut Channel, buffer: &mut [u8]) -> Result<bool, Stop> {
        let mut moved = false;
        if let Some(n) = taken(channel.read(buffer))? {
            let part = buffer.get(..n).unwrap_or_default();
            self.sink.write_all(part).map_err(|e| {
                Stop::Here(format!(
                    "was stopped: its output cannot be written here: {e}"
                ))
            })?;
            self.bytes += n as u64;
            moved = true;
        }
        if let Some(n) = taken(channel.stderr().read(buffer))? {
            self.stderr
                .extend_from_slice(buffer.get(..n).unwrap_or_default());
            if self.stderr.len() > 2 * STDERR_KEPT {
                self.stderr.drain(..self.stderr.len() - STDERR_KEPT);
            }
            moved = true;
        }
        if let Some(feed) = &mut self.feed {
            match feed.step(channel)? {
                Fed::Moved => moved = true,
                Fed::Blocked => {}
                Fed::Over => self.feed = None,
            }
        }
        Ok(moved)
    }
}

enum Fed {
    Moved,
    Blocked,
    Over,
}

impl Feed<'_> {
    fn step(&mut self, channel: &mut Channel) -> Result<Fed, Stop> {
        if self.buffer.is_empty() {
            if self.left == 0 {
                return Ok(Fed::Over);
            }
            let chunk = self.left.min(256 * 1024);
            let read = self.from.take(chunk).read_to_end(&mut self.buffer);
            match read {
                Ok(n) if n as u64 == chunk => self.left -= chunk,
                Ok(_) => {
                    return Err(Stop::Here(
                        "was stopped: the file shrank while it was sent".to_owned(),
                    ));
                }
                Err(e) => {
                    return Err(Stop::Here(format!(
                        "was stopped: the file cannot be read: {e}"
                    )));
                }
            }
        }
        match channel.write(&self.buffer) {
            Ok(0) => Ok(Fed::Blocked),
            Ok(n) => {
                self.buffer.drain(..n);
                Ok(Fed::Moved)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(Fed::Blocked),
            // The command closed its input or ended; its end is about to be read, or the connection is found dead.
            Err(_) => Ok(Fed::Over),
        }
    }
}

fn taken(read: std::io::Result<usize>) -> Result<Option<usize>, Stop> {
    match read {
        Ok(0) => Ok(None),
        Ok(n) => Ok(Some(n)),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(Stop::Connection(e.to_string())),
    }
}

/// Whether the server closed the channel: only then has it sent the exit status.
fn closed(channel: &mut Channel) -> Result<bool, Failure> {
    match channel.wait_close() {
        Ok(()) => Ok(true),
        Err(e) if e.code() == ssh2::ErrorCode::Session(-37) => Ok(false),
        Err(e) => Err(Failure::Lost(e.to_string())),
    }
}

/// The signal first: for a killed command the exit status reads 0.
fn ended(channel: &Channel) -> Result<End, Failure> {
    let lost = |e: ssh2::Error| Failure::Lost(e.to_string());
    match channel.exit_signal().map_err(lost)?.exit_signal {
        Some(name) => Ok(End::Signal(name)),
        None => Ok(End::Exit(channel.exit_status().map_err(lost)?)),
    }
}

/// Closes the channel, which ends the command's watched input. True if the server confirmed.
fn abandon(seat: &Seat, mut channel: Channel) -> bool {
    seat.session.set_blocking(true);
    seat.session.set_timeout(CLOSING);
    let confirmed = channel.close().is_ok();
    drop(channel);
    seat.session.set_blocking(false);
    confirmed
}

/// Waits until the socket can move, at most one tick; keeps the connection's timer alive, so that
/// bytes are in flight whose loss the kernel notices.
fn wait(seat: &Seat, until: Instant) -> Result<(), String> {
    seat.session
        .keepalive_send()
        .map(drop)
        .or_else(|e| match e.code() {
            ssh2::ErrorCode::Session(-37) => Ok(()),
            _ => Err(e.to_string()),
        })?;
    let flags = match seat.session.block_directions() {
        BlockDirections::Outbound => PollFlags::POLLOUT,
        BlockDirections::Both => PollFlags::POLLIN | PollFlags::POLLOUT,
        BlockDirections::Inbound | BlockDirections::None => PollFlags::POLLIN,
    };
    let left = until.saturating_duration_since(now()).min(TICK);
    let mut fds = [PollFd::new(seat.socket.as_fd(), flags)];
    match poll(
        &mut fds,
        PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::ZERO),
    ) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(e) => Err(e.to_string()),
    }
}

/// `0.25 s`, `30 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_millis() as f64 / 1000.0)
}

#[expect(
    clippy::disallowed_methods,
    reason = "deadlines of a lane's own thread; nothing of it enters a history"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
