//! A way to a host through another: one SSH session to the jump host, a forwarded connection in it,
//! and a socket on our side for the session that goes through.
//!
//! It runs no command on the jump host and keeps nothing there. Its thread ends with either side.
//! A host that falls silent behind a jump host that answers is noticed by the commands' deadlines
//! only: nothing between here and there acknowledges its bytes to us.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Channel};

use crate::ssh::{HANDSHAKE, Seat};

/// How often an idle connection looks at its keepalive, in milliseconds.
const TICK: u16 = 1_000;

/// Connects through a session that is logged in to the jump host; its name is for errors.
///
/// # Errors
/// The jump host cannot, or may not, connect there.
pub(crate) fn through(seat: Seat, jump: &str, host: &str, port: u16) -> Result<OwnedFd, String> {
    seat.session.set_blocking(true);
    seat.session.set_timeout(HANDSHAKE.as_millis() as u32);
    let opened = seat.session.channel_direct_tcpip(host, port, None);
    let channel = opened.map_err(|e| {
        format!(
            "the jump host {jump} cannot connect to {host} port {port} ({e}): is that the address \
             as it is known there, does sshd run, and does the jump host's sshd_config say \
             `AllowTcpForwarding yes`?"
        )
    })?;
    seat.session.set_blocking(false);
    let socket = |e: std::io::Error| format!("no socket for the way through {jump}: {e}");
    let (inner, outer) = UnixStream::pair().map_err(socket)?;
    outer.set_nonblocking(true).map_err(socket)?;
    std::thread::Builder::new()
        .name(format!("jump-{host}"))
        .spawn(move || pass_on(&seat, channel, &outer))
        .map_err(socket)?;
    Ok(inner.into())
}

/// Passes bytes on in both directions until one side has ended. Dropping our socket then ends the
/// session that goes through.
fn pass_on(seat: &Seat, mut channel: Channel, ours: &UnixStream) {
    let mut buffer = vec![0; 128 * 1024];
    let (mut inward, mut outward) = (Vec::new(), Vec::new());
    loop {
        let far = Side::of(&mut channel, &mut inward, &mut buffer);
        if far != Side::Moved && inward.is_empty() && channel.eof() {
            break;
        }
        let mut near = ours;
        let sides = [
            far,
            Side::of(&mut near, &mut outward, &mut buffer),
            Side::to(&mut near, &mut inward),
            Side::to(&mut channel, &mut outward),
        ];
        // A stream that says "nothing" without saying "wait" is at its end.
        if sides.contains(&Side::Ended) || sides[1] == Side::Nothing {
            break;
        }
        if !sides.contains(&Side::Moved) && !wait(seat, ours, &inward, &outward) {
            break;
        }
    }
    // The server hears of it, if it can be told at once.
    let _unheard = channel.close();
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Moved,
    Idle,
    /// Zero bytes: the end of a socket, and nothing of a channel.
    Nothing,
    Ended,
}

impl Side {
    /// Reads, unless what was read before has not been passed on yet.
    fn of(from: &mut impl Read, kept: &mut Vec<u8>, buffer: &mut [u8]) -> Side {
        if !kept.is_empty() {
            return Side::Idle;
        }
        match from.read(buffer) {
            Ok(0) => Side::Nothing,
            Ok(n) => {
                kept.extend_from_slice(buffer.get(..n).unwrap_or_default());
                Side::Moved
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Side::Idle
            }
            Err(_) => Side::Ended,
        }
    }

    /// Writes what was read on the other side.
    fn to(to: &mut impl Write, kept: &mut Vec<u8>) -> Side {
        if kept.is_empty() {
            return Side::Idle;
        }
        match to.write(kept) {
            Ok(0) => Side::Idle,
            Ok(n) => {
                kept.drain(..n);
                Side::Moved
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Side::Idle
            }
            Err(_) => Side::Ended,
        }
    }
}

/// Waits until either side can move. False when the connection to the jump host is gone.
fn wait(seat: &Seat, ours: &UnixStream, inward: &[u8], outward: &[u8]) -> bool {
    let alive = seat.session.keepalive_send();
    if alive.is_err_and(|e| e.code() != ssh2::ErrorCode::Session(-37)) {
        return false;
    }
    let mut far = PollFlags::POLLIN;
    if !outward.is_empty()
        || matches!(
            seat.session.block_directions(),
            BlockDirections::Outbound | BlockDirections::Both
        )
    {
        far |= PollFlags::POLLOUT;
    }
    let mut near = PollFlags::empty();
    near.set(PollFlags::POLLIN, outward.is_empty());
    near.set(PollFlags::POLLOUT, !inward.is_empty());
    let mut fds = [
        PollFd::new(seat.socket.as_fd(), far),
        PollFd::new(ours.as_fd(), near),
    ];
    match poll(&mut fds, PollTimeout::from(TICK)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => true,
        Err(_) => false,
    }
}
