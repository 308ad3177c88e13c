//! What can be seen of a host: rules, queues, links, mounts, processes, files. Looked at through a
//! login of its own, with the host's tools and none of the harness' memory.
//!
//! What changes by itself is left out here by name, and nothing else is: counters, dates, process
//! ids, the sizes of logs, of what the lock and the lease are renewed in, and what is inside the
//! directories in which real brokers write.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::config::Layout;
use cluster::{ClusterError, Cmd, Host, LabFile, Lane};
use futures_util::future::try_join_all;
use history::{Deed, FaultId, FaultKind, NodeId, Service};

use super::counts::Cast;

const WITHIN: Duration = Duration::from_secs(20);

/// `$1` the lab's directory, `$2` a directory whose files are summed up, or nothing. The look's own
/// processes share its session.
const LOOK: &str = r#"cd / && dir=$1 sums=$2 LC_ALL=C PATH=$PATH:/usr/sbin:/sbin; export LC_ALL PATH
read -r stat <"/proc/$$/stat"; set -- ${stat##*) }; mine=$4
echo '== rules'; iptables-save
echo '== queues'; tc qdisc show
echo '== links'; ip -d link; ip addr
echo '== mounts'; cat /proc/self/mounts
echo '== processes'
for p in /proc/[0-9]*; do
  read -r stat 2>/dev/null <"$p/stat" || continue
  set -- ${stat##*) }
  [ "$4" != "$mine" ] || continue
  case $1 in T|t) state=stopped;; Z|X) state=zombie;; *) state=lives;; esac
  echo "$state $(tr '\0\n' '  ' 2>/dev/null <"$p/cmdline")"
done
echo '== files'
find "$dir" /tmp /run -path /run/netns -prune -o -path "/run/host$dir" -prune -o \
  \( -type d -printf '%M - %p/\n' -o -printf '%M %s %p\n' \)
[ -z "$sums" ] || find "$sums" -type f -exec cksum {} +"#;

/// What was seen of all hosts: lines of `n0 rules -A INPUT ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight(Vec<String>);

/// Logins of their own on every host.
pub struct Eyes {
    hosts: Vec<Host>,
    dir: String,
    run: String,
    data: String,
    cast: Cast,
}

impl Eyes {
    /// Logs in.
    ///
    /// # Errors
    /// A host refuses.
    pub async fn open(lab: &LabFile, cast: Cast) -> Result<Self, ClusterError> {
        let layout = Layout::new(lab);
        Ok(Self {
            hosts: try_join_all(lab.hosts.iter().map(|spec| Host::connect(lab, spec))).await?,
            dir: layout.dir().to_owned(),
            run: layout.run(),
            data: layout.data(Service::Broker),
            cast,
        })
    }

    /// Looks at every host.
    ///
    /// # Errors
    /// A host does not answer.
    pub async fn look(&self) -> Result<Sight, ClusterError> {
        let sums = match self.cast {
            Cast::StandIns => self.data.as_str(),
            Cast::Kafka => "",
        };
        let each = self.hosts.iter().map(|host| async move {
            let cmd = Cmd::script(LOOK, [self.dir.as_str(), sums]);
            let said = host.ok(Lane::Control, &cmd, WITHIN).await?;
            Ok::<_, ClusterError>(self.read(host.node(), &said))
        });
        Ok(Sight(try_join_all(each).await?.concat()))
    }

    fn read(&self, node: NodeId, said: &str) -> Vec<String> {
        let mut section = "";
        let mut lines = Vec::new();
        for line in said.lines() {
            if let Some(name) = line.strip_prefix("== ") {
                section = name;
                continue;
            }
            let kept = match section {
                "rules" => rule(line),
                "links" => Some(line.replace(" tentative", "")),
                // Other labs' namespaces come and go.
                "mounts" => (!line.contains("/run/netns")).then(|| line.to_owned()),
                "processes" => process(line),
                "files" => self.file(line),
                _ => Some(line.to_owned()),
            };
            lines.extend(kept.map(|line| format!("{node} {section} {line}")));
        }
        // Rules have an order; a table of processes and a directory have none.
        let unordered = |line: &String| line.contains(" processes ") || line.contains(" files ");
        let (mut rest, ordered): (Vec<_>, Vec<_>) = lines.into_iter().partition(unordered);
        rest.sort();
        [ordered, rest].concat()
    }

    /// `-rw-r--r-- 12 /srv/tidemark/run/broker.pid`, or `1234 12 /path` with a sum.
    fn file(&self, line: &str) -> Option<String> {
        let mut words = line.splitn(3, ' ');
        let (mode, size, path) = (words.next()?, words.next()?, words.next()?);
        let below = |dir: &str| path.strip_prefix(dir)?.strip_prefix('/');
        if below("/tmp/hsperfdata_root").is_some() {
            return None;
        }
        if self.cast == Cast::Kafka
            && let Some(inside) = below(&format!("{}/data", self.run))
            && is_kafkas_own(inside)
        {
            return None;
        }
        let in_run = below(&self.run).unwrap_or_default();
        let in_dir = below(&self.dir).unwrap_or_default();
        let grows = in_run.starts_with("logs/")
            || path == "/run/host/sshd.log"
            || in_run.ends_with(".pid")
            || in_run == "broker.img"
            || [".lock", ".lease", "guard.log"]
                .iter()
                .any(|it| in_dir.starts_with(it));
        // Logs are rolled, renewals write beside what they renew, and what a log lost is noted on
        // purpose until the run's files go.
        let passes = in_run.starts_with("lost/")
            || (in_run.starts_with("logs/") && !in_run.ends_with('/'))
            || in_dir == ".lease.part"
            || in_dir.starts_with(".lock.");
        match (passes, grows) {
            (true, _) => None,
            (_, true) => Some(format!("{mode} - {path}")),
            _ => Some(format!("{mode} {size} {path}")),
        }
    }
}

