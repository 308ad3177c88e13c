//! What a night comes to: its exit code, its sentence, and whether its controls void it.

mod common;

use campaign::{Attempt, CampaignError, Night, Outcome, Role};
use checkers::Fold;
use common::{controls, entry, facts, failed, judged, loss, night};

fn held() -> Attempt {
    judged("a", facts(Fold::Held))
}

fn broken() -> Attempt {
    let mut facts = facts(Fold::Broken);
    facts.causes = vec![loss()];
    judged("b", facts)
}

fn broken_on_purpose() -> Attempt {
    let mut facts = facts(Fold::Broken);
    facts.wanted = Some(Fold::Broken);
    judged("p", facts)
}

fn ordinary(attempts: Vec<Attempt>) -> Night {
    night(0, vec![entry("cut-off-leader", Role::Ordinary, attempts)])
}

#[test]
fn the_exit_code_is_the_worst_that_counts() {
    assert_eq!(ordinary(vec![held()]).exit_code(), 0);
    assert_eq!(ordinary(vec![broken_on_purpose()]).exit_code(), 0);
    assert_eq!(ordinary(vec![broken()]).exit_code(), 1);
    let unproven = judged("u", facts(Fold::Unproven));
    assert_eq!(ordinary(vec![unproven.clone()]).exit_code(), 2);
    assert_eq!(ordinary(vec![failed("n1 is gone"), held()]).exit_code(), 0);
    let twice = vec![failed("n1 is gone"), failed("n1 is gone")];
    assert_eq!(ordinary(twice.clone()).exit_code(), 3);
    let both = vec![
        entry("a", Role::Ordinary, vec![broken()]),
        entry("b", Role::Ordinary, twice),
    ];
    assert_eq!(night(0, both).exit_code(), 3);
    let both = vec![
        entry("a", Role::Ordinary, vec![unproven]),
        entry("b", Role::Ordinary, vec![broken()]),
    ];
    assert_eq!(night(0, both).exit_code(), 1);
}

#[test]
fn a_night_in_which_nothing_was_judged_is_no_success() {
    assert_eq!(night(0, Vec::new()).exit_code(), 2);
    assert_eq!(ordinary(Vec::new()).exit_code(), 2);
    assert_eq!(ordinary(vec![failed("no sudo")]).exit_code(), 2);
}

#[test]
fn a_plan_that_must_break_and_does_not_is_no_success() {
    let mut kept = facts(Fold::Held);
    kept.wanted = Some(Fold::Broken);
    let night = ordinary(vec![judged("p", kept)]);
    assert_eq!(night.exit_code(), 2);
    assert_eq!(
        night.sentence(),
        "Unproven. cut-off-leader has to break a promise, and broke none."
    );
}

#[test]
fn controls_that_do_not_end_as_they_must_void_the_night() {
    assert_eq!(ordinary(vec![held()]).why_void(), None);
    let with = |canary: Attempt, calm: Attempt| {
        let mut night = ordinary(vec![held()]);
        night.entries[0].attempts = vec![canary];
        night.entries[1].attempts = vec![calm];
        night.void = night.why_void();
        night
    };
    let blind = with(held(), held());
    assert_eq!(blind.exit_code(), 3);
    assert!(
        blind.sentence().starts_with(
            "Void. Nothing that this night says counts: the canary (canary-kip101) must be convicted and came out held:"
        ),
        "{}",
        blind.sentence()
    );
    let ghosts = with(broken(), broken());
    let why = ghosts.void.expect("void");
    assert!(
        why.contains("the calm run (calm), without any fault, came out broken"),
        "{why}"
    );
    let unproven = judged("u", facts(Fold::Unproven));
    assert!(with(unproven, held()).void.is_some());
    let gone = with(failed("n2 does not answer"), held());
    assert_eq!(
        gone.void.as_deref(),
        Some("the canary (canary-kip101) was not judged: n2 does not answer")
    );
    for missing in [0, 1] {
        let mut night = ordinary(vec![held()]);
        night.entries.remove(missing);
        assert!(night.why_void().is_some(), "{missing}");
    }
}

#[test]
fn a_second_canary_must_be_convicted_as_well() {
    let mut night = ordinary(vec![held()]);
    let mut second = controls().remove(0);
    second.attempts = vec![held()];
    night.entries.push(second);
    assert!(night.why_void().is_some());
}

#[test]
fn a_run_says_how_the_lab_failed_it_before_why_it_was_not_tried_again() {
    let not = || Attempt {
        run: None,
        outcome: Outcome::DidNotRun {
            why: "48 s of the budget were left".to_owned(),
        },
    };
    for (attempts, why) in [
        (vec![], None),
        (vec![not()], Some("48 s of the budget were left")),
        (vec![failed("n1 is away"), not()], Some("n1 is away")),
        (
            vec![failed("n1 is away"), failed("n2 is away")],
            Some("n2 is away"),
        ),
        (vec![failed("n1 is away"), held()], None),
    ] {
        let night = ordinary(attempts);
        let entry = night.ordinary().next().expect("an entry");
        assert_eq!(entry.why(), why);
    }
}

#[test]
fn a_sentence_says_the_worst_first() {
    let night_of = |attempts| ordinary(attempts).sentence();
    assert_eq!(
        night_of(vec![broken()]),
        "Broken. cut-off-leader: ledger/0 @8079: 1 acknowledged record lost below the high watermark."
    );
    assert_eq!(
        night_of(vec![held()]),
        "Held. 21 870 acknowledged records were followed in the one run: every promise was kept."
    );
    assert_eq!(
        night_of(vec![failed("n1 is gone."), failed("n1 is gone.")]),
        "Failed. cut-off-leader could not be run, twice: n1 is gone."
    );
    let mut torn = ordinary(vec![held()]);
    torn.ended = None;
    assert_eq!(torn.exit_code(), 3);
    assert_eq!(torn.sentence(), "Torn. The night did not come to its end.");
}

#[test]
fn a_night_is_written_whole_and_read_back() {
    let results = tempfile::tempdir().expect("a directory");
    let mut first = ordinary(vec![failed("n1 is gone"), broken()]);
    first.entries[2].attempts.push(Attempt {
        run: None,
        outcome: Outcome::DidNotRun {
            why: "the budget was spent".to_owned(),
        },
    });
    assert_eq!(Night::files(results.path()).expect("none yet").len(), 0);
    let path = first.write(results.path()).expect("written");
    assert!(path.ends_with("nights/2026-09-24.json"));
    assert_eq!(Night::read(&path).expect("read"), first);

    let mut second = night(0, Vec::new());
    second.nth = Night::fresh(results.path(), second.date);
    assert_eq!(second.name(), "2026-09-24-2");
    let again = second.write(results.path()).expect("written");
    let later = night(1, Vec::new()).write(results.path()).expect("written");
    std::fs::write(results.path().join("nights/notes.json"), "{}").expect("written");
    assert_eq!(
        Night::files(results.path()).expect("listed"),
        [path, again, later]
    );
}

#[test]
fn a_newer_night_is_refused_and_a_broken_file_named() {
    let results = tempfile::tempdir().expect("a directory");
    let path = results.path().join("2026-09-24.json");
    std::fs::write(&path, r#"{"format": 2, "moon": "full"}"#).expect("written");
    assert!(matches!(
        Night::read(&path),
        Err(CampaignError::Newer {
            format: 2,
            known: 1,
            ..
        })
    ));
    std::fs::write(&path, r#"{"format": 1}"#).expect("written");
    let error = Night::read(&path).expect_err("malformed").to_string();
    assert!(error.contains("2026-09-24.json is no night"), "{error}");
}
