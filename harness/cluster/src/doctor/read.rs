//! Readers: what a host said, as a finding. Pure; each reads the words of CentOS 7's tools as well
//! as of today's.

use super::probes::worst;
use super::{About, Finding, Grade, ROOT_COMMANDS};
use crate::dialect;
use crate::install;
use crate::labfile::{LabFile, Sudo};

/// What a run may write before anybody worries.
const ROOM_COMFORTABLE: u64 = 4 << 30;
/// Less, and the first run is refused: jars, twice while they are unpacked, and a run.
const ROOM_NEEDED: u64 = 512 << 20;
/// Slower than this, and ZooKeeper's sessions suffer.
const FSYNC_MAX_MS: f64 = 100.0;
/// The kernel's usual limit of open files; six partitions of the smallest plan fit.
const FILES_NEEDED: u64 = 1024;
const FILES_COMFORTABLE: u64 = 4096;
/// Two JVMs have some 150 threads.
const PROCESSES_NEEDED: u64 = 512;

/// The directory and its marker; and whether the host is ours to try things on: claimed, and locked
/// by nobody.
pub(super) fn site(said: &str, lab: &LabFile) -> (Finding, bool) {
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

/// Programs that are missing, with what they are for.
pub(super) fn programs(said: &str) -> Finding {
    let missing: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    let about = About::Programs;
    if missing.is_empty() {
        return Finding::fits(about, "all there");
    }
    let known = |name: &&str| dialect::PROGRAMS.iter().find(|p| p.name == *name);
    let needed: Vec<&str> = missing
        .iter()
        .copied()
        .filter(|name| known(name).is_none_or(|p| p.needed))
        .collect();
    let mut packages: Vec<&str> = missing
        .iter()
        .filter_map(known)
        .map(|p| p.package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    let remedy = format!("sudo yum install {}", packages.join(" "));
    let why = format!("there is no {}", missing.join(", no "));
    match needed.is_empty() {
        true => Finding::note(about, format!("no {}", missing.join(" ")), why, remedy),
        false => Finding::missing(about, format!("no {}", needed.join(" ")), why, remedy),
    }
}

/// Which of the commands that need root may be run, and where each is.
pub(super) fn sudo(said: &str, lab: &LabFile) -> (Finding, Vec<(&'static str, String)>) {
    const REFUSALS: [&str; 6] = [
        "password",
        "not allowed",
        "not in the sudoers",
        "may not run",
        "tty",
        "must be setuid root",
    ];
    let about = About::Sudo;
    let mut paths = Vec::new();
    let (mut refused, mut first) = (Vec::new(), String::new());
    for line in said.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let (Some(what), Some(name)) = (words.first(), words.get(1)) else {
            continue;
        };
        let Some(command) = ROOT_COMMANDS.iter().find(|command| command.name == *name) else {
            continue;
        };
        if let Some(path) = words.get(2) {
            paths.push((command.name, (*path).to_owned()));
        }
        let words = words.get(3).copied().unwrap_or("");
        // A command that was run and failed by itself was allowed.
        let is_refusal = words.contains("sudo") || REFUSALS.iter().any(|r| words.contains(r));
        if *what == "no" && is_refusal {
            refused.push(command);
            first = words.to_owned();
        }
    }
    if refused.is_empty() {
        let found = match lab.login.sudo {
            Sudo::None => "root",
            Sudo::Passwordless => "without password",
            Sudo::Password => "by password",
        };
        return (Finding::fits(about, found), paths);
    }
    let names: Vec<&str> = refused.iter().map(|command| command.name).collect();
    let grade = match refused.iter().all(|command| command.for_disks) {
        true => Grade::Note,
        false => Grade::Missing,
    };
    let remedy = match first.contains("tty") {
        true => {
            "set `sudo_terminal = true` under [login], or allow sudo without a terminal (the sudoers lines below)"
        }
        false => {
            "write the sudoers lines below with `sudo visudo -f /etc/sudoers.d/tidemark` there"
        }
    };
    let why = format!("may not run {} as root: {first}", names.join(", "));
    let mut finding = Finding::note(about, "refused", why, remedy);
    finding.grade = grade;
    (finding, paths)
}

/// Java's version, and whether it takes the options that our JVMs are started with.
pub(super) fn java(said: &str, java: &str) -> Finding {
    let about = About::Java;
    let remedy = "sudo yum install java-11-openjdk-headless (Debian, Ubuntu: apt-get install \
                  openjdk-17-jre-headless), or set `java` in the lab file";
    let line = said.lines().find(|line| line.contains("version \""));
    let Some(line) = line else {
        let complaint = said
            .lines()
            .find(|line| !line.trim().is_empty() && *line != "none");
        return match complaint {
            None => Finding::missing(about, "none", format!("there is no `{java}`"), remedy),
            Some(words) => Finding::missing(about, "does not start", words.trim(), remedy),
        };
    };
    let version = line.split('"').nth(1).unwrap_or("");
    match install::java_major(line) {
        Some(major) if major >= install::JAVA_MIN => Finding::fits(about, version),
        _ => Finding::missing(about, version, "Kafka needs Java 8 or newer", remedy),
    }
}

/// `Linux 3.10.0-1160.el7.x86_64`, `CentOS Linux 7 (Core)`.
pub(super) fn system(system: &str, kernel: &str) -> Finding {
    let kernel = kernel.strip_prefix("Linux ").unwrap_or(kernel);
    let version = kernel.split('-').next().unwrap_or(kernel);
    let name = system.split(" (").next().unwrap_or(system);
    Finding::fits(About::System, format!("{name}, {version}"))
}

/// Free KiB and the file system's type.
pub(super) fn room(said: &str, lab: &LabFile) -> Finding {
    let about = About::Room;
    let mut words = said.split_whitespace();
    let (Some(kib), kind) = (
        words.next().and_then(|n| n.parse::<u64>().ok()),
        words.next(),
    ) else {
        return Finding::missing(
            about,
            "unknown",
            format!("df says {said:?}"),
            "look at `df` there",
        );
    };
    let (bytes, kind) = (kib << 10, kind.unwrap_or("?"));
    let found = format!("{:.1} GB {kind}", bytes as f64 / 1e9);
    let why = format!("{} MiB are free for {}", bytes >> 20, lab.dir);
    let remedy = "make room there, or set another `dir` in the lab file";
    match bytes {
        0..ROOM_NEEDED => Finding::missing(about, found, why, remedy),
        ROOM_NEEDED..ROOM_COMFORTABLE => Finding::note(about, found, why, remedy),
        _ => Finding::fits(about, found),
    }
}

/// Nanoseconds of one fsync after 4 MiB, and of eight synchronous writes.
pub(super) fn speed(said: &str) -> Finding {
    let about = About::Disk;
    let mut words = said.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(large)), Some(Ok(small))) = (words.next(), words.next()) else {
        let why = format!("writing there said {said:?}");
        return Finding::missing(
            about,
            "fails",
            why,
            "look at the disk below the lab's directory",
        );
    };
    let (large, each) = (large / 1e6, small / 8e6);
    let found = format!("{each:.1} ms");
    if each <= FSYNC_MAX_MS {
        return Finding::fits(about, found);
    }
    Finding::note(
        about,
        found,
        format!("a write of 4 KiB takes {each:.0} ms to the disk, 4 MiB take {large:.0} ms"),
        "use a faster disk, or the `fast` profile, whose ZooKeepers do not force their log",
    )
}

