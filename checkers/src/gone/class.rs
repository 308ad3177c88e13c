//! The cause of a record's absence and what it means (docs/guarantees.md, "causes").
//!
//! A cause that nothing recorded shows is not guessed: it is undetermined while a permitted one is
//! possible, and unexplained otherwise. A power cut excuses only what had not been flushed.

use history::{Epoch, Harm, Mark, NodeId, Offset};

use super::candidates::key_of;
use super::drop::{destroying_cuts, dropping_term, loading_cut};
use super::{Cleaning, Given, Gone, Kind};
use crate::causes::{LossKind, PartCauses};
use crate::contract::{Contract, Force, known};
use crate::facts::txns::Marked;
use crate::facts::{Cut, Facts, PartFacts, PartId, Term, Until};
use crate::judgement::{Class, Standing};

/// A cause with its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Its class.
    pub class: Class,
    /// What it means.
    pub standing: Standing,
    /// The time of leadership that lacked the record; position in `roles.terms`.
    pub dropped_in: Option<usize>,
    /// The election that began it; position in `elections`. None for a leader that resumed.
    pub dropped_by: Option<usize>,
    /// The cuts that destroyed it; positions in `roles.cuts`.
    pub cuts: Vec<usize>,
    /// The lossy leader to blame; position in `lossy`.
    pub lossy: Option<usize>,
    /// The replica's loss to blame where nobody had to lead for it; position in `losses`.
    pub loss: Option<usize>,
    /// Which evidence would have told.
    pub needed: Option<&'static str>,
}

/// A class with what it means, and which evidence was missing.
type Told = (Class, Standing, Option<&'static str>);

/// The cause of one record's absence, of a compacted topic with what the cleaner may have taken.
pub fn of(
    facts: &Facts,
    contract: &Contract,
    id: PartId,
    (record, cleaning): (&Gone, Option<&Cleaning>),
) -> Cause {
    let part = &facts.parts[id];
    let dropped_in = dropping_term(facts, part, record);
    let cuts = match record.offset {
        Some(offset) => destroying_cuts(facts, part, record, offset),
        None => Vec::new(),
    };
    let mut scene = Scene {
        facts,
        contract,
        part,
        causes: &contract.causes[&id],
        record,
        cleaning,
        cause: Cause {
            class: Class::Unexplained,
            standing: Standing::Broken,
            dropped_in,
            dropped_by: dropped_in
                .and_then(|term| part.elections.iter().position(|e| e.term == term)),
            cuts,
            lossy: None,
            loss: None,
            needed: None,
        },
    };
    let (class, standing, needed) = scene.weigh();
    Cause {
        class,
        standing,
        needed,
        ..scene.cause
    }
}

/// What is known of one record when its absence is weighed.
struct Scene<'a> {
    facts: &'a Facts<'a>,
    contract: &'a Contract,
    part: &'a PartFacts<'a>,
    causes: &'a PartCauses,
    record: &'a Gone,
    cleaning: Option<&'a Cleaning>,
    cause: Cause,
}

const SIDE: &str = "the deposed leader's `Follower ... starts` line, with its high watermark then";

