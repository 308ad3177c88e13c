//! Writing a history while it happens: many pens, one task, one file.
//!
//! Whoever does something tells the recorder; nobody else touches the file. A block of events is
//! written when it is full or 200 ms old, which survives a crash of this program; the disk is made
//! to keep it once a second, at phase marks and at [`Pen::flush`], which survives a power cut. A
//! failed write is never swallowed: it ends the file, [`Pen::failed`] tells it at once, and
//! [`Recorder::close`] again.

use std::fs::{File, OpenOptions};
use std::io::Seek;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::HistoryError;
use crate::event::Event;
use crate::frames::{Counts, FrameWriter};
use crate::ids::OpId;

/// An event waits no longer than this before it is handed to the operating system.
const BLOCK_AGE_MAX: Duration = Duration::from_millis(200);
/// What was handed over waits no longer than this before the disk must have it.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Messages taken at once. After each such batch the age of the block is looked at.
const BATCH: usize = 256;

enum Note {
    One(Event),
    Many(Vec<Event>),
    Flush(oneshot::Sender<Result<(), HistoryError>>),
    Close,
}

/// Writes events into the history. Cheap to clone, usable from any thread, never blocks.
#[derive(Clone)]
pub struct Pen {
    notes: mpsc::UnboundedSender<Note>,
    next_op: Arc<AtomicU64>,
    failed: Arc<watch::Sender<Option<HistoryError>>>,
}

impl Pen {
    /// Records one event.
    pub fn write(&self, event: Event) {
        self.send(Note::One(event));
    }

    /// Records events that keep their order, with none between them.
    pub fn write_all(&self, events: Vec<Event>) {
        if !events.is_empty() {
            self.send(Note::Many(events));
        }
    }

    /// The number of a new operation, from 0; no other pen of this run is given the same.
    pub fn next_op(&self) -> OpId {
        OpId(self.next_op.fetch_add(1, Ordering::Relaxed))
    }

    /// The first of `count` new operations with consecutive numbers.
    pub fn next_ops(&self, count: u64) -> OpId {
        OpId(self.next_op.fetch_add(count, Ordering::Relaxed))
    }

    /// Waits until the disk holds everything that this pen wrote before.
    ///
    /// # Errors
    /// When something could not be written, or the recorder was closed.
    pub async fn flush(&self) -> Result<(), HistoryError> {
        let (done, wait) = oneshot::channel();
        self.send(Note::Flush(done));
        wait.await.unwrap_or(Err(HistoryError::Closed))
    }

    /// Why events are being lost, if they are. A run whose history fails must end.
    pub fn failed(&self) -> Option<HistoryError> {
        self.failed.borrow().clone()
    }

    /// Waits until events are being lost: for ever, in a healthy run.
    pub async fn failure(&self) -> HistoryError {
        let mut failed = self.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(HistoryError::Closed),
            // The sender lives as long as this pen.
            Err(_) => std::future::pending().await,
        }
    }

    fn send(&self, note: Note) {
        let unrecorded = !matches!(note, Note::Flush(_));
        if self.notes.send(note).is_err() && unrecorded {
            fail(&self.failed, HistoryError::Closed);
        }
    }
}

/// Keeps the first failure; later ones follow from it.
fn fail(failed: &watch::Sender<Option<HistoryError>>, why: HistoryError) {
    failed.send_if_modified(|slot| {
        let first = slot.is_none();
        if first {
            *slot = Some(why);
        }
        first
    });
}

/// The task that owns the file. It ends at [`Recorder::close`], or when all pens are dropped.
pub struct Recorder {
    notes: mpsc::WeakUnboundedSender<Note>,
    task: JoinHandle<Result<Counts, HistoryError>>,
}

impl Recorder {
    /// Begins a history file, which must not exist yet, and the task that writes it (on the
    /// present tokio runtime).
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<(Pen, Recorder), HistoryError> {
        let frames = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .and_then(FrameWriter::begin)
            .and_then(|frames| crate::rundir::sync_name(path).map(|()| frames))
            .map_err(|err| cannot_write(path, err))?;
        Ok(Self::start(frames, path))
    }

    fn start(frames: FrameWriter<File>, path: &Path) -> (Pen, Recorder) {
        let (notes, inbox) = mpsc::unbounded_channel();
        let pen = Pen {
            notes,
            next_op: Arc::default(),
            failed: Arc::new(watch::Sender::new(None)),
        };
        let scribe = Scribe {
            path: path.to_owned(),
            frames,
            failed: pen.failed.clone(),
            cut_due: None,
            sync_due: None,
            syncing: None,
            whole: Ok(()),
        };
        let recorder = Recorder {
            notes: pen.notes.downgrade(),
            task: tokio::spawn(scribe.run(inbox)),
        };
        (pen, recorder)
    }

    /// Writes what was sent so far, brings it to the disk and ends the task. What a pen writes
    /// later is lost, and that pen says so.
    ///
    /// # Errors
    /// The first thing that could not be written.
    pub async fn close(self) -> Result<Counts, HistoryError> {
        if let Some(notes) = self.notes.upgrade() {
            // When the task has ended already, its result says why.
            let _ended = notes.send(Note::Close);
        }
        match self.task.await {
            Ok(result) => result,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Err(HistoryError::Closed),
            },
        }
    }
}

