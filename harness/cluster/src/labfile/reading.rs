//! Lab files found and read, with what is said where one cannot be.
//!
//! What makes a file that reads well unusable is in `objection`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plan::nearest::nearest;

use super::{LabFile, objection};

/// The lab files that every build carries, by name.
pub const BUILT_IN: [(&str, &str); 2] = [
    ("centos7", include_str!("../../../../labs/centos7.toml")),
    ("local", include_str!("../../../../labs/local.toml")),
];

/// Why a lab file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabFileError {
    /// The text is not TOML, or holds a key or value that means nothing.
    #[error("{origin} line {line}: {why}")]
    Line {
        /// The file.
        origin: String,
        /// From 1.
        line: usize,
        /// What is wrong there, with the nearest known name.
        why: String,
    },
    /// It reads well but cannot be meant.
    #[error("{origin}: {why}")]
    Meaning {
        /// The file.
        origin: String,
        /// What is wrong and what to write instead.
        why: String,
    },
    /// No file could be read there.
    #[error("cannot read the lab file {path}: {why}")]
    Unreadable {
        /// Where it was looked for.
        path: String,
        /// The system's words.
        why: String,
    },
    /// No lab of that name.
    #[error("there is no lab `{name}`; {hint}labs here: {known} (or give the path of a lab file)")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest name, as a question, or nothing.
        hint: String,
        /// All names, comma-separated.
        known: String,
    },
}

impl LabFile {
    /// Reads a lab file's text. `origin` names it in errors.
    ///
    /// # Errors
    /// With the line, and for a misspelt key the nearest known one.
    pub fn parse(text: &str, origin: &str) -> Result<Self, LabFileError> {
        let mut lab: LabFile = toml::from_str(text).map_err(|e| located(text, origin, &e))?;
        lab.hosts.sort_by_key(|h| h.node);
        lab.login.key = lab.login.key.map(|p| home(&p));
        lab.login.known_hosts = lab.login.known_hosts.map(|p| home(&p));
        if let Some(jump) = &mut lab.login.jump {
            jump.key = jump.key.take().map(|p| home(&p));
        }
        for release in &mut lab.kafka {
            if release.tarball.starts_with("~/") {
                release.tarball = home(Path::new(&release.tarball)).display().to_string();
            }
        }
        match objection::of(&lab) {
            None => Ok(lab),
            Some(why) => Err(LabFileError::Meaning {
                origin: origin.to_owned(),
                why,
            }),
        }
    }
}

/// Finds a lab by name (`labs/<name>.toml` here, else built in) or by the path of its file.
///
/// # Errors
/// An unknown name (with those that exist and the nearest), an unreadable or bad file, or a file
/// that still holds the addresses reserved for documentation.
pub fn find(name_or_path: &str) -> Result<LabFile, LabFileError> {
    let as_path = name_or_path.contains('/') || name_or_path.ends_with(".toml");
    let path = match as_path {
        true => home(Path::new(name_or_path)),
        false => Path::new("labs").join(format!("{name_or_path}.toml")),
    };
    let origin = path.display().to_string();
    let lab = match std::fs::read_to_string(&path) {
        Ok(text) => LabFile::parse(&text, &origin)?,
        Err(e) if as_path => {
            return Err(LabFileError::Unreadable {
                path: origin,
                why: e.to_string(),
            });
        }
        Err(_) => match BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            Some((name, text)) => LabFile::parse(text, &format!("built-in lab {name}"))?,
            None => return Err(unknown(name_or_path)),
        },
    };
    match lab.hosts.iter().find(|h| h.address.starts_with("192.0.2.")) {
        None => Ok(lab),
        Some(host) => Err(LabFileError::Meaning {
            origin,
            why: format!(
                "{} still has the address {}, which is reserved for documentation; write your \
                 hosts' own addresses (the file's comments say what else to fill in)",
                host.node, host.address
            ),
        }),
    }
}

fn unknown(name: &str) -> LabFileError {
    let mut known: BTreeSet<String> = BUILT_IN.iter().map(|(n, _)| (*n).to_owned()).collect();
    for entry in std::fs::read_dir("labs").into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|x| x == "toml") {
            known.extend(path.file_stem().map(|s| s.to_string_lossy().into_owned()));
        }
    }
    LabFileError::Unknown {
        name: name.to_owned(),
        hint: nearest(name, known.iter().map(String::as_str))
            .map_or_else(String::new, |n| format!("did you mean `{n}`? ")),
        known: known.into_iter().collect::<Vec<_>>().join(", "),
    }
}

/// Gives a TOML error its line and, for a name that serde does not know, the nearest that it does.
fn located(text: &str, origin: &str, error: &toml::de::Error) -> LabFileError {
    let at = error.span().map_or(0, |s| s.start).min(text.len());
    let line = text.as_bytes()[..at]
        .iter()
        .filter(|b| **b == b'\n')
        .count()
        + 1;
    let message = error.message().trim().replace('\n', "; ");
    // serde: "unknown field `adress`, expected one of `node`, `name`, ...".
    let mut quoted = message.split('`').skip(1).step_by(2);
    let hint = match (message.starts_with("unknown "), quoted.next()) {
        (true, Some(word)) => nearest(word, quoted),
        _ => None,
    };
    LabFileError::Line {
        origin: origin.to_owned(),
        line,
        why: match hint {
            Some(known) => format!("{message}; did you mean `{known}`?"),
            None => message.clone(),
        },
    }
}

/// `~/x` as the caller's home has it.
fn home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.to_owned(),
    }
}
