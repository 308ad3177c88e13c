//! The last sentence of a story: the cause of a group's absence in words, with what shows it; or
//! which evidence would have told.

use super::words::{Story, at};
use super::{Gone, Group, Kind};
use crate::causes::{Loss, LossKind};
use crate::contract::{Contract, Force, known};
use crate::facts::{Facts, PartFacts};
use crate::judgement::Class;

/// Says why, or what is missing to say it.
pub fn conclude(
    facts: &Facts,
    contract: &Contract,
    group: &Group,
    first: &Gone,
    story: &mut Story,
) {
    let part = &facts.parts[group.part];
    if let Some(needed) = group.needed {
        // A side that cannot be shown has been said already.
        if group.kind != Kind::AckedUndetermined || first.offset.is_none() {
            story.missing("What became of them cannot be said.".to_owned(), needed);
        }
        return;
    }
    let text = match group.class {
        Class::UncleanElection => unclean(contract, group),
        Class::LossyLeader
        | Class::LastStanding
        | Class::AllDown
        | Class::StaleReadmission
        | Class::Damage => lossy(facts, contract, group, first),
        Class::ZookeeperRolledBack => zookeeper(facts, contract, group),
        Class::DirtyHw => Some(
            "A follower that had just returned gave them: it had taken its new leader's high \
             watermark before it cut its log (KAFKA-14704)."
                .to_owned(),
        ),
        Class::KnownBadProtocol => contract.known_bad_protocol.as_ref().map(|version| {
            let why = known::protocol_loses(version).unwrap_or("known");
            format!(
                "Protocol {version} is known to lose like this ({why}); that does not permit it."
            )
        }),
        Class::LoadRecovery => Some(
            "The log was cut for damage that was found while it was loaded, and nothing that was \
             done to the host damages a log: a killed process leaves behind what it had written."
                .to_owned(),
        ),
        Class::Compaction => Some(
            "No leader began without them, nobody cut them, and the log holds no later record of \
             their keys: this version's cleaner may take what was committed (KAFKA-13194)."
                .to_owned(),
        ),
        Class::Unexplained => Some(unexplained(part, first)),
        Class::AboveHw | Class::Undetermined | Class::Expired | Class::Resend | Class::Plain => {
            None
        }
    };
    if let Some(text) = text {
        story.say(facts, text, &[]);
    }
}

fn unclean(contract: &Contract, group: &Group) -> Option<String> {
    let causes = &contract.causes[&group.part];
    let text = match causes.unclean(group.dropped_by?)?.allowed {
        Force::Yes => {
            "The election was unclean, and unclean.leader.election.enable allowed it then: what the \
             new leader did not have goes."
        }
        Force::No => {
            "The election was unclean, although unclean.leader.election.enable forbade it then."
        }
        Force::Either => "The election was unclean.",
    };
    Some(text.to_owned())
}

/// U or D, and who led after it.
fn lossy(facts: &Facts, contract: &Contract, group: &Group, first: &Gone) -> Option<String> {
    let causes = &contract.causes[&group.part];
    let by = |loss: &Loss| {
        let fault = facts.harms[loss.harm].fault;
        fault.map_or(String::new(), |fault| format!(" ({fault})"))
    };
    if let Some(lead) = group.lossy.map(|lossy| &causes.lossy[lossy]) {
        let loss = &causes.losses[lead.loss];
        let term = &facts.parts[group.part].roles.terms[lead.term];
        let how = match lead.resumed {
            true => "led on, elected by nobody, in",
            false => "was elected for",
        };
        let offset = first.offset?;
        let flushed = match (loss.kind, loss.excuses(offset)) {
            (LossKind::PowerCut, false) => format!(
                " A power cut does not excuse it: they had been flushed ({}).",
                loss.durable_because
            ),
            (LossKind::PowerCut, true) => format!(
                " They had not been flushed, as far as is known: what had been ends at {} ({}).",
                loss.durable, loss.durable_because
            ),
            (LossKind::Wiped | LossKind::Damaged, _) => String::new(),
        };
        return Some(format!(
            "So {}{}, and {how} {} without having copied it again, {}: {}.{flushed}",
            loss.words(),
            by(loss),
            term.epoch,
            lead.why.words(),
            lead.because
        ));
    }
    let loss = &causes.losses[group.loss?];
    Some(format!("So {}{}.", loss.words(), by(loss)))
}

fn zookeeper(facts: &Facts, contract: &Contract, group: &Group) -> Option<String> {
    let part = &facts.parts[group.part];
    let term = &part.roles.terms[group.dropped_in?];
    let back = contract.causes[&group.part].went_back_before(facts, part, term)?;
    if back.has == back.had {
        return Some(format!(
            "ZooKeeper had confirmed version {} of the partition's state and forgot it: at {} that \
             version was another state. The leader was chosen by what it still knew.",
            back.had, back.at
        ));
    }
    Some(format!(
        "ZooKeeper had confirmed version {} of the partition's state and forgot it: at {} it knew no \
         version beyond {}. The leader was chosen by what it still knew.",
        back.had, back.at, back.has
    ))
}

fn unexplained(part: &PartFacts, first: &Gone) -> String {
    let start = part.fin.as_ref().ok().map(|fin| fin.start);
    if let (Some(start), Some(offset)) = (start, first.offset)
        && offset < start
    {
        return format!(
            "The log begins at {start}, and neither retention nor an acknowledged DeleteRecords \
             explains that."
        );
    }
    "Nothing recorded explains it: no unclean election, no replica that had lost data, no deletion."
        .to_owned()
}

/// "At 5.1s n0 led on in e0, elected by nobody; its log ended at @1."
pub fn resumed(facts: &Facts, part: &PartFacts, term: usize, story: &mut Story) {
    let term = &part.roles.terms[term];
    let text = format!(
        "{} {} began to lead {} once more, elected by nobody; its log ended at {}, its high watermark \
         stood at {}.",
        at(facts.line_span(term.line)),
        term.node,
        term.epoch,
        term.leo,
        term.hw
    );
    story.say(facts, text, &[term.line]);
}
