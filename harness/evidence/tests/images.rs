//! Image archives as the capture writes them, whole and broken, and a run directory around them.

use std::fs;
use std::path::Path;

use evidence::{
    AbortedTxn, Image, Marker, NewBatch, NewRecord, NewSegment, Says, SegmentEnd, Unreadable,
    file_name, read_image, write_batch, write_marker, write_snapshot,
};
use history::{
    ClockSample, Epoch, Event, ImageReason, ImageTaken, Mark, NodeId, Offset, Partition, Payload,
    ProcessState, ValueId,
};

const FILE: &str = "images/n0-final.tar.zst";

fn recognise(bytes: &[u8]) -> Payload {
    match <[u8; 8]>::try_from(bytes) {
        Ok(bytes) => Payload::Value(ValueId(u64::from_be_bytes(bytes))),
        Err(_) => Payload::Foreign,
    }
}

fn taken() -> ImageTaken {
    ImageTaken {
        node: NodeId(0),
        from: Mark::from_millis(1),
        to: Mark::from_millis(2),
        process: ProcessState::Paused { pid: 1 },
        unchanged: true,
        reason: ImageReason::Final,
        file: FILE.to_owned(),
    }
}

/// A segment of one batch that holds the values `from..to` at the offsets of the same number.
fn segment(from: u64, to: u64) -> Vec<u8> {
    let values: Vec<[u8; 8]> = (from..to).map(u64::to_be_bytes).collect();
    let records: Vec<NewRecord<'_>> = values.iter().map(|v| NewRecord::value(v)).collect();
    let mut bytes = Vec::new();
    write_batch(
        &mut bytes,
        &NewBatch::plain(Offset(from as i64), Epoch(0), &records),
    );
    bytes
}

fn tar(prefix: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        tar.append_data(&mut header, format!("{prefix}{name}"), *bytes)
            .unwrap();
    }
    tar.into_inner().unwrap()
}

fn read(dir: &Path, tar: &[u8]) -> (Option<Image>, Vec<Unreadable>) {
    let path = dir.join(FILE);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, zstd::encode_all(tar, 1).unwrap()).unwrap();
    let mut unreadable = Vec::new();
    let image = read_image(dir, &taken(), &recognise, &mut unreadable);
    (image, unreadable)
}

fn files<'a>(first: &'a [u8], second: &'a [u8]) -> Vec<(&'a str, &'a [u8])> {
    vec![
        (".kafka_cleanshutdown", b""),
        ("meta.properties", b"version=0\n"),
        ("replication-offset-checkpoint", b"0\n1\nledger 0 5\n"),
        ("recovery-point-offset-checkpoint", b"0\n1\nledger 0 3\n"),
        ("log-start-offset-checkpoint", b"0\n0\n"),
        ("empty-3/", b""),
        ("ledger-0/", b""),
        // A later segment may come first in an archive.
        ("ledger-0/00000000000000000003.log", second),
        ("ledger-0/00000000000000000000.log", first),
        ("ledger-0/00000000000000000000.index", &[0; 100]),
        ("ledger-0/00000000000000000001.log.deleted", first),
        ("ledger-0/leader-epoch-checkpoint", b"0\n1\n0 0\n"),
        (
            "ledger-0/partition.metadata",
            b"version: 0\ntopic_id: abc\n",
        ),
        (
            "old-0.0123456789abcdef-delete/00000000000000000000.log",
            first,
        ),
    ]
}

#[test]
fn an_archive_becomes_an_image() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (segment(0, 3), segment(3, 7));
    let mut images = ["", "./"].map(|prefix| {
        let (image, unreadable) = read(dir.path(), &tar(prefix, &files(&first, &second)));
        assert_eq!(unreadable, []);
        image.unwrap()
    });
    assert_eq!(images[0].logs, images[1].logs);
    let image = &mut images[1];
    assert!(image.sound && image.clean_shutdown);
    let ledger = Partition::new("ledger", 0);
    assert_eq!(image.hw_checkpoint[&ledger], Offset(5));
    assert_eq!(image.recovery_point[&ledger], Offset(3));
    assert_eq!(image.log_start.len(), 0);
    let partitions: Vec<_> = image.logs.keys().map(Partition::to_string).collect();
    assert_eq!(partitions, ["empty/3", "ledger/0"]);

    let log = &image.logs[&ledger];
    assert_eq!(log.segments, [Offset(0), Offset(3)]);
    assert_eq!(log.topic_id.as_deref(), Some("abc"));
    assert_eq!(log.epochs, [(Epoch(0), Offset(0))]);
    assert_eq!(log.leo(), Offset(7));
    assert_eq!(log.bytes as usize, first.len() + second.len());
    assert_eq!(log.batches[1].records, (3, 7));
    assert_eq!(log.batches[1].segment, Offset(3));
    let offsets: Vec<_> = log.records.iter().map(|r| r.offset.0).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(
        log.records_of(&log.batches[1])[0].payload,
        Payload::Value(ValueId(3))
    );
}

