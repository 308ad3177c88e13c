//! Judgements in, text out: what people and machines are shown, compared with files.
//!
//! `UPDATE=1 cargo test -p report` writes the files again.

mod common;

use common::{demo, same_as_file};

#[test]
fn the_demo_is_rendered_as_the_files_say() {
    let j = demo();
    same_as_file("demo.html", &report::html(&j));
    same_as_file(
        "demo.junit.xml",
        &report::junit(&j).expect("it can be written"),
    );
    same_as_file("demo.md", &report::markdown(&j));
}
