//! Files that a broker of Kafka 3.0.0 left (samples/WriteSamples.java), read by ours and compared
//! with what `kafka.tools.DumpLogSegments --deep-iteration --print-data-log` said about the same
//! files: batch by batch, record by record, entry by entry. Five compressions, keys, null values,
//! headers, transactions with commits and aborts, several segments, compaction.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use evidence::{
    Batch, Codec, Image, Marker, NewImage, NewSegment, Record, ReplicaLog, SegmentEnd, checkpoint,
    key_hash, offset_entries, read_image, read_snapshot, read_txn_index, time_entries,
    write_snapshot, write_txn_index,
};
use history::{
    ImageReason, ImageTaken, Mark, NodeId, Offset, Partition, Payload, ProcessState, ValueId,
};

mod dump;
use dump::{Dump, Line};

fn samples(state: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/samples/broker-3.0.0")
        .join(state)
}

/// Reads a sample directory by way of an archive; values are numbered as they are met.
fn read(dir: &Path) -> (Image, Vec<Vec<u8>>) {
    let run = tempfile::tempdir().unwrap();
    let taken = ImageTaken {
        node: NodeId(0),
        from: Mark::from_millis(1),
        to: Mark::from_millis(2),
        process: ProcessState::Gone,
        unchanged: true,
        reason: ImageReason::Final,
        file: "image.tar.zst".to_owned(),
    };
    let mut image = NewImage::new(Vec::new()).unwrap();
    for name in names(dir) {
        if dir.join(&name).is_file() {
            image
                .file(&name, &fs::read(dir.join(&name)).unwrap())
                .unwrap();
            continue;
        }
        image.directory(&name).unwrap();
        for file in names(&dir.join(&name)) {
            let bytes = fs::read(dir.join(&name).join(&file)).unwrap();
            if file != "dump.txt" {
                image.file(&format!("{name}/{file}"), &bytes).unwrap();
            }
        }
    }
    fs::write(run.path().join(&taken.file), image.finish().unwrap()).unwrap();
    let values = RefCell::new(Vec::new());
    let recognise = |value: &[u8]| {
        values.borrow_mut().push(value.to_vec());
        Payload::Value(ValueId(values.borrow().len() as u64 - 1))
    };
    let mut unreadable = Vec::new();
    let read = read_image(run.path(), &taken, &recognise, &mut unreadable);
    assert_eq!(unreadable, []);
    (read.unwrap(), values.into_inner())
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn log_of<'a>(image: &'a Image, directory: &str) -> &'a ReplicaLog {
    &image.logs[&Partition::from_dir_name(directory).unwrap()]
}

/// A batch in the dump's words.
fn batch_line(batch: &Batch) -> Line {
    let codec = Codec::of(batch.attributes).unwrap();
    let stamp = if batch.attributes & 8 == 0 {
        "CreateTime"
    } else {
        "LogAppendTime"
    };
    let last_sequence = match batch.base_sequence {
        -1 => -1,
        base => base + (batch.last.0 - batch.base.0) as i32,
    };
    Line::of([
        ("baseOffset", batch.base.0.to_string()),
        ("lastOffset", batch.last.0.to_string()),
        ("count", batch.count.to_string()),
        ("baseSequence", batch.base_sequence.to_string()),
        ("lastSequence", last_sequence.to_string()),
        ("producerId", batch.producer_id.to_string()),
        ("producerEpoch", batch.producer_epoch.to_string()),
        ("partitionLeaderEpoch", batch.epoch.0.to_string()),
        ("isTransactional", batch.is_transactional().to_string()),
        ("isControl", batch.is_control().to_string()),
        ("position", batch.position.to_string()),
        (stamp, batch.max_timestamp.to_string()),
        ("size", batch.bytes.to_string()),
        ("magic", "2".to_owned()),
        ("compresscodec", format!("{codec:?}").to_lowercase()),
        ("isvalid", "true".to_owned()),
    ])
}

/// The batches of a segment and their records in the dump's words, as far as both have them.
fn segment_lines(log: &ReplicaLog, segment: Offset, values: &[Vec<u8>]) -> Vec<Line> {
    let mut lines = Vec::new();
    for batch in log.batches.iter().filter(|batch| batch.segment == segment) {
        lines.push(batch_line(batch));
        for record in log.records_of(batch) {
            let sequence = match batch.base_sequence {
                -1 => -1,
                base => base + (record.offset.0 - batch.base.0) as i32,
            };
            let mut line = Line::of([
                ("offset", record.offset.0.to_string()),
                ("sequence", sequence.to_string()),
                ("headers", record.headers().to_string()),
                ("null", record.tombstone().to_string()),
            ]);
            if let Some(key) = record.key().filter(|_| batch.control.is_none()) {
                line.set("key", key.to_string());
            }
            if let Payload::Value(ValueId(value)) = record.payload {
                let text = String::from_utf8(values[value as usize].clone()).unwrap();
                line.set("payload", text);
            }
            let (marker, epoch) = match batch.control {
                Some(Marker::Commit { coordinator_epoch }) => ("COMMIT", coordinator_epoch),
                Some(Marker::Abort { coordinator_epoch }) => ("ABORT", coordinator_epoch),
                Some(Marker::Other) => ("other", -1),
                None => ("", -1),
            };
            if !marker.is_empty() {
                line.set("endTxnMarker", marker.to_owned());
                line.set("coordinatorEpoch", epoch.to_string());
            }
            lines.push(line);
        }
    }
    lines
}

