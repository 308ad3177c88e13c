//! Whether a fault is really in force, and whether it is really gone: read back, never assumed.
//!
//! A rule that matched nothing gives a serene and worthless run, so a cut is proved by packets
//! that it dropped or by a connection that it refused, a kill by the host's process table.

use std::time::Duration;

use cluster::{ClusterError, CutReading, Signalled, System};
use futures_util::future::join_all;
use history::{Clock, Deed, FaultId, FaultKind, Link, ProcessState};

/// For how long a cut waits for traffic to hit its rules before it asks by itself.
const TRAFFIC_WITHIN: Duration = Duration::from_millis(1500);
/// Pause between two readings.
const READ_EVERY: Duration = Duration::from_millis(100);

/// What reading back showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// In force; the evidence in words.
    InForce(String),
    /// Nothing took effect; what was read instead.
    Nothing(String),
}

/// Whether the processes of a deed became what was meant. One that was so before proves nothing.
pub fn of_processes(deed: &Deed, told: &[Signalled]) -> Proof {
    let mut words = Vec::new();
    let (mut all, mut any) = (true, false);
    for ((node, service), Signalled { before, after, .. }) in deed.processes.iter().zip(told) {
        let as_meant = |state: &ProcessState| match (deed.kind, state) {
            (FaultKind::Pause, ProcessState::Paused { .. }) => true,
            (FaultKind::Pause, _) => false,
            (_, state) => *state == ProcessState::Gone,
        };
        all &= as_meant(after);
        any |= as_meant(after) && !as_meant(before) && *before != ProcessState::Gone;
        let place = format!("the process table of {node}");
        let now = match after {
            ProcessState::Gone => format!("{place} has no {service}"),
            ProcessState::Paused { pid } => format!("{place} shows {service} {pid} stopped (T)"),
            ProcessState::Running { pid } => format!("{place} shows {service} {pid} running"),
        };
        let stops = matches!(deed.kind, FaultKind::Stop | FaultKind::Restart);
        words.push(match before {
            ProcessState::Gone => format!("{now}, as before"),
            before if as_meant(before) => format!("{now}, as before"),
            ProcessState::Paused { .. } if stops && before == after => format!(
                "{now}, as before: a stopped process does not hear SIGTERM, and none was sent; \
                 resume it first, or kill it"
            ),
            ProcessState::Running { pid } | ProcessState::Paused { pid } => {
                format!("{now}; it showed {service} {pid} before")
            }
        });
    }
    let words = words.join("; ");
    if all && any {
        Proof::InForce(words)
    } else {
        Proof::Nothing(words)
    }
}

/// Whether cuts are in force: every rule is there, and each has dropped something. A link without
/// traffic gets a connection of ours to drop, for a connection that fails is no proof by itself:
/// nobody may listen.
pub async fn of_cuts<S: System>(
    system: &S,
    clock: &Clock,
    fault: FaultId,
    links: &[Link],
) -> Result<Proof, ClusterError> {
    let give_up = clock.mark() + TRAFFIC_WITHIN;
    let mut in_force = None;
    let mut readings = loop {
        let readings = of_fault(system, fault).await?;
        let mut missing = links.iter();
        let missing = missing.find(|link| !readings.iter().any(|cut| cut.link == **link));
        if let Some(link) = missing {
            return Ok(Proof::Nothing(format!("no rule is there for {link}")));
        }
        // The rules were there when this was asked; they can have begun to act only earlier.
        let now = clock.mark();
        in_force.get_or_insert(now);
        if readings.iter().all(|cut| cut.packets > 0) || now >= give_up {
            break readings;
        }
        tokio::time::sleep(READ_EVERY).await;
    };
    let mut words = Vec::new();
    let idle: Vec<Link> = readings.iter().filter_map(idle).collect();
    let mut all = true;
    if !idle.is_empty() {
        let knocks = idle.iter().map(|link| system.connects(*link));
        let answers: Vec<bool> = join_all(knocks)
            .await
            .into_iter()
            .collect::<Result<_, _>>()?;
        readings = of_fault(system, fault).await?;
        for (link, connected) in idle.iter().zip(answers) {
            let hit = readings
                .iter()
                .any(|cut| cut.link == *link && cut.packets > 0);
            all &= hit && !connected;
            words.push(match (connected, hit) {
                (true, _) => format!("but a connection {link} succeeds"),
                (false, false) => format!("but a fresh connection {link} never met its rule"),
                (false, true) => format!("a fresh connection {link} got no answer"),
            });
        }
    }
    let dropped: u64 = readings.iter().map(|cut| cut.packets).sum();
    let since = in_force.unwrap_or_default();
    let rules = format!(
        "{} in force, read back at {since}; {dropped} packets dropped by {}",
        rules_in_words(readings.len()),
        clock.mark()
    );
    words.insert(0, rules);
    let words = words.join("; ");
    Ok(if all {
        Proof::InForce(words)
    } else {
        Proof::Nothing(words)
    })
}

async fn of_fault<S: System>(system: &S, fault: FaultId) -> Result<Vec<CutReading>, ClusterError> {
    let mut readings = system.cuts().await?;
    readings.retain(|cut| cut.fault == fault);
    Ok(readings)
}

fn idle(cut: &CutReading) -> Option<Link> {
    (cut.packets == 0).then_some(cut.link)
}

fn rules_in_words(count: usize) -> String {
    match count {
        1 => "1 rule".to_owned(),
        count => format!("{count} rules"),
    }
}

/// Reads back whether every cut of a fault is gone; the inner error says what is still there.
pub async fn of_mending<S: System>(
    system: &S,
    fault: FaultId,
) -> Result<Result<String, String>, ClusterError> {
    let left = of_fault(system, fault).await?.len();
    Ok(if left == 0 {
        Ok(format!("no rule of {fault} is left on any host"))
    } else {
        Err(format!("of {fault}, {} still there", rules_in_words(left)))
    })
}