/// iptables-save without dates and counters.
fn rule(line: &str) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let line = match line.rsplit_once(" [") {
        Some((chain, counters)) if counters.ends_with(']') => chain,
        _ => line,
    };
    Some(line.to_owned())
}

/// Logins come and go, the guard sleeps between two looks of its own.
fn process(line: &str) -> Option<String> {
    let (state, args) = line.split_once(' ')?;
    let args = args.trim_end();
    // A process that is just taking another program's place has no arguments.
    let passes = args.is_empty() && state == "lives";
    if passes || args.starts_with("sshd") || args.contains("/sshd") || args == "sleep 0.5" {
        return None;
    }
    if args.contains(" tidemark-guard ") {
        return Some(format!("{state} tidemark-guard"));
    }
    Some(format!("{state} {args}"))
}

/// What a broker or a ZooKeeper writes by itself into its directory; what is not known is told.
fn is_kafkas_own(inside: &str) -> bool {
    let name = inside.trim_end_matches('/').rsplit('/').next();
    let name = name.unwrap_or_default();
    let ours = name.starts_with(".tidemark") || name.ends_with(".tm");
    // The two directories themselves stay.
    inside.trim_end_matches('/').contains('/') && !ours
}

impl Sight {
    /// How `now` differs from this: lines with `-` are gone, lines with `+` are new.
    pub fn difference(&self, now: &Sight) -> Vec<String> {
        let mut count: BTreeMap<&str, i64> = BTreeMap::new();
        for line in &self.0 {
            *count.entry(line).or_default() -= 1;
        }
        for line in &now.0 {
            *count.entry(line).or_default() += 1;
        }
        let mut words: Vec<String> = Vec::new();
        for (line, count) in count {
            let sign = if count < 0 { '-' } else { '+' };
            (0..count.abs()).for_each(|_| words.push(format!("{sign} {line}")));
        }
        let moved = self.0.iter().zip(&now.0).find(|(was, is)| was != is);
        if let (true, Some((was, is))) = (words.is_empty(), moved) {
            words.push(format!("! another order: where `{was}` was, `{is}` is"));
        }
        words
    }

    /// Whether this look shows a fault that was not there at the look before; none where it leaves
    /// nothing that such a look shows.
    pub fn shows(&self, before: &Sight, fault: FaultId, deed: &Deed, chains: &str) -> Option<bool> {
        let rule = || {
            let jump = format!(" rules -A INPUT -j {chains}{fault}");
            self.0.iter().any(|line| line.ends_with(&jump))
        };
        let differ = |node: &NodeId, section: &str| {
            let start = format!("{node} {section} ");
            let of = |sight: &Sight| -> Vec<String> {
                let lines = sight.0.iter().filter(|line| line.starts_with(&start));
                lines.cloned().collect()
            };
            of(self) != of(before)
        };
        let nodes = || deed.processes.iter().map(|(node, _)| node);
        match deed.kind {
            FaultKind::Kill | FaultKind::Stop | FaultKind::Restart => {
                Some(deed.processes.iter().all(|it| self.state_of(*it).is_none()))
            }
            FaultKind::Pause => {
                let stopped = |it| self.state_of(it).as_deref() == Some("stopped");
                Some(deed.processes.iter().all(|it| stopped(*it)))
            }
            FaultKind::Isolate | FaultKind::Cut | FaultKind::Clients => Some(rule()),
            FaultKind::Shape => {
                let queue = deed.links.iter().any(|link| differ(&link.from, "queues"));
                Some(queue || rule())
            }
            FaultKind::FillDisk => {
                let filler = format!("/.tidemark-filler-{fault}");
                Some(self.0.iter().any(|line| line.ends_with(&filler)))
            }
            FaultKind::SlowDisk | FaultKind::FailDisk => None,
            FaultKind::PowerCut | FaultKind::Wipe | FaultKind::Checkpoints => {
                let gone = deed.processes.iter().all(|it| self.state_of(*it).is_none());
                // What brokers write is not looked at.
                let files = nodes().any(|node| differ(node, "files"));
                Some(gone && (files || !self.shows_sums()))
            }
            FaultKind::FlipBit => {
                let changed = || nodes().all(|node| differ(node, "files"));
                self.shows_sums().then(changed)
            }
            // It may be let go just now; elections and settings are in no table of a host.
            FaultKind::Flap
            | FaultKind::Elect
            | FaultKind::Reassign
            | FaultKind::Configure
            | FaultKind::DeleteRecords
            | FaultKind::Clock
            | FaultKind::CrashClient => None,
        }
    }

