//! Columns keep what was put in: any operations come back as they went in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use history::frames::{FrameWriter, Reader};
use history::{
    ClientId, Delivery, Epoch, Event, Mark, NodeId, Offset, OpId, Outcome, Partition, Payload,
    Reply, SendAck, ValueId, Why,
};
use proptest::prelude::*;

use super::*;

fn extreme() -> impl Strategy<Value = u64> {
    let ends = vec![0, u64::MAX, i64::MAX as u64, i64::MIN as u64];
    prop_oneof![
        4 => 0u64..50,
        2 => any::<u64>(),
        1 => prop::sample::select(ends),
    ]
}

fn partition() -> impl Strategy<Value = Partition> {
    (0usize..3, 0i32..3).prop_map(|(topic, index)| Partition::new(["a", "b", "c"][topic], index))
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let payload = prop_oneof![
        extreme().prop_map(|v| Payload::Value(ValueId(v))),
        Just(Payload::Corrupt),
        Just(Payload::Foreign),
    ];
    let epoch = prop::option::of(any::<i32>().prop_map(Epoch));
    let broker = prop::option::of(any::<u8>().prop_map(NodeId));
    (partition(), extreme(), payload, epoch, broker).prop_map(
        |(partition, offset, payload, epoch, broker)| Delivery {
            partition,
            offset: Offset(offset as i64),
            payload,
            epoch,
            broker,
        },
    )
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => (partition(), extreme())
            .prop_map(|(partition, value)| Call::Send { partition, value: ValueId(value) }),
        3 => Just(Call::Poll),
        1 => Just(Call::Begin),
        1 => Just(Call::Assign { from: Vec::new() }),
    ]
}

