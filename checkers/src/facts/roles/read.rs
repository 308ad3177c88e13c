//! Roles and cuts read from lines.
//!
//! What a line means for one replica depends on what stood before it in the same broker's log.

use evidence::{LogLine, Says};
use history::{Epoch, Mark, NodeId, Offset, Partition};
use rustc_hash::FxHashMap;

use super::{Cut, CutKind, Follow, HwBack, Roles, Term, Until};
use crate::facts::PartId;
use crate::recording::Recording;

/// Where one replica stands while its lines are read.
#[derive(Debug, Default)]
struct Cursor {
    life: u32,
    /// A start was seen, and no transition since.
    fresh: bool,
    /// Damage was seen, and not yet that the log is loaded.
    loading: bool,
    leading: Option<usize>,
    /// When it began to lead, by the host's clock in milliseconds.
    led_at: i64,
    following: Option<usize>,
    to_own_hw: Option<usize>,
}

/// Reads the lines of all partitions.
pub fn all(recording: &Recording, ids: &FxHashMap<Partition, PartId>) -> Vec<Roles> {
    let lines = &recording.evidence.lines;
    let mut order: Vec<usize> = (0..lines.len()).collect();
    // Within one millisecond a host's files cannot be ordered: a log is loaded before it gets a
    // role, and gets a role before it is cut for it.
    order.sort_by_key(|&i| {
        (
            lines[i].node,
            lines[i].host_unix_millis,
            rank(&lines[i].says),
            i,
        )
    });
    let mut roles: Vec<Roles> = (0..ids.len()).map(|_| Roles::default()).collect();
    let mut cursors: FxHashMap<(NodeId, PartId), Cursor> = FxHashMap::default();
    for index in order {
        let line = &lines[index];
        let Some(&part) = subject(&line.says).and_then(|name| ids.get(name)) else {
            continue;
        };
        let cursor = cursors.entry((line.node, part)).or_default();
        roles[part].read(index, line, cursor);
    }
    for role in &mut roles {
        // Two brokers that led one epoch stand in the order in which they began.
        let mut begun: FxHashMap<(Epoch, NodeId), Option<Mark>> = FxHashMap::default();
        for term in &role.terms {
            let at = lines[term.line].span.map(|span| span.from);
            begun.entry((term.epoch, term.node)).or_insert(at);
        }
        role.terms
            .sort_by_key(|term| (term.epoch, begun[&(term.epoch, term.node)], term.node));
    }
    roles
}

fn rank(says: &Says) -> u8 {
    match says {
        Says::BrokerStarted | Says::Loaded { .. } | Says::Corruption { .. } => 0,
        Says::LeaderStarts { .. } | Says::FollowerStarts { .. } => 1,
        Says::TruncatingToHw { .. } => 2,
        Says::Truncating { .. }
        | Says::TruncationWithoutEffect { .. }
        | Says::TruncateFully { .. }
        | Says::ResetFetchOffset { .. } => 3,
        Says::NonMonotonicHw { .. } => 4,
        Says::Shrinking { .. }
        | Says::IsrUpdated { .. }
        | Says::PartitionState { .. }
        | Says::ControllerElected { .. }
        | Says::Rolled { .. }
        | Says::Fatal => 5,
    }
}

/// The partition that a line speaks of.
fn subject(says: &Says) -> Option<&Partition> {
    match says {
        Says::LeaderStarts { partition, .. }
        | Says::FollowerStarts { partition, .. }
        | Says::Truncating { partition, .. }
        | Says::TruncatingToHw { partition, .. }
        | Says::TruncationWithoutEffect { partition, .. }
        | Says::TruncateFully { partition, .. }
        | Says::NonMonotonicHw { partition, .. }
        | Says::Loaded { partition, .. }
        | Says::Shrinking { partition, .. }
        | Says::IsrUpdated { partition, .. }
        | Says::PartitionState { partition, .. }
        | Says::Corruption { partition, .. }
        | Says::Rolled { partition, .. }
        | Says::ResetFetchOffset { partition, .. } => Some(partition),
        Says::BrokerStarted | Says::ControllerElected { .. } | Says::Fatal => None,
    }
}

