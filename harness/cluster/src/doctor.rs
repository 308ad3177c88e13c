//! The doctor: everything that a run will need of its hosts, asked of all of them at once.
//!
//! It changes nothing and heals nothing. What leaves a trace while it is tried (a few MiB in the
//! lab's directory, a queueing discipline on the loopback device) is tried only on a host that
//! carries the lab's marker and that nobody has locked. Each question is a script (`scripts`) and a
//! reader of its answer (`read`); a question that is not answered in time is a finding like others.

mod asking;
mod packages;
mod probes;
mod read;
mod routes;
mod scripts;
mod sudoers;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use history::{Clock, NodeId};
use serde::Serialize;
use tokio::time::timeout;

use crate::host::Host;
use crate::injection::Powers;
use crate::labfile::{HostSpec, LabFile};
use crate::remote_all::all;

pub use sudoers::ROOT_COMMANDS;

/// For a host to be logged in to; a login that takes longer is one finding, and the others stand.
const LOGIN_WITHIN: Duration = Duration::from_secs(12);
/// For everything that one host is asked: each question has its own, shorter deadline.
const HOST_WITHIN: Duration = Duration::from_secs(40);

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As a run needs it.
    Fits,
    /// A run works, but somebody should know.
    Note,
    /// A run needs it and it is not there.
    Missing,
}

/// What was looked at; in the order in which it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// Logging in.
    Login,
    /// How long a command takes.
    Command,
    /// Operating system and kernel.
    System,
    /// The lab's directory and its marker.
    Claim,
    /// Programs that scripts call.
    Programs,
    /// Root, for the listed commands.
    Sudo,
    /// Java, and whether it takes our options.
    Java,
    /// Room for a run.
    Room,
    /// How long an fsync takes.
    Disk,
    /// The lab's ports.
    Ports,
    /// The host's own name, and the others'.
    Names,
    /// Connections to the others by the addresses that brokers advertise.
    Routes,
    /// The same from here.
    Reach,
    /// The clock against the other hosts'.
    Clock,
    /// Whether something keeps the clock right.
    TimeSync,
    /// iptables, its backend and its lock.
    Iptables,
    /// Open files and processes.
    Limits,
    /// SELinux.
    Selinux,
    /// firewalld.
    Firewalld,
    /// What an earlier run left.
    Leftovers,
    /// Somebody else's Kafka or ZooKeeper.
    Kafka,
}

impl About {
    /// The word at the left of its row.
    pub fn word(self) -> &'static str {
        match self {
            About::Login => "login",
            About::Command => "command",
            About::System => "system",
            About::Claim => "directory",
            About::Programs => "programs",
            About::Sudo => "sudo",
            About::Java => "Java",
            About::Room => "room",
            About::Disk => "fsync",
            About::Ports => "ports",
            About::Names => "names",
            About::Routes => "routes",
            About::Reach => "from here",
            About::Clock => "clock",
            About::TimeSync => "time sync",
            About::Iptables => "iptables",
            About::Limits => "limits",
            About::Selinux => "SELinux",
            About::Firewalld => "firewalld",
            About::Leftovers => "leftovers",
            About::Kafka => "other Kafka",
        }
    }
}

/// One look at one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub about: About,
    /// How well it is.
    pub grade: Grade,
    /// What was found, short enough for a column.
    pub found: String,
    /// What else there is to say of it; empty when nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What to do about it; empty when nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Finding {
    /// As a run needs it.
    pub(crate) fn fits(about: About, found: impl Into<String>) -> Self {
        Self {
            about,
            grade: Grade::Fits,
            found: found.into(),
            why: String::new(),
            remedy: String::new(),
        }
    }

    /// Somebody should know.
    pub(crate) fn note(
        about: About,
        found: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            grade: Grade::Note,
            why: why.into(),
            remedy: remedy.into(),
            ..Self::fits(about, found)
        }
    }

    /// A run needs it.
    pub(crate) fn missing(
        about: About,
        found: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            grade: Grade::Missing,
            ..Self::note(about, found, why, remedy)
        }
    }
}

