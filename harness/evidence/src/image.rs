//! Reads an image archive, the zstd-compressed tar of a node's log directory, into an [`Image`].
//!
//! It judges nothing. Files that Kafka has marked for deletion, or not finished, are named and not
//! read. No file is held in memory whole; what stays is in proportion to batches and records.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use history::{ImageTaken, Offset, Partition};

use crate::batch::Recognise;
use crate::checkpoint::{self, Parsed};
use crate::model::{Image, Unreadable};
use crate::parts::{Kind, Parts};
use crate::segment::Walker;

/// Largest entry that is read: `log.segment.bytes` is an int, and a segment may exceed it by nothing.
const ENTRY_MAX: u64 = i32::MAX as u64;

/// Reads the archive of `taken` below the run directory. An archive that cannot be opened gives no
/// image; one that breaks off gives what could be read, which is then not sound.
pub fn read_image(
    run_dir: &Path,
    taken: &ImageTaken,
    recognise: Recognise<'_>,
    unreadable: &mut Vec<Unreadable>,
) -> Option<Image> {
    let opened = File::open(run_dir.join(&taken.file)).and_then(zstd::stream::read::Decoder::new);
    let decoder = match opened {
        Ok(decoder) => decoder,
        Err(error) => {
            unreadable.push(Unreadable {
                file: taken.file.clone(),
                why: error.to_string(),
            });
            return None;
        }
    };
    let mut reading = Reading::new(taken, recognise, unreadable);
    reading.archive(BufReader::with_capacity(1 << 16, decoder));
    Some(reading.finish())
}

/// An archive half read.
struct Reading<'a> {
    image: Image,
    /// Files come in the archive's order; they are joined at the end.
    parts: BTreeMap<Partition, Parts>,
    leftovers: BTreeSet<String>,
    walker: Walker,
    recognise: Recognise<'a>,
    unreadable: &'a mut Vec<Unreadable>,
    /// Whether a checkpoint of recovery points was there.
    recovery_read: bool,
}

impl<'a> Reading<'a> {
    fn new(
        taken: &ImageTaken,
        recognise: Recognise<'a>,
        unreadable: &'a mut Vec<Unreadable>,
    ) -> Self {
        let image = Image {
            node: taken.node,
            from: taken.from,
            to: taken.to,
            process: taken.process,
            sound: taken.sound(),
            reason: taken.reason.clone(),
            file: taken.file.clone(),
            hw_checkpoint: BTreeMap::new(),
            recovery_point: BTreeMap::new(),
            log_start: BTreeMap::new(),
            clean_shutdown: false,
            leftovers: Vec::new(),
            logs: BTreeMap::new(),
        };
        Self {
            image,
            parts: BTreeMap::new(),
            leftovers: BTreeSet::new(),
            walker: Walker::default(),
            recognise,
            unreadable,
            recovery_read: false,
        }
    }

    fn archive(&mut self, from: impl Read) {
        let mut archive = tar::Archive::new(Watched { from, ended: false });
        let entries = match archive.entries() {
            Ok(entries) => entries,
            Err(error) => return self.broken("", error.to_string()),
        };
        for entry in entries {
            let (name, done) = match entry {
                Ok(mut entry) => {
                    let name = name(&entry);
                    let done = self.entry(&name, &mut entry);
                    (name.join("/"), done)
                }
                Err(error) => (String::new(), Err(error.to_string())),
            };
            if let Err(why) = done {
                return self.broken(&name, why);
            }
        }
        // An archive ends with a block of zeroes. Whoever meets the end of the file first reads a
        // shorter archive, and the reader of tar files does not mind.
        if archive.into_inner().ended {
            self.broken("", "it has no end mark".to_owned());
        }
    }

    /// The archive breaks off: what it does not show may still have been there.
    fn broken(&mut self, name: &str, why: String) {
        self.image.sound = false;
        self.complain(name, format!("the archive breaks off: {why}"));
    }

    fn complain(&mut self, name: &str, why: String) {
        let file = match name {
            "" => self.image.file.clone(),
            name => format!("{}:{name}", self.image.file),
        };
        self.unreadable.push(Unreadable { file, why });
    }

