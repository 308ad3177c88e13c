//! Names and routes: whether each host reaches every host, itself too, by the addresses that
//! brokers advertise, on every port of the lab; and whether this controller does.
//!
//! Nobody need listen there: a port that refuses has answered. Only silence, and what a firewall
//! says in the host's name, count against a route.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::asking::{answered, text};
use super::{About, Finding};
use crate::host::{Host, Lane};
use crate::labfile::{HostSpec, LabFile};
use crate::remote_all::all;

/// For one connection; all of a host's are tried at once.
const CONNECT: Duration = Duration::from_secs(2);
/// For all of them.
const WITHIN: Duration = Duration::from_secs(8);

/// $1 seconds for a connection, $2 ports; then addresses as they are advertised.
pub(super) const ROUTES: &str = r#"limit=$1 ports=$2; shift 2
own=$(uname -n)
echo "self $own $(getent ahostsv4 "$own" | awk 'NR == 1 { print $1 }')"
for name in "$@"; do
  ip=$(getent ahostsv4 "$name" | awk 'NR == 1 { print $1 }')
  echo "name $name $ip"
  [ -n "$ip" ] || continue
  echo "route $name $(ip -o route get "$ip" 2>&1 | head -n 1)"
  for port in $ports; do
    { said=$(timeout "$limit" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$ip" "$port" 2>&1)
      echo "port $name $port $? $(printf '%s\n' "$said" | head -n 1)"; } &
  done
done
wait"#;

/// What came of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Met {
    /// Accepted, or refused by the host itself.
    Answer,
    /// A firewall says no in the host's name, or there is no way.
    Rejected,
    /// Nothing within the time.
    Silence,
    /// Something else, in its own words.
    Odd(String),
}

impl Met {
    fn word(&self) -> &str {
        match self {
            Met::Answer => "answers",
            Met::Rejected => "rejected",
            Met::Silence => "no answer",
            Met::Odd(said) => said,
        }
    }

    /// Of bash's exit status and words; `timeout` ends with 124.
    fn read(status: i32, said: &str) -> Met {
        if status == 0 || said.contains("refused") {
            Met::Answer
        } else if status == 124 || said.contains("timed out") {
            Met::Silence
        } else if ["No route", "unreachable", "prohibited", "denied"]
            .iter()
            .any(|words| said.contains(words))
        {
            Met::Rejected
        } else {
            Met::Odd(said.to_owned())
        }
    }
}

/// Names, routes from the host, and the way from here to it.
pub(super) async fn ask(host: &Host, lab: &LabFile) -> Vec<Finding> {
    let ports: Vec<String> = ports(lab).iter().map(u16::to_string).collect();
    let args = [CONNECT.as_secs().to_string(), ports.join(" ")];
    let addresses = lab.hosts.iter().map(|host| host.address.clone());
    let args = args.into_iter().chain(addresses);
    let asked = text(host, Lane::Bulk, ROUTES, args, WITHIN);
    let (said, reach) = tokio::join!(asked, reach(host, lab));
    vec![
        answered(About::Names, said.clone(), |said| names(said, lab)),
        answered(About::Routes, said, |said| routes(said, lab)),
        reach,
    ]
}

fn ports(lab: &LabFile) -> [u16; 5] {
    let p = &lab.ports;
    [p.broker, p.probe, p.zk_client, p.zk_peer, p.zk_election]
}

/// Reads what [`ROUTES`] says of names.
pub(super) fn names(said: &str, lab: &LabFile) -> Finding {
    let mut own = ("", "");
    let mut unknown = Vec::new();
    for line in said.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("self"), Some(name), ip) => own = (name, ip.unwrap_or("")),
            (Some("name"), Some(name), None | Some("")) => unknown.push(name),
            _ => {}
        }
    }
    if !unknown.is_empty() {
        // Where the lab file has a name, it is that name that is not known, and no address is.
        let line = |h: &HostSpec| match h.address.parse::<IpAddr>() {
            Ok(ip) => format!("{ip} {}", h.name),
            Err(_) => format!("ADDRESS {}", h.address),
        };
        let list: Vec<String> = lab.hosts.iter().map(line).collect();
        return Finding::missing(
            About::Names,
            "unknown",
            format!("it does not know {}", unknown.join(", ")),
            format!(
                "write addresses into the lab file, or names into /etc/hosts there ({})",
                list.join("; ")
            ),
        );
    }
    match own {
        (name, "") => Finding::note(
            About::Names,
            format!("not {name}"),
            format!("it does not know its own name {name}, and a JVM asks for that when it starts"),
            format!("echo '127.0.1.1 {name}' | sudo tee -a /etc/hosts"),
        ),
        (name, _) => Finding::fits(About::Names, name),
    }
}

