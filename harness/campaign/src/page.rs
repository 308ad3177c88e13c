//! `results/index.html`: the nights of one suite on one lab, to be looked at for half a minute.
//!
//! One file that fetches nothing. Its one script turns the time at which the last night ended into an
//! age; without it the page says the same in hours of the clock. Nothing is decided here: verdicts,
//! exit codes and changes come from elsewhere.

mod band;
mod causes;
mod changes;
mod grid;
mod harness;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use checkers::Fold;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::error::CampaignError;
use crate::index::{Index, State, Whose};
use crate::night::Night;
use crate::trend::Trend;

/// So many nights are on the page; the index has all.
pub const NIGHTS_MAX: usize = 60;
/// Of those, so many are in the first grid.
const RECENT: usize = 14;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/age.js");
/// Nothing may be fetched, embedded or submitted; one script, by its digest, may run.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'sha256-bIYXu9UYbvOI9lGng1n9hMzRNPz/pJ4mPGM78AxE/HY='; base-uri 'none'; form-action 'none'";

/// What the page is made of.
#[derive(Debug)]
pub struct Page<'a> {
    /// Nights, oldest first.
    pub nights: &'a [Night],
    /// Figures with their changes.
    pub trends: &'a [Trend],
    /// What is left of runs, by directory. What is not here has no report to link to.
    pub runs: &'a BTreeMap<String, Kept>,
    /// Bytes of the results directory, and of its file system's free ones, where they are known.
    pub space: Option<Space>,
    /// What could not be read while indexing, in sentences.
    pub unread: &'a [String],
    /// Other suites and labs with nights in the same directory.
    pub others: &'a [Whose],
}

/// What is left of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// How much of it.
    pub state: State,
    /// Its verdict.
    pub verdict: Fold,
}

/// Room on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that the results take.
    pub used: u64,
    /// Bytes that are free.
    pub free: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub path: PathBuf,
    /// Figures that changed for the worse in the last few nights, in sentences.
    pub changes: Vec<String>,
}

/// Writes `results/index.html` from the index, for the suite and lab with the newest night. `free` is
/// how many bytes the file system still has.
///
/// # Errors
/// When the index cannot be read or the page not be written; also when there is no night at all.
pub fn write(
    results: &Path,
    index: &Index,
    unread: &[String],
    free: Option<u64>,
) -> Result<Written, CampaignError> {
    let mut all = index.whose()?;
    let path = results.join("index.html");
    if all.is_empty() {
        let results = results.to_owned();
        return Err(match unread.first() {
            Some(why) => CampaignError::NoNightRead {
                results,
                why: why.clone(),
            },
            None => CampaignError::NoNight { results },
        });
    }
    let whose = all.remove(0);
    let nights = index.nights(&whose, NIGHTS_MAX)?;
    let trends: Vec<Trend> = index.series(&whose)?.into_iter().map(Trend::of).collect();
    let known = index.runs()?;
    let used = known.iter().map(|run| run.bytes).sum();
    let runs = known.into_iter().map(|run| {
        let kept = Kept {
            state: run.state,
            verdict: run.verdict,
        };
        (run.name, kept)
    });
    let page = Page {
        nights: &nights,
        trends: &trends,
        runs: &runs.collect(),
        space: free.map(|free| Space { used, free }),
        unread,
        others: &all,
    };
    history::rundir::write_atomically(&path, render(&page).as_bytes())
        .map_err(|why| CampaignError::write(&path, why))?;
    let changes = changes::fresh(&page).into_iter().map(changes::sentence);
    Ok(Written {
        path,
        changes: changes.collect(),
    })
}

/// The page as text.
pub fn render(page: &Page) -> String {
    let Some(last) = page.nights.last() else {
        return String::new();
    };
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { (band::standing(last).word()) ", " (text::day(last.date)) ": Tidemark nights" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (band::band(page, last))
                    (grid::section(page))
                    (causes::section(page))
                    (changes::section(page))
                    (harness::section(page, last))
                    (footer(page))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

fn footer(page: &Page) -> Markup {
    html! {
        footer.mute {
            @if !page.others.is_empty() {
                p {
                    "Also in this directory, not on this page: "
                    @for (i, whose) in page.others.iter().enumerate() {
                        @if i > 0 { ", " }
                        (whose.suite) " on " (whose.lab)
                    }
                    "."
                }
            }
            p {
                "Made from " code { "nights/*.json" } " and the verdicts of runs. In SQL: "
                code { "sqlite3 index.sqlite 'SELECT * FROM figure'" } "."
            }
        }
    }
}

/// Where a run's report lies, seen from the page, if it is still there.
fn report(page: &Page, run: Option<&str>) -> Option<String> {
    let run = run?;
    let kept = page.runs.get(run)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let safe = run.chars().all(plain) && !run.starts_with('.');
    (kept.state != State::Deleted && safe).then(|| format!("runs/{run}/report.html"))
}

/// Runs that the page would link to, so that what is kept of them is never deleted.
pub fn linked(nights: &[Night]) -> impl Iterator<Item = &str> {
    let newest = nights.iter().rev().take(NIGHTS_MAX);
    let entries = newest.flat_map(|night| &night.entries);
    let attempts = entries.flat_map(|entry| &entry.attempts);
    attempts.filter_map(|attempt| attempt.run.as_deref())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    #[test]
    fn the_policy_allows_the_one_script() {
        let digest = Sha256::digest(super::SCRIPT.as_bytes());
        let wanted = format!("'sha256-{}'", base64(&digest));
        assert!(super::POLICY.contains(&wanted), "it must say {wanted}");
    }

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for three in bytes.chunks(3) {
            let mut word = [0; 4];
            word[1..=three.len()].copy_from_slice(three);
            let word = u32::from_be_bytes(word);
            for place in 0..4 {
                let digit = (word >> (18 - 6 * place)) & 63;
                out.push(if place <= three.len() {
                    char::from(DIGITS[digit as usize])
                } else {
                    '='
                });
            }
        }
        out
    }
}
