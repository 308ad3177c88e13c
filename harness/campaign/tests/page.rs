//! The page of sixty synthetic nights: what it says first, what it links to, how large it is.
//!
//! It is left in the target's scratch directory (`nights.html`, `void.html`, `held.html`) to be
//! looked at.

mod common;
#[path = "common/noise.rs"]
mod noise;
#[path = "common/synthetic.rs"]
mod synthetic;

use std::path::Path;
use std::sync::OnceLock;

use campaign::{Index, Night, page};

/// Writes nights and the report of each run, indexes them and makes the page.
fn paged(name: &str, nights: &[Night]) -> String {
    let results = tempfile::tempdir().expect("a directory");
    for night in nights {
        night.write(results.path()).expect("written");
    }
    for run in page::linked(nights) {
        let dir = results.path().join("runs").join(run);
        std::fs::create_dir_all(dir.join("history")).expect("made");
        std::fs::write(dir.join("report.html"), "a report").expect("written");
    }
    let mut index = Index::open(results.path()).expect("an index");
    let found = index.refresh(results.path()).expect("refreshed");
    assert_eq!(
        (found.nights, found.unread.as_slice()),
        (nights.len(), &[][..])
    );
    let written = page::write(results.path(), &index, &found.unread, Some(28_800_000_000));
    let text = std::fs::read_to_string(written.expect("a page").path).expect("read");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(kept, &text).expect("written");
    text
}

/// The page of all sixty, made once.
fn sixty() -> &'static str {
    static PAGE: OnceLock<String> = OnceLock::new();
    PAGE.get_or_init(|| paged("nights.html", &synthetic::nights()))
}

/// The page without its marks, on one line.
fn words(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn sixty_nights_fit_into_a_megabyte() {
    let text = sixty();
    println!("{} bytes", text.len());
    assert!(text.len() < 1_000_000, "{} bytes", text.len());
    // And it is not small because it shows nothing.
    assert!(text.matches("class=\"c ").count() > 370, "cells");
    assert!(text.matches("<svg").count() > 40, "drawings");
}

#[test]
fn what_broke_since_when_how_much_and_how_again_come_first() {
    let text = sixty();
    let band = text.split("<section").next().expect("a band");
    let said = words(band);
    for wanted in [
        "Broken. cut-off-leader: ledger/0 @8059: 1 acknowledged record lost below the high watermark, \
         for the second time in 3 nights (first on 20 Nov).",
        "night of 22 Nov, ended 04:08 UTC",
        "canary convicted, calm run held",
        "records examined",
        "11 of 12 runs judged in 58 min of 60 min",
        "next night 23 Nov 03:10 UTC",
        "tidemark run cut-off-leader --lab centos7 --seed 20261122",
        "Not judged: standard-storm (4 min of the budget were left).",
        "Changed: cut-off-leader, longest gap without an ack, acks=all (isolate): +45 % (6.21 s → 8.98 s) since 20 Nov.",
    ] {
        assert!(said.contains(wanted), "`{wanted}` is missing in:\n{said}");
    }
    assert!(band.contains("href=\"runs/night59-cut-off-leader-0/report.html\""));
}

#[test]
fn one_cause_is_told_once_with_the_version_that_it_came_with() {
    let text = words(sixty());
    let broken = text
        .split("Broken, grouped by cause")
        .nth(1)
        .expect("a section");
    let broken = broken.split("Changes").next().expect("its end");
    assert!(
        broken.contains(
            "acked-lost-below-hw, ledger after isolate, 20 Nov and 22 Nov 2 runs, 1 cause"
        ),
        "{broken}"
    );
    assert!(
        broken.contains("First seen on the night that Kafka 3.0.1 came in."),
        "{broken}"
    );
    assert!(
        !broken.contains("last-replica-standing"),
        "what must break is no news"
    );
}

#[test]
fn the_harness_tells_on_itself() {
    let text = words(sixty());
    let harness = text.split("The harness itself").nth(1).expect("a section");
    assert!(
        harness.contains("proved ineffective, its process had died"),
        "{harness}"
    );
    assert!(harness.contains("did not run1standard-storm"), "{harness}");
    assert!(harness.contains("28.8 GB free"), "{harness}");
}

#[test]
fn a_void_night_is_loud_and_counts_for_nothing() {
    let nights: Vec<Night> = synthetic::nights().into_iter().take(51).collect();
    let text = paged("void.html", &nights);
    let said = words(text.split("<section").next().expect("a band"));
    assert!(said.contains("Void. Nothing that this night says counts: the canary (canary-kip101) must be convicted and came out held"), "{said}");
    assert!(said.contains("canary not convicted"), "{said}");
    assert!(said.contains("tidemark run canary-kip101"), "{said}");
    assert!(text.contains("class=\"band void-edge\""));
    assert!(text.contains("<th class=\"void\""));
}

#[test]
fn a_good_night_says_so_and_a_deleted_run_is_no_link() {
    let nights: Vec<Night> = synthetic::nights().into_iter().take(30).collect();
    let text = paged("held.html", &nights);
    assert!(words(&text).contains("Held. "));
    assert!(!text.contains("grouped by cause"));
    let results = tempfile::tempdir().expect("a directory");
    nights[29].write(results.path()).expect("written");
    let mut index = Index::open(results.path()).expect("an index");
    let found = index.refresh(results.path()).expect("refreshed");
    let written = page::write(results.path(), &index, &found.unread, None).expect("a page");
    let text = std::fs::read_to_string(written.path).expect("read");
    assert!(!text.contains("href=\"runs/"), "no directory is there");
    assert!(words(&text).contains("One night"));
}

#[test]
fn text_from_elsewhere_is_never_markup() {
    let mut nights = synthetic::nights();
    let last = nights.last_mut().expect("a night");
    last.suite = "<script>alert(1)</script>".to_owned();
    for entry in &mut last.entries {
        entry.again = "\"><img src=x onerror=alert(1)>\u{1b}[31m".to_owned();
        for attempt in &mut entry.attempts {
            attempt.run = Some("../../etc/\"><b>".to_owned());
        }
    }
    let last = [last.clone()];
    let results = tempfile::tempdir().expect("a directory");
    last[0].write(results.path()).expect("written");
    let mut index = Index::open(results.path()).expect("an index");
    index.refresh(results.path()).expect("refreshed");
    let written = page::write(results.path(), &index, &[], None).expect("a page");
    let text = std::fs::read_to_string(written.path).expect("read");
    assert_eq!(text.matches("<script>").count(), 1, "ours");
    assert!(!text.contains("<img"));
    assert!(!text.contains('\u{1b}'));
    assert!(!text.contains("etc/"));
}

#[test]
fn without_a_night_there_is_no_page() {
    let results = tempfile::tempdir().expect("a directory");
    let index = Index::open(results.path()).expect("an index");
    let error = page::write(results.path(), &index, &[], None).expect_err("nothing to show");
    assert!(error.to_string().contains("holds no night yet"), "{error}");
}
