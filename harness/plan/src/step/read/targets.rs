//! Whom a fault befalls: targets, and links between nodes.

use std::collections::BTreeSet;

use history::{Link, NodeId, PortName};

use crate::ask::Target;
use crate::step::cursor::Cursor;
use crate::step::words::{PORTS, SERVICES, TARGETS, TargetWord};
use crate::step::{StepError, Trouble};

const WHO: &str = "a target: `n1`, `any`, `all`, `minority`, `majority`, `controller`, \
    `zookeeper leader`, `leader of ledger/0`, `a follower of ledger/0`, `followers of ledger/0`, \
    `last in sync of ledger/0` or `coordinator of GROUP`";

impl Cursor<'_> {
    pub(super) fn target(&mut self) -> Result<Target, StepError> {
        if let Some(node) = self.accept_node() {
            return Ok(Target::Node(node));
        }
        let Some(word) = self.accept_one_of(TARGETS) else {
            let words: Vec<&str> = TARGETS
                .iter()
                .filter(|(_, word)| *word != TargetWord::A)
                .map(|(word, _)| *word)
                .chain(SERVICES.iter().map(|(word, _)| *word))
                .collect();
            return Err(self.expected(WHO, &words));
        };
        Ok(match word {
            TargetWord::Any => Target::Any,
            TargetWord::All => Target::All,
            TargetWord::Minority => Target::Minority,
            TargetWord::Majority => Target::Majority,
            TargetWord::Controller => Target::Controller,
            TargetWord::Leader => Target::LeaderOf(self.of_partition()?),
            TargetWord::A => {
                self.require("follower")?;
                Target::FollowerOf(self.of_partition()?)
            }
            TargetWord::Followers => Target::FollowersOf(self.of_partition()?),
            TargetWord::Last => {
                self.require("in")?;
                self.require("sync")?;
                Target::LastInSyncOf(self.of_partition()?)
            }
            TargetWord::ZooKeeper => {
                self.require("leader")?;
                Target::ZooKeeperLeader
            }
            TargetWord::Coordinator => {
                self.require("of")?;
                Target::CoordinatorOf(self.text("a consumer group")?)
            }
        })
    }

    /// `of TARGET`.
    pub(super) fn of_target(&mut self) -> Result<Target, StepError> {
        self.require("of")?;
        self.target()
    }

    /// Links, or all links of a target.
    pub(super) fn links_or_target(&mut self) -> Result<(Vec<Link>, Option<Target>), StepError> {
        if self.sees(1, "->") {
            Ok((self.links()?, None))
        } else {
            Ok((Vec::new(), Some(self.target()?)))
        }
    }

    /// `n2 -> n1 port broker, n1 -> n2`.
    pub(super) fn links(&mut self) -> Result<Vec<Link>, StepError> {
        let mut links = vec![self.link()?];
        while self.accept(",") {
            links.push(self.link()?);
        }
        Ok(links)
    }

    fn link(&mut self) -> Result<Link, StepError> {
        let start = self.place().start;
        let from = self.node()?;
        self.require("->")?;
        let to = self.node()?;
        if from == to {
            return Err(self.fail_at(self.since(start), Trouble::LinkToItself));
        }
        let port = if self.accept("port") {
            let place = self.place();
            match self.one_of(PORTS)? {
                PortName::Probe => return Err(self.fail_at(place, Trouble::ProbeIsNeverCut)),
                port => Some(port),
            }
        } else {
            None
        };
        Ok(Link { from, to, port })
    }

    /// `{n0} | {n1, n2}`: at least two groups, no node twice.
    pub(super) fn groups(&mut self) -> Result<Vec<BTreeSet<NodeId>>, StepError> {
        let mut groups: Vec<BTreeSet<NodeId>> = Vec::new();
        loop {
            let start = self.place().start;
            let group = self.members()?;
            if groups.iter().any(|other| !other.is_disjoint(&group)) {
                return Err(self.fail_at(self.since(start), Trouble::InTwoGroups));
            }
            groups.push(group);
            if !self.accept("|") {
                break;
            }
        }
        if groups.len() < 2 {
            return Err(self.expected("`|` and another group", &[]));
        }
        Ok(groups)
    }

    /// `{n0, n1}`: at least one, none twice.
    pub(super) fn members(&mut self) -> Result<BTreeSet<NodeId>, StepError> {
        self.require("{")?;
        let members = self.nodes()?.into_iter().collect();
        if !self.accept("}") {
            return Err(self.expected("`,` or `}`", &[]));
        }
        Ok(members)
    }
}
