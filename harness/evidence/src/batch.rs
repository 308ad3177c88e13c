//! One record batch of magic 2 (`DefaultRecordBatch`): its header, and its records as far as a
//! judge needs them.
//!
//! It reads only what it is given, allocates nothing that a length field asks for, and does not
//! know where in a file the batch stands.

use history::{Offset, Payload};

use crate::bytes::{Cursor, Short};
use crate::codec::{Codec, Unpacker};
use crate::model::{Around, Marker, Record};

/// Bytes from the start of a batch to its first record.
pub(crate) const HEADER: usize = 61;
/// Bytes that the length field does not count: base offset and length itself.
pub(crate) const BEFORE_LENGTH: usize = 12;
/// The checksum covers everything from here (attributes) to the end.
pub(crate) const CHECKED_FROM: usize = 21;

/// Tells what a record's value is: the workload's own recogniser.
pub type Recognise<'a> = &'a dyn Fn(&[u8]) -> Payload;

/// A header's fields, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base: i64,
    pub(crate) length: i32,
    pub(crate) epoch: i32,
    pub(crate) magic: i8,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_delta: i32,
    pub(crate) first_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) count: i32,
}

impl Header {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(bytes);
        Ok(Self {
            base: cursor.i64()?,
            length: cursor.i32()?,
            epoch: cursor.i32()?,
            magic: cursor.i8()?,
            crc: cursor.u32()?,
            attributes: cursor.i16()?,
            last_delta: cursor.i32()?,
            first_timestamp: cursor.i64()?,
            max_timestamp: cursor.i64()?,
            producer_id: cursor.i64()?,
            producer_epoch: cursor.i16()?,
            base_sequence: cursor.i32()?,
            count: cursor.i32()?,
        })
    }

    pub(crate) fn last(&self) -> i64 {
        self.base.saturating_add(i64::from(self.last_delta))
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }
}

/// Decodes the records of a whole, CRC-valid batch and appends them. What was read before a fault
/// stays appended: the checksum vouches for those bytes.
pub(crate) fn records(
    header: &Header,
    batch: &[u8],
    unpacker: &mut Unpacker,
    recognise: Recognise<'_>,
    out: &mut Vec<Record>,
    control: &mut Option<Marker>,
) -> Result<(), String> {
    *control = header.is_control().then_some(Marker::Other);
    let block = batch.get(HEADER..).unwrap_or_default();
    if header.count == 0 && block.is_empty() {
        // Compaction took every record away; no codec would begin with nothing.
        return Ok(());
    }
    let codec = Codec::of(header.attributes)
        .ok_or_else(|| format!("codec {} is unknown", header.attributes & 7))?;
    let mut cursor = Cursor::new(unpacker.unpack(codec, block)?);
    let mut delta_before = -1;
    for index in 0..header.count {
        let read = record(&mut cursor)
            .map_err(|why| format!("record {index} of {}: {why}", header.count))?;
        let delta = read.delta;
        if delta <= delta_before || delta > header.last_delta {
            return Err(format!(
                "record {index} of {}: offset delta {delta} after {delta_before}, last {}",
                header.count, header.last_delta
            ));
        }
        delta_before = delta;
        if let Some(marker) = control.as_mut().filter(|_| index == 0) {
            *marker = marked(read.key, read.value);
        }
        let payload = match read.value {
            // Markers are the broker's own words, whatever they look like.
            Some(value) if !header.is_control() => recognise(value),
            Some(_) | None => Payload::Foreign,
        };
        let offset = Offset(header.base.saturating_add(i64::from(delta)));
        out.push(Record {
            offset,
            payload,
            around: Around::new(read.key, read.value.is_none(), read.headers),
        });
    }
    match cursor.remaining() {
        0 => Ok(()),
        left => Err(format!("{left} bytes after the last record")),
    }
}

/// A record's fields, as far as anybody asks for them.
struct Fields<'a> {
    delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: bool,
}

/// Reads one record.
fn record<'a>(cursor: &mut Cursor<'a>) -> Result<Fields<'a>, String> {
    let length = cursor.varint().map_err(|Short| "its length is cut")?;
    let length = usize::try_from(length).map_err(|_| format!("its length is {length}"))?;
    let have = cursor.remaining();
    let body = cursor
        .take(length)
        .map_err(|Short| format!("{length} bytes long, {have} are there"))?;
    fields(body).map_err(|Short| "its fields do not fill its length".to_owned())
}

fn fields(body: &[u8]) -> Result<Fields<'_>, Short> {
    let mut cursor = Cursor::new(body);
    cursor.i8()?;
    cursor.varlong()?;
    let delta = cursor.varint()?;
    let key = nullable(&mut cursor)?;
    let value = nullable(&mut cursor)?;
    let headers = cursor.varint()?;
    for _ in 0..headers {
        let key = usize::try_from(cursor.varint()?).map_err(|_| Short)?;
        cursor.take(key)?;
        nullable(&mut cursor)?;
    }
    if headers < 0 || cursor.remaining() != 0 {
        return Err(Short);
    }
    Ok(Fields {
        delta,
        key,
        value,
        headers: headers > 0,
    })
}

/// The position of the middle byte of the first record's value in an uncompressed block.
pub(crate) fn middle_of_first_value(block: &[u8]) -> Option<usize> {
    let mut cursor = Cursor::new(block);
    let value = (|| {
        cursor.varint()?;
        cursor.i8()?;
        cursor.varlong()?;
        cursor.varint()?;
        nullable(&mut cursor)?;
        nullable(&mut cursor)
    })();
    let value = value.ok().flatten().filter(|value| !value.is_empty())?;
    let end = block.len().checked_sub(cursor.remaining())?;
    end.checked_sub(value.len())?.checked_add(value.len() / 2)
}

/// What a control record says (ControlRecordType, EndTransactionMarker): the key is a version and a
/// type, the value a version and the coordinator's epoch. Later versions may append fields.
fn marked(key: Option<&[u8]>, value: Option<&[u8]>) -> Marker {
    let read = || {
        let mut key = Cursor::new(key.unwrap_or_default());
        let mut value = Cursor::new(value.unwrap_or_default());
        let (_, kind) = (key.i16()?, key.i16()?);
        let (_, coordinator_epoch) = (value.i16()?, value.i32()?);
        Ok::<_, Short>((kind, coordinator_epoch))
    };
    match read() {
        Ok((0, coordinator_epoch)) => Marker::Abort { coordinator_epoch },
        Ok((1, coordinator_epoch)) => Marker::Commit { coordinator_epoch },
        Ok(_) | Err(Short) => Marker::Other,
    }
}

fn nullable<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Short> {
    match cursor.varint()? {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).map_err(|_| Short)?;
            cursor.take(length).map(Some)
        }
    }
}
