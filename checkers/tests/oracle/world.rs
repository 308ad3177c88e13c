//! Small random recordings: two topics of one partition, three producers, up to eight sends, up to
//! four batches on three replicas. Nothing here is likely; everything is possible.
//!
//! A world is a value that prints itself as a scene, so that a failing one can be read.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// One topic and all that was recorded of it.
#[derive(Debug, Clone)]
pub struct Topic {
    pub name: &'static str,
    pub acks_all: bool,
    pub idempotent: bool,
    pub sends: Vec<Send>,
    pub reads: Vec<Read>,
    /// Final logs of n0, n1, n2.
    pub logs: [Vec<Batch>; 3],
    /// Who led, ascending by epoch.
    pub terms: Vec<Term>,
    /// Epoch-checked high watermarks of the last leader.
    pub leader_hw: Vec<i64>,
}

#[derive(Debug, Clone)]
pub struct Send {
    pub client: u16,
    pub value: u64,
    pub fate: Fate,
    /// Milliseconds.
    pub invoked: u64,
    pub returned: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Acked(Option<i64>),
    Unknown,
    Failed,
}

#[derive(Debug, Clone)]
pub struct Read {
    pub offset: i64,
    pub value: u64,
    pub at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub base: i64,
    pub epoch: i32,
    pub values: Vec<u64>,
    /// Other bytes than its values tell.
    pub tag: bool,
}

#[derive(Debug, Clone)]
pub struct Term {
    pub node: u8,
    pub epoch: i32,
    pub leo: i64,
    pub hw: i64,
    pub at: u64,
}

impl Topic {
    /// The final log is the last leader's.
    pub fn last_leader(&self) -> u8 {
        self.terms.last().expect("a leader").node
    }

    pub fn final_log(&self) -> &[Batch] {
        &self.logs[usize::from(self.last_leader())]
    }

    /// The scene's lines.
    pub fn print(&self, scene: &mut String) {
        let name = self.name;
        let acks = if self.acks_all { "all" } else { "1" };
        let idempotent = if self.idempotent { " idempotent" } else { "" };
        let clients = match name {
            "a" => "c1,c2",
            _ => "c3,c4",
        };
        let lines = &mut *scene;
        writeln!(
            lines,
            "topic {name} on n0,n1,n2 by {clients} acks={acks}{idempotent}"
        )
        .unwrap();
        for (before, term) in [None]
            .into_iter()
            .chain(self.terms.iter().map(Some))
            .zip(&self.terms)
        {
            let Term {
                node,
                epoch,
                leo,
                hw,
                at,
            } = term;
            let was = before.map_or("none".to_owned(), |term| format!("e{}", term.epoch));
            for other in (0..3).filter(|other| other != node) {
                writeln!(
                    lines,
                    "n{other} said {} follower {name}/0 e{epoch} from @{leo} hw @{hw} was {was}",
                    seconds(*at)
                )
                .unwrap();
            }
            writeln!(lines, "n{node} said {} leader {name}/0 e{epoch} from @{leo} hw @{hw} isr n0,n1,n2 was {was}", seconds(*at)).unwrap();
        }
        for (node, log) in self.logs.iter().enumerate() {
            let batches: Vec<String> = log.iter().map(Batch::print).collect();
            writeln!(lines, "n{node} final {name}/0: {}", batches.join(" | ")).unwrap();
        }
        let (leader, epoch) = (
            self.last_leader(),
            self.terms.last().expect("a leader").epoch,
        );
        for (n, hw) in self.leader_hw.iter().enumerate() {
            let at = seconds(98_000 + n as u64);
            writeln!(lines, "n{leader} leader-hw {name}/0 e{epoch} @{hw} at {at}").unwrap();
        }
    }
}

impl Batch {
    pub fn last(&self) -> i64 {
        self.base + self.values.len() as i64 - 1
    }

    fn print(&self) -> String {
        let values: Vec<String> = self.values.iter().map(|v| format!("v{v}")).collect();
        let tag = if self.tag { " tag=x" } else { "" };
        format!("e{} @{} {}{tag}", self.epoch, self.base, values.join(" "))
    }
}

