//! Logs as a broker writes them, cut as a power cut may: never below the durable point, and always
//! a prefix that a broker's recovery accepts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use evidence::{
    DamageKind, NewBatch, NewRecord, NewSegment, ReplicaLog, SegmentEnd, Walker, file_name,
};
use history::{Epoch, Offset, Payload};
use plan::Tail;
use proptest::prelude::*;

use super::survey::Segment;
use super::tail::{Cut, cut, end_of, kept, segment_of};
use super::unflushed::{CUT, digest, meant};

/// Records of each batch of each segment.
type Shape = Vec<Vec<usize>>;

/// Writes a log; every batch's last offset plus one, in order.
fn write(dir: &Path, shape: &Shape) -> (Vec<Segment>, Vec<i64>) {
    let (mut next, mut ends, mut segments) = (0, Vec::new(), Vec::new());
    for (index, batches) in shape.iter().enumerate() {
        let base = Offset(next);
        let mut segment = NewSegment::new(base).index_interval(100);
        for count in batches {
            let records = vec![NewRecord::value(b"some value of a record"); *count];
            segment.append(&NewBatch::plain(Offset(next), Epoch(3), &records));
            next += *count as i64;
            ends.push(next);
        }
        let bytes = segment.bytes() as u64;
        segments.push(Segment { base, bytes });
        let end = match index + 1 == shape.len() {
            true => SegmentEnd::Active { index_bytes: 1024 },
            false => SegmentEnd::Closed,
        };
        for (name, bytes) in segment.files(end) {
            fs::write(dir.join(name), bytes).unwrap();
        }
    }
    (segments, ends)
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn read(files: &BTreeMap<String, Vec<u8>>) -> ReplicaLog {
    let mut log = ReplicaLog::default();
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".log")) {
        let base = name.trim_end_matches(".log").parse().unwrap();
        Walker::default().read(Offset(base), bytes, &|_| Payload::Foreign, &mut log);
    }
    log
}

/// How the files are cut.
type By = fn(&Path, &Cut, &[Offset]);

/// With the very script that hosts run, and what it says.
fn by_script(dir: &Path, cut: &Cut, left: &[Offset]) {
    let before = fs::read(dir.join(file_name(cut.segment, "log"))).unwrap();
    let name = |base: &Offset| format!("{:020}", base.0);
    let out = Command::new("sh")
        .args(["-c", CUT, "sh"])
        .arg(dir)
        .arg(name(&cut.segment))
        .args([cut.keep, cut.stay, cut.length].map(|n| n.to_string()))
        .arg(dir.join("noted"))
        .arg("7 8 9")
        .args(cut.removed.iter().map(name))
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    let note = dir.join("noted").join(dir.file_name().unwrap());
    assert_eq!(fs::read_to_string(&note).unwrap(), "7 8 9\n");
    fs::remove_dir_all(dir.join("noted")).unwrap();
    let digest = digest(&before[..], cut.keep).unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    assert_eq!(said, meant(cut, &digest, left));
}

/// The same without a shell, for many.
fn by_hand(dir: &Path, cut: &Cut, _left: &[Offset]) {
    for base in &cut.removed {
        for suffix in ["log", "index", "timeindex"] {
            fs::remove_file(dir.join(file_name(*base, suffix))).unwrap();
        }
    }
    for suffix in ["index", "timeindex"] {
        fs::remove_file(dir.join(file_name(cut.segment, suffix))).unwrap();
    }
    let path = dir.join(file_name(cut.segment, "log"));
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(cut.stay).unwrap();
    file.set_len(cut.length).unwrap();
}

