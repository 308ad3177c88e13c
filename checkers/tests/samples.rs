//! A judgement written by hand, kept as JSON for whoever renders one, and its schema.
//!
//! `UPDATE=1 cargo test -p checkers --test samples` writes the file again from the values.

use std::collections::BTreeMap;

use checkers::judgement::*;
use history::{ClientId, Epoch, FaultId, Mark, NodeId, OpId, ValueId};

const N0: NodeId = NodeId(0);
const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);

fn s(text: &str) -> String {
    text.to_owned()
}

fn ms(millis: u64) -> Mark {
    Mark::from_millis(millis)
}

fn span(from: u64, to: u64) -> TimeSpan {
    TimeSpan {
        from: ms(from),
        to: ms(to),
    }
}

fn held(examined: u64, unit: &str) -> Verdict {
    Verdict::Held {
        examined,
        unit: s(unit),
    }
}

fn guarantee(name: &str, sentence: &str, group: Group, verdict: Verdict) -> Guarantee {
    Guarantee {
        name: s(name),
        sentence: s(sentence),
        group,
        verdict,
        premises: vec![s("images-complete")],
    }
}

fn guarantees(
    acked: u64,
    kept: u64,
    above: Verdict,
    twice: Verdict,
    bytes: &str,
) -> Vec<Guarantee> {
    vec![
        guarantee(
            "acked-lost-below-hw",
            "acknowledged records below the high watermark stay",
            Group::Loss,
            held(kept, "acknowledged records"),
        ),
        guarantee(
            "acked-lost-above-hw",
            "acknowledged records above the high watermark stay",
            Group::Loss,
            above,
        ),
        guarantee(
            "read-then-vanished",
            "what a consumer saw stays",
            Group::Loss,
            held(kept, "deliveries"),
        ),
        guarantee(
            "duplicate-in-log",
            "no record stands twice in the log",
            Group::Order,
            twice,
        ),
        guarantee(
            "divergence-below-hw",
            "replicas agree below the high watermark",
            Group::Replicas,
            held(3, bytes),
        ),
        guarantee(
            "stuck",
            "the cluster recovers after the heal",
            Group::Liveness,
            held(acked.min(1), "settle"),
        ),
    ]
}

fn ledger() -> TopicJudgement {
    TopicJudgement {
        topic: s("ledger"),
        settings: s("acks=all, idempotent, min.isr 2"),
        contract: vec![Clause {
            what: s("acknowledged records above the high watermark stay"),
            promised: true,
            why: s("acks=all acknowledges a record only once it is below the high watermark"),
            by: vec![],
            unless: None,
            would_change: None,
        }],
        happened: vec![],
        guarantees: guarantees(
            26_707,
            26_707,
            held(26_707, "acknowledged records"),
            held(26_707, "records"),
            "replicas of 3.1 MB, byte for byte",
        ),
        accounting: Accounting {
            acknowledged: OutcomeRow {
                sent: 26_707,
                present: 26_707,
                ..OutcomeRow::default()
            },
            records: RecordRow {
                data: 26_707,
                present: 26_707,
                ..RecordRow::default()
            },
            drain: DrainRow {
                expected: 26_707,
                delivered: 26_707,
                matching: 26_707,
                ..DrainRow::default()
            },
            ..Accounting::default()
        },
    }
}

fn metrics() -> TopicJudgement {
    let why = "acks=1 acknowledges a record before other replicas hold it";
    TopicJudgement {
        topic: s("metrics"),
        settings: s("acks=1"),
        contract: vec![Clause {
            what: s("acknowledged records above the high watermark stay"),
            promised: false,
            why: s(why),
            by: vec![],
            unless: None,
            would_change: Some(s("acks=all")),
        }],
        happened: vec![],
        guarantees: guarantees(
            26_833,
            12_028,
            Verdict::NotPromised {
                why: s(why),
                observed: 14_805,
                examined: 26_833,
                unit: s("acknowledged records"),
                findings: vec![FindingId(1)],
            },
            Verdict::NotPromised {
                why: s("without idempotence a retry after a fault may append twice"),
                observed: 0,
                examined: 12_028,
                unit: s("records"),
                findings: vec![],
            },
            "replicas of 1.4 MB, byte for byte",
        ),
        accounting: Accounting {
            acknowledged: OutcomeRow {
                sent: 26_833,
                present: 12_028,
                lost: 14_805,
                lost_above_hw: 14_805,
                ..OutcomeRow::default()
            },
            records: RecordRow {
                data: 12_028,
                present: 12_028,
                ..RecordRow::default()
            },
            drain: DrainRow {
                expected: 12_028,
                delivered: 12_028,
                matching: 12_028,
                ..DrainRow::default()
            },
            ..Accounting::default()
        },
    }
}

