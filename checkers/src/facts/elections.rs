//! Elections: each leader epoch with who led before, and whether the new leader came from the
//! in-sync set. What the versions do not show stays undetermined.

use history::{Epoch, NodeId};

use super::roles::{Roles, Term};

/// A leader epoch as it began.
#[derive(Debug, Clone)]
pub struct Election {
    /// The new leader's time of leadership; position in [`Roles::terms`].
    pub term: usize,
    /// The time of leadership with the next lower epoch.
    pub before: Option<usize>,
    /// Whether the new leader was in the in-sync set of the preceding version.
    pub clean: Option<bool>,
    /// How that is known, or what is missing.
    pub clean_because: String,
}

/// The elections of one partition, ascending by epoch; a leader that resumes its own epoch in a new
/// life is none. A second broker that led an epoch has an entry of its own, after the first.
pub fn of(roles: &Roles) -> Vec<Election> {
    let mut elections: Vec<Election> = Vec::new();
    for (index, term) in roles.terms.iter().enumerate() {
        let led = |election: &&Election| &roles.terms[election.term];
        let mut of_this_epoch = elections
            .iter()
            .rev()
            .take_while(|election| led(election).epoch == term.epoch);
        if of_this_epoch.any(|election| led(&election).node == term.node) {
            continue;
        }
        let before = elections
            .iter()
            .rev()
            .find(|election| led(election).epoch < term.epoch)
            .map(|election| election.term);
        let (clean, clean_because) = match before {
            None => (Some(true), "the first leader".to_owned()),
            Some(_) => cleanliness(roles, term),
        };
        elections.push(Election {
            term: index,
            before,
            clean,
            clean_because,
        });
    }
    elections
}

fn cleanliness(roles: &Roles, term: &Term) -> (Option<bool>, String) {
    if let Some((version, isr)) = preceding_isr(roles, term.epoch) {
        let clean = isr.contains(&term.node);
        let is = if clean { "is" } else { "is not" };
        return (
            Some(clean),
            format!(
                "{} {is} in the in-sync set {} of version {version}, the one before",
                term.node,
                nodes(isr)
            ),
        );
    }
    // An unclean election leaves a set of one: the new leader alone.
    if term.isr.len() > 1 {
        return (
            Some(true),
            format!(
                "its in-sync set {} has more than one member, which an unclean election never leaves",
                nodes(&term.isr)
            ),
        );
    }
    (
        None,
        format!(
            "the partition state before {} was not recorded without a gap",
            term.epoch
        ),
    )
}

/// The in-sync set of the version just before the one that began an epoch.
fn preceding_isr(roles: &Roles, epoch: Epoch) -> Option<(i32, &[NodeId])> {
    let version = roles.begun_by(epoch)? - 1;
    // The version found may not be the first of its epoch: the one before must be of another.
    if let Some((isr, _)) = roles
        .anew
        .get(&version)
        .filter(|(_, before)| *before < epoch)
    {
        return Some((version, isr.as_slice()));
    }
    let (isr, before, _) = roles.versions.get(&version)?;
    before
        .is_some_and(|before| before < epoch)
        .then_some((version, isr.as_slice()))
}

/// `{n0, n1}`.
pub fn nodes(nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    format!("{{{}}}", names.join(", "))
}
