//! Progress for people: a line per event, and on a terminal one more line that moves.

use std::io::{IsTerminal, Write};

use history::Mark;
use runner::Progress;
use tokio::sync::mpsc::UnboundedReceiver;

/// Lines about the load are this far apart when there is no terminal.
const PLAIN_EVERY_SECONDS: u64 = 5;

/// Prints what a run tells, on standard error, until it ends.
pub async fn follow(mut news: UnboundedReceiver<Progress>) {
    let terminal = std::io::stderr().is_terminal();
    while let Some(news) = news.recv().await {
        let (at, text, moving) = match &news {
            Progress::Phase { at, phase } => (*at, format!("-- {phase}"), false),
            Progress::Note { at, text } => (*at, text.clone(), false),
            Progress::Load { at, .. } => (*at, load(&news), true),
        };
        print(terminal, at, &text, moving);
    }
    if terminal {
        clear();
    }
}

fn load(news: &Progress) -> String {
    let Progress::Load {
        acked,
        ends,
        faults,
        ..
    } = news
    else {
        return String::new();
    };
    let mut parts: Vec<String> = acked
        .iter()
        .map(|(topic, (total, rate))| format!("{topic} {total} (+{rate}/s)"))
        .collect();
    for (partition, replicas) in ends {
        let ends: Vec<String> = replicas
            .iter()
            .map(|(node, leo, hw)| format!("{node} {}/{}", leo.0, hw.0))
            .collect();
        parts.push(format!("{partition} LEO/HW {}", ends.join(" ")));
    }
    if !faults.is_empty() {
        parts.push(format!("in force: {}", faults.join(", ")));
    }
    parts.join(" | ")
}

fn print(terminal: bool, at: Mark, text: &str, moving: bool) {
    let mut out = std::io::stderr().lock();
    let line = format!("{:>9}  {text}", at.to_string());
    // Whoever watched may have gone away; the run goes on.
    let _ = if terminal && moving {
        let width = std::env::var("COLUMNS")
            .ok()
            .and_then(|c| c.parse().ok())
            .unwrap_or(120);
        let short: String = line.chars().take(width).collect();
        write!(out, "\r\x1b[2K{short}").and_then(|()| out.flush())
    } else if terminal {
        writeln!(out, "\r\x1b[2K{line}")
    } else if !moving || (at.0 / 1_000_000_000).is_multiple_of(PLAIN_EVERY_SECONDS) {
        writeln!(out, "{line}")
    } else {
        Ok(())
    };
}

fn clear() {
    let _ = write!(std::io::stderr(), "\r\x1b[2K");
}
