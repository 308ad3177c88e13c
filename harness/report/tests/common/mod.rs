//! The sample judgement and the comparison with files, for every test of this package.

use std::path::Path;

use checkers::Judgement;

/// The sample that `checkers` keeps for whoever renders a judgement.
pub fn demo() -> Judgement {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../checkers/tests/samples/demo.json");
    let text = std::fs::read_to_string(path).expect("the sample is there");
    serde_json::from_str(&text).expect("the sample is a judgement")
}

/// Compares with `tests/expected/NAME`; `UPDATE=1` writes it.
pub fn same_as_file(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/expected")
        .join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect("the file can be written");
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    let line = file.lines().zip(text.lines()).position(|(a, b)| a != b);
    assert!(
        file == text,
        "{name} differs from line {:?}; look at it, then UPDATE=1 cargo test -p report",
        line.map(|l| l + 1)
    );
}
