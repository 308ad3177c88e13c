//! What a host lets us do: root by sudo, limits, SELinux, the firewall's own service.

use super::super::probes::worst;
use super::super::{About, Finding, Grade, ROOT_COMMANDS};
use crate::labfile::{LabFile, Sudo};

/// The kernel's usual limit of open files; six partitions of the smallest plan fit.
const FILES_NEEDED: u64 = 1024;
const FILES_COMFORTABLE: u64 = 4096;
/// Two JVMs have some 150 threads.
const PROCESSES_NEEDED: u64 = 512;

/// Which of the commands that need root may be run, and where each is.
pub(in crate::doctor) fn sudo(said: &str, lab: &LabFile) -> (Finding, Vec<(&'static str, String)>) {
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

/// `/proc/self/limits`, which is the same since long.
pub(in crate::doctor) fn limits(said: &str, user: &str) -> Finding {
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
pub(in crate::doctor) fn selinux(said: &str) -> Finding {
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
pub(in crate::doctor) fn firewalld(said: &str, lab: &LabFile) -> Finding {
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
