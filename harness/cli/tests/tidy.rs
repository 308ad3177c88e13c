//! Conventions that are executed: who may import whom, how a file opens, what may not be committed.
//!
//! It reads manifests and sources as text and runs nothing. Lengths only warn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may import whom (docs/architecture.md has the reasons). Dev-dependencies are exempt.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("history", &[]),
    ("evidence", &["history"]),
    ("plan", &["history"]),
    ("cluster", &["history", "evidence", "plan"]),
    ("lab", &["history", "cluster"]),
    ("workloads", &["history", "plan"]),
    ("nemesis", &["history", "evidence", "plan", "cluster"]),
    (
        "runner",
        &[
            "history",
            "evidence",
            "plan",
            "cluster",
            "workloads",
            "nemesis",
        ],
    ),
    ("checkers", &["history", "evidence", "plan"]),
    ("report", &["history", "plan", "checkers"]),
    ("exchange", &["history", "evidence", "plan"]),
    ("campaign", &["history", "plan", "checkers"]),
    (
        "cli",
        &[
            "history",
            "evidence",
            "plan",
            "cluster",
            "lab",
            "workloads",
            "nemesis",
            "runner",
            "checkers",
            "report",
            "exchange",
            "campaign",
        ],
    ),
];

/// A file over this length probably has two nouns in it.
const LONG: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn manifest(path: &Path) -> toml::Table {
    std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Package names with their directories.
fn packages() -> BTreeMap<String, PathBuf> {
    let workspace = manifest(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"]
        .as_array()
        .expect("members");
    members
        .iter()
        .map(|member| {
            let dir = root().join(member.as_str().expect("a path"));
            let name = manifest(&dir.join("Cargo.toml"))["package"]["name"]
                .as_str()
                .map(String::from);
            (name.expect("a name"), dir)
        })
        .collect()
}

#[test]
fn imports_follow_the_table() {
    let packages = packages();
    let table: BTreeMap<&str, BTreeSet<&str>> = MAY_IMPORT
        .iter()
        .map(|(name, may)| (*name, may.iter().copied().collect()))
        .collect();
    let named: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    assert_eq!(
        named,
        table.keys().copied().collect(),
        "the table names every package, and no other"
    );
    for (name, dir) in &packages {
        let manifest = manifest(&dir.join("Cargo.toml"));
        let imports = manifest.get("dependencies").and_then(|it| it.as_table());
        for import in imports.into_iter().flat_map(|it| it.keys()) {
            if named.contains(import.as_str()) {
                assert!(
                    table[name.as_str()].contains(import.as_str()),
                    "{name} must not import {import} (docs/architecture.md)"
                );
            }
        }
        assert_eq!(
            manifest
                .get("lints")
                .and_then(|lints| lints.get("workspace")),
            Some(&toml::Value::Boolean(true)),
            "{name} takes the workspace's lints"
        );
    }
}

fn sources(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let skip = ["target", ".git", "runs"].iter().any(|it| name == *it);
        if path.is_dir() && !skip {
            sources(&path, ending, found);
        } else if path.extension().is_some_and(|it| it == ending) {
            found.push(path);
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let mut files = Vec::new();
    sources(&root(), "rs", &mut files);
    assert!(files.len() > 20, "found only {} files", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("utf-8");
        assert!(
            text.starts_with("//!"),
            "{} does not open with //!",
            file.display()
        );
        let code = text
            .split("#[cfg(test)]")
            .next()
            .unwrap_or("")
            .lines()
            .count();
        if code > LONG && !file.components().any(|part| part.as_os_str() == "tests") {
            eprintln!(
                "warning: {} has {code} lines: find its two nouns",
                file.display()
            );
        }
    }
}

#[test]
fn nothing_names_one_machine_or_a_registry() {
    // Spelt in pieces, so that this file does not convict itself.
    let forbidden = [
        ["/ro", "ot/."],
        ["/wo", "rk/"],
        ["crates", ".io"],
        ["repo.maven", ".apache"],
        ["static.", "rust-lang"],
    ]
    .map(|pieces| pieces.concat());
    let mut files = Vec::new();
    for ending in ["rs", "toml", "md", "xml", "sh", "html", "json"] {
        sources(&root(), ending, &mut files);
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for word in &forbidden {
            assert!(!text.contains(word), "{} holds `{word}`", file.display());
        }
    }
}
