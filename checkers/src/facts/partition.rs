//! One partition: its replicas' images, its final log, its roles, its probes.

use history::{ClientId, Epoch, ImageReason, NodeId, Offset, Partition, Payload, Seen};
use rustc_hash::{FxHashMap, FxHashSet};

use super::bits::Bits;
use super::commit::{self, HwPoint};
use super::drain::{self, Drain};
use super::elections::{self, Election};
use super::logview::{LogView, near};
use super::places::Places;
use super::roles::{Roles, Term, Until};
use super::{Facts, PartId};
use crate::judgement::DrainRow;

/// One partition.
#[derive(Debug)]
pub struct PartFacts<'a> {
    /// Its name.
    pub name: Partition,
    /// Its replicas, in assignment order.
    pub replicas: Vec<NodeId>,
    /// Every image that holds a log of it, in the order taken.
    pub images: Vec<PartImage<'a>>,
    /// F, the leader's log of the final capture; or why there is none.
    pub fin: Result<Final, String>,
    /// The brokers' transition lines.
    pub roles: Roles,
    /// Leader epochs, ascending.
    pub elections: Vec<Election>,
    /// High watermarks that leaders gave, in no particular order.
    pub hw_points: Vec<HwPoint>,
    /// Sends, as `ops.send` counts them, in order of invocation.
    pub sends: Vec<u32>,
    /// Deliveries, as `ops.read` counts them, in recorded order.
    pub reads: Vec<u32>,
    /// Positions in `observations`, in recorded order.
    pub seen: Vec<u32>,
    /// For each send of `sends`: where its value first stands in F.
    pub final_at: Places,
    /// For each send of `sends`: F holds its value at the offset of its acknowledgement.
    pub acked_there: Bits,
    /// Sends with an offset in their acknowledgement whose values stand anywhere in F.
    pub acked_and_final: u64,
    /// For each delivery of `reads`: it is one of ours, and F holds it at its offset.
    pub read_there: Bits,
    /// Deliveries of our values.
    pub values_given: u64,
    /// Further copies in F: send, offset.
    pub copies: Vec<(u32, Offset)>,
    /// Records of F that are not ours or damaged.
    pub phantoms: Vec<(Offset, Payload)>,
    /// Records of F that are ours, without an invocation, or sent to another partition.
    pub strangers: Vec<Offset>,
    /// Data records in F.
    pub data_records: u64,
    /// Control records in F: the ends of transactions.
    pub control_records: u64,
    /// What the drain gave of F.
    pub drain: DrainRow,
    /// What consumers of committed data were given of it in the drain, where there were any.
    pub committed_drain: Option<DrainRow>,
}

/// A log of a partition within an image.
#[derive(Debug)]
pub struct PartImage<'a> {
    /// Position in `evidence.images`.
    pub image: usize,
    /// Whose.
    pub node: NodeId,
    /// Absence, order and holes may be read from it.
    pub sound: bool,
    /// Of the final capture.
    pub last: bool,
    /// The log.
    pub view: LogView<'a>,
}

/// Which log is F.
#[derive(Debug, Clone, Copy)]
pub struct Final {
    /// Position in [`PartFacts::images`].
    pub image: usize,
    /// The last leader.
    pub leader: NodeId,
    /// Where F begins.
    pub start: Offset,
}

impl<'a> PartFacts<'a> {
    /// F, if there is one.
    pub fn final_log(&self) -> Option<&LogView<'a>> {
        let fin = self.fin.as_ref().ok()?;
        Some(&self.images[fin.image].view)
    }

    /// Whether its leader ever changed: a second epoch's leader, or one that became a follower.
    pub fn changed_leader(&self) -> bool {
        let deposed = |term: &Term| matches!(term.until, Until::Followed(_));
        self.elections.len() > 1 || self.roles.terms.iter().any(deposed)
    }

    /// The drain that ended before it had given all: by everything that is stored, or by everything
    /// that is committed where nobody asked for more.
    pub fn undrained(&self) -> Option<&DrainRow> {
        let nobody = self.committed_drain.is_some() && self.drain.delivered == 0;
        let all = (!nobody).then_some(&self.drain);
        let mut rows = all.into_iter().chain(&self.committed_drain);
        rows.find(|row| row.delivered < row.expected)
    }

    /// The images of the final capture, by node.
    pub fn finals(&self) -> impl Iterator<Item = &PartImage<'a>> {
        self.images.iter().filter(|image| image.last)
    }

    /// The best leader-sourced high watermark of an epoch.
    pub fn hw_of(&self, epoch: Epoch) -> Option<&HwPoint> {
        self.hw_points
            .iter()
            .filter(|point| point.epoch == epoch && point.only_image.is_none())
            .max_by_key(|point| point.hw)
    }
}

