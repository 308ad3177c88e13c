//! Every fault seen at work, a row each: what a run of the plan `every-fault` on real brokers had
//! read back, or, where one kernel with three hosts lacks the power, what a user is told instead.
//! docs/faults.md shows these rows. Words only: what is proved is proved again by each run.

use crate::catalogue::cell;

/// One fault, seen.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// As the catalogue has it.
    pub fault: &'static str,
    /// What was said.
    pub said: Said,
    /// A test that does it: its file, its function.
    pub test: (&'static str, &'static str),
}

/// What was said of a fault.
#[derive(Debug, Clone, Copy)]
pub enum Said {
    /// The proof.
    Proved(&'static str),
    /// That it cannot be done there, before a broker started.
    Refused(&'static str),
}

use Said::{Proved, Refused};

const KAFKA: &str = "harness/cluster/tests/live_kafka.rs";
const GUARD: &str = "harness/cluster/tests/live_guard.rs";
const DISKS: &str = "harness/cluster/tests/live_disks.rs";
const TOPICS: &str = "harness/cluster/tests/live_topics.rs";
const RESOLVE: &str = "nemesis/src/resolve_tests.rs";
const SHAPES: &str = "harness/cluster/src/injections/net/tests.rs";
const DEVICES: &str = "harness/cluster/src/injections/disk_tests.rs";
const CLOCKS: &str = "harness/cluster/src/injections/time/tests.rs";
const STORMS: &str = "harness/runner/tests/virtual_time/storms.rs";
const LOAD: &str = "workloads/src/load/tests.rs";

/// All faults, in the catalogue's order.
pub const SEEN: &[Seen] = &[
    Seen {
        fault: "kill leader of ledger/0",
        said: Proved("the process table of n0 has no broker; it showed broker 2729 before"),
        test: (KAFKA, "brokers_live_die_and_return"),
    },
    Seen {
        fault: "pause n0",
        said: Proved(
            "the process table of n1 shows broker 472 stopped (T); it showed broker 472 before",
        ),
        test: (KAFKA, "brokers_live_die_and_return"),
    },
    Seen {
        fault: "stop n0",
        said: Proved("the process table of n0 has no broker; it showed broker 2357 before"),
        test: (KAFKA, "brokers_live_die_and_return"),
    },
    Seen {
        fault: "restart controller",
        said: Proved("the process table of n1 has no broker; it showed broker 472 before"),
        test: (KAFKA, "brokers_live_die_and_return"),
    },
    Seen {
        fault: "isolate n0",
        said: Proved(
            "4 rules in force, read back at 35.156s; 44 packets dropped by 38.767s; a fresh connection n0 -> n1 got no answer",
        ),
        test: (KAFKA, "brokers_live_die_and_return"),
    },
    Seen {
        fault: "cut n2 -> n1 port broker",
        said: Proved("1 rule in force, read back at 44.408s; 1 packets dropped by 44.613s"),
        test: (GUARD, "hosts_heal_themselves"),
    },
    Seen {
        fault: "split {n0} | {n1, n2}",
        said: Proved("4 rules in force, read back at 50.254s; 9 packets dropped by 50.440s"),
        test: (RESOLVE, "what_each_partition_of_the_network_cuts"),
    },
    Seen {
        fault: "bridge n1",
        said: Proved("2 rules in force, read back at 56.785s; 3 packets dropped by 56.995s"),
        test: (RESOLVE, "what_each_partition_of_the_network_cuts"),
    },
    Seen {
        fault: "ring",
        said: Proved("3 rules in force, read back at 61.227s; 20 packets dropped by 61.912s"),
        test: (RESOLVE, "what_each_partition_of_the_network_cuts"),
    },
    Seen {
        fault: "part n2 from zookeeper",
        said: Proved(
            "12 rules in force, read back at 65.749s; 48 packets dropped by 71.667s; a fresh connection n2 -> n0 port zk-peer got no answer; …",
        ),
        test: (RESOLVE, "what_each_partition_of_the_network_cuts"),
    },
    Seen {
        fault: "part n2 from peers",
        said: Proved(
            "4 rules in force, read back at 75.187s; 18 packets dropped by 78.827s; a fresh connection n2 -> n0 port broker got no answer; a fresh connection n0 -> n2 port broker got no answer; a fresh connection n1 -> n2 port broker got no answer",
        ),
        test: (RESOLVE, "what_each_partition_of_the_network_cuts"),
    },
    Seen {
        fault: "part n2 from clients",
        said: Proved(
            "a fresh connection of the controller to port 9092 of n2 gets no answer; iptables dropped 1 packets",
        ),
        test: (GUARD, "worse_links"),
    },
    Seen {
        fault: "flap isolate n0 every 500ms",
        said: Proved(
            "4 rules in force, read back at 86.836s; 57 packets dropped by 90.477s; a fresh connection n0 -> n2 got no answer",
        ),
        test: (STORMS, "a_flap_comes_and_goes_and_is_gone_in_the_end"),
    },
    Seen {
        fault: "delay n0 -> n1 by 100ms jitter 20ms",
        said: Refused(
            "`delay n0 -> n1 by 0.1s jitter 0.02s` needs the netem queueing discipline, and n0 has none: tc: Error: Specified qdisc kind is unknown.",
        ),
        test: (SHAPES, "shapes_in_tcs_words"),
    },
    Seen {
        fault: "lose 5% of n0 -> n1",
        said: Proved("iptables' statistic match lost 1 of 25 packets n0 -> n1"),
        test: (GUARD, "worse_links"),
    },
    Seen {
        fault: "duplicate 1% of n0 -> n1",
        said: Refused(
            "`duplicate 1% of n0 -> n1` needs the netem queueing discipline, and n0 has none: tc: Error: Specified qdisc kind is unknown.",
        ),
        test: (SHAPES, "shapes_in_tcs_words"),
    },
    Seen {
        fault: "corrupt 0.1% of n0 -> n1",
        said: Refused(
            "`corrupt 0.1% of n0 -> n1` needs the netem queueing discipline, and n0 has none: tc: Error: Specified qdisc kind is unknown.",
        ),
        test: (SHAPES, "shapes_in_tcs_words"),
    },
    Seen {
        fault: "reorder 10% of n0 -> n1",
        said: Refused(
            "`reorder 10% of n0 -> n1` needs the netem queueing discipline, and n0 has none: tc: Error: Specified qdisc kind is unknown.",
        ),
        test: (SHAPES, "shapes_in_tcs_words"),
    },
    Seen {
        fault: "limit n0 -> n1 to 512kbit",
        said: Proved(
            "tc: tbf rate 512kbit burst 16384 latency 400ms; n0 -> n1 let 30 packets through, 48 had to wait, 4 were dropped",
        ),
        test: (GUARD, "worse_links"),
    },
    Seen {
        fault: "elect preferred of ledger/0",
        said: Proved(
            "n1 leads ledger/0 in e7, says the metadata of n0; before, n0 leads ledger/0 in e6, says the metadata of n0",
        ),
        test: (TOPICS, "elections"),
    },
    Seen {
        fault: "reassign ledger/0 to n1, n2, n0",
        said: Proved(
            "ledger/0 was on n0, n1, n2; it is on n1, n2, n0 and nothing of it moves, says the metadata of n0",
        ),
        test: (TOPICS, "elections"),
    },
    Seen {
        fault: "configure ledger min.insync.replicas = 1",
        said: Proved(
            "min.insync.replicas of ledger was 2 and is 1, says n0; the logs of n0, n1, n2 took it over",
        ),
        test: (TOPICS, "settings"),
    },
    Seen {
        fault: "fill disk of n0",
        said: Proved(
            "the file system of n0's log directory had 226680 KiB free and has 0; a write of 4 KiB was refused: error writing '.tidemark-probe': No space left on device",
        ),
        test: (DISKS, "fill"),
    },
    Seen {
        fault: "slow disk of n0 by 50ms",
        said: Refused(
            "`slow disk of n0 by 0.05s` needs device-mapper (dm-delay, dm-error), and n0 has none: dmsetup: /dev/mapper/control: open failed: No such device",
        ),
        test: (DEVICES, "a_device_is_slowed_by_another_table"),
    },
    Seen {
        fault: "fail disk of n0",
        said: Refused(
            "`fail disk of n0` needs device-mapper (dm-delay, dm-error), and n0 has none: dmsetup: /dev/mapper/control: open failed: No such device",
        ),
        test: (DEVICES, "a_device_is_slowed_by_another_table"),
    },
    Seen {
        fault: "power-cut n0",
        said: Proved(
            "the process table of n0 has no broker; it showed broker 3069 before; ledger/0 on n0 ends at @52811 now, read back; it ended at @57255 and lost 668041 bytes; it rolled a segment at @52811 long enough before",
        ),
        test: (DISKS, "last_standing"),
    },
    Seen {
        fault: "flip bit of ledger/0 on n0 closed",
        said: Proved(
            "byte 160304 of ledger-0/00000000000000000000.log on n0 (batch @1140 to @1147) was 0xec and is 0xed, and nothing else of the batch differs",
        ),
        test: (DISKS, "bits_and_files"),
    },
    Seen {
        fault: "remove checkpoints of n0",
        said: Proved(
            "the process table of n0 has no broker; it showed broker 3541 before; 4 of 4 checkpoint files of n0 are removed, read back",
        ),
        test: (DISKS, "bits_and_files"),
    },
    Seen {
        fault: "wipe n0",
        said: Proved(
            "the process table of n0 has no broker; it showed broker 471 before; the log directory of n0 held 71 files and holds 0 now; the logs of 1 partitions are gone",
        ),
        test: (DISKS, "bits_and_files"),
    },
    Seen {
        fault: "delete records of ledger/0 before hw",
        said: Proved("ledger/0 started at @0; it starts at @1655 now; n0 answered @1655"),
        test: (TOPICS, "deletions"),
    },
    Seen {
        fault: "bump clock of n0 by 500ms",
        said: Refused(
            "`bump clock of n0 by 0.5s` needs a clock of its own, and n0 has none: it runs on the same kernel as n1 and n2 and the controller (boot id …)",
        ),
        test: (CLOCKS, "a_clock_is_bumped_twice_and_set_right_once"),
    },
    Seen {
        fault: "crash producer of ledger",
        said: Proved("c0 is gone; 16 of its operations have no outcome"),
        test: (
            LOAD,
            "a_crashed_producer_leaves_unknowns_and_its_successor_has_another_id",
        ),
    },
];

/// The rows as docs/faults.md has them.
pub fn rows() -> String {
    let mut text = String::from("| fault | what was said | a test of it |\n| --- | --- | --- |\n");
    for Seen { fault, said, test } in SEEN {
        let (file, name) = test;
        let said = match said {
            Proved(said) => format!("“{said}”"),
            Refused(said) => format!("refused: “{said}”"),
        };
        let (fault, said) = (cell(fault), cell(&said));
        let short = file.rsplit('/').next().unwrap_or(file);
        text.push_str(&format!(
            "| `{fault}` | {said} | [`{short}`](../{file}): `{name}` |\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::CATALOGUE;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

    #[test]
    fn every_fault_has_a_row_and_its_test_is_there() {
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (
            SEEN.iter().map(|it| it.fault).collect(),
            CATALOGUE.iter().map(|it| it.example).collect(),
        );
        assert_eq!(ours, theirs);
        for Seen { fault, test, .. } in SEEN {
            let (file, name) = test;
            let text = std::fs::read_to_string(format!("{ROOT}/{file}"));
            let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {name}(")), "{fault}: {file}");
        }
    }

    #[test]
    fn every_mishap_of_the_page_is_told_by_a_test() {
        let read = |file: &str| std::fs::read_to_string(format!("{ROOT}/{file}")).expect("a file");
        let (page, test) = (
            read("docs/faults.md"),
            read("harness/cluster/tests/live_mishaps.rs"),
        );
        let (_, rest) = page
            .split_once("### When something else goes wrong")
            .expect("the section");
        let section = rest.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter(|line| line.ends_with("` |"));
        let names = rows.filter_map(|row| row.rsplit('`').nth(1));
        let names: Vec<&str> = names.collect();
        assert_eq!(names.len(), 4, "{names:?}");
        for name in names {
            assert!(test.contains(&format!("async fn {name}(")), "{name}");
        }
    }

    /// What was proved is a step of the plan, whoever it is done to; what was refused is none.
    #[test]
    fn the_plan_has_each_kind_that_is_proved_and_no_other() {
        let (origin, text) = plan::plans::find("every-fault").expect("it is embedded");
        let plan = plan::Plan::parse(&text, &origin).expect("it reads");
        let schedule = plan::Schedule::draw(&plan, plan::Seed(1));
        let steps = schedule.steps.iter().map(ToString::to_string);
        let steps: Vec<String> = steps.collect();
        for Seen { fault, said, .. } in SEEN {
            let ask: plan::Ask = fault.parse().expect("a fault");
            let ask = ask.to_string();
            // `pause n0` and `pause n1`: the same fault.
            let kind = match ask.split_once(' ') {
                Some((verb, whom)) if whom.len() == 2 => verb,
                _ => ask.as_str(),
            };
            let there = steps
                .iter()
                .any(|step| step.starts_with(kind) || step.contains(&format!(" {kind}")));
            assert_eq!(there, matches!(said, Proved(_)), "{fault}");
        }
    }
}
