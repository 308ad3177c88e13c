//! Producer snapshots and transaction indexes, from bytes.
//!
//! Neither is believed further than its checksum, its count and its order go, and nothing is
//! allocated for a count that the bytes cannot hold.

use history::Offset;

use crate::bytes::{Cursor, Short};
use crate::model::{AbortedTxn, ProducerEntry};

/// The only version (ProducerStateManager).
pub(crate) const SNAPSHOT_VERSION: i16 = 1;
/// Version and checksum come before what the checksum covers.
pub(crate) const SNAPSHOT_CHECKED_FROM: usize = 6;
/// Version, checksum, count.
const SNAPSHOT_HEADER: usize = 10;
const SNAPSHOT_ENTRY: usize = 46;
/// The only version (AbortedTxn).
pub(crate) const TXN_INDEX_VERSION: i16 = 0;
const TXN_INDEX_ENTRY: usize = 34;

/// A flaw before it is known in which file: byte position, the offset that it is about, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Byte position.
    pub position: u64,
    /// The offset in question; absent where the bytes name none.
    pub about: Option<Offset>,
    /// What is wrong, as a sentence without its full stop.
    pub why: String,
}

impl Flaw {
    pub(crate) fn new(position: usize, about: Option<Offset>, why: impl Into<String>) -> Self {
        Self {
            position: position as u64,
            about,
            why: why.into(),
        }
    }
}

/// Reads a `.snapshot` file. One whose checksum fails gives no entries, as to Kafka.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read_snapshot(bytes: &[u8]) -> Result<Vec<ProducerEntry>, Flaw> {
    let cut = |_| Flaw::new(0, None, format!("{} bytes are no snapshot", bytes.len()));
    let mut cursor = Cursor::new(bytes);
    let version = cursor.i16().map_err(cut)?;
    let crc = cursor.u32().map_err(cut)?;
    let count = cursor.i32().map_err(cut)?;
    if version != SNAPSHOT_VERSION {
        return Err(Flaw::new(0, None, format!("version {version}, 1 is known")));
    }
    let checked = bytes.get(SNAPSHOT_CHECKED_FROM..).unwrap_or_default();
    let computed = crc32c::crc32c(checked);
    if crc != computed {
        let why = format!("its checksum is {crc:#010x}, its bytes give {computed:#010x}");
        return Err(Flaw::new(2, None, why));
    }
    let there = cursor.remaining();
    let wanted = usize::try_from(count)
        .ok()
        .and_then(|count| count.checked_mul(SNAPSHOT_ENTRY));
    if wanted != Some(there) {
        let why = format!("{count} entries promised, {there} bytes follow");
        return Err(Flaw::new(SNAPSHOT_HEADER, None, why));
    }
    let mut entries = Vec::new();
    while cursor.remaining() > 0 {
        entries.push(producer(&mut cursor).map_err(cut)?);
    }
    Ok(entries)
}

fn producer(cursor: &mut Cursor<'_>) -> Result<ProducerEntry, Short> {
    Ok(ProducerEntry {
        producer_id: cursor.i64()?,
        epoch: cursor.i16()?,
        last_sequence: cursor.i32()?,
        last_offset: Offset(cursor.i64()?),
        offset_delta: cursor.i32()?,
        timestamp: cursor.i64()?,
        coordinator_epoch: cursor.i32()?,
        current_txn_first_offset: match cursor.i64()? {
            none if none < 0 => None,
            first => Some(Offset(first)),
        },
    })
}

/// Reads a `.txnindex` file: its entries, and what is wrong with them in themselves. Whether the
/// log agrees is another question.
pub fn read_txn_index(segment: Offset, bytes: &[u8]) -> (Vec<AbortedTxn>, Vec<Flaw>) {
    let mut entries: Vec<AbortedTxn> = Vec::new();
    let mut flaws = Vec::new();
    for (index, chunk) in bytes.chunks(TXN_INDEX_ENTRY).enumerate() {
        let position = index.saturating_mul(TXN_INDEX_ENTRY);
        let (version, entry) = match aborted(chunk) {
            Ok(read) => read,
            Err(Short) => {
                let why = format!("{} bytes of {TXN_INDEX_ENTRY} are there", chunk.len());
                flaws.push(Flaw::new(position, None, why));
                break;
            }
        };
        // Newer versions may mean anything by what follows.
        if version != TXN_INDEX_VERSION {
            let why = format!("version {version}, 0 is known");
            flaws.push(Flaw::new(position, None, why));
            break;
        }
        let last = entry.last_offset;
        let mut says = |why: String| flaws.push(Flaw::new(position, Some(last), why));
        if last < segment {
            says(format!("it ends at {last}, before its segment {segment}"));
        }
        if entry.first_offset > last {
            says(format!(
                "it begins at {}, after its end {last}",
                entry.first_offset
            ));
        }
        if let Some(before) = entries.last().filter(|before| before.last_offset >= last) {
            says(format!("it ends at {last}, after {}", before.last_offset));
        }
        entries.push(entry);
    }
    (entries, flaws)
}

fn aborted(chunk: &[u8]) -> Result<(i16, AbortedTxn), Short> {
    let mut cursor = Cursor::new(chunk);
    let version = cursor.i16()?;
    let entry = AbortedTxn {
        producer_id: cursor.i64()?,
        first_offset: Offset(cursor.i64()?),
        last_offset: Offset(cursor.i64()?),
        last_stable_offset: Offset(cursor.i64()?),
    };
    Ok((version, entry))
}