/// Builds all partitions; `roles` by partition id.
pub fn all<'a>(
    facts: &Facts<'a>,
    ids: &FxHashMap<Partition, PartId>,
    roles: Vec<Roles>,
) -> Vec<PartFacts<'a>> {
    let mut names: Vec<(&Partition, PartId)> = ids.iter().map(|(name, id)| (name, *id)).collect();
    names.sort_by_key(|(_, id)| *id);
    let mut parts: Vec<PartFacts<'a>> = names
        .into_iter()
        .zip(roles)
        .map(|((name, _), roles)| bare(facts, name, roles))
        .collect();
    distribute(facts, ids, &mut parts);
    let committed = drain::of_committed(facts);
    for (id, part) in parts.iter_mut().enumerate() {
        zk_versions(facts, part);
        part.elections = elections::of(&part.roles);
        part.fin = choose_final(facts, part);
        place_values(facts, id, part);
        bear_out_sends(facts, part);
        bear_out_reads(facts, part, &committed);
        part.hw_points = commit::hw_points(facts, part);
    }
    parts
}

fn bare<'a>(facts: &Facts<'a>, name: &Partition, roles: Roles) -> PartFacts<'a> {
    let replicas = facts
        .recording
        .setting
        .topics
        .get(&name.topic)
        .and_then(|topic| topic.assignment.get(&name.index))
        .cloned()
        .unwrap_or_default();
    let images = facts
        .recording
        .evidence
        .images
        .iter()
        .enumerate()
        .filter_map(|(index, image)| {
            let log = image.logs.get(name)?;
            Some(PartImage {
                image: index,
                node: image.node,
                sound: image.sound,
                last: image.reason == ImageReason::Final,
                view: LogView::of(log),
            })
        })
        .collect();
    PartFacts {
        name: name.clone(),
        replicas,
        images,
        fin: Err("not looked for".to_owned()),
        roles,
        elections: Vec::new(),
        hw_points: Vec::new(),
        sends: Vec::new(),
        reads: Vec::new(),
        seen: Vec::new(),
        final_at: Places::default(),
        acked_there: Bits::default(),
        acked_and_final: 0,
        read_there: Bits::default(),
        values_given: 0,
        copies: Vec::new(),
        phantoms: Vec::new(),
        strangers: Vec::new(),
        data_records: 0,
        control_records: 0,
        drain: DrainRow::default(),
        committed_drain: None,
    }
}

fn distribute(facts: &Facts, ids: &FxHashMap<Partition, PartId>, parts: &mut [PartFacts]) {
    let rows = facts.ops.by_part(parts.len());
    for (part, (sends, reads)) in parts.iter_mut().zip(rows) {
        part.sends = sends;
        part.reads = reads;
    }
    for (index, observation) in facts.observations.iter().enumerate() {
        let partition = match &observation.seen {
            Seen::LogEnd { partition, .. }
            | Seen::Watermarks { partition, .. }
            | Seen::LeaderHw { partition, .. }
            | Seen::Belief { partition, .. }
            | Seen::ZkState { partition, .. } => partition,
            Seen::Controller { .. } | Seen::Silent { .. } => continue,
        };
        if let Some(&id) = ids.get(partition) {
            parts[id].seen.push(index as u32);
        }
    }
}

/// Adds the versions that ZooKeeper itself showed.
fn zk_versions(facts: &Facts, part: &mut PartFacts) {
    for &index in &part.seen {
        if let Seen::ZkState {
            epoch,
            isr,
            version,
            ..
        } = &facts.observations[index as usize].seen
        {
            part.roles.version(*version, isr, Some(*epoch), usize::MAX);
        }
    }
}

/// The last leader, by the highest epoch that anybody named.
fn last_leader(facts: &Facts, part: &PartFacts) -> Option<(Epoch, NodeId)> {
    let lines = part.roles.terms.iter().map(|term| (term.epoch, term.node));
    let probes = part.seen.iter().filter_map(|&index| {
        let observation = facts.observations[index as usize];
        match &observation.seen {
            Seen::LeaderHw { epoch, .. } => Some((*epoch, observation.node)),
            Seen::Belief { leader, epoch, .. } | Seen::ZkState { leader, epoch, .. } => {
                leader.map(|leader| (*epoch, leader))
            }
            Seen::LogEnd { .. }
            | Seen::Watermarks { .. }
            | Seen::Controller { .. }
            | Seen::Silent { .. } => None,
        }
    });
    lines.chain(probes).max()
}

