//! A recording as text: the notation of histories, and a few lines more for what brokers leave.
//!
//! ```text
//! topic ledger on n0,n1,n2 by c1 acks=all idempotent min.insync.replicas=2   first, one a topic
//!                                                                 also partitions=2
//! broker unclean.leader.election.enable=true                      a setting of all brokers
//! ended interrupted INT                                           also: failed why, incomplete
//! torn frame 3                                                    the history breaks off
//! no drain                                                        else a drain is made up from F
//! no watch                                                        else the leader's HW is seen during it
//! n1 said 4.0s leader ledger/0 e1 from @2 hw @1 isr n1,n2 was e0  a transition line
//! n0 said 6.0s follower ledger/0 e1 from @4 hw @2 was e0          `was none`: a new process
//! n0 said 6.1s cut ledger/0 @2                                    also cut-to-hw, loaded; hw-back @9 @2
//! n2 said 3.9s state ledger/0 e1 isr n1,n2 version 3              the controller's line
//! n1 said 5.0s isr ledger/0 n1,n2 version 4                       a leader's set; `shrinks` asks for it
//! n0 said 6.1s reset ledger/0 @4 @9                               also `damaged @4`: found while loading
//! n0 final ledger/0: e0 @0 v0 v1 | e1 @2 v2 corrupt               the replica's final log by batch
//! n0 before-f1 5.0s ledger/0: e0 @0 v0 v1 hw @2                   an image taken then; hw: checkpoint
//! ```
//! A batch may say `pid=7.0+3` (producer id, epoch, base sequence) and `tag=x` (other bytes); a log
//! may end in `crc`, a batch whose checksum fails, in `smeared`, or in `start @2`, a log start further
//! on than the files begin. Behind a value `key=x` and `headers` dress it, `null` is a value that is
//! none (another program's, then); `count=2` is what the header says. `e0 @3 commit pid=7.0` (or `abort`) is a marker, `txn`
//! a batch of a transaction (`transactional` a topic whose producers have them, `txn-timeout=9` for
//! so many milliseconds at most), and `aborted 7 @0 @3`
//! an entry of the aborted-transaction index. Consumers with a group, or with settings of their own:
//! ```text
//! group g of c5,c6 commit=after reset=earliest read-committed
//! consumer c7 read-committed
//! ```
//! Beside a log: `epochs e0@0 e1@2` (else made up from its batches), `snapshot @2 7.0+1@1` (producer 7,
//! epoch 0, sequence 1, offset 1; `~@0`: a transaction open since), `flaw index durable why`, `torn`
//! and `zeroes` (`durable` or `loose`).

use std::collections::BTreeMap;
use std::time::Duration;

use checkers::{Ended, Judgement, Operations, Recording, judge};
use evidence::{
    AbortedTxn, Around, Batch, Damage, DamageKind, Evidence, Image, IndexFlaw, LogLine, Marker,
    ProducerEntry, ProducerSnapshot, Record, ReplicaLog, Says, SideFile,
};
use history::*;
use plan::{ClusterSpec, Minimum, Phases, Plan, Profile, Storm};

/// Reads a scene.
pub fn recording(text: &str) -> Recording {
    edited(text, |_| {})
}

/// Reads a scene whose events, the drain's included, are changed before they are recorded.
pub fn edited(text: &str, edit: impl FnOnce(&mut Vec<Event>)) -> Recording {
    let mut scene = Scene::default();
    let mut events = String::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if !scene.read(line) {
            events.push_str(line);
            events.push('\n');
        }
    }
    scene.finish(&events, edit)
}

/// Reads and judges a scene.
pub fn judged(text: &str) -> Judgement {
    judge(&recording(text))
}

#[derive(Default)]
struct Scene {
    topics: BTreeMap<Topic, TopicSetting>,
    producers: BTreeMap<ClientId, ProducerSetting>,
    consumers: BTreeMap<ClientId, ConsumerSetting>,
    broker: BTreeMap<String, String>,
    ended: Option<Ended>,
    torn: Option<String>,
    undrained: bool,
    unwatched: bool,
    finals: BTreeMap<NodeId, Image>,
    earlier: Vec<Image>,
    lines: Vec<LogLine>,
}

fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap_or_else(|e| panic!("`{text}`: {e:?}"))
}

fn nodes(text: &str) -> Vec<NodeId> {
    text.split(',').filter(|t| !t.is_empty()).map(id).collect()
}

/// The word after `key`.
fn after<'a>(words: &[&'a str], key: &str) -> &'a str {
    let at = words.iter().position(|word| *word == key);
    words[at.unwrap_or_else(|| panic!("no `{key}` in {words:?}")) + 1]
}

impl Scene {
    fn read(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["topic", name, rest @ ..] => self.topic(name, rest),
            ["broker", setting] => {
                let (key, value) = setting.split_once('=').expect("key=value");
                self.broker.insert(key.into(), value.into());
            }
            ["group", name, "of", clients, rest @ ..] => {
                let clients = clients.split(',').map(id);
                self.consumers(clients, Some(name), rest);
            }
            ["consumer", client, rest @ ..] => self.consumers([id(client)].into_iter(), None, rest),
            ["ended", "incomplete"] => self.ended = Some(Ended::Incomplete),
            ["ended", "interrupted", signal] => {
                let signal = (*signal).to_owned();
                self.ended = Some(Ended::Interrupted { signal });
            }
            ["ended", "failed", why @ ..] => {
                self.ended = Some(Ended::Failed { why: why.join(" ") });
            }
            ["torn", why @ ..] => self.torn = Some(why.join(" ")),
            ["no", "drain"] => self.undrained = true,
            ["no", "watch"] => self.unwatched = true,
            [node, "said", at, says @ ..] => self.said(id(node), id(at), says, line),
            [node, "final", partition, log @ ..] => {
                let node: NodeId = id(node);
                let mut image = self
                    .finals
                    .remove(&node)
                    .unwrap_or_else(|| image(node, None));
                log_into(&mut image, partition, log);
                self.finals.insert(node, image);
            }
            [node, before, at, partition, log @ ..] if before.starts_with("before-") => {
                let fault = id(before.trim_start_matches("before-"));
                let mut image = image(id(node), Some((fault, id(at))));
                log_into(&mut image, partition, log);
                self.earlier.push(image);
            }
            _ => return false,
        }
        true
    }

    fn topic(&mut self, name: &str, words: &[&str]) {
        let name: Topic = name.into();
        let mut config = BTreeMap::new();
        let mut acks = "all".to_owned();
        let mut in_flight = 5;
        let mut open = None;
        let mut partitions = 1;
        for word in words {
            match word.split_once('=') {
                Some(("acks", value)) => acks = value.to_owned(),
                Some(("in-flight", value)) => in_flight = id(value),
                Some(("txn-timeout", value)) => open = Some(id(value)),
                Some(("partitions", value)) => partitions = id(value),
                Some((key, value)) => {
                    config.insert(key.to_owned(), value.to_owned());
                }
                None => {}
            }
        }
        for client in after(words, "by").split(',') {
            let producer = ProducerSetting {
                topic: name.clone(),
                acks: acks.clone(),
                idempotent: words.contains(&"idempotent"),
                retries: !words.contains(&"no-retries"),
                max_in_flight: in_flight,
                transactional_id: words
                    .contains(&"transactional")
                    .then(|| format!("tx-{client}")),
                transaction_timeout_ms: open,
            };
            self.producers.insert(id(client), producer);
        }
        let setting = TopicSetting {
            id: None,
            assignment: (0..partitions)
                .map(|index| (index, nodes(after(words, "on"))))
                .collect(),
            config,
        };
        self.topics.insert(name, setting);
    }

    fn consumers(
        &mut self,
        clients: impl Iterator<Item = ClientId>,
        group: Option<&str>,
        words: &[&str],
    ) {
        let mut setting = ConsumerSetting {
            group: group.map(str::to_owned),
            commit: CommitMode::None,
            read_committed: words.contains(&"read-committed"),
            reset: None,
        };
        for word in words {
            match word.split_once('=') {
                Some(("commit", mode)) => {
                    setting.commit = serde_json::from_value(mode.into()).expect("a commit mode");
                }
                Some(("reset", reset)) => setting.reset = Some(reset.to_owned()),
                _ => {}
            }
        }
        self.consumers
            .extend(clients.map(|client| (client, setting.clone())));
    }

    fn said(&mut self, node: NodeId, at: Mark, words: &[&str], text: &str) {
        let partition: Partition = id(words[1]);
        let offset = |key: &str| id::<Offset>(after(words, key));
        let epoch = || id::<Epoch>(words[2]);
        let previous = || match after(words, "was") {
            "none" => None,
            epoch => Some(id(epoch)),
        };
        let says = match words[0] {
            "leader" => Says::LeaderStarts {
                partition,
                epoch: epoch(),
                leo: offset("from"),
                hw: offset("hw"),
                isr: nodes(after(words, "isr")),
                previous: previous(),
            },
            "follower" => Says::FollowerStarts {
                partition,
                epoch: epoch(),
                leo: offset("from"),
                hw: offset("hw"),
                previous: previous(),
            },
            "cut" => Says::Truncating {
                partition,
                to: id(words[2]),
            },
            "cut-to-hw" => Says::TruncatingToHw {
                partition,
                hw: id(words[2]),
            },
            "loaded" => Says::Loaded {
                partition,
                hw: id(words[2]),
            },
            "hw-back" => Says::NonMonotonicHw {
                partition,
                from: id(words[2]),
                to: id(words[3]),
            },
            "isr" => Says::IsrUpdated {
                partition,
                isr: nodes(words[2]),
                version: Some(id(after(words, "version"))),
            },
            "shrinks" => Says::Shrinking {
                partition,
                from: nodes(after(words, "from")),
                to: nodes(after(words, "to")),
                hw: offset("hw"),
                leo: offset("end"),
            },
            "reset" => Says::ResetFetchOffset {
                partition,
                from: id(words[2]),
                to: id(words[3]),
            },
            "damaged" => Says::Corruption {
                partition,
                to: Some(id(words[2])),
            },
            "state" => Says::PartitionState {
                partition,
                leader: None,
                epoch: epoch(),
                isr: nodes(after(words, "isr")),
                version: Some(id(after(words, "version"))),
            },
            other => panic!("nobody says `{other}`"),
        };
        self.lines.push(LogLine {
            node,
            service: Service::Broker,
            file: format!("nodes/{node}/logs/server.log"),
            line: self.lines.len() as u32 + 1,
            host_unix_millis: (at.0 / 1_000_000) as i64,
            span: Some(Span { from: at, to: at }),
            text: text.to_owned(),
            says,
        });
    }

    fn finish(mut self, events: &str, edit: impl FnOnce(&mut Vec<Event>)) -> Recording {
        let mut events = notation::parse(events).unwrap_or_else(|e| panic!("{e}"));
        self.begin_epochs();
        if !self.undrained {
            self.drain(&mut events);
        }
        let brokers: Vec<NodeId> = self
            .topics
            .values()
            .flat_map(|t| t.assignment[&0].clone())
            .collect();
        let images = self.earlier.into_iter().chain(self.finals.into_values());
        edit(&mut events);
        let (operations, events) = Operations::of(events);
        Recording {
            plan: plan(),
            setting: Setting {
                run: RunId::from_number(7),
                plan: "scene".into(),
                seed: 7,
                started: String::new(),
                tidemark: String::new(),
                kafka: "3.0.0".into(),
                client: String::new(),
                brokers: brokers
                    .into_iter()
                    .map(|node| (node, self.broker.clone()))
                    .collect(),
                topics: self.topics,
                producers: self.producers,
                hosts: BTreeMap::new(),
                consumers: self.consumers,
            },
            operations,
            events,
            evidence: Evidence {
                images: images.collect(),
                lines: self.lines,
                unreadable: vec![],
            },
            torn: self.torn,
            ended: self.ended.unwrap_or(Ended::Completed),
        }
    }

    /// A leader notes its epoch in its epoch file as it begins, before it has written any record.
    fn begin_epochs(&mut self) {
        for line in &self.lines {
            if let Says::LeaderStarts {
                partition,
                epoch,
                leo,
                ..
            } = &line.says
                && let Some(image) = self.finals.get_mut(&line.node)
                && let Some(log) = image.logs.get_mut(partition)
                && log.epochs.last().is_none_or(|(last, _)| last < epoch)
            {
                // Whatever it copied since of earlier epochs, a follower's file never lists them after.
                log.epochs.push((*epoch, log.leo().max(*leo)));
            }
        }
    }

    /// Settle at 99 s, and a drain at 99.5 s that reads the log of the last leader that a line names.
    fn drain(&self, events: &mut Vec<Event>) {
        let phase = |phase, at| Event::Phase { at, phase };
        events.push(phase(Phase::Settle, Mark::from_millis(99_000)));
        events.push(phase(Phase::Drain, Mark::from_millis(99_500)));
        let watched = self.unwatched || watched(events, Mark::from_millis(99_500));
        for (topic, op) in self.topics.keys().zip(1_000_000..) {
            let partition = Partition::new(topic.clone(), 0);
            let last = self.lines.iter().filter_map(|line| match &line.says {
                Says::LeaderStarts {
                    partition: p,
                    epoch,
                    ..
                } if *p == partition => Some((*epoch, line.node)),
                _ => None,
            });
            let Some((node, start, log)) = last.max().and_then(|(_, node)| {
                let image = self.finals.get(&node)?;
                let start = image.log_start.get(&partition).copied();
                Some((
                    node,
                    start.unwrap_or(Offset(0)),
                    image.logs.get(&partition)?,
                ))
            }) else {
                continue;
            };
            if !watched {
                self.watch(events, &partition, (node, log.leo(), start));
            }
            let delivery = |record: &Record| Delivery {
                partition: partition.clone(),
                offset: record.offset,
                payload: record.payload,
                epoch: None,
                broker: None,
            };
            let op = OpId(op);
            let (client, at) = (ClientId(99), Mark::from_millis(99_900));
            events.push(Event::Invoked {
                op,
                client,
                at,
                call: Call::Poll,
            });
            let there = log.records.iter().filter(|record| record.offset >= start);
            let polled = Outcome::Ok(there.map(delivery).collect());
            events.push(Event::Returned {
                op,
                at,
                reply: Reply::Polled(polled),
            });
        }
        events.push(phase(Phase::Capture, Mark::from_millis(100_000)));
    }
}