impl Scene<'_> {
    fn weigh(&mut self) -> Told {
        let record = self.record;
        if record.offset.is_none() && self.log_start_moved() {
            // Judged by value only, and the value may have stood where the log no longer reaches.
            let needed = "the offset in its acknowledgement: the log no longer begins at its start";
            let class = match self.may_have_been_deleted() {
                true => Class::Expired,
                false => Class::Undetermined,
            };
            return (class, Standing::Undetermined, Some(needed));
        }
        // Acknowledged, never shown to be committed, and yet given to a consumer by a follower.
        let given = record.read.is_some() && record.proof.is_none();
        match record.kind {
            Kind::AckedAbove | Kind::AckedUndetermined if given && !self.read_in_dirty_window() => {
                (Class::Undetermined, Standing::Undetermined, Some(SIDE))
            }
            // With one replica nothing is above the high watermark.
            Kind::AckedAbove | Kind::AckedUndetermined if self.contract.replicas == 1 => {
                self.below()
            }
            Kind::AckedAbove => self.above(Class::AboveHw, None),
            Kind::AckedUndetermined => self.above(Class::Undetermined, Some(SIDE)),
            Kind::AckedElsewhere if record.proof.is_none() => self.above(Class::Resend, None),
            Kind::AckedElsewhere | Kind::AckedBelow | Kind::Committed | Kind::Read => self.below(),
        }
    }

    fn log_start_moved(&self) -> bool {
        let fin = self.part.fin.as_ref();
        fin.is_ok_and(|fin| fin.start > Offset(0))
    }

    /// T, wherever it stood: a deletion that was acknowledged after it was sent, or retention.
    fn may_have_been_deleted(&self) -> bool {
        let sent = self
            .record
            .send
            .map(|send| self.facts.ops.send(send).invoked);
        let mut harms = self.facts.harms.iter();
        let asked = harms.any(|event| {
            event.partition == self.part.name
                && matches!(event.harm, Harm::Deleted { .. })
                && sent.is_none_or(|sent| sent <= event.at)
        });
        asked || self.contract.may_have_aged(sent, self.facts.length)
    }

    /// acks=1 promises nothing across a change of leader, and everything without one, but for what
    /// a power cut or damage took.
    fn above(&mut self, class: Class, needed: Option<&'static str>) -> Told {
        let changed = match self.record.epoch {
            Some(epoch) => led_after(self.part, epoch),
            None => self.part.changed_leader(),
        };
        if changed {
            return (class, Standing::NotPromised, needed);
        }
        match self.below() {
            told @ (_, Standing::NotPromised, _) => told,
            _ => (class, Standing::Broken, needed),
        }
    }

    /// Causes of losing what was committed, the proven and permitted ones first.
    fn below(&mut self) -> Told {
        let told = self
            .unclean()
            .or_else(|| self.lossy())
            .or_else(|| self.damaged())
            .or_else(|| self.rolled_back());
        if let Some(told) = told {
            return told;
        }
        if self.read_in_dirty_window() {
            let standing = match known::dirty_hw(self.contract.kafka) {
                true => Standing::NotPromised,
                false => Standing::Broken,
            };
            return (Class::DirtyHw, standing, None);
        }
        if self.known_bad() {
            return (Class::KnownBadProtocol, Standing::Broken, None);
        }
        if let Some(told) = self.loading() {
            return told;
        }
        if let Some(told) = self.cleaned() {
            return told;
        }
        match self.permitted_is_possible() {
            Some(needed) => (Class::Undetermined, Standing::Undetermined, Some(needed)),
            None => (Class::Unexplained, Standing::Broken, None),
        }
    }

    /// X.
    fn unclean(&self) -> Option<Told> {
        let unclean = self.causes.unclean(self.cause.dropped_by?)?;
        if !unclean.sure {
            return None;
        }
        let needed = (unclean.standing() == Standing::Undetermined)
            .then_some("whether the change of the setting was in force when the leader was chosen");
        Some((Class::UncleanElection, unclean.standing(), needed))
    }

    /// LRS.
    fn lossy(&mut self) -> Option<Told> {
        let (offset, term) = (self.record.offset?, self.cause.dropped_in?);
        let begins = self.facts.line_span(self.part.roles.terms[term].line)?;
        let leads = self.causes.lossy_at(term, offset);
        let (place, lead) = leads.into_iter().find(|(_, lead)| {
            let loss = &self.causes.losses[lead.loss];
            // Of damage that an image still holds nothing follows.
            let again =
                loss.kind != LossKind::Damaged && self.had_again(loss.node, loss.at, begins.from);
            self.may_have_held(loss.node, loss.at, offset) && !again
        })?;
        let loss = &self.causes.losses[lead.loss];
        self.cause.lossy = Some(place);
        Some((lead.class(loss), loss.standing(offset), None))
    }

    /// Whether a replica can have held the record when it lost data: no sound image from before
    /// shows another thing there, or a log that did not reach it.
    fn may_have_held(&self, node: NodeId, at: Mark, offset: Offset) -> bool {
        let mut before = self.part.images.iter().filter(|image| {
            image.node == node && image.sound && self.facts.image(image.image).to <= at
        });
        before.next_back().is_none_or(|image| {
            image.view.holds(offset, self.record.value)
                || image.view.log.leo() <= offset && {
                    // It may have been copied after the image was taken, if its process lived on.
                    matches!(
                        self.facts.image(image.image).process,
                        history::ProcessState::Running { .. }
                    )
                }
        })
    }

    /// D, where the last leader's own files were damaged and nobody else had to lead for it.
    fn damaged(&mut self) -> Option<Told> {
        let (offset, fin) = (self.record.offset?, self.part.fin.as_ref().ok()?);
        let hit = self.causes.losses.iter().position(|loss| {
            loss.node == fin.leader
                && loss.excuses(offset)
                && matches!(loss.kind, LossKind::Damaged)
                && self.cause.dropped_in.is_none()
        })?;
        self.cause.loss = Some(hit);
        Some((Class::Damage, Standing::NotPromised, None))
    }

    /// ZooKeeper had forgotten who was in sync when the leader was chosen.
    fn rolled_back(&self) -> Option<Told> {
        let term = &self.part.roles.terms[self.cause.dropped_in?];
        let told = (Class::ZookeeperRolledBack, Standing::NotPromised, None);
        let back = self.causes.went_back_before(self.facts, self.part, term);
        back.map(|_| told)
    }

    /// Every broker that gave it to a consumer then saw its own high watermark go back below it
    /// (KAFKA-14704).
    fn read_in_dirty_window(&self) -> bool {
        self.record.proof.is_none() && self.record.given == Some(Given::InWindow)
    }

    /// An old protocol was in force; or who led without it (anybody, if that is not known) had cut it to
    /// its own high watermark before, and had not copied it again.
    fn known_bad(&self) -> bool {
        let roles = &self.part.roles;
        let led = self.cause.dropped_in.map(|term| &roles.terms[term]);
        let guilty = |cut: &Cut| match led {
            Some(led) => {
                let (done, begins) = (
                    self.facts.line_span(cut.line),
                    self.facts.line_span(led.line),
                );
                let spans = done
                    .zip(begins)
                    .filter(|(done, begins)| done.from <= begins.to);
                cut.node == led.node
                    && spans.is_some_and(|(done, begins)| {
                        !self.had_again(cut.node, done.to, begins.from)
                    })
            }
            None => true,
        };
        let mut cuts = self.cause.cuts.iter().map(|&cut| &roles.cuts[cut]);
        cuts.any(|cut| cut.to_own_hw.is_some() && guilty(cut))
            || self.contract.known_bad_protocol.is_some()
    }

    /// Whether an image of a replica that was taken between two moments shows the record.
    fn had_again(&self, node: NodeId, after: Mark, before: Mark) -> bool {
        let Some(offset) = self.record.offset else {
            return false;
        };
        self.part.images.iter().any(|image| {
            let of = self.facts.image(image.image);
            image.node == node
                && (after..=before).contains(&of.from)
                && image.view.holds(offset, self.record.value)
        })
    }

    /// A log that lost its end while it was loaded, although nobody had taken anything from it: a
    /// killed process leaves the page cache as it was.
    fn loading(&mut self) -> Option<Told> {
        let led = self.cause.dropped_in?;
        let cut = loading_cut(self.facts, self.part, self.record, led)?;
        let (term, offset) = (&self.part.roles.terms[led], self.record.offset?);
        let begins = self.facts.line_span(term.line)?;
        if !self.may_have_held(term.node, begins.from, offset) {
            return None;
        }
        if !self.cause.cuts.contains(&cut) {
            self.cause.cuts.push(cut);
        }
        Some((Class::LoadRecovery, Standing::Broken, None))
    }

    /// A compacted log that lacks it although nobody cut it and no leader began below it. What a later
    /// record of its key replaced is excused before; without its key that cannot be known
    /// (KAFKA-13194 takes it wrongly).
    fn cleaned(&self) -> Option<Told> {
        let (offset, log) = (self.record.offset?, self.part.final_log()?);
        let cleaned = self.contract.compacted
            && self.cause.dropped_in.is_none()
            && log.log.leo() > offset
            && log.at(offset).is_none();
        if !cleaned {
            return None;
        }
        if key_of(self.part, offset, self.record.value).is_none() {
            let needed =
                "an image that holds them: their keys, which later records may have replaced";
            return Some((Class::Undetermined, Standing::Undetermined, Some(needed)));
        }
        let end = self
            .cleaning
            .map(|cleaning| cleaning.end(self.record.value));
        if end == Some(Marked::Open) {
            let needed = "the marker behind them in any image, or an answer to their producer: how their transaction ended";
            return Some((Class::Undetermined, Standing::Undetermined, Some(needed)));
        }
        known::cleaner_loses(self.contract.kafka).then_some((
            Class::Compaction,
            Standing::Broken,
            None,
        ))
    }

    /// Which evidence would tell, where a cause that is permitted cannot be ruled out.
    fn permitted_is_possible(&self) -> Option<&'static str> {
        let perhaps = self.record.given == Some(Given::PerhapsInWindow);
        if perhaps && self.record.proof.is_none() {
            return Some("which broker gave them: one saw its high watermark go back below them");
        }
        if let Some(unclean) = self.cause.dropped_by.and_then(|e| self.causes.unclean(e)) {
            return (unclean.allowed != Force::No).then_some(
                "the partition's state before the election, without a gap: whether it was unclean",
            );
        }
        let nobody = self.cause.dropped_in.is_none();
        if nobody && self.contract.unclean_enabled {
            return Some(
                "the line of the leader that lacked them: whether it was elected uncleanly",
            );
        }
        let offset = self.record.offset?;
        // Whoever lost it must have led to drop it: the last leader, if no line tells of another.
        let last = self.part.fin.as_ref().ok().map(|fin| fin.leader);
        let mut losses = self.causes.losses.iter();
        (nobody && losses.any(|loss| last == Some(loss.node) && loss.excuses(offset)))
            .then_some("the line of the leader that lacked them: a replica had lost data")
    }
}

/// Whether anybody led after an epoch: a later leader's line, or a leader's own word that it follows
/// now.
fn led_after(part: &PartFacts, epoch: Epoch) -> bool {
    let roles = &part.roles;
    let deposed = |term: &Term| term.epoch == epoch && matches!(term.until, Until::Followed(_));
    let mut terms = roles.terms.iter();
    terms.any(|term| term.epoch > epoch || deposed(term))
}
