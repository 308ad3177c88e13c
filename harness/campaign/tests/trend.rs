//! The rule of changes: quiet on noise of every shape, quick on a real shift, exact about its night.

#[path = "common/noise.rs"]
mod noise;

use campaign::trend::{BASE_MIN, Change, RECENT, Series, Trend, changes};
use campaign::{Metric, trend};
use chrono::{Days, NaiveDate};
use noise::{Draw, SHAPES, Shape};

const NIGHTS: usize = 60;
const GRAIN: f64 = 0.02;

/// Nights of a row on which a call was possible: after one, the rule has to gather nights again.
fn possible(calls: usize) -> usize {
    (NIGHTS - (BASE_MIN + RECENT - 1)).saturating_sub(calls * BASE_MIN)
}

/// Calls, and nights on which a call was possible.
fn alarms((_, shape): Shape, seed: u64, series: usize) -> (usize, usize) {
    let mut draw = Draw(seed);
    let (mut calls, mut nights) = (0, 0);
    for _ in 0..series {
        let values: Vec<f64> = (0..NIGHTS).map(|_| shape(&mut draw)).collect();
        let called = changes(&values, GRAIN);
        calls += called.len();
        nights += possible(called.len());
    }
    (calls, nights)
}

fn is_quiet(series: usize) {
    for (at, shape) in SHAPES.into_iter().enumerate() {
        let (calls, nights) = alarms(shape, 1071 + at as u64, series);
        assert!(nights > 40 * series, "{}: only {nights} nights", shape.0);
        let rate = 1000.0 * calls as f64 / nights as f64;
        println!(
            "{:30} {calls:3} calls in {nights} nights: {rate:.2} in 1 000",
            shape.0
        );
        assert!(rate <= 1.0, "{}: {rate:.2} alarms in 1 000 nights", shape.0);
    }
}

#[test]
fn noise_raises_at_most_one_false_alarm_in_a_thousand_nights() {
    is_quiet(300);
}

#[test]
#[ignore = "half a minute: ten times as many nights, and what docs/nights.md says of shifts"]
fn the_rates_that_are_documented() {
    is_quiet(4000);
    for noise in [0.03, 0.05, 0.07, 0.1] {
        for before in [BASE_MIN, 20, 40] {
            let mut draw = Draw(813_445);
            let rate = caught(|| 1.0 + noise * draw.normal(), 1.3, before);
            println!("shift by 30 %, noise of {noise}, after {before} nights: {rate:.3}");
        }
    }
    // What it is not held to: nights that hang together.
    for hang in [0.3, 0.5] {
        let (mut draw, mut calls, mut nights) = (Draw(7), 0, 0);
        for _ in 0..4000 {
            let mut off = 0.0;
            let mut next = || {
                off = hang * off + 0.1 * draw.normal();
                1.0 + off
            };
            let values: Vec<f64> = (0..NIGHTS).map(|_| next()).collect();
            let called = changes(&values, GRAIN).len();
            calls += called;
            nights += possible(called);
        }
        let rate = 1000.0 * calls as f64 / nights as f64;
        println!("correlation of {hang}: {rate:.2} in 1 000");
    }
}

/// How often a shift is called within three nights.
fn caught(mut noise: impl FnMut() -> f64, by: f64, before: usize) -> f64 {
    let tries = 400;
    let hits = (0..tries).filter(|_| {
        let values: Vec<f64> = (0..before + RECENT)
            .map(|at| noise() * if at < before { 1.0 } else { by })
            .collect();
        let called = changes(&values, GRAIN);
        called.iter().any(|change| change.called >= before)
    });
    hits.count() as f64 / f64::from(tries)
}

#[test]
fn a_shift_by_three_tenths_is_called_within_three_nights() {
    let mut draw = Draw(813_445);
    for before in [BASE_MIN, 20, 40] {
        for by in [1.3, 0.7] {
            let always = caught(|| 1.0 + 0.02 * draw.normal(), by, before);
            assert_eq!(always, 1.0, "by {by} after {before} nights");
            let mostly = caught(|| 1.0 + 0.05 * draw.normal(), by, before);
            assert!(mostly > 0.95, "{mostly} by {by} after {before} nights");
        }
    }
    // Nights with outliers among them still serve.
    let (_, outliers) = SHAPES[12];
    let marred = caught(|| outliers(&mut draw), 1.3, 40);
    assert!(marred > 0.75, "{marred}");
}

