//! What the brokers left behind as tables: lines of their logs, replica logs, and every record of
//! every image. One image is in memory at a time.

use std::collections::BTreeMap;
use std::io;

use evidence::{Batch, Image, LogLine, ReplicaLog, Says, Unreadable};
use history::{
    Epoch, ImageReason, ImageTaken, NodeId, Offset, Partition, ProcessState, RunDir, Setting,
};

use super::happened::Happened;
use super::lake::{ByTopic, Lake};
use super::line_words::Told;
use super::table::{Column, Table, bool, int, long, text};
use super::words::{nodes, payload};

const LINES: &[Column] = &[
    int("node"),
    text("service"),
    text("file"),
    int("line"),
    long("host_unix_millis"),
    long("from_ns").or_null(),
    long("to_ns").or_null(),
    text("says"),
    text("topic").or_null(),
    int("partition").or_null(),
    int("epoch").or_null(),
    int("leader").or_null(),
    long("leo").or_null(),
    long("hw").or_null(),
    long("cut_to").or_null(),
    text("isr").or_null(),
    int("version").or_null(),
    text("text"),
];

const REPLICAS: &[Column] = &[
    text("topic"),
    int("partition"),
    int("node"),
    text("image"),
    bool("is_final"),
    bool("final_log"),
    bool("sound"),
    text("process"),
    long("from_ns"),
    long("to_ns"),
    long("log_start"),
    long("leo"),
    int("newest_epoch").or_null(),
    long("hw_checkpoint").or_null(),
    long("recovery_point").or_null(),
    long("bytes"),
    long("batches"),
    long("records"),
    long("damaged"),
];

const RECORDS: &[Column] = &[
    int("partition"),
    int("node"),
    text("image"),
    bool("is_final"),
    bool("final_log"),
    bool("sound"),
    long("log_offset"),
    int("epoch"),
    long("value").or_null(),
    text("payload"),
    long("key_hash").or_null(),
    bool("tombstone"),
    bool("control"),
    bool("transactional"),
    long("producer_id").or_null(),
    int("producer_epoch").or_null(),
    int("sequence").or_null(),
    long("batch_base"),
    text("batch_digest"),
];

/// The final log of a partition, or why there is none.
pub(super) struct Final {
    /// The last leader and its epoch, by the highest epoch that a probe or a line named.
    pub(super) leader: Option<(Epoch, NodeId)>,
    /// Its log.
    pub(super) log: Result<FinalLog, String>,
}

/// Which log is final, and from where to where.
pub(super) struct FinalLog {
    /// The archive, relative to the run directory.
    pub(super) image: String,
    /// Log start offset.
    pub(super) start: Offset,
    /// Log end offset.
    pub(super) leo: Offset,
}

/// What brokers left behind, written.
pub(super) struct Left {
    /// By partition of the run's topics.
    pub(super) finals: BTreeMap<Partition, Final>,
    /// Rows of each table.
    pub(super) counts: Vec<(&'static str, u64)>,
    /// What could not be read.
    pub(super) unreadable: Vec<Unreadable>,
}

/// Writes the tables of lines, replicas and records.
pub(super) fn write(
    run: &RunDir,
    setting: &Setting,
    happened: &Happened,
    lake: &Lake,
) -> io::Result<Left> {
    // Without image events no image is read: the lines alone, placed by the clock samples.
    let read = evidence::read(run.path(), &happened.clocks, &|_| history::Payload::Foreign);
    let mut unreadable = read.unreadable;
    let lines = lines(lake, &read.lines)?;
    let mut finals = finals(setting, happened, &read.lines);
    drop(read.lines);

    let mut tables = Images {
        lake,
        replicas: lake.table("replicas", REPLICAS)?,
        records: ByTopic::create("records", RECORDS),
    };
    for topic in setting.topics.keys() {
        tables.records.of(lake, topic)?;
    }
    for taken in &happened.images {
        let recognise = |bytes: &[u8]| history::payload::recognise(setting.run, bytes);
        let image = evidence::read_image(run.path(), taken, &recognise, &mut unreadable);
        if let Some(image) = image {
            let last = is_last(happened, taken);
            for (partition, log) in &image.logs {
                let fin = finals.get_mut(partition).filter(|_| last);
                let fin = fin.and_then(|fin| fin.choose(partition, &image, log));
                tables.log(&image, partition, log, fin)?;
            }
        }
    }
    Ok(Left {
        finals,
        counts: vec![
            ("log_lines", lines),
            ("replicas", tables.replicas.end()?),
            ("records", tables.records.end(lake)?),
        ],
        unreadable,
    })
}

/// Whether this is the last image of its node's final captures.
fn is_last(happened: &Happened, taken: &ImageTaken) -> bool {
    let of_node =
        |other: &&ImageTaken| other.node == taken.node && other.reason == ImageReason::Final;
    happened.images.iter().rev().find(of_node) == Some(taken)
}

/// Partitions of the run's topics with their last leaders; no log is chosen yet.
fn finals(setting: &Setting, happened: &Happened, lines: &[LogLine]) -> BTreeMap<Partition, Final> {
    let mut leaders = happened.leaders.clone();
    for line in lines {
        if let Says::LeaderStarts {
            partition, epoch, ..
        } = &line.says
        {
            let named = (*epoch, line.node);
            let newest = leaders.entry(partition.clone()).or_insert(named);
            *newest = (*newest).max(named);
        }
    }
    let partitions = setting
        .topics
        .iter()
        .flat_map(|(name, topic)| topic.partitions(name));
    partitions
        .map(|partition| {
            let leader = leaders.get(&partition).copied();
            let why = match leader {
                None => "no line and no probe names a leader".to_owned(),
                Some((epoch, node)) => format!(
                    "the final capture holds no log of it from {node}, its last leader ({epoch})"
                ),
            };
            let log = Err(why);
            (partition, Final { leader, log })
        })
        .collect()
}

impl Final {
    /// Takes this log as final if it is the last leader's and proves what it lacks.
    fn choose(&mut self, partition: &Partition, image: &Image, log: &ReplicaLog) -> Option<Offset> {
        let (epoch, leader) = self.leader?;
        if image.node != leader {
            return None;
        }
        if !image.sound {
            self.log = Err(format!("it changed while it was captured from {leader}"));
            return None;
        }
        if log.epochs.last().map(|(last, _)| *last) != Some(epoch) {
            self.log = Err(format!(
                "its epoch file on {leader} does not end with {epoch}, the last leader's epoch"
            ));
            return None;
        }
        let start = start(partition, image, log);
        self.log = Ok(FinalLog {
            image: image.file.clone(),
            start,
            leo: log.leo(),
        });
        Some(start)
    }
}

/// Where a replica's log begins: its first segment, or beyond where its checkpoint says so.
fn start(partition: &Partition, image: &Image, log: &ReplicaLog) -> Offset {
    let first = log.segments.first().copied().unwrap_or(Offset(0));
    image
        .log_start
        .get(partition)
        .copied()
        .unwrap_or(first)
        .max(first)
}

fn lines(lake: &Lake, lines: &[LogLine]) -> io::Result<u64> {
    let mut table = lake.table("log_lines", LINES)?;
    for line in lines {
        let told = Told::of(&line.says, line.node);
        let isr = told.isr.map(nodes);
        let service = line.service.to_string();
        table.row([
            line.node.0.into(),
            (&service).into(),
            (&line.file).into(),
            i32::try_from(line.line).unwrap_or(i32::MAX).into(),
            line.host_unix_millis.into(),
            line.span.map(|span| span.from.0).into(),
            line.span.map(|span| span.to.0).into(),
            told.says.into(),
            told.partition.map(|partition| &*partition.topic).into(),
            told.partition.map(|partition| partition.index).into(),
            told.epoch.map(|epoch| epoch.0).into(),
            told.leader.map(|node| node.0).into(),
            told.leo.map(|offset| offset.0).into(),
            told.hw.map(|offset| offset.0).into(),
            told.cut_to.map(|offset| offset.0).into(),
            isr.as_ref().into(),
            told.version.into(),
            (&line.text).into(),
        ])?;
    }
    table.end()
}

/// The tables that images fill.
struct Images<'a> {
    lake: &'a Lake,
    replicas: Table,
    records: ByTopic,
}

