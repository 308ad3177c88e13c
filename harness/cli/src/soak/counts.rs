//! What each cycle came to, a line of JSON each, and all of them added up.
//!
//! A file is only ever appended to, so that a soak that was ended goes on at the next cycle. What is
//! wrong is decided here and nowhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// One cycle: faults injected, held, healed, and the hosts compared with what they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cycle {
    /// From 0.
    pub cycle: u32,
    /// Everything was drawn from it and the cycle's number.
    pub seed: u64,
    /// Who was hit.
    pub cast: Cast,
    /// In the order of their injection.
    pub faults: Vec<Row>,
    /// How the hosts differ from before, a line each; empty after a good cycle.
    pub residue: Vec<String>,
    /// How often the hosts were looked at until they were as before.
    pub looks: u32,
    /// Seconds that the cycle took.
    pub seconds: f64,
}

/// Who stands where brokers stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cast {
    /// Programs that send a packet now and then.
    StandIns,
    /// Kafka and ZooKeeper.
    Kafka,
}

/// One fault of a cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// As a plan writes it.
    pub fault: String,
    /// The kind's word.
    pub kind: String,
    /// Processes and links, as they were found.
    pub targets: Vec<String>,
    /// The stages that the ledger wrote, in their order.
    pub stages: Vec<String>,
    /// Injected, and both the ledger's reading back and our own eyes say so.
    pub proof: bool,
    /// Whether a look at the hosts while it was in force showed it; absent where it leaves nothing
    /// that such a look shows.
    pub seen: Option<bool>,
    /// Milliseconds from the decision to the moment in which it was surely in force.
    pub ms: Option<f64>,
    /// What was read back.
    pub evidence: String,
    /// Why it was not done, or not undone.
    pub error: Option<String>,
}

impl Row {
    fn reached(&self, stage: &str) -> bool {
        self.stages.iter().any(|it| it == stage)
    }

    /// What is wrong with it.
    fn faults(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let (injected, ineffective) = (self.reached("injected"), self.reached("ineffective"));
        if injected && !self.proof {
            wrong.push(Wrong::Unproved);
        }
        let intended = self.stages.first().is_some_and(|it| it == "injecting");
        // What was not done is healed all the same: half of it may have been.
        let done = injected || ineffective || self.error.is_some();
        if !intended || (injected && ineffective) || !done {
            wrong.push(Wrong::OutOfOrder);
        }
        if self.stages.last().is_none_or(|it| it != "healed") {
            wrong.push(Wrong::Stuck);
        }
        wrong
    }
}

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    /// Injected without a proof, or against what our own eyes saw.
    Unproved,
    /// Stages that no fault may have: done without an intent, in force and not.
    OutOfOrder,
    /// Not healed at the end of its cycle.
    Stuck,
}

impl Cycle {
    /// Whether nothing is wrong with it.
    pub fn is_good(&self) -> bool {
        self.residue.is_empty() && self.faults.iter().all(|row| row.faults().is_empty())
    }
}

/// The cycles of a file; none of one that is not there.
///
/// # Errors
/// A line that is no cycle, or one of another seed.
pub fn read(path: &Path, seed: u64) -> anyhow::Result<Vec<Cycle>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut cycles = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{} line {}", path.display(), number + 1);
        let cycle: Cycle = serde_json::from_str(line).with_context(|| place.clone())?;
        if cycle.seed != seed {
            let other = cycle.seed;
            bail!("{place} is of seed {other}: go on with it, or name another file");
        }
        cycles.push(cycle);
    }
    Ok(cycles)
}

