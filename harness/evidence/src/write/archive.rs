//! An image archive: the zstd-compressed tar of a node's log directory.
//!
//! Equal files in equal order give equal bytes: no times, no owners.

use std::io::{self, Write};

/// zstd's fastest ordinary level: logs are written once and read a few times.
const LEVEL: i32 = 1;

/// An archive in the making.
pub struct NewImage<W: Write> {
    tar: tar::Builder<zstd::stream::write::Encoder<'static, W>>,
}

impl<W: Write> NewImage<W> {
    /// Begins an archive.
    ///
    /// # Errors
    /// When zstd cannot begin, for want of memory.
    pub fn new(out: W) -> io::Result<Self> {
        let encoder = zstd::stream::write::Encoder::new(out, LEVEL)?;
        Ok(Self {
            tar: tar::Builder::new(encoder),
        })
    }

    /// Adds a directory, such as `ledger-0`.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn directory(&mut self, name: &str) -> io::Result<()> {
        self.entry(&format!("{name}/"), tar::EntryType::Directory, &[])
    }

    /// Adds a file, such as `ledger-0/00000000000000000000.log`.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.entry(name, tar::EntryType::Regular, bytes)
    }

    fn entry(&mut self, name: &str, kind: tar::EntryType, bytes: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_size(bytes.len() as u64);
        self.tar.append_data(&mut header, name, bytes)
    }

    /// Writes the end mark and gives back what was written to.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.tar.into_inner()?.finish()
    }
}