#[test]
fn an_archive_that_breaks_off_is_not_sound() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (segment(0, 3), segment(3, 7));
    let whole = tar("./", &files(&first, &second));
    let marks = (0..whole.len() - 1024).step_by(512);
    for cut in (1..whole.len() - 1024).step_by(97).chain(marks) {
        let (image, unreadable) = read(dir.path(), &whole[..cut]);
        let image = image.unwrap();
        assert!(!image.sound, "cut at {cut}");
        let why = &unreadable.last().unwrap().why;
        assert!(why.contains("breaks off"), "cut at {cut}: {why}");
    }
}

#[test]
fn a_compressed_archive_that_breaks_off_is_not_sound() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (segment(0, 300), segment(300, 700));
    read(dir.path(), &tar("", &files(&first, &second)));
    let whole = fs::read(dir.path().join(FILE)).unwrap();
    for cut in [1, 7, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(dir.path().join(FILE), &whole[..cut]).unwrap();
        let mut unreadable = Vec::new();
        let image = read_image(dir.path(), &taken(), &recognise, &mut unreadable);
        assert!(image.is_none_or(|image| !image.sound), "cut at {cut}");
        assert_eq!(unreadable.len(), 1, "cut at {cut}");
    }
}

#[test]
fn damaged_side_files_are_listed_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let first = segment(0, 3);
    let (image, unreadable) = read(
        dir.path(),
        &tar(
            "",
            &[
                ("replication-offset-checkpoint", b"0\n2\nledger 0 5\n"),
                ("ledger-0/leader-epoch-checkpoint", b"\xff\xfe"),
                ("ledger-0/partition.metadata", b""),
                ("ledger-0/x.log", &first),
                ("ledger-0/00000000000000000000.log", &first),
            ],
        ),
    );
    let files: Vec<_> = unreadable.iter().map(|u| u.file.as_str()).collect();
    assert_eq!(
        files,
        [
            "images/n0-final.tar.zst:replication-offset-checkpoint",
            "images/n0-final.tar.zst:ledger-0/leader-epoch-checkpoint",
            "images/n0-final.tar.zst:ledger-0/leader-epoch-checkpoint",
            "images/n0-final.tar.zst:ledger-0/partition.metadata",
            "images/n0-final.tar.zst:ledger-0/x.log",
        ]
    );
    assert_eq!(
        image.unwrap().logs[&Partition::new("ledger", 0)].leo(),
        Offset(3)
    );
}

#[test]
fn a_run_directory_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let first = segment(0, 3);
    read(
        dir.path(),
        &tar("", &[("ledger-0/00000000000000000000.log", &first)]),
    );
    let logs = dir.path().join("nodes/n0/logs");
    fs::create_dir_all(&logs).unwrap();
    fs::create_dir_all(dir.path().join("nodes/n2/logs")).unwrap();
    let truncating = |to: u32| {
        format!(
            "2026-11-22 03:10:55,12{to} INFO [Log partition=ledger-0, dir=/x] Truncating to offset {to} (kafka.log.Log)\n"
        )
    };
    fs::write(logs.join("server.log"), truncating(2)).unwrap();
    fs::write(logs.join("server.log.1"), truncating(1)).unwrap();
    fs::write(logs.join("state-change.log"), "").unwrap();
    let mut gone = taken();
    gone.file = "images/n1-final.tar.zst".to_owned();
    let clock = ClockSample {
        node: NodeId(0),
        asked: Mark::from_millis(100),
        answered: Mark::from_millis(102),
        host_unix_nanos: 1_795_317_055_000_000_000,
    };
    let events = [
        Event::Image(taken()),
        Event::Image(gone),
        Event::Clock(clock),
    ];

    let evidence = evidence::read(dir.path(), &events, &recognise);
    assert_eq!(evidence.images.len(), 1);
    let cuts: Vec<_> = evidence
        .lines
        .iter()
        .map(|line| (line.file.as_str(), &line.says))
        .collect();
    let cut = |to| Says::Truncating {
        partition: Partition::new("ledger", 0),
        to: Offset(to),
    };
    assert_eq!(
        cuts,
        [
            ("nodes/n0/logs/server.log.1", &cut(1)),
            ("nodes/n0/logs/server.log", &cut(2)),
        ]
    );
    let files: Vec<_> = evidence
        .unreadable
        .iter()
        .map(|u| u.file.as_str())
        .collect();
    assert_eq!(
        files,
        [
            "images/n1-final.tar.zst",
            "nodes/n2/logs/server.log",
            "nodes/n2/logs/state-change.log",
        ]
    );
}

