//! The contract's conditions, computed from what happened, never from how many faults there were
//! (docs/guarantees.md, "causes"): X, an unclean election; U and D, a replica that lost data by a
//! power cut or damage; LRS, such a replica that led without having copied the data again; T,
//! deletion; R, a producer that was started anew; and a ZooKeeper that went back.
//!
//! Nothing is attributed here: which record went by which of them is `gone`'s to say.

mod loss;
mod lossy;
mod marred;
mod sessions;
mod zookeeper;

use history::{Harm, Mark, Offset};

pub use loss::{Loss, LossKind};
pub use lossy::{LossyLead, WhyInSync};
pub use marred::Marred;
pub use sessions::Session;
pub use zookeeper::RolledBack;

use crate::contract::{Contract, Force};
use crate::facts::{Facts, PartFacts, PartId, Term};
use crate::judgement::{Class, Standing, TimeSpan};

/// What came about for one partition.
#[derive(Debug, Default)]
pub struct PartCauses {
    /// X: elections that were unclean, or of which that cannot be told; positions in `elections`.
    pub unclean: Vec<Unclean>,
    /// U and D, in recorded order.
    pub losses: Vec<Loss>,
    /// LRS, in order of the losses.
    pub lossy: Vec<LossyLead>,
    /// T: everything below this was deleted on request, first at this moment.
    pub deleted: Option<(Offset, Mark)>,
    /// R: producers that wrote under several ids.
    pub sessions: Vec<Session>,
    /// Signs that ZooKeeper forgot versions of the partition's state.
    pub rolled_back: Vec<RolledBack>,
}

/// X: an election of a leader from outside the in-sync set, or one of which that is not known.
#[derive(Debug, Clone, Copy)]
pub struct Unclean {
    /// Position in `elections`.
    pub election: usize,
    /// It was unclean for sure.
    pub sure: bool,
    /// Whether the settings in force then allowed it.
    pub allowed: Force,
}

impl PartCauses {
    /// Computes what came about for a partition; `contract` gives the settings over time.
    pub fn of(facts: &Facts, contract: &Contract, id: PartId) -> Self {
        let part = &facts.parts[id];
        let losses = loss::all(facts, contract, part);
        Self {
            unclean: unclean(facts, contract, part),
            lossy: lossy::all(facts, part, &losses),
            losses,
            deleted: deleted(facts, part),
            sessions: sessions::all(facts, contract, part),
            rolled_back: zookeeper::rolled_back(facts, part),
        }
    }

    /// What is known of an election that was not surely clean.
    pub fn unclean(&self, election: usize) -> Option<&Unclean> {
        self.unclean.iter().find(|x| x.election == election)
    }

    /// What ZooKeeper had forgotten when a leader was chosen: it had been confirmed by then, and no
    /// version of the leader's own lies beyond it.
    pub fn went_back_before(
        &self,
        facts: &Facts,
        part: &PartFacts,
        term: &Term,
    ) -> Option<&RolledBack> {
        let begins = facts.line_span(term.line)?;
        let version = part.roles.begun_by(term.epoch);
        let mut signs = self.rolled_back.iter();
        signs.find(|back| {
            begins.to >= back.since && version.is_none_or(|version| version <= back.had)
        })
    }

    /// The lossy leads of a time of leadership that explain the loss of an offset, those that excuse it
    /// first.
    pub fn lossy_at(&self, term: usize, offset: Offset) -> Vec<(usize, &LossyLead)> {
        let all = self.lossy.iter().enumerate();
        let reaches = all.filter(|(_, lead)| lead.term == term && lead.reaches(offset));
        let mut leads: Vec<(usize, &LossyLead)> = reaches.collect();
        leads.sort_by_key(|(_, lead)| self.losses[lead.loss].durable > offset);
        leads
    }
}

impl PartCauses {
    /// X or LRS by which what stood from an offset on may be gone, and what that means, of times of
    /// leadership that satisfy a condition; the permitted ones first.
    pub fn excuse(
        &self,
        part: &PartFacts,
        offset: Offset,
        wanted: impl Fn(&Term) -> bool,
    ) -> Option<(Class, Standing)> {
        let terms = &part.roles.terms;
        let unclean = self.unclean.iter().filter(|x| x.sure).filter_map(|x| {
            let term = &terms[part.elections[x.election].term];
            let hit = wanted(term) && term.leo <= offset;
            hit.then_some((Class::UncleanElection, x.standing()))
        });
        let lossy = self.lossy.iter().filter_map(|lead| {
            let hit = wanted(&terms[lead.term]) && lead.reaches(offset);
            let loss = &self.losses[lead.loss];
            hit.then_some((lead.class(loss), loss.standing(offset)))
        });
        unclean.chain(lossy).max_by_key(|(_, standing)| *standing)
    }
}

impl Unclean {
    /// What an unclean election means by what was in force.
    pub fn standing(&self) -> Standing {
        match self.allowed {
            Force::Yes => Standing::NotPromised,
            Force::No => Standing::Broken,
            Force::Either => Standing::Undetermined,
        }
    }
}

/// How long before its line the new leader may have been chosen, where the controller's own line
/// is missing: its request takes no longer to a broker that lives.
const CHOSEN_BEFORE: u64 = 1_000_000_000;

fn unclean(facts: &Facts, contract: &Contract, part: &PartFacts) -> Vec<Unclean> {
    let mut all = Vec::new();
    for (index, election) in part.elections.iter().enumerate() {
        if election.clean == Some(true) {
            continue;
        }
        all.push(Unclean {
            election: index,
            sure: election.clean == Some(false),
            allowed: chosen_when(facts, part, index)
                .map_or(Force::Either, |span| contract.allows_unclean(span)),
        });
    }
    all
}

/// When the controller chose a leader: by its own line where there is one, else shortly before the
/// leader's.
fn chosen_when(facts: &Facts, part: &PartFacts, election: usize) -> Option<TimeSpan> {
    let term = &part.roles.terms[part.elections[election].term];
    let leads = facts.line_span(term.line)?;
    let versions = part.roles.versions.values();
    let own = versions
        .filter(|(_, epoch, line)| *epoch == Some(term.epoch) && *line != usize::MAX)
        .filter_map(|(_, _, line)| facts.line_span(*line))
        .min_by_key(|span| span.to)
        .filter(|span| span.from <= leads.to);
    let early = Mark(leads.from.0.saturating_sub(CHOSEN_BEFORE));
    Some(TimeSpan {
        from: own.map_or(early, |span| span.from),
        to: own.map_or(leads.to, |span| span.to),
    })
}

fn deleted(facts: &Facts, part: &PartFacts) -> Option<(Offset, Mark)> {
    let harms = facts
        .harms
        .iter()
        .filter(|event| event.partition == part.name);
    harms
        .filter_map(|event| match event.harm {
            Harm::Deleted { before } => Some((before, event.at)),
            Harm::SuffixLost { .. } | Harm::Wiped { .. } | Harm::Damaged { .. } => None,
        })
        .max_by_key(|(before, at)| (*before, std::cmp::Reverse(*at)))
}
