//! Plants in what brokers answered to probes, and in the in-sync sets that were seen.

use history::{FaultKind, NodeId, Offset, Seen};

use super::{Planter, anywhere};
use crate::synth::edits::Words;

/// A moment of a partition: the round, who led, where the high watermark stood.
struct Moment {
    part: usize,
    round: u64,
    leader: NodeId,
    hw: Offset,
    faults: usize,
}

impl Planter<'_> {
    fn moment(&mut self, fits: impl Fn(usize, u64) -> bool) -> Option<Moment> {
        let (part, round) = self.batch(None, fits)?;
        let shape = self.shape;
        Some(Moment {
            part,
            round,
            leader: shape.leader(part, round)?.leader,
            hw: shape.base(part, shape.committed(round)),
            faults: shape.faults.partition_point(|fault| fault.elected <= round),
        })
    }

    fn see(&mut self, moment: &Moment, node: NodeId, seen: Seen) {
        let answers = self.edits.seen.entry(moment.round).or_default();
        answers.push((node, seen));
    }

    fn leader_hw(&self, moment: &Moment, hw: Offset) -> Seen {
        let part = &self.shape.parts[moment.part];
        Seen::LeaderHw {
            partition: part.name.clone(),
            epoch: part.term_after(moment.faults).epoch,
            hw,
        }
    }

    /// Somebody who follows at that moment, and is there.
    fn follower(&self, moment: &Moment) -> Option<NodeId> {
        let replicas = self.shape.parts[moment.part].replicas.into_iter();
        replicas.rev().find(|node| *node != moment.leader)
    }
}

/// A leader answers one high watermark and then one below it.
pub(super) fn hw_regressed(planter: &mut Planter) -> Option<()> {
    let shape = planter.shape;
    let taken = planter.taken.clone();
    let fits = |part: usize, round: u64| {
        let epoch = shape.faults.partition_point(|fault| fault.elected <= round);
        !taken.contains(&("hw-regressed", part, epoch as u64))
    };
    let moment = planter.moment(fits)?;
    planter.take(moment.part, moment.faults as u64);
    for hw in [Offset(moment.hw.0 + 1), moment.hw] {
        let seen = planter.leader_hw(&moment, hw);
        planter.see(&moment, moment.leader, seen);
    }
    planter.find("hw-regressed", moment.part, 1, None);
    Some(())
}

/// A follower's last stable offset lies beyond the high watermark that it gives next.
pub(super) fn watermarks_disordered(planter: &mut Planter) -> Option<()> {
    let moment = planter.moment(|_, _| true)?;
    let shape = planter.shape;
    let node = planter.follower(&moment)?;
    let hw = shape.base(moment.part, shape.known(moment.round));
    for lso in [Offset(hw.0 + 1), hw] {
        let seen = Seen::Watermarks {
            partition: shape.parts[moment.part].name.clone(),
            hw,
            lso,
            log_start: Offset(0),
        };
        planter.see(&moment, node, seen);
    }
    planter.find("watermarks-disordered", moment.part, 1, None);
    Some(())
}

/// After the leader gave its high watermark an in-sync follower's log ends below it.
pub(super) fn isr_member_lacks_data(planter: &mut Planter) -> Option<()> {
    // After the last change of the in-sync set: between two that only ZooKeeper shows, nobody can
    // say when the set changed.
    let shape = planter.shape;
    let last = shape.faults.last().map_or(0, |fault| fault.healed);
    let moment = planter.moment(|part, round| !shape.parts[part].acks_all && round > last)?;
    let part = &planter.shape.parts[moment.part];
    let seen = planter.leader_hw(&moment, moment.hw);
    let short = Seen::LogEnd {
        partition: part.name.clone(),
        leo: Offset(moment.hw.0 - 1),
        epoch: Some(part.term_after(moment.faults).epoch),
    };
    let node = planter.follower(&moment)?;
    planter.see(&moment, moment.leader, seen);
    planter.see(&moment, node, short);
    planter.find("isr-member-lacks-data", moment.part, 1, None);
    Some(())
}

/// A second broker answers as the leader of an epoch that is not the last.
pub(super) fn two_leaders_one_epoch(planter: &mut Planter) -> Option<()> {
    let shape = planter.shape;
    let taken = planter.taken.clone();
    let fits = |part: usize, round: u64| {
        let epoch = shape.faults.partition_point(|fault| fault.elected <= round);
        epoch < shape.faults.len()
            && !taken.contains(&("two-leaders-one-epoch", part, epoch as u64))
    };
    let moment = planter.moment(fits)?;
    planter.take(moment.part, moment.faults as u64);
    let seen = planter.leader_hw(&moment, moment.hw);
    let node = planter.follower(&moment)?;
    planter.see(&moment, node, seen);
    planter.find("two-leaders-one-epoch", moment.part, 1, None);
    Some(())
}

/// A leader that was cut off says that one record more was committed than its successor has.
pub(super) fn committed_past_election(planter: &mut Planter) -> Option<()> {
    let (part, fault) = planter.change(Some(true), Some(FaultKind::Isolate), anywhere)?;
    let change = &planter.shape.parts[part].changes[fault];
    let cut = planter.shape.base(part, change.tail.start).0;
    let words = Words {
        shrinking_hw: Some(Offset(cut + 1)),
        ..Words::default()
    };
    planter.edits.words.insert((part, fault), words);
    planter.find("committed-past-election", part, 1, Some((cut, cut + 1)));
    Some(())
}

/// After the drain a partition's in-sync set is short of a follower.
pub(super) fn stuck(planter: &mut Planter) -> Option<()> {
    let shape = planter.shape;
    for part in 0..shape.parts.len() {
        if planter.take(part, 0) {
            let leader = shape.term(part, shape.rounds()).leader;
            let mut replicas = shape.parts[part].replicas.into_iter();
            let out = replicas.rfind(|node| *node != leader)?;
            planter.edits.left_out.insert(part, out);
            planter.find("stuck", part, 1, None);
            return Some(());
        }
    }
    None
}

/// The high watermark stays below the last batch, which every replica holds.
pub(super) fn hw_stalled(planter: &mut Planter) -> Option<()> {
    let shape = planter.shape;
    let free = |part: &usize| !shape.parts[*part].acks_all && !planter.edits.stalled.contains(part);
    let part = (0..shape.parts.len()).find(free)?;
    planter.edits.stalled.insert(part);
    let range = planter.range(part, shape.last_batch(part));
    planter.find("hw-stalled", part, 1, range);
    planter.find("stuck", part, 1, None);
    Some(())
}