/// Names in a partition's directory, and contents.
type Files = Vec<(String, Vec<u8>)>;

/// A log of two segments whose first is closed, with everything that stands beside it. Damage is
/// done by `change` before the archive is made.
fn beside(change: impl FnOnce(&mut Files)) -> (Image, Vec<Unreadable>) {
    let transaction = AbortedTxn {
        producer_id: 9,
        first_offset: Offset(2000),
        last_offset: Offset(2001),
        last_stable_offset: Offset(2002),
    };
    let mut first = NewSegment::new(Offset(0));
    let mut last = NewSegment::new(Offset(2000));
    for base in 0..2001_u64 {
        let value = base.to_be_bytes();
        let records = [NewRecord::value(&value)];
        let segment = if base < 2000 { &mut first } else { &mut last };
        segment.append(&NewBatch {
            timestamp: 5 + base as i64,
            transactional: base == 2000,
            producer_id: if base == 2000 { 9 } else { -1 },
            ..NewBatch::plain(Offset(base as i64), Epoch(0), &records)
        });
    }
    let mut marker = Vec::new();
    let abort = Marker::Abort {
        coordinator_epoch: 0,
    };
    write_marker(&mut marker, (Offset(2001), Epoch(0)), (9, 0), abort, 2005);
    last.append_written(&marker);
    last.aborted(transaction);
    let mut files = first.files(SegmentEnd::Closed);
    files.extend(last.files(SegmentEnd::Active { index_bytes: 4096 }));
    files.push((file_name(Offset(2000), "snapshot"), write_snapshot(&[])));
    change(&mut files);
    let dir = tempfile::tempdir().unwrap();
    let named: Files = files
        .into_iter()
        .map(|(name, bytes)| (format!("ledger-0/{name}"), bytes))
        .collect();
    let point: &[u8] = b"0\n1\nledger 0 2000\n";
    let mut all = vec![("recovery-point-offset-checkpoint", point)];
    all.extend(
        named
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
    );
    let (image, unreadable) = read(dir.path(), &tar("", &all));
    (image.unwrap(), unreadable)
}

fn edit<'a>(files: &'a mut [(String, Vec<u8>)], offset: i64, suffix: &str) -> &'a mut Vec<u8> {
    let wanted = file_name(Offset(offset), suffix);
    let found = files.iter_mut().find(|(name, _)| *name == wanted);
    &mut found.unwrap().1
}

/// The only log's flaws: file's suffix, position, whether durable, why.
fn flaws(image: &Image) -> Vec<(String, u64, Option<bool>, String)> {
    let log = &image.logs[&Partition::new("ledger", 0)];
    let flaw = |f: &evidence::IndexFlaw| {
        let (_, suffix) = f.file.split_once('.').unwrap();
        (suffix.to_owned(), f.position, f.durable, f.why.clone())
    };
    log.index_flaws.iter().map(flaw).collect()
}

#[test]
fn what_stands_beside_a_log_is_read_and_right() {
    let (image, unreadable) = beside(|_| {});
    assert_eq!((unreadable, flaws(&image)), (vec![], vec![]));
    let log = &image.logs[&Partition::new("ledger", 0)];
    assert_eq!(log.damage, []);
    assert_eq!(log.records.len(), 2002);
    let listed: Vec<_> = log
        .aborted
        .iter()
        .map(|a| (a.producer_id, a.last_offset))
        .collect();
    assert_eq!(listed, [(9, Offset(2001))]);
    assert_eq!(log.snapshots[0].offset, Offset(2000));
}

