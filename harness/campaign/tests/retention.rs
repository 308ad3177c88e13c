//! What is kept of runs: the rule as a function, and doing it on a disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use campaign::retention::{
    Bounds, Decision, Fate, Freed, Kind, RESERVE_BYTES, Rule, Stored, apply, decide, needed,
    stored, tidy, too_full,
};
use campaign::{Index, KnownRun, Refreshed, State};
use checkers::Fold;
use chrono::{DateTime, Utc};
use plan::suite::Keep;

const MB: u64 = 1_000_000;

fn a(run: &str, kind: Kind, age_days: u32) -> Stored {
    Stored {
        run: run.to_owned(),
        kind,
        age_days,
        bytes: 50 * MB,
        thinned_bytes: 2 * MB,
        thinned: false,
        linked: false,
        marked: false,
    }
}

fn rule() -> Rule {
    let bounds = |whole_days, thinned_days| Bounds {
        whole_days,
        whole_bytes: 1000 * MB,
        thinned_days,
    };
    Rule {
        broken: bounds(100, 1000),
        unproven: bounds(30, 300),
        held: bounds(2, 200),
        unjudged: bounds(10, 20),
        total_bytes: 10_000 * MB,
    }
}

fn fates(stored: &[Stored], rule: &Rule) -> Vec<Fate> {
    decide(stored, rule).into_iter().map(|it| it.fate).collect()
}

#[test]
fn a_kind_is_what_a_run_is_against_what_was_wanted() {
    assert_eq!(Kind::of(Fold::Held, None), Kind::Held);
    assert_eq!(Kind::of(Fold::Broken, None), Kind::Broken);
    assert_eq!(Kind::of(Fold::Unproven, None), Kind::Unproven);
    assert_eq!(
        Kind::of(Fold::Broken, Some(Fold::Broken)),
        Kind::Held,
        "a canary, convicted"
    );
    assert_eq!(
        Kind::of(Fold::Held, Some(Fold::Broken)),
        Kind::Broken,
        "a canary, blind"
    );
}

#[test]
fn broken_is_kept_longest_and_held_is_thinned_first() {
    use Fate::{Deleted, Kept, Thinned};
    let of = |kind| {
        let at = |days| fates(&[a("r", kind, days)], &rule())[0];
        [1, 5, 50, 150, 250, 500, 2000].map(at)
    };
    assert_eq!(
        of(Kind::Broken),
        [Kept, Kept, Kept, Thinned, Thinned, Thinned, Deleted]
    );
    assert_eq!(
        of(Kind::Unproven),
        [Kept, Kept, Thinned, Thinned, Thinned, Deleted, Deleted]
    );
    assert_eq!(
        of(Kind::Held),
        [Kept, Thinned, Thinned, Thinned, Deleted, Deleted, Deleted]
    );
    assert_eq!(
        of(Kind::Unjudged),
        [Kept, Kept, Deleted, Deleted, Deleted, Deleted, Deleted]
    );
}

#[test]
fn a_kind_keeps_its_newest_whole_within_its_bytes() {
    let runs: Vec<Stored> = (1..=30)
        .map(|day| a(&format!("r{day}"), Kind::Broken, day))
        .collect();
    let kept = fates(&runs, &rule());
    assert!(
        kept[..20].iter().all(|fate| *fate == Fate::Kept),
        "20 times 50 MB"
    );
    assert!(kept[20..].iter().all(|fate| *fate == Fate::Thinned));
    let frees = decide(&runs, &rule())[29].frees;
    assert_eq!(frees, 48 * MB);
}

#[test]
fn what_a_page_links_to_is_never_deleted() {
    let linked = Stored {
        linked: true,
        ..a("r", Kind::Held, 5000)
    };
    assert_eq!(
        fates(std::slice::from_ref(&linked), &rule()),
        [Fate::Thinned]
    );
    let nothing = Rule {
        total_bytes: 0,
        ..rule()
    };
    assert_eq!(
        fates(std::slice::from_ref(&linked), &nothing),
        [Fate::Thinned]
    );
    let thinned = Stored {
        thinned: true,
        bytes: 2 * MB,
        ..linked
    };
    assert_eq!(fates(&[thinned], &nothing), [Fate::Kept]);
}

