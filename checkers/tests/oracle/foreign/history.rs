//! Small random histories as Jepsen writes them: up to eight operations of three processes on two
//! keys. A history is a value that prints itself as EDN, so that a failing one can be read.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Send,
    Poll,
    Txn,
    Assign,
    Subscribe,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ok,
    Info,
    Fail,
    /// The history ends before it.
    Open,
}

/// Offset and value.
pub type Pair = (Option<i64>, u64);

/// A step of an operation. Keys are 0 and 1, printed as `:x` and `:y`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Send(usize, u64, Option<i64>),
    Poll(Vec<(usize, Vec<Pair>)>),
}

/// One operation, invocation and completion.
#[derive(Debug, Clone)]
pub struct Op {
    pub process: u32,
    pub function: Function,
    pub kind: Kind,
    pub steps: Vec<Step>,
    /// Of an assign or subscribe.
    pub keys: Vec<usize>,
    /// An assign that seeks their beginning.
    pub seeks: bool,
    /// Keys in its rebalance log.
    pub rebalanced: Option<Vec<usize>>,
    /// Positions in the history.
    pub invoked: usize,
    pub completed: usize,
}

/// Operations in order of invocation; `shift` is added to every time.
#[derive(Debug, Clone)]
pub struct History {
    pub ops: Vec<Op>,
    pub shift: u64,
}

pub const KEYS: [&str; 2] = ["x", "y"];

impl Op {
    /// Values that it sent to a key, in order.
    pub fn writes(&self, key: usize) -> Vec<u64> {
        let sent = self.steps.iter().filter_map(|step| match step {
            Step::Send(k, value, _) if *k == key => Some(*value),
            _ => None,
        });
        sent.collect()
    }

    /// Values that it read of a key, in order; none if it did not even name the key.
    pub fn reads(&self, key: usize) -> Option<Vec<u64>> {
        let pairs = self.pairs(key)?;
        Some(pairs.into_iter().map(|(_, value)| value).collect())
    }

    /// The same with offsets.
    pub fn pairs(&self, key: usize) -> Option<Vec<Pair>> {
        let mut all = None;
        for step in &self.steps {
            let Step::Poll(lists) = step else { continue };
            for (k, pairs) in lists {
                if *k == key {
                    all.get_or_insert_with(Vec::new).extend(pairs.clone());
                }
            }
        }
        all
    }

    pub fn sends_or_polls(&self) -> bool {
        matches!(
            self.function,
            Function::Send | Function::Poll | Function::Txn
        )
    }

    pub fn places(&self) -> bool {
        matches!(self.function, Function::Assign | Function::Subscribe)
    }

    fn value(&self, known: bool) -> String {
        let named = |keys: &[usize]| {
            let names: Vec<String> = keys.iter().map(|&key| format!(":{}", KEYS[key])).collect();
            names.join(" ")
        };
        if self.places() {
            return format!("[{}]", named(&self.keys));
        }
        let steps = self.steps.iter().map(|step| match step {
            Step::Send(key, value, offset) => match offset.filter(|_| known) {
                Some(offset) => format!("[:send :{} [{offset} {value}]]", KEYS[*key]),
                None => format!("[:send :{} {value}]", KEYS[*key]),
            },
            Step::Poll(_) if !known => "[:poll]".to_owned(),
            Step::Poll(lists) => {
                let lists = lists.iter().map(|(key, pairs)| {
                    let pair = |(offset, value): &Pair| match offset {
                        Some(offset) => format!("[{offset} {value}]"),
                        None => format!("[nil {value}]"),
                    };
                    let pairs: Vec<String> = pairs.iter().map(pair).collect();
                    format!(":{} [{}]", KEYS[*key], pairs.join(" "))
                });
                format!("[:poll {{{}}}]", lists.collect::<Vec<_>>().join(", "))
            }
        });
        format!("[{}]", steps.collect::<Vec<_>>().join(" "))
    }
}

