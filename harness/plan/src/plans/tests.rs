//! The embedded plans: each reads, is what its file name says, and is complete in the list.

use super::*;
use crate::model::Plan;

#[test]
fn every_plan_of_the_repository_is_embedded_and_reads() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plans");
    let mut files: Vec<String> = std::fs::read_dir(directory)
        .expect("the repository has plans")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .collect();
    files.sort();
    let mut names: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(names, files);
    for name in names {
        let (origin, text) = find(name).expect("it is in the list");
        let plan = Plan::parse(&text, &origin).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(plan.name, name);
        let again = plan.to_toml();
        assert_eq!(Plan::parse(&again, "again"), Ok(plan), "{again}");
    }
}

#[test]
fn an_unknown_plan_is_told_with_the_nearest_and_all_there_are() {
    let told = find("dmeo").expect_err("no such plan").to_string();
    assert!(
        told.starts_with("no plan is called `dmeo`; did you mean `demo`?\nthere are "),
        "{told}"
    );
    assert!(told.contains("`demo`"), "{told}");
    let told = find("no/such.toml").expect_err("no such file").to_string();
    assert!(
        told.starts_with("failed to read the plan no/such.toml: "),
        "{told}"
    );
}
