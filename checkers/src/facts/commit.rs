//! Commit evidence (docs/guarantees.md, "committed"): what proves that a record stood below the
//! high watermark.
//!
//! Only leaders are believed, each within its own epoch. What a follower says of its high watermark
//! is never evidence: 3.0.0 followers take the leader's before they cut their logs (KAFKA-14704).

use std::collections::BTreeMap;

use history::{Epoch, Mark, NodeId, Offset, Seen, ValueId};

use super::held::leader_held;
use super::ops::ReadFact;
use super::partition::PartFacts;
use super::roles::{Term, Until};
use super::{Facts, LogView, PartId};
use crate::judgement::TimeSpan;
use crate::recording::Recording;

/// A high watermark that a leader gave while it led.
#[derive(Debug, Clone, Copy)]
pub struct HwPoint {
    /// The epoch that it led.
    pub epoch: Epoch,
    /// The leader.
    pub node: NodeId,
    /// Everything below was committed.
    pub hw: Offset,
    /// From what.
    pub source: ProofSource,
    /// Proves something only for records that this image holds; position in `PartFacts::images`.
    pub only_image: Option<usize>,
}

/// What proves a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofSource {
    /// An acks=all send succeeded; as `ops.send` counts.
    AckAll(u32),
    /// A leader served it to a consumer; as `ops.read` counts.
    Delivered(u32),
    /// An epoch-checked fetch; position in `observations`.
    LeaderHw(u32),
    /// A `Leader ... starts` or `Shrinking ISR` line.
    Line(usize),
    /// A high watermark checkpoint written while that broker led; position in `evidence.images`.
    Checkpoint(usize),
}

/// Proof that a record was committed.
#[derive(Debug, Clone, Copy)]
pub struct CommitProof {
    /// From what.
    pub source: ProofSource,
    /// Who said so, where it is a broker that did.
    pub node: Option<NodeId>,
    /// In which epoch its leader led, where that is known.
    pub epoch: Option<Epoch>,
    /// When.
    pub at: Option<TimeSpan>,
}

impl CommitProof {
    /// Proof from a source, with who said it, in which epoch and when.
    pub fn of(facts: &Facts, part: &PartFacts, source: ProofSource) -> Self {
        let then = |at: Mark| TimeSpan { from: at, to: at };
        let (node, epoch, at) = match source {
            ProofSource::AckAll(send) => {
                let send = facts.ops.send(send);
                let broker = match send.fate {
                    super::Fate::Acked { broker, .. } => broker,
                    super::Fate::Failed | super::Fate::Unknown => None,
                };
                (broker, None, send.returned.map(then))
            }
            ProofSource::Delivered(read) => {
                let read = facts.ops.read(read);
                (read.broker, read.epoch, Some(then(read.returned)))
            }
            ProofSource::LeaderHw(index) => {
                let seen = facts.observations[index as usize];
                let epoch = match &seen.seen {
                    Seen::LeaderHw { epoch, .. } => Some(*epoch),
                    _ => None,
                };
                (Some(seen.node), epoch, Some(then(seen.answered)))
            }
            ProofSource::Line(line) => {
                let led = part.roles.terms.iter().find(|term| term.line == line);
                let led = led.map(|term| term.epoch);
                let shrunk = part.roles.shrinks.iter().find(|shrink| shrink.0 == line);
                let epoch = led.or(shrunk.map(|(_, _, epoch, _)| *epoch));
                (Some(facts.line(line).node), epoch, facts.line_span(line))
            }
            ProofSource::Checkpoint(image) => {
                let archive = facts.image(image);
                let span = TimeSpan {
                    from: archive.from,
                    to: archive.to,
                };
                (Some(archive.node), None, Some(span))
            }
        };
        Self {
            source,
            node,
            epoch,
            at,
        }
    }
}

/// The high watermarks that leaders gave, of all kinds; the highest of each leader in each epoch.
pub fn hw_points(facts: &Facts, part: &PartFacts) -> Vec<HwPoint> {
    let mut points = Vec::new();
    for &index in &part.seen {
        let observation = facts.observations[index as usize];
        if let Seen::LeaderHw { epoch, hw, .. } = &observation.seen {
            points.push(HwPoint {
                epoch: *epoch,
                node: observation.node,
                hw: *hw,
                source: ProofSource::LeaderHw(index),
                only_image: None,
            });
        }
    }
    for term in &part.roles.terms {
        points.push(line_point(term.line, term.node, term.epoch, term.hw));
    }
    for &(line, node, epoch, hw) in &part.roles.shrinks {
        points.push(line_point(line, node, epoch, hw));
    }
    points.extend(client_points(facts, part));
    points.extend(checkpoint_points(facts, part));
    highest(points)
}

