//! Prints what stands in a run's images beside their records: `cargo run -p evidence --example look
//! RUN_DIRECTORY`. For people who want to know why a judge says what it says; it judges nothing.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use evidence::{ReplicaLog, read_image};
use history::{ImageReason, ImageTaken, Mark, NodeId, Payload, ProcessState};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("which run directory?")?;
    let dir = Path::new(&dir);
    let mut out = std::io::stdout().lock();
    let mut names: Vec<String> = std::fs::read_dir(dir.join("images"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, std::io::Error>>()?;
    names.sort_unstable();
    for name in names {
        let taken = ImageTaken {
            node: NodeId(0),
            from: Mark::from_millis(0),
            to: Mark::from_millis(0),
            process: ProcessState::Gone,
            unchanged: true,
            reason: ImageReason::Final,
            file: format!("images/{name}"),
        };
        let mut unreadable = Vec::new();
        let image = read_image(dir, &taken, &|_| Payload::Foreign, &mut unreadable);
        for complaint in &unreadable {
            writeln!(
                out,
                "{name}: unreadable: {}: {}",
                complaint.file, complaint.why
            )?;
        }
        for (partition, log) in image.iter().flat_map(|image| &image.logs) {
            writeln!(out, "{name}: {partition}: {}", sizes(log))?;
            for damage in &log.damage {
                writeln!(out, "    damage {damage:?}")?;
            }
            for flaw in &log.index_flaws {
                let durable = flaw.durable;
                writeln!(
                    out,
                    "    {} byte {}: {} (durable: {durable:?})",
                    flaw.file, flaw.position, flaw.why
                )?;
            }
        }
    }
    Ok(())
}

fn sizes(log: &ReplicaLog) -> String {
    format!(
        "{} segments, {} batches, {} records, {} bytes, {} snapshots, {} aborted, {} leftovers",
        log.segments.len(),
        log.batches.len(),
        log.records.len(),
        log.bytes,
        log.snapshots.len(),
        log.aborted.len(),
        log.leftovers.len(),
    )
}
