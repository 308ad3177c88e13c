//! Plans: what reads, what is refused where and in which words, and that writing undoes reading.

use std::time::Duration;

use super::*;
use crate::ask::Target;
use crate::model::{Action, Condition, Rate};

/// A plan that reads; tests change one line of it.
const GOOD: &str = r#"name = "small"
about = "A leader is killed."

[cluster]
kafka = "3.0.0"
profile = "fast"
start_order = ["n1", "n0", "n2"]

[cluster.properties]
"inter.broker.protocol.version" = "0.11.0-IV1"

[topics.ledger]
assignment = [["n0", "n1", "n2"]]
min_insync_replicas = 2

[topics.ledger.load]
acks = "all"
idempotent = true
rate = 700

[phases]
steady = "5s"
calm = "1m 30s"
settle_max = "40s"
drain_max = "60s"

[minimum]
acked = 1000
acked_per_second = 100

[storm]
steps = [
    "kill leader of ledger/0 for 8s",
    "await isr of ledger/0 == {n0, n1, n2} within 30s",
]
"#;

fn with(line: &str, instead: &str) -> String {
    assert!(GOOD.contains(line), "the plan has no line {line}");
    GOOD.replacen(line, instead, 1)
}

fn complaint(text: &str) -> String {
    match Plan::parse(text, "x.toml") {
        Ok(plan) => panic!("read as {plan:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_plan_reads_with_its_defaults() {
    let plan = Plan::parse(GOOD, "x.toml").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(plan.cluster.start_order, [NodeId(1), NodeId(0), NodeId(2)]);
    assert_eq!(plan.phases.calm, Duration::from_secs(90));
    let load = &plan.topics["ledger"].load;
    assert_eq!(
        (load.producers, load.consumers, load.value_bytes),
        (1, 0, 128)
    );
    assert_eq!(load.rate, Rate::PerSecond(700));
    let Storm::Steps(steps) = &plan.storm else {
        panic!("steps were written");
    };
    assert_eq!(steps.len(), 2);
}

#[test]
fn what_is_written_is_read_as_the_same_plan() {
    let drawn = with(
        "steps = [",
        "length = \"60s\"\nhold = [\"3s\", \"10s\"]\nquiet = [\"2.5s\", \"6s\"]\n\
         faults = { \"kill leader of ledger/0\" = 3, \"pause any\" = 1 }\n#",
    );
    let drawn = drawn.split("    \"kill").next().unwrap();
    let odd = with(
        "A leader is killed.",
        "It's \\\"odd\\\" \\\\ and \\u0001 more.",
    );
    let quoted = with(
        "\"kill leader of ledger/0 for 8s\"",
        "'await log of n2 has \"is \\\\ it\" within 2s or go on'",
    );
    let bounded = with("\nprofile", "\ndisk = \"1536MiB\"\nprofile").replace(
        "within 30s\",\n]",
        "within 30s\",\n\"fill disk of n1 for 2s\", \"roll every 1s\"]\n\
         [storm.budget]\nbrokers = 2\nzookeeper = \"majority\"",
    );
    let shifting = format!(
        "{drawn}\nat_once = 2\ncount = 4\n[storm.shift]\nevery = [\"20s\", \"30s\"]\nkinds = 1\n\
         rest = [\"1s\", \"2s\"]\n[storm.budget]\nbrokers = 1\n",
    );
    for text in [GOOD, drawn, &odd, &quoted, &bounded, &shifting] {
        let plan = Plan::parse(text, "x.toml").unwrap_or_else(|e| panic!("{e}\n{text}"));
        let again = plan.to_toml();
        assert_eq!(Plan::parse(&again, "again").as_ref(), Ok(&plan), "{again}");
    }
}

/// A plan with a topic whose producers copy another.
fn copying() -> String {
    let copies = "[topics.copies]
partitions = 2
replicas = 3
min_insync_replicas = 2
[topics.copies.load]
producers = 2
acks = \"all\"
idempotent = true
transactional = true
group = \"copiers\"
copies = \"ledger\"

[phases]";
    with("[phases]", copies)
}

#[test]
fn a_topic_may_be_copied_to_by_a_group() {
    let text = copying();
    let plan = Plan::parse(&text, "x.toml").unwrap_or_else(|e| panic!("{e}"));
    let load = &plan.topics["copies"].load;
    assert_eq!(load.rate, Rate::Copying("ledger".into()));
    let group = load.group.as_ref().map(|it| (it.name.as_str(), it.commit));
    assert_eq!(group, Some(("copiers", history::CommitMode::Transaction)));
    let again = plan.to_toml();
    assert_eq!(Plan::parse(&again, "again").as_ref(), Ok(&plan), "{again}");
    // As much is copied as is sent.
    let fast = text.replace("acked_per_second = 100", "acked_per_second = 1400");
    assert!(Plan::parse(&fast, "x.toml").is_ok());
}

#[test]
fn what_cannot_be_copied_has_a_line_and_a_remedy() {
    for (line, instead, wanted) in [
        (
            "copies = \"ledger\"",
            "copies = \"ledgre\"",
            "x.toml:31: `topics.copies.load.copies`: the plan has no topic `ledgre`; did you mean `ledger`?",
        ),
        (
            "copies = \"ledger\"",
            "copies = \"copies\"",
            "x.toml:31: `topics.copies.load.copies`: copies cannot be copied to itself; name another topic",
        ),
        (
            "rate = 700",
            "transactional = true\ngroup = \"g\"\ncopies = \"copies\"",
            "x.toml:21: `topics.ledger.load.copies`: copies is a copy itself; name a topic that has a `rate`",
        ),
        (
            "rate = 700",
            "rate = 700\nconsumers = 1\ngroup = \"copiers\"",
            "x.toml:33: `topics.copies.load.copies`: the clients of ledger have the same `group`; give one of the two another",
        ),
        (
            "copies = \"ledger\"",
            "copies = \"ledger\"\nrate = 5",
            "x.toml:32: `topics.copies.load.rate`: who copies sends what comes: as fast as it is sent to the topic that is copied; leave it out",
        ),
        (
            "copies = \"ledger\"",
            "copies = \"ledger\"\ncommit = \"after\"",
            "x.toml:32: `topics.copies.load.commit`: who copies commits within each transaction; leave it out",
        ),
        (
            "transactional = true\n",
            "",
            "x.toml:30: `topics.copies.load.copies`: copies are made in transactions: say `transactional = true` (and `idempotent = true`)",
        ),
        (
            "group = \"copiers\"\n",
            "",
            "x.toml:30: `topics.copies.load.copies`: who copies reads as a group: say which, `group = \"copiers\"`",
        ),
        (
            "\"kill leader of ledger/0 for 8s\"",
            "\"send 5 to copies/0\"",
            "x.toml:45: `storm.steps`: send 5 to copies/0: copies is sent only what is copied to it; send to ledger",
        ),
        (
            "rate = 700",
            "rate = \"on-demand\"",
            "x.toml:40: `minimum.acked`: 1000 can never be reached: the steps send 0 to ledger",
        ),
    ] {
        let text = copying();
        assert!(text.contains(line), "the plan has no line {line}");
        assert_eq!(complaint(&text.replacen(line, instead, 1)), wanted);
    }
}

#[test]
fn a_misspelt_key_is_told_with_its_line_and_the_nearest() {
    assert_eq!(
        complaint(&with("[topics.ledger]", "[topcs.ledger]")),
        "x.toml:12: unknown key `topcs`: did you mean `topics`?"
    );
    assert_eq!(
        complaint(&with("acks = \"all\"", "ack = \"all\"")),
        "x.toml:17: unknown key `topics.ledger.load.ack`: did you mean `acks`?"
    );
    assert_eq!(
        complaint(&with("calm =", "tempest =")),
        "x.toml:23: unknown key `phases.tempest`: there may be `steady`, `calm`, `settle_max` or \
         `drain_max`"
    );
}

#[test]
fn every_other_mistake_has_a_line_and_a_remedy() {
    for (line, instead, wanted) in [
        (
            "rate = 700",
            "rate = 700\nconsumers = 0\ngroup = \"g\"",
            "x.toml:21: `topics.ledger.load.group`: nobody belongs to it, since `consumers` is 0; give it some, or leave it out",
        ),
        (
            "rate = 700",
            "rate = \"fast\"",
            "x.toml:19: `topics.ledger.load.rate`: `fast` is none of `max` or `on-demand`",
        ),
        (
            "rate = 700",
            "rate = 1.5",
            "x.toml:19: `topics.ledger.load.rate` must be a whole number, not negative, not the number 1.5",
        ),
        (
            "rate = 700",
            "",
            "x.toml:16: `topics.ledger.load.rate` is missing: records a second, \"max\" or \"on-demand\"",
        ),
        (
            "acks = \"all\"",
            "acks = 1",
            "x.toml:18: `topics.ledger.load.idempotent`: idempotence needs acks=all, and this load has acks=1",
        ),
        (
            "rate = 700",
            "rate = 700\nvalue_bytes = 31",
            "x.toml:20: `topics.ledger.load.value_bytes`: must be 32 (the header that makes a record recognisable) to 999000 bytes",
        ),
        (
            "rate = 700",
            "rate = 50",
            "x.toml:29: `minimum.acked_per_second`: 100 can never be reached: all topics together send 50 a second",
        ),
        (
            "rate = 700",
            "rate = \"on-demand\"",
            "x.toml:28: `minimum.acked`: 1000 can never be reached: the steps send 0 to ledger",
        ),
        (
            "\"n1\", \"n2\"]]",
            "\"n1\", \"n3\"]]",
            "x.toml:13: `topics.ledger.assignment`: `n3` is not a node; there are n0, n1 and n2",
        ),
        (
            "\"n1\", \"n2\"]]",
            "\"n1\", \"n1\"]]",
            "x.toml:13: `topics.ledger.assignment`: n1 is named twice",
        ),
        (
            "min_insync_replicas = 2",
            "min_insync_replicas = 4",
            "x.toml:14: `topics.ledger.min_insync_replicas`: 4 in-sync replicas can never be had of 3",
        ),
        (
            "assignment = [[\"n0\", \"n1\", \"n2\"]]",
            "partitions = 3",
            "x.toml:12: `topics.ledger.assignment` is missing: replicas of each partition; or give `partitions` and `replicas`",
        ),
        (
            "kafka = \"3.0.0\"",
            "kafka = \"2.8.0\"",
            "x.toml:5: `cluster.kafka`: Kafka 2.8.0 is not known here; `3.0.0` is",
        ),
        (
            "profile = \"fast\"",
            "profile = \"fats\"",
            "x.toml:6: `cluster.profile`: `fats` is none of `fast` or `stock`; did you mean `fast`?",
        ),
        (
            "\"n1\", \"n0\", \"n2\"]\n",
            "\"n1\"]\n",
            "x.toml:7: `cluster.start_order`: must name n0, n1 and n2, each once, or nobody",
        ),
        (
            "protocol.version",
            "protocol.verson",
            "x.toml:10: Kafka 3.0.0 has no broker property `inter.broker.protocol.verson`; did you mean `inter.broker.protocol.version`?",
        ),
        (
            "\"inter.broker.protocol.version\" = \"0.11.0-IV1\"",
            "\"broker.id\" = 4",
            "x.toml:10: `cluster.properties.broker.id`: the harness sets this on every broker; leave it out",
        ),
        (
            "\"inter.broker.protocol.version\" = \"0.11.0-IV1\"",
            "\"replica.fetch.wait.max.ms\" = 8000",
            "x.toml:10: `cluster.properties.replica.fetch.wait.max.ms`: replica.fetch.wait.max.ms is 8000 and must be below replica.lag.time.max.ms, which is 3000",
        ),
        (
            "\"inter.broker.protocol.version\" = \"0.11.0-IV1\"",
            "num.io.threads = 4",
            "x.toml:10: `cluster.properties.num`: a property's name must be quoted, as it has dots in it: \"a.b\" = ...",
        ),
        (
            "steady = \"5s\"",
            "steady = 5",
            "x.toml:22: `phases.steady` must be a duration in quotes such as \"5s\", not the number 5",
        ),
        (
            "name = \"small\"",
            "name = \"a/b\"",
            "x.toml:1: `name`: `a/b` is not made of at most 40 lower-case letters, digits and dashes",
        ),
        (
            "for 8s",
            "for 8",
            "x.toml:33: `8` is not a duration such as `5s` or `1m 30s`: time unit needed, for example 8sec or 8ms\n    kill leader of ledger/0 for 8\n                                ^",
        ),
        (
            "kill leader of ledger/0",
            "kill leader of legder/0",
            "x.toml:33: `storm.steps`: kill leader of legder/0 for 8s: there is no topic `legder`; did you mean `ledger`?",
        ),
        (
            "kill leader of ledger/0",
            "kill leader of ledger/1",
            "x.toml:33: `storm.steps`: kill leader of ledger/1 for 8s: there is no ledger/1: the topic has 1 (numbered from 0)",
        ),
        (
            "{n0, n1, n2}",
            "{n0, n1, n7}",
            "x.toml:34: `storm.steps`: await isr of ledger/0 == {n0, n1, n7} within 30s: n7 is no replica of ledger/0",
        ),
        (
            "\"kill leader",
            "\"at 9s heal\", \"at 3s kill leader",
            "x.toml:33: `storm.steps`: `at 3s kill leader of ledger/0 for 8s` would fire before the step at 9s that stands above it",
        ),
        (
            "steps = [",
            "length = \"9s\"\nsteps = [",
            "x.toml:32: `storm.length`: a storm is either written as `steps` or drawn, not both",
        ),
        (
            "\"kill leader",
            "\"wait 1s as pause\", \"after puase 3s kill leader",
            "x.toml:33: `storm.steps`: no step above is called `puase`; did you mean `pause`? (a step is named by `as puase`)",
        ),
        (
            "\"kill leader",
            "\"wait 1s as pause\", \"heal pause\", \"kill leader",
            "x.toml:33: `storm.steps`: the step `pause` injects no fault to heal",
        ),
        (
            "\"kill leader",
            "\"wait 1s as twice\", \"wait 1s as twice\", \"kill leader",
            "x.toml:33: `storm.steps`: two steps are called `twice`",
        ),
        (
            "kill leader of ledger/0 for 8s",
            "elect unclean of ledger/0",
            "x.toml:33: `storm.steps`: elect unclean of ledger/0: ledger does not allow unclean elections: give it the property `unclean.leader.election.enable` = true, or say `configure ledger unclean.leader.election.enable = true` in a step above",
        ),
        (
            "kill leader of ledger/0 for 8s",
            "fill disk of n1 for 8s",
            "x.toml:33: `storm.steps`: fill disk of n1 for 8s: only a disk of its own may be filled: give `disk = \"512MiB\"` in `[cluster]`",
        ),
        (
            "kill leader of ledger/0 for 8s",
            "configure ledger min.insync.replica = 1",
            "x.toml:33: `storm.steps`: configure ledger min.insync.replica = 1: Kafka 3.0.0 has no topic property `min.insync.replica`; did you mean `min.insync.replicas`?",
        ),
        (
            "kill leader of ledger/0 for 8s",
            "bridge followers of ledger/0",
            "x.toml:33: `storm.steps`: bridge followers of ledger/0: one node is a bridge, and `followers of ledger/0` may be several",
        ),
        (
            "kill leader of ledger/0 for 8s",
            "reassign ledger/0 to n1, n4",
            "x.toml:33: `storm.steps`: reassign ledger/0 to n1, n4: `n4` is not a node; there are n0, n1 and n2",
        ),
        (
            "kill leader of ledger/0 for 8s",
            "crash consumer of ledger",
            "x.toml:33: `storm.steps`: crash consumer of ledger: ledger has no consumer that reads along: its load has `consumers = 0`",
        ),
        (
            "kill leader of ledger/0 for 8s",
            "elect preferred of ledger/0 for 8s",
            "x.toml:33: `storm.steps`: elect preferred of ledger/0 for 8s: it is over at once; leave out `for`",
        ),
        (
            "kill leader of ledger/0 for 8s",
            "when lag of ledger/0 on n2 > 5 and epoch of legder/0 > 3 within 9s heal",
            "x.toml:33: `storm.steps`: when lag of ledger/0 on n2 > 5 and epoch of legder/0 > 3 within 9s heal: there is no topic `legder`; did you mean `ledger`?",
        ),
        (
            "profile = \"fast\"",
            "profile = \"fast\"\ndisk = \"63MiB\"",
            "x.toml:7: `cluster.disk`: must be from 64MiB to 16GiB",
        ),
        (
            "profile = \"fast\"",
            "profile = \"fast\"\ndisk = \"1GB\"",
            "x.toml:7: `cluster.disk`: `1GB` is not a size such as \"512MiB\" or \"1GiB\"",
        ),
        (
            "within 30s\",\n]",
            "within 30s\",\n]\n[storm.budget]\nbrokers = 4",
            "x.toml:37: `storm.budget.brokers`: 4 are more than n0, n1 and n2",
        ),
        (
            "within 30s\",\n]",
            "within 30s\",\n]\n[storm.budget]\nzookeeper = \"all\"",
            "x.toml:37: `storm.budget.zookeeper`: `all` is none of `majority`",
        ),
        (
            "within 30s\",\n]",
            "within 30s\",\n\"kill all\",\n]\n[storm.budget]\nbrokers = 2",
            "x.toml:35: `storm.steps`: kill all: it may take 3 brokers at once, and the budget allows 2",
        ),
        ("name = \"small\"", "name = \"small", "x.toml:1: "),
    ] {
        let told = complaint(&with(line, instead));
        if wanted.ends_with(": ") {
            assert!(told.starts_with(wanted), "{told}");
        } else {
            assert_eq!(told, wanted);
        }
    }
}

#[test]
fn topics_are_spread_when_only_counted() {
    let text = with(
        "assignment = [[\"n0\", \"n1\", \"n2\"]]",
        "partitions = 4\nreplicas = 2",
    );
    let text = text.replace("{n0, n1, n2}", "{n0, n1}");
    let plan = Plan::parse(&text, "x.toml").unwrap_or_else(|e| panic!("{e}"));
    let named: Vec<String> = plan.topics["ledger"]
        .assignment
        .iter()
        .map(|nodes| nodes.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(named, ["n0n1", "n1n2", "n2n0", "n0n1"]);
}

#[test]
fn palettes_are_checked() {
    let storm = |body: &str| {
        let head = GOOD.split("[storm]").next().unwrap();
        complaint(&format!("{head}[storm]\n{body}\n"))
    };
    let hold = "hold = [\"3s\", \"10s\"]\nquiet = [\"2s\", \"6s\"]";
    assert!(storm("").contains("is drawn from `length`"));
    assert!(
        storm(&format!(
            "length = \"4s\"\n{hold}\nfaults = {{ \"kill any\" = 1 }}"
        ))
        .contains("no time")
    );
    assert!(storm(&format!("length = \"60s\"\n{hold}\nfaults = {{}}")).contains("a fault to draw"));
    assert!(
        storm(&format!(
            "length = \"60s\"\n{hold}\nfaults = {{ \"kill any\" = 0 }}"
        ))
        .contains("must be at least 1")
    );
    assert!(
        storm(&format!(
            "length = \"60s\"\n{hold}\nfaults = {{ \"kill  n1\" = 1, \"kill n1\" = 2 }}"
        ))
        .contains("`kill n1` is here twice")
    );
    let faults = "faults = { \"kill any\" = 1 }";
    for (keys, wanted) in [
        ("at_once = 0", "`storm.at_once`: must be at least 1"),
        ("count = 13", "`storm.count`: no more than 12 faults fit"),
        (
            "shift = { every = [\"4s\", \"9s\"], kinds = 1, rest = [\"1s\", \"1s\"] }",
            "no time for even one",
        ),
        (
            "shift = { every = [\"9s\", \"9s\"], kinds = 1 }",
            "`storm.shift.rest` is missing",
        ),
        (
            "shift = { every = [\"9s\", \"9s\"], knds = 1 }",
            "did you mean `kinds`?",
        ),
        ("at_onec = 2", "did you mean `at_once`?"),
    ] {
        let told = storm(&format!("length = \"60s\"\n{hold}\n{faults}\n{keys}"));
        assert!(told.contains(wanted), "{told}");
    }
    let told = storm(&format!(
        "length = \"60s\"\n{hold}\nfaults = {{ \"kill majority\" = 1 }}\nbudget = {{ brokers = 1 }}"
    ));
    assert!(
        told.contains("`storm.faults.kill majority`: it may take 2 brokers"),
        "{told}"
    );
    let nudge = storm(&format!(
        "length = \"60s\"\n{hold}\nfaults = {{ \"kil any\" = 1 }}"
    ));
    assert!(nudge.contains("did you mean `kill`?"), "{nudge}");
}

#[test]
fn earlier_steps_allow_and_move() {
    for steps in [
        "configure ledger unclean.leader.election.enable = true\", \"elect unclean of ledger/0",
        "reassign ledger/0 to n2\", \"await isr of ledger/0 == {n2} within 9s",
    ] {
        let text = with(
            "assignment = [[\"n0\", \"n1\", \"n2\"]]",
            "assignment = [[\"n0\", \"n1\"]]",
        )
        .replace("{n0, n1, n2}", "{n0, n1}");
        let text = text.replace("kill leader of ledger/0 for 8s", steps);
        Plan::parse(&text, "x.toml").unwrap_or_else(|e| panic!("{e}"));
        // The other way round nobody has allowed or moved anything yet.
        let (first, second) = steps.split_once("\", \"").expect("two steps");
        let turned = text.replace(steps, &format!("{second}\", \"{first}"));
        assert!(Plan::parse(&turned, "x.toml").is_err(), "{turned}");
    }
    // A property of the topic, or of all brokers, allows it too; a topic's own word is the last.
    let unclean = |whose: &str, value| {
        with(
            "kill leader of ledger/0 for 8s",
            "elect unclean of ledger/0",
        )
        .replacen(
            whose,
            &format!("\"unclean.leader.election.enable\" = {value}\n{whose}"),
            1,
        )
    };
    let of_topic = |value| {
        unclean("[topics.ledger.load]", value)
            .replace("\"unclean", "[topics.ledger.properties]\n\"unclean")
    };
    let of_brokers = unclean("\"inter.broker", true);
    assert!(Plan::parse(&of_topic(true), "x.toml").is_ok());
    assert!(Plan::parse(&of_brokers, "x.toml").is_ok());
    assert!(Plan::parse(&of_topic(false), "x.toml").is_err());
    let both = of_brokers.replacen(
        "[topics.ledger.load]",
        "[topics.ledger.properties]\n\"unclean.leader.election.enable\" = false\n[topics.ledger.load]",
        1,
    );
    assert!(complaint(&both).contains("does not allow unclean elections"));
}

#[test]
fn records_of_a_compacted_topic_are_not_deleted() {
    let text = |policy: &str| {
        with("kill leader of ledger/0 for 8s", "delete records of ledger/0 before hw").replacen(
            "[topics.ledger.load]",
            &format!("[topics.ledger.properties]\n\"cleanup.policy\" = \"{policy}\"\n[topics.ledger.load]"),
            1,
        )
    };
    assert!(complaint(&text("compact")).contains("cannot be deleted"));
    assert!(Plan::parse(&text("compact, delete"), "x.toml").is_ok());
}

#[test]
fn conditions_and_targets_become_values() {
    let plan = Plan::parse(GOOD, "x.toml").unwrap();
    let Storm::Steps(steps) = plan.storm else {
        panic!("steps were written");
    };
    let ledger = history::Partition::new("ledger", 0);
    assert!(matches!(
        &steps[0].action,
        Action::Fault { ask: crate::Ask::Process { target: Target::LeaderOf(p), .. }, .. } if *p == ledger
    ));
    assert!(matches!(
        &steps[1].action,
        Action::Await { condition: Condition::Isr { members, .. }, .. } if members.len() == 3
    ));
}
