//! Histories are read up to the tear, wherever it is.

use std::path::PathBuf;

use super::*;
use crate::error::HistoryError;
use crate::testing::any_events;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Three frames: the file's bytes, the events, and where the last frame begins.
fn three_frames() -> (Vec<u8>, Vec<Event>, usize) {
    let mut runner = TestRunner::deterministic();
    let tree = any_events(60..61).new_tree(&mut runner);
    let events = tree.expect("events").current();
    let mut writer = FrameWriter::begin(Vec::new()).expect("memory");
    let mut last = 0;
    for part in events.chunks(20) {
        last = writer.get_mut().len();
        part.iter().for_each(|event| writer.push(event));
        writer.cut().expect("memory");
    }
    assert_eq!(writer.written().events, 60);
    let bytes = std::mem::take(writer.get_mut());
    assert_eq!(writer.written().bytes, bytes.len() as u64);
    (bytes, events, last)
}

struct Scratch {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn scratch() -> Scratch {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = dir.path().join("events.tmh");
    Scratch { _dir: dir, path }
}

impl Scratch {
    fn read(&self, bytes: &[u8]) -> Result<Recording, HistoryError> {
        std::fs::write(&self.path, bytes).expect("scratch space");
        read(&self.path)
    }
}

#[test]
fn a_last_frame_cut_at_every_byte_costs_only_itself() {
    let (bytes, events, last) = three_frames();
    let scratch = scratch();
    let whole = scratch.read(&bytes).expect("readable");
    assert_eq!(
        (whole.events, whole.torn, whole.frames),
        (events.clone(), None, 3)
    );
    for cut in last..bytes.len() {
        let read = scratch.read(&bytes[..cut]).expect("readable");
        assert_eq!(read.events, events[..40], "cut at byte {cut}");
        assert_eq!(read.frames, 2);
        // A cut between frames leaves nothing to see: only the seal can tell.
        let torn = read.torn.map(|torn| torn.at_byte);
        assert_eq!(
            torn,
            (cut > last).then_some(last as u64),
            "cut at byte {cut}"
        );
    }
}

#[test]
fn every_flipped_bit_of_the_last_frame_is_seen() {
    let (bytes, events, last) = three_frames();
    let scratch = scratch();
    for at in last..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let read = scratch.read(&flipped).expect("readable");
        assert_eq!(read.events, events[..40], "byte {at}");
        assert_eq!(read.torn.expect("a tear").at_byte, last as u64, "byte {at}");
    }
}

#[test]
fn a_file_header_that_is_not_whole_is_a_tear_at_the_beginning() {
    let (bytes, ..) = three_frames();
    let scratch = scratch();
    for cut in 0..FILE_HEADER {
        let read = scratch.read(&bytes[..cut]).expect("readable");
        assert_eq!(read.events, []);
        assert_eq!(read.torn.expect("a tear").at_byte, 0);
    }
    let mut flipped = bytes.clone();
    flipped[9] ^= 4;
    let read = scratch.read(&flipped).expect("readable");
    assert!(read.torn.expect("a tear").why.contains("checksum"));
}

#[test]
fn frames_out_of_their_place_are_a_tear() {
    let (bytes, events, last) = three_frames();
    let scratch = scratch();
    let doubled = [&bytes[..], &bytes[last..]].concat();
    let read = scratch.read(&doubled).expect("readable");
    assert_eq!(read.events, events);
    assert_eq!(
        read.torn.expect("a tear").to_string(),
        format!(
            "the history is torn at byte {}: frame 2 stands where 3 should",
            bytes.len()
        )
    );
}

#[test]
fn newer_formats_and_other_files_are_refused_in_one_sentence() {
    let scratch = scratch();
    let refused = scratch
        .read(&file_header(2))
        .expect_err("newer")
        .to_string();
    let sentence = "was written by a newer Tidemark (format 2; this one reads up to 1): upgrade";
    assert!(refused.ends_with(sentence), "{refused}");
    let refused = scratch.read(b"{\"valid\": true}").expect_err("no history");
    assert!(matches!(refused, HistoryError::NotAHistory { .. }));
}

proptest! {
    #[test]
    fn any_bytes_behind_the_header_are_read_without_panic(
        tail in prop::collection::vec(any::<u8>(), 1..100), claim: bool,
    ) {
        let mut bytes = file_header(FORMAT).to_vec();
        if claim {
            bytes.extend(FRAME_MAGIC);
        }
        bytes.extend(tail);
        let read = scratch().read(&bytes).expect("readable");
        prop_assert_eq!(read.events, []);
        prop_assert!(read.torn.is_some());
    }
}
