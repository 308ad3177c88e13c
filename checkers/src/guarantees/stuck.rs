//! After the heal the cluster recovers: every broker runs, every in-sync set is full, every log is
//! copied to its end, consumers reach it, and no transaction stays open for longer than brokers let
//! it.

use std::time::Duration;

use history::{NodeId, Offset, Phase, ProcessChange, Seen, Service};

use super::{Case, Check, DAMAGE, Tally};
use crate::causes::PartCauses;
use crate::contract::Promise;
use crate::facts::PartFacts;
use crate::findings::Findings;
use crate::gone::Story;
use crate::judgement::{Class, Group, Standing};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "stuck",
    sentence: "the cluster recovers after the heal",
    group: Group::Liveness,
    premises: &["history-whole", "drain"],
    look,
};

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally {
        promise: Promise::Yes("once every fault is undone".to_owned()),
        blocked: case.never_healed(),
        ..Tally::of("partitions after settling")
    };
    if tally.blocked.is_some() {
        return tally;
    }
    for part in case.parts() {
        // Where no probe looked once the load had ended, recovery is not shown.
        tally.examined += u64::from(hw_since(case, part, Phase::Settle).is_some());
        let mut troubles = troubles(case, part);
        let mut doubts = Vec::new();
        if let Some(text) = consumer_behind(part) {
            let cut_short = still_served(case);
            let said = if cut_short {
                &mut doubts
            } else {
                &mut troubles
            };
            said.push(text);
            if cut_short {
                let text = "They were still being given records when the drain's time ran out.";
                doubts.push(text.to_owned());
            }
        }
        doubts.extend(settled_late(case, part));
        // What may be no more than a deadline too short, or a setting that makes followers learn
        // late, convicts nobody by itself.
        let doubtful = troubles.is_empty();
        troubles.extend(doubts);
        if troubles.is_empty() {
            continue;
        }
        let title = format!("{}: not recovered after the heal", part.name);
        let mut finding = case.finding(CHECK.name, Some(part), title);
        let mut story = Story::default();
        for trouble in troubles {
            story.say(case.facts, trouble, &[]);
        }
        let damage = case.causes(part).and_then(PartCauses::damage);
        if let Some(damage) = damage {
            // Nothing is promised of files that were damaged: who has them may not get on.
            (finding.class, finding.standing) = DAMAGE;
            story.say(case.facts, format!("Before that, {}.", damage.words()), &[]);
        } else if doubtful {
            (finding.class, finding.standing) = (Class::Undetermined, Standing::Undetermined);
        }
        finding.story = story.sentences;
        tally.found(findings, finding);
    }
    tally
}

fn troubles(case: &Case, part: &PartFacts) -> Vec<String> {
    let mut troubles: Vec<String> = part
        .replicas
        .iter()
        .filter(|node| gone_at_the_end(case, **node))
        .map(|node| format!("The broker of {node} was not running when the run was captured."))
        .collect();
    if let Some(isr) = last_isr(case, part)
        && isr.len() < part.replicas.len()
    {
        troubles.push(format!(
            "The in-sync set was {} to the last, of {} replicas.",
            crate::facts::nodes(&isr),
            part.replicas.len()
        ));
    }
    if let Some(log) = part.final_log()
        && let Some((hw, node)) = hw_since(case, part, Phase::Drain)
        && hw < log.log.leo()
    {
        troubles.push(format!(
            "The high watermark of {node} was last {hw}, its log ended at {}.",
            log.log.leo()
        ));
    }
    troubles.extend(frozen(case, part));
    troubles
}

/// `transaction.timeout.ms` by default, Java's and librdkafka's alike.
const TRANSACTION: Duration = Duration::from_secs(60);

/// `transaction.max.timeout.ms` by default: a producer that asks for more is refused.
const AT_MOST: u64 = 900_000;

/// How long a transaction of the topic may stay open, and whether somebody recorded that.
fn may_stay_open(case: &Case) -> (Duration, bool) {
    let set = case.facts.broker_setting("transaction.max.timeout.ms");
    let at_most = set.and_then(|ms| ms.parse().ok()).unwrap_or(AT_MOST);
    let producers = case.facts.recording.setting.producers.values();
    let producers = producers.filter(|producer| producer.topic == case.contract.topic);
    let asked: Vec<Option<u64>> = producers
        .filter(|producer| producer.transactional_id.is_some())
        .map(|producer| producer.transaction_timeout_ms)
        .collect();
    let known = !asked.is_empty() && asked.iter().all(Option::is_some);
    let default = (!known).then_some(TRANSACTION);
    let longest = asked.into_iter().flatten().max().map(Duration::from_millis);
    let longest = longest.max(default).unwrap_or(TRANSACTION);
    (longest.min(Duration::from_millis(at_most)), known)
}

