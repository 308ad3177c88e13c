//! The questions to one host, each with its deadline: over two sessions, so that a slow disk keeps
//! no other answer waiting.
//!
//! It judges nothing itself: answers go to their readers as they came.

use std::time::Duration;

use history::Clock;

use super::asking::{NONE, answered, text, unanswered};
use super::{About, Column, Finding, Grade, read, routes, scripts, sudoers};
use crate::claim::{self, LOCK, MARKER};
use crate::cmd::Cmd;
use crate::config::{self, Layout};
use crate::dialect;
use crate::error::ClusterError;
use crate::guard_foreign;
use crate::host::{Host, Lane};
use crate::injection::{Lack, Power, Powers};
use crate::install;
use crate::labfile::{LabFile, Sudo};
use crate::remote_powers;
use crate::root;
use crate::site::Site;

/// One look.
const SHORT: Duration = Duration::from_secs(4);
/// A JVM that starts on a busy host, a disk that others use.
const LONG: Duration = Duration::from_secs(6);
/// So often a command's time is taken.
const COMMANDS: usize = 7;
/// So often the clock is asked; the quickest answer counts.
const CLOCKS: usize = 4;
/// Later than this a fault comes late.
const COMMAND_MAX: Duration = Duration::from_millis(50);
/// Log lines of two hosts that are so far apart mislead people.
const CLOCK_MAX: f64 = 0.1;

/// What a host's clock said, against ours: both in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// Its clock less our counting.
    pub offset: f64,
    /// Half of the time that the answer took.
    pub unsure: f64,
}

impl Eq for Reading {}

/// Asks everything of one host and writes it into its column.
pub(super) async fn ask(host: &Host, lab: &LabFile, clock: Clock, column: &mut Column) {
    column.findings.push(latency(host, clock).await);
    let args = [lab.dir.as_str(), MARKER, LOCK];
    let site = text(host, Lane::Control, scripts::SITE, args, SHORT).await;
    let (claim, ours) = match &site {
        Ok(said) => read::site(said, lab),
        Err(why) => (unanswered(About::Claim, why), false),
    };
    column.findings.push(claim);
    // What sudo wants is brought; where that fails, its finding says so.
    let ours = ours && claim::check(host, lab).await.is_ok();
    let (quick, slow) = tokio::join!(quickly(host, lab, clock, ours), slowly(host, lab, ours));
    column.findings.extend(quick.findings);
    column.findings.extend(slow);
    if ours {
        let _told_by_sudo = root::forget(host, lab).await;
    }
    (column.powers, column.root_paths, column.clock) =
        (quick.powers, quick.root_paths, quick.clock);
    column.boot = remote_powers::boot_id(host).await.ok();
}

