//! What pens write is in the file, or somebody is told.

use super::*;
use crate::clock::Mark;
use crate::event::Phase;
use crate::frames::read;

fn phase(millis: u64) -> Event {
    Event::Phase {
        at: Mark::from_millis(millis),
        phase: Phase::Storm,
    }
}

fn invoked(pen: &Pen) -> Event {
    Event::Invoked {
        op: pen.next_op(),
        client: crate::ClientId(0),
        at: Mark(0),
        call: crate::Call::Poll,
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_read_back_in_order() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = dir.path().join("events.tmh");
    let (pen, recorder) = Recorder::create(&path).expect("a new file");
    let twin = pen.clone();
    let mut expected = Vec::new();
    for n in 0..100 {
        let events = vec![invoked(&pen), phase(n)];
        expected.extend(events.clone());
        twin.write_all(events);
    }
    let counts = recorder.close().await.expect("all written");
    let recording = read(&path).expect("readable");
    assert_eq!((recording.events, recording.torn), (expected, None));
    assert_eq!((counts.events, counts.frames), (200, recording.frames));
    let length = std::fs::metadata(&path).expect("there").len();
    assert_eq!(counts.bytes, length);
    pen.write(phase(1));
    assert_eq!(pen.failed(), Some(HistoryError::Closed));
    assert_eq!(pen.flush().await, Err(HistoryError::Closed));
}

#[tokio::test(start_paused = true)]
async fn an_event_reaches_the_file_within_the_age_of_a_block() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = dir.path().join("events.tmh");
    let (pen, recorder) = Recorder::create(&path).expect("a new file");
    let first = invoked(&pen);
    pen.write(first.clone());
    tokio::time::sleep(BLOCK_AGE_MAX / 2).await;
    assert_eq!(read(&path).expect("readable").events, []);
    tokio::time::sleep(BLOCK_AGE_MAX).await;
    assert_eq!(
        read(&path).expect("readable").events,
        std::slice::from_ref(&first)
    );
    let second = invoked(&pen);
    pen.write(second.clone());
    pen.flush().await.expect("a working disk");
    assert_eq!(read(&path).expect("readable").events, [first, second]);
    drop(pen);
    let counts = recorder.close().await.expect("all written");
    assert_eq!((counts.events, counts.frames), (2, 2));
}

#[tokio::test]
async fn a_full_disk_is_told_by_pen_flush_and_close() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = dir.path().join("events.tmh");
    // A file whose every write fails: it was opened for reading only.
    let mut frames = FrameWriter::begin(File::create(&path).expect("a file")).expect("begun");
    *frames.get_mut() = File::open(&path).expect("the same, for reading");
    let (pen, recorder) = Recorder::start(frames, &path);
    assert_eq!(pen.failed(), None);
    pen.write(phase(1));
    assert!(matches!(pen.failure().await, HistoryError::Write { .. }));
    pen.write(phase(2));
    assert!(matches!(pen.flush().await, Err(HistoryError::Write { .. })));
    assert!(matches!(pen.failed(), Some(HistoryError::Write { .. })));
    assert!(matches!(
        recorder.close().await,
        Err(HistoryError::Write { .. })
    ));
}

#[tokio::test]
async fn a_history_is_never_written_over() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = dir.path().join("events.tmh");
    std::fs::write(&path, "precious").expect("a file");
    assert!(Recorder::create(&path).is_err());
    assert_eq!(std::fs::read(&path).expect("there"), b"precious");
}

#[tokio::test]
async fn pens_write_from_foreign_threads_and_a_notebook_keeps_events() {
    let (pen, mut notebook) = Notebook::open();
    let foreign = pen.clone();
    tokio::task::spawn_blocking(move || foreign.write(invoked(&foreign)))
        .await
        .expect("no panic");
    pen.write(invoked(&pen));
    let ops: Vec<_> = notebook
        .take()
        .iter()
        .map(|event| match event {
            Event::Invoked { op, .. } => op.0,
            other => panic!("unexpected {other:?}"),
        })
        .collect();
    assert_eq!(ops, [0, 1]);
    assert_eq!((pen.next_ops(5), pen.next_op()), (OpId(2), OpId(7)));
    assert_eq!(notebook.take(), []);
}