impl Scene {
    /// The leader's watermarks at 99.6 s, then the log ends of all, then its watermarks again.
    fn watch(
        &self,
        events: &mut Vec<Event>,
        partition: &Partition,
        (node, hw, log_start): (NodeId, Offset, Offset),
    ) {
        let mut observed = |node, at, seen| {
            let at = Mark::from_millis(at);
            let (asked, answered) = (at, at);
            events.push(Event::Observed(Observation {
                asked,
                answered,
                node,
                seen,
            }));
        };
        let marks = Seen::Watermarks {
            partition: partition.clone(),
            hw,
            lso: hw,
            log_start,
        };
        observed(node, 99_600, marks.clone());
        for (&node, image) in &self.finals {
            if let Some(log) = image.logs.get(partition) {
                let partition = partition.clone();
                let (leo, epoch) = (log.leo(), None);
                let end = Seen::LogEnd {
                    partition,
                    leo,
                    epoch,
                };
                observed(node, 99_610, end);
            }
        }
        observed(node, 99_620, marks);
    }
}

/// Whether the scene has an observation of its own after this moment.
fn watched(events: &[Event], after: Mark) -> bool {
    let late = |event: &Event| matches!(event, Event::Observed(seen) if seen.asked >= after);
    events.iter().any(late)
}