/// Linux' tables of TCP sockets.
pub(super) fn ports(said: &str, lab: &LabFile, ours: bool) -> Finding {
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

/// Apart from the others' by so many seconds, give or take.
pub(super) fn clock(apart: f64, unsure: f64, most: f64) -> Finding {
    let about = About::Clock;
    let found = match apart.abs() {
        0.0..10.0 => format!("{:+.1} ms ±{:.1}", apart * 1e3, unsure * 1e3),
        _ => format!("{apart:+.0} s"),
    };
    if apart.abs() <= most + unsure {
        return Finding::fits(about, found);
    }
    Finding::note(
        about,
        found,
        format!("its clock is {apart:+.3} s apart from the hosts' middle one"),
        "keep the clocks together: sudo yum install chrony && sudo systemctl enable --now chronyd",
    )
}

/// What timedatectl says: `NTP synchronized: yes` (systemd 219), `System clock synchronized: yes`
/// (239 and later).
pub(super) fn time_sync(said: &str) -> Finding {
    let about = About::TimeSync;
    let field = |name: &str| {
        let mut lines = said.lines().map(str::trim);
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let synchronised = field("NTP synchronized").or_else(|| field("System clock synchronized"));
    match synchronised {
        Some("yes") => Finding::fits(about, "yes"),
        Some(other) => Finding::note(
            about,
            other,
            "nothing keeps its clock right",
            "sudo yum install chrony && sudo systemctl enable --now chronyd",
        ),
        None => Finding::fits(about, "not known"),
    }
}

/// Version, and what came of waiting for the lock.
pub(super) fn iptables(said: &str) -> Finding {
    let about = About::Iptables;
    let remedy = "sudo yum install iptables (1.4.20 or newer)";
    let first = said.lines().next().unwrap_or("");
    let Some(version) = first.strip_prefix("iptables v") else {
        return match first {
            "none" | "" => Finding::missing(
                about,
                "none",
                "there is no iptables, and no link can be cut",
                remedy,
            ),
            words => Finding::missing(
                about,
                "odd",
                format!("`iptables --version` says {words:?}"),
                remedy,
            ),
        };
    };
    let (number, backend) = match version.split_once(" (") {
        // Before 1.8 there was one backend only, and no word for it.
        None => (version, "legacy"),
        Some((number, backend)) => (number, backend.trim_end_matches(')')),
    };
    let field = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
    let found = format!("{} {backend}", number.trim());
    match field("wait ") {
        Some("ok") if field("restore ") == Some("ok") => Finding::fits(about, found),
        Some("ok") => Finding::note(
            about,
            found,
            "its iptables-restore cannot wait for the lock, so cuts are made rule by rule",
            "yum update iptables, if that is a matter of milliseconds to you",
        ),
        words => Finding::missing(
            about,
            found,
            format!("`iptables -w` as root says {:?}", words.unwrap_or("")),
            "allow it (sudo, below); iptables before 1.4.20 has no -w and must be updated",
        ),
    }
}

/// `/proc/self/limits`, which is the same since long.
pub(super) fn limits(said: &str, user: &str) -> Finding {
    let about = About::Limits;
    let hard = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name))?;
        match line.split_whitespace().nth(1)? {
            "unlimited" => Some(u64::MAX),
            number => number.parse().ok(),
        }
    };
    let (Some(files), Some(processes)) = (hard("Max open files"), hard("Max processes")) else {
        let why = "/proc/self/limits names no open files or no processes";
        return Finding::note(about, "unknown", why, "look at `ulimit -a` there");
    };
    let word = |n: u64| match n {
        u64::MAX => "any".to_owned(),
        n => n.to_string(),
    };
    let found = format!("{} files", word(files));
    let remedy = format!(
        "printf '{user} - nofile 65536\\n{user} - nproc 8192\\n' | sudo tee \
         /etc/security/limits.d/tidemark.conf; sshd applies it at the next login (UsePAM yes)"
    );
    let why = format!(
        "at most {} open files and {} processes",
        word(files),
        word(processes)
    );
    let grade = worst([
        match files {
            0..FILES_NEEDED => Grade::Missing,
            FILES_NEEDED..FILES_COMFORTABLE => Grade::Note,
            _ => Grade::Fits,
        },
        match processes {
            0..PROCESSES_NEEDED => Grade::Missing,
            _ => Grade::Fits,
        },
    ]);
    match grade {
        Grade::Fits => Finding::fits(about, found),
        Grade::Note => Finding::note(about, found, why, remedy),
        Grade::Missing => Finding::missing(about, found, why, remedy),
    }
}

