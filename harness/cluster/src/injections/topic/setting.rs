//! A topic's setting changed under load, and put back to what the plan gave the topic.
//!
//! Brokers answer DescribeConfigs for topics from ZooKeeper, so the answer of any of them says what
//! was asked for and not what it goes by. A broker goes by a value once its log says so: that is
//! waited for on every host whose broker runs, and a paused one counts as late. Only the controller is asked to describe: a broker
//! without ZooKeeper would lose a request thread to the question until it is back.

use std::time::Duration;

use history::{Clock, Mark, NodeId, Partition, ProcessState, Service, Topic};
use tokio::time::{Instant, sleep};

use super::{WITHIN, ask_controller, refused};
use crate::admin::{self, AdminError, Resource};
use crate::change;
use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::host::Lane;
use crate::injection::{Altered, Effect};
use crate::remote::{Node, RemoteCluster};
use crate::remote_all::all;
use crate::remote_ask::asked_of_topic;
use crate::system::Recovered;

/// Where a broker that is there has not taken a value over in time: either value may be in force there
/// until the run ends, and no run lasts so long. A mark that any reader of a history can read.
pub const NEVER: Mark = Mark::from_millis(365 * 86_400_000);
/// Between two looks into the brokers' logs.
const LOOK: Duration = Duration::from_millis(100);
/// A command that only looks.
const SHORT: Duration = Duration::from_secs(5);

/// `$1` what every line of interest holds, `$2` a log. How many there are, and the last one.
pub const TAKEN: &str = r#"[ -f "$2" ] || { echo 0; exit 0; }
grep -F -e "$1" -- "$2" | awk '{ n++; last = $0 } END { print n + 0; print last }'"#;

/// Sets a topic's property.
pub async fn configure(
    cluster: &RemoteCluster,
    topic: &Topic,
    key: &str,
    value: &str,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let change = Change {
        cluster,
        topic,
        key,
        value: Some(value),
    };
    Ok(match change.make(clock).await? {
        Made::Refused(why) => Effect::new(false, why, (clock.mark(), clock.mark())),
        Made::Same(now) => {
            let evidence = format!("{key} of {topic} is {now} already");
            Effect::new(false, evidence, (clock.mark(), clock.mark()))
        }
        Made::Changed {
            evidence,
            between,
            altered,
        } => Effect {
            altered: vec![altered],
            ..Effect::new(true, evidence, between)
        },
    })
}

/// Puts a topic's property back to the plan's value, or takes it away where the plan has none.
pub async fn put_back(
    cluster: &RemoteCluster,
    topic: &Topic,
    key: &str,
    clock: &Clock,
) -> Result<Recovered, ClusterError> {
    let own = {
        let topics = cluster.topics.borrow();
        let spec = topics.get(topic).ok_or_else(|| {
            ClusterError::Lab(format!(
                "{topic} was not created by this run: nothing says what {key} was"
            ))
        })?;
        asked_of_topic(spec).remove(key)
    };
    let change = Change {
        cluster,
        topic,
        key,
        value: own.as_deref(),
    };
    match change.make(clock).await? {
        Made::Refused(why) => Err(ClusterError::Lab(format!(
            "{key} of {topic} was not put back: {why}"
        ))),
        Made::Same(now) => Ok(Recovered::told(format!("{key} of {topic} is {now}"))),
        Made::Changed {
            evidence, altered, ..
        } => Ok(Recovered {
            evidence,
            altered: vec![altered],
        }),
    }
}

/// A property and what it is to be; absent: not the topic's own any more.
struct Change<'a> {
    cluster: &'a RemoteCluster,
    topic: &'a Topic,
    key: &'a str,
    value: Option<&'a str>,
}

enum Made {
    /// Why nothing was changed.
    Refused(String),
    /// It had this value before, and was not asked for.
    Same(String),
    Changed {
        evidence: String,
        between: (Mark, Mark),
        altered: Altered,
    },
}

/// What the controller said: the value before and after.
enum Told {
    Same(String),
    Changed(String, String, (Mark, Mark)),
}

