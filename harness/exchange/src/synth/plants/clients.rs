//! Plants in transactions, and in what groups are given and commit.

use super::Planter;
use crate::synth::edits::{GroupTwist, OrderTwist};
use crate::synth::orders::{Ending, PARTS, RECORDS};

impl Planter<'_> {
    /// A transaction that ends so, with its neighbours untouched, in some partition of `orders`.
    fn order(&mut self, twist: OrderTwist, fits: impl Fn(Ending) -> bool) -> Option<()> {
        let orders = self.shape.orders.as_ref()?;
        let free: Vec<usize> = (0..orders.all().len())
            .filter(|txn| fits(orders.all()[*txn].ending))
            .filter(|txn| (0..PARTS).all(|part| self.edits.order(*txn, part).is_none()))
            .collect();
        let txn = *self.stream.pick(&free)?;
        let part = self.stream.below(PARTS as u64) as usize;
        self.edits.orders.insert((txn, part), twist);
        let (count, range) = match twist {
            OrderTwist::Unlisted => (1, (orders.first(txn).0, orders.marker(txn).0 + 1)),
            _ => (RECORDS, orders.range(txn)),
        };
        let part = self.shape.load + part;
        self.find("txn-atomicity", part, count, Some(range));
        if twist == OrderTwist::Withheld {
            // The drain's consumer goes past them.
            self.find("group-skipped", part, count, Some(range));
        }
        Some(())
    }

    /// A batch that the group is given, away from everything else.
    fn grouped(&mut self, twist: GroupTwist) -> Option<(usize, u64)> {
        let shape = self.shape;
        let (part, batch) = self.batch(Some(true), |part, batch| {
            shape.groups && shape.parts[part].topic == 0 && shape.given_with(batch).start > 0
        })?;
        self.edits.grouped.insert((part, batch), twist);
        Some((part, batch))
    }

    fn grouped_at_last(&mut self, twist: GroupTwist, guarantee: &'static str) -> Option<()> {
        let (part, batch) = self.grouped(twist)?;
        let spot = self.last_of(part, batch);
        self.find_at(guarantee, spot);
        Some(())
    }
}

/// An abort marker ends a transaction that was told to be committed.
pub(super) fn committed_aborted(planter: &mut Planter) -> Option<()> {
    planter.order(OrderTwist::OtherEnd, |ending| ending == Ending::Committed)
}

/// A commit marker ends a transaction that was told to be aborted.
pub(super) fn aborted_committed(planter: &mut Planter) -> Option<()> {
    planter.order(OrderTwist::OtherEnd, |ending| ending == Ending::Aborted)
}

/// A transaction of which nobody was told how it ends is committed in one partition only.
pub(super) fn torn(planter: &mut Planter) -> Option<()> {
    planter.order(OrderTwist::OtherEnd, |ending| {
        ending == Ending::UnheardCommitted
    })
}

/// A read_committed consumer is given an aborted transaction.
pub(super) fn aborted_given(planter: &mut Planter) -> Option<()> {
    planter.order(OrderTwist::Given, |ending| ending == Ending::Aborted)
}

/// The read_committed drain reads past a committed transaction.
pub(super) fn withheld(planter: &mut Planter) -> Option<()> {
    planter.order(OrderTwist::Withheld, |ending| ending == Ending::Committed)
}

/// The index of aborted transactions leaves one out.
pub(super) fn unlisted(planter: &mut Planter) -> Option<()> {
    planter.order(OrderTwist::Unlisted, |ending| ending == Ending::Aborted)
}

/// The group goes past a record.
pub(super) fn group_skipped(planter: &mut Planter) -> Option<()> {
    planter.grouped_at_last(GroupTwist::Skips, "group-skipped")
}

/// The group is given a record again, without cause.
pub(super) fn redelivered(planter: &mut Planter) -> Option<()> {
    planter.grouped_at_last(GroupTwist::Again, "redelivered")
}

/// The group commits less than it had committed.
pub(super) fn offset_regressed(planter: &mut Planter) -> Option<()> {
    let (part, batch) = planter.grouped(GroupTwist::Back)?;
    let from = planter.shape.given_with(batch).start;
    let before = planter.shape.base(part, from).0;
    planter.find("offset-regressed", part, 1, Some((before - 1, before)));
    Some(())
}