/// A pen whose events stay in memory: for tests, and for histories that need no file.
pub struct Notebook {
    notes: mpsc::UnboundedReceiver<Note>,
}

impl Notebook {
    /// An empty notebook and its pen.
    pub fn open() -> (Pen, Notebook) {
        let (sender, notes) = mpsc::unbounded_channel();
        let pen = Pen {
            notes: sender,
            next_op: Arc::default(),
            failed: Arc::new(watch::Sender::new(None)),
        };
        (pen, Notebook { notes })
    }

    /// The events written since the last call, in order.
    pub fn take(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(note) = self.notes.try_recv() {
            match note {
                Note::One(event) => events.push(event),
                Note::Many(more) => events.extend(more),
                // Whoever waits for a flush need not care whether it has happened already.
                Note::Flush(done) => drop(done.send(Ok(()))),
                Note::Close => {}
            }
        }
        events
    }
}

fn cannot_write(path: &Path, err: std::io::Error) -> HistoryError {
    HistoryError::Write {
        path: path.to_owned(),
        why: err.to_string(),
    }
}

/// The inside of the task.
struct Scribe {
    path: PathBuf,
    frames: FrameWriter<File>,
    failed: Arc<watch::Sender<Option<HistoryError>>>,
    /// When the open block must be cut; none while it is empty.
    cut_due: Option<Instant>,
    /// When what was written must be synced; none while nothing was.
    sync_due: Option<Instant>,
    /// A sync under way on tokio's blocking pool, so that a slow disk holds nobody up.
    syncing: Option<JoinHandle<std::io::Result<()>>>,
    /// The first failure. After it nothing more is written: the file ends whole.
    whole: Result<(), HistoryError>,
}

impl Scribe {
    async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Note>,
    ) -> Result<Counts, HistoryError> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut open = true;
        while open {
            let due = [self.cut_due, self.sync_due].into_iter().flatten().min();
            tokio::select! {
                biased;
                taken = inbox.recv_many(&mut batch, BATCH) => open = taken > 0,
                () = sleep_until(due) => {}
            }
            for note in batch.drain(..) {
                open &= self.take(note).await;
            }
            let now = Instant::now();
            if self.cut_due.is_some_and(|due| due <= now) {
                self.cut();
            }
            if self.sync_due.is_some_and(|due| due <= now) {
                self.sync_aside().await;
            }
        }
        // From here on a pen that writes is told that nobody reads.
        inbox.close();
        while let Ok(note) = inbox.try_recv() {
            self.take(note).await;
        }
        self.sync_now().await;
        self.whole.map(|()| self.frames.written())
    }

    /// Does what a note says; false when it says to close.
    async fn take(&mut self, note: Note) -> bool {
        match note {
            Note::One(event) => self.event(&event).await,
            Note::Many(events) => {
                for event in &events {
                    self.event(event).await;
                }
            }
            Note::Flush(done) => {
                self.sync_now().await;
                // Who asked may have stopped waiting.
                drop(done.send(self.whole.clone()));
            }
            Note::Close => return false,
        }
        true
    }

    async fn event(&mut self, event: &Event) {
        if self.whole.is_err() {
            return;
        }
        self.frames.push(event);
        if self.frames.pending() == 1 {
            self.cut_due = Some(Instant::now() + BLOCK_AGE_MAX);
        }
        let phase = matches!(event, Event::Phase { .. });
        if phase || self.frames.is_full() {
            self.cut();
        }
        if phase {
            self.sync_aside().await;
        }
    }

    /// Hands the open block to the operating system.
    fn cut(&mut self) {
        self.cut_due = None;
        if self.whole.is_err() || self.frames.pending() == 0 {
            return;
        }
        let good = self.frames.written().bytes;
        match self.frames.cut() {
            Ok(()) => {
                let due = Instant::now() + SYNC_EVERY;
                self.sync_due.get_or_insert(due);
            }
            Err(err) => {
                self.fail(err);
                // Take half a frame away again. Should that fail too, readers stop before it.
                let file = self.frames.get_mut();
                let _torn = file.set_len(good).and_then(|()| file.rewind());
            }
        }
    }

    /// Begins a sync beside everything else, after the one before has ended.
    async fn sync_aside(&mut self) {
        self.sync_due = None;
        self.synced().await;
        if self.whole.is_ok() {
            match self.frames.get_mut().try_clone() {
                Ok(file) => {
                    self.syncing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
                }
                Err(err) => self.fail(err),
            }
        }
    }

    /// Cuts, and waits until the disk holds everything.
    async fn sync_now(&mut self) {
        self.cut();
        self.sync_aside().await;
        self.synced().await;
    }

    /// Waits for the sync under way, if there is one.
    async fn synced(&mut self) {
        let Some(syncing) = self.syncing.take() else {
            return;
        };
        match syncing.await {
            Ok(Ok(())) => {}
            Ok(Err(err)) => self.fail(err),
            Err(err) => self.fail(std::io::Error::other(err)),
        }
    }

    fn fail(&mut self, err: std::io::Error) {
        if self.whole.is_ok() {
            let why = cannot_write(&self.path, err);
            fail(&self.failed, why.clone());
            self.whole = Err(why);
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
