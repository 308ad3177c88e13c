//! What of this lab, and of others, is on a host: marker and lock, ports, leftovers, a foreign Kafka.

use super::super::{About, Finding};
use crate::install;
use crate::labfile::LabFile;

/// The directory and its marker; and whether the host is ours to try things on: claimed, and locked
/// by nobody.
pub(in crate::doctor) fn site(said: &str, lab: &LabFile) -> (Finding, bool) {
    let field = |name: &str| {
        let mut lines = said.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
    };
    let number = |name| field(name).and_then(|n| n.parse::<i64>().ok());
    let user = field("user").unwrap_or(&lab.login.user);
    let about = About::Claim;
    let (dir, name) = (&lab.dir, &lab.name);
    let make =
        format!("sudo install -d -o {user} {dir}   (there), then `tidemark lab claim {name}`");
    let finding = match (field("dir"), field("marker")) {
        (Some("open"), Some(marker)) if marker == name => {
            if let (Some(owner), Some(until), Some(now)) =
                (field("lock"), number("until"), number("now"))
                && until > now
            {
                let why = format!(
                    "in use by {owner} for {} s more unless renewed",
                    until - now
                );
                let remedy = "what would disturb it was not tried; ask again when it has ended";
                return (Finding::note(about, "in use", why, remedy), false);
            }
            return (Finding::fits(about, "claimed"), true);
        }
        (Some("open"), Some(other)) => Finding::missing(
            about,
            format!("of {other}"),
            format!("{dir} is claimed for the lab {other:?}, not for {name}"),
            format!(
                "if that lab is no more, remove {dir}/.tidemark-lab there and `tidemark lab claim {name}`"
            ),
        ),
        (Some("open"), None) if said.lines().any(|line| line == "filled") => Finding::missing(
            about,
            "not empty",
            format!("{dir} has no marker and is not empty, so it is not Tidemark's to take"),
            "give the lab a directory of its own (`dir` in the lab file)",
        ),
        (Some("open"), None) => Finding::missing(
            about,
            "unclaimed",
            format!(
                "{dir} has no marker, so no run touches this host and its powers were not tried"
            ),
            format!("`tidemark lab claim {name}`, if this host is yours to harm"),
        ),
        (Some("closed"), _) => Finding::missing(
            about,
            "closed",
            format!("{user} may not write in {dir}"),
            make,
        ),
        _ => Finding::missing(about, "none", format!("there is no {dir}"), make),
    };
    (finding, false)
}

/// Linux' tables of TCP sockets.
pub(in crate::doctor) fn ports(said: &str, lab: &LabFile, ours: bool) -> Finding {
    let about = About::Ports;
    let taken = install::listening(said);
    let used: Vec<String> = install::wanted_ports(lab)
        .iter()
        .filter(|(_, port)| taken.contains(port))
        .map(|(name, port)| format!("{port} ({name})"))
        .collect();
    if used.is_empty() {
        return Finding::fits(about, "free");
    }
    let why = format!("in use: {}", used.join(", "));
    let remedy = "`sudo ss -ltnp` there names the programs: end them, or set other numbers under \
                  [ports] in the lab file; what a killed run left goes with `tidemark heal`";
    match ours {
        true => Finding::missing(about, "in use", why, remedy),
        false => Finding::note(about, "in use", why, remedy),
    }
}

/// A line for each thing that a heal would remove or undo.
pub(in crate::doctor) fn leftovers(said: &str, lab: &LabFile) -> Finding {
    let about = About::Leftovers;
    let all: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    match all.len() {
        0 => Finding::fits(about, "none"),
        n => Finding::note(
            about,
            n.to_string(),
            all.join("; "),
            format!(
                "`tidemark heal {}`; the next run clears processes and files by itself",
                lab.name
            ),
        ),
    }
}

/// `<pid> <user>` of each Kafka or ZooKeeper that is not the lab's.
pub(in crate::doctor) fn foreign(said: &str) -> Finding {
    let about = About::Kafka;
    let Some(first) = said.lines().next() else {
        return Finding::fits(about, "none");
    };
    let (pid, user) = first.split_once(' ').unwrap_or((first, "?"));
    Finding::missing(
        about,
        format!("process {pid}"),
        format!(
            "a Kafka or ZooKeeper that is not this lab's runs there (process {pid} of {user}), and no run touches such a host"
        ),
        format!(
            "end it there (`kill {pid}`) if it is a leftover, or put another host into the lab file"
        ),
    )
}
