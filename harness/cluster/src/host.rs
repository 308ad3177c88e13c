//! A host over SSH: commands with deadlines, files whose digest is checked, daemons.
//!
//! It knows neither Kafka nor faults. Every error names the node, the command and what happened.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use history::NodeId;

use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::host_files as files;
use crate::labfile::{HostSpec, LabFile};
use crate::lane::LaneHandle;
use crate::ran::Ran;
use crate::root;
use crate::ssh::Route;
use crate::ssh_exec::{Done, Order};

/// Standard output that [`Host::run`] keeps; what is longer goes through [`Host::stream`].
pub const STDOUT_KEPT: usize = 8 * 1024 * 1024;

/// Which of a host's SSH sessions does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Faults, heals, leases, probes of processes: short, never behind a copy.
    Control,
    /// Copies and whatever takes long.
    Bulk,
    /// The lease of the host's undo, and nothing else: no slow command may let it run out.
    Lease,
}

/// A host that we are logged in to. Cheap to clone; the sessions end with the last clone.
#[derive(Debug, Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    spec: HostSpec,
    route: Route,
    root: String,
    control: LaneHandle,
    bulk: OnceLock<LaneHandle>,
    lease: OnceLock<LaneHandle>,
}

impl Host {
    /// Connects the control lane and logs in.
    ///
    /// # Errors
    /// One sentence with its remedy: nobody listens, the host key is unknown or differs, the login
    /// is refused.
    pub async fn connect(lab: &LabFile, host: &HostSpec) -> Result<Host, ClusterError> {
        let node = |why| ClusterError::Node {
            node: host.node,
            why,
        };
        let route = Route::new(lab, host);
        let control = LaneHandle::open(route.clone(), "control").map_err(node)?;
        control.ask(|worker, _| worker.sit()).await.map_err(node)?;
        Ok(Host {
            inner: Arc::new(Inner {
                spec: host.clone(),
                route,
                root: root::prefix(lab),
                control,
                bulk: OnceLock::new(),
                lease: OnceLock::new(),
            }),
        })
    }

    /// Which node it is.
    pub fn node(&self) -> NodeId {
        self.inner.spec.node
    }

    /// What the lab file says about it.
    pub fn spec(&self) -> &HostSpec {
        &self.inner.spec
    }

    /// Runs a command to its end, whatever that is. It is killed with its process group when the
    /// deadline (counted from when the lane turns to it) passes, when the future is dropped, or
    /// when the connection ends.
    ///
    /// # Errors
    /// No end was seen: deadline, connection lost.
    pub async fn run(
        &self,
        lane: Lane,
        cmd: &Cmd,
        deadline: Duration,
    ) -> Result<Ran, ClusterError> {
        let kept = Kept {
            bytes: Vec::new(),
            dropped: 0,
        };
        let (done, kept) = self.order(lane, cmd, deadline, kept).await?;
        Ok(Ran {
            end: done.end,
            stdout: kept.bytes,
            stderr: done.stderr,
            dropped: kept.dropped,
        })
    }

    /// Runs a command that has to succeed; its standard output as text.
    ///
    /// # Errors
    /// As [`Host::run`]; or it did not exit with 0, and then the end of its standard error is told.
    pub async fn ok(
        &self,
        lane: Lane,
        cmd: &Cmd,
        deadline: Duration,
    ) -> Result<String, ClusterError> {
        let ran = self.run(lane, cmd, deadline).await?;
        if !ran.succeeded() {
            return Err(self.unhappy(cmd, &ran));
        }
        if ran.dropped > 0 {
            return Err(self.error(format!(
                "`{cmd}` printed {} bytes more than the 8 MiB that are kept",
                ran.dropped
            )));
        }
        String::from_utf8(ran.stdout)
            .map_err(|_| self.error(format!("`{cmd}` printed something that is not UTF-8")))
    }

    /// Writes a file: into `to` + `.part`, size and SHA-256 checked there, then moved into place.
    /// Makes the directory if there is none. `mode` as in chmod, 0o644.
    ///
    /// # Errors
    /// Nothing is at `to` that was not there before; disk full says so in the host's own words.
    pub async fn put_bytes(
        &self,
        lane: Lane,
        bytes: Vec<u8>,
        to: &str,
        mode: u32,
    ) -> Result<(), ClusterError> {
        let path = to.to_owned();
        self.lane(lane)?
            .ask(move |worker, gone| files::put_bytes(worker, gone, &bytes, &path, mode))
            .await
            .map_err(|why| self.error(why))
    }

    /// Copies a file of ours there; as [`Host::put_bytes`], with bounded memory.
    ///
    /// # Errors
    /// As [`Host::put_bytes`], or the file cannot be read.
    pub async fn put_file(
        &self,
        lane: Lane,
        from: &Path,
        to: &str,
        mode: u32,
    ) -> Result<(), ClusterError> {
        let (from, path) = (from.to_owned(), to.to_owned());
        self.lane(lane)?
            .ask(move |worker, gone| files::put_file(worker, gone, &from, &path, mode))
            .await
            .map_err(|why| self.error(why))
    }

