//! The files of one partition's directory, collected in any order and made one log.
//!
//! It opens nothing: an image reader hands it each file as it comes by.

use std::collections::BTreeMap;
use std::io::{self, Read};

use history::Offset;

use crate::batch::Recognise;
use crate::index::{Frames, check_offsets, check_times};
use crate::model::{AbortedTxn, IndexFlaw, ProducerSnapshot, ReplicaLog, SideFile};
use crate::segment::Walker;
use crate::side::{Flaw, read_snapshot, read_txn_index};
use crate::transactions;
use crate::write::file_name;

/// Most bytes that are kept of a side file, zeroes at its end not counted. An index of the largest
/// segment, with an entry every 61 bytes, does not need as much.
const SIDE_MAX: u64 = 512 << 20;

/// One partition's files so far.
#[derive(Default)]
pub(crate) struct Parts {
    /// Epochs, topic id, leftovers: what needs no joining.
    pub(crate) log: ReplicaLog,
    segments: BTreeMap<Offset, ReplicaLog>,
    offsets: BTreeMap<Offset, Side>,
    times: BTreeMap<Offset, Side>,
    aborted: BTreeMap<Offset, Vec<AbortedTxn>>,
    snapshots: BTreeMap<Offset, ProducerSnapshot>,
}

/// A side file without the zeroes at its end.
struct Side {
    bytes: Vec<u8>,
    length: u64,
}

/// What a file of a partition's directory is, by its name.
pub(crate) enum Kind {
    Segment(Offset),
    Side(SideFile, Offset),
    /// Anything else: renamed for deletion, half cleaned, or unknown.
    Leftover,
}

impl Kind {
    /// Names are 20 digits and a suffix (Log.filenamePrefixFromOffset).
    pub(crate) fn of(name: &str) -> Self {
        let parsed = name.split_once('.').and_then(|(digits, suffix)| {
            let all = digits.bytes().all(|byte| byte.is_ascii_digit());
            let offset = digits.parse().ok().filter(|_| all).map(Offset)?;
            Some((offset, suffix))
        });
        match parsed {
            Some((offset, "log")) => Self::Segment(offset),
            Some((offset, "index")) => Self::Side(SideFile::OffsetIndex, offset),
            Some((offset, "timeindex")) => Self::Side(SideFile::TimeIndex, offset),
            Some((offset, "txnindex")) => Self::Side(SideFile::TransactionIndex, offset),
            Some((offset, "snapshot")) => Self::Side(SideFile::ProducerSnapshot, offset),
            Some(_) | None => Self::Leftover,
        }
    }
}

impl Parts {
    /// Reads a segment file. One that is not there whole is not taken in: where an archive breaks
    /// off, no broker's log did.
    pub(crate) fn segment(
        &mut self,
        base: Offset,
        from: impl Read,
        size: u64,
        walker: &mut Walker,
        recognise: Recognise<'_>,
    ) -> Result<(), String> {
        let mut part = ReplicaLog::default();
        let read = walker.read_from(base, from, recognise, &mut part);
        whole(read, size)?;
        self.segments.insert(base, part);
        Ok(())
    }

    /// Reads a file beside a segment, if it is there whole.
    pub(crate) fn side(
        &mut self,
        kind: SideFile,
        offset: Offset,
        from: impl Read,
        size: u64,
    ) -> Result<(), String> {
        let side = Side::read(from).map_err(|error| error.to_string())?;
        whole(Ok(side.length), size)?;
        match kind {
            SideFile::OffsetIndex => {
                self.offsets.insert(offset, side);
            }
            SideFile::TimeIndex => {
                self.times.insert(offset, side);
            }
            SideFile::TransactionIndex => {
                let (entries, flaws) = read_txn_index(offset, &side.whole());
                self.aborted.insert(offset, entries);
                self.flaws(kind, offset, flaws);
            }
            SideFile::ProducerSnapshot => match read_snapshot(&side.whole()) {
                Ok(entries) => {
                    let snapshot = ProducerSnapshot { offset, entries };
                    self.snapshots.insert(offset, snapshot);
                }
                Err(flaw) => self.flaws(kind, offset, vec![flaw]),
            },
        }
        Ok(())
    }

    fn flaws(&mut self, kind: SideFile, offset: Offset, flaws: Vec<Flaw>) {
        let file = file_name(offset, suffix(kind));
        let flaws = flaws.into_iter().map(|flaw| IndexFlaw {
            file: file.clone(),
            kind,
            position: flaw.position,
            about: flaw.about,
            durable: None,
            why: flaw.why,
        });
        self.log.index_flaws.extend(flaws);
    }