/// `enforce 1` and whom it takes us for; `none` where there is no SELinux.
pub(super) fn selinux(said: &str) -> Finding {
    let about = About::Selinux;
    let mut lines = said.lines();
    match lines.next().unwrap_or("") {
        "enforce 1" => {}
        "enforce 0" => return Finding::fits(about, "permissive"),
        _ => return Finding::fits(about, "none"),
    }
    match lines.next() {
        Some(context) if context.contains("unconfined") => Finding::fits(about, "unconfined"),
        Some(context) => Finding::note(
            about,
            "enforcing",
            format!("it takes the login for {context} and may keep it from what a run does"),
            "sudo semanage login -a -s unconfined_u USER there; `sudo ausearch -m avc` shows what was refused",
        ),
        None => Finding::fits(about, "enforcing"),
    }
}

/// What systemctl says of it: `active`, `inactive`, `unknown` (219) or `inactive` for a unit that is
/// not there.
pub(super) fn firewalld(said: &str, lab: &LabFile) -> Finding {
    let about = About::Firewalld;
    if said.trim() != "active" {
        return Finding::fits(about, "not running");
    }
    let sources: Vec<String> = lab
        .hosts
        .iter()
        .map(|h| format!("--add-source={}", h.address))
        .collect();
    Finding::note(
        about,
        "running",
        "it closes what it does not know, and a reload of it in the middle of a run would remove \
         the run's own rules",
        format!(
            "where routes are closed: sudo firewall-cmd --permanent --zone=trusted {} \
             --add-source=THIS-CONTROLLER && sudo firewall-cmd --reload",
            sources.join(" ")
        ),
    )
}

/// A line for each thing that a heal would remove or undo.
pub(super) fn leftovers(said: &str, lab: &LabFile) -> Finding {
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
pub(super) fn foreign(said: &str) -> Finding {
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
