//! What is written down of a fault, from what the ledger wrote of it, and the line that is said.
//!
//! It judges nothing: whether a fault was proved is for who looked at the hosts.

use history::recorder::Notebook;
use history::{Event, FaultEvent, NodeId, Service, Stage};
use plan::Ask;

use super::counts::{Cycle, Row};
use crate::home::say_error;

/// What the ledger wrote about faults since the last call.
pub fn of_faults(book: &mut Notebook) -> Vec<FaultEvent> {
    let fault = |event| match event {
        Event::Fault(event) => Some(event),
        _ => None,
    };
    book.take().into_iter().filter_map(fault).collect()
}

/// What is written down of a fault, from what the ledger wrote of its beginning.
pub fn row_of(ask: &Ask, deed: &history::Deed, events: &[FaultEvent]) -> Row {
    let process = |(node, service): &(NodeId, Service)| format!("{service} of {node}");
    let mut targets: Vec<String> = deed.processes.iter().map(process).collect();
    targets.extend(deed.links.iter().map(ToString::to_string));
    let mut row = Row {
        fault: ask.to_string(),
        kind: deed.kind.to_string(),
        targets,
        stages: Vec::new(),
        proof: false,
        seen: None,
        ms: None,
        evidence: String::new(),
        error: None,
    };
    for event in events {
        if let Stage::TookEffect { before, .. } = &event.stage
            && let Some(decided) = events.first()
        {
            let ms = (before.seconds() - decided.at.seconds()) * 1000.0;
            row.ms.get_or_insert((ms * 10.0).round() / 10.0);
        }
        take_in(&mut row, &event.stage);
    }
    row
}

/// One more stage of it.
pub fn take_in(row: &mut Row, stage: &Stage) {
    let word = match stage {
        Stage::Injecting { .. } => "injecting",
        Stage::TookEffect { .. } => "took-effect",
        Stage::Injected { evidence } => {
            row.evidence.clone_from(evidence);
            "injected"
        }
        Stage::Ineffective { evidence } => {
            row.evidence.clone_from(evidence);
            "ineffective"
        }
        Stage::Healing => "healing",
        Stage::Healed { .. } => "healed",
        Stage::Stuck { why } => {
            row.error = Some(why.clone());
            "stuck"
        }
    };
    // A cut that flaps takes effect again and again.
    if row.stages.last().is_none_or(|last| last != word) {
        row.stages.push(word.to_owned());
    }
}

/// A line per cycle, and one for everything that it left behind.
pub fn say(cycle: &Cycle) {
    let each = cycle.faults.iter().map(|row| {
        let came = match (row.proof, &row.error) {
            (true, _) => format!("in force after {:.0} ms", row.ms.unwrap_or(0.0)),
            (false, Some(error)) => format!("not done: {error}"),
            (false, None) => format!("{}: {}", row.stages.join(" "), row.evidence),
        };
        format!("{} ({came})", row.fault)
    });
    let each = each.collect::<Vec<_>>().join(", ");
    say_error(&format!(
        "cycle {}: {each}; {:.1} s",
        cycle.cycle, cycle.seconds
    ));
    for line in &cycle.residue {
        say_error(&format!("  {}", shortened(line)));
    }
}

/// Command lines of JVMs fill screens.
fn shortened(line: &str) -> String {
    let beginning: String = line.chars().take(240).collect();
    match line.chars().count() {
        0..=240 => beginning,
        _ => format!("{beginning} ..."),
    }
}
