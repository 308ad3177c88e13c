//! Whether a fault is really in force, and whether it is really gone: read back, never assumed.
//!
//! A rule that matched nothing gives a serene and worthless run, so a cut is proved by packets
//! that it dropped or by a connection that it refused, a kill by the host's process table.

use std::time::Duration;

use cluster::{ClusterError, CutReading, System};
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

/// Reads back whether a deed took effect.
pub async fn of_injection<S: System>(
    system: &S,
    clock: &Clock,
    fault: FaultId,
    deed: &Deed,
) -> Result<Proof, ClusterError> {
    match deed.kind {
        FaultKind::Kill | FaultKind::Restart | FaultKind::Pause => of_processes(system, deed).await,
        FaultKind::Isolate | FaultKind::Cut => of_cuts(system, clock, fault, &deed.links).await,
    }
}

async fn of_processes<S: System>(system: &S, deed: &Deed) -> Result<Proof, ClusterError> {
    let mut words = Vec::new();
    let mut all = true;
    for (node, service) in &deed.processes {
        let state = system.process(*node, *service).await?;
        let as_meant = match deed.kind {
            FaultKind::Pause => matches!(state, ProcessState::Paused { .. }),
            _ => state == ProcessState::Gone,
        };
        all &= as_meant;
        words.push(match state {
            ProcessState::Gone => format!("the process table of {node} has no {service}"),
            ProcessState::Paused { pid } => {
                format!("the process table of {node} shows {service} {pid} stopped (T)")
            }
            ProcessState::Running { pid } => {
                format!("the process table of {node} shows {service} {pid} running")
            }
        });
    }
    let words = words.join("; ");
    Ok(if all && !deed.processes.is_empty() {
        Proof::InForce(words)
    } else {
        Proof::Nothing(words)
    })
}

async fn of_cuts<S: System>(
    system: &S,
    clock: &Clock,
    fault: FaultId,
    links: &[Link],
) -> Result<Proof, ClusterError> {
    let give_up = clock.mark() + TRAFFIC_WITHIN;
    let readings = loop {
        let readings: Vec<CutReading> = system
            .cuts()
            .await?
            .into_iter()
            .filter(|cut| cut.fault == fault)
            .collect();
        let missing: Vec<String> = links
            .iter()
            .filter(|link| !readings.iter().any(|cut| cut.link == **link))
            .map(Link::to_string)
            .collect();
        if !missing.is_empty() {
            return Ok(Proof::Nothing(format!(
                "no rule is there for {}",
                missing.join(", ")
            )));
        }
        if readings.iter().all(|cut| cut.packets > 0) || clock.mark() >= give_up {
            break readings;
        }
        tokio::time::sleep(READ_EVERY).await;
    };
    let dropped: u64 = readings.iter().map(|cut| cut.packets).sum();
    let mut words = vec![format!(
        "{} rules in force, {dropped} packets dropped so far",
        readings.len()
    )];
    let mut all = true;
    for cut in readings.iter().filter(|cut| cut.packets == 0) {
        let connects = system.connects(cut.link).await?;
        all &= !connects;
        words.push(if connects {
            format!("but a connection {} succeeds", cut.link)
        } else {
            format!("a fresh connection {} got no answer", cut.link)
        });
    }
    let words = words.join("; ");
    Ok(if all {
        Proof::InForce(words)
    } else {
        Proof::Nothing(words)
    })
}

/// Reads back whether a deed is undone; the error says what is still there.
pub async fn of_healing<S: System>(
    system: &S,
    fault: FaultId,
    deed: &Deed,
) -> Result<Result<String, String>, ClusterError> {
    match deed.kind {
        FaultKind::Kill | FaultKind::Restart | FaultKind::Pause => {
            let mut words = Vec::new();
            for (node, service) in &deed.processes {
                match system.process(*node, *service).await? {
                    ProcessState::Running { pid } => {
                        words.push(format!("{service} {pid} runs on {node}"));
                    }
                    state => return Ok(Err(format!("{service} on {node} is {state:?}"))),
                }
            }
            Ok(Ok(words.join("; ")))
        }
        FaultKind::Isolate | FaultKind::Cut => {
            let left = system
                .cuts()
                .await?
                .into_iter()
                .filter(|cut| cut.fault == fault)
                .count();
            Ok(if left == 0 {
                Ok(format!("no rule of {fault} is left on any host"))
            } else {
                Err(format!("{left} rules of {fault} are still there"))
            })
        }
    }
}