/// Adds a line at a file's end, and has the disk keep it.
///
/// # Errors
/// It cannot be written.
pub fn append<T: Serialize>(path: &Path, line: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let open = OpenOptions::new().create(true).append(true).open(path);
    let write = |mut file: File| {
        file.write_all(text.as_bytes())?;
        file.sync_data()
    };
    open.and_then(write)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// All cycles, added up.
#[derive(Debug, Default)]
pub struct Summary {
    cycles: usize,
    kafka: usize,
    kinds: BTreeMap<String, Kind>,
    wrong: BTreeMap<Wrong, Vec<u32>>,
    residue: Vec<u32>,
}

/// What became of the faults of one kind.
#[derive(Debug, Default)]
struct Kind {
    injected: usize,
    ineffective: usize,
    refused: usize,
    millis: Vec<f64>,
}

impl Summary {
    /// Of these cycles.
    pub fn of(cycles: &[Cycle]) -> Self {
        let mut all = Self {
            cycles: cycles.len(),
            kafka: cycles.iter().filter(|it| it.cast == Cast::Kafka).count(),
            ..Self::default()
        };
        for cycle in cycles {
            if !cycle.residue.is_empty() {
                all.residue.push(cycle.cycle);
            }
            for row in &cycle.faults {
                for wrong in row.faults() {
                    all.wrong.entry(wrong).or_default().push(cycle.cycle);
                }
                let kind = all.kinds.entry(row.kind.clone()).or_default();
                if row.reached("injected") {
                    kind.injected += 1;
                    kind.millis.extend(row.ms);
                } else if row.reached("ineffective") {
                    kind.ineffective += 1;
                } else {
                    kind.refused += 1;
                }
            }
        }
        all
    }

    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.wrong.is_empty() && self.residue.is_empty()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} cycles, {} of them on real brokers",
            self.cycles, self.kafka
        )?;
        writeln!(
            f,
            "{:<16} {:>8} {:>11} {:>7}  ms to effect: median, p95",
            "kind", "injected", "ineffective", "refused"
        )?;
        for (name, kind) in &self.kinds {
            let mut millis = kind.millis.clone();
            millis.sort_by(f64::total_cmp);
            let at = |part: f64| {
                let index = (millis.len().saturating_sub(1) as f64 * part) as usize;
                millis.get(index).copied().unwrap_or(0.0)
            };
            writeln!(
                f,
                "{name:<16} {:>8} {:>11} {:>7}  {:8.1} {:8.1}",
                kind.injected,
                kind.ineffective,
                kind.refused,
                at(0.5),
                at(0.95)
            )?;
        }
        let cycles = |which: &[u32]| match which {
            [] => String::new(),
            some => format!(" (cycles {some:?})"),
        };
        let wrong = |which| self.wrong.get(&which).map_or(&[][..], Vec::as_slice);
        for (what, which) in [
            ("injected without proof", wrong(Wrong::Unproved)),
            (
                "unproved counted as injected, or stages out of order",
                wrong(Wrong::OutOfOrder),
            ),
            ("stuck", wrong(Wrong::Stuck)),
            ("residue", &self.residue[..]),
        ] {
            writeln!(f, "{what}: {}{}", which.len(), cycles(which))?;
        }
        f.write_str(if self.is_good() { "good" } else { "not good" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(stages: &[&str], proof: bool, error: Option<&str>) -> Row {
        Row {
            fault: "kill n0".into(),
            kind: "kill".into(),
            targets: vec!["broker of n0".into()],
            stages: stages.iter().map(|it| (*it).to_owned()).collect(),
            proof,
            seen: Some(proof),
            ms: Some(20.0),
            evidence: String::new(),
            error: error.map(str::to_owned),
        }
    }

    fn cycle(number: u32, row: Row, residue: &[&str]) -> Cycle {
        Cycle {
            cycle: number,
            seed: 7,
            cast: Cast::StandIns,
            faults: vec![row],
            residue: residue.iter().map(|it| (*it).to_owned()).collect(),
            looks: 1,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_good_cycle_is_good_and_each_wrong_one_is_named() {
        let whole = ["injecting", "took-effect", "injected", "healing", "healed"];
        let nothing = ["injecting", "ineffective", "healing", "healed"];
        let undone = ["injecting", "healing", "healed"];
        let good = [
            cycle(0, row(&whole, true, None), &[]),
            cycle(1, row(&nothing, false, None), &[]),
            cycle(2, row(&undone, false, Some("no closed segment")), &[]),
        ];
        assert!(good.iter().all(Cycle::is_good));
        assert!(Summary::of(&good).is_good());
        for (wrong, said) in [
            (
                cycle(4, row(&whole, false, None), &[]),
                "without proof: 1 (cycles [4])",
            ),
            (
                cycle(4, row(&undone, false, None), &[]),
                "out of order: 1 (cycles [4])",
            ),
            (
                cycle(4, row(&whole[1..], true, None), &[]),
                "out of order: 1 (cycles [4])",
            ),
            (
                cycle(4, row(&whole[..4], true, None), &[]),
                "stuck: 1 (cycles [4])",
            ),
            (
                cycle(4, row(&whole, true, None), &["+ n0 rules"]),
                "residue: 1 (cycles [4])",
            ),
        ] {
            assert!(!wrong.is_good(), "{said}");
            let summary = Summary::of(&[good[0].clone(), wrong]);
            assert!(!summary.is_good(), "{said}");
            assert!(summary.to_string().contains(said), "{summary}");
        }
    }

    #[test]
    fn cycles_come_back_from_their_file_and_another_seed_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("counts.jsonl");
        assert_eq!(read(&path, 7).expect("no file yet"), []);
        let all = [0, 1].map(|n| cycle(n, row(&["injecting"], false, None), &["+ x"]));
        for cycle in &all {
            append(&path, cycle).expect("written");
        }
        assert_eq!(read(&path, 7).expect("read"), all);
        assert!(read(&path, 8).is_err());
    }
}
