//! A judged run in small: what a night keeps of its verdict when the run itself is gone.
//!
//! Everything here is taken from the judgement, by adding up and choosing; nothing is judged again.
//! Figures are one number per run, metric and kind of fault, so that nights can be compared.

use std::collections::BTreeMap;
use std::fmt;

use checkers::judgement::{AvailabilityFact, Class, Finding, Gap, Standing, Verdict};
use checkers::{Fold, Judgement};
use history::{FaultId, Phase};
use serde::{Deserialize, Serialize};

/// The guarantee whose breaking is permitted to `acks=1`, and counted.
const ABOVE_HW: &str = "acked-lost-above-hw";
/// A story is cut after so many characters; the report has all of it.
const STORY_MAX: usize = 900;
const SECOND: u64 = 1_000_000_000;

/// What a night keeps of a judged run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The verdict.
    pub verdict: Fold,
    /// The verdict that the plan has to end with, where it says so.
    pub wanted: Option<Fold>,
    /// The judge's own sentences.
    pub sentence: String,
    /// Acknowledged records whose fate was followed.
    pub examined: u64,
    /// The version of Kafka under test.
    pub kafka: String,
    /// The version of the rules.
    pub rules: u32,
    /// Faults that were begun.
    pub faults: u32,
    /// Of those, proved in force.
    pub proved: u32,
    /// Of those, proved undone.
    pub healed: u32,
    /// The faults that were not proved or not undone, in sentences.
    #[serde(default)]
    pub odd: Vec<String>,
    /// Numbers that nights are compared by.
    pub figures: Vec<Figure>,
    /// What broke promises, worst first.
    pub causes: Vec<Cause>,
}

/// One number of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Of what.
    pub metric: Metric,
    /// Around which kind of fault, where it is about faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The number, in the metric's unit.
    pub value: f64,
    /// Over how many faults.
    pub over: u32,
}

/// What nights are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Longest time without an acknowledgement around a fault, `acks=all`; seconds.
    GapAll,
    /// The same of all other sends; seconds.
    GapOther,
    /// From a fault to a new leader; seconds.
    ToNewLeader,
    /// From the end of a fault to the full in-sync set; seconds.
    ToFullIsr,
    /// Acknowledged records that `acks=1` lost above the high watermark, per fault; records.
    LostAboveHw,
    /// Acknowledged records a second, before the first fault.
    Throughput,
    /// Acknowledged records whose fate was followed; records.
    Examined,
}

/// What broke a promise in one run. Equal causes of different nights are shown as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The guarantee.
    pub guarantee: String,
    /// The class of the cause, as `verdict.json` names it.
    pub class: String,
    /// The topic.
    pub topic: String,
    /// The kind of the fault that the fail-over followed, where one explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Records (or cuts, or moments) concerned.
    pub count: u64,
    /// The first finding's title.
    pub title: String,
    /// The first finding's story.
    pub story: String,
}

impl Facts {
    /// What a night keeps of a judgement.
    pub fn of(j: &Judgement) -> Self {
        let count = |wanted: fn(&&checkers::judgement::FaultFact) -> bool| {
            u32::try_from(j.faults.iter().filter(wanted).count()).unwrap_or(u32::MAX)
        };
        let odd = j
            .faults
            .iter()
            .filter(|fault| !fault.proved || !fault.healed);
        Self {
            verdict: j.fold,
            wanted: j.expected.map(|expected| expected.wanted),
            sentence: j.sentence.clone(),
            examined: j.totals.acknowledged,
            kafka: j.kafka.clone(),
            rules: j.rules_version,
            faults: count(|_| true),
            proved: count(|fault| fault.proved),
            healed: count(|fault| fault.healed),
            odd: odd.map(|fault| fault.sentence.clone()).collect(),
            figures: figures(j),
            causes: causes(j),
        }
    }

    /// Whether the verdict is the one that the plan has to end with; Held, if it does not say.
    pub fn as_wanted(&self) -> bool {
        self.verdict == self.wanted.unwrap_or(Fold::Held)
    }

    /// The judge's sentences without the verdict's word in front.
    pub fn said(&self) -> &str {
        let word = self.verdict.to_string();
        let rest = self.sentence.strip_prefix(word.as_str());
        let rest = rest.and_then(|rest| rest.strip_prefix('.'));
        rest.unwrap_or(&self.sentence).trim_start()
    }
}

impl Metric {
    /// Every metric, in the order in which they are shown.
    pub const ALL: [Metric; 7] = [
        Metric::GapAll,
        Metric::GapOther,
        Metric::ToNewLeader,
        Metric::ToFullIsr,
        Metric::LostAboveHw,
        Metric::Throughput,
        Metric::Examined,
    ];