fn plan() -> Plan {
    Plan {
        name: "scene".into(),
        about: String::new(),
        expect: None,
        cluster: ClusterSpec {
            kafka: "3.0.0".into(),
            profile: Profile::Fast,
            properties: BTreeMap::new(),
            start_order: vec![],
            disk_bytes: None,
        },
        topics: BTreeMap::new(),
        phases: Phases {
            steady: Duration::ZERO,
            calm: Duration::ZERO,
            settle_max: Duration::ZERO,
            drain_max: Duration::ZERO,
        },
        minimum: Minimum {
            acked: 0,
            acked_per_second: 0,
        },
        storm: Storm::Steps(vec![]),
        budget: plan::Budget::default(),
    }
}

fn image(node: NodeId, before: Option<(FaultId, Mark)>) -> Image {
    let (reason, at, name) = match before {
        None => (
            ImageReason::Final,
            Mark(101_000_000_000),
            "final".to_owned(),
        ),
        Some((fault, at)) => (
            ImageReason::BeforeReturn(fault),
            at,
            format!("before-{fault}"),
        ),
    };
    Image {
        node,
        from: at,
        to: at,
        process: ProcessState::Gone,
        sound: true,
        reason,
        file: format!("images/{node}-{name}.tar.zst"),
        hw_checkpoint: BTreeMap::new(),
        recovery_point: BTreeMap::new(),
        log_start: BTreeMap::new(),
        clean_shutdown: false,
        leftovers: Vec::new(),
        logs: BTreeMap::new(),
    }
}