impl History {
    /// Completed operations in order of completion.
    pub fn completed(&self) -> Vec<&Op> {
        let mut all: Vec<&Op> = self.ops.iter().filter(|op| op.kind != Kind::Open).collect();
        all.sort_by_key(|op| op.completed);
        all
    }

    pub fn subscribes(&self) -> bool {
        let subscribes = |op: &Op| op.function == Function::Subscribe;
        self.ops.iter().any(subscribes)
    }

    pub fn time(&self, position: usize) -> u64 {
        self.shift + 10 * position as u64
    }

    /// The history as EDN.
    pub fn print(&self) -> String {
        let mut lines: Vec<(usize, String)> = Vec::new();
        for op in &self.ops {
            let mut line = |position: usize, kind: &str, known: bool| {
                let mut text = format!(
                    "{{:index {position}, :time {}, :type :{kind}, :process {}, :f :{}, :value {}",
                    self.time(position),
                    op.process,
                    match op.function {
                        Function::Send => "send",
                        Function::Poll => "poll",
                        Function::Txn => "txn",
                        Function::Assign => "assign",
                        Function::Subscribe => "subscribe",
                    },
                    op.value(known)
                );
                if op.seeks {
                    text.push_str(", :seek-to-beginning? true");
                }
                if let Some(keys) = op.rebalanced.as_ref().filter(|_| known) {
                    let keys: Vec<String> =
                        keys.iter().map(|&key| format!(":{}", KEYS[key])).collect();
                    let keys = keys.join(" ");
                    write!(
                        text,
                        ", :rebalance-log [{{:type :assigned, :keys [{keys}]}}]"
                    )
                    .unwrap();
                }
                text.push('}');
                lines.push((position, text));
            };
            line(op.invoked, "invoke", false);
            match op.kind {
                Kind::Ok => line(op.completed, "ok", true),
                Kind::Info => line(op.completed, "info", true),
                Kind::Fail => line(op.completed, "fail", true),
                Kind::Open => {}
            }
        }
        lines.sort();
        let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        lines.join("\n")
    }
}

/// Where a sent value comes to stand.
#[derive(Debug, Clone, Copy)]
enum Place {
    End,
    Before(usize),
    Twice,
    Nowhere,
}

/// What its sender is told.
#[derive(Debug, Clone, Copy)]
enum Told {
    Truth,
    Nothing,
    At(i64),
}

#[derive(Debug, Clone)]
struct Sent {
    key: usize,
    place: Place,
    told: Told,
    /// A value that has been sent before, instead of a fresh one.
    again: bool,
}

/// How a poll differs from a slice of the log.
#[derive(Debug, Clone, Copy)]
enum Twist {
    None,
    Skips(usize),
    Backwards,
    Again,
    Foreign(u64),
    Changed(u64),
    NoOffset,
}

#[derive(Debug, Clone)]
struct Polled {
    key: usize,
    /// From the process's position unless said.
    from: Option<usize>,
    count: usize,
    twist: Twist,
}

#[derive(Debug, Clone)]
struct Drawn {
    process: u32,
    function: Function,
    kind: Kind,
    sends: Vec<Sent>,
    polls: Vec<Polled>,
    keys: Vec<usize>,
    seeks: bool,
    rebalanced: Option<Vec<usize>>,
    gap: usize,
    took: usize,
}

fn key() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0usize), 1 => Just(1usize)]
}

fn sent() -> impl Strategy<Value = Sent> {
    let place = prop_oneof![
        12 => Just(Place::End),
        2 => (0usize..3).prop_map(Place::Before),
        1 => Just(Place::Twice),
        1 => Just(Place::Nowhere),
    ];
    let told = prop_oneof![
        12 => Just(Told::Truth),
        1 => Just(Told::Nothing),
        1 => (0i64..5).prop_map(Told::At),
    ];
    (key(), place, told, proptest::bool::weighted(0.03)).prop_map(|(key, place, told, again)| {
        Sent {
            key,
            place,
            told,
            again,
        }
    })
}