#[test]
fn the_last_day_and_what_is_marked_are_left_alone() {
    let nothing = Rule {
        total_bytes: 0,
        ..rule()
    };
    let marked = Stored {
        marked: true,
        ..a("m", Kind::Held, 5000)
    };
    let runs = [a("now", Kind::Unjudged, 0), marked];
    assert_eq!(fates(&runs, &nothing), [Fate::Kept, Fate::Kept]);
}

#[test]
fn too_many_bytes_in_all_cost_the_least_worth_first() {
    let runs = [
        a("broken", Kind::Broken, 90),
        a("unproven", Kind::Unproven, 20),
        a("torn", Kind::Unjudged, 5),
        a("held", Kind::Held, 1),
    ];
    let within = |total: u64| {
        let rule = Rule {
            total_bytes: total * MB,
            ..rule()
        };
        fates(&runs, &rule)
    };
    use Fate::{Deleted, Kept, Thinned};
    assert_eq!(within(200), [Kept, Kept, Kept, Kept]);
    assert_eq!(within(199), [Kept, Kept, Kept, Thinned]);
    assert_eq!(within(110), [Kept, Kept, Thinned, Thinned]);
    assert_eq!(within(60), [Kept, Thinned, Thinned, Thinned]);
    assert_eq!(within(8), [Thinned, Thinned, Thinned, Thinned]);
    assert_eq!(within(7), [Thinned, Thinned, Thinned, Deleted]);
    assert_eq!(within(0), [Deleted, Deleted, Deleted, Deleted]);
}

#[test]
fn whatever_there_is_nothing_is_freed_twice_and_deciding_again_changes_nothing() {
    // All ages and kinds, some of them linked or marked, under many bounds.
    for total in [0, 100, 1000, 5000] {
        let rule = Rule {
            total_bytes: total * MB,
            ..rule()
        };
        let mut runs = Vec::new();
        for (at, kind) in [Kind::Held, Kind::Unjudged, Kind::Unproven, Kind::Broken]
            .into_iter()
            .enumerate()
        {
            for step in 0..25u32 {
                runs.push(Stored {
                    linked: step % 3 == 0,
                    marked: step % 11 == 5,
                    ..a(&format!("r{at}-{step}"), kind, step * step)
                });
            }
        }
        let decided = decide(&runs, &rule);
        let after: Vec<Stored> = runs
            .iter()
            .zip(&decided)
            .filter(|(_, it)| it.fate != Fate::Deleted)
            .map(|(run, it)| Stored {
                bytes: run.bytes - it.frees,
                thinned: it.fate == Fate::Thinned,
                ..run.clone()
            })
            .collect();
        assert!(
            decided
                .iter()
                .zip(&runs)
                .all(|(it, run)| it.frees <= run.bytes)
        );
        assert!(
            after.iter().filter(|run| run.linked).count()
                == runs.iter().filter(|run| run.linked).count()
        );
        let again = decide(&after, &rule);
        assert!(again.iter().all(|it| it.frees == 0), "{total}: {again:?}");
    }
}

#[test]
fn a_full_disk_is_foreseen() {
    let run = |plan: &str, bytes, state| KnownRun {
        name: "r".to_owned(),
        plan: plan.to_owned(),
        verdict: Fold::Held,
        wanted: None,
        state,
        bytes,
    };
    let known = [
        run("demo", 50 * MB, State::Whole),
        run("demo", 900 * MB, State::Thinned),
        run("storm", 400 * MB, State::Whole),
    ];
    assert_eq!(needed(&known, "demo"), 75 * MB);
    assert_eq!(
        needed(&known, "new"),
        600 * MB,
        "as the largest of any plan"
    );
    assert_eq!(needed(&[], "demo"), 200 * MB);
    assert_eq!(too_full(75 * MB, RESERVE_BYTES + 75 * MB), None);
    let why = too_full(75 * MB, RESERVE_BYTES + 74 * MB).expect("too full");
    assert!(
        why.contains("a run may need 75 MB, and 1 MB are missing"),
        "{why}"
    );
    assert!(too_full(u64::MAX, 0).is_some());
}

