//! Files to and from a host, and the scripts for that; size and SHA-256 are compared at both ends.
//!
//! Everything here runs on a lane's thread. No file is ever half there under its own name.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::cmd::Cmd;
use crate::lane::Worker;
use crate::ran::End;
use crate::ssh_exec::Order;

/// A copy may take this long; a dead peer is noticed within seconds, so this only bounds a slow one.
const COPY: Duration = Duration::from_secs(900);

/// $1 path, $2 size, $3 SHA-256, $4 mode; the bytes on standard input.
const PUT: &str = r#"t="$1.part"
mkdir -p -- "$(dirname -- "$1")" || exit 1
cat >"$t" || { rm -f -- "$t"; exit 1; }
n=$(wc -c <"$t"); h=$(sha256sum <"$t" | cut -c1-64)
if [ "$n" -ne "$2" ] || [ "$h" != "$3" ]; then
  echo "$n bytes with SHA-256 $h arrived instead of $2 bytes with $3" >&2; rm -f -- "$t"; exit 1
fi
chmod "$4" "$t" && mv -f -- "$t" "$1" || { rm -f -- "$t"; exit 1; }"#;

/// $1 path. Prints the size, a line feed, that many bytes, and their SHA-256. The file may grow
/// meanwhile: both passes read the same number of bytes.
const GET: &str = r#"[ -f "$1" ] || { echo "$1 is not there, or not a regular file" >&2; exit 1; }
n=$(stat -L -c %s -- "$1") || exit 1
echo "$n"
head -c "$n" -- "$1" || exit 1
head -c "$n" -- "$1" | sha256sum | cut -c1-64"#;

/// $1 output file, then the program and its arguments. Prints the process id once the program's
/// process leads a session of its own, so that the end of ours cannot take it along.
pub(crate) const DAEMON: &str = r#"out=$1; shift
command -v "$1" >/dev/null || { echo "$1 is not there, or not executable" >&2; exit 127; }
mkdir -p -- "$(dirname -- "$out")" || exit 1
: >>"$out" || exit 1
setsid "$@" </dev/null >>"$out" 2>&1 &
p=$!
until kill -0 -"$p" 2>/dev/null; do
  kill -0 "$p" 2>/dev/null || break
  sleep 0.01
done
echo "$p""#;

pub(crate) fn put_bytes(
    worker: &mut Worker,
    gone: &dyn Fn() -> bool,
    bytes: &[u8],
    to: &str,
    mode: u32,
) -> Result<(), String> {
    let mut from = bytes;
    put(
        worker,
        gone,
        &mut from,
        bytes.len() as u64,
        &hex(&Sha256::digest(bytes)),
        to,
        mode,
    )
}

pub(crate) fn put_file(
    worker: &mut Worker,
    gone: &dyn Fn() -> bool,
    from: &Path,
    to: &str,
    mode: u32,
) -> Result<(), String> {
    let said = |e: std::io::Error| format!("cannot read {}: {e}", from.display());
    let mut hash = Sha256::new();
    let size = std::io::copy(&mut File::open(from).map_err(said)?, &mut hash).map_err(said)?;
    let mut file = BufReader::with_capacity(256 * 1024, File::open(from).map_err(said)?);
    put(
        worker,
        gone,
        &mut file,
        size,
        &hex(&hash.finalize()),
        to,
        mode,
    )
}

fn put(
    worker: &mut Worker,
    gone: &dyn Fn() -> bool,
    from: &mut dyn Read,
    size: u64,
    digest: &str,
    to: &str,
    mode: u32,
) -> Result<(), String> {
    let cmd = Cmd::script(
        PUT,
        [
            to.to_owned(),
            size.to_string(),
            digest.to_owned(),
            format!("{mode:o}"),
        ],
    );
    let order = Order {
        words: cmd.words(""),
        stdin: Some((from, size)),
        stdout: &mut std::io::sink(),
        deadline: COPY,
        cancelled: gone,
    };
    let done = worker
        .run(order)
        .map_err(|why| format!("writing {to} {why}"))?;
    match done.end {
        End::Exit(0) => Ok(()),
        end => Err(format!(
            "writing {to} ended with {end}{}",
            tail(&done.stderr)
        )),
    }
}

pub(crate) fn get_file(
    worker: &mut Worker,
    gone: &dyn Fn() -> bool,
    from: &str,
    to: &Path,
) -> Result<u64, String> {
    let part = to.with_extension("part");
    let said = |e: std::io::Error| format!("cannot write {}: {e}", part.display());
    let mut sink = Arriving {
        file: File::create(&part).map_err(said)?,
        hash: Sha256::new(),
        head: Vec::new(),
        left: None,
        size: 0,
        tail: Vec::new(),
    };
    let got = fetch(worker, gone, from, &mut sink);
    let kept = got.and_then(|size| {
        std::fs::rename(&part, to)
            .map(|()| size)
            .map_err(|e| format!("cannot write {}: {e}", to.display()))
    });
    if kept.is_err() {
        // The error that matters is the first one; a left-over .part is overwritten by the next copy.
        let _left_over = std::fs::remove_file(&part);
    }
    kept
}

fn fetch(
    worker: &mut Worker,
    gone: &dyn Fn() -> bool,
    from: &str,
    sink: &mut Arriving,
) -> Result<u64, String> {
    let cmd = Cmd::script(GET, [from]);
    let order = Order {
        words: cmd.words(""),
        stdin: None,
        stdout: sink,
        deadline: COPY,
        cancelled: gone,
    };
    let done = worker
        .run(order)
        .map_err(|why| format!("reading {from} {why}"))?;
    if done.end != End::Exit(0) {
        return Err(format!(
            "reading {from} ended with {}{}",
            done.end,
            tail(&done.stderr)
        ));
    }
    let digest = hex(&sink.hash.finalize_reset());
    if sink.left != Some(0) || String::from_utf8_lossy(&sink.tail).trim() != digest {
        return Err(format!(
            "{from} changed while it was read: copy it again, or stop what writes to it"
        ));
    }
    Ok(sink.size)
}

/// Takes apart what [`GET`] prints.
struct Arriving {
    file: File,
    hash: Sha256,
    head: Vec<u8>,
    left: Option<u64>,
    size: u64,
    tail: Vec<u8>,
}

impl Write for Arriving {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        let Some(left) = self.left else {
            let line = part.iter().position(|b| *b == b'\n');
            self.head
                .extend_from_slice(part.get(..line.unwrap_or(part.len())).unwrap_or_default());
            if line.is_some() {
                let size = std::str::from_utf8(&self.head)
                    .ok()
                    .and_then(|t| t.trim().parse().ok());
                self.size =
                    size.ok_or_else(|| std::io::Error::other("the host printed no size"))?;
                self.left = Some(self.size);
            }
            return Ok(line.map_or(part.len(), |at| at + 1));
        };
        if left == 0 {
            self.tail
                .extend_from_slice(part.get(..part.len().min(256)).unwrap_or_default());
            return Ok(part.len());
        }
        let (content, _) =
            part.split_at(part.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        self.file.write_all(content)?;
        self.hash.update(content);
        self.left = Some(left - content.len() as u64);
        Ok(content.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The end of a standard error, as a continuation of a sentence.
pub(crate) fn tail(stderr: &[u8]) -> String {
    const SHOWN: usize = 600;
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim();
    let skip = text.chars().count().saturating_sub(SHOWN);
    let end: String = text.chars().skip(skip).collect();
    if end.is_empty() {
        String::new()
    } else {
        format!(": {}", end.replace('\n', " / "))
    }
}
