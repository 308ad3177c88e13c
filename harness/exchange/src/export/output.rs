//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::error::ExportError;

/// What an unfinished file's or directory's name ends with.
pub(super) const UNFINISHED: &str = ".unfinished";

/// A file under another name until it is whole; gone if it never is.
pub(super) struct WholeFile {
    place: PathBuf,
    beside: PathBuf,
    /// None once it was kept.
    file: Option<BufWriter<File>>,
}

impl WholeFile {
    /// Begins a file that will be `place`, and makes the directories above it.
    pub(super) fn create(place: &Path, force: bool) -> Result<Self, ExportError> {
        if place.exists() && !force {
            return Err(ExportError::There {
                path: place.to_owned(),
            });
        }
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(UNFINISHED);
        let beside = place.with_file_name(name);
        let above = place.parent().map_or(Ok(()), fs::create_dir_all);
        let file = above
            .and_then(|()| File::create(&beside))
            .map_err(|why| ExportError::write(place, why))?;
        Ok(Self {
            place: place.to_owned(),
            beside,
            file: Some(BufWriter::with_capacity(1 << 18, file)),
        })
    }

    /// Where it will be.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Brings its bytes to the disk and gives it its name, which is returned.
    pub(super) fn keep(mut self) -> Result<PathBuf, ExportError> {
        let kept = self.flush().and_then(|()| {
            if let Some(file) = &self.file {
                file.get_ref().sync_data()?;
            }
            fs::rename(&self.beside, &self.place)
        });
        kept.map_err(|why| ExportError::write(&self.place, why))?;
        self.file = None;
        Ok(self.place.clone())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("the file was kept already")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Whoever dropped it has an error to tell that matters more than this one.
            let _gone = fs::remove_file(&self.beside);
        }
    }
}
