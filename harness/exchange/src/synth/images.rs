//! Replica images: the tar archives of the brokers' log directories, as a capture writes them.
//!
//! One segment is in memory at a time. The three last images hold the same segments, so each is
//! made once and goes into all three archives.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use evidence::{
    NewBatch, NewImage, NewRecord, NewSegment, ProducerEntry, SegmentEnd, file_name, write_batch,
    write_snapshot,
};
use history::rundir::RunDir;
use history::{ClientId, Epoch, NodeId, Offset, RunId};

use super::SynthError;
use super::edits::{Edits, Retouch, Stands, Taken};
use super::says::started;
use super::shape::{Change, NODES, Shape};
use super::story::{before_image, final_image};

/// `segment.index.bytes` of every topic.
pub(super) const INDEX_BYTES: usize = 1 << 20;
/// A record of somebody else's.
const FOREIGN: &[u8] = b"this record was sent by nobody of this run";

/// What images are made from.
pub(super) struct Images<'a> {
    pub shape: &'a Shape,
    pub edits: &'a Edits,
    pub run: RunId,
    pub value_bytes: usize,
    /// Batches of a segment.
    pub segment: u64,
    /// Transactions of a segment.
    pub order_segment: usize,
    /// Ids of the topics.
    pub topic_ids: &'a [String],
}

/// A batch that is to be written.
#[derive(Debug, Clone, Copy)]
struct Piece {
    batch: u64,
    base: Offset,
    epoch: Epoch,
    /// Milliseconds that its timestamp is wrong by.
    later: i64,
    /// Whatever was planted in it.
    as_sent: bool,
}

/// How far a node's log of one partition goes.
struct Extent<'a> {
    /// Batches of the final log.
    until: u64,
    /// What only a leader that was deposed has.
    tail: Option<&'a Change>,
    /// Its high watermark checkpoint.
    hw: Offset,
}

