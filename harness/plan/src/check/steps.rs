//! What a step may speak of: what the plan has, what earlier steps have named, moved or allowed.
//!
//! Nothing here knows what will be found at the moment of injection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use history::{NodeId, Partition, Topic};

use crate::ask::{Ask, Target};
use crate::duration::Seconds;
use crate::model::{
    Action, Budget, ClusterSpec, Condition, NODES, Quantity, Rate, Step, TopicSpec, When,
};
use crate::nearest::{hint, nearest};
use crate::properties::check_topic;

const UNCLEAN: &str = "unclean.leader.election.enable";

/// The order of steps among themselves: times, names and what refers to them.
#[derive(Default)]
pub(crate) struct Order {
    latest: Duration,
    /// Every name so far, with whether its step injects a fault.
    names: BTreeMap<String, bool>,
}

impl Order {
    /// The next step agrees with those before it.
    pub(crate) fn step(&mut self, step: &Step) -> Result<(), String> {
        match &step.when {
            When::At(at) if *at < self.latest => {
                return Err(format!(
                    "`{step}` would fire before the step at {} that stands above it",
                    Seconds(self.latest)
                ));
            }
            When::At(at) => self.latest = *at,
            When::After { step: name, .. } => {
                self.named(name)?;
            }
            When::Next | When::Once { .. } => {}
        }
        if let Action::Heal(Some(name)) = &step.action
            && !self.named(name)?
        {
            return Err(format!("the step `{name}` injects no fault to heal"));
        }
        if let Some(name) = &step.name {
            let fault = matches!(step.action, Action::Fault { .. });
            if self.names.insert(name.clone(), fault).is_some() {
                return Err(format!("two steps are called `{name}`"));
            }
        }
        Ok(())
    }

    fn named(&self, name: &str) -> Result<bool, String> {
        self.names.get(name).copied().ok_or_else(|| {
            let near = nearest(name, self.names.keys().map(String::as_str));
            let near = hint(near);
            format!("no step above is called `{name}`{near} (a step is named by `as {name}`)")
        })
    }
}

