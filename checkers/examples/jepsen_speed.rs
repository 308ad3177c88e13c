//! How fast a foreign history is read and judged by Jepsen's rules: operations (lines of the
//! history) per second of processor time, the reading of the text included. One thread does it all.
//!
//! `cargo run --release -p checkers --example jepsen_speed -- [OPERATIONS] [FILE]` writes such a
//! history to the file (a temporary one unless it is named), then reads and judges it three times.
//! Then it does the same with offsets from 2^50 on, with gaps of a million between them, and with more
//! and more records that stand twice, and prints what the judging costs beside the first. Larger
//! numbers are longer texts: reading is told apart. Nothing is asserted: figures are printed.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use checkers::jepsen::{Asked, judge_as_jepsen};

const KEYS: usize = 10;
const SENDERS: usize = 4;
const READERS: usize = 2;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let count: u64 = args
        .next()
        .map_or(1_000_000, |text| text.parse().unwrap_or(1_000_000));
    let named = args.next().map(PathBuf::from);
    let path = named.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("tidemark-jepsen-{}.edn", std::process::id()))
    });
    let mut first = None;
    for shape in SHAPES {
        write(&mut BufWriter::new(File::create(&path)?), count, &shape)?;
        let judging = best_of_three(&path, count, &shape)?;
        let beside = judging / *first.get_or_insert(judging);
        println!("    judging: {judging:.3} s, {beside:.2} times the first");
    }
    if named.is_none() {
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

/// What offsets look like, and how many records stand twice.
struct Shape {
    name: &'static str,
    /// The first offset of each key.
    first: u64,
    /// From one record to the next; twice that for every other one.
    gap: u64,
    /// Of so many records one stands twice.
    twice: Option<u64>,
}

const PLAIN: Shape = Shape {
    name: "plain",
    first: 0,
    gap: 1,
    twice: None,
};

const SHAPES: [Shape; 6] = [
    PLAIN,
    Shape {
        name: "offsets from 2^50 on",
        first: 1 << 50,
        ..PLAIN
    },
    Shape {
        name: "gaps of a million",
        gap: 1_000_000,
        ..PLAIN
    },
    Shape {
        name: "one of 1000 stands twice",
        twice: Some(1000),
        ..PLAIN
    },
    Shape {
        name: "one of 100 stands twice",
        twice: Some(100),
        ..PLAIN
    },
    Shape {
        name: "one of 10 stands twice",
        twice: Some(10),
        ..PLAIN
    },
];

/// Seconds of judging, without the reading.
fn best_of_three(path: &Path, count: u64, shape: &Shape) -> Result<f64> {
    let bytes = std::fs::metadata(path)?.len();
    println!("{}: {count} operations, {bytes} bytes", shape.name);
    let mut best = f64::MAX;
    for _ in 0..3 {
        let begun = spent()?;
        let history = exchange::foreign::read(File::open(path)?).map_err(std::io::Error::other)?;
        let read = spent()? - begun;
        let ww_deps = std::env::var_os("WW_DEPS").is_some();
        let verdict = judge_as_jepsen(
            &history,
            Asked {
                ww_deps,
                subscribed: None,
            },
        );
        let whole = (spent()? - begun).as_secs_f64();
        let errors: Vec<_> = verdict.errors().collect();
        println!(
            "read {:.2} s, whole {whole:.2} s: {:.0} operations/s, {:?} {errors:?}",
            read.as_secs_f64(),
            count as f64 / whole,
            verdict.valid,
        );
        best = best.min(whole - read.as_secs_f64());
    }
    Ok(best)
}

/// The processor time that this thread has had: other load on the machine does not count.
fn spent() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().and_then(|text| text.parse().ok());
    nanos
        .map(Duration::from_nanos)
        .ok_or_else(|| std::io::Error::other("no schedstat"))
}

/// Rounds of four senders and two readers at once; every value is read by both readers, a third of
/// the offsets are taken by markers that nobody sees.
fn write(out: &mut impl Write, count: u64, shape: &Shape) -> Result<()> {
    let mut index = 0;
    let mut next_offset = [shape.first; KEYS];
    let mut log: Vec<Vec<(u64, u64)>> = vec![Vec::new(); KEYS];
    let mut readers = [[0_usize; KEYS]; READERS];
    let mut values = [0_u64; KEYS];
    let mut round = 0_usize;
    while index < count {
        let mut lines: Vec<(String, String)> = Vec::new();
        for sender in 0..SENDERS {
            let key = (round * SENDERS + sender * 3) % KEYS;
            values[key] += 1;
            let (value, offset) = (values[key], next_offset[key]);
            next_offset[key] += shape.gap * (1 + u64::from(value.is_multiple_of(2)));
            lines.push((
                format!(":f :send, :value [[:send {key} {value}]]"),
                format!(":f :send, :value [[:send {key} [{offset} {value}]]]"),
            ));
            log[key].push((offset, value));
            if shape.twice.is_some_and(|each| value.is_multiple_of(each)) {
                log[key].push((next_offset[key], value));
                next_offset[key] += shape.gap;
            }
        }
        for reader in &mut readers {
            let mut found = Vec::new();
            for (key, at) in reader.iter_mut().enumerate() {
                let records = log[key][*at..].iter().map(|(o, v)| format!("[{o} {v}]"));
                let records: Vec<String> = records.collect();
                *at = log[key].len();
                if !records.is_empty() {
                    found.push(format!("{key} [{}]", records.join(" ")));
                }
            }
            lines.push((
                ":f :poll, :value [[:poll]]".to_owned(),
                format!(":f :poll, :value [[:poll {{{}}}]]", found.join(", ")),
            ));
        }
        for (process, (invoked, _)) in lines.iter().enumerate() {
            let time = index * 1000;
            writeln!(
                out,
                "{{:index {index}, :time {time}, :type :invoke, :process {process}, {invoked}}}"
            )?;
            index += 1;
        }
        for (process, (_, completed)) in lines.iter().enumerate() {
            let time = index * 1000;
            writeln!(
                out,
                "{{:index {index}, :time {time}, :type :ok, :process {process}, {completed}}}"
            )?;
            index += 1;
        }
        round += 1;
    }
    out.flush()
}