impl Images<'_> {
    /// Writes every image of the run.
    pub fn write(&self, dir: &RunDir) -> Result<(), SynthError> {
        for index in 0..self.shape.faults.len() {
            let taken = before_image(self.shape, index);
            let files = [(Taken::Before(index), taken.node, taken.file)];
            self.archives(dir, &files, |images, part| images.at_fault(part, index))?;
        }
        let files = NODES.map(|node| (Taken::Final(node), node, final_image(node)));
        self.archives(dir, &files, Self::at_the_end)
    }

    fn at_fault(&self, part: usize, index: usize) -> Extent<'_> {
        let shape = self.shape;
        let change = &shape.parts[part].changes[index];
        let cut = shape.faults[index].strike - 3;
        Extent {
            until: cut,
            tail: Some(change),
            hw: shape.base(part, cut - 2),
        }
    }

    fn at_the_end(&self, part: usize) -> Extent<'_> {
        let rounds = self.shape.rounds();
        Extent {
            until: rounds,
            tail: None,
            hw: self.shape.base(part, rounds),
        }
    }

    /// Writes the same logs into one archive for each node.
    fn archives<'e>(
        &'e self,
        dir: &RunDir,
        files: &[(Taken, NodeId, String)],
        extent: impl Fn(&'e Self, usize) -> Extent<'e>,
    ) -> Result<(), SynthError> {
        let mut archives = Vec::new();
        for (taken, node, file) in files {
            archives.push(Archive::create(*taken, *node, &dir.path().join(file))?);
        }
        let parts = 0..self.shape.parts.len();
        let extents: Vec<Extent> = parts.map(|part| extent(self, part)).collect();
        let hws = extents.iter().map(|extent| extent.hw);
        let hws = self.checkpoint(hws);
        let flushed = extents.iter().enumerate();
        let flushed = self.checkpoint(flushed.map(|(part, extent)| self.flushed(part, extent)));
        for archive in &mut archives {
            archive.file("replication-offset-checkpoint", hws.as_bytes())?;
            archive.file("recovery-point-offset-checkpoint", flushed.as_bytes())?;
            archive.file("log-start-offset-checkpoint", b"0\n0\n")?;
            archive.file("cleaner-offset-checkpoint", b"")?;
            let meta = meta_properties(archive.node);
            archive.file("meta.properties", meta.as_bytes())?;
        }
        for (part, extent) in extents.iter().enumerate() {
            // A log that was tampered with is made for its archive alone.
            let retouch = |archive: &Archive| self.edits.retouched.get(&(part, archive.taken));
            let odd = |archive: &Archive| retouch(archive).is_some();
            archives.sort_by_key(|archive| (odd(archive), archive.taken));
            let whole = archives.partition_point(|archive| !odd(archive));
            let (same, apart) = archives.split_at_mut(whole);
            self.log(part, extent, None, same)?;
            for archive in apart {
                let how = retouch(archive).copied();
                self.log(part, extent, how, std::slice::from_mut(archive))?;
            }
        }
        archives.into_iter().try_for_each(Archive::finish)
    }

    fn checkpoint(&self, offsets: impl Iterator<Item = Offset>) -> String {
        let mut text = format!("0\n{}\n", self.shape.parts.len());
        for (part, offset) in self.shape.parts.iter().zip(offsets) {
            let name = &part.name;
            text.push_str(&format!("{} {} {}\n", name.topic, name.index, offset.0));
        }
        text
    }

    /// What a roll has flushed: everything below the last segment.
    fn flushed(&self, part: usize, extent: &Extent) -> Offset {
        if let Some(orders) = self.shape.orders_of(part) {
            return orders.flushed(extent.until, self.order_segment);
        }
        let records = self.segment * self.shape.batch;
        let full = self.shape.base(part, extent.until).0 as u64;
        Offset((full.saturating_sub(1) / records * records) as i64)
    }

    /// The directory of one partition.
    fn log(
        &self,
        part: usize,
        extent: &Extent,
        retouch: Option<Retouch>,
        archives: &mut [Archive],
    ) -> Result<(), SynthError> {
        if archives.is_empty() {
            return Ok(());
        }
        let name = self.shape.parts[part].name.dir_name();
        let id = &self.topic_ids[self.shape.parts[part].topic];
        let meta = format!("version: 0\ntopic_id: {id}");
        let epochs = self.epochs(part, extent, retouch);
        for archive in &mut *archives {
            archive.dir(&format!("{name}/"))?;
            archive.file(&format!("{name}/partition.metadata"), meta.as_bytes())?;
            archive.file(
                &format!("{name}/leader-epoch-checkpoint"),
                epochs.as_bytes(),
            )?;
        }
        if self.shape.orders_of(part).is_some() {
            return self.order_log(part, extent.until, archives);
        }
        let mut segment = NewSegment::new(Offset(0));
        let (mut base, mut room) = (0, Room::default());
        let mut pieces = self.pieces(part, extent).peekable();
        while let Some(mut piece) = pieces.next() {
            if retouch == Some(Retouch::Short) && pieces.peek().is_none() {
                break;
            }
            piece.later = i64::from(retouch == Some(Retouch::Restamped(piece.batch)));
            piece.as_sent = retouch == Some(Retouch::AsSent(piece.batch));
            if piece.base.0 >= base + self.segment_records() {
                base += self.segment_records();
                let full = std::mem::replace(&mut segment, NewSegment::new(Offset(base)));
                put(archives, &name, full.files(SegmentEnd::Closed))?;
                let snapshot = write_snapshot(&self.producers(part, piece.batch, piece.base));
                let file = file_name(Offset(base), "snapshot");
                put(archives, &name, vec![(file, snapshot)])?;
            }
            self.batch(part, piece, &mut room, &mut segment);
        }
        let mut files = segment.files(SegmentEnd::Active {
            index_bytes: INDEX_BYTES,
        });
        if retouch == Some(Retouch::BadTail) {
            let end = self.shape.base(part, extent.until);
            files[0].1.extend_from_slice(&bad_batch(end));
        }
        put(archives, &name, files)
    }

    fn segment_records(&self) -> i64 {
        (self.segment * self.shape.batch) as i64
    }

    /// What a broker knows of the producers of a partition when it begins a segment: the last batch
    /// of each.
    fn producers(&self, part: usize, batch: u64, at: Offset) -> Vec<ProducerEntry> {
        let shape = self.shape;
        let last = (1..=2).filter_map(|back| batch.checked_sub(back));
        let last = last.filter(|_| shape.parts[part].acks_all);
        last.map(|batch| {
            let ends = shape.base(part, batch).0 + shape.batch as i64 - 1;
            debug_assert!(ends < at.0);
            ProducerEntry {
                producer_id: producer_id(shape.producer(part, batch)),
                epoch: 0,
                last_sequence: shape.sequence(batch) + shape.batch as i32 - 1,
                last_offset: Offset(ends),
                offset_delta: shape.batch as i32 - 1,
                timestamp: self.timestamp(batch),
                coordinator_epoch: -1,
                current_txn_first_offset: None,
            }
        })
        .collect()
    }

    /// What brokers and clients write for a round's beginning.
    pub fn timestamp(&self, batch: u64) -> i64 {
        started().timestamp_millis() + (self.shape.time(batch).0 / 1_000_000) as i64
    }

    fn pieces<'p>(&'p self, part: usize, extent: &'p Extent) -> impl Iterator<Item = Piece> + 'p {
        let shape = self.shape;
        let kept = (0..extent.until).filter(move |batch| {
            shape.lost_by(part, *batch).is_none() && shape.len(part, *batch) > 0
        });
        let kept = kept.map(move |batch| Piece {
            batch,
            base: shape.base(part, batch),
            epoch: shape.term(part, batch).epoch,
            later: 0,
            as_sent: false,
        });
        let tail = extent.tail.into_iter().flat_map(move |change| {
            let batches: Range<u64> = change.tail.clone();
            batches.map(move |batch| Piece {
                batch,
                base: shape.tail_base(part, change, batch),
                epoch: Epoch(change.epoch.0 - 1),
                later: 0,
                as_sent: false,
            })
        });
        kept.chain(tail)
    }

    /// `leader-epoch-checkpoint`: the epochs that its batches have.
    fn epochs(&self, part: usize, extent: &Extent, retouch: Option<Retouch>) -> String {
        let shape = self.shape;
        let changes = &shape.parts[part].changes;
        let begun = changes.iter().filter(|change| change.first < extent.until);
        let mut epochs: Vec<(i32, i64)> = vec![(0, 0)];
        epochs.extend(begun.map(|change| (change.epoch.0, shape.base(part, change.first).0)));
        if let (Some(Retouch::LateEpoch), Some(last)) = (retouch, epochs.last_mut()) {
            last.1 += 1;
        }
        let mut text = format!("0\n{}\n", epochs.len());
        for (epoch, start) in epochs {
            text.push_str(&format!("{epoch} {start}\n"));
        }
        text
    }

    fn batch(&self, part: usize, piece: Piece, room: &mut Room, into: &mut NewSegment) {
        let shape = self.shape;
        let (batch, len) = (piece.batch, shape.len(part, piece.batch));
        let producer = shape.producer(part, batch);
        let planted = match piece.as_sent {
            true => &[],
            false => self.edits.stands_in(part, batch),
        };
        room.payloads.resize_with(len as usize, Vec::new);
        let mut there = len as usize;
        for index in 0..len {
            let payload = &mut room.payloads[index as usize];
            let stands = planted.iter().find(|(of, _)| *of == index);
            let (client, value, at) = match stands.map(|(_, stands)| *stands) {
                None => {
                    let at = shape.sent_at(part, batch, index);
                    (producer, shape.value(part, batch, index), at)
                }
                Some(Stands::Value { value, client, at }) => (client, value, at),
                Some(Stands::Foreign) => {
                    payload.clear();
                    payload.extend_from_slice(FOREIGN);
                    continue;
                }
                // Only the last record of a batch is ever left out.
                Some(Stands::Nothing) => {
                    there -= 1;
                    continue;
                }
            };
            history::payload::encode(self.run, client, value, at, self.value_bytes, payload);
        }
        let records: Vec<NewRecord> = room.payloads[..there]
            .iter()
            .map(|bytes| NewRecord::value(bytes))
            .collect();
        let idempotent = shape.parts[part].acks_all;
        let session = |of: i64, none: i64| if idempotent { of } else { none };
        into.append(&NewBatch {
            timestamp: self.timestamp(batch) + piece.later,
            producer_id: session(producer_id(producer), -1),
            producer_epoch: session(0, -1) as i16,
            base_sequence: session(shape.sequence(batch).into(), -1) as i32,
            ..NewBatch::plain(piece.base, piece.epoch, &records)
        });
    }
}

