//! Measures the segment reader against `kafka.tools.DumpLogSegments --deep-iteration`, on the same
//! files in the same run: `cargo run --release -p evidence --example bench [WITHOUT_JAVA]`.
//!
//! Both sides are measured in the processor's time, so that what else runs on the machine matters
//! little; that of Java is of all its threads, its start included.
//!
//! It writes segments of its own making into a temporary directory, so they are read from the page
//! cache, and prints figures and ratios. It is not a test: they depend on the machine.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cluster::artefacts::{Artefacts, default_cache};
use evidence::{
    Codec, NewBatch, NewImage, NewRecord, ReplicaLog, Walker, file_name, read_image, write_batch,
};
use history::{
    Epoch, ImageReason, ImageTaken, Mark, NodeId, Offset, Payload, ProcessState, ValueId,
};

const VALUE: usize = 100;
const PER_BATCH: u64 = 120;
/// Records per file: some 256 MB uncompressed, less where both sides must unpack.
const PLAIN: u64 = 2_400_000;
const PACKED: u64 = 600_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let java = match std::env::args().nth(1) {
        Some(_) => None,
        None => Some(Artefacts::broker("3.0.0", &default_cache()?)?.class_path()),
    };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{VALUE} B values, {PER_BATCH} a batch; processor time, ours the best of 5"
    )?;
    for codec in Codec::ALL {
        let records = if codec == Codec::None { PLAIN } else { PACKED };
        let path = dir
            .path()
            .join(format!("{codec:?}"))
            .join(file_name(Offset(0), "log"));
        write(&path, codec, records)?;
        let bytes = std::fs::metadata(&path)?.len();
        let ours = ours(&path, records)?;
        write!(
            out,
            "{:7} {:4} MB file: ours {ours:.3} s, {:.2} GB/s, {:.1} M records/s",
            format!("{codec:?}"),
            bytes / 1_000_000,
            bytes as f64 / ours / 1e9,
            records as f64 / ours / 1e6,
        )?;
        if let Some(class_path) = &java {
            let theirs = dump(class_path, &path)?;
            write!(
                out,
                "; DumpLogSegments {theirs:.2} s, {:.0} times",
                theirs / ours
            )?;
        }
        writeln!(out)?;
        if codec == Codec::None {
            let seconds = image(dir.path(), &path)?;
            let rate = bytes as f64 / seconds / 1e9;
            writeln!(
                out,
                "        the same out of an image archive: {seconds:.3} s, {rate:.2} GB/s of log"
            )?;
        }
        std::fs::remove_file(&path)?;
    }
    if let Some(class_path) = &java {
        let empty = dir.path().join("empty").join(file_name(Offset(0), "log"));
        write(&empty, Codec::None, 0)?;
        writeln!(
            out,
            "DumpLogSegments on an empty file: {:.2} s",
            dump(class_path, &empty)?
        )?;
    }
    Ok(())
}

fn recognise(value: &[u8]) -> Payload {
    match value.first_chunk() {
        Some(head) => Payload::Value(ValueId(u64::from_be_bytes(*head))),
        None => Payload::Foreign,
    }
}

fn ours(path: &Path, records: u64) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::MAX;
    let mut walker = Walker::default();
    for _ in 0..5 {
        let mut log = ReplicaLog::default();
        let before = own_seconds()?;
        walker.read_from(Offset(0), File::open(path)?, &recognise, &mut log)?;
        best = best.min(own_seconds()? - before);
        assert_eq!((log.records.len() as u64, log.damage.len()), (records, 0));
    }
    Ok(best)
}

fn dump(class_path: &str, path: &Path) -> Result<f64, Box<dyn Error>> {
    let before = children_seconds()?;
    let status = Command::new("java")
        .args(["-Xmx1g", "-cp", class_path, "kafka.tools.DumpLogSegments"])
        .args(["--deep-iteration", "--files"])
        .arg(path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    assert!(status.success(), "DumpLogSegments: {status}");
    Ok(children_seconds()? - before)
}

/// Time on a processor of this thread.
fn own_seconds() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("an empty schedstat")?;
    Ok(nanos.parse::<f64>()? / 1e9)
}

/// Time on processors of the children that have ended, in hundredths: proc(5), stat, the fields 16 and 17.
fn children_seconds() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = text.rsplit_once(") ").ok_or("a strange stat")?;
    let ticks = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

/// The segment as the only file of an image.
fn image(dir: &Path, segment: &Path) -> Result<f64, Box<dyn Error>> {
    let mut image = NewImage::new(File::create(dir.join("image.tar.zst"))?)?;
    image.directory("ledger-0")?;
    let name = format!("ledger-0/{}", file_name(Offset(0), "log"));
    image.file(&name, &std::fs::read(segment)?)?;
    image.finish()?;
    let taken = ImageTaken {
        node: NodeId(0),
        from: Mark::from_millis(0),
        to: Mark::from_millis(0),
        process: ProcessState::Gone,
        unchanged: true,
        reason: ImageReason::Final,
        file: "image.tar.zst".to_owned(),
    };
    let before = own_seconds()?;
    let read = read_image(dir, &taken, &recognise, &mut Vec::new());
    let seconds = own_seconds()? - before;
    assert!(read.is_some_and(|image| image.sound && image.logs.len() == 1));
    Ok(seconds)
}

fn write(path: &PathBuf, codec: Codec, records: u64) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(path.parent().ok_or("no directory")?)?;
    let mut file = File::create(path)?;
    let mut bytes = Vec::new();
    for first in (0..records).step_by(PER_BATCH as usize) {
        let values: Vec<[u8; VALUE]> = (first..records.min(first + PER_BATCH))
            .map(|number| value(number, codec))
            .collect();
        let records: Vec<_> = values.iter().map(|value| NewRecord::value(value)).collect();
        let mut batch = NewBatch::plain(Offset(first as i64), Epoch(0), &records);
        batch.codec = codec;
        bytes.clear();
        write_batch(&mut bytes, &batch);
        file.write_all(&bytes)?;
    }
    Ok(())
}

/// The number, then bytes that do not compress; that compress a little where there is a codec.
fn value(number: u64, codec: Codec) -> [u8; VALUE] {
    let mut value = [0; VALUE];
    value[..8].copy_from_slice(&number.to_be_bytes());
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for byte in &mut value[8..] {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = (state >> 32) as u8 & if codec == Codec::None { 0xff } else { 0x0f };
    }
    value
}