/// `e0 @0 v0 v1 | e1 @2 v2`
fn log_into(image: &mut Image, partition: &str, words: &[&str]) {
    let partition: Partition = id(partition.trim_end_matches(':'));
    let mut log = ReplicaLog {
        segments: vec![Offset(0)],
        ..ReplicaLog::default()
    };
    for batch in words.split(|word| *word == "|") {
        match batch {
            [] => {}
            ["crc"] => log.damage.push(Damage {
                segment: Offset(0),
                position: 1,
                from: Offset(90),
                durable: None,
                kind: DamageKind::BadCrc {
                    base: Offset(90),
                    last: Offset(90),
                },
            }),
            ["smeared"] => image.sound = false,
            ["hw", at] => {
                image.hw_checkpoint.insert(partition.clone(), id(at));
            }
            ["start", at] => {
                image.log_start.insert(partition.clone(), id(at));
            }
            ["aborted", producer, from, to] => log.aborted.push(AbortedTxn {
                producer_id: id(producer),
                first_offset: id(from),
                last_offset: id(to),
                last_stable_offset: id(from),
            }),
            ["epochs", entries @ ..] => {
                log.epochs = entries
                    .iter()
                    .map(|entry| {
                        let (epoch, from) = entry.split_once('@').expect("e0@0");
                        (id(epoch), id(&format!("@{from}")))
                    })
                    .collect();
            }
            ["snapshot", at, entries @ ..] => log.snapshots.push(ProducerSnapshot {
                offset: id(at),
                entries: entries.iter().map(|entry| producer(entry)).collect(),
            }),
            ["flaw", kind, durable, why @ ..] => log.index_flaws.push(IndexFlaw {
                about: None,
                durable: Some(*durable == "durable"),
                file: format!("{:020}.{kind}", 0),
                kind: match *kind {
                    "index" => SideFile::OffsetIndex,
                    "timeindex" => SideFile::TimeIndex,
                    "txnindex" => SideFile::TransactionIndex,
                    "snapshot" => SideFile::ProducerSnapshot,
                    other => panic!("no file of kind `{other}`"),
                },
                position: 8,
                why: why.join(" "),
            }),
            [tail @ ("torn" | "zeroes"), rest @ ..] => log.damage.push(Damage {
                segment: Offset(0),
                position: 1,
                from: log.leo(),
                durable: match rest {
                    ["durable"] => Some(true),
                    ["loose"] => Some(false),
                    [] => None,
                    other => panic!("how durable is `{other:?}`?"),
                },
                kind: match *tail {
                    "torn" => DamageKind::TornTail(30),
                    _ => DamageKind::ZeroTail(30),
                },
            }),
            [epoch, base, rest @ ..] => batch_into(&mut log, id(epoch), id(base), rest),
            other => panic!("no batch: {other:?}"),
        }
    }
    image.logs.insert(partition, log);
}

