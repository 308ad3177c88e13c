//! The published schema is the schema of what is written.

use std::path::Path;

#[test]
fn the_published_schema_is_that_of_the_verdict() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verdict.schema.json");
    let schema = report::verdict_schema();
    if std::env::var_os("UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        std::fs::write(&path, text).expect("the schema can be written");
    }
    let text = std::fs::read_to_string(&path).expect("docs/verdict.schema.json is there");
    // Compared as values: the order of keys depends on features of the JSON library, not on us.
    let published: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert!(
        published == schema,
        "docs/verdict.schema.json is not the schema of a judgement; UPDATE=1 cargo test -p report writes it"
    );
}