    /// What it is, for people.
    pub fn words(self) -> &'static str {
        match self {
            Metric::GapAll => "longest gap without an ack, acks=all",
            Metric::GapOther => "longest gap without an ack, other sends",
            Metric::ToNewLeader => "time to new leader",
            Metric::ToFullIsr => "time to full ISR",
            Metric::LostAboveHw => "acks=1 records lost above HW, per fault",
            Metric::Throughput => "steady throughput",
            Metric::Examined => "records examined",
        }
    }

    /// The unit of its figures.
    pub fn unit(self) -> &'static str {
        match self {
            Metric::GapAll | Metric::GapOther | Metric::ToNewLeader | Metric::ToFullIsr => "s",
            Metric::Throughput => "/s",
            Metric::LostAboveHw | Metric::Examined => "",
        }
    }

    /// Whether more of it is worse; `None` where neither is.
    pub fn more_is_worse(self) -> Option<bool> {
        match self {
            Metric::GapAll
            | Metric::GapOther
            | Metric::ToNewLeader
            | Metric::ToFullIsr
            | Metric::LostAboveHw => Some(true),
            Metric::Throughput => Some(false),
            Metric::Examined => None,
        }
    }

    /// A difference below which nobody should be told: what the measurement itself may be off by.
    pub fn grain(self) -> f64 {
        match self {
            // Probes, log lines and acknowledgements are some tenths of a second apart.
            Metric::GapAll | Metric::GapOther | Metric::ToNewLeader | Metric::ToFullIsr => 0.2,
            Metric::LostAboveHw => 20.0,
            Metric::Throughput => 10.0,
            Metric::Examined => 100.0,
        }
    }

    /// As it is written in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Metric::GapAll => "gap-all",
            Metric::GapOther => "gap-other",
            Metric::ToNewLeader => "to-new-leader",
            Metric::ToFullIsr => "to-full-isr",
            Metric::LostAboveHw => "lost-above-hw",
            Metric::Throughput => "throughput",
            Metric::Examined => "examined",
        }
    }

    /// The metric of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

fn figures(j: &Judgement) -> Vec<Figure> {
    let mut figures = around_faults(j);
    figures.extend(lost_above_hw(j));
    let plain = |metric, value| Figure {
        metric,
        fault: None,
        value,
        over: 0,
    };
    figures.extend(throughput(j).map(|rate| plain(Metric::Throughput, rate)));
    figures.push(plain(Metric::Examined, j.totals.acknowledged as f64));
    figures
}

/// The kind of every fault, by number.
fn kinds(j: &Judgement) -> BTreeMap<FaultId, &str> {
    let kind = |fault: &'_ checkers::judgement::FaultFact| fault.fault;
    let kinds = j.faults.iter();
    kinds
        .map(|fault| (kind(fault), fault.kind.as_str()))
        .collect()
}

/// Unavailability: of each fault the worst partition, of the faults of one kind the median.
fn around_faults(j: &Judgement) -> Vec<Figure> {
    let kinds = kinds(j);
    type Nanos = fn(&AvailabilityFact) -> Option<u64>;
    let told: [(Metric, Nanos); 4] = [
        (Metric::GapAll, |fact| length(fact.send_gap)),
        (Metric::GapOther, |fact| length(fact.other_send_gap)),
        (Metric::ToNewLeader, |fact| fact.to_new_leader),
        (Metric::ToFullIsr, |fact| fact.to_full_isr),
    ];
    let mut figures = Vec::new();
    for (metric, of) in told {
        let mut worst: BTreeMap<FaultId, u64> = BTreeMap::new();
        for fact in &j.availability {
            if let Some(nanos) = of(fact) {
                let worst = worst.entry(fact.fault).or_default();
                *worst = nanos.max(*worst);
            }
        }
        let mut by_kind: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (fault, nanos) in worst {
            if let Some(kind) = kinds.get(&fault) {
                let seconds = nanos as f64 / SECOND as f64;
                by_kind.entry(kind).or_default().push(seconds);
            }
        }
        figures.extend(by_kind.into_iter().filter_map(|(kind, values)| {
            Some(Figure {
                metric,
                fault: Some(kind.to_owned()),
                over: u32::try_from(values.len()).unwrap_or(u32::MAX),
                value: median(&values)?,
            })
        }));
    }
    figures
}

/// Nanoseconds without service; of a gap that never closed, until it was given up.
fn length(gap: Option<Gap>) -> Option<u64> {
    gap.map(|gap| gap.to.0.saturating_sub(gap.from.0))
}