fn choose_final(facts: &Facts, part: &PartFacts) -> Result<Final, String> {
    let name = &part.name;
    let Some((epoch, leader)) = last_leader(facts, part) else {
        return Err(format!("no line and no probe names a leader of {name}"));
    };
    let Some(image) = part
        .images
        .iter()
        .rposition(|image| image.last && image.node == leader)
    else {
        return Err(format!(
            "the final capture holds no log of {name} from {leader}, its last leader ({epoch})"
        ));
    };
    let view = &part.images[image].view;
    let archive = facts.image(part.images[image].image);
    let moved = archive.log_start.get(name).copied();
    // A copy that changed under way proves no absence.
    if !part.images[image].sound {
        return Err(format!(
            "the log of {name} changed while it was captured from {leader}"
        ));
    }
    if view.log.epochs.last().map(|(epoch, _)| *epoch) != Some(epoch) {
        return Err(format!(
            "the epoch file of {name} on {leader} does not end with {epoch}, the last leader's epoch"
        ));
    }
    Ok(Final {
        image,
        leader,
        start: moved.unwrap_or(Offset(0)).max(view.start()),
    })
}

/// Looks every record of F up among the sends.
fn place_values(facts: &Facts, id: PartId, part: &mut PartFacts) {
    let sends = facts.ops.sends_of(&part.sends);
    part.final_at = Places::expected(sends.map(|(_, send)| send.acked_at()));
    let Ok(fin) = part.fin else { return };
    let log = part.images[fin.image].view.log;
    let mut last = 0;
    let control = log.batches.iter().filter(|batch| batch.is_control());
    let control = control.filter(|batch| batch.base >= fin.start);
    part.control_records = control
        .map(|batch| u64::try_from(batch.count).unwrap_or(0))
        .sum();
    for batch in log.batches.iter().filter(|batch| !batch.is_control()) {
        for record in log.records_of(batch) {
            if record.offset < fin.start {
                continue;
            }
            part.data_records += 1;
            let value = match record.payload {
                Payload::Value(value) => value,
                Payload::Corrupt | Payload::Foreign => {
                    part.phantoms.push((record.offset, record.payload));
                    continue;
                }
            };
            let here = facts
                .ops
                .by_value
                .get(value)
                .filter(|&send| facts.ops.send(send).part == id);
            let Some(send) = here else {
                part.strangers.push(record.offset);
                continue;
            };
            // `sends` ascends, and a log has its records nearly in that order.
            let place = near(&part.sends, last, |&other| other < send);
            if part.sends.get(place) != Some(&send) {
                continue;
            }
            last = place + 1;
            if part.final_at.put(place, record.offset).is_some() {
                part.copies.push((send, record.offset));
            }
        }
    }
}

/// Which acknowledgements F bears out.
fn bear_out_sends(facts: &Facts, part: &mut PartFacts) {
    let mut there = Bits::none(part.sends.len());
    let mut acked_and_final = 0;
    if let (Some(log), Ok(fin)) = (part.final_log(), &part.fin) {
        for (place, send) in facts.ops.sends_of(&part.sends) {
            // Below the log's start a file may keep for long what nobody can read any more.
            let Some(acked) = send.acked_at().filter(|acked| *acked >= fin.start) else {
                continue;
            };
            let at = part.final_at.at(place);
            acked_and_final += u64::from(at.is_some());
            // Where no offset comes twice, what was found at an offset is what that offset holds.
            if at == Some(acked) && log.ascends() || log.holds(acked, send.value) {
                there.set(place);
            }
        }
    }
    (part.acked_there, part.acked_and_final) = (there, acked_and_final);
}

/// Which deliveries F bears out, and what the drain gave.
fn bear_out_reads(facts: &Facts, part: &mut PartFacts, committed: &FxHashSet<ClientId>) {
    let mut there = Bits::none(part.reads.len());
    let mut values_given = 0;
    let mut drain = Drain::of(part, committed);
    let log = part.final_log();
    let start = part.fin.as_ref().ok().map(|fin| fin.start);
    for (place, read) in facts.ops.reads_of(&part.reads) {
        let ours = matches!(read.payload, Payload::Value(_));
        values_given += u64::from(ours);
        let Some(log) = log else { continue };
        let at = log.position(read.offset);
        let at = at.filter(|&at| log.log.records[at].payload == read.payload);
        // What stands below the log's start nobody can be given any more.
        if ours && at.is_some() && start.is_some_and(|start| read.offset >= start) {
            there.set(place);
        }
        if read.drain {
            drain.note(read.client, at);
        }
    }
    let (all, of_committed) = drain.rows(part);
    (part.drain, part.committed_drain) = (all, of_committed);
    (part.read_there, part.values_given) = (there, values_given);
}
