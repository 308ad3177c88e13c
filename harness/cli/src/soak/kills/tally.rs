//! What each death of a controller came to, a line of JSON each, and all of them added up.

use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// How a controller dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Death {
    /// SIGKILL to the runner and to the command.
    Killed,
    /// Its network goes, and comes back once the hosts have healed themselves.
    CutOff,
}

/// One death.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// From 0.
    pub number: u32,
    /// Everything was drawn from it and the number.
    pub seed: u64,
    /// How.
    pub death: Death,
    /// Seconds into the storm.
    pub after: f64,
    /// What of ours was in force on the hosts at the first look afterwards.
    pub in_force: Vec<String>,
    /// Seconds until nothing was left; absent when something was.
    pub healed_after: Option<f64>,
    /// What was left too long.
    pub left: Vec<String>,
    /// The run's exit code, where it ended by itself.
    pub exit: Option<i32>,
    /// That of `tidemark check` afterwards.
    pub check: Option<i32>,
    /// How the verdict folds.
    pub fold: String,
    /// Seconds until this run had come to its storm, on what the death before it had left.
    pub to_storm: f64,
}

impl Row {
    /// Whether the hosts healed themselves within so many seconds, and the run is judged and not
    /// held.
    pub fn is_good(&self, allowed: f64) -> bool {
        let judged = matches!(self.check, Some(1 | 2)) && self.fold != "held";
        // One that was killed has no exit code.
        let told = self.exit != Some(0);
        self.healed_after.is_some_and(|after| after <= allowed) && judged && told
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let death = match self.death {
            Death::Killed => "killed",
            Death::CutOff => "cut off",
        };
        write!(
            f,
            "death {}: {death} {} s into the storm, {} traces; ",
            self.number,
            self.after,
            self.in_force.len()
        )?;
        match self.healed_after {
            Some(after) => write!(f, "none after {after} s")?,
            None => write!(f, "left: {}", self.left.join("; "))?,
        }
        let code = |code: Option<i32>| code.map_or_else(|| "none".to_owned(), |it| it.to_string());
        write!(
            f,
            "; the run's exit code {}, check's {} ({}); {} s to the storm",
            code(self.exit),
            code(self.check),
            self.fold,
            self.to_storm
        )
    }
}

/// The rows of a file; none of one that is not there.
///
/// # Errors
/// A line that is no row, or one of another seed.
pub fn read(path: &Path, seed: u64) -> anyhow::Result<Vec<Row>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path)?;
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{} line {}", path.display(), number + 1);
        let row: Row = serde_json::from_str(line).with_context(|| place.clone())?;
        if row.seed != seed {
            bail!(
                "{place} is of seed {}: go on with it, or name another file",
                row.seed
            );
        }
        rows.push(row);
    }
    Ok(rows)
}

/// All rows, added up.
pub fn summary(rows: &[Row], allowed: f64) -> String {
    let mut text = String::new();
    for (death, word) in [(Death::Killed, "killed"), (Death::CutOff, "cut off")] {
        let of: Vec<&Row> = rows.iter().filter(|row| row.death == death).collect();
        let mut healed: Vec<f64> = of.iter().filter_map(|row| row.healed_after).collect();
        healed.sort_by(f64::total_cmp);
        let seconds = |at: usize| healed.get(at).copied().unwrap_or(0.0);
        let with_traces = of.iter().filter(|row| !row.in_force.is_empty()).count();
        let folds = |fold: &str| of.iter().filter(|row| row.fold == fold).count();
        text += &format!(
            "{word}: {} controllers, {with_traces} with faults in force; hosts healed after {} s \
             (median), {} s (longest); judged {} unproven, {} broken, {} held\n",
            of.len(),
            seconds(healed.len() / 2),
            seconds(healed.len().saturating_sub(1)),
            folds("unproven"),
            folds("broken"),
            folds("held")
        );
    }
    let wrong: Vec<u32> = rows
        .iter()
        .filter(|row| !row.is_good(allowed))
        .map(|row| row.number)
        .collect();
    text + &match wrong.as_slice() {
        [] => format!("all healed within {allowed} s, judged and not held"),
        wrong => format!("not good: {wrong:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            number: 3,
            seed: 1,
            death: Death::Killed,
            after: 2.5,
            in_force: vec!["n0 -A INPUT -j TM-x-f1".into()],
            healed_after: Some(9.5),
            left: Vec::new(),
            exit: None,
            check: Some(2),
            fold: "unproven".into(),
            to_storm: 12.0,
        }
    }

    #[test]
    fn only_a_healed_judged_and_unheld_one_is_good() {
        assert!(row().is_good(13.0));
        let broken = Row {
            check: Some(1),
            fold: "broken".into(),
            ..row()
        };
        assert!(broken.is_good(13.0));
        let late = Row {
            healed_after: Some(13.1),
            ..row()
        };
        let never = Row {
            healed_after: None,
            ..row()
        };
        let held = Row {
            check: Some(0),
            fold: "held".into(),
            ..row()
        };
        let unreadable = Row {
            check: Some(64),
            fold: "unreadable".into(),
            ..row()
        };
        let ended_well = Row {
            exit: Some(0),
            ..row()
        };
        for bad in [late, never, held, unreadable, ended_well] {
            assert!(!bad.is_good(13.0), "{bad}");
            assert!(summary(&[row(), bad], 13.0).ends_with("not good: [3]"));
        }
        assert!(summary(&[row(), broken], 13.0).contains("1 unproven, 1 broken, 0 held"));
    }
}