/// Operations in order of time, as the notation has them: one line an event.
fn operations(topics: &[Topic], scene: &mut String) {
    let mut events: Vec<(u64, u8, u32, String)> = Vec::new();
    let mut op = 0;
    let mut sends: Vec<(&Topic, &Send)> = topics
        .iter()
        .flat_map(|t| t.sends.iter().map(move |s| (t, s)))
        .collect();
    sends.sort_by_key(|(_, send)| (send.invoked, send.value));
    for (topic, send) in sends {
        op += 1;
        let Send {
            client,
            value,
            fate,
            invoked,
            returned,
        } = send;
        let at = |ms: u64| seconds(ms);
        let name = topic.name;
        events.push((
            *invoked,
            0,
            op,
            format!(
                "o{op} c{client} send {name}/0 v{value} ... at {}",
                at(*invoked)
            ),
        ));
        let answer = match fate {
            Fate::Acked(Some(offset)) => format!("@{offset}"),
            Fate::Acked(None) => "@?".to_owned(),
            Fate::Unknown => "? timed out".to_owned(),
            Fate::Failed => "! refused".to_owned(),
        };
        events.push((
            *returned,
            1,
            op,
            format!("o{op} sent -> {answer} at {}", at(*returned)),
        ));
    }
    events.sort();
    for (_, _, _, line) in events {
        writeln!(scene, "{line}").unwrap();
    }
    for topic in topics {
        for read in &topic.reads {
            op += 1;
            let (at, name) = (seconds(90_000 + read.at), topic.name);
            writeln!(
                scene,
                "o{op} c9 poll -> {name}/0 @{}=v{} at {at}..{at}",
                read.offset, read.value
            )
            .unwrap();
        }
    }
}

/// The lines of so many records of t/0, one each so many milliseconds from 1 s on, which n0 accepted.
pub fn sends(records: u64, apart: u64) -> String {
    let line = |offset: u64| {
        let at = seconds(1_000 + apart * offset);
        format!("c1 send t/0 v{offset} -> @{offset} by n0 at {at}..{at}\n")
    };
    (0..records).map(line).collect()
}

pub fn seconds(ms: u64) -> String {
    format!("{}.{:03}s", ms / 1000, ms % 1000)
}

/// A world as a scene.
pub fn print(topics: &[Topic]) -> String {
    let mut scene = String::new();
    for topic in topics {
        topic.print(&mut scene);
    }
    operations(topics, &mut scene);
    scene
}

/// Two topics with values of their own.
pub fn any_world() -> impl Strategy<Value = Vec<Topic>> {
    (any_topic("a", 0), any_topic("b", 20)).prop_map(|(a, b)| vec![a, b])
}

/// What a replica does differently from the leader.
#[derive(Debug, Clone)]
enum Twist {
    None,
    Shorter(usize),
    Tag(usize),
    Value(usize, u64),
    Epoch(usize, i32),
    Longer(u64),
    Hole(usize),
}

fn twist(first: u64) -> impl Strategy<Value = Twist> {
    prop_oneof![
        6 => Just(Twist::None),
        1 => (0usize..4).prop_map(Twist::Shorter),
        1 => (0usize..4).prop_map(Twist::Tag),
        1 => (0usize..4, first..first + 8).prop_map(|(i, v)| Twist::Value(i, v)),
        1 => (0usize..4, 0i32..3).prop_map(|(i, e)| Twist::Epoch(i, e)),
        1 => (first..first + 8).prop_map(Twist::Longer),
        1 => (0usize..4).prop_map(Twist::Hole),
    ]
}

fn twisted(log: &[Batch], twist: &Twist) -> Vec<Batch> {
    let mut log = log.to_vec();
    let end = log.last().map_or(0, |batch| batch.last() + 1);
    let epoch = log.last().map_or(0, |batch| batch.epoch);
    match twist {
        Twist::None => {}
        Twist::Shorter(n) => log.truncate(log.len().saturating_sub(*n)),
        Twist::Tag(i) => log
            .get_mut(*i)
            .into_iter()
            .for_each(|batch| batch.tag = true),
        Twist::Value(i, value) => log
            .get_mut(*i)
            .into_iter()
            .for_each(|batch| batch.values[0] = *value),
        Twist::Epoch(i, epoch) => log
            .get_mut(*i)
            .into_iter()
            .for_each(|batch| batch.epoch = *epoch),
        Twist::Hole(i) => log.iter_mut().skip(*i).for_each(|batch| batch.base += 1),
        Twist::Longer(value) => log.push(Batch {
            base: end,
            epoch,
            values: vec![*value],
            tag: false,
        }),
    }
    log
}

/// What a producer is told, before it is known where its value stands.
#[derive(Debug, Clone, Copy)]
enum Told {
    Truth,
    At(i64),
    Nowhere,
    Unknown,
    Failed,
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        8 => Just(Told::Truth),
        2 => (0i64..8).prop_map(Told::At),
        1 => Just(Told::Nowhere),
        2 => Just(Told::Unknown),
        1 => Just(Told::Failed),
    ]
}

