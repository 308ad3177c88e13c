//! Sixty nights that nobody ran, with everything that a page has to show.

use campaign::{Attempt, Cause, Entry, Facts, Figure, Metric, Night, Outcome, Role};
use checkers::Fold;

use super::common::{entry, failed, judged, loss, night};
use super::noise::Draw;

/// How many nights.
pub const NIGHTS: u64 = 60;
/// From this night on, Kafka is 3.0.1 and a cut-off leader costs more.
pub const SHIFT: u64 = 57;
/// The canary was not convicted.
pub const VOID: u64 = 50;

fn figure(metric: Metric, fault: &str, value: f64) -> Figure {
    Figure {
        metric,
        fault: (!fault.is_empty()).then(|| fault.to_owned()),
        value,
        over: 1,
    }
}

fn ran(draw: &mut Draw, faults: &[&str], examined: f64, worse: f64) -> Facts {
    let mut wobble = |value: f64| value * (1.0 + 0.04 * draw.normal());
    let mut facts = super::common::facts(Fold::Held);
    facts.examined = wobble(examined) as u64;
    facts.faults = 2 * faults.len() as u32;
    facts.proved = facts.faults;
    facts.healed = facts.faults;
    facts.figures = vec![
        figure(Metric::Throughput, "", wobble(2100.0)),
        figure(Metric::Examined, "", facts.examined as f64),
    ];
    for fault in faults {
        facts.figures.extend([
            figure(Metric::GapAll, fault, wobble(6.2) * worse),
            figure(Metric::GapOther, fault, wobble(5.8)),
            figure(Metric::ToNewLeader, fault, wobble(4.3)),
            figure(Metric::ToFullIsr, fault, wobble(2.2)),
            figure(Metric::LostAboveHw, fault, wobble(7_500.0)),
        ]);
    }
    facts
}

fn run_name(night: u64, plan: &str, nth: usize) -> String {
    format!("night{night:02}-{plan}-{nth}")
}

fn cut_off(at: u64, draw: &mut Draw) -> Entry {
    let worse = if at >= SHIFT { 1.38 } else { 1.0 };
    let mut facts = ran(draw, &["isolate"], 40_000.0, worse);
    if at == SHIFT || at == NIGHTS - 1 {
        facts.verdict = Fold::Broken;
        facts.sentence = "Broken. ledger lost 1 of 39 812 acknowledged records.".to_owned();
        facts.causes = vec![Cause {
            title: format!(
                "ledger/0 @{}: 1 acknowledged record lost below the high watermark",
                8_000 + at
            ),
            ..loss()
        }];
    }
    entry(
        "cut-off-leader",
        Role::Ordinary,
        vec![judged(&run_name(at, "cut-off-leader", 0), facts)],
    )
}

fn pause(at: u64, draw: &mut Draw) -> Entry {
    let mut facts = ran(draw, &["pause"], 33_000.0, 1.0);
    if at == 52 {
        facts.verdict = Fold::Unproven;
        facts.sentence = "Unproven. the drain of ledger/0 did not reach the end.".to_owned();
    }
    let mut attempts = vec![judged(&run_name(at, "pause-followers", 0), facts)];
    if at == 58 {
        attempts.insert(0, failed("n2 did not answer within 30s"));
    }
    entry("pause-followers", Role::Ordinary, attempts)
}

fn storm(at: u64, nth: usize, draw: &mut Draw) -> Entry {
    let kinds = ["kill", "pause", "isolate", "restart", "shape", "flap"];
    let mut attempts = match (at, nth) {
        (55, 3) => vec![failed("no space left on n1"), failed("no space left on n1")],
        (59, 5) => vec![Attempt {
            run: None,
            outcome: Outcome::DidNotRun {
                why: "4 min of the budget were left".to_owned(),
            },
        }],
        _ => vec![judged(
            &run_name(at, "standard-storm", nth),
            ran(draw, &kinds, 39_000.0, 1.0),
        )],
    };
    if let (
        59,
        1,
        Some(Attempt {
            outcome: Outcome::Judged(facts),
            ..
        }),
    ) = (at, nth, attempts.first_mut())
    {
        facts.proved -= 1;
        facts.odd =
            vec!["f3, 14.1s: n2 was cut off; proved ineffective, its process had died".to_owned()];
    }
    let mut storm = entry("standard-storm", Role::Ordinary, attempts);
    storm.seed += nth as u64;
    storm.again = format!(
        "tidemark run standard-storm --lab centos7 --seed {}",
        storm.seed
    );
    storm
}

fn on_purpose(at: u64, draw: &mut Draw) -> Entry {
    let mut facts = ran(draw, &["power-cut"], 11_000.0, 1.0);
    facts.verdict = Fold::Broken;
    facts.wanted = Some(Fold::Broken);
    facts.causes = vec![loss()];
    entry(
        "last-replica-standing",
        Role::Ordinary,
        vec![judged(&run_name(at, "last-replica-standing", 0), facts)],
    )
}

/// The nights, oldest first.
pub fn nights() -> Vec<Night> {
    let mut draw = Draw(20_261_122);
    let nights = (0..NIGHTS).map(|at| {
        let kill = ran(&mut draw, &["kill"], 41_000.0, 1.0);
        let mut entries = vec![
            entry(
                "kill-leader",
                Role::Ordinary,
                vec![judged(&run_name(at, "kill-leader", 0), kill)],
            ),
            cut_off(at, &mut draw),
            pause(at, &mut draw),
        ];
        entries.extend((0..6).map(|nth| storm(at, nth, &mut draw)));
        if at > 48 {
            entries.push(on_purpose(at, &mut draw));
        }
        let mut night = night(at, entries);
        for (control, name) in night.entries[..2].iter_mut().zip(["canary", "calm"]) {
            control.attempts[0].run = Some(run_name(at, name, 0));
        }
        if at == VOID {
            night.entries[0].attempts = vec![judged(
                &run_name(at, "canary", 0),
                super::common::facts(Fold::Held),
            )];
            night.void = night.why_void();
        }
        if at >= SHIFT {
            night.kafka = "3.0.1".to_owned();
        }
        night
    });
    nights.collect()
}