pub(super) fn producer_id(client: ClientId) -> i64 {
    1_000 + i64::from(client.0)
}

/// Buffers that are used again.
#[derive(Default)]
struct Room {
    payloads: Vec<Vec<u8>>,
}

/// Bytes of a whole batch of such values: how many fit a segment follows from it.
pub(super) fn batch_bytes(records: u64, value_bytes: usize) -> u64 {
    let value = vec![0; value_bytes];
    let records: Vec<NewRecord> = (0..records).map(|_| NewRecord::value(&value)).collect();
    write_batch(
        &mut Vec::new(),
        &NewBatch::plain(Offset(0), Epoch(0), &records),
    ) as u64
}

/// A batch at an offset whose checksum fails.
fn bad_batch(base: Offset) -> Vec<u8> {
    let mut bytes = Vec::new();
    let records = [NewRecord::value(FOREIGN)];
    write_batch(&mut bytes, &NewBatch::plain(base, Epoch(0), &records));
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes
}

pub(super) fn put(
    archives: &mut [Archive],
    name: &str,
    files: Vec<(String, Vec<u8>)>,
) -> Result<(), SynthError> {
    for (file, bytes) in files {
        let file = format!("{name}/{file}");
        archives
            .iter_mut()
            .try_for_each(|archive| archive.file(&file, &bytes))?;
    }
    Ok(())
}

fn meta_properties(node: NodeId) -> String {
    let written = started().format("%a %b %d %H:%M:%S UTC %Y");
    format!(
        "#\n#{written}\nbroker.id={}\nversion=0\ncluster.id=synthetic-cluster-id00\n",
        node.0
    )
}

/// One archive being written.
pub(super) struct Archive {
    taken: Taken,
    node: NodeId,
    path: PathBuf,
    image: NewImage<File>,
}

impl Archive {
    fn create(taken: Taken, node: NodeId, path: &Path) -> Result<Self, SynthError> {
        let image = File::create_new(path).and_then(NewImage::new);
        Ok(Self {
            taken,
            node,
            path: path.to_owned(),
            image: image.map_err(|err| SynthError::write(path, &err))?,
        })
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), SynthError> {
        let done = self.image.file(name, bytes);
        done.map_err(|err| SynthError::write(&self.path, &err))
    }

    fn dir(&mut self, name: &str) -> Result<(), SynthError> {
        let done = self.image.directory(name);
        done.map_err(|err| SynthError::write(&self.path, &err))
    }

    fn finish(self) -> Result<(), SynthError> {
        let done = self.image.finish();
        done.map(drop)
            .map_err(|err| SynthError::write(&self.path, &err))
    }
}