fn polled() -> impl Strategy<Value = Polled> {
    let twist = prop_oneof![
        24 => Just(Twist::None),
        2 => (0usize..3).prop_map(Twist::Skips),
        1 => Just(Twist::Backwards),
        1 => Just(Twist::Again),
        1 => (0u64..12).prop_map(Twist::Foreign),
        1 => (0u64..6).prop_map(Twist::Changed),
        1 => Just(Twist::NoOffset),
    ];
    let from = prop_oneof![5 => Just(None), 1 => (0usize..4).prop_map(Some)];
    let count = prop_oneof![1 => Just(0usize), 9 => 1usize..4];
    (key(), from, count, twist).prop_map(|(key, from, count, twist)| Polled {
        key,
        from,
        count,
        twist,
    })
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let function = prop_oneof![
        6 => Just(Function::Send),
        6 => Just(Function::Poll),
        4 => Just(Function::Txn),
        1 => Just(Function::Assign),
        1 => Just(Function::Subscribe),
    ];
    let kind = prop_oneof![
        14 => Just(Kind::Ok),
        2 => Just(Kind::Info),
        2 => Just(Kind::Fail),
        1 => Just(Kind::Open),
    ];
    let keys = prop_oneof![Just(vec![0]), Just(vec![1]), Just(vec![0, 1]), Just(vec![])];
    let rebalanced = option::weighted(0.1, prop_oneof![Just(vec![0]), Just(vec![1]), Just(vec![])]);
    (
        (0u32..3, function, kind),
        (vec(sent(), 1..3), vec(polled(), 1..3)),
        (keys, any::<bool>(), rebalanced),
        (0usize..4, 1usize..5),
    )
        .prop_map(
            |(
                (process, function, kind),
                (sends, polls),
                (keys, seeks, rebalanced),
                (gap, took),
            )| Drawn {
                process,
                function,
                kind,
                sends,
                polls,
                keys,
                seeks: seeks && function == Function::Assign,
                rebalanced,
                gap,
                took,
            },
        )
}

/// Any history; of some the end is read again from the beginning.
pub fn any_history() -> impl Strategy<Value = History> {
    let again = (vec(drawn(), 0..6), again()).prop_map(|(mut all, again)| {
        all.extend(again);
        all
    });
    prop_oneof![5 => vec(drawn(), 0..9), 1 => again].prop_map(build)
}

/// Somebody reads, and somebody else after that: from the beginning or a little behind it, not always
/// to the end.
fn again() -> impl Strategy<Value = Vec<Drawn>> {
    let op = |process, function, (from, count)| Drawn {
        process,
        function,
        kind: Kind::Ok,
        sends: Vec::new(),
        polls: vec![Polled {
            key: 0,
            from: Some(from),
            count,
            twist: Twist::None,
        }],
        keys: vec![0],
        seeks: function == Function::Assign,
        rebalanced: None,
        gap: 1,
        took: 1,
    };
    (0usize..2, 0usize..4).prop_map(move |(from, count)| {
        vec![
            op(0, Function::Poll, (0, 3)),
            op(2, Function::Assign, (0, 0)),
            op(2, Function::Poll, (from, count)),
            op(2, Function::Poll, (from + count, 0)),
        ]
    })
}

/// Offsets of the second key have gaps.
fn offset(key: usize, index: usize) -> i64 {
    (index * (1 + key)) as i64
}