/// Reads what [`ROUTES`] says of connections.
pub(super) fn routes(said: &str, lab: &LabFile) -> Finding {
    let mut closed: BTreeMap<String, BTreeMap<Met, BTreeSet<u16>>> = BTreeMap::new();
    let mut answers = 0;
    let mut devices = BTreeSet::new();
    for line in said.lines() {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        match words.as_slice() {
            ["port", name, port, status, rest @ ..] => {
                let said = rest.first().copied().unwrap_or("");
                let met = Met::read(status.parse().unwrap_or(1), said);
                let port = port.parse().unwrap_or(0);
                if met == Met::Answer {
                    answers += 1;
                } else {
                    let of = closed.entry((*name).to_owned()).or_default();
                    of.entry(met).or_default().insert(port);
                }
            }
            ["route", ..] => devices.extend(device(line).filter(|device| *device != "lo")),
            _ => {}
        }
    }
    if closed.is_empty() && answers == 0 {
        return Finding::missing(
            About::Routes,
            "none",
            "no connection could be tried",
            "install bash there",
        );
    }
    let odd = devices.iter().find(|device| {
        lab.interface
            .as_deref()
            .is_some_and(|wanted| wanted != **device)
    });
    if let Some(device) = odd {
        let wanted = lab.interface.as_deref().unwrap_or("");
        return Finding::missing(
            About::Routes,
            format!("through {device}"),
            format!("another host is reached through {device}, and the lab file says {wanted}"),
            "write the addresses of that network into the lab file, or correct `interface`",
        );
    }
    let through: Vec<&str> = devices.into_iter().collect();
    if closed.is_empty() {
        let found = match through.is_empty() {
            true => "within itself".to_owned(),
            false => format!("by {}", through.join(", ")),
        };
        return Finding::fits(About::Routes, found);
    }
    blocked(About::Routes, "to", &closed, lab)
}

fn blocked(
    about: About,
    to: &str,
    closed: &BTreeMap<String, BTreeMap<Met, BTreeSet<u16>>>,
    lab: &LabFile,
) -> Finding {
    let named = |address: &String| {
        let host = lab.hosts.iter().find(|host| host.address == *address);
        host.map_or_else(|| address.clone(), |host| host.node.to_string())
    };
    let words: Vec<String> = closed
        .iter()
        .flat_map(|(address, met)| {
            met.iter().map(move |(met, ports)| {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                format!(
                    "{to} {} port {}: {}",
                    named(address),
                    ports.join(", "),
                    met.word()
                )
            })
        })
        .collect();
    let whom: Vec<String> = closed.keys().map(named).collect();
    Finding::missing(
        about,
        format!("not {}", whom.join(" ")),
        words.join("; "),
        "let the lab's hosts and this controller through there (docs/lab.md has the lines for \
         firewalld, nftables and ufw), or correct the addresses in the lab file",
    )
}

/// The device of `192.168.136.28 dev eth0 src 192.168.136.27 uid 0 \    cache`.
pub(super) fn device(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.find(|word| *word == "dev")?;
    words.next()
}

/// Whether clients and probes, which run here, reach a host.
async fn reach(host: &Host, lab: &LabFile) -> Finding {
    let address = host.spec().address.as_str();
    let tried = [lab.ports.broker, lab.ports.probe, lab.ports.zk_client];
    let each = tried.map(|port| async move {
        let met = match timeout(CONNECT, TcpStream::connect((address, port))).await {
            Ok(Ok(_)) => Met::Answer,
            Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused => Met::Answer,
            Ok(Err(e)) if e.kind() == ErrorKind::HostUnreachable => Met::Rejected,
            Ok(Err(e)) => Met::Odd(e.to_string()),
            Err(_) => Met::Silence,
        };
        (port, met)
    });
    let mut closed: BTreeMap<String, BTreeMap<Met, BTreeSet<u16>>> = BTreeMap::new();
    for (port, met) in all(each).await {
        if met != Met::Answer {
            let of = closed.entry(address.to_owned()).or_default();
            of.entry(met).or_default().insert(port);
        }
    }
    match closed.is_empty() {
        true => Finding::fits(About::Reach, "reached"),
        false => blocked(About::Reach, "from here to", &closed, lab),
    }
}
