//! What is installed on a host: the system, programs, Java, iptables.

use super::super::{About, Finding};
use crate::dialect;
use crate::install;

/// `Linux 3.10.0-1160.el7.x86_64`, `CentOS Linux 7 (Core)`.
pub(in crate::doctor) fn system(system: &str, kernel: &str) -> Finding {
    let kernel = kernel.strip_prefix("Linux ").unwrap_or(kernel);
    let version = kernel.split('-').next().unwrap_or(kernel);
    let name = system.split(" (").next().unwrap_or(system);
    Finding::fits(About::System, format!("{name}, {version}"))
}

/// Programs that are missing, with what they are for.
pub(in crate::doctor) fn programs(said: &str) -> Finding {
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

/// Java's version, and whether it takes the options that our JVMs are started with.
pub(in crate::doctor) fn java(said: &str, java: &str) -> Finding {
    let about = About::Java;
    let remedy = "sudo yum install java-11-openjdk-headless, or set `java` in the lab file";
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

/// Version, and what came of waiting for the lock.
pub(in crate::doctor) fn iptables(said: &str) -> Finding {
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