fn build(drawn: Vec<Drawn>) -> History {
    // First the logs, then who read what of them.
    let mut logs: [Vec<u64>; 2] = [Vec::new(), Vec::new()];
    let mut fresh = 0;
    let mut values: Vec<Vec<u64>> = Vec::new();
    for op in &drawn {
        let mut sent = Vec::new();
        for send in &op.sends {
            let value = match send.again && fresh > 0 {
                true => fresh - 1,
                false => {
                    fresh += 1;
                    fresh - 1
                }
            };
            sent.push(value);
            if !matches!(op.function, Function::Send | Function::Txn) {
                continue;
            }
            let log = &mut logs[send.key];
            match send.place {
                Place::End => log.push(value),
                Place::Before(n) => log.insert(log.len().saturating_sub(n), value),
                Place::Twice => log.extend([value, value]),
                Place::Nowhere => {}
            }
        }
        values.push(sent);
    }
    let mut positions = [[0usize; 2]; 3];
    let mut ops: Vec<Op> = Vec::new();
    let mut clock = 0;
    let mut free = [0usize; 3];
    let mut times: Vec<(usize, usize)> = Vec::new();
    let last = |n: usize| {
        drawn[n + 1..]
            .iter()
            .all(|op| op.process != drawn[n].process)
    };
    for (n, op) in drawn.iter().enumerate() {
        let mut sends = op.sends.iter().zip(&values[n]).map(|(send, &value)| {
            let at = logs[send.key].iter().position(|v| *v == value);
            let offset = match send.told {
                Told::Truth => at.map(|at| offset(send.key, at)),
                Told::Nothing => None,
                Told::At(offset) => Some(offset),
            };
            // Who fails or does not know is told of no offset, mostly.
            let told = op.kind == Kind::Ok || op.took == 1;
            Step::Send(send.key, value, offset.filter(|_| told))
        });
        let process = op.process as usize;
        let mut polls = op
            .polls
            .iter()
            .map(|poll| slice(poll, &logs, fresh, &mut positions[process]));
        let steps = match op.function {
            Function::Send => sends.collect(),
            Function::Poll => polls.collect(),
            Function::Txn => {
                let mut steps = Vec::new();
                steps.extend(sends.next());
                steps.extend(polls.next());
                steps.extend(sends);
                steps
            }
            Function::Assign | Function::Subscribe => Vec::new(),
        };
        if op.seeks {
            op.keys.iter().for_each(|&key| positions[process][key] = 0);
        }
        clock += op.gap;
        let invoked = clock.max(free[process]);
        free[process] = invoked + op.took;
        times.push((invoked, invoked + op.took));
        ops.push(Op {
            process: op.process,
            function: op.function,
            kind: match op.kind {
                Kind::Open if !last(n) => Kind::Info,
                kind => kind,
            },
            steps,
            keys: op.keys.clone(),
            seeks: op.seeks,
            rebalanced: op.rebalanced.clone(),
            invoked: 0,
            completed: 0,
        });
    }
    let mut events: Vec<(usize, bool, usize)> = Vec::new();
    for (n, (invoked, completed)) in times.into_iter().enumerate() {
        events.push((invoked, true, n));
        if ops[n].kind != Kind::Open {
            events.push((completed, false, n));
        }
    }
    // What ends at a moment ends before what begins then.
    events.sort();
    for (position, (_, invokes, n)) in events.into_iter().enumerate() {
        match invokes {
            true => ops[n].invoked = position,
            false => ops[n].completed = position,
        }
    }
    History { ops, shift: 0 }
}

/// What a poll returns; values below `sent` were drawn, that one never was.
fn slice(poll: &Polled, logs: &[Vec<u64>; 2], sent: u64, positions: &mut [usize; 2]) -> Step {
    let log = &logs[poll.key];
    let from = poll.from.unwrap_or(positions[poll.key]).min(log.len());
    let to = (from + poll.count).min(log.len());
    positions[poll.key] = to;
    let mut pairs: Vec<Pair> = (from..to)
        .map(|index| (Some(offset(poll.key, index)), log[index]))
        .collect();
    match poll.twist {
        Twist::None => {}
        Twist::Skips(n) if n < pairs.len() => drop(pairs.remove(n)),
        Twist::Skips(_) => {}
        Twist::Backwards => pairs.reverse(),
        Twist::Again => pairs.extend(pairs.first().copied()),
        Twist::Foreign(value) => pairs.push((Some(offset(poll.key, to)), value % (sent + 1))),
        Twist::Changed(value) => {
            if let Some(pair) = pairs.first_mut() {
                pair.1 = value % (sent + 1);
            }
        }
        Twist::NoOffset => {
            if let Some(pair) = pairs.last_mut() {
                pair.0 = None;
            }
        }
    }
    Step::Poll(vec![(poll.key, pairs)])
}
