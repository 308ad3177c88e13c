//! Renders a `verdict.json` into a directory: `cargo run -p report --example render -- IN OUT`.
//!
//! An aid for whoever works on the page; `tidemark report RUN` is the command for everyone else.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [verdict, out] = words.as_slice() else {
        return Err("usage: render VERDICT.JSON DIRECTORY".into());
    };
    let judgement = serde_json::from_str(&std::fs::read_to_string(verdict)?)?;
    let out = Path::new(out);
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("report.html"), report::html(&judgement))?;
    std::fs::write(out.join("junit.xml"), report::junit(&judgement)?)?;
    std::fs::write(out.join("summary.md"), report::markdown(&judgement))?;
    Ok(())
}