/// `7.0+1@1`, `7.0+1@1~@0`
fn producer(text: &str) -> ProducerEntry {
    let (text, open) = match text.split_once('~') {
        Some((text, open)) => (text, Some(id(open))),
        None => (text, None),
    };
    let (producer, rest) = text.split_once('.').expect("7.0+1@1");
    let (epoch, rest) = rest.split_once('+').expect("7.0+1@1");
    let (sequence, offset) = rest.split_once('@').expect("7.0+1@1");
    ProducerEntry {
        producer_id: id(producer),
        epoch: id(epoch),
        last_sequence: id(sequence),
        last_offset: Offset(id(offset)),
        offset_delta: 0,
        timestamp: -1,
        coordinator_epoch: -1,
        current_txn_first_offset: open,
    }
}

fn batch_into(log: &mut ReplicaLog, epoch: Epoch, base: Offset, words: &[&str]) {
    let first = log.records.len() as u32;
    let mut digest = format!("{base}{epoch}");
    let (mut pid, mut producer_epoch, mut sequence) = (-1, -1, -1);
    let (mut attributes, mut control, mut count) = (0, None, None);
    let mut next = base;
    for word in words {
        digest.push_str(word);
        match *word {
            "txn" => {
                attributes |= 0x10;
                continue;
            }
            "commit" | "abort" => {
                attributes |= 0x30;
                let coordinator_epoch = 0;
                control = Some(match *word {
                    "commit" => Marker::Commit { coordinator_epoch },
                    _ => Marker::Abort { coordinator_epoch },
                });
                next = Offset(next.0 + 1);
                continue;
            }
            "headers" => {
                log.records.last_mut().expect("a value before it").around =
                    Around::new(None, false, true);
                continue;
            }
            _ => {}
        }
        if let Some(key) = word.strip_prefix("key=") {
            let record = log.records.last_mut().expect("a value before it");
            record.around = Around::new(Some(key.as_bytes()), record.tombstone(), false);
            continue;
        }
        if let Some(text) = word.strip_prefix("count=") {
            count = Some(id(text));
            continue;
        }
        if let Some(text) = word.strip_prefix("pid=") {
            let (text, base) = text.split_once('+').unwrap_or((text, "-1"));
            let (id_, epoch) = text.split_once('.').expect("pid=7.0+3");
            (pid, producer_epoch, sequence) = (id(id_), id(epoch), id(base));
            continue;
        }
        if word.starts_with("tag=") {
            continue;
        }
        let payload = match *word {
            "corrupt" => Payload::Corrupt,
            "foreign" | "null" => Payload::Foreign,
            value => Payload::Value(id(value)),
        };
        log.records.push(Record {
            around: Around::new(None, *word == "null", false),
            ..Record::plain(next, payload)
        });
        next = Offset(next.0 + 1);
    }
    let mut hash = [0; 16];
    for (i, byte) in digest.bytes().enumerate() {
        hash[i % 16] = (hash[i % 16] as u32 * 31 + u32::from(byte)) as u8;
    }
    if log.epochs.last().is_none_or(|(last, _)| *last < epoch) {
        log.epochs.push((epoch, base));
    }
    log.bytes += 100;
    log.batches.push(Batch {
        base,
        last: Offset(next.0 - 1),
        epoch,
        bytes: 100,
        digest: hash,
        attributes,
        first_timestamp: 0,
        max_timestamp: 0,
        producer_id: pid,
        producer_epoch,
        base_sequence: sequence,
        count: count.unwrap_or((next.0 - base.0) as i32),
        control,
        records: (first, log.records.len() as u32),
        segment: Offset(0),
        position: 0,
    });
}