/// Compares one partition's directory with its dump; gives how many lines agreed.
fn compare(state: &str, directory: &str) -> usize {
    compare_at(&samples(state), directory)
}

fn compare_at(root: &Path, directory: &str) -> usize {
    let (image, values) = read(root);
    let dir = root.join(directory);
    let log = log_of(&image, directory);
    assert_eq!(
        (&log.damage[..], &log.index_flaws[..]),
        (&[][..], &[][..]),
        "{directory}"
    );
    let dump = Dump::parse(&fs::read_to_string(dir.join("dump.txt")).unwrap());
    let mut agreed = 0;
    for (file, said) in &dump.files {
        let (offset, suffix) = file.split_once('.').unwrap();
        let base = Offset(offset.parse().unwrap());
        let bytes = fs::read(dir.join(file)).unwrap();
        let ours: Vec<Line> = match suffix {
            "log" => segment_lines(log, base, &values),
            "index" => offset_entries(base, &bytes)
                .map(|e| {
                    Line::of([
                        ("offset", e.offset.0.to_string()),
                        ("position", e.position.to_string()),
                    ])
                })
                .collect(),
            "timeindex" => time_entries(base, &bytes)
                .map(|e| {
                    Line::of([
                        ("timestamp", e.timestamp.to_string()),
                        ("offset", e.offset.0.to_string()),
                    ])
                })
                .collect(),
            "txnindex" => transactions(base, &bytes),
            "snapshot" => producers(&bytes),
            _ => panic!("{file}"),
        };
        let theirs: Vec<Line> = said.iter().map(|line| line.as_ours(key_hash)).collect();
        assert_eq!(ours, theirs, "{directory}/{file}");
        agreed += ours.len();
    }
    let logs = dump.files.keys().filter(|file| file.ends_with(".log"));
    assert_eq!(logs.count(), log.segments.len());
    agreed
}

fn transactions(base: Offset, bytes: &[u8]) -> Vec<Line> {
    let (entries, flaws) = read_txn_index(base, bytes);
    assert_eq!(flaws, []);
    assert_eq!(write_txn_index(&entries), bytes);
    let line = |e: &evidence::AbortedTxn| {
        Line::of([
            ("version", "0".to_owned()),
            ("producerId", e.producer_id.to_string()),
            ("firstOffset", e.first_offset.0.to_string()),
            ("lastOffset", e.last_offset.0.to_string()),
            ("lastStableOffset", e.last_stable_offset.0.to_string()),
        ])
    };
    entries.iter().map(line).collect()
}

fn producers(bytes: &[u8]) -> Vec<Line> {
    let entries = read_snapshot(bytes).unwrap();
    assert_eq!(write_snapshot(&entries), bytes);
    let line = |e: &evidence::ProducerEntry| {
        let open = e.current_txn_first_offset;
        let mut line = Line::of([
            ("producerId", e.producer_id.to_string()),
            ("producerEpoch", e.epoch.to_string()),
            ("coordinatorEpoch", e.coordinator_epoch.to_string()),
            (
                "currentTxnFirstOffset",
                open.map_or("None".to_owned(), |o| format!("Some({})", o.0)),
            ),
        ]);
        if e.last_offset >= Offset(0) {
            line.set(
                "firstSequence",
                (e.last_sequence - e.offset_delta).to_string(),
            );
            line.set("lastSequence", e.last_sequence.to_string());
            line.set("lastOffset", e.last_offset.0.to_string());
            line.set("offsetDelta", e.offset_delta.to_string());
            line.set("timestamp", e.timestamp.to_string());
        }
        line
    };
    entries.iter().map(line).collect()
}

#[test]
fn five_compressions_as_the_dump_has_them() {
    let (image, _) = read(&samples("live"));
    let log = log_of(&image, "codecs-0");
    let mut codecs: Vec<i16> = log.batches.iter().map(|b| b.attributes & 7).collect();
    codecs.dedup();
    assert_eq!(codecs, [0, 1, 2, 3, 4]);
    let some = |what: &dyn Fn(&Record) -> bool| log.records.iter().any(what);
    assert!(some(&|r| r.tombstone() && r.headers()) && some(&|r| r.key().is_some()));
    assert!(compare("live", "codecs-0") > 120);
}

#[test]
fn transactions_as_the_dump_has_them() {
    for state in ["live", "closed"] {
        assert!(compare(state, "transactions-0") > 50);
    }
    let (image, _) = read(&samples("closed"));
    let log = log_of(&image, "transactions-0");
    let aborts: Vec<Offset> = log
        .batches
        .iter()
        .filter(|b| matches!(b.control, Some(Marker::Abort { .. })))
        .map(|b| b.base)
        .collect();
    let listed: Vec<Offset> = log.aborted.iter().map(|a| a.last_offset).collect();
    assert_eq!(listed, aborts);
    assert!(aborts.len() > 5);
}

