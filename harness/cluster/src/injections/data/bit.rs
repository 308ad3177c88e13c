//! Changes one bit in the value of a committed record of one replica, living or not.
//!
//! Only one byte of one batch is written, and only where it still is what was read. The checksum
//! of the batch is wrong from then on.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use evidence::{Extent, extents, file_name, value_byte};
use history::{Clock, Harm, Offset, Partition, Service};
use plan::SegmentChoice;

use super::survey::Segment;
use super::unflushed::survey;
use super::{Sent, WITHIN, effect, send, unsure};
use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::injection::Effect;
use crate::remote::RemoteCluster;

/// Which bit of the byte.
const BIT: u8 = 1;

/// `$1` segment file, `$2` position of the byte, `$3` what it is, `$4` what it becomes, both as three
/// octal digits.
const FLIP: &str = r#"is=$(dd if="$1" bs=1 skip="$2" count=1 2>/dev/null | od -An -to1 | tr -d ' ')
[ "$is" = "$3" ] || { echo "byte $2 is $is, not $3" >&2; exit 4; }
printf "\\$4" | dd of="$1" bs=1 seek="$2" count=1 conv=notrunc,fsync 2>/dev/null"#;

/// `$1` segment file, `$2` position of the batch's first byte, from 1, `$3` its length.
const BATCH: &str = r#"tail -c +"$2" -- "$1" | head -c "$3""#;

/// Does it to a batch in the middle of those below the HW that the broker last wrote down.
pub(super) async fn flip(
    cluster: &RemoteCluster,
    host: &Host,
    partition: &Partition,
    choice: SegmentChoice,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let data = cluster.layout.data(Service::Broker);
    let survey = survey(cluster, host, std::slice::from_ref(partition)).await?;
    let segments = survey
        .segments
        .get(partition)
        .map_or(&[][..], Vec::as_slice);
    let segment = chosen(segments, choice)
        .map_err(|why| host.error(format!("no bit of {partition} is flipped: {why}")))?;
    let watermark = survey.watermarks.get(partition).copied();
    let watermark = watermark.unwrap_or(Offset(0));
    let name = file_name(segment.base, "log");
    let path = format!("{data}/{}/{name}", partition.dir_name());
    let passing = tempfile::NamedTempFile::new()
        .map_err(|e| ClusterError::Lab(format!("there is no room here to look at a log: {e}")))?;
    host.get_file(Lane::Bulk, &path, passing.path()).await?;
    let found = middle_below(passing.path(), watermark).map_err(unreadable)?;
    let Some((extent, at, old)) = found else {
        return Err(host.error(format!(
            "no bit of {partition} is flipped: {name} has no value in a batch below {watermark}, \
             the HW that was written down last"
        )));
    };
    let node = host.node();
    let from = extent.base;
    let harms = vec![(partition.clone(), Harm::Damaged { node, from })];
    let position = extent.position + at as u64;
    let was = old[at];
    let octal = |byte: u8| format!("{byte:03o}");
    let args = [
        path.clone(),
        position.to_string(),
        octal(was),
        octal(was ^ BIT),
    ];
    let sent = (clock.mark(), clock);
    match send(cluster, host, FLIP, args).await {
        Sent::Done(_) => {}
        Sent::Nothing(error) => return Err(error),
        Sent::Unknown(error) => return Ok(unsure(&error, sent, harms)),
    }
    let args = [
        path,
        (extent.position + 1).to_string(),
        extent.bytes.to_string(),
    ];
    let back = host
        .run(Lane::Bulk, &Cmd::script(BATCH, args), WITHIN)
        .await;
    let new = match back {
        Ok(ran) => ran.stdout,
        Err(error) => return Ok(unsure(&error, sent, harms)),
    };
    let flipped = is_flipped(&old, &new, at);
    let evidence = format!(
        "byte {position} of {}/{name} on {node} (batch {from} to {}) was {was:#04x} and is {:#04x}, \
         and {} of the batch differs",
        partition.dir_name(),
        extent.last,
        new.get(at).copied().unwrap_or_default(),
        if flipped {
            "nothing else"
        } else {
            "more or less"
        }
    );
    Ok(effect(flipped, evidence, sent, harms))
}