/// One host's column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Which.
    #[serde(serialize_with = "as_text")]
    pub node: NodeId,
    /// What the lab file calls it.
    pub name: String,
    /// What brokers advertise.
    pub address: String,
    /// In the order of [`About`]; one each, as far as the host could be asked.
    pub findings: Vec<Finding>,
    /// What it lacks of what a schedule may draw on; absent where that could not be tried.
    #[serde(serialize_with = "lacks")]
    pub powers: Option<Powers>,
    /// Where the commands that need root are there.
    #[serde(skip)]
    pub(crate) root_paths: Vec<(&'static str, String)>,
    /// Asked of it for comparison with the others.
    #[serde(skip)]
    pub(crate) clock: Option<probes::Reading>,
    /// Which start of which kernel it runs on.
    #[serde(skip)]
    pub(crate) boot: Option<String>,
}

/// The whole lab, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checkup {
    /// The lab's name.
    pub lab: String,
    /// Whom the hosts are asked as.
    pub user: String,
    /// Whether every run can go on these hosts.
    pub fits: bool,
    /// Ascending by node.
    pub hosts: Vec<Column>,
    /// What `/etc/sudoers.d/tidemark` should hold; none where the login user is root.
    pub sudoers: Vec<String>,
}

impl Checkup {
    /// How many things a run needs and does not find.
    pub fn missing(&self) -> usize {
        let findings = self.hosts.iter().flat_map(|host| &host.findings);
        findings.filter(|f| f.grade == Grade::Missing).count()
    }
}

/// Asks all hosts of a lab at once. A host that does not answer has a column that says so.
pub async fn examine(lab: &LabFile) -> Checkup {
    let clock = Clock::start();
    let each = lab.hosts.iter().map(|spec| column(lab, spec, clock));
    let mut hosts = all(each).await;
    probes::compare_clocks(&mut hosts);
    probes::compare_kernels(&mut hosts);
    for host in &mut hosts {
        packages::translate(host);
        host.findings.sort_by_key(|finding| finding.about);
    }
    let mut checkup = Checkup {
        lab: lab.name.clone(),
        user: lab.login.user.clone(),
        fits: false,
        sudoers: sudoers::lines(lab, &hosts),
        hosts,
    };
    checkup.fits = checkup.missing() == 0;
    checkup
}

async fn column(lab: &LabFile, spec: &HostSpec, clock: Clock) -> Column {
    let mut column = Column {
        node: spec.node,
        name: spec.name.clone(),
        address: spec.address.clone(),
        findings: Vec::new(),
        powers: None,
        root_paths: Vec::new(),
        clock: None,
        boot: None,
    };
    let before = clock.mark();
    let (host, spent) = match timeout(LOGIN_WITHIN, Host::connect(lab, spec)).await {
        Ok(Ok(host)) => (host, clock.mark().since(before)),
        Ok(Err(error)) => {
            let why = error.bare().to_owned();
            column
                .findings
                .push(Finding::missing(About::Login, "refused", why, ""));
            return column;
        }
        Err(_) => {
            let why = format!(
                "no session within {} s: something between here and it swallows packets, or its \
                 sshd waits for something (`UseDNS no` in its sshd_config?)",
                LOGIN_WITHIN.as_secs()
            );
            column
                .findings
                .push(Finding::missing(About::Login, "silent", why, ""));
            return column;
        }
    };
    let how = format!("{} in {}", lab.login.user, table::millis(spent));
    column.findings.push(Finding::fits(About::Login, how));
    if timeout(HOST_WITHIN, probes::ask(&host, lab, clock, &mut column))
        .await
        .is_err()
    {
        let why = format!(
            "not all questions were answered within {} s",
            HOST_WITHIN.as_secs()
        );
        let remedy = "look at its load (`uptime`), and ask again";
        column
            .findings
            .push(Finding::missing(About::Command, "slow", why, remedy));
    }
    column
}

fn as_text<S: serde::Serializer>(node: &NodeId, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(node)
}

fn lacks<S: serde::Serializer>(powers: &Option<Powers>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Lacking<'a> {
        power: String,
        why: &'a str,
    }
    let lacks = powers.as_ref().map(|powers| {
        let each = powers.lacks.iter().map(|lack| Lacking {
            power: lack.power.to_string(),
            why: &lack.why,
        });
        each.collect::<Vec<_>>()
    });
    serde::Serialize::serialize(&lacks, to)
}
