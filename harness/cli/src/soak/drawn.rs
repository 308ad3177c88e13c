//! What a cycle does, drawn from the seed: which faults, on whom, with which parameters, for how
//! long, and in which order they are healed.
//!
//! It draws texts and has the plans' own language read them, so that what a plan can say is what is
//! tried. What the lab has no power for is drawn again.

use std::time::Duration;

use cluster::Powers;
use plan::Ask;
use plan::seed::{Seed, Stream};

use super::counts::Cast;

/// One cycle, before it is done.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// Injected one after the other; nested.
    pub asks: Vec<Ask>,
    /// How long the last of them is held.
    pub hold: Duration,
    /// Healed at one stroke, not one after the other.
    pub at_once: bool,
    /// Healed in the order of their injection, not the other way round.
    pub in_order: bool,
    /// For targets that are drawn when they are found.
    pub targets: Stream,
}

/// Draws cycle `number`.
pub fn draw(seed: Seed, number: u32, cast: Cast, powers: &[Powers], hold_max: Duration) -> Drawn {
    let mut stream = seed.stream(&format!("cycle {number}"));
    let mut asks = vec![possible(&mut stream, cast, powers)];
    match cast {
        // Nobody repairs a flipped bit but a replica that is fetched anew.
        Cast::Kafka => asks.extend(wiped_after(&asks[0])),
        Cast::StandIns => {
            let more = stream.pick_weighted(&[(0, 75), (1, 20), (2, 5)]).copied();
            (0..more.unwrap_or(0)).for_each(|_| asks.push(possible(&mut stream, cast, powers)));
        }
    }
    Drawn {
        asks,
        hold: stream.duration((Duration::ZERO, hold_max)),
        at_once: stream.below(2) == 0,
        in_order: stream.below(2) == 0,
        targets: seed.stream(&format!("targets {number}")),
    }
}

fn wiped_after(ask: &Ask) -> Option<Ask> {
    match ask {
        Ask::FlipBit { target, .. } => Some(Ask::Wipe(target.clone())),
        _ => None,
    }
}

fn possible(stream: &mut Stream, cast: Cast, powers: &[Powers]) -> Ask {
    loop {
        let text = match cast {
            Cast::StandIns => any(stream),
            Cast::Kafka => of_brokers(stream),
        };
        let ask: Ask = match text.parse() {
            Ok(ask) => ask,
            Err(why) => unreachable!("`{text}` is no fault: {why}"),
        };
        let has = |group: &&[cluster::Power]| {
            let mut group = group.iter();
            group.any(|power| powers.iter().all(|host| host.lack(*power).is_none()))
        };
        if nemesis::needs(&ask).iter().all(has) {
            return ask;
        }
    }
}

fn one<'a>(stream: &mut Stream, of: &[&'a str]) -> &'a str {
    stream.pick(of).copied().unwrap_or_default()
}

fn node(stream: &mut Stream) -> &'static str {
    one(stream, &["n0", "n1", "n2"])
}

fn target(stream: &mut Stream) -> &'static str {
    let all = ["n0", "n1", "n2", "any", "minority", "majority", "all"];
    one(stream, &all)
}

/// One to three directed links, some of them with a port.
fn links(stream: &mut Stream) -> String {
    let pairs = [
        "n0 -> n1", "n1 -> n0", "n0 -> n2", "n2 -> n0", "n1 -> n2", "n2 -> n1",
    ];
    let ports = [
        "",
        "",
        " port broker",
        " port zk-client",
        " port zk-peer",
        " port zk-election",
    ];
    let first = stream.below(6) as usize;
    let count = 1 + stream.below(3) as usize;
    let each = pairs.iter().cycle().skip(first).take(count);
    let each = each.map(|pair| format!("{pair}{}", one(stream, &ports)));
    each.collect::<Vec<_>>().join(", ")
}

fn cut(stream: &mut Stream) -> String {
    match stream.below(7) {
        0 => format!("isolate {}", target(stream)),
        1 | 2 => format!("cut {}", links(stream)),
        3 => {
            let groups = ["{n0} | {n1, n2}", "{n1} | {n0, n2}", "{n0} | {n1} | {n2}"];
            format!("split {}", one(stream, &groups))
        }
        4 => format!("bridge {}", node(stream)),
        5 => "ring".to_owned(),
        _ => {
            let from = one(stream, &["zookeeper", "peers"]);
            format!("part {} from {from}", target(stream))
        }
    }
}

/// All links of somebody, or some by name.
fn worse(stream: &mut Stream) -> String {
    let whom = match stream.below(2) {
        0 => links(stream),
        _ => target(stream).to_owned(),
    };
    let percent = 1 + stream.below(60);
    match stream.below(6) {
        0 => format!("delay {whom} by 0.0{}s jitter 0.01s", 2 + stream.below(8)),
        1 => format!("lose {}% of {whom}", percent.max(5)),
        2 => format!("duplicate {percent}% of {whom}"),
        3 => format!("corrupt {percent}% of {whom}"),
        4 => format!("reorder {percent}% of {whom}"),
        _ => format!("limit {whom} to {}kbit", 256 + stream.below(2000)),
    }
}

fn process(stream: &mut Stream, whom: &str) -> String {
    let verb = one(stream, &["kill", "pause", "stop", "restart"]);
    format!("{verb} {whom}")
}

