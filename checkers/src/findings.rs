//! The findings of a judgement while it is being made: collected once, named at the end.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::judgement::{Class, Finding, FindingId};

/// Findings in the order in which they were made.
#[derive(Debug, Default)]
pub struct Findings {
    made: Vec<Finding>,
}

impl Findings {
    /// Adds a finding; its id is provisional until [`Findings::named`].
    pub fn add(&mut self, mut finding: Finding) -> FindingId {
        let id = FindingId(self.made.len() as u32);
        finding.id = id;
        self.made.push(finding);
        id
    }

    /// A finding by its provisional id.
    pub fn get(&self, id: FindingId) -> &Finding {
        &self.made[id.0 as usize]
    }

    /// All findings, worst first and numbered from 1, with the map from provisional ids.
    pub fn named(mut self) -> (Vec<Finding>, BTreeMap<FindingId, FindingId>) {
        self.made.sort_by(|a, b| {
            // What nothing explains comes first; among the rest, the largest.
            let key = |f: &Finding| {
                let explained = f.class != Class::Unexplained;
                (f.standing, explained, Reverse(f.count), f.class, f.id)
            };
            key(a).cmp(&key(b))
        });
        let mut names = BTreeMap::new();
        for (index, finding) in self.made.iter_mut().enumerate() {
            let id = FindingId(index as u32 + 1);
            names.insert(finding.id, id);
            finding.id = id;
        }
        (self.made, names)
    }
}