fn lines() -> Vec<Witness> {
    let line = |node, file: &str, line, at, text: &str| Witness {
        node: Some(node),
        source: format!("nodes/{node}/logs/{file}"),
        line: Some(line),
        at: Some(span(at, at + 4)),
        text: s(text),
    };
    vec![
        line(
            N1,
            "state-change.log",
            31,
            25_697,
            "[Broker id=1] Leader metrics-0 starts at leader epoch 1 from offset 8079 with high watermark 8074 ISR [1,2]",
        ),
        line(
            N0,
            "state-change.log",
            44,
            31_483,
            "[Broker id=0] Follower metrics-0 starts at leader epoch 1 from offset 22884 with high watermark 8074",
        ),
        line(
            N0,
            "server.log",
            212,
            31_559,
            "[Log partition=metrics-0, dir=data] Truncating to offset 8079",
        ),
    ]
}

fn finding() -> Finding {
    let sentence = |text: &str, evidence: &[u32]| StorySentence {
        text: s(text),
        evidence: evidence.to_vec(),
        missing: None,
    };
    let op = |op, value, offset, at| OpWitness {
        op: OpId(op),
        client: ClientId(2),
        value: Some(ValueId(value)),
        offset: Some(offset),
        invoked: ms(at - 2),
        returned: Some(ms(at)),
    };
    Finding {
        id: FindingId(1),
        guarantee: s("acked-lost-above-hw"),
        topic: s("metrics"),
        partition: Some(s("metrics/0")),
        title: s(
            "metrics/0 @8079..@22883: 14 805 acknowledged records lost above the high watermark",
        ),
        offsets: Some(OffsetRange {
            from: 8079,
            to: 22_884,
        }),
        count: 14_805,
        class: Class::AboveHw,
        standing: Standing::NotPromised,
        story: vec![
            sentence(
                "From 22.000s n0 was cut off from n1 and n2 (f2, proved by 412 dropped packets); clients still reached it.",
                &[],
            ),
            sentence(
                "n0 led e0 and acknowledged each record as soon as it had written it itself; its high watermark stood at @8074, because nobody copied from it any more.",
                &[1],
            ),
            sentence(
                "At 25.697s n1 was elected for e1, cleanly, from the in-sync set; its log ended at @8079.",
                &[0],
            ),
            sentence(
                "At 31.559s n0 was back, followed e1 and cut its log to @8079. No other replica had ever held these records.",
                &[1, 2],
            ),
        ],
        evidence: lines(),
        first: Some(op(9313, 9300, 8079, 22_004)),
        last: Some(op(24_120, 24_105, 22_883, 32_098)),
        still_held: vec![StillHeld {
            node: N0,
            image: s("images/n0-f2.tar.zst"),
            taken: ms(31_000),
            count: 12_765,
        }],
        held_nowhere: Some(2_040),
        would_keep: Some(s("acks=all")),
    }
}

fn picture(
    node: NodeId,
    role: Role,
    epoch: i32,
    ends: &[(i32, i64, i64)],
    hw: i64,
) -> ReplicaPicture {
    let sourced = |offset, what: &str| {
        Some(Sourced {
            offset,
            source: format!("{node} {what}"),
        })
    };
    ReplicaPicture {
        node,
        role,
        epoch: Some(Epoch(epoch)),
        isr: vec![],
        segments: ends
            .iter()
            .map(|&(epoch, from, to)| EpochSegment {
                epoch: Epoch(epoch),
                from,
                to,
            })
            .collect(),
        segments_source: s("final image and transition lines"),
        hw: sourced(hw, "state-change.log"),
        leo: sourced(ends.last().map_or(0, |end| end.2), "state-change.log"),
        cut: None,
    }
}

