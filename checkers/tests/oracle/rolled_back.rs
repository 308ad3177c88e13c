//! Losses by a ZooKeeper that went back, against their plainest reading: what its servers had
//! confirmed, what each of them said last, and by which state the next leader was chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use checkers::judgement::{Class, Standing};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::{seconds, sends};
use crate::{CASES, Seen, judge_any, scene};

/// When n1 leads; milliseconds.
const LED: u64 = 5_000;

/// n0 led e0 and acknowledged under acks=all; n1 leads e1 without the last records.
#[derive(Debug, Clone)]
pub struct World {
    records: i64,
    from: i64,
    /// The in-sync sets of e0 by version, from 1 on; whether the controller wrote each down.
    sets: Vec<(BTreeSet<u8>, bool)>,
    back: Option<Back>,
    /// How often the set of e1 changed afterwards.
    more: u64,
    asked: Vec<Asked>,
    /// n1 lost its log from there by our doing.
    harm: Option<i64>,
    unclean: bool,
}

/// ZooKeeper forgot all after this version: before n1 was chosen, or long after.
#[derive(Debug, Clone, Copy)]
struct Back {
    to: u64,
    late: bool,
}

/// Somebody asked a server, which may have been behind by a version.
#[derive(Debug, Clone, Copy)]
struct Asked {
    server: u8,
    at: u64,
    behind: bool,
}

/// What stood in ZooKeeper.
#[derive(Debug, Clone)]
struct State {
    version: u64,
    leader: u8,
    isr: BTreeSet<u8>,
}

impl World {
    /// The version of the state in which n1 leads.
    fn chosen(&self) -> u64 {
        match self.back {
            Some(Back { to, late: false }) => to + 1,
            _ => self.sets.len() as u64 + 1,
        }
    }

    fn old(&self, version: u64) -> State {
        State {
            version,
            leader: 0,
            isr: self.sets[version as usize - 1].0.clone(),
        }
    }

    /// States as they followed each other, with the moments; a version may come twice.
    fn states(&self) -> Vec<(u64, State)> {
        let known = 1..=self.sets.len() as u64;
        let mut states: Vec<(u64, State)> = known
            .map(|version| (400 * version, self.old(version)))
            .collect();
        let back = |to| self.old(to);
        if let Some(Back { to, late: false }) = self.back {
            states.push((3_500, back(to)));
        }
        for n in 0..=self.more {
            let isr = match n % 2 {
                0 => BTreeSet::from([1]),
                _ => BTreeSet::from([1, 2]),
            };
            let (version, leader) = (self.chosen() + n, 1);
            let at = LED - 100 + 1_000 * n;
            states.push((
                at,
                State {
                    version,
                    leader,
                    isr,
                },
            ));
        }
        if let Some(Back { to, late: true }) = self.back {
            states.push((20_000, back(to)));
        }
        states
    }

    /// What servers said, in order of time: who, when, and what.
    fn answers(&self) -> Vec<(Asked, State)> {
        let states = self.states();
        let mut asked = self.asked.clone();
        asked.sort_by_key(|asked| asked.at);
        let answer = |asked: Asked| {
            let before = states.iter().rposition(|(at, _)| *at < asked.at);
            let now = before.expect("the first state");
            // Nobody is behind what was forgotten.
            let older = now
                .checked_sub(1)
                .filter(|older| asked.behind && states[*older].1.version < states[now].1.version);
            (asked, states[older.unwrap_or(now)].1.clone())
        };
        asked.into_iter().map(answer).collect()
    }

    fn print(&self) -> String {
        let unclean = match self.unclean {
            true => " unclean.leader.election.enable=true",
            false => "",
        };
        let mut text = format!("topic t on n0,n1,n2 by c1 acks=all{unclean}\n");
        text += &sends(self.records as u64, 1);
        text.push_str(
            "n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
n2 said 0.5s follower t/0 e0 from @0 hw @0 was none\n",
        );
        let names = |set: &BTreeSet<u8>| {
            let names: Vec<String> = set.iter().map(|node| format!("n{node}")).collect();
            names.join(",")
        };
        for ((set, written), version) in self.sets.iter().zip(1..) {
            if *written {
                let (at, of) = (seconds(400 * version), names(set));
                writeln!(text, "n2 said {at} state t/0 e0 isr {of} version {version}").unwrap();
            }
        }
        if let Some(from) = self.harm {
            writeln!(text, "harm t/0 n1 lost from @{from} at 4.5s").unwrap();
        }
        let (chosen, from, end) = (self.chosen(), self.from, self.records);
        let was = if self.harm.is_some() { "none" } else { "e0" };
        let (chosen_at, led) = (seconds(LED - 100), seconds(LED));
        write!(
            text,
            "n2 said {chosen_at} state t/0 e1 isr n1 version {chosen}
n1 said {led} leader t/0 e1 from @{from} hw @{from} isr n1 was {was}\n"
        )
        .unwrap();
        for node in [0, 2] {
            write!(
                text,
                "n{node} said 6.0s follower t/0 e1 from @{end} hw @{end} was e0
n{node} said 6.1s cut t/0 @{from}\n"
            )
            .unwrap();
        }
        for (asked, state) in self.answers() {
            let Asked { server, at, .. } = asked;
            let State {
                version,
                leader,
                isr,
            } = state;
            let (at, end, isr) = (seconds(at), seconds(at + 20), names(&isr));
            writeln!(
                text,
                "n{server} zk t/0 leader n{leader} e{leader} isr {{{isr}}} version {version} at {at}..{end}"
            )
            .unwrap();
        }
        let values: Vec<String> = (0..from).map(|value| format!("v{value}")).collect();
        for node in 0..3 {
            match from {
                0 => writeln!(text, "n{node} final t/0:").unwrap(),
                _ => writeln!(text, "n{node} final t/0: e0 @0 {}", values.join(" ")).unwrap(),
            }
        }
        text
    }