#[test]
fn wrong_indexes_are_said_and_weighed() {
    let said = |change: &dyn Fn(&mut Files)| {
        let (image, unreadable) = beside(change);
        assert_eq!(unreadable, []);
        flaws(&image)
    };
    let one = |file: &str, at: u64, durable: Option<bool>, why: &str| {
        vec![(file.to_owned(), at, durable, why.to_owned())]
    };
    let sure = Some(true);
    assert_eq!(
        said(&|files| edit(files, 0, "index")[7] += 1),
        one("index", 0, sure, "@54 at byte 4105, where no batch begins")
    );
    assert_eq!(
        said(&|files| edit(files, 0, "timeindex")[7] += 1),
        one("timeindex", 0, sure, "60 at @54, whose batch has 59")
    );
    // An index in whole entries, and none left out.
    let size = |suffix: &str| {
        let mut size = 0;
        beside(|files| size = edit(files, 0, suffix).len() as u64);
        size
    };
    for (suffix, entry) in [("index", 8), ("timeindex", 12)] {
        let odd = size(suffix) + 1;
        let why = format!("{odd} bytes are no multiple of {entry}");
        assert_eq!(
            said(&|files| edit(files, 0, suffix).push(0)),
            one(suffix, odd, None, &why)
        );
    }
    assert_eq!(
        said(&|files| edit(files, 0, "timeindex")[12..24].fill(0)),
        one("timeindex", 12, sure, "zeroes stand before the last entry")
    );
    let short = |files: &mut Files| {
        let bytes = edit(files, 0, "timeindex");
        bytes.truncate(bytes.len() - 12);
    };
    let found = said(&short);
    let [(file, _, Some(true), why)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(
        file == "timeindex" && why.contains("the segment's largest is 2004"),
        "{why}"
    );
    assert_eq!(
        said(&|files| edit(files, 2000, "txnindex")[9] += 1),
        vec![(
            "txnindex".to_owned(),
            0,
            Some(false),
            "it lists an abort of producer 10 at @2001, where no such marker stands".to_owned()
        )]
    );
    assert_eq!(
        said(&|files| edit(files, 2000, "txnindex").clear()),
        one(
            "txnindex",
            0,
            Some(false),
            "producer 9's transaction from @2000 is aborted at @2001, and not listed"
        )
    );
    assert_eq!(
        said(&|files| edit(files, 2000, "snapshot")[9] += 1).len(),
        1
    );
    assert_eq!(
        said(&|files| files.retain(|(name, _)| *name != file_name(Offset(0), "log"))).len(),
        2
    );
    // What a truncation left behind in an index in use is nobody's fault.
    assert_eq!(
        said(&|files| edit(files, 2000, "index")[..8].copy_from_slice(&[0, 0, 0, 9, 0, 0, 9, 9])),
        vec![]
    );
}

#[test]
fn an_aborted_transaction_begins_where_the_index_says() {
    let said = |change: &dyn Fn(&mut Files)| -> Vec<String> {
        let (image, _) = beside(change);
        flaws(&image).into_iter().map(|(.., why)| why).collect()
    };
    let named = |from: i64| {
        let why =
            format!("it lists an abort of producer 9 from @{from} to @2001, which began at @2000");
        vec![why]
    };
    let first = |files: &mut Files, offset: i64| {
        edit(files, 2000, "txnindex")[10..18].copy_from_slice(&offset.to_be_bytes());
    };
    assert_eq!(said(&|files| first(files, 2001)), named(2001));
    assert_eq!(said(&|files| first(files, 1999)), named(1999));
    // What retention took away may have been its beginning.
    let taken = |files: &mut Files, offset: i64| {
        first(files, offset);
        files.retain(|(name, _)| !name.starts_with("00000000000000000000"));
    };
    assert_eq!(said(&|files| taken(files, 1999)), Vec::<String>::new());
    assert_eq!(said(&|files| taken(files, 2001)), named(2001));
}

#[test]
fn damage_is_weighed_against_the_recovery_point() {
    let durable = |change: &dyn Fn(&mut Files)| {
        let (image, _) = beside(change);
        let log = &image.logs[&Partition::new("ledger", 0)];
        let said: Vec<_> = log.damage.iter().map(|d| (d.from, d.durable)).collect();
        said
    };
    let below = durable(&|files| edit(files, 0, "log")[53 * 76 + 30] ^= 1);
    assert_eq!(below, [(Offset(53), Some(true))]);
    // All below the point was flushed; what begins at it need not have been.
    let at = durable(&|files| edit(files, 2000, "log")[30] ^= 1);
    assert_eq!(at, [(Offset(2000), Some(false))]);
    let above = durable(&|files| {
        edit(files, 2000, "log").pop();
    });
    assert_eq!(above, [(Offset(2001), Some(false))]);
}

#[test]
fn what_is_not_read_is_named() {
    let (image, unreadable) = beside(|files| {
        for name in [
            "00000000000000000000.log.deleted",
            "00000000000000000000.index.cleaned",
            "00000000000000000000.log.swap",
            "leader-epoch-checkpoint.tmp",
            "nonsense.log",
        ] {
            files.push((name.to_owned(), vec![1, 2, 3]));
        }
    });
    let log = &image.logs[&Partition::new("ledger", 0)];
    assert_eq!(
        log.leftovers,
        [
            "00000000000000000000.index.cleaned",
            "00000000000000000000.log.deleted",
            "00000000000000000000.log.swap",
            "leader-epoch-checkpoint.tmp",
            "nonsense.log",
        ]
    );
    let said: Vec<&str> = unreadable.iter().map(|u| u.why.as_str()).collect();
    assert_eq!(said, ["its name is no base offset"]);
    let (first, second) = (segment(0, 3), segment(3, 7));
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = read(dir.path(), &tar("./", &files(&first, &second)));
    assert_eq!(image.unwrap().leftovers, ["old-0.0123456789abcdef-delete"]);
}