#[test]
fn several_segments_as_the_dump_has_them() {
    assert!(compare("closed", "rolled-0") > 120);
}

#[test]
fn a_compacted_log_as_the_dump_has_it() {
    assert!(compare("closed", "compacted-0") > 50);
    let (image, _) = read(&samples("closed"));
    let log = log_of(&image, "compacted-0");
    assert!(log.leftovers.iter().all(|name| name.ends_with(".deleted")));
    assert!(log.leftovers.len() > 3);
    let gap = |pair: &[Batch]| pair[1].base.0 > pair[0].last.0 + 1;
    assert!(
        log.batches.windows(2).any(gap),
        "nothing was compacted away"
    );
}

/// Makes the samples anew, with a broker on loopback, and compares those.
#[test]
#[ignore = "starts a broker: make test-slow"]
fn fresh_files_as_the_dump_has_them() {
    let cache = cluster::artefacts::default_cache().unwrap();
    let jars = cluster::artefacts::Artefacts::broker("3.0.0", &cache).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/WriteSamples.java");
    let done = Command::new("timeout")
        .args(["180", "java", "-Xmx512m", "-XX:+UseSerialGC", "-cp"])
        .arg(jars.class_path())
        .args([&source, &out, scratch.path()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{}: {said}", done.status);
    for (state, directory) in [
        ("live", "codecs-0"),
        ("live", "transactions-0"),
        ("closed", "transactions-0"),
        ("closed", "rolled-0"),
        ("closed", "compacted-0"),
    ] {
        assert!(
            compare_at(&out.join(state), directory) > 50,
            "{state}/{directory}"
        );
    }
}

#[test]
fn small_files_as_the_broker_has_them() {
    let (image, _) = read(&samples("closed"));
    assert!(image.clean_shutdown);
    let dir = samples("closed").join("rolled-0");
    let log = log_of(&image, "rolled-0");
    let text = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    assert_eq!(
        text("leader-epoch-checkpoint"),
        checkpoint::write_epochs(&log.epochs)
    );
    let id = log.topic_id.as_deref().unwrap();
    assert_eq!(text("partition.metadata"), checkpoint::write_topic_id(id));
    let name = "recovery-point-offset-checkpoint";
    let text = fs::read_to_string(samples("closed").join(name)).unwrap();
    let mut theirs: Vec<&str> = text.lines().collect();
    let ours = checkpoint::write_offsets(&image.recovery_point);
    let mut ours: Vec<&str> = ours.lines().collect();
    // Theirs is in the order of a hash map.
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(theirs, ours);
}

/// The broker's own batches, appended one by one to our segments: the same three files, to the byte.
#[test]
fn our_segments_are_the_brokers() {
    let dir = samples("closed").join("rolled-0");
    let (image, _) = read(&samples("closed"));
    let log = log_of(&image, "rolled-0");
    assert!(log.segments.len() > 2);
    for base in &log.segments {
        let name = format!("{:020}.log", base.0);
        let bytes = fs::read(dir.join(name)).unwrap();
        let mut ours = NewSegment::new(*base).index_interval(256);
        for batch in log.batches.iter().filter(|batch| batch.segment == *base) {
            let from = batch.position as usize;
            ours.append_written(&bytes[from..from + batch.bytes as usize]);
        }
        let files = ours.files(SegmentEnd::Closed);
        assert_eq!(files.len(), 3);
        for (name, bytes) in files {
            assert_eq!(fs::read(dir.join(&name)).unwrap(), bytes, "{name}");
        }
    }
}

/// Every entry of a closed index of the broker's, one less in each of its fields: found.
#[test]
fn a_wrong_entry_in_a_real_index_is_found() {
    let mut tried = 0;
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("rolled-0");
    fs::create_dir(&dir).unwrap();
    let from = samples("closed").join("rolled-0");
    let files: BTreeMap<String, Vec<u8>> = names(&from)
        .into_iter()
        .map(|name| (name.clone(), fs::read(from.join(&name)).unwrap()))
        .collect();
    for (name, bytes) in &files {
        fs::write(dir.join(name), bytes).unwrap();
    }
    // The first segment: a later one is in use as far as an image without shutdown mark can tell.
    for (name, size, fields) in [("index", 8, [3, 7]), ("timeindex", 12, [7, 11])] {
        let name = format!("{:020}.{name}", 0);
        let bytes = &files[&name];
        for entry in 0..bytes.len() / size {
            for field in fields {
                let mut wrong = bytes.clone();
                let byte = &mut wrong[entry * size + field];
                *byte = byte.checked_sub(1).unwrap_or(1);
                fs::write(dir.join(&name), wrong).unwrap();
                let (image, _) = read(root.path());
                let flaws = &log_of(&image, "rolled-0").index_flaws;
                assert!(flaws.iter().all(|flaw| flaw.file == name));
                assert!(!flaws.is_empty(), "{name}: entry {entry}, byte {field}");
                tried += 1;
            }
        }
        fs::write(dir.join(&name), bytes).unwrap();
    }
    assert!(tried > 40, "{tried}");
}