    fn shows_sums(&self) -> bool {
        self.0
            .iter()
            .any(|line| line.contains(super::stand_ins::NAME))
    }

    /// The state of a node's service, if it has a process.
    fn state_of(&self, (node, service): (NodeId, Service)) -> Option<String> {
        let start = format!("{node} processes ");
        let stand_in = format!("{} {service}", super::stand_ins::NAME);
        let class = match service {
            Service::Broker => "kafka.Kafka",
            Service::ZooKeeper => "QuorumPeerMain",
        };
        self.0.iter().find_map(|line| {
            let (state, args) = line.strip_prefix(&start)?.split_once(' ')?;
            let it = args.contains(&stand_in) || args.contains(class);
            (it && state != "zombie").then(|| state.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eyes(cast: Cast) -> Eyes {
        Eyes {
            hosts: Vec::new(),
            dir: "/srv/tidemark".into(),
            run: "/srv/tidemark/run".into(),
            data: "/srv/tidemark/run/data/broker".into(),
            cast,
        }
    }

    const SAID: &str = "\
== rules
# Generated by iptables-save v1.8.9 (nf_tables) on Mon Nov 23 08:00:00 2026
*filter
:INPUT ACCEPT [12:3456]
-A INPUT -j TM-x-f1
COMMIT
== queues
qdisc noqueue 0: dev lo root refcnt 2
== mounts
nsfs /run/netns/tm-x-n0 nsfs rw 0 0
tmpfs /tmp tmpfs rw 0 0
== processes
lives sshd: root@notty
lives sh -c heal tidemark-guard  /srv/tidemark TM-x-
lives sleep 0.5
stopped bash -c x tidemark-stand-in broker 192.168.136.28
lives sleep 86400
== files
-rw-r--r-- 12 /srv/tidemark/run/broker.pid
-rw-r--r-- 0 /srv/tidemark/.guard
-rw-r--r-- 77 /srv/tidemark/run/data/broker/.tidemark-filler-f1
-rw-r--r-- 77 /srv/tidemark/run/data/broker/ledger-0/00.log
drwxr-xr-x - /srv/tidemark/run/data/broker/
-rw-r--r-- 77 /srv/tidemark/run/logs/server.log
";

    #[test]
    fn what_changes_by_itself_is_left_out_and_nothing_else() {
        let lines = eyes(Cast::Kafka).read(NodeId(0), SAID);
        assert_eq!(
            lines,
            [
                "n0 rules *filter",
                "n0 rules :INPUT ACCEPT",
                "n0 rules -A INPUT -j TM-x-f1",
                "n0 rules COMMIT",
                "n0 queues qdisc noqueue 0: dev lo root refcnt 2",
                "n0 mounts tmpfs /tmp tmpfs rw 0 0",
                "n0 files -rw-r--r-- - /srv/tidemark/run/broker.pid",
                "n0 files -rw-r--r-- 0 /srv/tidemark/.guard",
                "n0 files -rw-r--r-- 77 /srv/tidemark/run/data/broker/.tidemark-filler-f1",
                "n0 files drwxr-xr-x - /srv/tidemark/run/data/broker/",
                "n0 processes lives sleep 86400",
                "n0 processes lives tidemark-guard",
                "n0 processes stopped bash -c x tidemark-stand-in broker 192.168.136.28",
            ]
        );
        let with_data = eyes(Cast::StandIns).read(NodeId(0), SAID);
        assert_eq!(with_data.len(), lines.len() + 1, "stand-ins write nothing");
    }

    #[test]
    fn a_difference_names_every_line() {
        let sight = |lines: &[&str]| Sight(lines.iter().map(|it| (*it).to_owned()).collect());
        let before = sight(&["a", "b", "b"]);
        assert_eq!(before.difference(&before), Vec::<String>::new());
        assert_eq!(before.difference(&sight(&["b", "c", "a"])), ["- b", "+ c"]);
        assert_eq!(before.difference(&sight(&["b", "a", "b"])).len(), 1);
    }

    #[test]
    fn a_fault_is_seen_where_it_is_and_only_there() {
        let now = Sight(eyes(Cast::StandIns).read(NodeId(0), SAID));
        let deed = |kind| Deed {
            kind,
            processes: vec![(NodeId(0), Service::Broker)],
            links: Vec::new(),
            because: String::new(),
        };
        let shows = |fault, kind| now.shows(&now, FaultId(fault), &deed(kind), "TM-x-");
        assert_eq!(shows(1, FaultKind::Pause), Some(true));
        assert_eq!(shows(1, FaultKind::Kill), Some(false));
        assert_eq!(shows(1, FaultKind::Cut), Some(true));
        assert_eq!(shows(2, FaultKind::Cut), Some(false));
        assert_eq!(shows(1, FaultKind::FillDisk), Some(true));
        assert_eq!(shows(1, FaultKind::FlipBit), Some(false), "no file differs");
        assert_eq!(shows(1, FaultKind::Elect), None);
    }
}