fn failover() -> Failover {
    let old = ReplicaPicture {
        cut: Some(OffsetRange {
            from: 8079,
            to: 22_884,
        }),
        ..picture(N0, Role::DeposedLeader, 0, &[(0, 0, 22_884)], 8074)
    };
    let new = ReplicaPicture {
        isr: vec![N1, N2],
        ..picture(N1, Role::Leader, 1, &[(0, 0, 8079)], 8074)
    };
    let full = [(0, 0, 8079), (1, 8079, 12_028)];
    Failover {
        partition: s("metrics/0"),
        from_epoch: Epoch(0),
        to_epoch: Epoch(1),
        old_leader: Some(N0),
        new_leader: N1,
        at: Some(span(25_697, 25_701)),
        clean: Some(true),
        fault: Some(FaultId(2)),
        before_caption: s("before: n0 cut off from n1 and n2 since 22.0 s, clients still reach it"),
        before: vec![
            old,
            new,
            picture(N2, Role::Follower, 1, &[(0, 0, 8079)], 8074),
        ],
        after_caption: s("after: n0 follows e1 at 31.6 s, cuts to @8079 and copies from n1"),
        after: vec![
            picture(N0, Role::Follower, 1, &full, 12_028),
            picture(N1, Role::Leader, 1, &full, 12_028),
            picture(N2, Role::Follower, 1, &full, 12_028),
        ],
        lost: Some(OffsetRange {
            from: 8079,
            to: 22_884,
        }),
        lost_count: 14_805,
        lost_caption: s(
            "14 805 records acknowledged by n0 alone (acks=1): never on another replica, never below the high watermark",
        ),
        findings: vec![FindingId(1)],
        quiet: false,
    }
}

fn fault(
    number: u16,
    kind: &str,
    asked: &str,
    deed: &str,
    node: NodeId,
    from: u64,
    to: u64,
) -> FaultFact {
    let stage = |stage: &str, at, evidence: Option<&str>| StageFact {
        stage: s(stage),
        at: ms(at),
        evidence: evidence.map(s),
    };
    FaultFact {
        fault: FaultId(number),
        kind: s(kind),
        asked: s(asked),
        deed: s(deed),
        because: format!("leader of the partition is {node} (metadata of n2)"),
        nodes: vec![node],
        stages: vec![
            stage("injecting", from - 20, None),
            stage("injected", from, Some("read back from the host: in force")),
            stage("healing", to, None),
            stage("healed", to + 900, Some("read back from the host: gone")),
        ],
        latency: None,
        proved: true,
        healed: true,
        span: span(from, to),
        sentence: format!("f{number}: {deed}, proved in force, undone and proved undone"),
    }
}

fn timeline() -> Timeline {
    let steady = |rate: u64, quiet: std::ops::Range<u64>| -> Vec<u64> {
        (0..61)
            .map(|t| if quiet.contains(&t) { 0 } else { rate + t % 7 })
            .collect()
    };
    let rate = |acknowledged: Vec<u64>| Rate {
        unsuccessful: vec![0; acknowledged.len()],
        acknowledged,
    };
    let lead = |node, epoch, from, to, deposed| LeadSpan {
        node,
        epoch: Epoch(epoch),
        span: span(from, to),
        deposed,
    };
    let points = |from: u64, to: u64, at_end: i64| {
        (from..to)
            .map(|t| GapPoint {
                at: ms(t * 1000),
                leo: 8074 + at_end * (t - from) as i64 / (to - from) as i64,
                hw: 8074,
            })
            .collect()
    };
    Timeline {
        length: ms(61_000),
        sends: BTreeMap::from([
            (s("ledger"), rate(steady(450, 10..14))),
            (s("metrics"), rate(steady(440, 30..32))),
        ]),
        deliveries: BTreeMap::from([
            (s("ledger"), steady(450, 10..14)),
            (s("metrics"), steady(200, 22..26)),
        ]),
        gaps: vec![GapSeries {
            partition: s("metrics/0"),
            node: N0,
            points: points(22, 32, 14_810),
        }],
        leadership: vec![
            PartitionLead {
                partition: s("ledger/0"),
                spans: vec![
                    lead(N1, 0, 0, 10_000, false),
                    lead(N2, 1, 14_300, 61_000, false),
                ],
            },
            PartitionLead {
                partition: s("metrics/0"),
                spans: vec![
                    lead(N0, 0, 0, 25_700, false),
                    lead(N0, 0, 25_700, 31_483, true),
                    lead(N1, 1, 25_700, 61_000, false),
                ],
            },
        ],
        faults: vec![
            FaultSpan {
                fault: FaultId(1),
                label: s("kill n1"),
                nodes: vec![N1],
                span: span(10_000, 16_000),
            },
            FaultSpan {
                fault: FaultId(2),
                label: s("isolate n0"),
                nodes: vec![N0],
                span: span(22_000, 31_000),
            },
        ],
    }
}

fn availability(partition: &str, fault: u16, from: u64, to: u64) -> AvailabilityFact {
    AvailabilityFact {
        partition: s(partition),
        fault: FaultId(fault),
        fault_span: span(from, to),
        send_gap: Some(span(from + 10, from + 4_320).into()),
        other_send_gap: None,
        delivery_gap: Some(span(from + 10, from + 4_400).into()),
        to_new_leader: Some(4_300_000_000),
        to_first_success: Some(4_320_000_000),
        other_to_first_success: None,
        to_full_isr: Some(800_000_000),
    }
}

