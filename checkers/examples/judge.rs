//! How long the judge takes over a run, phase by phase, and how much memory a record costs it.
//!
//! `cargo run --release -p checkers --example judge RUN...` prints a line for each run;
//! `--verdict` prints its judgement instead, as `tidemark check` would write it. Nothing is written
//! into the run. Times are those that this thread was running, so that a busy machine does not count.
//! An operation here is a send with its outcome and its delivery; images and log lines
//! are read apart, and neither their time nor their memory counts as the history's.

use std::path::Path;
use std::process::Command;

use checkers::{Ended, Operations, Recording};
use history::frames;
use history::rundir::{self, RunDir};
use plan::Plan;

fn main() {
    let (flags, runs): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|arg| arg.starts_with("--"));
    let flag = |name: &str| flags.iter().any(|flag| flag == name);
    if flag("--verdict") || flag(ALONE) {
        let verdict = flag("--verdict");
        return runs.iter().for_each(|run| measure(Path::new(run), verdict));
    }
    println!(
        "{:>11}  {:>9}  {:>9}  {:>9}  {:>9}  {:>12}  {:>7}  {:>7}  {:>7}  {:>8}  times  run",
        "operations",
        "history",
        "judging",
        "op/s",
        "images",
        "image bytes",
        "columns",
        "held",
        "peak",
        "verdict"
    );
    // A process each: memory that one run gave back would hide what the next one takes.
    let program = std::env::current_exe().expect("this program");
    let mut first = None;
    for run in &runs {
        let mut one = Command::new(&program);
        let said = one.args([ALONE, run]).output().expect("it runs");
        let why = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{run} could not be judged: {why}");
        let line = String::from_utf8_lossy(&said.stdout).trim_end().to_owned();
        let rate = line.split_whitespace().nth(RATE);
        let rate: f64 = rate.and_then(|rate| rate.parse().ok()).expect("a rate");
        let times = *first.get_or_insert(rate) / rate;
        let name = Path::new(run).file_name().unwrap_or_default();
        println!("{line}  {times:>5.2}  {}", name.display());
    }
    println!(
        "op/s: sends over the time of history and judging, on one core. Then bytes a send: its \
         columns as counted, what the process held once the history was read, and the most that \
         judging added beyond the images. Then the time of an operation, as many times the first \
         run's."
    );
}

/// Prints one line and nothing else.
const ALONE: &str = "--alone";
/// Where operations a second stand in that line, counted from 0.
const RATE: usize = 5;

fn measure(run: &Path, verdict: bool) {
    let dir = RunDir::open(run).expect("a run directory");
    let before = memory("VmRSS");
    let begun = ran();
    let mut operations = Operations::default();
    let mut events = Vec::new();
    let reader = frames::Reader::open(&dir.history_file()).expect("a history");
    let torn = reader.each(|line| events.extend(operations.take_line(line)));
    let torn = torn.map(|tear| tear.to_string());
    let read = ran();
    let held = memory("VmRSS").saturating_sub(before);
    let (sends, columns) = (operations.sends.len() as u64, operations.heap_bytes());
    let recording = recording(&dir, operations, events, torn);
    let bytes: u64 = recording
        .evidence
        .images
        .iter()
        .flat_map(|image| image.logs.values())
        .map(|log| log.bytes)
        .sum();
    let gathered = ran();
    // From here on the peak is counted anew; where that is not allowed, it holds the images too.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let resting = memory("VmRSS");
    let judging = ran();
    let judgement = checkers::judge(&recording);
    let judged = ran();
    let peak = held + memory("VmHWM").saturating_sub(resting);
    if verdict {
        println!(
            "{}",
            serde_json::to_string_pretty(&judgement).expect("JSON")
        );
        return;
    }
    let seconds = |from: u64, to: u64| (to - from) as f64 / 1e9;
    let history = seconds(begun, read);
    let judge = seconds(judging, judged);
    let each = |bytes: u64| bytes as f64 / sends.max(1) as f64;
    println!(
        "{sends:>11}  {history:>7.3} s  {judge:>7.3} s  {:>9.0}  {:>7.3} s  {bytes:>12}  {:>7.1}  \
         {:>7.1}  {:>7.1}  {:>8}",
        sends as f64 / (history + judge),
        seconds(read, gathered),
        each(columns),
        each(held),
        each(peak),
        judgement.fold.to_string(),
    );
}

fn recording(
    dir: &RunDir,
    operations: Operations,
    events: Vec<history::Event>,
    torn: Option<String>,
) -> Recording {
    let text = std::fs::read_to_string(dir.plan_toml()).expect("its plan");
    let plan = Plan::parse(&text, "plan.toml").expect("a plan");
    let setting = dir.read_setting().expect("its setting");
    let run = setting.run;
    let evidence = evidence::read(dir.path(), &events, &|bytes| {
        history::payload::recognise(run, bytes)
    });
    let sealed = dir
        .read_seal()
        .expect("a seal, or none")
        .map(|seal| seal.ended);
    Recording {
        plan,
        setting,
        operations,
        events,
        evidence,
        torn,
        ended: match sealed {
            None => Ended::Incomplete,
            Some(rundir::Ended::Completed) => Ended::Completed,
            Some(rundir::Ended::CutShort { why, .. }) => Ended::CutShort { why },
            Some(rundir::Ended::Interrupted { signal, .. }) => Ended::Interrupted { signal },
            Some(rundir::Ended::Failed { why, .. }) => Ended::Failed { why },
        },
    }
}

/// How long this thread has been running, in nanoseconds.
fn ran() -> u64 {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = said.split_whitespace().next();
    first.and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// A line of what the system says of this process, in bytes; 0 where it says nothing.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let said = status
        .lines()
        .find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    let kibibytes = said.and_then(|said| said.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