fn run_on_disk(results: &Path, name: &str) {
    let dir = results.join("runs").join(name);
    for (file, bytes) in [
        ("history/events.tmh", 3000),
        ("images/n0.tar.zst", 50_000),
        ("nodes/n0/logs/server.log", 700),
        ("report.html", 200),
        ("verdict.json", 100),
    ] {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, vec![b'x'; bytes]).expect("written");
    }
}

fn decision(run: &str, fate: Fate) -> Decision {
    Decision {
        run: run.to_owned(),
        fate,
        frees: 1,
        why: "a test",
    }
}

#[test]
fn runs_are_seen_thinned_and_deleted_on_the_disk() {
    let results = tempfile::tempdir().expect("a directory");
    let results = results.path();
    let (thin, delete) = (
        "2026-11-01T031055-demo-aaaaaa",
        "2026-11-20T031055-demo-bbbbbb",
    );
    run_on_disk(results, thin);
    run_on_disk(results, delete);
    run_on_disk(results, "by-hand");
    fs::write(results.join("runs").join(delete).join("keep"), "").expect("marked");
    let now: DateTime<Utc> = "2026-11-22T04:00:00Z".parse().expect("a time");
    let linked = BTreeSet::from([thin.to_owned()]);
    let found = stored(results, &[], &linked, now).expect("listed");
    let seen: Vec<_> = found
        .iter()
        .map(|it| {
            (
                it.run.as_str(),
                it.age_days,
                it.bytes,
                it.thinned_bytes,
                it.linked,
                it.marked,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (thin, 21, 54_000, 1_000, true, false),
            (delete, 2, 54_000, 1_000, false, true)
        ],
        "and nothing of what is not ours"
    );

    let freed = apply(
        results,
        &[
            decision(thin, Fate::Thinned),
            decision(delete, Fate::Deleted),
        ],
    );
    let freed = freed.expect("applied");
    assert_eq!((freed.thinned, freed.deleted, freed.bytes), (1, 1, 2));
    let left = results.join("runs").join(thin);
    assert!(left.join("report.html").exists() && left.join("nodes/n0/logs/server.log").exists());
    assert!(left.join("thinned.txt").exists() && left.join("history").is_dir());
    assert!(!left.join("images/n0.tar.zst").exists() && !left.join("history/events.tmh").exists());
    assert!(!results.join("runs").join(delete).exists());
    let found = stored(results, &[], &linked, now).expect("listed");
    assert_eq!((found.len(), found[0].thinned), (1, true));
    // Doing it again is no error.
    apply(
        results,
        &[
            decision(thin, Fate::Thinned),
            decision(delete, Fate::Deleted),
        ],
    )
    .expect("again");
}

#[test]
fn tidying_up_leaves_the_index_as_the_disk_is() {
    let results = tempfile::tempdir().expect("a directory");
    let results = results.path();
    let (torn, new) = (
        "2026-09-01T031055-demo-aaaaaa",
        "2026-11-20T031055-demo-bbbbbb",
    );
    for name in [torn, new] {
        run_on_disk(results, name);
        fs::remove_file(results.join("runs").join(name).join("verdict.json")).expect("torn");
    }
    // One that lies whole in the index, and then does not.
    let held = "2026-11-01T031055-demo-cccccc";
    run_on_disk(results, held);
    let verdict = include_str!("../../../checkers/tests/samples/demo.json");
    let judged = results.join("runs").join(held).join("verdict.json");
    fs::write(judged, verdict).expect("written");
    let now: DateTime<Utc> = "2026-11-22T04:00:00Z".parse().expect("a time");
    let keep = Keep {
        held: Some(Duration::from_secs(14 * 24 * 60 * 60)),
        ..Keep::default()
    };
    let mut index = Index::open(results).expect("an index");
    let (freed, refreshed) = tidy(results, &mut index, &keep, now).expect("tidied");
    assert_eq!((freed.thinned, freed.deleted), (1, 1));
    assert!(!results.join("runs").join(torn).exists());
    assert_eq!(refreshed.unread, Vec::<String>::new());
    let state = |index: &Index| {
        let runs = index.runs().expect("listed");
        runs.into_iter().map(|run| (run.name, run.state)).collect()
    };
    let known: Vec<(String, State)> = state(&index);
    assert_eq!(known, [(held.to_owned(), State::Thinned)]);
    // With nothing to do, what was found the only time is the answer.
    let (freed, refreshed) = tidy(results, &mut index, &keep, now).expect("tidied");
    assert_eq!((freed, refreshed), (Freed::default(), Refreshed::default()));
    fs::write(results.join("runs").join(held).join("verdict.json"), "{").expect("written");
    let (freed, refreshed) = tidy(results, &mut index, &keep, now).expect("tidied");
    assert_eq!((freed, refreshed.unread.len()), (Freed::default(), 1));
}

#[test]
fn nothing_outside_and_nothing_behind_a_link_is_removed() {
    let results = tempfile::tempdir().expect("a directory");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let results = results.path();
    fs::create_dir_all(results.join("runs")).expect("made");
    fs::create_dir_all(results.join("nights")).expect("made");
    fs::write(elsewhere.path().join("precious"), "").expect("written");
    let link = "2026-11-01T031055-demo-cccccc";
    std::os::unix::fs::symlink(elsewhere.path(), results.join("runs").join(link)).expect("linked");
    let asked = [
        decision("../nights", Fate::Deleted),
        decision("..", Fate::Deleted),
        decision("", Fate::Deleted),
        decision(link, Fate::Deleted),
        decision("2026-11-01T031055-x/../../nights", Fate::Deleted),
    ];
    let freed = apply(results, &asked).expect("applied");
    assert_eq!(freed.deleted, 0);
    assert!(results.join("nights").exists() && elsewhere.path().join("precious").exists());
}

#[test]
fn what_was_half_deleted_goes_at_the_next_time() {
    let results = tempfile::tempdir().expect("a directory");
    let gone = results
        .path()
        .join("runs/.gone-2026-11-01T031055-demo-dddddd/images");
    fs::create_dir_all(&gone).expect("made");
    apply(results.path(), &[]).expect("applied");
    assert!(!gone.parent().expect("a parent").exists());
}

#[test]
fn a_suites_bounds_become_the_rule() {
    let keep = |text: &str| {
        let suite = format!(
            "name = \"s\"\nabout = \"s\"\nbudget = \"60m\"\ncanary = \"canary-kip101\"\n\
             calm = \"quiet\"\n[[plans]]\nplan = \"demo\"\n{text}"
        );
        let suite = plan::Suite::parse(&suite, "s.toml").expect("a sound suite");
        Rule::of(&suite.keep)
    };
    let old = |kind| {
        let mut run = a("old", kind, 40_000);
        run.bytes = u64::MAX / 4;
        run
    };
    let kinds = [Kind::Held, Kind::Unjudged, Kind::Unproven, Kind::Broken];
    assert_eq!(fates(&kinds.map(old), &keep("")), [Fate::Kept; 4]);
    let built_in =
        keep("[keep]\nbroken = \"365d\"\nunproven = \"60d\"\nheld = \"14d\"\nbytes = \"20GiB\"");
    let default = Rule::default();
    assert_eq!(built_in.total_bytes, 20 << 30);
    assert_eq!(built_in.held.whole_days, 14);
    assert_eq!(built_in.held.thinned_days, default.held.thinned_days);
    assert_eq!(
        built_in.broken.whole_bytes,
        10 << 30,
        "half of all, as ever"
    );
    let long = keep("[keep]\nunproven = \"4000d\"\nheld = \"9d\"");
    assert_eq!(long.unproven.thinned_days, 4000, "never less than whole");
    assert_eq!(long.broken.whole_days, u32::MAX, "not bounded");
    assert_eq!(long.unjudged.thinned_days, default.unjudged.thinned_days);
}