/// Cuts the log in `dir`; its end afterwards, if it lost anything.
fn lose(dir: &Path, segments: &[Segment], durable: i64, tail: Tail, by: By) -> Option<Offset> {
    let open = |base: Offset| fs::File::open(dir.join(file_name(base, "log"))).unwrap();
    let newest = segments.last().unwrap();
    let was = end_of(open(newest.base), newest.base).unwrap();
    let at = segment_of(segments, Offset(durable));
    let kept = kept(open(segments[at].base), Offset(durable)).unwrap();
    let cut = cut(segments, at, kept, tail).filter(|cut| cut.end < was)?;
    let left: Vec<Offset> = segments[..=at].iter().map(|s| s.base).collect();
    by(dir, &cut, &left);
    Some(cut.end)
}

fn check(shape: &Shape, durable: i64, tail: Tail, by: By) {
    let dir = tempfile::tempdir().unwrap();
    let (segments, ends) = write(dir.path(), shape);
    let (before, was) = (contents(dir.path()), *ends.last().unwrap_or(&0));
    let lost = lose(dir.path(), &segments, durable, tail, by);
    let after = contents(dir.path());
    let Some(end) = lost else {
        assert_eq!(before, after, "nothing is touched where nothing is lost");
        assert!(durable >= ends.iter().rev().nth(1).map_or(1, |e| e + 1) || was == 0);
        return;
    };
    let (whole, log) = (read(&before), read(&after));
    assert_eq!(log.leo(), end);
    assert!(end.0 >= durable, "{end} is below the durable @{durable}");
    // The least that may be kept: a batch that begins at or above the durable point is gone.
    assert!(log.batches.iter().all(|batch| batch.base.0 < durable));
    assert!(end.0 < was);
    assert_eq!(whole.batches[..log.batches.len()], log.batches);
    let wrong: Vec<&DamageKind> = log.damage.iter().map(|d| &d.kind).collect();
    let last = after.keys().filter(|name| name.ends_with(".log")).max();
    match (tail, &wrong[..]) {
        (Tail::Torn, [] | [DamageKind::TornTail(_)])
        | (Tail::Aligned, [])
        | (Tail::Zeroed, [] | [DamageKind::ZeroTail(_)]) => {}
        other => panic!("{other:?}"),
    }
    if let Some(damage) = log.damage.first() {
        assert_eq!(&file_name(damage.segment, "log"), last.unwrap());
    }
    for (name, bytes) in &after {
        let old = &before[name];
        match Some(name) == last {
            true if tail == Tail::Zeroed => assert_eq!(old.len(), bytes.len()),
            true => assert!(old.starts_with(bytes)),
            false => assert_eq!(old, bytes, "{name}"),
        }
    }
}

#[test]
fn a_batch_is_torn_and_an_end_zeroed() {
    let shape = vec![vec![2, 3], vec![1, 4, 2]];
    for tail in [Tail::Aligned, Tail::Torn, Tail::Zeroed] {
        for durable in [0, 1, 5, 7, 10, 12] {
            check(&shape, durable, tail, by_script);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (segments, _) = write(dir.path(), &shape);
    assert_eq!(
        lose(dir.path(), &segments, 7, Tail::Torn, by_script),
        Some(Offset(10))
    );
    let torn = read(&contents(dir.path()));
    assert!(matches!(torn.damage[0].kind, DamageKind::TornTail(n) if n > 30));
    assert!(!dir.path().join(file_name(Offset(5), "index")).exists());
    assert!(dir.path().join(file_name(Offset(0), "index")).exists());
}

proptest! {
    #[test]
    fn no_cut_goes_below_the_durable_point(
        shape in prop::collection::vec(prop::collection::vec(1_usize..6, 0..6), 1..5),
        part in 0.0..1.1_f64,
        tail in prop::sample::select(vec![Tail::Aligned, Tail::Torn, Tail::Zeroed]),
    ) {
        // Segments that begin at one offset would be one file.
        let mut shape = shape;
        let last = shape.len() - 1;
        let mut index = 0;
        shape.retain(|batches| { index += 1; index > last || !batches.is_empty() });
        let records: usize = shape.iter().flatten().sum();
        check(&shape, (records as f64 * part) as i64, tail, by_hand);
    }
}