/// Of each leader in each epoch only its highest: whatever a lower one proves, that one does.
fn highest(mut points: Vec<HwPoint>) -> Vec<HwPoint> {
    let key = |point: &HwPoint| (point.epoch, point.node, point.only_image);
    points.sort_by_key(|point| (key(point), std::cmp::Reverse(point.hw)));
    points.dedup_by_key(|point| key(point));
    points
}

fn line_point(line: usize, node: NodeId, epoch: Epoch, hw: Offset) -> HwPoint {
    HwPoint {
        epoch,
        node,
        hw,
        source: ProofSource::Line(line),
        only_image: None,
    }
}

/// Kinds (a) and (b) for records that stand in F: a committed record of an epoch commits all before
/// it in any log that has it. One point for each epoch.
fn client_points(facts: &Facts, part: &PartFacts) -> Vec<HwPoint> {
    let Some(log) = part.final_log() else {
        return Vec::new();
    };
    let mut acked = Furthest::default();
    // Backwards: what comes later is mostly further, and what is not further need not be looked at.
    for (place, send) in facts.ops.sends_of(&part.sends).rev() {
        if let Some(offset) = send.acked_at()
            && part.final_at.at(place) == Some(offset)
            && acks_all(facts, send.client)
        {
            acked.note(log, offset, || Some(ProofSource::AckAll(part.sends[place])));
        }
    }
    let mut given = Furthest::default();
    for (place, read) in facts.ops.reads_of(&part.reads).rev() {
        if part.read_there.get(place) {
            given.note(log, read.offset, || {
                let index = part.reads[place];
                served_by_leader(facts, part, index).then_some(ProofSource::Delivered(index))
            });
        }
    }
    let mut best = acked.by_epoch;
    for (epoch, given) in given.by_epoch {
        let known = best.entry(epoch).or_insert(given);
        if known.0 < given.0 {
            *known = given;
        }
    }
    best.into_iter()
        .filter_map(|(epoch, (hw, source))| {
            let node = part.roles.term_of(epoch)?.node;
            Some(HwPoint {
                epoch,
                node,
                hw,
                source,
                only_image: None,
            })
        })
        .collect()
}

/// The furthest record of each epoch, of those that come last the first.
#[derive(Debug, Default)]
struct Furthest {
    /// The offset after it, and what proves it.
    by_epoch: BTreeMap<Epoch, (Offset, ProofSource)>,
}

impl Furthest {
    /// Notes a record, if it is as far as any of its epoch; records come in reverse order.
    fn note(&mut self, log: &LogView, at: Offset, proof: impl FnOnce() -> Option<ProofSource>) {
        let end = Offset(at.0.saturating_add(1));
        let around = log
            .epoch_around(at)
            .and_then(|epoch| self.by_epoch.get(&epoch));
        if around.is_some_and(|(far, _)| *far > end) {
            return;
        }
        let Some(epoch) = log.epoch_at(at) else {
            return;
        };
        let far = self.by_epoch.get(&epoch).map(|(far, _)| *far);
        if far.is_none_or(|far| far <= end)
            && let Some(source) = proof()
        {
            self.by_epoch.insert(epoch, (end, source));
        }
    }
}

/// A checkpoint is believed only if it lies beyond what the broker had when it became leader (it
/// moved while it led) and no other process came in between.
fn checkpoint_points(facts: &Facts, part: &PartFacts) -> Vec<HwPoint> {
    let mut points = Vec::new();
    for (place, image) in part.images.iter().enumerate() {
        let archive = facts.image(image.image);
        let Some(&hw) = archive.hw_checkpoint.get(&part.name) else {
            continue;
        };
        let led = part
            .roles
            .terms
            .iter()
            .find(|term| term.node == image.node && leads_through(facts, part, term, archive));
        if let Some(term) = led
            && hw > term.hw
        {
            points.push(HwPoint {
                epoch: term.epoch,
                node: term.node,
                hw,
                source: ProofSource::Checkpoint(image.image),
                only_image: Some(place),
            });
        }
    }
    points
}