#[derive(Default)]
struct Quick {
    findings: Vec<Finding>,
    powers: Option<Powers>,
    root_paths: Vec<(&'static str, String)>,
    clock: Option<Reading>,
}

/// What is answered at once; one after the other, on the lane of faults.
async fn quickly(host: &Host, lab: &LabFile, clock: Clock, ours: bool) -> Quick {
    let mut all = Quick {
        clock: read_clock(host, clock).await,
        ..Quick::default()
    };
    let found = &mut all.findings;
    let root = host.root_prefix();
    let asked = dialect::programs(lab);
    let said = text(host, Lane::Control, scripts::PROGRAMS, asked, SHORT).await;
    found.push(answered(About::Programs, said, read::programs));
    match sudo(host, lab, ours).await {
        Ok((finding, paths)) => {
            found.push(finding);
            all.root_paths = paths;
        }
        Err(why) => found.push(unanswered(About::Sudo, &why)),
    }
    let said = text(
        host,
        Lane::Control,
        scripts::IPTABLES,
        [root.clone()],
        SHORT,
    )
    .await;
    found.push(answered(About::Iptables, said, read::iptables));
    let said = text(host, Lane::Control, scripts::LIMITS, NONE, SHORT).await;
    found.push(answered(About::Limits, said, |said| {
        read::limits(said, &lab.login.user)
    }));
    let said = text(host, Lane::Control, scripts::SELINUX, NONE, SHORT).await;
    found.push(answered(About::Selinux, said, read::selinux));
    let tables = r#"cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; :"#;
    let said = text(host, Lane::Control, tables, NONE, SHORT).await;
    found.push(answered(About::Ports, said, |said| {
        read::ports(said, lab, ours)
    }));
    let foreign = guard_foreign::found(host, lab)
        .await
        .map_err(|e| e.bare().to_owned());
    found.push(answered(About::Kafka, foreign, read::foreign));
    if ours {
        let cmd = Site::of(host, lab).script(scripts::LEFTOVERS, NONE);
        let said = host
            .ok(Lane::Control, &cmd, SHORT)
            .await
            .map_err(|e| e.bare().to_owned());
        found.push(answered(About::Leftovers, said, |said| {
            read::leftovers(said, lab)
        }));
        all.powers = powers(host, lab).await;
    }
    all
}

/// What may take its time; on the lane of copies.
async fn slowly(host: &Host, lab: &LabFile, ours: bool) -> Vec<Finding> {
    let mut found = routes::ask(host, lab).await;
    let flags = config::JVM_OPTIONS.map(str::to_owned);
    let args: Vec<String> = std::iter::once(lab.java.clone()).chain(flags).collect();
    let said = text(host, Lane::Bulk, scripts::JAVA, args, LONG).await;
    found.push(answered(About::Java, said, |said| {
        read::java(said, &lab.java)
    }));
    // No Java of this name: its facts are asked for above, with a deadline of their own.
    found.push(match install::facts(host, "").await {
        Ok(facts) => read::system(&facts.system, &facts.kernel),
        Err(error) => unanswered(About::System, error.bare()),
    });
    let said = text(host, Lane::Bulk, scripts::ROOM, [lab.dir.clone()], SHORT).await;
    found.push(answered(About::Room, said, |said| read::room(said, lab)));
    if ours {
        let said = text(host, Lane::Bulk, scripts::SPEED, [lab.dir.clone()], LONG).await;
        found.push(answered(About::Disk, said, read::speed));
    }
    let said = text(host, Lane::Bulk, scripts::TIME_SYNC, NONE, SHORT).await;
    found.push(answered(About::TimeSync, said, read::time_sync));
    let said = text(host, Lane::Bulk, scripts::FIREWALLD, NONE, SHORT).await;
    found.push(answered(About::Firewalld, said, |said| {
        read::firewalld(said, lab)
    }));
    found
}

async fn latency(host: &Host, clock: Clock) -> Finding {
    let mut took = Vec::new();
    for _ in 0..COMMANDS {
        let asked = clock.mark();
        match host.ok(Lane::Control, &Cmd::new("true"), SHORT).await {
            Ok(_) => took.push(clock.mark().since(asked)),
            Err(error) => return unanswered(About::Command, error.bare()),
        }
    }
    took.sort_unstable();
    let median = took.get(COMMANDS / 2).copied().unwrap_or_default();
    let found = super::table::millis(median);
    if median <= COMMAND_MAX {
        return Finding::fits(About::Command, found);
    }
    Finding::note(
        About::Command,
        found,
        format!(
            "a command takes {}, and every fault comes as late",
            super::table::millis(median)
        ),
        "shorten what the login shell reads there (~/.bashrc), or run nearer to the hosts",
    )
}

async fn read_clock(host: &Host, clock: Clock) -> Option<Reading> {
    let mut best: Option<Reading> = None;
    for _ in 0..CLOCKS {
        let asked = clock.mark();
        let said = host
            .ok(Lane::Control, &Cmd::new("date").arg("+%s%N"), SHORT)
            .await;
        let answered = clock.mark();
        let nanos: f64 = said.ok()?.trim().parse().ok()?;
        let unsure = answered.since(asked).as_secs_f64() / 2.0;
        let offset = nanos / 1e9 - (asked.seconds() + unsure);
        if best.is_none_or(|best| unsure < best.unsure) {
            best = Some(Reading { offset, unsure });
        }
    }
    best
}

/// Compares the hosts' clocks with the one in the middle.
pub(super) fn compare_clocks(hosts: &mut [Column]) {
    let mut offsets: Vec<f64> = hosts.iter().filter_map(|h| Some(h.clock?.offset)).collect();
    offsets.sort_unstable_by(f64::total_cmp);
    let Some(middle) = offsets.get(offsets.len() / 2).copied() else {
        return;
    };
    for host in hosts {
        let Some(Reading { offset, unsure }) = host.clock else {
            continue;
        };
        host.findings
            .push(read::clock(offset - middle, unsure, CLOCK_MAX));
    }
}

/// Who shares a kernel has no clock of its own.
pub(super) fn compare_kernels(hosts: &mut [Column]) {
    let mut all: Vec<(String, String)> = hosts
        .iter()
        .filter_map(|host| Some((host.node.to_string(), host.boot.clone()?)))
        .collect();
    all.push(("the controller".to_owned(), remote_powers::own_boot_id()));
    for host in hosts {
        let of = |id: &String| host.boot.as_ref() == Some(id);
        let same: Vec<&str> = all
            .iter()
            .filter(|(_, id)| of(id))
            .map(|(name, _)| name.as_str())
            .collect();
        if let (Some(powers), [_, _, ..]) = (host.powers.as_mut(), &same[..]) {
            let power = Power::OwnClock;
            let why = format!("{} run on one kernel", same.join(", "));
            powers.lacks.push(Lack { power, why });
        }
    }
}

/// Tries each command that needs root, by a use that does nothing.
async fn sudo(
    host: &Host,
    lab: &LabFile,
    ours: bool,
) -> Result<(Finding, Vec<(&'static str, String)>), String> {
    if lab.login.sudo == Sudo::Password && !ours {
        let why = "the password is given only to a host that is claimed and free";
        let remedy = format!("`tidemark lab claim {}`, then ask again", lab.name);
        return Ok((
            Finding::note(About::Sudo, "not tried", why, remedy),
            Vec::new(),
        ));
    }
    let tried = sudoers::ROOT_COMMANDS.iter();
    let tried = tried.flat_map(|command| [command.name, command.harmless]);
    let args = std::iter::once(host.root_prefix()).chain(tried.map(str::to_owned));
    let said = text(host, Lane::Control, scripts::SUDO, args, SHORT).await?;
    Ok(read::sudo(&said, lab))
}

/// What a schedule may draw on. A plan gives a broker a disk of its own or does not: asked is
/// whether the host could.
async fn powers(host: &Host, lab: &LabFile) -> Option<Powers> {
    let lacks: Result<Vec<Lack>, ClusterError> =
        remote_powers::asked(host, lab, &Layout::new(lab), Some(1)).await;
    Some(Powers {
        node: host.node(),
        lacks: lacks.ok()?,
    })
}

/// Whether anything is worse than a note.
pub(super) fn worst(grades: impl IntoIterator<Item = Grade>) -> Grade {
    grades.into_iter().max().unwrap_or(Grade::Fits)
}