fn truncation() -> TruncationFact {
    let sourced = |offset| {
        Some(Sourced {
            offset,
            source: s("n0 state-change.log:44"),
        })
    };
    TruncationFact {
        node: N0,
        partition: s("metrics/0"),
        at: Some(span(31_559, 31_563)),
        leo_before: sourced(22_884),
        cut_to: 8079,
        hw_then: sourced(8074),
        epoch: Some(Epoch(1)),
        destroyed: Some(14_805),
        acknowledged_destroyed: 14_805,
        acknowledged_lost: 14_805,
        still_held: finding().still_held,
        justified: Justified::Yes {
            why: s(
                "the image of n0 taken before its return differs from the log of n1 from @8079 on",
            ),
        },
        evidence: lines()[1..].to_vec(),
    }
}

fn demo() -> Judgement {
    Judgement {
        format: 1,
        rules_version: RULES_VERSION,
        run: s("x7k2qa"),
        plan: s("demo"),
        about: s("A leader killed, a leader cut off: what acks=all keeps and acks=1 does not."),
        seed: 7,
        kafka: s("3.0.0"),
        fold: Fold::Held,
        sentence: s(
            "Held. ledger kept all 26 707 acknowledged records. metrics lost 14 805 acknowledged records, all above the high watermark: acks=1 does not promise them.",
        ),
        ended: Ended::Completed,
        expected: None,
        totals: Totals {
            brokers: 3,
            sends: 53_540,
            acknowledged: 53_540,
            failed: 0,
            unknown: 0,
            deliveries: 38_735,
            images: 5,
            replica_logs: 10,
            replica_bytes: 13_500_000,
            log_lines: 73,
            observations: 2_940,
            faults: 2,
            faults_proved: 2,
            length: ms(61_000),
        },
        premises: vec![
            Premise {
                name: s("values-unique"),
                sentence: s("every value was sent once"),
                state: PremiseState::Kept {
                    examined: 53_540,
                    unit: s("values"),
                },
            },
            Premise {
                name: s("images-complete"),
                sentence: s("every replica's files were copied at the end"),
                state: PremiseState::Kept {
                    examined: 6,
                    unit: s("replicas"),
                },
            },
        ],
        topics: vec![ledger(), metrics()],
        findings: vec![finding()],
        truncations: vec![truncation()],
        availability: vec![
            availability("ledger/0", 1, 10_000, 16_000),
            availability("metrics/0", 2, 22_000, 31_000),
        ],
        faults: vec![
            fault(
                1,
                "kill",
                "kill leader of ledger/0",
                "kill broker n1",
                N1,
                10_000,
                16_000,
            ),
            fault(
                2,
                "isolate",
                "isolate leader of metrics/0",
                "cut n0 off from n1 and n2",
                N0,
                22_000,
                31_000,
            ),
        ],
        phases: [
            ("setup", 0, 4_000),
            ("steady", 4_000, 9_900),
            ("storm", 9_900, 40_000),
            ("heal", 40_000, 41_000),
            ("settle", 41_000, 43_000),
            ("drain", 43_000, 50_000),
            ("capture", 50_000, 58_000),
            ("teardown", 58_000, 61_000),
        ]
        .into_iter()
        .map(|(phase, from, to)| PhaseFact {
            phase: s(phase),
            span: span(from, to),
        })
        .collect(),
        timeline: timeline(),
        failovers: vec![failover()],
        limits: vec![s(
            "2 040 of the lost records were acknowledged after the last image of n0 and stand in no image; that they were cut follows from n0's log end and the cut.",
        )],
    }
}

#[test]
fn the_sample_file_is_what_the_values_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/demo.json");
    let text = serde_json::to_string_pretty(&demo()).expect("a judgement is JSON") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &text).expect("the sample can be written");
    }
    let file = std::fs::read_to_string(path).expect("the sample is there");
    assert!(
        file == text,
        "run `UPDATE=1 cargo test -p checkers --test samples`"
    );
    let back: Judgement = serde_json::from_str(&file).expect("the sample reads back");
    assert_eq!(back, demo());
}

#[test]
fn the_schema_names_every_field_of_the_sample() {
    let schema = serde_json::to_value(schemars::schema_for!(Judgement)).expect("a schema is JSON");
    let sample = serde_json::to_value(demo()).expect("a judgement is JSON");
    let known = schema["properties"]
        .as_object()
        .expect("an object has properties");
    for field in sample.as_object().expect("a judgement is an object").keys() {
        assert!(
            known.contains_key(field),
            "{field} is missing from the schema"
        );
    }
}
