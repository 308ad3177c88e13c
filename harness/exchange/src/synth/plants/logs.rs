//! Plants in single images, and in what brokers say when they cut their logs.

use history::{FaultKind, Offset};

use super::{Planter, anywhere};
use crate::synth::edits::{Retouch, Taken, Words};
use crate::synth::shape::NODES;

impl Planter<'_> {
    /// A follower's last image that is as it should be so far.
    fn follower_image(&mut self) -> Option<(usize, Taken)> {
        let shape = self.shape;
        for part in 0..shape.load {
            let leader = shape.term(part, shape.rounds()).leader;
            for node in NODES.into_iter().filter(|node| *node != leader) {
                let taken = Taken::Final(node);
                if !self.edits.retouched.contains_key(&(part, taken)) {
                    return Some((part, taken));
                }
            }
        }
        None
    }

    /// A batch of the image before some victim's return has another timestamp.
    fn restamp_before(&mut self) -> Option<()> {
        let shape = self.shape;
        for index in 0..shape.faults.len() {
            let odd = Taken::Before(index);
            let used: Vec<bool> = (0..shape.load)
                .map(|part| {
                    // A cut is judged by the image before it: one lie at a time.
                    self.edits.retouched.contains_key(&(part, odd))
                        || self.edits.words(part, index).cut_to.is_some()
                })
                .collect();
            let until = shape.faults[index].strike - 3;
            let found = self.batch(None, |part, batch| !used[part] && batch < until);
            let Some((part, batch)) = found else {
                continue;
            };
            let how = Retouch::Restamped(batch);
            self.edits.retouched.insert((part, odd), how);
            let (range, pairs) = (self.range(part, batch), self.pairs(batch, odd));
            self.find("committed-prefix", part, 1, range);
            self.find("log-matching-broken", part, pairs, range);
            return Some(());
        }
        None
    }

    fn words(&mut self, part: usize, fault: usize, words: Words) {
        self.edits.words.insert((part, fault), words);
    }

    /// Where a deposed leader cuts its log.
    fn cut(&self, part: usize, fault: usize) -> Offset {
        let change = &self.shape.parts[part].changes[fault];
        self.shape.base(part, change.tail.start)
    }
}

/// An image taken before holds committed bytes that the final log has not.
pub(super) fn committed_prefix(planter: &mut Planter) -> Option<()> {
    planter.restamp_before()
}

/// Images hold different bytes at one offset and epoch.
pub(super) fn log_matching_broken(planter: &mut Planter) -> Option<()> {
    planter.restamp_before()
}

/// A follower's last image holds other bytes.
pub(super) fn divergence_below_hw(planter: &mut Planter) -> Option<()> {
    let (part, odd) = planter.follower_image()?;
    let batch = planter.batch(None, |of, _| of == part)?.1;
    let how = Retouch::Restamped(batch);
    planter.edits.retouched.insert((part, odd), how);
    let (range, pairs) = (planter.range(part, batch), planter.pairs(batch, odd));
    for guarantee in [
        "divergence-below-hw",
        "divergence-lasting",
        "committed-prefix",
    ] {
        planter.find(guarantee, part, 1, range);
    }
    planter.find("log-matching-broken", part, pairs, range);
    Some(())
}

/// A follower's last image lacks the last batch.
pub(super) fn divergence_lasting(planter: &mut Planter) -> Option<()> {
    let (part, odd) = planter.follower_image()?;
    planter.edits.retouched.insert((part, odd), Retouch::Short);
    let shape = planter.shape;
    let last = (0..shape.rounds())
        .rev()
        .find(|batch| shape.len(part, *batch) > 0)?;
    planter.find("divergence-lasting", part, 1, planter.range(part, last));
    Some(())
}

/// A follower's last image ends with a batch whose checksum fails.
pub(super) fn log_malformed(planter: &mut Planter) -> Option<()> {
    let (part, odd) = planter.follower_image()?;
    planter
        .edits
        .retouched
        .insert((part, odd), Retouch::BadTail);
    planter.find("log-malformed", part, 1, None);
    Some(())
}

/// A leader that died comes back and cuts a batch more than its successor lacks.
pub(super) fn truncation_audit(planter: &mut Planter) -> Option<()> {
    let whole = |planter: &Planter, part, fault| {
        let image = (part, Taken::Before(fault));
        !planter.edits.retouched.contains_key(&image)
    };
    let (part, fault) = planter.change(Some(false), Some(FaultKind::Kill), whole)?;
    let cut = planter.cut(part, fault).0 - planter.shape.batch as i64;
    let words = Words {
        cut_to: Some(Offset(cut)),
        ..Words::default()
    };
    planter.words(part, fault, words);
    planter.find("truncation-audit", part, 1, None);
    Some(())
}

/// A leader that was cut off cuts one record below its own high watermark.
pub(super) fn truncated_below_hw(planter: &mut Planter) -> Option<()> {
    let (part, fault) = planter.change(Some(true), Some(FaultKind::Isolate), anywhere)?;
    let words = Words {
        following_hw: Some(Offset(planter.cut(part, fault).0 + 1)),
        ..Words::default()
    };
    planter.words(part, fault, words);
    planter.find("truncated-below-hw", part, 1, None);
    Some(())
}

/// A returning leader's high watermark goes back to its cut.
pub(super) fn dirty_hw(planter: &mut Planter) -> Option<()> {
    let (part, fault) = planter.change(None, None, anywhere)?;
    let words = Words {
        hw_back: Some(Offset(planter.cut(part, fault).0 + 1)),
        ..Words::default()
    };
    planter.words(part, fault, words);
    planter.find("dirty-hw", part, 1, None);
    Some(())
}

/// A follower's epoch file has its last epoch begin a record too late.
pub(super) fn producer_state(planter: &mut Planter) -> Option<()> {
    if planter.shape.faults.is_empty() {
        return None;
    }
    let (part, odd) = planter.follower_image()?;
    planter
        .edits
        .retouched
        .insert((part, odd), Retouch::LateEpoch);
    planter.find("producer-state", part, 1, None);
    Some(())
}
