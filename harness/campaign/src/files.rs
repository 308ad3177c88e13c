//! Files of JSON that say their format: read only if this program knows it, written whole or not at
//! all. What stands in them is for their owners to know.

use std::path::Path;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned};

use crate::error::CampaignError;

/// What stands in a file's text. The format is looked at first: what else stands in a newer file is not
/// ours to understand.
///
/// # Errors
/// When it is of a newer format than `known`; when it is not understood, as `malformed` says it.
pub fn parse<T: DeserializeOwned>(
    path: &Path,
    text: &[u8],
    known: u32,
    malformed: impl Fn(String) -> CampaignError,
) -> Result<T, CampaignError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
        serde_json::from_slice(text).map_err(|why| why.to_string())
    }
    let Format { format } = read(text).map_err(&malformed)?;
    if format > known {
        return Err(CampaignError::Newer {
            path: path.to_owned(),
            format,
            known,
        });
    }
    read(text).map_err(malformed)
}

/// Writes a file, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, what: &impl Serialize) -> Result<(), CampaignError> {
    let mut text =
        serde_json::to_vec_pretty(what).map_err(|why| CampaignError::write(path, why))?;
    text.push(b'\n');
    history::rundir::write_atomically(path, &text).map_err(|why| CampaignError::write(path, why))
}