/// The segment of a log that is meant.
fn chosen(segments: &[Segment], choice: SegmentChoice) -> Result<Segment, &'static str> {
    match (segments, choice) {
        ([], _) => Err("it has no log there"),
        ([.., newest], SegmentChoice::Active) => Ok(*newest),
        ([oldest, _, ..], SegmentChoice::Closed) => Ok(*oldest),
        ([_], SegmentChoice::Closed) => Err("its log has no closed segment yet"),
    }
}

/// The middle one of the data batches that end below an offset: where it is, the position in it of
/// a value's byte, and its bytes.
fn middle_below(
    path: &Path,
    watermark: Offset,
) -> std::io::Result<Option<(Extent, usize, Vec<u8>)>> {
    let open = || File::open(path).map(|file| BufReader::with_capacity(1 << 18, file));
    let fits = |batch: &Extent| !batch.control && batch.last < watermark;
    let mut count = 0_u64;
    extents(open()?, |batch| count += u64::from(fits(batch)))?;
    let (mut middle, mut seen) = (None, 0_u64);
    extents(open()?, |batch| {
        if fits(batch) {
            if seen == count / 2 {
                middle = Some(*batch);
            }
            seen += 1;
        }
    })?;
    let Some(extent) = middle else {
        return Ok(None);
    };
    let mut file = open()?;
    file.seek(SeekFrom::Start(extent.position))?;
    let mut bytes = Vec::new();
    file.take(extent.bytes).read_to_end(&mut bytes)?;
    Ok(value_byte(&bytes).map(|at| (extent, at, bytes)))
}

/// Whether exactly the one bit differs.
fn is_flipped(old: &[u8], new: &[u8], at: usize) -> bool {
    old.len() == new.len()
        && (0..old.len()).all(|i| new[i] == old[i] ^ if i == at { BIT } else { 0 })
}

fn unreadable(error: std::io::Error) -> ClusterError {
    ClusterError::Lab(format!("a segment's copy cannot be read here: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence::{NewBatch, NewRecord, NewSegment, SegmentEnd};
    use history::Epoch;
    use std::process::Command;

    fn segment() -> (tempfile::NamedTempFile, Vec<u8>) {
        let mut segment = NewSegment::new(Offset(0));
        for base in 0..10 {
            let records = [NewRecord::value(b"a value of a record")];
            segment.append(&NewBatch::plain(Offset(base), Epoch(0), &records));
        }
        let bytes = segment.files(SegmentEnd::Closed).remove(0).1;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn one_bit_of_a_committed_value_changes() {
        let (file, before) = segment();
        assert_eq!(middle_below(file.path(), Offset(0)).unwrap(), None);
        let (extent, at, old) = middle_below(file.path(), Offset(5)).unwrap().unwrap();
        assert_eq!(extent.base, Offset(2));
        let position = extent.position as usize + at;
        assert!(b"a value of a record".contains(&before[position]));
        let run = |script: &str, args: &[String]| {
            let mut cmd = Command::new("sh");
            cmd.args(["-c", script, "sh"]).arg(file.path()).args(args);
            cmd.output().unwrap()
        };
        let octal = |byte: u8| format!("{byte:03o}");
        let flip = [position.to_string(), octal(old[at]), octal(old[at] ^ BIT)];
        assert!(run(FLIP, &flip).status.success());
        let again = run(FLIP, &flip);
        assert_eq!(again.status.code(), Some(4), "it is another byte now");
        let args = [(extent.position + 1).to_string(), extent.bytes.to_string()];
        let new = run(BATCH, &args).stdout;
        assert!(is_flipped(&old, &new, at));
        assert!(!is_flipped(&old, &old, at));
        let mut wanted = before;
        wanted[position] ^= BIT;
        assert_eq!(std::fs::read(file.path()).unwrap(), wanted);
        let mut batches = 0;
        extents(&wanted[..], |_| batches += 1).unwrap();
        assert_eq!(batches, 2, "the third one's checksum is wrong");
    }

    #[test]
    fn the_segment_is_the_one_that_is_meant() {
        let segment = |base| Segment {
            base: Offset(base),
            bytes: 1,
        };
        let three = [segment(0), segment(5), segment(9)];
        assert_eq!(chosen(&three, SegmentChoice::Active), Ok(segment(9)));
        assert_eq!(chosen(&three, SegmentChoice::Closed), Ok(segment(0)));
        assert!(chosen(&three[..1], SegmentChoice::Closed).is_err());
        assert!(chosen(&[], SegmentChoice::Active).is_err());
    }
}
