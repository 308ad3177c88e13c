//! A ZooKeeper client of four requests, to see what the controller and the brokers have agreed on.
//!
//! It only reads: it never writes a node and never sets a watch. Its session is its own, short, and
//! closed when it is dropped by the server's own time-out.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer of ours is longer: a node of ZooKeeper holds 1 MiB at most.
const ANSWER_MAX: usize = 2 << 20;
/// What the session asks for; the server clamps it to its own bounds.
const SESSION: Duration = Duration::from_secs(10);

const GET_DATA: i32 = 4;
const GET_CHILDREN: i32 = 8;
const CLOSE: i32 = -11;
/// ZooKeeper's "no node".
const NO_NODE: i32 = -101;

/// Why ZooKeeper gave no answer; the connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum ZkError {
    /// TCP failed, or the server closed the connection: it has no quorum, or is going down.
    #[error("zookeeper at {0}: {1}")]
    Io(SocketAddr, std::io::Error),
    /// No answer within this time.
    #[error("zookeeper at {0} did not answer within {1:?}")]
    Silent(SocketAddr, Duration),
    /// An answer that is none.
    #[error("zookeeper at {0} answered {1}")]
    Malformed(SocketAddr, String),
}

/// What stands in a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Znode {
    /// Its bytes.
    pub data: Vec<u8>,
    /// How often the data was set.
    pub version: i32,
    /// The transaction that made it: a new registration has a new one.
    pub created: i64,
}

/// One session with one server. A server that has no quorum refuses it.
#[derive(Debug)]
pub struct ZooKeeper {
    stream: TcpStream,
    peer: SocketAddr,
    patience: Duration,
    last_xid: i32,
    last_seen: i64,
}

impl ZooKeeper {
    /// Opens a session. `last_seen` (see [`ZooKeeper::last_seen`], 0 at first) makes a server that
    /// lags behind what was seen before refuse, so that time never runs backwards for the caller.
    pub async fn open(
        peer: SocketAddr,
        last_seen: i64,
        patience: Duration,
    ) -> Result<Self, ZkError> {
        let stream = timeout(patience, TcpStream::connect(peer))
            .await
            .map_err(|_| ZkError::Silent(peer, patience))?
            .map_err(|e| ZkError::Io(peer, e))?;
        stream.set_nodelay(true).map_err(|e| ZkError::Io(peer, e))?;
        let mut this = Self {
            stream,
            peer,
            patience,
            last_xid: 0,
            last_seen,
        };
        let mut hello = Vec::new();
        hello.extend(0_i32.to_be_bytes());
        hello.extend(last_seen.to_be_bytes());
        hello.extend((SESSION.as_millis() as i32).to_be_bytes());
        hello.extend(0_i64.to_be_bytes());
        hello.extend(16_i32.to_be_bytes());
        hello.extend([0; 16]);
        hello.push(0);
        let answer = this.exchange(&hello).await?;
        let mut answer = Cursor::new(&answer, peer);
        answer.int()?;
        if answer.int()? <= 0 {
            return Err(ZkError::Malformed(peer, "with an expired session".into()));
        }
        Ok(this)
    }

    /// The newest transaction that this session has heard of.
    pub fn last_seen(&self) -> i64 {
        self.last_seen
    }

    /// A node's data; `None` when there is no such node.
    pub async fn get(&mut self, path: &str) -> Result<Option<Znode>, ZkError> {
        let Some(answer) = self.ask(GET_DATA, path).await? else {
            return Ok(None);
        };
        let mut answer = Cursor::new(&answer, self.peer);
        let data = answer.buffer()?.to_vec();
        let created = answer.long()?;
        for _ in 0..3 {
            answer.long()?;
        }
        let version = answer.int()?;
        Ok(Some(Znode {
            data,
            version,
            created,
        }))
    }

