//! A ZooKeeper that went back: what it had confirmed of a partition's state it no longer knows, as
//! after a power cut without forced writes. A server that lags behind the others is no such thing:
//! only what all of them have forgotten at the end counts.

use std::collections::BTreeMap;

use history::{Mark, NodeId, Seen};

use crate::facts::{Facts, PartFacts};

/// Versions of a partition's state that ZooKeeper forgot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolledBack {
    /// The highest version that it ever confirmed.
    pub had: i32,
    /// The highest that it knew at the end; the same where it came to it anew.
    pub has: i32,
    /// When the higher one was first seen: whoever was chosen after it may have been chosen by what
    /// ZooKeeper knew before.
    pub since: Mark,
    /// When the lower one, or another state under the same one, was first seen after it.
    pub at: Mark,
}

/// Whether every server's last word on a partition is older than what some server had confirmed; or
/// one version was confirmed with two states, so that it was counted anew.
pub fn rolled_back(facts: &Facts, part: &PartFacts) -> Vec<RolledBack> {
    older(facts, part)
        .into_iter()
        .chain(anew(facts, part))
        .collect()
}

fn older(facts: &Facts, part: &PartFacts) -> Option<RolledBack> {
    let mut had: Option<(i32, Mark)> = None;
    let mut last: BTreeMap<NodeId, (i32, Mark)> = BTreeMap::new();
    let mut lower: Option<Mark> = None;
    for &index in &part.seen {
        let seen = facts.observations[index as usize];
        let Seen::ZkState { version, .. } = &seen.seen else {
            continue;
        };
        match had {
            Some((high, at)) if *version < high && seen.asked >= at => {
                lower = lower.or(Some(seen.answered));
            }
            Some((high, _)) if *version <= high => {}
            Some(_) | None => {
                had = Some((*version, seen.answered));
                lower = None;
            }
        }
        last.insert(seen.node, (*version, seen.asked));
    }
    let (high, at) = had?;
    let has = last.values().map(|(version, _)| *version).max()?;
    let after = last.values().all(|(_, asked)| *asked >= at);
    (has < high && after).then_some(RolledBack {
        had: high,
        has,
        since: at,
        at: lower?,
    })
}

/// The first time that each version was confirmed with another state than before.
fn anew(facts: &Facts, part: &PartFacts) -> Vec<RolledBack> {
    let mut known: BTreeMap<i32, (&Seen, Mark)> = BTreeMap::new();
    let mut signs: BTreeMap<i32, RolledBack> = BTreeMap::new();
    for &index in &part.seen {
        let seen = facts.observations[index as usize];
        let Seen::ZkState { version, .. } = &seen.seen else {
            continue;
        };
        let (first, since) = *known.entry(*version).or_insert((&seen.seen, seen.answered));
        if *first != seen.seen {
            signs.entry(*version).or_insert(RolledBack {
                had: *version,
                has: *version,
                since,
                at: seen.answered,
            });
        }
    }
    signs.into_values().collect()
}