fn any_topic(name: &'static str, first: u64) -> impl Strategy<Value = Topic> {
    let values = (vec(0u64..10, 0..8), any::<bool>());
    let log = vec((1usize..3, 0i32..2), 0..5);
    let sends = vec((told(), 0u16..2, 1_000u64..80_000, 0u64..20_000), 0..8);
    let reads = vec((option::of(0i64..8), 0u64..9, 0u64..1_000), 0..3);
    let terms = (0u8..3, 0u8..3, 0i64..3, 0i64..3);
    let twists = (twist(first), twist(first));
    let hws = vec(0i64..9, 0..2);
    let contract = (any::<bool>(), any::<bool>());
    (values, log, sends, reads, terms, twists, hws, contract).prop_map(
        move |((drawn, straight), shape, sends, reads, terms, twists, hws, contract)| {
            // Mostly each value once, in order; sometimes any, with copies and gaps.
            let mut next = 0usize;
            let mut value = || {
                next += 1;
                match (straight, drawn.get(next - 1)) {
                    // The other topic's first value.
                    (false, Some(9)) => 20 - first,
                    (false, Some(value)) => first + value,
                    (true, _) | (_, None) => first + next as u64 - 1,
                }
            };
            let mut log: Vec<Batch> = Vec::new();
            let (mut base, mut epoch) = (0, 0);
            for (count, step) in shape {
                epoch += if base > 0 { step } else { 0 };
                let values: Vec<u64> = (0..count).map(|_| value()).collect();
                let batch = Batch {
                    base,
                    epoch,
                    values,
                    tag: false,
                };
                base = batch.last() + 1;
                log.push(batch);
            }
            build(name, first, log, sends, reads, terms, twists, hws, contract)
        },
    )
}

/// Terms begin every 20 s, at even milliseconds; clients act at odd ones. An answer that came in the next one is moved to its invocation.
fn within_a_term(invoked: u64, returned: u64) -> u64 {
    match (invoked - 500) / 20_000 == (returned - 500) / 20_000 {
        true => returned | 1,
        false => invoked,
    }
}

#[expect(clippy::too_many_arguments, reason = "one argument a die")]
fn build(
    name: &'static str,
    first: u64,
    log: Vec<Batch>,
    sends: Vec<(Told, u16, u64, u64)>,
    reads: Vec<(Option<i64>, u64, u64)>,
    (leader, other, below, back): (u8, u8, i64, i64),
    (left, right): (Twist, Twist),
    leader_hw: Vec<i64>,
    (acks_all, idempotent): (bool, bool),
) -> Topic {
    let place = |value: u64| {
        log.iter().find_map(|batch| {
            let at = batch.values.iter().position(|v| *v == value)?;
            Some(batch.base + at as i64)
        })
    };
    let of_clients = if name == "a" { 1 } else { 3 };
    let mut sends: Vec<Send> = sends
        .into_iter()
        .zip(first..)
        .map(|((told, client, invoked, took), value)| Send {
            client: of_clients + client,
            value,
            fate: match told {
                Told::Truth => Fate::Acked(Some(place(value).unwrap_or(0))),
                Told::At(offset) => Fate::Acked(Some(offset)),
                Told::Nowhere => Fate::Acked(None),
                Told::Unknown => Fate::Unknown,
                Told::Failed => Fate::Failed,
            },
            invoked: invoked | 1,
            returned: within_a_term(invoked | 1, (invoked | 1) + took / 4),
        })
        .collect();
    sends.sort_by_key(|send| (send.invoked, send.value));
    let reads = reads
        .into_iter()
        .map(|(offset, value, at)| {
            let value = first + value;
            let offset = offset.or_else(|| place(value)).unwrap_or(0);
            Read { offset, value, at }
        })
        .collect();
    // Epochs of the log, and one line for each: the last leader's log is F.
    let mut epochs: Vec<(i32, i64)> = vec![(0, 0)];
    for batch in &log {
        if epochs.last().is_some_and(|(epoch, _)| *epoch < batch.epoch) {
            epochs.push((batch.epoch, batch.base));
        }
    }
    let count = epochs.len();
    let terms = epochs
        .into_iter()
        .enumerate()
        .map(|(n, (epoch, leo))| Term {
            // Leaders alternate, so that no two terms in a row are one broker's.
            node: if (count - 1 - n).is_multiple_of(2) {
                leader
            } else {
                (leader + 1 + other % 2) % 3
            },
            epoch,
            leo,
            hw: (leo - below - back).max(0),
            at: 500 + 20_000 * n as u64,
        })
        .collect();
    let mut logs = [log.clone(), log.clone(), log.clone()];
    logs[usize::from((leader + 1) % 3)] = twisted(&log, &left);
    logs[usize::from((leader + 2) % 3)] = twisted(&log, &right);
    let end = log.last().map_or(0, |batch| batch.last() + 1);
    Topic {
        name,
        acks_all,
        idempotent: idempotent && acks_all,
        sends,
        reads,
        logs,
        terms,
        leader_hw: leader_hw.into_iter().map(|hw| hw.min(end)).collect(),
    }
}
