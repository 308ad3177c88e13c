//! The figure: bars where faults are held, marks for what is not known before the run.

use super::*;

fn figure(steps: &str, width: usize) -> String {
    Schedule::parse(&format!("seed = 1\nsteps = [{steps}]"), "test")
        .unwrap_or_else(|e| panic!("{e}"))
        .figure(width)
}

#[test]
fn a_bar_is_as_long_as_its_fault_is_held() {
    let drawn = figure(
        "\"at 10s kill n1 for 10s\", \"at 25s isolate n2 for 15s meanwhile\", \
         \"at 30s pause n0 for 5s\", \"elect preferred of a/0\"",
        80,
    );
    assert_eq!(
        drawn,
        concat!(
            "   0s        10s       20s       30s      40s\n",
            "   |         |         |         |        |\n",
            "1            ██████████                      at 10s kill n1 for 10s\n",
            "2                           ███████████████  at 25s isolate n2 for 15s meanwhile\n",
            "3                                █████       at 30s pause n0 for 5s\n",
            "4                                     █      elect preferred of a/0\n",
        )
    );
}

#[test]
fn what_is_left_open_ends_with_its_heal() {
    let drawn = figure(
        "\"kill n1 as down\", \"cut n0 -> n2\", \"wait 10s\", \"heal down\", \"wait 10s\"",
        60,
    );
    assert_eq!(
        drawn,
        concat!(
            "   0s             10s           20s\n",
            "   |              |             |\n",
            "1  ███████████████                 kill n1 as down\n",
            "2  ██████████████████████████████  cut n0 -> n2\n",
            "3  ···············                 wait 10s\n",
            "4                 ·                heal down\n",
            "5                 ···············  wait 10s\n",
        )
    );
}

#[test]
fn what_waits_for_a_condition_is_drawn_at_the_earliest() {
    let drawn = figure(
        "\"kill n1 for 5s\", \"await all in sync within 30s\", \"pause n2 for 5s\", \
         \"at 20s pause n0 for 5s\", \
         \"when hw lag of ledger/0 on n2 >= 100 within 20s or go on kill leader of ledger/0 for 3s\"",
        100,
    );
    assert_eq!(
        drawn,
        concat!(
            "   0s      5s       10s      15s      20s      25s\n",
            "   |       |        |        |        |        |\n",
            "1  █████████                                           kill n1 for 5s\n",
            "2          ·                                           await all in sync within 30s\n",
            "3          ░░░░░░░░░░                                  pause n2 for 5s\n",
            "4                                     ██████████       at 20s pause n0 for 5s\n",
            "5                                              ░░░░░░  when hw lag of ledger/0 on n2 >= 100 within 20s or go on kill leader of ledger/0 for 3s\n",
            "   ░ at the earliest: a step before it waits for something\n",
        )
    );
}

#[test]
fn the_axis_has_its_width_whatever_is_drawn() {
    assert_eq!(figure("", 80), "");
    for (width, axis) in [(0, 20), (40, 20), (80, 40), (120, 60), (400, 100)] {
        for seed in 0..20 {
            let drawn = Schedule::draw(&stormy(), Seed(seed));
            let figure = drawn.figure(width);
            assert_eq!(figure.lines().count(), drawn.steps.len() + 2, "{figure}");
            for (line, step) in figure.lines().skip(2).zip(&drawn.steps) {
                let words = step.to_string();
                let bar = line.strip_suffix(&words).expect("the words come last");
                assert_eq!(bar.chars().count(), 1 + 2 + axis + 2, "{figure}");
                assert!(bar.contains('█'), "{figure}");
            }
        }
    }
}
