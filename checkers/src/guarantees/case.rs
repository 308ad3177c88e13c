//! The case: all that a guarantee may look at, and what more than one of them asks of it.
//!
//! It convicts nobody.

use history::{Offset, Payload};

use crate::audit::CutAudit;
use crate::causes::{Marred, PartCauses};
use crate::contract::Contract;
use crate::facts::{Facts, FaultStory, PartFacts, PartImage, Term};
use crate::gone::GoneTopic;
use crate::judgement::{Class, Finding, FindingId, OffsetRange, OpWitness, Standing};

/// All that a guarantee may look at.
#[derive(Debug)]
pub struct Case<'a> {
    /// The recording, indexed.
    pub facts: &'a Facts<'a>,
    /// What is promised.
    pub contract: &'a Contract,
    /// What is gone.
    pub gone: &'a GoneTopic,
    /// Every cut of this topic's logs.
    pub cuts: &'a [CutAudit],
}

impl<'a> Case<'a> {
    /// The topic's partitions.
    pub fn parts(&self) -> impl Iterator<Item = &'a PartFacts<'a>> + use<'a> {
        let facts = self.facts;
        self.contract.parts.iter().map(|&id| &facts.parts[id])
    }

    /// Acknowledged sends of the topic.
    pub fn acked(&self) -> u64 {
        let parts = self.contract.parts.iter();
        parts.map(|&id| self.facts.ops.counts(id).acked).sum()
    }

    /// Why absence cannot be read from the final logs, if it cannot.
    pub fn no_final_log(&self) -> Option<String> {
        self.parts()
            .find_map(|part| part.fin.as_ref().err().cloned())
    }

    /// Why the cluster owes neither recovery nor equal replicas, if it does not: the run broke off, or
    /// a fault of ours was still in force.
    pub fn never_healed(&self) -> Option<String> {
        let undone = self.facts.faults.iter().find_map(FaultStory::not_undone);
        if let Some(fault) = undone {
            return Some(format!("{fault} was not proved undone"));
        }
        let recording = self.facts.recording;
        let whole = recording.ended == crate::Ended::Completed && recording.torn.is_none();
        match self.facts.phase_start(history::Phase::Drain) {
            Some(_) if whole => None,
            Some(_) | None => Some("the run ended before the cluster had settled".to_owned()),
        }
    }

    /// A finding about replicas or lines, to be filled in.
    pub fn finding(&self, guarantee: &str, part: Option<&PartFacts>, title: String) -> Finding {
        Finding {
            id: FindingId(0),
            guarantee: guarantee.to_owned(),
            topic: self.contract.topic.to_string(),
            partition: part.map(|part| part.name.to_string()),
            title,
            offsets: None,
            count: 1,
            class: Class::Unexplained,
            standing: Standing::Broken,
            story: Vec::new(),
            evidence: Vec::new(),
            first: None,
            last: None,
            still_held: Vec::new(),
            held_nowhere: None,
            would_keep: None,
        }
    }

    /// Whether every producer of the topic sends without waiting for an answer.
    pub fn never_answered(&self) -> bool {
        let setting = &self.facts.recording.setting;
        let producers = setting.producers.values();
        let mut ours = producers
            .filter(|p| p.topic == self.contract.topic)
            .peekable();
        ours.peek().is_some() && ours.all(|producer| producer.acks == "0")
    }

    /// A send as a witness, with an offset where it stands.
    pub fn sent(&self, send: u32, at: Option<Offset>) -> OpWitness {
        let send = self.facts.ops.send(send);
        OpWitness {
            op: send.op,
            client: send.client,
            value: Some(send.value),
            offset: at.map(|at| at.0),
            invoked: send.invoked,
            returned: send.returned,
        }
    }

    /// A delivery as a witness.
    pub fn given(&self, read: u32) -> OpWitness {
        let read = self.facts.ops.read(read);
        OpWitness {
            op: read.op,
            client: read.client,
            value: match read.payload {
                Payload::Value(value) => Some(value),
                Payload::Corrupt | Payload::Foreign => None,
            },
            offset: Some(read.offset.0),
            invoked: read.invoked,
            returned: Some(read.returned),
        }
    }

    /// The unclean election or the lossy leader, of those wanted, by which what stood from an offset
    /// on may be gone.
    pub fn excuse(
        &self,
        part: &PartFacts,
        from: Offset,
        wanted: impl Fn(&Term) -> bool,
    ) -> Option<(Class, Standing)> {
        self.causes(part)?.excuse(part, from, wanted)
    }

    /// What came about for a partition.
    pub fn causes(&self, part: &PartFacts) -> Option<&'a PartCauses> {
        let mut causes = self.contract.causes.iter();
        let ours = causes.find(|(id, _)| self.facts.parts[**id].name == part.name);
        ours.map(|(_, causes)| causes)
    }

    /// By which recorded loss the files of an image may be malformed.
    pub fn marred(&self, part: &PartFacts, image: &PartImage) -> Option<Marred<'a>> {
        self.causes(part)?.marred(self.facts, part, image)
    }

    /// The same of the final log.
    pub fn final_marred(&self, part: &PartFacts) -> Option<Marred<'a>> {
        let fin = part.fin.as_ref().ok()?;
        self.marred(part, &part.images[fin.image])
    }

    /// The class and standing of a disagreement at or below the high watermark: excused by an
    /// unclean election or a lossy leader at or below it, or by damage of ours to the final log; known
    /// with an old protocol or as the log cleaner's, else unexplained.
    pub fn disagreement(&self, part: &PartFacts, offsets: OffsetRange) -> (Class, Standing) {
        let from = Offset(offsets.from);
        if let Some(excuse) = self.excuse(part, from, |_| true) {
            excuse
        } else if self
            .final_marred(part)
            .is_some_and(|marred| marred.from <= from)
        {
            DAMAGE
        } else if self.contract.known_bad_protocol.is_some() {
            (Class::KnownBadProtocol, Standing::Broken)
        } else if self.cleaned(part, offsets) {
            (Class::Compaction, Standing::Broken)
        } else {
            (Class::Unexplained, Standing::Broken)
        }
    }

    /// Whether all that is gone from these offsets was taken by the log cleaner, and something is.
    pub fn cleaned(&self, part: &PartFacts, offsets: OffsetRange) -> bool {
        let inside = |offset: Offset| (offsets.from..offsets.to).contains(&offset.0);
        let records = self.gone.records.iter();
        let records = records.filter(|record| record.offset.is_some_and(inside));
        let groups = records.map(|record| &self.gone.groups[record.group]);
        let mut ours = groups
            .filter(|group| self.facts.parts[group.part].name == part.name)
            .peekable();
        ours.peek().is_some() && ours.all(|group| group.class == Class::Compaction)
    }
}

/// What files show where they were damaged by our doing.
pub const DAMAGE: (Class, Standing) = (Class::Damage, Standing::NotPromised);
