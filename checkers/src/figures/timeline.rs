//! The run on one axis of time: rates, gaps between log end and high watermark, leadership, faults.

use std::collections::BTreeMap;

use history::{Mark, NodeId, Offset, Seen};

use crate::facts::{Facts, PartFacts};
use crate::faults;
use crate::judgement::{GapPoint, GapSeries, LeadSpan, PartitionLead, Rate, TimeSpan, Timeline};

/// What the timeline shows.
pub fn timeline(facts: &Facts) -> Timeline {
    let seconds = second(facts.length) + 1;
    let mut sends: BTreeMap<String, Rate> = BTreeMap::new();
    let mut deliveries: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for part in &facts.parts {
        let topic = part.name.topic.to_string();
        let rate = sends.entry(topic.clone()).or_insert_with(|| Rate {
            acknowledged: vec![0; seconds],
            unsuccessful: vec![0; seconds],
        });
        for (_, send) in facts.ops.sends_of(&part.sends) {
            let Some(at) = send.returned else { continue };
            let column = if send.acked() {
                &mut rate.acknowledged
            } else {
                &mut rate.unsuccessful
            };
            column[second(at)] += 1;
        }
        let rate = deliveries.entry(topic).or_insert_with(|| vec![0; seconds]);
        for (_, read) in facts.ops.reads_of(&part.reads) {
            rate[second(read.returned)] += 1;
        }
    }
    Timeline {
        length: facts.length,
        sends,
        deliveries,
        gaps: facts
            .parts
            .iter()
            .flat_map(|part| gaps(facts, part))
            .collect(),
        leadership: facts
            .parts
            .iter()
            .map(|part| PartitionLead {
                partition: part.name.to_string(),
                spans: leads(facts, part),
            })
            .collect(),
        faults: faults::spans(facts),
    }
}

/// Times of leadership; the part of one that lies after the next leader began is marked as such.
fn leads(facts: &Facts, part: &PartFacts) -> Vec<LeadSpan> {
    let mut spans = Vec::new();
    for term in &part.roles.terms {
        let Some(began) = facts.line_span(term.line).map(|span| span.from) else {
            continue;
        };
        let end = crate::gone::leads_until(facts, part, term).unwrap_or(facts.length);
        let deposed = part
            .roles
            .terms
            .iter()
            .filter(|later| later.epoch > term.epoch)
            .filter_map(|later| facts.line_span(later.line))
            .map(|span| span.from)
            .min();
        let span = |from: Mark, to: Mark, deposed| LeadSpan {
            node: term.node,
            epoch: term.epoch,
            span: TimeSpan { from, to },
            deposed,
        };
        match deposed.filter(|at| *at < end) {
            Some(at) if at > began => {
                spans.push(span(began, at, false));
                spans.push(span(at, end, true));
            }
            Some(_) | None => spans.push(span(began, end, false)),
        }
    }
    spans.sort_by_key(|span| (span.span.from, span.node, span.epoch));
    spans
}

/// LEO and HW of every broker that led, thinned to two points a second with the extremes kept.
fn gaps(facts: &Facts, part: &PartFacts) -> Vec<GapSeries> {
    let leads = leads(facts, part);
    let mut ends: BTreeMap<NodeId, Offset> = BTreeMap::new();
    let mut points: BTreeMap<NodeId, Vec<GapPoint>> = BTreeMap::new();
    for &index in &part.seen {
        let seen = facts.observations[index as usize];
        let hw = match &seen.seen {
            Seen::LogEnd { leo, .. } => {
                ends.insert(seen.node, *leo);
                continue;
            }
            Seen::Watermarks { hw, .. } => *hw,
            Seen::LeaderHw { .. }
            | Seen::Belief { .. }
            | Seen::Controller { .. }
            | Seen::ZkState { .. }
            | Seen::Silent { .. } => continue,
        };
        let led = leads.iter().any(|lead| {
            lead.node == seen.node && lead.span.from <= seen.asked && seen.answered <= lead.span.to
        });
        if let (true, Some(leo)) = (led, ends.get(&seen.node)) {
            points.entry(seen.node).or_default().push(GapPoint {
                at: seen.answered,
                leo: leo.0.max(hw.0),
                hw: hw.0,
            });
        }
    }
    points
        .into_iter()
        .map(|(node, points)| GapSeries {
            partition: part.name.to_string(),
            node,
            points: thin(points),
        })
        .collect()
}

/// In each half second the widest gap only.
fn thin(points: Vec<GapPoint>) -> Vec<GapPoint> {
    let mut kept: Vec<GapPoint> = Vec::new();
    for point in points {
        let slot = |point: &GapPoint| point.at.0 / 500_000_000;
        match kept.last_mut() {
            Some(last) if slot(last) == slot(&point) => {
                if point.leo - point.hw >= last.leo - last.hw {
                    *last = point;
                }
            }
            _ => kept.push(point),
        }
    }
    kept
}

/// The second of the run in which a moment lies.
fn second(at: Mark) -> usize {
    (at.0 / 1_000_000_000) as usize
}