impl Roles {
    fn read(&mut self, index: usize, line: &LogLine, cursor: &mut Cursor) {
        let node = line.node;
        match &line.says {
            Says::Loaded { .. } => {
                if !cursor.loading {
                    self.next_life(cursor, index);
                }
                cursor.loading = false;
                cursor.fresh = true;
            }
            Says::LeaderStarts {
                epoch,
                leo,
                hw,
                isr,
                previous,
                ..
            } => {
                self.transition(cursor, index, *previous);
                self.end_term(cursor, Until::LedAgain(index));
                cursor.leading = Some(self.terms.len());
                cursor.led_at = line.host_unix_millis;
                cursor.following = None;
                self.terms.push(Term {
                    node,
                    epoch: *epoch,
                    life: cursor.life,
                    line: index,
                    leo: *leo,
                    hw: *hw,
                    isr: isr.clone(),
                    until: Until::Open,
                });
            }
            Says::FollowerStarts {
                epoch,
                leo,
                hw,
                previous,
                ..
            } => {
                self.transition(cursor, index, *previous);
                self.end_term(cursor, Until::Followed(self.follows.len()));
                cursor.leading = None;
                cursor.following = Some(self.follows.len());
                self.follows.push(Follow {
                    node,
                    epoch: *epoch,
                    line: index,
                    leo: *leo,
                    hw: *hw,
                    previous: previous.filter(|epoch| epoch.0 >= 0),
                });
            }
            Says::TruncatingToHw { .. } => cursor.to_own_hw = Some(index),
            Says::Truncating { to, .. } => self.cut(cursor, node, index, *to, CutKind::Tail),
            Says::TruncateFully { to, .. } => self.cut(cursor, node, index, *to, CutKind::Whole),
            Says::Corruption { to: Some(to), .. } => {
                // A log is cut for damage while it is loaded: the process is a new one already.
                if !cursor.loading {
                    self.next_life(cursor, index);
                    cursor.loading = true;
                }
                self.cut(cursor, node, index, *to, CutKind::Corruption);
            }
            // A leader's log that begins beyond this log's end: all of it goes, and nothing else says
            // so. Back from beyond the leader's end the log's own line tells the cut.
            Says::ResetFetchOffset { from, to, .. } => {
                if to > from {
                    self.cut(cursor, node, index, *to, CutKind::Whole);
                }
            }
            Says::TruncationWithoutEffect { .. } => cursor.to_own_hw = None,
            Says::NonMonotonicHw { from, to, .. } => self.hw_back(cursor, line, index, *from, *to),
            Says::Shrinking { hw, .. } => {
                if let Some(term) = cursor.leading {
                    let epoch = self.terms[term].epoch;
                    self.shrinks.push((index, node, epoch, *hw));
                }
            }
            Says::IsrUpdated { isr, version, .. } => {
                // Leaders change their in-sync set within their own epoch.
                let term = cursor.leading.map(|term| &self.terms[term]);
                let epoch = term.map(|term| term.epoch);
                if let Some(term) = term {
                    let update = (index, node, term.line, isr.clone());
                    self.isr_updates.push(update);
                }
                if let Some(version) = version {
                    self.version(*version, isr, epoch, index);
                }
            }
            Says::PartitionState {
                isr,
                epoch,
                version: Some(version),
                ..
            } => self.version(*version, isr, Some(*epoch), index),
            Says::Corruption { to: None, .. }
            | Says::PartitionState { version: None, .. }
            | Says::Rolled { .. }
            | Says::BrokerStarted
            | Says::ControllerElected { .. }
            | Says::Fatal => {}
        }
    }

    fn next_life(&mut self, cursor: &mut Cursor, index: usize) {
        self.end_term(cursor, Until::NextLife(index));
        cursor.life += 1;
        cursor.leading = None;
        cursor.following = None;
        cursor.to_own_hw = None;
    }

    fn transition(&mut self, cursor: &mut Cursor, index: usize, previous: Option<Epoch>) {
        let newborn = previous.is_none_or(|epoch| epoch.0 < 0);
        if newborn && !cursor.fresh {
            self.next_life(cursor, index);
        }
        cursor.fresh = false;
    }

    fn end_term(&mut self, cursor: &Cursor, until: Until) {
        if let Some(term) = cursor.leading {
            self.terms[term].until = until;
        }
    }

    fn cut(&mut self, cursor: &mut Cursor, node: NodeId, line: usize, to: Offset, kind: CutKind) {
        self.cuts.push(Cut {
            node,
            life: cursor.life,
            line,
            to,
            kind,
            follow: cursor.following,
            to_own_hw: cursor.to_own_hw.take(),
        });
    }

    fn hw_back(&mut self, cursor: &Cursor, at: &LogLine, line: usize, from: Offset, to: Offset) {
        let node = at.node;
        // In the millisecond in which it became leader it may still have been a follower.
        let led = cursor
            .leading
            .filter(|_| at.host_unix_millis > cursor.led_at)
            .map(|term| self.terms[term].line);
        let cut = self
            .cuts
            .iter()
            .rposition(|cut| cut.node == node && cut.life == cursor.life && cut.to == to);
        self.hw_back.push(HwBack {
            node,
            line,
            from,
            to,
            cut,
            led,
        });
    }
}