    /// Copies a file of the host here, with bounded memory: as many bytes as it had when the copy
    /// began, size and SHA-256 checked. Returns that size.
    ///
    /// # Errors
    /// Nothing is at `to` that was not there before.
    pub async fn get_file(&self, lane: Lane, from: &str, to: &Path) -> Result<u64, ClusterError> {
        let (path, to) = (from.to_owned(), PathBuf::from(to));
        self.lane(lane)?
            .ask(move |worker, gone| files::get_file(worker, gone, &path, &to))
            .await
            .map_err(|why| self.error(why))
    }

    /// Runs a command whose standard output goes into `sink`, on the lane's thread, with bounded
    /// memory. Returns how it ended and how many bytes went into the sink; `Ran::stdout` is empty.
    ///
    /// # Errors
    /// As [`Host::run`]; or the sink refused, and then the command was killed.
    pub async fn stream(
        &self,
        lane: Lane,
        cmd: &Cmd,
        deadline: Duration,
        sink: Box<dyn Write + Send>,
    ) -> Result<(Ran, u64), ClusterError> {
        let (done, mut sink) = self.order(lane, cmd, deadline, sink).await?;
        sink.flush().map_err(|e| {
            self.error(format!("the output of `{cmd}` cannot be written here: {e}"))
        })?;
        let bytes = done.bytes;
        Ok((
            Ran {
                end: done.end,
                stdout: Vec::new(),
                stderr: done.stderr,
                dropped: 0,
            },
            bytes,
        ))
    }

    /// Starts a program that outlives the session: in a session of its own, nothing to read, its
    /// output appended to the file `out` there. Returns the program's own process id.
    ///
    /// # Errors
    /// There is no such program, or `out` cannot be written. A program that ends at once is no
    /// error here: look at its process and at `out`.
    pub async fn daemon(&self, cmd: &Cmd, out: &str) -> Result<u32, ClusterError> {
        if cmd.wants_root() {
            return Err(self.error(format!(
                "`{cmd}`: daemons run as the login user, never through sudo"
            )));
        }
        let start = Cmd::script(files::DAEMON, [out.to_owned()]).args(cmd.words(""));
        let printed = self
            .ok(Lane::Control, &start, Duration::from_secs(10))
            .await?;
        printed.trim().parse().map_err(|_| {
            self.error(format!(
                "starting `{cmd}` printed no process id but {printed:?}"
            ))
        })
    }

    /// What a script puts before a command that needs root: `sudo -n`, the path of what stands for
    /// it, or nothing where the login is root itself.
    pub fn root_prefix(&self) -> String {
        self.inner.root.clone()
    }

    /// An error about this host.
    pub fn error(&self, why: impl Into<String>) -> ClusterError {
        ClusterError::Node {
            node: self.node(),
            why: why.into(),
        }
    }

    /// The error for a command that ended, but not well.
    pub fn unhappy(&self, cmd: &Cmd, ran: &Ran) -> ClusterError {
        self.error(format!(
            "`{cmd}` ended with {}{}",
            ran.end,
            files::tail(&ran.stderr)
        ))
    }

    fn lane(&self, lane: Lane) -> Result<&LaneHandle, ClusterError> {
        match lane {
            Lane::Control => Ok(&self.inner.control),
            Lane::Bulk => self.opened(&self.inner.bulk, "bulk"),
            Lane::Lease => self.opened(&self.inner.lease, "lease"),
        }
    }

    fn opened<'a>(
        &self,
        lane: &'a OnceLock<LaneHandle>,
        name: &str,
    ) -> Result<&'a LaneHandle, ClusterError> {
        if lane.get().is_none() {
            let opened =
                LaneHandle::open(self.inner.route.clone(), name).map_err(|why| self.error(why))?;
            // Another clone may have been faster; then ours ends by being dropped.
            let _raced = lane.set(opened);
        }
        lane.get()
            .ok_or_else(|| self.error(format!("no {name} lane")))
    }

    async fn order<S: Write + Send + 'static>(
        &self,
        lane: Lane,
        cmd: &Cmd,
        deadline: Duration,
        mut sink: S,
    ) -> Result<(Done, S), ClusterError> {
        let words = cmd.words(&self.inner.root);
        let stdin = cmd.input().map(<[u8]>::to_vec);
        let asked = self.lane(lane)?.ask(move |worker, cancelled| {
            let mut bytes = stdin.as_deref();
            let size = stdin.as_ref().map(|b| b.len() as u64);
            let stdin = bytes
                .as_mut()
                .zip(size)
                .map(|(b, n)| (b as &mut dyn std::io::Read, n));
            let done = worker.run(Order {
                words,
                stdin,
                stdout: &mut sink,
                deadline,
                cancelled,
            })?;
            Ok((done, sink))
        });
        asked
            .await
            .map_err(|why| self.error(format!("`{cmd}` {why}")))
    }
}

/// The beginning of an output.
struct Kept {
    bytes: Vec<u8>,
    dropped: u64,
}

impl Write for Kept {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        let room = STDOUT_KEPT.saturating_sub(self.bytes.len()).min(part.len());
        let (kept, dropped) = part.split_at(room);
        self.bytes.extend_from_slice(kept);
        self.dropped += dropped.len() as u64;
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