impl Images<'_> {
    /// Writes one replica's log; `fin` is the log start if it is the final one.
    fn log(
        &mut self,
        image: &Image,
        partition: &Partition,
        log: &ReplicaLog,
        fin: Option<Offset>,
    ) -> io::Result<()> {
        let checkpoint = |of: &BTreeMap<Partition, Offset>| of.get(partition).map(|at| at.0);
        let newest = log.batches.iter().map(|batch| batch.epoch.0).max();
        self.replicas.row([
            (&*partition.topic).into(),
            partition.index.into(),
            image.node.0.into(),
            (&image.file).into(),
            (image.reason == ImageReason::Final).into(),
            fin.is_some().into(),
            image.sound.into(),
            state(image.process).into(),
            image.from.0.into(),
            image.to.0.into(),
            start(partition, image, log).0.into(),
            log.leo().0.into(),
            newest.into(),
            checkpoint(&image.hw_checkpoint).into(),
            checkpoint(&image.recovery_point).into(),
            log.bytes.into(),
            (log.batches.len() as u64).into(),
            (log.records.len() as u64).into(),
            (log.damage.len() as u64).into(),
        ])?;
        for batch in &log.batches {
            self.batch(image, partition, log, batch, fin)?;
        }
        Ok(())
    }

    fn batch(
        &mut self,
        image: &Image,
        partition: &Partition,
        log: &ReplicaLog,
        batch: &Batch,
        fin: Option<Offset>,
    ) -> io::Result<()> {
        let digest: String = batch
            .digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let producer = (batch.producer_id >= 0).then_some(batch);
        let table = self.records.of(self.lake, &partition.topic)?;
        for record in log.records_of(batch) {
            let (payload, value) = payload(record.payload);
            let sequence = producer.and_then(|batch| sequence(batch, record.offset));
            table.row([
                partition.index.into(),
                image.node.0.into(),
                (&image.file).into(),
                (image.reason == ImageReason::Final).into(),
                fin.is_some_and(|start| record.offset >= start).into(),
                image.sound.into(),
                record.offset.0.into(),
                batch.epoch.0.into(),
                value.into(),
                payload.into(),
                record.key().into(),
                record.tombstone().into(),
                batch.is_control().into(),
                batch.is_transactional().into(),
                producer.map(|batch| batch.producer_id).into(),
                producer.map(|batch| batch.producer_epoch).into(),
                sequence.into(),
                batch.base.0.into(),
                (&digest).into(),
            ])?;
        }
        Ok(())
    }
}

/// A record's sequence number: that of its batch and its place in it, modulo 2^31.
fn sequence(batch: &Batch, offset: Offset) -> Option<i32> {
    if batch.base_sequence < 0 {
        return None;
    }
    let place = offset.0.wrapping_sub(batch.base.0);
    i32::try_from(i64::from(batch.base_sequence).wrapping_add(place) & i64::from(i32::MAX)).ok()
}

fn state(process: ProcessState) -> &'static str {
    match process {
        ProcessState::Running { .. } => "running",
        ProcessState::Paused { .. } => "paused",
        ProcessState::Gone => "gone",
    }
}
