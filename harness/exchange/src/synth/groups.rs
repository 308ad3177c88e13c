//! A consumer group beside the other load: it reads the first topic along and commits after it has
//! processed, as often as it is given anything.
//!
//! Its members are there from the beginning to the end, so nothing ever changes hands.

use history::{
    Call, ClientId, Event, Mark, Offset, OpId, Outcome, Rebalance, RebalanceEvent, Reply,
};

use super::edits::GroupTwist;
use super::play::Play;
use super::shape::Shape;

/// `group.id`.
pub(super) const GROUP: &str = "readers";
/// The first of its members; there are two, where there are two partitions.
const MEMBERS: u16 = 2_000;
const MEMBERS_MAX: usize = 2;
/// It is given what is new every so many rounds, from this round on.
const EVERY: u64 = 8;
const BEGINS: u64 = 12;
/// What was not committed so many rounds ago it is not given.
const BEHIND: u64 = 3;
/// When in a round it acts, in 64ths.
const ACTS: u64 = 55;

impl Shape {
    /// The group's members; none where there is no group.
    pub fn members(&self) -> impl Iterator<Item = ClientId> + use<> {
        let all = if self.groups {
            self.topics[0].parts.len()
        } else {
            0
        };
        (0..all.min(MEMBERS_MAX) as u16).map(|member| ClientId(MEMBERS + member))
    }

    /// Who of them a partition is assigned to.
    fn member(&self, part: usize) -> ClientId {
        ClientId(MEMBERS + (part % MEMBERS_MAX) as u16)
    }

    /// Operations of the group in all earlier rounds.
    pub fn group_ops_before(&self, round: u64) -> u64 {
        if !self.groups || round <= BEGINS {
            return 0;
        }
        let turns = (round - 1 - BEGINS) / EVERY + 1;
        let each = 2 * self.topics[0].parts.len() as u64;
        turns * each + self.members().count() as u64
    }

    /// The batches that the group is given together with one, away from faults.
    pub fn given_with(&self, batch: u64) -> std::ops::Range<u64> {
        let turns = (batch + BEHIND + 1).saturating_sub(BEGINS).div_ceil(EVERY);
        let end = BEGINS + turns * EVERY - BEHIND;
        end.saturating_sub(EVERY)..end
    }
}

impl Play<'_> {
    /// What the group is given in a round, and commits.
    pub fn read_along(&mut self, round: u64) {
        let shape = self.shape;
        if !shape.groups || round < BEGINS || !(round - BEGINS).is_multiple_of(EVERY) {
            return;
        }
        let orders = shape.orders.as_ref();
        let ordered = orders.map_or(0, |of| of.ops_before(round + 1) - of.ops_before(round));
        let mut op = self.after_sends(round) + ordered;
        let at = Mark(shape.time(round).0 + shape.round * ACTS / 64);
        if round == BEGINS {
            op = self.join(op, at);
        }
        for part in shape.topics[0].parts.clone() {
            self.turn(part, round, op, Mark(at.0 + 10));
            op += 2;
        }
    }

    fn join(&mut self, first: u64, at: Mark) -> u64 {
        let shape = self.shape;
        let topic = &shape.topics[0];
        let mut op = first;
        for member in shape.members() {
            let topics = vec![topic.name.clone()];
            self.invoked(OpId(op), member, at, Call::Subscribe { topics });
            self.done(op, at);
            let parts = topic.parts.clone();
            let own = parts.filter(|part| shape.member(*part) == member);
            let event = RebalanceEvent {
                at: Mark(at.0 + 2),
                client: member,
                change: Rebalance::Assigned,
                partitions: own.map(|part| shape.parts[part].name.clone()).collect(),
            };
            self.pen.write(&Event::Rebalance(event));
            op += 1;
        }
        op
    }

    fn turn(&mut self, part: usize, round: u64, op: u64, at: Mark) {
        let shape = self.shape;
        let member = shape.member(part);
        let from = self.grouped[part];
        let leader = shape.leader(part, round - 1);
        let until = match leader {
            Some(_) => shape.committed(round - 1),
            None => from,
        };
        let mut given = Vec::new();
        let mut next = shape.base(part, until);
        for batch in from..until {
            let begun = given.len();
            self.deliver(part, batch, leader.map(|term| term.leader), &mut given);
            match self.edits.group(part, batch) {
                Some(GroupTwist::Skips) => given.truncate(given.len().saturating_sub(1).max(begun)),
                Some(GroupTwist::Again) => given.extend(given.last().cloned()),
                Some(GroupTwist::Back) => next = Offset(shape.base(part, from).0 - 1),
                None => {}
            }
        }
        self.polled(OpId(op), member, at, Mark(at.0 + 1), given);
        let offsets = vec![(shape.parts[part].name.clone(), next)];
        let asked = Mark(at.0 + 2);
        self.invoked(OpId(op + 1), member, asked, Call::Commit { offsets });
        self.done(op + 1, asked);
        self.grouped[part] = until;
    }

    fn done(&mut self, op: u64, asked: Mark) {
        self.returned(OpId(op), Mark(asked.0 + 1), Reply::Done(Outcome::Ok(())));
    }
}