/// What the plan has, and what earlier steps have changed about it.
pub(crate) struct Scope<'a> {
    topics: &'a BTreeMap<Topic, TopicSpec>,
    cluster: &'a ClusterSpec,
    budget: &'a Budget,
    /// Nodes that earlier steps gave replicas to.
    moved: BTreeMap<Partition, BTreeSet<NodeId>>,
    /// Topics for which earlier steps said whether an unclean election is allowed.
    unclean: BTreeMap<Topic, bool>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(
        topics: &'a BTreeMap<Topic, TopicSpec>,
        cluster: &'a ClusterSpec,
        budget: &'a Budget,
    ) -> Self {
        Self {
            topics,
            cluster,
            budget,
            moved: BTreeMap::new(),
            unclean: BTreeMap::new(),
        }
    }

    /// A step names only what there is.
    pub(crate) fn step(&mut self, step: &Step) -> Result<(), String> {
        if let When::Once { condition, .. } = &step.when {
            self.condition(condition)?;
        }
        match &step.action {
            Action::Send { partition, .. } => {
                self.partition(partition)?;
                match &self.topic(&partition.topic)?.load.rate {
                    Rate::Copying(source) => Err(format!(
                        "{} is sent only what is copied to it; send to {source}",
                        partition.topic
                    )),
                    Rate::PerSecond(_) | Rate::Max | Rate::OnDemand => Ok(()),
                }
            }
            Action::Fault { ask, hold, .. } => {
                self.ask(ask)?;
                match hold {
                    Some(hold) if !hold.is_zero() && ask.leaves_nothing_to_hold() => {
                        Err("it is over at once; leave out `for`".to_owned())
                    }
                    Some(_) | None => {
                        self.remember(ask);
                        Ok(())
                    }
                }
            }
            Action::Heal(_) | Action::Wait(_) => Ok(()),
            Action::Await { condition, .. } => self.condition(condition),
        }
    }

    fn remember(&mut self, ask: &Ask) {
        match ask {
            Ask::Reassign { partition, to } => {
                self.moved.entry(partition.clone()).or_default().extend(to);
            }
            Ask::Configure { topic, key, value } if key == UNCLEAN => {
                self.unclean.insert(topic.clone(), is_true(value));
            }
            _ => {}
        }
    }

    /// A fault names only what there is, and does not exceed the budget by itself.
    pub(crate) fn ask(&self, ask: &Ask) -> Result<(), String> {
        self.ask_names(ask)?;
        self.budget.allows([ask])
    }

    fn ask_names(&self, ask: &Ask) -> Result<(), String> {
        if let Some(target) = ask.target() {
            self.target(target)?;
        }
        match ask {
            Ask::Process { .. }
            | Ask::Isolate(_)
            | Ask::Ring
            | Ask::Part { .. }
            | Ask::SlowDisk(..)
            | Ask::FailDisk(_)
            | Ask::PowerCut { .. }
            | Ask::Checkpoints { .. }
            | Ask::Wipe(_)
            | Ask::Clock { .. } => Ok(()),
            Ask::Cut(links) | Ask::Shape { links, .. } => links
                .iter()
                .flat_map(|link| [link.from, link.to])
                .try_for_each(node),
            Ask::Split(groups) => groups.iter().flatten().copied().try_for_each(node),
            Ask::Bridge(target) => match target {
                Target::All | Target::Majority | Target::FollowersOf(_) => Err(format!(
                    "one node is a bridge, and `{target}` may be several"
                )),
                _ => Ok(()),
            },
            Ask::Flap { cut, .. } => self.ask_names(cut),
            Ask::Elect { partition, unclean } => {
                self.partition(partition)?;
                if *unclean {
                    self.may_be_unclean(&partition.topic)
                } else {
                    Ok(())
                }
            }
            Ask::Reassign { partition, to } => {
                self.partition(partition)?;
                to.iter().copied().try_for_each(node)
            }
            Ask::Configure { topic, key, value } => {
                self.topic(topic)?;
                check_topic(key, value).map_err(|why| why.to_string())
            }
            Ask::FillDisk(_) => match self.cluster.disk_bytes {
                Some(_) => Ok(()),
                None => Err(
                    "only a disk of its own may be filled: give `disk = \"512MiB\"` in `[cluster]`"
                        .to_owned(),
                ),
            },
            Ask::FlipBit {
                target, partition, ..
            } => match target {
                Target::Node(node) => self.replica(partition, *node),
                _ => self.partition(partition),
            },
            Ask::DeleteRecords { partition, .. } => {
                self.partition(partition)?;
                self.may_delete(&partition.topic)
            }
            Ask::CrashClient { topic, consumer } => {
                let spec = self.topic(topic)?;
                if *consumer && spec.load.consumers == 0 {
                    return Err(format!(
                        "{topic} has no consumer that reads along: its load has `consumers = 0`"
                    ));
                }
                Ok(())
            }
        }
    }

    fn target(&self, target: &Target) -> Result<(), String> {
        match target {
            Target::Node(known) => node(*known),
            Target::Any
            | Target::All
            | Target::Minority
            | Target::Majority
            | Target::Controller
            | Target::ZooKeeperLeader => Ok(()),
            Target::LeaderOf(partition) | Target::LastInSyncOf(partition) => {
                self.partition(partition)
            }
            Target::FollowerOf(partition) | Target::FollowersOf(partition) => {
                if self.replicas(partition)?.len() < 2 && !self.moved.contains_key(partition) {
                    return Err(format!("{partition} has one replica, so no follower"));
                }
                Ok(())
            }
            Target::CoordinatorOf(group) if group.is_empty() => {
                Err("a consumer group has a name".to_owned())
            }
            Target::CoordinatorOf(_) => Ok(()),
        }
    }

    fn condition(&self, condition: &Condition) -> Result<(), String> {
        match condition {
            Condition::Leader { partition, is } => self.replica(partition, *is),
            Condition::Isr { partition, members } => members
                .iter()
                .try_for_each(|member| self.replica(partition, *member)),
            Condition::LeaderAlone(partition) | Condition::Election { partition, .. } => {
                self.partition(partition)
            }
            Condition::Controller(known) | Condition::LogLine { node: known, .. } => node(*known),
            Condition::AllInSync => Ok(()),
            Condition::Compare { quantity, .. } => match quantity {
                Quantity::HwLag(partition, node)
                | Quantity::Lag(partition, node)
                | Quantity::Unflushed(partition, node) => self.replica(partition, *node),
                Quantity::Uncommitted(partition)
                | Quantity::Epoch(partition)
                | Quantity::IsrSize(partition) => self.partition(partition),
                Quantity::Acked(Some(topic)) => self.topic(topic).map(|_| ()),
                Quantity::Acked(None) => Ok(()),
            },
            Condition::And(parts) | Condition::Or(parts) => {
                parts.iter().try_for_each(|part| self.condition(part))
            }
            Condition::Lasting(inner, _) => self.condition(inner),
        }
    }

    /// Kafka does as an administrator asks, allowed or not. A plan has to allow it: else a promise
    /// would be broken on demand.
    fn may_be_unclean(&self, topic: &Topic) -> Result<(), String> {
        let of_topic = self.topic(topic)?.properties.get(UNCLEAN);
        let said = of_topic.or_else(|| self.cluster.properties.get(UNCLEAN));
        let configured = self.unclean.get(topic).copied();
        if configured.unwrap_or_else(|| said.is_some_and(|value| is_true(value))) {
            return Ok(());
        }
        Err(format!(
            "{topic} does not allow unclean elections: give it the property `{UNCLEAN}` = true, or \
             say `configure {topic} {UNCLEAN} = true` in a step above"
        ))
    }

    /// Kafka refuses DeleteRecords where a topic is only compacted.
    fn may_delete(&self, topic: &Topic) -> Result<(), String> {
        let policy = self.topic(topic)?.properties.get("cleanup.policy");
        match policy {
            Some(policy) if !policy.split(',').any(|word| word.trim() == "delete") => Err(format!(
                "records of {topic} cannot be deleted: its `cleanup.policy` is `{policy}`"
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn replica(&self, partition: &Partition, node: NodeId) -> Result<(), String> {
        let moved = || {
            self.moved
                .get(partition)
                .is_some_and(|to| to.contains(&node))
        };
        if self.replicas(partition)?.contains(&node) || moved() {
            Ok(())
        } else {
            Err(format!("{node} is no replica of {partition}"))
        }
    }

    fn topic(&self, topic: &Topic) -> Result<&'a TopicSpec, String> {
        self.topics.get(topic).ok_or_else(|| {
            let near = nearest(topic, self.topics.keys().map(AsRef::as_ref));
            format!("there is no topic `{topic}`{}", hint(near))
        })
    }

    fn partition(&self, partition: &Partition) -> Result<(), String> {
        self.replicas(partition).map(|_| ())
    }

    fn replicas(&self, partition: &Partition) -> Result<&'a [NodeId], String> {
        let spec = self.topic(&partition.topic)?;
        let found = usize::try_from(partition.index)
            .ok()
            .and_then(|index| spec.assignment.get(index));
        found.map(Vec::as_slice).ok_or_else(|| {
            let count = spec.assignment.len();
            format!("there is no {partition}: the topic has {count} (numbered from 0)")
        })
    }
}

fn node(node: NodeId) -> Result<(), String> {
    if NODES.contains(&node) {
        Ok(())
    } else {
        Err(format!("`{node}` is not a node; there are n0, n1 and n2"))
    }
}

/// As Kafka reads a boolean.
fn is_true(value: &str) -> bool {
    value.trim().eq_ignore_ascii_case("true")
}