    /// Joins everything. `recovery_point` is that of the image, absent without a checkpoint file;
    /// after a clean shutdown no segment is in use.
    pub(crate) fn finish(
        mut self,
        recovery_point: Option<Offset>,
        clean_shutdown: bool,
    ) -> ReplicaLog {
        self.check_indexes(clean_shutdown);
        for part in std::mem::take(&mut self.segments).into_values() {
            join(&mut self.log, part);
        }
        let listed: Vec<(Offset, AbortedTxn)> = std::mem::take(&mut self.aborted)
            .into_iter()
            .flat_map(|(segment, entries)| entries.into_iter().map(move |entry| (segment, entry)))
            .collect();
        for wrong in transactions::check(&self.log, &listed) {
            let flaw = Flaw {
                position: 0,
                about: Some(wrong.about),
                why: wrong.why,
            };
            self.flaws(SideFile::TransactionIndex, wrong.segment, vec![flaw]);
        }
        let mut log = self.log;
        log.aborted = listed.into_iter().map(|(_, entry)| entry).collect();
        log.snapshots = self.snapshots.into_values().collect();
        log.leftovers.sort_unstable();
        let below = |offset: Offset| recovery_point.map(|point| offset < point);
        for damage in &mut log.damage {
            damage.durable = below(damage.from);
        }
        for flaw in &mut log.index_flaws {
            flaw.durable = flaw.about.and_then(below);
        }
        log.index_flaws
            .sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
        log
    }

    fn check_indexes(&mut self, clean_shutdown: bool) {
        let last = self.segments.keys().next_back().copied();
        let closed = |base: &Offset| clean_shutdown || Some(*base) != last;
        let (offsets, times) = (
            std::mem::take(&mut self.offsets),
            std::mem::take(&mut self.times),
        );
        let segments = std::mem::take(&mut self.segments);
        let alone = || vec![Flaw::new(0, None, "its segment is not there")];
        let frames = |base: &Offset| segments.get(base).map(|log| Frames::of(*base, log));
        for (base, side) in &offsets {
            let flaws = frames(base).map_or_else(alone, |frames| {
                check_offsets(&frames, &side.bytes, side.length, closed(base))
            });
            self.flaws(SideFile::OffsetIndex, *base, flaws);
        }
        for (base, side) in &times {
            let flaws = frames(base).map_or_else(alone, |frames| {
                check_times(&frames, &side.bytes, side.length, closed(base))
            });
            self.flaws(SideFile::TimeIndex, *base, flaws);
        }
        self.segments = segments;
    }
}

impl Side {
    fn read(mut from: impl Read) -> io::Result<Self> {
        let (mut bytes, mut length) = (Vec::new(), 0_u64);
        let mut window = vec![0; 64 << 10];
        loop {
            let count = match from.read(&mut window) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read = window.get(..count).unwrap_or_default();
            if let Some(last) = read.iter().rposition(|byte| *byte != 0) {
                let start = usize::try_from(length.min(SIDE_MAX)).unwrap_or(usize::MAX);
                bytes.resize(start, 0);
                bytes.extend_from_slice(read.get(..=last).unwrap_or_default());
                if bytes.len() as u64 > SIDE_MAX {
                    let why = format!("more than {SIDE_MAX} bytes that are not zero");
                    return Err(io::Error::other(why));
                }
            }
            length = length.saturating_add(count as u64);
        }
        Ok(Self { bytes, length })
    }

    /// With its zeroes, as far as a file of entries may have some.
    fn whole(mut self) -> Vec<u8> {
        let length = usize::try_from(self.length.min(SIDE_MAX)).unwrap_or(usize::MAX);
        self.bytes.resize(length, 0);
        self.bytes
    }
}

fn whole(read: io::Result<u64>, size: u64) -> Result<(), String> {
    match read {
        Ok(read) if read == size => Ok(()),
        Ok(read) => Err(format!("{read} of {size} bytes are there")),
        Err(error) => Err(error.to_string()),
    }
}

fn suffix(kind: SideFile) -> &'static str {
    match kind {
        SideFile::OffsetIndex => "index",
        SideFile::TimeIndex => "timeindex",
        SideFile::TransactionIndex => "txnindex",
        SideFile::ProducerSnapshot => "snapshot",
    }
}

/// Appends a later segment's contents.
fn join(log: &mut ReplicaLog, mut part: ReplicaLog) {
    let shift = log.records.len() as u32;
    for batch in &mut part.batches {
        batch.records.0 = batch.records.0.saturating_add(shift);
        batch.records.1 = batch.records.1.saturating_add(shift);
    }
    log.segments.append(&mut part.segments);
    log.batches.append(&mut part.batches);
    log.records.append(&mut part.records);
    log.damage.append(&mut part.damage);
    log.bytes = log.bytes.saturating_add(part.bytes);
}
