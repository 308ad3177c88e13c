//! What `kafka.tools.DumpLogSegments` printed, taken apart: one line, one set of named words.
//!
//! It knows the tool's layout and nothing about files.

use std::collections::BTreeMap;

/// A dump of several files.
#[derive(Debug, Default)]
pub struct Dump {
    /// Lines that say something, by file name.
    pub files: BTreeMap<String, Vec<Line>>,
}

/// The named words of a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(BTreeMap<String, String>);

impl Dump {
    /// Takes the tool's output apart.
    pub fn parse(text: &str) -> Self {
        let mut dump = Self::default();
        let mut file = String::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("Dumping ") {
                file = name.to_owned();
                dump.files.entry(file.clone()).or_default();
            } else if !line.starts_with("Starting offset: ") && !line.ends_with(" is empty.") {
                let lines = dump.files.get_mut(&file).expect("a file before its lines");
                lines.push(Line::parse(line));
            }
        }
        dump
    }
}

impl Line {
    /// From names and words.
    pub fn of<const N: usize>(words: [(&str, String); N]) -> Self {
        Self(words.map(|(name, word)| (name.to_owned(), word)).into())
    }

    /// Adds a word.
    pub fn set(&mut self, name: &str, word: String) {
        self.0.insert(name.to_owned(), word);
    }

    fn parse(text: &str) -> Self {
        let mut line = Self::default();
        let mut rest = text.trim_start_matches("| ");
        if let Some((before, payload)) = rest.split_once(" payload: ") {
            line.set("payload", payload.to_owned());
            rest = before;
        }
        let mut words = rest.split_whitespace();
        while let Some(name) = words.next() {
            let name = name
                .strip_suffix(':')
                .unwrap_or_else(|| panic!("{name} in: {text}"));
            let word = words.next().unwrap_or_else(|| panic!("{name} in: {text}"));
            line.set(name, word.to_owned());
        }
        line
    }

    /// The same line as far as our reader keeps what it says: keys as hashes, of headers and of null
    /// values that they are there, no checksums, no sizes of fields, no times of single records.
    pub fn as_ours(&self, hash: impl Fn(&[u8]) -> u64) -> Self {
        let mut line = self.clone();
        line.0.remove("crc");
        let (Some(headers), Some(size)) = (line.0.remove("headerKeys"), line.0.remove("valueSize"))
        else {
            return line;
        };
        line.set("headers", (headers != "[]").to_string());
        line.set("null", (size == "-1").to_string());
        if let Some(key) = line.0.remove("key") {
            line.set("key", hash(key.as_bytes()).to_string());
        }
        for only_theirs in ["keySize", "CreateTime", "LogAppendTime"] {
            line.0.remove(only_theirs);
        }
        line
    }
}
