//! Packets and connections of ours over a link, where its own traffic proves nothing: so that a
//! fault has something to act on, and that what it does to it can be measured.

use std::time::Duration;

use history::{Link, NodeId};

use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::host::Lane;
use crate::remote::RemoteCluster;
use crate::remote_all::all_ok;

/// A handful of packets of ours, or of connections that nobody answers.
const KNOCKING: Duration = Duration::from_secs(20);

/// $1 address, $2 how many, $3 bytes of each: packets to the discard port, where nobody listens.
const SEND: &str = r#"exec bash -c 'exec 3<>"/dev/udp/$0/9" || exit 1
printf -v load "%*s" "$2" ""
for ((i = 0; i < $1; i++)); do printf %s "$load" >&3; done 2>/dev/null; :' "$1" "$2" "$3""#;

/// $1 address, $2 port, $3 how many: connections, each for half a second at most.
const CONNECT: &str = r#"n=$3
while [ "$n" -gt 0 ]; do
  timeout 0.5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null; n=$((n - 1))
done; :"#;

/// $1 address, $2 port. How long a fresh connection takes, in microseconds: the shortest of three.
/// Refused or accepted, an answer has come back.
const PING: &str = r#"best=
for n in 1 2 3; do
  t=$(date +%s%N); timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null
  [ $? -ne 124 ] || continue
  t=$((($(date +%s%N) - t) / 1000))
  if [ -z "$best" ] || [ "$t" -lt "$best" ]; then best=$t; fi
done
echo "$best""#;

/// How long a fresh connection over each link takes; none where nobody answers.
pub(super) async fn pings(
    cluster: &RemoteCluster,
    links: &[Link],
) -> Result<Vec<Option<Duration>>, ClusterError> {
    let each = links.iter().map(|link| async move {
        let host = &cluster.node(link.from)?.host;
        let (_, ssh) = cluster
            .node(link.to)?
            .host
            .spec()
            .ssh_endpoint(&cluster.lab.login);
        // Any port answers, with a refusal at least; but not the two that are spared.
        let spared = [ssh, cluster.lab.ports.probe];
        let port = match link.port {
            Some(name) => cluster.lab.ports.number(name),
            None => (1..).find(|port| !spared.contains(port)).unwrap_or(1),
        };
        let args = [address(cluster, link.to)?.to_owned(), port.to_string()];
        let said = host
            .ok(Lane::Control, &Cmd::script(PING, args), KNOCKING)
            .await?;
        Ok(said.trim().parse().ok().map(Duration::from_micros))
    });
    all_ok(each).await
}

/// Sends some packets over a link: to a port where nobody listens, or for a link with a port
/// connections to it.
pub(super) async fn knock(
    cluster: &RemoteCluster,
    link: Link,
    packets: u32,
    bytes: u32,
) -> Result<(), ClusterError> {
    let host = &cluster.node(link.from)?.host;
    let to = address(cluster, link.to)?.to_owned();
    let cmd = match link.port {
        None => Cmd::script(SEND, [to, packets.to_string(), bytes.to_string()]),
        Some(name) => {
            let port = cluster.lab.ports.number(name).to_string();
            Cmd::script(CONNECT, [to, port, packets.min(30).to_string()])
        }
    };
    host.ok(Lane::Control, &cmd, KNOCKING).await.map(drop)
}

/// Compares how long connections take.
pub(super) fn slower(
    links: &[Link],
    before: &[Option<Duration>],
    after: &[Option<Duration>],
    by: Duration,
) -> (bool, String) {
    let mut all = !links.is_empty();
    let words = links
        .iter()
        .zip(before.iter().zip(after))
        .map(|(link, (before, after))| {
            let (Some(before), Some(after)) = (before, after) else {
                all = false;
                return format!("a fresh connection {link} got no answer");
            };
            // A measurement, not a clock: nine tenths of what was asked for.
            all &= after.saturating_sub(*before) >= by * 9 / 10;
            let ms = |time: &Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
            format!(
                "a fresh connection {link} took {}, {} before",
                ms(after),
                ms(before)
            )
        });
    let words: Vec<String> = words.collect();
    (all, words.join("; "))
}

/// By which a node is reached.
pub(super) fn address(cluster: &RemoteCluster, node: NodeId) -> Result<&str, ClusterError> {
    Ok(&cluster.node(node)?.host.spec().address)
}