    fn entry<R: Read>(
        &mut self,
        name: &[String],
        entry: &mut tar::Entry<'_, R>,
    ) -> Result<(), String> {
        let is_dir = entry.header().entry_type().is_dir();
        match name {
            [one] if is_dir => {
                if let Some(partition) = self.partition(one) {
                    self.parts.entry(partition).or_default();
                }
            }
            [file] => self.root_file(file, entry)?,
            [parent, file] => {
                let size = entry.size();
                let name = name.join("/");
                if size > ENTRY_MAX {
                    self.image.sound = false;
                    self.complain(&name, format!("{size} bytes, {ENTRY_MAX} are read at most"));
                } else if let Some(partition) = self.partition(parent) {
                    let parts = self.parts.entry(partition).or_default();
                    let reading = (&mut self.walker, self.recognise);
                    for why in partition_file(parts, file, entry, reading)? {
                        self.complain(&name, why);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whose files a directory holds; one that is no partition's is named as a leftover.
    fn partition(&mut self, dir: &str) -> Option<Partition> {
        let partition = Partition::from_dir_name(dir);
        if partition.is_none() {
            self.leftovers.insert(dir.to_owned());
        }
        partition
    }

    fn root_file(&mut self, file: &str, entry: &mut impl Read) -> Result<(), String> {
        let map = match file {
            "replication-offset-checkpoint" => &mut self.image.hw_checkpoint,
            "recovery-point-offset-checkpoint" => {
                self.recovery_read = true;
                &mut self.image.recovery_point
            }
            "log-start-offset-checkpoint" => &mut self.image.log_start,
            ".kafka_cleanshutdown" => {
                self.image.clean_shutdown = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        let Parsed { value, complaints } = checkpoint::offsets(&text(entry)?);
        *map = value;
        for why in complaints {
            self.complain(file, why);
        }
        Ok(())
    }

    fn finish(self) -> Image {
        let mut image = self.image;
        image.leftovers = self.leftovers.into_iter().collect();
        for (partition, parts) in self.parts {
            // No entry means 0 to Kafka (LogManager): nothing of this log was flushed for certain.
            let point = image.recovery_point.get(&partition).copied();
            let point = self.recovery_read.then(|| point.unwrap_or(Offset(0)));
            image
                .logs
                .insert(partition, parts.finish(point, image.clean_shutdown));
        }
        image
    }
}

/// Takes in one file of a partition's directory; gives what could not be read in it.
fn partition_file<R: Read>(
    parts: &mut Parts,
    file: &str,
    entry: &mut tar::Entry<'_, R>,
    (walker, recognise): (&mut Walker, Recognise<'_>),
) -> Result<Vec<String>, String> {
    let size = entry.size();
    match (file, Kind::of(file)) {
        ("leader-epoch-checkpoint", _) => {
            let Parsed { value, complaints } = checkpoint::epochs(&text(entry)?);
            parts.log.epochs = value;
            return Ok(complaints);
        }
        ("partition.metadata", _) => match checkpoint::topic_id(&text(entry)?) {
            Ok(id) => parts.log.topic_id = Some(id),
            Err(why) => return Ok(vec![why]),
        },
        (_, Kind::Segment(base)) => parts.segment(base, entry, size, walker, recognise)?,
        (_, Kind::Side(kind, offset)) => parts.side(kind, offset, entry, size)?,
        (_, Kind::Leftover) => {
            parts.log.leftovers.push(file.to_owned());
            if file.ends_with(".log") {
                return Ok(vec!["its name is no base offset".to_owned()]);
            }
        }
    }
    Ok(Vec::new())
}

/// Remembers whether the end of the file was met.
struct Watched<R> {
    from: R,
    ended: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.ended |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

/// A name's parts, without a leading `./`.
fn name<R: Read>(entry: &tar::Entry<'_, R>) -> Vec<String> {
    let path = entry.path_bytes();
    let path = String::from_utf8_lossy(&path).into_owned();
    Path::new(&path)
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::ParentDir => None,
        })
        .collect()
}

/// A small text file; what is not UTF-8 is replaced, and will be complained about as an entry.
fn text(entry: &mut impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    entry
        .take(64 << 20)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
