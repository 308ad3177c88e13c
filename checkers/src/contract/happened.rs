//! What of the contract's conditions came about, in sentences for the top of a report: elections,
//! lost data, deletion, changed settings. A condition that did not come about is said too.

use history::Offset;

use super::{Contract, Force};
use crate::causes::{LossKind, PartCauses, WhyInSync};
use crate::facts::{Facts, PartFacts};
use crate::gone::{at, many};

impl Contract {
    /// The sentences, conditions of the contract first.
    pub fn happened(&self, facts: &Facts) -> Vec<String> {
        let mut said = Vec::new();
        self.elections(facts, &mut said);
        self.losses(facts, &mut said);
        for (&id, causes) in &self.causes {
            let part = &facts.parts[id];
            other(part, causes, &mut said);
        }
        self.changes(&mut said);
        said
    }

    fn elections(&self, facts: &Facts, said: &mut Vec<String>) {
        let mut elections = 0;
        let mut doubtful = 0;
        let mut untold = 0;
        for (&id, causes) in &self.causes {
            let part = &facts.parts[id];
            elections += part.elections.len().saturating_sub(1) as u64;
            for unclean in &causes.unclean {
                let election = &part.elections[unclean.election];
                let term = &part.roles.terms[election.term];
                let (what, allowed) = match (unclean.sure, unclean.allowed) {
                    (true, Force::Yes) => {
                        ("An unclean election happened", ", which the settings allow")
                    }
                    (true, Force::No) => (
                        "An unclean election happened",
                        ", although the settings forbid it",
                    ),
                    (true, Force::Either) => (
                        "An unclean election happened",
                        ", and whether the settings allowed it then is not known",
                    ),
                    (false, Force::No) => {
                        untold += 1;
                        continue;
                    }
                    (false, _) => ("Whether an election was clean cannot be told", ""),
                };
                doubtful += 1;
                said.push(format!(
                    "{what} at {} of {}: {} {} led from {} on ({}){allowed}.",
                    term.epoch,
                    part.name,
                    at(facts.line_span(term.line)).to_lowercase(),
                    term.node,
                    term.leo,
                    election.clean_because
                ));
            }
        }
        if doubtful > 0 {
            return;
        }
        said.push(match elections {
            0 => "No leader changed.".to_owned(),
            count if untold > 0 => format!(
                "The leader changed {}; no election is known to have been unclean, which the settings \
                 forbid (of {untold} the state before was not recorded).",
                many(count, "time", "times")
            ),
            count => format!(
                "The leader changed {}, and no election was unclean.",
                many(count, "time", "times")
            ),
        });
    }

    fn losses(&self, facts: &Facts, said: &mut Vec<String>) {
        let mut any = false;
        for (&id, causes) in &self.causes {
            let part = &facts.parts[id];
            for (index, loss) in causes.losses.iter().enumerate() {
                any = true;
                let by = facts.harms[loss.harm].fault;
                let by = by.map_or(String::new(), |fault| format!(" ({fault})"));
                let flushed = match loss.kind {
                    LossKind::PowerCut if loss.durable == Offset(i64::MAX) => {
                        "; all of it had been flushed".to_owned()
                    }
                    LossKind::PowerCut => format!(
                        "; up to {} it had been flushed ({})",
                        loss.durable, loss.durable_because
                    ),
                    LossKind::Wiped | LossKind::Damaged => String::new(),
                };
                let mut sentence = format!("{}: {}{by}{flushed}", part.name, loss.words());
                let mut leads = causes.lossy.iter().filter(|lead| lead.loss == index);
                match leads.find(|lead| lead.lacked_something(facts, part, loss)) {
                    Some(lead) => {
                        let term = &part.roles.terms[lead.term];
                        let how = if lead.resumed { "led on in" } else { "led" };
                        sentence.push_str(&format!(
                            "; it {how} {} without having copied it again, {}",
                            term.epoch,
                            lead.why.words()
                        ));
                    }
                    None => sentence.push_str("; it did not lead before it had copied it again"),
                }
                said.push(format!("{sentence}."));
            }
        }
        if !any {
            said.push("No replica lost data by a power cut, wiping or damage.".to_owned());
        }
    }

    fn changes(&self, said: &mut Vec<String>) {
        for (key, line) in [
            ("unclean.leader.election.enable", &self.unclean),
            ("min.insync.replicas", &self.min_isr_over_time),
            ("flush.messages", &self.flush),
            ("retention.ms", &self.retention),
            ("retention.bytes", &self.retention_bytes),
        ] {
            if line.changed() {
                said.push(format!("{key} was {}.", line.words()));
            }
        }
    }
}

fn other(part: &PartFacts, causes: &PartCauses, said: &mut Vec<String>) {
    if let Some((before, when)) = causes.deleted {
        said.push(format!(
            "DeleteRecords removed what {} held below {before}, acknowledged at {when}.",
            part.name
        ));
    }
    for session in &causes.sessions {
        said.push(format!(
            "{} wrote to {} under {} producer ids: it began anew.",
            session.client,
            part.name,
            session.producer_ids.len()
        ));
    }
    if let Some(back) = causes.rolled_back.first() {
        let what = match back.has == back.had {
            true => format!("version {} was another state", back.had),
            false => format!(
                "version {} is gone, {} is what it knows",
                back.had, back.has
            ),
        };
        said.push(format!(
            "ZooKeeper forgot what it had confirmed of {}: {what} (first seen at {}).",
            part.name, back.at
        ));
    }
}

impl WhyInSync {
    /// "as the last one standing".
    pub fn words(self) -> &'static str {
        match self {
            WhyInSync::LastStanding => "as the last one standing",
            WhyInSync::AllDown => "all in-sync members having been down together",
            WhyInSync::Readmitted => "having been taken back into the in-sync set by a stale fetch",
            WhyInSync::Unknown => "why it was still in sync is not known",
        }
    }
}
