//! What docs/guarantees.md lists is what is judged: every guarantee in its order and with its
//! sentence, every class of a finding, every premise, and files of tests of which one names the
//! guarantee.
//!
//! Sources and documents are compared as text. That a description is true no test can tell.

use std::path::{Path, PathBuf};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn doc() -> String {
    text(&here().join("../docs/guarantees.md"))
}

/// The first cell's name and the other cells of each row between two headings.
fn rows(doc: &str, from: &str, to: &str) -> Vec<Vec<String>> {
    let doc = doc.split_once(from).expect("the first heading").1;
    let doc = doc.split_once(to).expect("the second heading").0;
    doc.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells
                .map(|cell| cell.trim().trim_matches('`').to_owned())
                .collect()
        })
        .collect()
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("{from}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("{to}")).0
}

/// Name and sentence of each guarantee, in the order of `ALL`.
fn judged() -> Vec<(String, String)> {
    let dir = here().join("src/guarantees");
    let all = text(&dir.join("mod.rs"));
    between(&all, "pub const ALL: &[&Check] = &[", "];")
        .split(',')
        .filter_map(|entry| entry.trim().strip_prefix('&'))
        .map(|entry| {
            let (module, constant) = entry.split_once("::").expect("module::CONSTANT");
            let source = text(&dir.join(format!("{module}.rs")));
            let check = between(&source, &format!("pub const {constant}: Check"), "};");
            let field = |name: &str| between(check, &format!("{name}: \""), "\",").to_owned();
            (field("name"), field("sentence"))
        })
        .collect()
}

#[test]
fn every_guarantee_is_listed_with_its_sentence() {
    let listed: Vec<(String, String)> = rows(&doc(), "\n## Loss\n", "\n## Contract\n")
        .into_iter()
        .map(|cells| (cells[0].clone(), cells[1].clone()))
        .collect();
    let judged = judged();
    assert!(judged.len() > 30, "found only {} guarantees", judged.len());
    assert_eq!(listed, judged);
}

#[test]
fn every_guarantee_has_the_tests_that_are_listed() {
    for cells in rows(&doc(), "\n## Loss\n", "\n## Contract\n") {
        assert_eq!(cells.len(), 6, "{} has a cell for each heading", cells[0]);
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{cells:?}");
        // A file may take the name from another one's constant.
        let named = cells[5].split(", ").map(|file| {
            let path = here().join(format!("tests/guarantees/{file}.rs"));
            text(&path).contains(&format!("\"{}\"", cells[0]))
        });
        assert!(
            named.fold(false, |a, b| a | b),
            "no test names {}",
            cells[0]
        );
    }
}

#[test]
fn every_class_is_listed() {
    let source = text(&here().join("src/judgement/finding.rs"));
    let mut classes: Vec<String> = between(&source, "pub enum Class {", "\n}")
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .filter(|line| line.chars().all(char::is_alphanumeric))
        .map(kebab)
        .collect();
    assert!(classes.len() > 10, "found only {classes:?}");
    let listed = rows(&doc(), "\n## Causes\n", "\n## Premises\n");
    let mut listed: Vec<String> = listed.into_iter().map(|cells| cells[0].clone()).collect();
    classes.sort();
    listed.sort();
    assert_eq!(listed, classes);
}

#[test]
fn every_premise_is_listed() {
    let source = text(&here().join("src/premises/mod.rs"));
    let rules = between(&source, "const RULES: [Rule;", "\n];");
    // What is looked at topic by topic stands apart.
    let load = between(&source, ".chain([(", ")]);");
    let quoted = rules.split('"').skip(1).step_by(2);
    let quoted: Vec<&str> = quoted.chain(load.split('"').skip(1).step_by(2)).collect();
    assert!(quoted.len() > 20, "found only {quoted:?}");
    let listed = rows(&doc(), "\n## Premises\n", "\n## Accounting\n");
    let listed: Vec<&str> = listed.iter().flatten().map(String::as_str).collect();
    assert_eq!(listed, quoted);
}

/// `AboveHw` as it is printed: `above-hw`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
