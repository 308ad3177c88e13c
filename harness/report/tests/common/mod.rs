//! Judgements to render, the comparison with files, and a small reader of tags.

#![allow(
    dead_code,
    reason = "each test file is a crate of its own and uses part of this"
)]

use std::path::Path;

use checkers::Judgement;
use serde_json::Value;

/// The sample that `checkers` keeps for whoever renders a judgement.
pub fn demo() -> Judgement {
    serde_json::from_value(demo_json()).expect("the sample is a judgement")
}

/// The sample as JSON, for changing it.
pub fn demo_json() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../checkers/tests/samples/demo.json");
    let text = std::fs::read_to_string(path).expect("the sample is there");
    serde_json::from_str(&text).expect("the sample is JSON")
}

/// Changes the text of every field that holds free text; words that name a variant stay.
pub fn change_text(value: &mut Value, change: &impl Fn(&str) -> String) {
    const VARIANTS: [&str; 8] = [
        "is", "how", "role", "standing", "class", "group", "fold", "wanted",
    ];
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| change_text(item, change)),
        Value::Object(fields) => fields
            .iter_mut()
            .filter(|(name, _)| !VARIANTS.contains(&name.as_str()))
            .for_each(|(_, field)| change_text(field, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Compares with `tests/expected/NAME`, one tag a line so that a change can be read; `UPDATE=1`
/// writes it.
pub fn same_as_file(name: &str, text: &str) {
    let text = &text.replace("><", ">\n<");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/expected")
        .join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect("the file can be written");
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    let line = file.lines().zip(text.lines()).position(|(a, b)| a != b);
    assert!(
        file == *text,
        "{name} differs from line {:?}; look at it, then UPDATE=1 cargo test -p report",
        line.map(|l| l + 1)
    );
}

/// A tag as it stands in a page: its name, and whether it opens, closes or stands alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// `details`.
    pub name: String,
    /// All between its brackets.
    pub inner: String,
    /// `</details>`.
    pub closes: bool,
}

/// Every tag in order. Attribute values hold no `>`: maud escapes it, and this asserts it.
pub fn tags(page: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("every tag ends");
        let inner = &rest[start + 1..end];
        assert!(!inner.contains('<'), "a tag inside a tag: {inner}");
        assert!(
            inner.matches('"').count().is_multiple_of(2),
            "quotes do not pair: {inner}"
        );
        let closes = inner.starts_with('/');
        let name = inner.trim_start_matches('/');
        let name = name.split([' ', '/']).next().unwrap_or_default();
        tags.push(Tag {
            name: name.to_owned(),
            inner: inner.to_owned(),
            closes,
        });
        rest = &rest[end + 1..];
    }
    tags
}

/// Panics unless every tag that opens is closed in its turn.
pub fn assert_balanced(page: &str) {
    const ALONE: [&str; 4] = ["!DOCTYPE", "meta", "?xml", "br"];
    let mut open = Vec::new();
    for tag in tags(page) {
        if tag.closes {
            assert_eq!(open.pop(), Some(tag.name.clone()), "closing {tag:?}");
        } else if !ALONE.contains(&tag.name.as_str()) && !tag.inner.ends_with('/') {
            open.push(tag.name);
        }
    }
    assert_eq!(open, Vec::<String>::new(), "left open");
}

/// The values of one attribute over the whole page.
pub fn attributes(page: &str, name: &str) -> Vec<String> {
    let needle = format!(" {name}=\"");
    tags(page)
        .iter()
        .filter_map(|tag| {
            let start = tag.inner.find(&needle)? + needle.len();
            let end = start + tag.inner[start..].find('"')?;
            Some(tag.inner[start..end].to_owned())
        })
        .collect()
}
