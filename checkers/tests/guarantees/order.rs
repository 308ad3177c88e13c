//! Copies and order.

use checkers::judgement::Class;

use crate::{abstains, acquits, convicts, permits};

fn scene(topic: &str, sends: &str, log: &str) -> String {
    format!(
        "topic t on n0,n1 by c1 {topic}
        {sends}
        f1 kill broker n1 : injecting at 0.6s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n0 final t/0: {log}
        n1 final t/0: {log}"
    )
}

const ONE: &str = "c1 send t/0 v0 -> @0 at 1.0s..1.1s";
const TWO: &str = "c1 send t/0 v0 -> @1 at 1.0s..1.1s\nc1 send t/0 v1 -> @0 at 1.2s..1.3s";

#[test]
fn a_copy_that_the_broker_should_have_recognised() {
    let log = "e0 @0 v0 pid=7.0+0 | e0 @1 v0 pid=7.0+0";
    let finding = convicts(
        "duplicate-in-log",
        &scene("idempotent", ONE, log),
        "1 further copy",
    );
    assert_eq!(finding.class, Class::Unexplained);
}

#[test]
fn a_copy_under_a_new_producer_epoch_is_the_client_librarys() {
    let log = "e0 @0 v0 pid=7.0+0 | e0 @1 v0 pid=7.1+0";
    let finding = permits(
        "duplicate-in-log",
        &scene("idempotent", ONE, log),
        1,
        "1 further copy",
    );
    assert_eq!(finding.class, Class::Resend);
}

#[test]
fn a_plain_resend_depends_on_idempotence_and_retries() {
    let log = "e0 @0 v0 | e0 @1 v0";
    permits(
        "duplicate-in-log",
        &scene("acks=all", ONE, log),
        1,
        "1 further copy",
    );
    convicts(
        "duplicate-in-log",
        &scene("idempotent", ONE, log),
        "1 further copy",
    );
    convicts(
        "duplicate-in-log",
        &scene("no-retries", ONE, log),
        "1 further copy",
    );
    acquits("duplicate-in-log", &scene("idempotent", ONE, "e0 @0 v0"), 1);
    abstains(
        "duplicate-in-log",
        &scene("idempotent", "", ""),
        "no records",
    );
}

#[test]
fn copies_and_order_that_are_permitted_prove_nothing_of_a_log_that_is_missing() {
    let copied = scene("acks=all", ONE, "e0 @0 v0 | e0 @1 v0");
    let swapped = scene("acks=all", TWO, "e0 @0 v1 | e0 @1 v0");
    for (name, text) in [("duplicate-in-log", copied), ("order-broken", swapped)] {
        permits(name, &text, 1, "1 ");
        let two = text.replace("topic t", "topic t partitions=2");
        let two = format!("{two}\nn0 said 0.5s leader t/1 e0 from @0 hw @0 isr n0,n1 was none");
        abstains(name, &two, "no log of t/1");
        permits(
            name,
            &format!("{two}\nn0 final t/1:\nn1 final t/1:"),
            1,
            "1 ",
        );
    }
}

#[test]
fn order_is_that_of_one_handle() {
    let swapped = "e0 @0 v1 | e0 @1 v0";
    convicts(
        "order-broken",
        &scene("idempotent", TWO, swapped),
        "1 record of c1",
    );
    convicts(
        "order-broken",
        &scene("in-flight=1", TWO, swapped),
        "1 record of c1",
    );
    permits(
        "order-broken",
        &scene("in-flight=5", TWO, swapped),
        1,
        "1 record of c1",
    );
    let others = TWO.replace("c1 send t/0 v1", "c2 send t/0 v1");
    acquits("order-broken", &scene("idempotent", &others, swapped), 2);
    abstains("order-broken", &scene("idempotent", "", ""), "no records");
}

#[test]
fn order_across_producer_epochs_is_the_client_librarys() {
    let log = "e0 @0 v1 pid=7.0+0 | e0 @1 v0 pid=7.1+0";
    permits(
        "order-broken",
        &scene("idempotent", TWO, log),
        1,
        "1 record of c1",
    );
    // The other way round the broker took an old epoch behind a newer one.
    let log = "e0 @0 v1 pid=7.1+0 | e0 @1 v0 pid=7.0+0";
    convicts(
        "order-broken",
        &scene("idempotent", TWO, log),
        "1 record of c1",
    );
    let other = "e0 @0 v1 pid=8.0+0 | e0 @1 v0 pid=7.0+0";
    permits(
        "order-broken",
        &scene("idempotent", TWO, other),
        1,
        "1 record of c1",
    );
}

#[test]
fn records_of_unknown_fate_count_for_idempotent_sessions_only() {
    let sends = "c1 send t/0 v0 -> ? timed out at 1.0s..1.1s\nc1 send t/0 v1 -> @0 at 1.2s..1.3s";
    let swapped = "e0 @0 v1 | e0 @1 v0";
    convicts(
        "order-broken",
        &scene("idempotent", sends, swapped),
        "1 record",
    );
    acquits("order-broken", &scene("in-flight=1", sends, swapped), 1);
}