    /// The in-sync set of the version before n1 led, if anybody wrote it down or was told it.
    fn chosen_from(&self) -> Option<&BTreeSet<u8>> {
        let before = self.chosen() - 1;
        let (set, written) = &self.sets[before as usize - 1];
        let told = self
            .answers()
            .iter()
            .any(|(_, state)| state.version == before && state.leader == 0);
        (*written || told).then_some(set)
    }

    /// ZooKeeper forgot something that a server had confirmed before n1 was chosen, and n1 was chosen
    /// by a state that is no newer: one version was two states, or every server, asked since, ended
    /// with an older one.
    fn went_back(&self) -> bool {
        let answers = self.answers();
        let early = |asked: &Asked| asked.at < LED - 200;
        let twice = answers.iter().any(|(first, one)| {
            let mut later = answers.iter().filter(|(later, _)| later.at > first.at);
            early(first)
                && self.chosen() <= one.version
                && later.any(|(_, two)| {
                    let same = (one.leader, &one.isr) == (two.leader, &two.isr);
                    one.version == two.version && !same
                })
        });
        let confirmed = answers
            .iter()
            .max_by_key(|(asked, state)| (state.version, std::cmp::Reverse(asked.at)));
        let Some((first, confirmed)) = confirmed else {
            return false;
        };
        let mut last: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
        for (asked, state) in &answers {
            last.insert(asked.server, (asked.at, state.version));
        }
        let older = |(at, version): &(u64, u64)| *at > first.at && *version < confirmed.version;
        let forgotten = last.values().all(older);
        twice || early(first) && forgotten && self.chosen() <= confirmed.version
    }

    fn class(&self, offset: i64) -> (Class, Standing) {
        let set = self.chosen_from();
        if set.is_some_and(|set| !set.contains(&1)) {
            let standing = match self.unclean {
                true => Standing::NotPromised,
                false => Standing::Broken,
            };
            return (Class::UncleanElection, standing);
        }
        if self.harm.is_some_and(|from| from <= offset) {
            return (Class::LossyLeader, Standing::NotPromised);
        }
        if self.went_back() {
            return (Class::ZookeeperRolledBack, Standing::NotPromised);
        }
        match set.is_none() && self.unclean {
            true => (Class::Undetermined, Standing::Undetermined),
            false => (Class::Unexplained, Standing::Broken),
        }
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let set = prop_oneof![
        2 => btree_set(0u8..3, 0..3),
        1 => Just(BTreeSet::from([0, 1, 2])),
    ];
    let set = set.prop_map(|mut set| {
        // The leader is always in it.
        set.insert(0);
        set
    });
    let sets = vec((set, proptest::bool::weighted(0.7)), 1..5);
    let back = (0u64..4, proptest::bool::weighted(0.2));
    let at = prop_oneof![
        2 => 2_100u64..3_400,
        1 => 3_600u64..4_700,
        3 => 9_000u64..15_000,
        2 => 21_000u64..30_000,
        1 => 500u64..2_000,
    ];
    let asked = (0u8..3, at, proptest::bool::weighted(0.1));
    let harm = option::weighted(0.15, 0i64..3);
    let more = prop_oneof![3 => Just(0u64), 1 => 1u64..3];
    let log = (1i64..4, 0i64..3, more);
    (
        log,
        sets,
        option::weighted(0.8, back),
        vec(asked, 0..6),
        harm,
        any::<bool>(),
    )
        .prop_map(
            |((records, from, more), sets, back, asked, harm, unclean)| {
                let versions = sets.len() as u64;
                World {
                    records,
                    from: from.min(records - 1),
                    sets,
                    back: back.map(|(to, late)| Back {
                        to: to % versions + 1,
                        late,
                    }),
                    more,
                    asked: asked
                        .into_iter()
                        .map(|(server, at, behind)| Asked {
                            server,
                            // No server is asked in the moment in which something is written.
                            at: at / 100 * 100 + 50,
                            behind,
                        })
                        .collect(),
                    harm,
                    unclean,
                }
            },
        )
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let classes = (world.from..world.records).map(|offset| world.class(offset));
    crate::same_classes(&scene::judged(&world.print()), classes, seen)
}

fn check(cases: u32) {
    let shares = [
        ("ZookeeperRolledBack", 40),
        ("UncleanElection", 100),
        ("LossyLeader", 20),
        ("Undetermined", 20),
        ("Unexplained", 100),
    ];
    judge_any(
        cases,
        any_world(),
        |world| format!("{world:?}\n{}", world.print()),
        agrees,
        &shares,
    );
}

#[test]
fn losses_by_a_zookeeper_that_went_back_are_those_of_the_obvious_reading() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn losses_by_a_zookeeper_that_went_back_are_those_of_the_obvious_reading_a_hundred_thousand_times()
{
    check(100_000);
}