impl Change<'_> {
    async fn make(&self, clock: &Clock) -> Result<Made, ClusterError> {
        let running = self.running().await;
        let began = clock.mark();
        // Any partition will do: it is asked for who the controller is.
        let about = Partition::new(self.topic.clone(), 0);
        let asked = ask_controller(self.cluster, &about, clock, async |wire| {
            let had = self.describe(wire).await?;
            // The plan's value may be the default as well: then both ways mean the same.
            if self.value.is_some_and(|value| value == had) {
                return Ok(Told::Same(had));
            }
            let before = clock.mark();
            change::configure(wire, self.topic, self.key, self.value).await?;
            let between = (before, clock.mark());
            Ok(Told::Changed(had, self.describe(wire).await?, between))
        })
        .await;
        let (had, now, between) = match asked.answer {
            Ok(Told::Same(had)) => return Ok(Made::Same(had)),
            Ok(Told::Changed(had, now, _)) if had == now => return Ok(Made::Same(now)),
            Ok(Told::Changed(had, now, between)) => (had, now, between),
            Err(error @ AdminError::Refused { .. }) => {
                return Ok(Made::Refused(refused(asked.of, &error)));
            }
            Err(error) => {
                return Err(ClusterError::Lab(format!(
                    "whether {} of {} was changed is not known: {}",
                    self.key,
                    self.topic,
                    refused(asked.of, &error)
                )));
            }
        };
        let late = self.taken_over(&running).await;
        let answered = match late.is_empty() {
            true => clock.mark(),
            false => NEVER,
        };
        let taken: Vec<String> = running
            .iter()
            .map(|(node, _)| node.host.node())
            .filter(|node| !late.contains(node))
            .map(|node| node.to_string())
            .collect();
        let mut evidence = format!(
            "{} of {} was {had} and is {now}, says {}; the logs of {} took it over",
            self.key,
            self.topic,
            asked.of.map_or_else(String::new, |node| node.to_string()),
            if taken.is_empty() {
                "nobody".to_owned()
            } else {
                taken.join(", ")
            },
        );
        for node in &late {
            evidence += &format!("; {node} is there and has not");
        }
        Ok(Made::Changed {
            evidence,
            between,
            altered: Altered {
                topic: self.topic.clone(),
                key: self.key.to_owned(),
                value: self.value.map(|_| now),
                between: (began.max(between.0), answered),
            },
        })
    }

    /// The effective value.
    async fn describe(&self, wire: &mut crate::wire::Wire) -> Result<String, AdminError> {
        let mut all = admin::settings(wire, Resource::Topic(self.topic)).await?;
        all.remove(self.key).ok_or_else(|| AdminError::Refused {
            name: "InvalidConfig".to_owned(),
            why: format!("topics have no property {}", self.key),
        })
    }

    /// The brokers that are there, each with how often it has taken settings of the topic over.
    async fn running(&self) -> Vec<(&Node, Run)> {
        let each = self.cluster.nodes.iter().map(|node| async move {
            let run = self.run_of(node).await?;
            Some((node, run))
        });
        all(each).await.into_iter().flatten().collect()
    }

    /// Nothing when the broker is gone, or its host does not say.
    async fn run_of(&self, node: &Node) -> Option<Run> {
        let process = self.cluster.service(node.host.node(), Service::Broker);
        let (pid, paused) = match process.ok()?.state().await.ok()? {
            ProcessState::Running { pid } => (pid, false),
            ProcessState::Paused { pid } => (pid, true),
            ProcessState::Gone => return None,
        };
        let needle = format!(
            "Processing override for entityPath: topics/{} with config: ",
            self.topic
        );
        let log = self.cluster.layout.log(Service::Broker);
        let cmd = Cmd::script(TAKEN, [needle, log]);
        let said = node.host.ok(Lane::Control, &cmd, SHORT).await.ok()?;
        let (count, last) = said.split_once('\n').unwrap_or((&said, ""));
        Some(Run {
            pid,
            paused,
            times: count.trim().parse().ok()?,
            last: last.trim().to_owned(),
        })
    }

    /// Waits until each of these has taken the value over or is gone; those that did not in time.
    async fn taken_over(&self, running: &[(&Node, Run)]) -> Vec<NodeId> {
        let deadline = Instant::now() + WITHIN;
        let mut late: Vec<&(&Node, Run)> = running.iter().collect();
        loop {
            let each = late.iter().map(async |(node, before)| {
                let Some(now) = self.run_of(node).await else {
                    // Gone or silent: gone is not late, silent is.
                    return self.is_gone(node).await;
                };
                // Another process has read the newest value when it started.
                now.pid != before.pid
                    || (now.times > before.times && says(&now.last, self.key, self.value))
            });
            let done = all(each).await;
            let mut done = done.into_iter();
            late.retain(|_| !done.next().unwrap_or(false));
            let waiting = late.iter().any(|(_, run)| !run.paused);
            if !waiting || Instant::now() >= deadline {
                return late.iter().map(|(node, _)| node.host.node()).collect();
            }
            sleep(LOOK).await;
        }
    }

    async fn is_gone(&self, node: &Node) -> bool {
        let Ok(process) = self.cluster.service(node.host.node(), Service::Broker) else {
            return true;
        };
        matches!(process.state().await, Ok(ProcessState::Gone))
    }
}

/// A broker's process and what its log says of the topic's settings.
struct Run {
    pid: u32,
    /// It takes nothing over before it goes on.
    paused: bool,
    /// How often it took settings over.
    times: u64,
    /// The last such line.
    last: String,
}

/// Whether a line on a topic's settings, `... with config: Map(a -> 1, b -> 2)`, gives a key this
/// value, or none.
pub fn says(line: &str, key: &str, value: Option<&str>) -> bool {
    let Some((_, config)) = line.split_once(" with config: ") else {
        return false;
    };
    let found = ["(", ", "].iter().find_map(|before| {
        let (_, rest) = config.split_once(&format!("{before}{key} -> "))?;
        Some(rest)
    });
    match (found, value) {
        (None, None) => true,
        (Some(rest), Some(value)) => rest
            .strip_prefix(value)
            .is_some_and(|end| end.starts_with(", ") || end.starts_with(')')),
        (None, Some(_)) | (Some(_), None) => false,
    }
}
