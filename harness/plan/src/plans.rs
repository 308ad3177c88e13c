//! The plans that the product brings along, and plans in files.
//!
//! Embedded, so that an installed binary works outside a checkout. Only texts are handed out here;
//! reading them is `Plan::parse`.

use crate::error::PlanError;
use crate::nearest::nearest;

macro_rules! embedded {
    ($($dir:literal: $($name:literal),* ;)*) => {
        &[$($((
            $name,
            concat!("plans/", $dir, $name, ".toml"),
            include_str!(concat!("../../../plans/", $dir, $name, ".toml")),
        )),*),*]
    };
}

/// Every embedded plan: its name, where it lies in the repository, its text.
pub const EMBEDDED: &[(&str, &str, &str)] = embedded![
    "":
        "demo",
        "smoke",
        "quiet",
        "standard-storm",
        "transactions",
        "exactly-once",
        "every-fault",
        "canary-kip101",
        "canary-kip101-default",
        "bench-workload";
    "known/":
        "last-replica-standing",
        "last-replica-flushed",
        "kip279-epoch-hole",
        "kip279-epoch-hole-default",
        "unclean-election",
        "duplicates-without-idempotence",
        "dirty-high-watermark",
        "cleaner-above-hw";
];

/// The text of a plan and what errors should call it, by an embedded plan's name (`demo`) or by a
/// path (anything with a `/` or ending in `.toml`).
///
/// # Errors
/// [`PlanError::NoSuchPlan`] with the nearest name and all names; [`PlanError::Unreadable`].
pub fn find(name_or_path: &str) -> Result<(String, String), PlanError> {
    if name_or_path.contains('/') || name_or_path.ends_with(".toml") {
        return read(
            "plan",
            EMBEDDED.iter().map(|(name, _, _)| *name),
            name_or_path,
        );
    }
    let names = EMBEDDED.iter().map(|(name, _, _)| *name);
    match EMBEDDED.iter().find(|(name, _, _)| *name == name_or_path) {
        Some((_, origin, text)) => Ok(((*origin).to_owned(), (*text).to_owned())),
        None => Err(PlanError::NoSuchPlan {
            name: name_or_path.to_owned(),
            near: nearest(name_or_path, names.clone()).map(str::to_owned),
            known: names.collect(),
        }),
    }
}

/// The text of a plan's or a suite's file, and its path for errors; `names` need no file.
pub(crate) fn read(
    what: &'static str,
    names: impl Iterator<Item = &'static str>,
    path: &str,
) -> Result<(String, String), PlanError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((path.to_owned(), text)),
        Err(why) => Err(PlanError::Unreadable {
            what,
            path: path.to_owned(),
            why: unreadable(what, names, &why),
        }),
    }
}

/// The system's words, and what to give instead.
fn unreadable(
    what: &str,
    names: impl Iterator<Item = &'static str>,
    why: &std::io::Error,
) -> String {
    use std::io::ErrorKind::{InvalidData, IsADirectory, NotFound};
    let remedy = match why.kind() {
        IsADirectory => format!("name one of the {what}s in it"),
        NotFound => {
            let names: Vec<&str> = names.collect();
            format!("{what}s that need no file are {}", names.join(", "))
        }
        InvalidData => format!("a {what} is a TOML file"),
        _ => return why.to_string(),
    };
    format!("{why}; {remedy}")
}

#[cfg(test)]
mod tests;