/// How often a coordinator looks for transactions that took too long, unless set otherwise.
const LOOKED_FOR: u64 = 10_000;

/// A last stable offset below the high watermark that has not moved since the settling began, for
/// longer than a transaction may stay open.
fn frozen(case: &Case, part: &PartFacts) -> Option<String> {
    let leader = part.fin.as_ref().ok()?.leader;
    let since = case.facts.phase_start(Phase::Settle)?;
    let key = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
    let set = case
        .facts
        .broker_setting(key)
        .and_then(|ms| ms.parse().ok());
    let (open, known) = may_stay_open(case);
    let allowed = open + Duration::from_millis(set.unwrap_or(LOOKED_FOR));
    let seen = part.seen.iter().rev();
    let answers = seen
        .map(|&index| case.facts.observations[index as usize])
        .filter(|answer| answer.node == leader && answer.asked >= since)
        .filter_map(|answer| match answer.seen {
            Seen::Watermarks { hw, lso, .. } => Some((answer, hw, lso)),
            _ => None,
        });
    let mut answers = answers.peekable();
    let &(last, hw, stuck) = answers.peek()?;
    if stuck >= hw {
        return None;
    }
    let (first, ..) = answers.take_while(|(_, _, lso)| *lso == stuck).last()?;
    let frozen = last.asked.since(first.answered);
    (frozen > allowed).then(|| {
        format!(
            "The last stable offset of {leader} stood at {stuck} below its high watermark {hw} for \
             {} s; a transaction is ended after {} s{}.",
            frozen.as_secs(),
            allowed.as_secs(),
            match known {
                true => "",
                false =>
                    " (by the default of transaction.timeout.ms; the producers' own was not \
                          recorded)",
            }
        )
    })
}

/// A partition that the wait for settling named when its time ran out.
fn settled_late(case: &Case, part: &PartFacts) -> Option<String> {
    let why = case.facts.unsettled()?;
    why.contains(&part.name.to_string())
        .then(|| format!("It had not settled when the time for that ran out: {why}."))
}

/// So shortly before its end a drain that is served at all gives records.
const STILL: Duration = Duration::from_secs(2);

/// Whether the drain was still giving records when it ended.
fn still_served(case: &Case) -> bool {
    let end = case.facts.phase_start(Phase::Capture);
    let last = case.facts.ops.reads().rfind(|read| read.drain);
    last.zip(end)
        .is_some_and(|(read, end)| end.since(read.returned) < STILL)
}

fn gone_at_the_end(case: &Case, node: NodeId) -> bool {
    let capture = case.facts.phase_start(Phase::Capture);
    let last = case.facts.processes.iter().rfind(|event| {
        event.node == node
            && event.service == Service::Broker
            && capture.is_none_or(|capture| event.at < capture)
    });
    last.is_some_and(|event| match event.change {
        ProcessChange::Exited(_) => true,
        ProcessChange::Started { .. } | ProcessChange::Paused | ProcessChange::Resumed => false,
    })
}

/// The last in-sync set that the last leader, or ZooKeeper, gave.
pub fn last_isr(case: &Case, part: &PartFacts) -> Option<Vec<NodeId>> {
    let leader = part.fin.as_ref().ok()?.leader;
    let seen = part.seen.iter().rev();
    seen.map(|&index| case.facts.observations[index as usize])
        .find_map(|observation| match &observation.seen {
            Seen::Belief { isr, .. } if observation.node == leader => Some(isr.clone()),
            Seen::ZkState { isr, .. } => Some(isr.clone()),
            _ => None,
        })
}

/// The last high watermark that the last leader gave since a phase began.
fn hw_since(case: &Case, part: &PartFacts, phase: Phase) -> Option<(Offset, NodeId)> {
    let leader = part.fin.as_ref().ok()?.leader;
    let since = case.facts.phase_start(phase)?;
    let seen = part.seen.iter().rev();
    seen.map(|&index| case.facts.observations[index as usize])
        .filter(|observation| observation.node == leader && observation.asked >= since)
        .find_map(|observation| match &observation.seen {
            Seen::LeaderHw { hw, .. } | Seen::Watermarks { hw, .. } => Some((*hw, leader)),
            _ => None,
        })
}

/// A drain that gave less than the log holds.
fn consumer_behind(part: &PartFacts) -> Option<String> {
    part.undrained().map(|row| {
        format!(
            "Consumers that read from the start were given {} of {} records.",
            row.delivered, row.expected
        )
    })
}