/// Whether a time of leadership had begun before a copy was begun, and nothing of the same broker
/// followed it until the copy was made (its process may have died).
fn leads_through(facts: &Facts, part: &PartFacts, term: &Term, copy: &evidence::Image) -> bool {
    let begun = facts
        .line_span(term.line)
        .is_some_and(|span| span.to <= copy.from);
    let ended = match term.until {
        Until::Open => None,
        Until::NextLife(line) | Until::LedAgain(line) => Some(line),
        Until::Followed(follow) => Some(part.roles.follows[follow].line),
    };
    begun
        && ended.is_none_or(|line| {
            facts
                .line_span(line)
                .is_some_and(|span| span.from >= copy.to)
        })
}

/// Whether a producer waits for all in-sync replicas.
pub fn acks_all(facts: &Facts, client: history::ClientId) -> bool {
    facts
        .acks_all
        .get(usize::from(client.0))
        .copied()
        .unwrap_or(false)
}

/// By the number of a client: whether it is a producer that waits for all in-sync replicas.
pub fn waiting_for_all(recording: &Recording) -> Vec<bool> {
    let producers = &recording.setting.producers;
    let clients = producers
        .last_key_value()
        .map_or(0, |(last, _)| usize::from(last.0) + 1);
    let mut waiting = vec![false; clients];
    for (client, producer) in producers {
        waiting[usize::from(client.0)] = matches!(producer.acks.as_str(), "all" | "-1");
    }
    waiting
}

/// Whether no replica selector is configured.
pub fn ask_leaders(facts: &Facts) -> bool {
    facts
        .broker_setting("replica.selector.class")
        .is_none_or(|class| class.is_empty() || class == "null")
}

/// Whether a delivery came from a broker that led then. Where no broker is named: unless a replica
/// selector is configured, consumers ask leaders.
pub fn served_by_leader(facts: &Facts, part: &PartFacts, read: u32) -> bool {
    let read = facts.ops.read(read);
    match read.broker {
        Some(broker) if !part.roles.terms.is_empty() => part
            .roles
            .terms
            .iter()
            .any(|term| term.node == broker && may_have_given(facts, part, term, &read)),
        Some(_) | None => facts.ask_leaders,
    }
}

/// Whether a time of leadership can have given a delivery.
///
/// Libraries fetch ahead of polls, so an answer may be older than the poll that hands it out. What
/// came once the broker was a follower again counts only if its high watermark had covered the
/// record while it led: followers answer fetches too, and a returning leader for a moment even
/// over what it is about to cut (KAFKA-14704).
fn may_have_given(facts: &Facts, part: &PartFacts, term: &Term, read: &ReadFact) -> bool {
    if !not_after(facts, term.line, read.returned) {
        return false;
    }
    match term.until {
        Until::Open | Until::LedAgain(_) => true,
        Until::Followed(follow) => {
            let follow = &part.roles.follows[follow];
            let still_led = facts.line_span(follow.line);
            still_led.is_some_and(|span| read.returned <= span.from) || follow.hw > read.offset
        }
        // The process ended. What its next life gives as a follower is no leader's word.
        Until::NextLife(_) => !part.roles.follows.iter().any(|follow| {
            follow.node == term.node
                && follow.epoch >= term.epoch
                && not_after(facts, follow.line, read.returned)
        }),
    }
}

fn not_after(facts: &Facts, line: usize, moment: Mark) -> bool {
    facts.line_span(line).is_none_or(|span| span.from <= moment)
}

/// Kinds (c) and (d) for one record: a leader's high watermark beyond it, in its own epoch, or in a
/// later one whose leader is shown to have held it.
pub fn below_a_leaders_hw(
    facts: &Facts,
    part: PartId,
    offset: Offset,
    epoch: Epoch,
    value: ValueId,
) -> impl Iterator<Item = CommitProof> {
    let part = &facts.parts[part];
    part.hw_points
        .iter()
        .filter(move |point| point.hw > offset)
        .filter(move |point| match point.only_image {
            Some(image) => part.images[image].view.holds(offset, value),
            None => point.epoch == epoch || leader_held(facts, part, point, offset, epoch, value),
        })
        .map(move |point| CommitProof {
            epoch: Some(point.epoch),
            ..CommitProof::of(facts, part, point.source)
        })
}
