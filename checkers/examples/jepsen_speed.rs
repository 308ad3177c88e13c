//! How fast a foreign history is read and judged by Jepsen's rules: operations (lines of the
//! history) per second of processor time, the reading of the text included. One thread does it all.
//!
//! `cargo run --release -p checkers --example jepsen_speed -- [OPERATIONS] [FILE]` writes such a
//! history to the file (a temporary one unless it is named), then reads and judges it three times.
//! Nothing is asserted: a figure is printed.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::PathBuf;
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
    write(&mut BufWriter::new(File::create(&path)?), count)?;
    let bytes = std::fs::metadata(&path)?.len();
    println!("{count} operations, {bytes} bytes");
    for _ in 0..3 {
        let begun = spent()?;
        let history = exchange::foreign::read(File::open(&path)?).map_err(std::io::Error::other)?;
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
    }
    if named.is_none() {
        std::fs::remove_file(&path)?;
    }
    Ok(())
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
fn write(out: &mut impl Write, count: u64) -> Result<()> {
    let mut index = 0;
    let mut next_offset = [0_u64; KEYS];
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
            next_offset[key] += 1 + u64::from(value % 2 == 0);
            lines.push((
                format!(":f :send, :value [[:send {key} {value}]]"),
                format!(":f :send, :value [[:send {key} [{offset} {value}]]]"),
            ));
            log[key].push((offset, value));
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