/// What `acks=1` lost above the high watermark, per fault of a kind. Faults that cost nothing count
/// as well; topics that promise to lose nothing do not.
fn lost_above_hw(j: &Judgement) -> Vec<Figure> {
    let permitted = j
        .topics
        .iter()
        .flat_map(|topic| &topic.guarantees)
        .any(|g| g.name == ABOVE_HW && matches!(g.verdict, Verdict::NotPromised { .. }));
    if !permitted {
        return Vec::new();
    }
    let kinds = kinds(j);
    let mut sums: BTreeMap<&str, (u64, u32)> = BTreeMap::new();
    for kind in kinds.values() {
        sums.entry(kind).or_default().1 += 1;
    }
    for failover in &j.failovers {
        let kind = failover.fault.and_then(|fault| kinds.get(&fault));
        let Some((lost, _)) = kind.and_then(|kind| sums.get_mut(kind)) else {
            continue;
        };
        let above = |finding: &&Finding| {
            finding.guarantee == ABOVE_HW && failover.findings.contains(&finding.id)
        };
        *lost += j
            .findings
            .iter()
            .filter(above)
            .map(|it| it.count)
            .sum::<u64>();
    }
    let figures = sums.into_iter().map(|(kind, (lost, over))| Figure {
        metric: Metric::LostAboveHw,
        fault: Some(kind.to_owned()),
        value: lost as f64 / f64::from(over),
        over,
    });
    figures.collect()
}

/// Acknowledged records a second in the whole seconds of the steady phase.
fn throughput(j: &Judgement) -> Option<f64> {
    let steady = Phase::Steady.to_string();
    let phase = j.phases.iter().find(|phase| phase.phase == steady)?;
    let from = phase.span.from.0.div_ceil(SECOND);
    let to = phase.span.to.0 / SECOND;
    let seconds = to.checked_sub(from).filter(|seconds| *seconds > 0)?;
    let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
    let sent = j.timeline.sends.values();
    let sent: u64 = sent
        .filter_map(|rate| rate.acknowledged.get(from..to))
        .flatten()
        .sum();
    Some(sent as f64 / seconds as f64)
}

fn causes(j: &Judgement) -> Vec<Cause> {
    let kinds = kinds(j);
    let mut causes: Vec<Cause> = Vec::new();
    for finding in &j.findings {
        if finding.standing != Standing::Broken {
            continue;
        }
        let explains = j
            .failovers
            .iter()
            .find(|it| it.findings.contains(&finding.id));
        let fault = explains.and_then(|failover| kinds.get(&failover.fault?));
        let cause = Cause {
            guarantee: finding.guarantee.clone(),
            class: class(finding.class),
            topic: finding.topic.clone(),
            fault: fault.map(|kind| (*kind).to_owned()),
            count: finding.count,
            title: finding.title.clone(),
            story: story(finding),
        };
        match causes.iter_mut().find(|known| known.same_as(&cause)) {
            Some(known) => known.count += cause.count,
            None => causes.push(cause),
        }
    }
    causes.extend(untold(j, &causes));
    causes
}

/// Guarantees that are broken without a finding that says so.
fn untold(j: &Judgement, told: &[Cause]) -> Vec<Cause> {
    let mut causes = Vec::new();
    for topic in &j.topics {
        for guarantee in &topic.guarantees {
            let Verdict::Broken {
                observed,
                examined,
                unit,
                ..
            } = &guarantee.verdict
            else {
                continue;
            };
            let name = &guarantee.name;
            if told
                .iter()
                .any(|it| it.guarantee == *name && it.topic == topic.topic)
            {
                continue;
            }
            causes.push(Cause {
                guarantee: name.clone(),
                class: class(Class::Plain),
                topic: topic.topic.clone(),
                fault: None,
                count: *observed,
                title: format!(
                    "{}: \"{}\" is broken for {observed} of {examined} {unit}",
                    topic.topic, guarantee.sentence
                ),
                story: String::new(),
            });
        }
    }
    causes
}

impl Cause {
    /// Whether another is the same cause; of one plan, that is.
    pub fn same_as(&self, other: &Self) -> bool {
        self.guarantee == other.guarantee
            && self.class == other.class
            && self.topic == other.topic
            && self.fault == other.fault
    }
}

fn class(class: Class) -> String {
    let value = serde_json::to_value(class).ok();
    let name = value.as_ref().and_then(|value| value.as_str());
    name.map_or_else(|| format!("{class:?}"), str::to_owned)
}

fn story(finding: &Finding) -> String {
    let sentences = finding.story.iter().map(|sentence| sentence.text.as_str());
    let mut story = String::new();
    for sentence in sentences {
        if !story.is_empty() {
            story.push(' ');
        }
        story.push_str(sentence);
        if story.chars().count() > STORY_MAX {
            let mut cut: String = story.chars().take(STORY_MAX).collect();
            cut.push('…');
            return cut;
        }
    }
    story
}

/// The middle value, or the mean of the two middle ones.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}
