//! Figures: one number per run, metric and kind of fault, so that nights can be compared.
//!
//! Nothing is compared here, and no figure is made up: what was not measured has none.

use std::collections::BTreeMap;
use std::fmt;

use checkers::Judgement;
use checkers::judgement::{AvailabilityFact, Finding, Gap, Verdict};
use history::{FaultId, Phase};
use serde::{Deserialize, Serialize};

use super::kinds;

/// The guarantee whose breaking is permitted to `acks=1`, and counted.
const ABOVE_HW: &str = "acked-lost-above-hw";
const SECOND: u64 = 1_000_000_000;

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

/// The figures of a judgement.
pub(super) fn of(j: &Judgement) -> Vec<Figure> {
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