/// What stops a broker and does something to its files.
fn files(stream: &mut Stream, whom: &str) -> String {
    match stream.below(6) {
        0 => format!("power-cut {whom}"),
        1 => format!("power-cut {whom} torn"),
        2 => format!("power-cut {whom} zeroed"),
        3 => format!("remove checkpoints of {whom}"),
        4 => format!("stale checkpoints of {whom}"),
        _ => format!("wipe {whom}"),
    }
}

fn flip(stream: &mut Stream) -> String {
    let segment = one(stream, &["", " closed"]);
    format!("flip bit of ledger/0 on {}{segment}", node(stream))
}

/// What can be done to hosts whose services are stand-ins.
fn any(stream: &mut Stream) -> String {
    match stream.below(100) {
        0..22 => {
            let whom = target(stream);
            process(stream, whom)
        }
        22..32 => {
            let whom = format!("zookeeper of {}", target(stream));
            process(stream, &whom)
        }
        32..58 => cut(stream),
        58..62 => format!("part {} from clients", target(stream)),
        62..67 => {
            let every = 50 + stream.below(350);
            format!("flap {} every {every}ms", cut(stream))
        }
        67..80 => worse(stream),
        80..84 => format!("fill disk of {}", target(stream)),
        84..88 => flip(stream),
        88..98 => {
            let whom = target(stream);
            files(stream, whom)
        }
        98 => format!("bump clock of {} by 0.5s", node(stream)),
        _ => format!("slow disk of {} by 50ms", node(stream)),
    }
}

/// What is done to real brokers: one node at a time, so that what was acknowledged can come back.
fn of_brokers(stream: &mut Stream) -> String {
    let whom = one(
        stream,
        &[
            "n0",
            "n1",
            "n2",
            "any",
            "leader of ledger/0",
            "a follower of ledger/0",
            "controller",
        ],
    );
    match stream.below(40) {
        0..14 => process(stream, whom),
        14..18 => {
            let whom = one(
                stream,
                &["zookeeper of n1", "zookeeper of zookeeper leader"],
            );
            process(stream, whom)
        }
        18..21 => format!("isolate {whom}"),
        21..23 => format!("cut {}", links(stream)),
        23 => format!(
            "part {whom} from {}",
            one(stream, &["zookeeper", "peers", "clients"])
        ),
        24 => worse(stream),
        25 => format!("flap isolate {whom} every 200ms"),
        26 => format!("fill disk of {whom}"),
        27..31 => {
            let whom = node(stream);
            files(stream, whom)
        }
        31 => flip(stream),
        32 => "elect preferred of ledger/0".to_owned(),
        33 => "reassign ledger/0 to n1, n2, n0".to_owned(),
        34..36 => "configure ledger min.insync.replicas = 1".to_owned(),
        36 => "delete records of ledger/0 before hw".to_owned(),
        37 => "crash producer of ledger".to_owned(),
        38 => "crash consumer of ledger".to_owned(),
        _ => format!("pause {whom}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cluster::{Lack, Power};
    use history::NodeId;

    use super::*;

    fn drawn(cast: Cast, lacks: &[Power]) -> BTreeSet<String> {
        let lacks = lacks.iter().map(|power| Lack {
            power: *power,
            why: "not here".into(),
        });
        let powers = [Powers {
            node: NodeId(0),
            lacks: lacks.collect(),
        }];
        let draw = |number| draw(Seed(7), number, cast, &powers, Duration::from_secs(1));
        let first = |ask: &Ask| {
            let text = ask.to_string();
            let words: Vec<&str> = text.split(' ').collect();
            match words[..] {
                ["part", .., last] => format!("part {last}"),
                [verb, ..] => verb.to_owned(),
                [] => String::new(),
            }
        };
        let cycles = (0..3000).map(draw);
        cycles
            .flat_map(|it| it.asks)
            .map(|ask| first(&ask))
            .collect()
    }

    #[test]
    fn everything_is_drawn_that_the_hosts_can_suffer() {
        let stand_ins = drawn(Cast::StandIns, &[]);
        let rest = drawn(Cast::Kafka, &[]);
        for entry in nemesis::catalogue::CATALOGUE {
            let verb = entry.example.split(' ').next().unwrap_or_default();
            // A disk that fails takes device-mapper, clocks that strobe a kernel of their own.
            if ["fail", "strobe"].contains(&verb) {
                continue;
            }
            let drawn = |it: &BTreeSet<String>| it.iter().any(|word| word.starts_with(verb));
            assert!(drawn(&stand_ins) || drawn(&rest), "{verb} is never drawn");
        }
        let poor = drawn(
            Cast::StandIns,
            &[Power::OwnClock, Power::Netem, Power::Statistic],
        );
        let gone: Vec<&String> = stand_ins.difference(&poor).collect();
        assert_eq!(
            gone,
            ["bump", "corrupt", "delay", "duplicate", "lose", "reorder"]
        );
    }

    #[test]
    fn a_cycle_is_the_same_whenever_it_is_drawn() {
        let draw = |number| draw(Seed(7), number, Cast::StandIns, &[], Duration::from_secs(1));
        assert_eq!(draw(12).asks, draw(12).asks);
        assert_eq!(draw(12).hold, draw(12).hold);
        let holds: BTreeSet<Duration> = (0..50).map(|number| draw(number).hold).collect();
        assert!(holds.len() > 40);
    }
}
