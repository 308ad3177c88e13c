//! Remedies in the words of the host's own package manager.
//!
//! Readers name CentOS 7's packages. This translates for Debian and what comes of it; any other
//! system keeps the remedy as it was written. Nothing is installed here.

use super::{About, Column};

const YUM: &str = "yum install ";
const APT: &str = "apt-get install ";

/// Packages that are called otherwise there. All others are called the same.
const DEBIAN: [(&str, &str); 5] = [
    ("iproute", "iproute2"),
    ("device-mapper", "dmsetup"),
    ("glibc-common", "libc-bin"),
    ("java-11-openjdk-headless", "default-jre-headless"),
    // What follows a package list in a remedy; there, a service runs once it is installed.
    ("chronyd", "chrony"),
];

/// Rewrites the remedies of one host, if its system is known to have apt.
pub(super) fn translate(column: &mut Column) {
    let system = column.findings.iter().find(|f| f.about == About::System);
    let debian = |name: &str| ["Debian", "Ubuntu"].iter().any(|d| name.starts_with(d));
    if !system.is_some_and(|system| debian(&system.found)) {
        return;
    }
    for finding in &mut column.findings {
        finding.remedy = for_debian(&finding.remedy);
    }
}

fn for_debian(remedy: &str) -> String {
    let Some((before, list)) = remedy.split_once(YUM) else {
        return remedy.to_owned();
    };
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let mut out = format!("{before}{APT}");
    let mut rest = list;
    while !rest.is_empty() {
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let known = DEBIAN.iter().find(|(red_hat, _)| *red_hat == word);
        out += known.map_or(word, |(_, debian)| debian);
        let gap = after.find(part).unwrap_or(after.len());
        out += &after[..gap];
        rest = &after[gap..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Finding, read};
    use history::NodeId;

    fn column(system: &str) -> Column {
        let mut column = Column {
            node: NodeId(0),
            name: "broker0".to_owned(),
            address: "192.168.136.27".to_owned(),
            findings: vec![
                read::programs("flock\ntc\nmodprobe\ndmsetup\n"),
                read::java("none\n", "java"),
                read::time_sync("NTP synchronized: no\n"),
                Finding::missing(About::Login, "x", "y", "start it by yum"),
                read::system(system, "Linux 6.1.0"),
            ],
            powers: None,
            root_paths: Vec::new(),
            clock: None,
            boot: None,
        };
        translate(&mut column);
        column
    }

    fn remedies(system: &str) -> Vec<String> {
        let findings = column(system).findings;
        findings.into_iter().take(4).map(|f| f.remedy).collect()
    }

    #[test]
    fn a_remedy_is_in_the_words_of_the_host() {
        let red_hat = [
            "sudo yum install device-mapper iproute kmod util-linux",
            "sudo yum install java-11-openjdk-headless, or set `java` in the lab file",
            "sudo yum install chrony && sudo systemctl enable --now chronyd",
            "start it by yum",
        ];
        for system in ["CentOS Linux 7 (Core)", "Rocky Linux 9.4 (Blue Onyx)", ""] {
            assert_eq!(remedies(system), red_hat, "{system}");
        }
        let debian = [
            "sudo apt-get install dmsetup iproute2 kmod util-linux",
            "sudo apt-get install default-jre-headless, or set `java` in the lab file",
            "sudo apt-get install chrony && sudo systemctl enable --now chrony",
            "start it by yum",
        ];
        for system in ["Debian GNU/Linux 12 (bookworm)", "Ubuntu 22.04.4 LTS"] {
            assert_eq!(remedies(system), debian, "{system}");
        }
    }
}