fn outcome<T: Clone + std::fmt::Debug>(
    ok: impl Strategy<Value = T>,
) -> impl Strategy<Value = Outcome<T>> {
    prop_oneof![
        4 => ok.prop_map(Outcome::Ok),
        1 => Just(Outcome::Failed(Why::new("no"))),
        1 => Just(Outcome::Unknown(Why::new("who knows"))),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let offset = prop::option::of(extreme().prop_map(|o| Offset(o as i64)));
    let broker = prop::option::of(any::<u8>().prop_map(NodeId));
    let ack = (offset, broker).prop_map(|(offset, broker)| SendAck { offset, broker });
    prop_oneof![
        4 => outcome(ack).prop_map(Reply::Sent),
        2 => outcome(prop::collection::vec(delivery(), 0..5)).prop_map(Reply::Polled),
        1 => outcome(Just(())).prop_map(Reply::Done),
        1 => outcome(Just(())).prop_map(Reply::Assigned),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let op = || prop_oneof![6 => 0u64..30, 1 => any::<u64>()].prop_map(OpId);
    let mark = || extreme().prop_map(Mark);
    prop_oneof![
        5 => (op(), any::<u16>(), mark(), call()).prop_map(|(op, client, at, call)| {
            Event::Invoked { op, client: ClientId(client), at, call }
        }),
        5 => (op(), mark(), reply()).prop_map(|(op, at, reply)| Event::Returned { op, at, reply }),
        1 => (mark(), prop::sample::select(vec![Phase::Storm, Phase::Drain, Phase::Capture]))
            .prop_map(|(at, phase)| Event::Phase { at, phase }),
    ]
}

/// The same history, told slowly: everything as it is, nothing packed.
#[derive(Default)]
struct Plain {
    sends: Vec<(SendFact, Partition)>,
    reads: Vec<(ReadFact, Partition)>,
    rest: Vec<Event>,
    orphans: u64,
    backwards: u64,
    last: u64,
}

fn plain(events: &[Event]) -> Plain {
    let mut told = Plain::default();
    let mut asked: HashMap<OpId, (Call, usize, ClientId, Mark)> = HashMap::new();
    let mut drain = false;
    for event in events {
        let (ours, at) = match event {
            Event::Invoked {
                op,
                client,
                at,
                call,
            } => {
                asked.insert(*op, (call.clone(), told.sends.len(), *client, *at));
                if let Call::Send { partition, value } = call {
                    let send = SendFact {
                        op: *op,
                        client: *client,
                        part: 0,
                        value: *value,
                        invoked: *at,
                        returned: None,
                        fate: Fate::Unknown,
                    };
                    told.sends.push((send, partition.clone()));
                }
                (matches!(call, Call::Send { .. } | Call::Poll), *at)
            }
            Event::Returned { op, at, reply } => {
                let known = asked.remove(op);
                let known = known.filter(|(call, ..)| reply.answers(call));
                told.orphans += u64::from(known.is_none());
                if let Some((call, row, client, invoked)) = known {
                    let timed = matches!(call, Call::Send { .. } | Call::Poll);
                    told.backwards += u64::from(timed && *at < invoked);
                    told.answer(*op, row, client, (invoked, *at), reply, drain);
                }
                (matches!(reply, Reply::Sent(_) | Reply::Polled(_)), *at)
            }
            Event::Phase { phase, at } => {
                drain = *phase == Phase::Drain;
                (false, *at)
            }
            other => panic!("{other:?} is not generated"),
        };
        if ours {
            told.last = told.last.max(at.0);
        } else {
            told.rest.push(event.clone());
        }
    }
    told
}

impl Plain {
    fn answer(
        &mut self,
        op: OpId,
        row: usize,
        client: ClientId,
        (invoked, at): (Mark, Mark),
        reply: &Reply,
        drain: bool,
    ) {
        match reply {
            Reply::Sent(outcome) => {
                let send = &mut self.sends[row].0;
                send.returned = Some(at);
                send.fate = match outcome {
                    Outcome::Ok(SendAck { offset, broker }) => Fate::Acked {
                        offset: *offset,
                        broker: *broker,
                    },
                    Outcome::Failed(_) => Fate::Failed,
                    Outcome::Unknown(_) => Fate::Unknown,
                };
            }
            Reply::Polled(outcome) => {
                for given in outcome.ok().into_iter().flatten() {
                    let read = ReadFact {
                        op,
                        client,
                        part: 0,
                        offset: given.offset,
                        payload: given.payload,
                        epoch: given.epoch,
                        broker: given.broker,
                        invoked,
                        returned: at,
                        drain,
                    };
                    self.reads.push((read, given.partition.clone()));
                }
            }
            Reply::Assigned(_) | Reply::Done(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nanoseconds, 64-bit extremes, completions without invocations: what went in comes out.
    #[test]
    fn operations_come_back_exactly(events in prop::collection::vec(event(), 0..400)) {
        same(&events, Operations::of(events.iter().cloned()))?;
        same(&events, through_frames(&events))?;
    }
}

/// Written as frames, and taken line by line.
fn through_frames(events: &[Event]) -> (Operations, Vec<Event>) {
    let mut writer = FrameWriter::begin(Vec::new()).expect("memory takes bytes");
    let header = writer.get_mut().len();
    for events in events.chunks(70) {
        events.iter().for_each(|event| writer.push(event));
        writer.cut().expect("memory takes bytes");
    }
    let (mut operations, mut rest) = (Operations::default(), Vec::new());
    let bytes = std::mem::take(writer.get_mut());
    let torn = Reader::behind_header(&bytes[header..])
        .each(|line| rest.extend(operations.take_line(line)));
    assert_eq!(torn, None);
    (operations, rest)
}

/// Whether a store says what the history says.
fn same(
    events: &[Event],
    (operations, rest): (Operations, Vec<Event>),
) -> Result<(), TestCaseError> {
    let told = plain(events);
    let names = operations.names.all();
    prop_assert_eq!(operations.sends.len(), told.sends.len());
    for (row, (expected, name)) in told.sends.iter().enumerate() {
        let send = operations.sends.get(row as u32);
        prop_assert_eq!(&names[send.part], name);
        prop_assert_eq!(SendFact { part: 0, ..send }, *expected);
    }
    prop_assert_eq!(operations.reads.len(), told.reads.len());
    for (row, (expected, name)) in told.reads.iter().enumerate() {
        let read = operations.reads.get(row as u32);
        prop_assert_eq!(&names[read.part], name);
        prop_assert_eq!(ReadFact { part: 0, ..read }, *expected);
    }
    prop_assert_eq!(operations.orphans, told.orphans);
    prop_assert_eq!(operations.backwards, told.backwards);
    prop_assert_eq!(operations.last.0, told.last);
    prop_assert_eq!(operations.events as usize, events.len() - told.rest.len());
    prop_assert_eq!(rest, told.rest);
    let mut firsts: HashMap<ValueId, u32> = HashMap::new();
    let mut twice = Vec::new();
    for (row, (send, _)) in told.sends.iter().enumerate() {
        match firsts.entry(send.value) {
            Entry::Occupied(_) => twice.push(send.value),
            Entry::Vacant(free) => {
                free.insert(row as u32);
            }
        }
    }
    for (value, row) in firsts {
        prop_assert_eq!(operations.by_value.get(value), Some(row));
    }
    prop_assert_eq!(operations.twice, twice);
    Ok(())
}
