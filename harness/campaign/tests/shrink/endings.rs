//! Reductions that are interrupted, and runs that do not count.

use std::time::Duration;

use campaign::shrink::{Came, Ending, Record, shrink};
use checkers::Fold;
use plan::Seed;

use crate::common::{facts, loss};
use crate::pretend::*;

#[test]
fn whoever_is_interrupted_goes_on_where_they_were() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("tried.json");
    let mut draws = Seed(5).stream("interrupted");
    let case = storm(&mut draws, 12);
    let needs = Steps::from([2, 5, 9]);
    let pretend = |runs| {
        let needs = needs.clone();
        let mut pretend = Pretend::new(move |steps| 80 * u64::from(needs.is_subset(steps)));
        (pretend.seed, pretend.runs) = (3, runs);
        pretend
    };
    let (whole, recorded) = go(&case, with_times(5), &mut pretend(0));
    assert_eq!(whole.ending, Ending::Minimal);
    assert!(!whole.part.halved.is_empty());
    for every in [1, 2, 3, 7, 20] {
        let _ = std::fs::remove_file(&path);
        loop {
            let record = Record::read(&path).expect("a record");
            let mut record = record.unwrap_or_else(|| fresh(&case));
            assert!(record.continues(&fresh(&case)));
            let mut pretend = pretend(record.tried.len());
            pretend.stop_at = Some(every);
            let shrunk = shrink(&case, with_times(5), &mut record, &mut pretend);
            let shrunk = shrunk.expect("it goes on");
            record.write(&path).expect("written");
            if shrunk.ending == Ending::Minimal {
                assert_eq!(shrunk, whole);
                assert_eq!(record, recorded);
                break;
            }
            assert_eq!(
                shrunk.ending,
                Ending::Stopped {
                    why: "INT".to_owned()
                }
            );
            assert!(needs.is_subset(&kept(&shrunk)));
        }
    }
}

#[test]
fn what_breaks_something_else_does_not_count_and_is_told() {
    let case = storm(&mut Seed(1).stream("other"), 6);
    let mut pretend = Pretend::needing(&Steps::from([1, 4]));
    let mut other = loss();
    other.topic = "metrics".to_owned();
    other.title = "metrics/0: something else".to_owned();
    pretend.otherwise = facts(Fold::Broken);
    pretend.otherwise.causes.push(other);
    let (shrunk, record) = go(&case, asked(3), &mut pretend);
    assert_eq!(kept(&shrunk), with_needs(&case, &Steps::from([1, 4])));
    assert!(record.count(|came| matches!(came, Came::Other { .. })) > 4);
    let said = shrunk.said(&record);
    assert!(
        said.contains("runs broke something else, which does not count."),
        "{said}"
    );
    let told = pretend.told.join("\n");
    assert!(
        told.contains("does not count: metrics/0: something else"),
        "{told}"
    );
}

#[test]
fn an_unproven_run_counts_as_not_failing_and_is_told() {
    let case = storm(&mut Seed(1).stream("unproven"), 6);
    let mut pretend = Pretend::needing(&Steps::from([1, 4]));
    pretend.otherwise = facts(Fold::Unproven);
    let (shrunk, record) = go(&case, asked(3), &mut pretend);
    assert_eq!(kept(&shrunk), with_needs(&case, &Steps::from([1, 4])));
    assert!(shrunk.said(&record).contains("runs were unproven."));
}

#[test]
fn a_lab_that_fails_is_healed_and_tried_once_more_and_decides_nothing() {
    let case = storm(&mut Seed(2).stream("lab"), 8);
    let needs = Steps::from([3, 6]);
    let (sound, recorded) = go(&case, asked(3), &mut Pretend::needing(&needs));
    // Every other run is lost to the lab: nothing changes, except that it is told.
    let mut pretend = Pretend::needing(&needs);
    pretend.lab_fails = Box::new(|_, asked| asked % 2 == 1);
    let (shrunk, record) = go(&case, asked(3), &mut pretend);
    assert_eq!(shrunk.part, sound.part);
    assert_eq!(record, recorded);
    assert_eq!(pretend.heals, record.tried.len());
    let told = format!("The lab failed {} times.", record.tried.len());
    assert!(shrunk.said(&record).ends_with(&told));
}

#[test]
fn a_candidate_under_which_the_lab_fails_twice_is_not_acquitted() {
    let case = storm(&mut Seed(2).stream("lab"), 8);
    let needs = Steps::from([3, 6]);
    let smallest = with_needs(&case, &needs);
    let mut pretend = Pretend::needing(&needs);
    pretend.lab_fails = Box::new(move |steps, _| *steps == smallest);
    let (shrunk, record) = go(&case, asked(3), &mut pretend);
    assert_eq!(shrunk.ending, Ending::Undecided);
    assert!(kept(&shrunk).len() > 2);
    assert!(
        shrunk
            .said(&record)
            .contains("except where the lab failed twice")
    );
    // A lab that fails under everything is not tried for ever.
    for after in [0, 1, 3, 4, 9] {
        let mut pretend = Pretend::needing(&needs);
        pretend.lab_fails = Box::new(move |_, asked| asked > after);
        let (shrunk, _) = go(&case, asked(3), &mut pretend);
        assert_eq!(shrunk.ending, Ending::LabFailed);
        assert!(pretend.asked <= after + 4);
    }
}

#[test]
fn when_the_budget_is_over_the_fewest_so_far_are_the_result() {
    let case = storm(&mut Seed(4).stream("budget"), 20);
    let needs = Steps::from([7]);
    for minutes in [3, 5, 6, 9, 12] {
        let mut pretend = Pretend::needing(&needs);
        let mut asked = asked(3);
        asked.budget = Duration::from_secs(60 * minutes);
        let (shrunk, record) = go(&case, asked, &mut pretend);
        assert_eq!(shrunk.ending, Ending::Budget);
        assert!(pretend.passed <= asked.budget);
        assert!(needs.is_subset(&kept(&shrunk)));
        let said = shrunk.said(&record);
        assert!(
            said.contains("The budget was over: perhaps more can go."),
            "{said}"
        );
        assert_eq!(
            shrunk.afresh,
            shrunk.part.kept.len() == 20 && minutes > 3,
            "{said}"
        );
        assert!(shrunk.is_something());
        assert_eq!(said.contains(" so far."), minutes == 3, "{said}");
    }
}