    /// The names of a node's children, sorted; none when there is no such node.
    pub async fn children(&mut self, path: &str) -> Result<Vec<String>, ZkError> {
        let Some(answer) = self.ask(GET_CHILDREN, path).await? else {
            return Ok(Vec::new());
        };
        let mut answer = Cursor::new(&answer, self.peer);
        let mut names = Vec::new();
        for _ in 0..answer.int()?.max(0) {
            names.push(String::from_utf8_lossy(answer.buffer()?).into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Ends the session, so that the server need not wait for its time-out.
    pub async fn close(mut self) {
        let xid = self.last_xid.wrapping_add(1);
        let mut frame = 8_i32.to_be_bytes().to_vec();
        frame.extend(xid.to_be_bytes());
        frame.extend(CLOSE.to_be_bytes());
        let _ = timeout(self.patience, self.stream.write_all(&frame)).await;
    }

    /// One request about one path; `None` for "no node".
    async fn ask(&mut self, kind: i32, path: &str) -> Result<Option<Vec<u8>>, ZkError> {
        self.last_xid = self.last_xid.wrapping_add(1);
        let xid = self.last_xid;
        let mut request = Vec::with_capacity(path.len() + 16);
        request.extend(xid.to_be_bytes());
        request.extend(kind.to_be_bytes());
        request.extend((path.len() as i32).to_be_bytes());
        request.extend(path.as_bytes());
        request.push(0);
        let answer = self.exchange(&request).await?;
        let mut head = Cursor::new(&answer, self.peer);
        let (got, seen, error) = (head.int()?, head.long()?, head.int()?);
        if got != xid {
            return Err(self.malformed(format!("request {got} instead of {xid}")));
        }
        self.last_seen = self.last_seen.max(seen);
        match error {
            0 => Ok(Some(answer[16..].to_vec())),
            NO_NODE => Ok(None),
            other => Err(self.malformed(format!("error {other} about {path}"))),
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, ZkError> {
        let (peer, patience) = (self.peer, self.patience);
        timeout(patience, self.frame(request))
            .await
            .map_err(|_| ZkError::Silent(peer, patience))?
    }

    async fn frame(&mut self, request: &[u8]) -> Result<Vec<u8>, ZkError> {
        let io = |e| ZkError::Io(self.peer, e);
        let mut frame = (request.len() as i32).to_be_bytes().to_vec();
        frame.extend(request);
        self.stream.write_all(&frame).await.map_err(io)?;
        let length = self.stream.read_i32().await.map_err(io)?;
        let length = usize::try_from(length)
            .ok()
            .filter(|n| *n <= ANSWER_MAX)
            .ok_or_else(|| ZkError::Malformed(self.peer, format!("a frame of {length} bytes")))?;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await.map_err(io)?;
        Ok(answer)
    }

    fn malformed(&self, what: String) -> ZkError {
        ZkError::Malformed(self.peer, what)
    }
}

/// What a server says of itself, without a session: it tells even when it has no quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether it leads its ensemble, or stands alone.
    pub leads: bool,
    /// The newest transaction that it has seen; 0 when it serves nobody.
    pub seen: i64,
}

/// Asks a server for its standing (the four letters `srvr`).
pub async fn standing(peer: SocketAddr, patience: Duration) -> Result<Standing, ZkError> {
    let asking = async {
        let mut stream = TcpStream::connect(peer).await?;
        stream.write_all(b"srvr").await?;
        let mut answer = String::new();
        let mut most = stream.take(ANSWER_MAX as u64);
        most.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    let answer = timeout(patience, asking)
        .await
        .map_err(|_| ZkError::Silent(peer, patience))?
        .map_err(|e| ZkError::Io(peer, e))?;
    read_standing(&answer).ok_or_else(|| {
        let start: String = answer.chars().take(80).collect();
        ZkError::Malformed(peer, format!("`srvr` with {start:?}"))
    })
}

/// A server without quorum says so in a sentence; one that serves has a line on its mode.
fn read_standing(answer: &str) -> Option<Standing> {
    if answer.contains("not currently serving requests") {
        return Some(Standing {
            leads: false,
            seen: 0,
        });
    }
    let line = |key: &str| answer.lines().find_map(|line| line.strip_prefix(key));
    let seen = line("Zxid: 0x")?.trim();
    Some(Standing {
        leads: matches!(line("Mode: ")?.trim(), "leader" | "standalone"),
        seen: i64::from_str_radix(seen, 16).ok()?,
    })
}

/// Reads jute: big-endian integers and counted bytes, never beyond the end.
struct Cursor<'a> {
    rest: &'a [u8],
    peer: SocketAddr,
}

impl<'a> Cursor<'a> {
    fn new(rest: &'a [u8], peer: SocketAddr) -> Self {
        Self { rest, peer }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], ZkError> {
        let (head, rest) = self
            .rest
            .split_at_checked(n)
            .ok_or_else(|| ZkError::Malformed(self.peer, "too few bytes".into()))?;
        self.rest = rest;
        Ok(head)
    }

    fn int(&mut self) -> Result<i32, ZkError> {
        let bytes = self.take(4)?;
        Ok(i32::from_be_bytes(bytes.try_into().expect("four bytes")))
    }

    fn long(&mut self) -> Result<i64, ZkError> {
        let bytes = self.take(8)?;
        Ok(i64::from_be_bytes(bytes.try_into().expect("eight bytes")))
    }

    /// A counted byte string; a negative count is an absent one.
    fn buffer(&mut self) -> Result<&'a [u8], ZkError> {
        let length = self.int()?.max(0) as usize;
        self.take(length)
    }
}

/// A partition's state as the controller and its leader wrote it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct PartitionState {
    /// `broker.id` of the leader, -1 for none.
    pub leader: i32,
    /// Leader epoch.
    pub leader_epoch: i32,
    /// `broker.id`s of the in-sync replicas.
    pub isr: Vec<i32>,
}

/// Where a partition's state stands.
pub fn state_path(partition: &history::Partition) -> String {
    format!(
        "/brokers/topics/{}/partitions/{}/state",
        partition.topic, partition.index
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::scripted;

    fn framed(parts: &[&[u8]]) -> Vec<u8> {
        let body: Vec<u8> = parts.concat();
        [&(body.len() as i32).to_be_bytes()[..], &body].concat()
    }

    fn welcome() -> Vec<u8> {
        framed(&[
            &0_i32.to_be_bytes(),
            &4000_i32.to_be_bytes(),
            &7_i64.to_be_bytes(),
            &16_i32.to_be_bytes(),
            &[0; 16],
        ])
    }

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn data_version_and_creation_are_read() {
        let answer = framed(&[
            &1_i32.to_be_bytes(),
            &99_i64.to_be_bytes(),
            &0_i32.to_be_bytes(),
            &2_i32.to_be_bytes(),
            b"hi",
            &42_i64.to_be_bytes(),
            &[0; 24],
            &3_i32.to_be_bytes(),
        ]);
        let at = scripted(vec![welcome(), answer]).await;
        let mut zk = ZooKeeper::open(at, 0, PATIENCE).await.unwrap();
        let node = zk.get("/x").await.unwrap().unwrap();
        assert_eq!(
            (&node.data[..], node.version, node.created),
            (&b"hi"[..], 3, 42)
        );
        assert_eq!(zk.last_seen(), 99);
    }

    #[tokio::test]
    async fn an_absent_node_is_not_an_error_and_nonsense_is() {
        let absent = framed(&[
            &1_i32.to_be_bytes(),
            &5_i64.to_be_bytes(),
            &(-101_i32).to_be_bytes(),
        ]);
        let huge = (1_i32 << 30).to_be_bytes().to_vec();
        let at = scripted(vec![welcome(), absent, huge]).await;
        let mut zk = ZooKeeper::open(at, 0, PATIENCE).await.unwrap();
        assert_eq!(zk.get("/x").await.unwrap(), None);
        let error = zk.get("/x").await.unwrap_err().to_string();
        assert!(
            error.ends_with("answered a frame of 1073741824 bytes"),
            "{error}"
        );
    }

    #[test]
    fn a_server_tells_whether_it_leads() {
        let of = |mode: &str| {
            let text = format!(
                "Zookeeper version: 3.6.3\nLatency min/avg/max: 0/0.0/0\nReceived: 1\nSent: 0\n\
                 Connections: 1\nOutstanding: 0\nZxid: 0x10000000a\nMode: {mode}\nNode count: 5\n"
            );
            read_standing(&text).map(|standing| (standing.leads, standing.seen))
        };
        assert_eq!(of("leader"), Some((true, 0x1_0000_000a)));
        assert_eq!(of("standalone"), Some((true, 0x1_0000_000a)));
        assert_eq!(of("follower"), Some((false, 0x1_0000_000a)));
        let idle = "This ZooKeeper instance is not currently serving requests\n";
        assert_eq!(read_standing(idle).map(|it| it.leads), Some(false));
        assert_eq!(read_standing("srvr is not in the whitelist"), None);
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_silent() {
        let at = scripted(vec![Vec::new()]).await;
        let error = ZooKeeper::open(at, 0, Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(matches!(error, ZkError::Silent(..)), "{error}");
    }
}