#[test]
fn a_change_names_its_first_night_and_both_levels() {
    let mut values = vec![
        6.2, 6.3, 6.1, 6.2, 6.4, 6.2, 6.1, 6.3, 6.2, 6.2, 6.3, 6.1, 6.2, 6.2,
    ];
    assert_eq!(changes(&values, 0.2), []);
    values.extend([8.5, 8.6]);
    assert_eq!(changes(&values, 0.2), [], "two nights are not enough");
    values.push(8.7);
    let expected = Change {
        since: 14,
        called: 16,
        from: 6.2,
        to: 8.6,
    };
    assert_eq!(changes(&values, 0.2), [expected]);
    assert!((expected.share().expect("a share") - 0.387).abs() < 0.001);
    // It stays one change while the level stays, and its new level is followed.
    values.extend([8.8, 8.8, 8.8, 8.8]);
    let later = changes(&values, 0.2);
    assert_eq!((later.len(), later[0].since, later[0].to), (1, 14, 8.8));
}

#[test]
fn a_level_that_comes_back_is_a_second_change() {
    let level =
        |value: f64, nights: usize| (0..nights).map(move |at| value + 0.01 * (at % 3) as f64);
    let values: Vec<f64> = level(4.0, 14)
        .chain(level(6.0, 14))
        .chain(level(4.0, 5))
        .collect();
    let called = changes(&values, 0.2);
    let since: Vec<usize> = called.iter().map(|change| change.since).collect();
    assert_eq!(since, [14, 28]);
    assert!(called[1].to < called[1].from);
}

#[test]
fn small_differences_and_short_memories_call_nothing() {
    let step = |from: f64, to: f64, before: usize| {
        let values: Vec<f64> = (0..before + 5)
            .map(|at| if at < before { from } else { to })
            .collect();
        changes(&values, 0.2).len()
    };
    assert_eq!(step(4.0, 4.5, 30), 0, "an eighth is no change");
    assert_eq!(
        step(0.3, 0.45, 30),
        0,
        "half, and less than can be measured"
    );
    assert_eq!(
        step(4.0, 5.5, BASE_MIN - 3),
        0,
        "too little to compare with"
    );
    assert_eq!(step(4.0, 5.5, BASE_MIN), 1);
    assert_eq!(step(0.0, 50.0, 20), 1, "from nothing to something");
    assert_eq!(changes(&[], 0.2), []);
    assert_eq!(changes(&[1.0; 60], 0.2), []);
}

#[test]
fn versions_are_marked_where_they_change() {
    let first = NaiveDate::from_ymd_opt(2026, 11, 1).expect("a date");
    let point = |at: u64, kafka: &str, tidemark: &str| trend::Point {
        night: at.to_string(),
        date: first.checked_add_days(Days::new(at)).expect("a date"),
        value: 1.0,
        kafka: kafka.to_owned(),
        tidemark: tidemark.to_owned(),
    };
    let trend = Trend::of(Series {
        plan: "kill-leader".to_owned(),
        metric: Metric::GapAll,
        fault: Some("kill".to_owned()),
        points: vec![
            point(0, "3.0.0", "0.1.0"),
            point(1, "3.0.0", "0.1.0"),
            point(2, "3.0.1", "0.1.0"),
            point(3, "3.1.0", "0.2.0"),
        ],
    });
    let marks: Vec<(usize, &str)> = trend
        .versions
        .iter()
        .map(|it| (it.at, it.words.as_str()))
        .collect();
    assert_eq!(
        marks,
        [
            (2, "Kafka 3.0.0 → 3.0.1"),
            (3, "Kafka 3.0.1 → 3.1.0, Tidemark 0.1.0 → 0.2.0")
        ]
    );
}
