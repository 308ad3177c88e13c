//! Copiers: whatever befalls them, each record is copied once by a transaction that was committed.

use history::Rebalance;

use super::*;
use crate::fake::Coordinating;

const GROUP: &str = "copiers";

/// What befalls copiers for three seconds.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    Coordinator(Coordinating),
    /// Of the partition that is copied to.
    Log(Behaviour),
    /// Of a partition, ten times.
    Taken,
    /// Of both.
    Crash,
}

/// A transaction, as the history has it.
#[derive(Debug, Default)]
struct Told {
    read: Vec<(Partition, Offset)>,
    /// Partitions were taken away while it read.
    lost: bool,
    sent: usize,
    acked: usize,
    commit: Vec<(Partition, Offset)>,
    /// The offsets in it were taken.
    taken: bool,
    ends: Vec<(bool, Option<bool>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Committed,
    Aborted,
    Unknown,
}

impl Told {
    /// Whether a commit of it was asked for, and what was answered last.
    fn fate(&self) -> Fate {
        let asked = self.ends.iter().any(|(commit, _)| *commit);
        match self.ends.last() {
            Some((true, Some(true))) => Fate::Committed,
            Some((false, Some(true))) if !asked => Fate::Aborted,
            None => Fate::Aborted,
            Some(_) => Fate::Unknown,
        }
    }
}

/// The transactions of a history, in which every poll, send and commit of a copier lies.
fn told(events: &[Event], copiers: &BTreeSet<ClientId>) -> Vec<Told> {
    let mut open: BTreeMap<ClientId, usize> = BTreeMap::new();
    let mut of_op: BTreeMap<OpId, (usize, Call)> = BTreeMap::new();
    let mut all: Vec<Told> = Vec::new();
    for event in events {
        match event {
            Event::Invoked {
                op, client, call, ..
            } if copiers.contains(client) => {
                if let Call::Begin = call {
                    // Only the last end may be without an answer, and then its client is gone.
                    let before = open.insert(*client, all.len()).map(|txn| &all[txn].ends);
                    let ended = |ends: &Vec<(bool, Option<bool>)>| !ends.is_empty();
                    assert!(before.is_none_or(ended), "{client} begins twice");
                    all.push(Told::default());
                }
                if let Call::Subscribe { .. } = call {
                    continue;
                }
                let txn = *open
                    .get(client)
                    .unwrap_or_else(|| panic!("{client} calls {call:?} outside"));
                let now = &mut all[txn];
                match call {
                    Call::Seek { .. } => assert_eq!(now.fate(), Fate::Aborted),
                    Call::End { commit } => now.ends.push((*commit, None)),
                    _ => assert!(now.ends.is_empty(), "{client} calls {call:?} outside"),
                }
                match call {
                    Call::Send { .. } => now.sent += 1,
                    Call::Commit { offsets } => now.commit.clone_from(offsets),
                    _ => {}
                }
                of_op.insert(*op, (txn, call.clone()));
            }
            Event::Returned { op, reply, .. } => {
                let Some((txn, call)) = of_op.remove(op) else {
                    continue;
                };
                let now = &mut all[txn];
                match (call, reply) {
                    (Call::Poll, Reply::Polled(Outcome::Ok(came))) => {
                        assert!(now.read.is_empty() || came.is_empty(), "two batches in one");
                        let place = |it: &Delivery| (it.partition.clone(), it.offset);
                        now.read.extend(came.iter().map(place));
                    }
                    (Call::Send { .. }, Reply::Sent(Outcome::Ok(_))) => now.acked += 1,
                    (Call::Commit { .. }, Reply::Done(done)) => now.taken = done.ok().is_some(),
                    (Call::End { .. }, Reply::Done(done)) => {
                        let answer = match done {
                            Outcome::Ok(()) => Some(true),
                            Outcome::Failed(_) => Some(false),
                            Outcome::Unknown(_) => None,
                        };
                        now.ends.last_mut().expect("it was asked").1 = answer;
                    }
                    _ => {}
                }
            }
            Event::Rebalance(told) if told.change != Rebalance::Assigned => {
                all[open[&told.client]].lost = true;
            }
            _ => {}
        }
    }
    all
}

/// What holds of every history of copiers: how many transactions ended how.
fn whole(all: &[Told], committed: &BTreeMap<Partition, Offset>) -> BTreeMap<String, usize> {
    let mut ended: BTreeMap<String, usize> = BTreeMap::new();
    let mut processed: BTreeMap<(Partition, Offset), usize> = BTreeMap::new();
    let mut perhaps: BTreeSet<(Partition, Offset)> = BTreeSet::new();
    for told in all {
        *ended.entry(format!("{:?}", told.fate())).or_default() += 1;
        if told.lost && !told.read.is_empty() {
            assert_eq!(told.sent, 0, "of partitions that others have: {told:?}");
            *ended.entry("lost".to_owned()).or_default() += 1;
        }
        match told.fate() {
            Fate::Committed => {
                let copied = (told.sent, told.acked);
                assert_eq!(copied, (told.read.len(), told.read.len()), "{told:?}");
                assert!(told.read.is_empty() || told.taken, "{told:?}");
                let next = told.read.iter();
                let next = next.map(|(it, at)| (it.clone(), Offset(at.0 + 1)));
                let next: BTreeMap<Partition, Offset> = next.collect();
                assert_eq!(told.commit, next.into_iter().collect::<Vec<_>>());
                for place in &told.read {
                    *processed.entry(place.clone()).or_default() += 1;
                }
            }
            Fate::Unknown => perhaps.extend(told.read.iter().cloned()),
            Fate::Aborted => {}
        }
    }
    let twice: Vec<_> = processed.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "copied twice: {twice:?}");
    for (partition, next) in committed {
        for at in 0..next.0 {
            let place = (partition.clone(), Offset(at));
            let done = processed.contains_key(&place) || perhaps.contains(&place);
            assert!(done, "{partition} {} is copied by nobody", Offset(at));
        }
    }
    let both = perhaps.iter().filter(|it| processed.contains_key(it));
    ended.insert("again".to_owned(), both.count());
    ended
}

fn topics() -> BTreeMap<Topic, TopicSpec> {
    let mut copies = transactional(2, Rate::Copying("ledger".into()));
    copies.load.group = Some(Group {
        name: GROUP.into(),
        commit: CommitMode::Transaction,
    });
    let ledger = spec(3, 1, 0, Rate::PerSecond(100));
    BTreeMap::from([("ledger".into(), ledger), ("copies".into(), copies)])
}

async fn befall(scene: &Scene, trouble: Trouble) {
    let (kafka, copies) = (&scene.kafka, Partition::new("copies", 0));
    match trouble {
        Trouble::None => sleep(3 * SECOND).await,
        Trouble::Coordinator(how) => {
            kafka.coordinate(how);
            sleep(3 * SECOND).await;
            kafka.coordinate(Coordinating::Well);
        }
        Trouble::Log(behaviour) => {
            kafka.behave(&copies, behaviour);
            sleep(3 * SECOND).await;
            kafka.behave(&copies, Behaviour::Ack);
        }
        Trouble::Taken => {
            for _ in 0..10 {
                kafka.take_away(GROUP, &ledger(1));
                sleep(SECOND * 3 / 10).await;
            }
        }
        Trouble::Crash => {
            let topic: Topic = "copies".into();
            let crash = async || scene.workload.crash(&topic, false).await.expect("one");
            let (first, second) = (crash().await, crash().await);
            assert_eq!(scene.workload.crash(&topic, false).await, None);
            let before = scene.workload.counts()["copies"].sent;
            sleep(3 * SECOND).await;
            let counts = scene.workload.counts()["copies"];
            assert_eq!(counts.sent, before, "nobody copies");
            assert_eq!(counts.in_flight, 0);
            for ended in [first, second] {
                let revived = scene.workload.revive(&topic, ended.client).await;
                assert!(revived.expect("opened").is_some());
            }
        }
    }
}

/// Four seconds in order, three of trouble, thirteen in order again.
fn copied(trouble: Trouble) -> (BTreeMap<String, usize>, usize) {
    let ((copiers, committed, counts), events) = play_all(topics(), async |scene| {
        sleep(4 * SECOND).await;
        befall(&scene, trouble).await;
        sleep(13 * SECOND).await;
        let kafka = scene.kafka.clone();
        let producers = scene.workload.producers();
        let consumers = scene.workload.consumers();
        let counts = scene.workload.stop(5 * SECOND).await;
        let copiers = producers.iter().filter(|(_, it)| &*it.topic == "copies");
        let copiers: BTreeSet<ClientId> = copiers.map(|(client, _)| *client).collect();
        for client in &copiers {
            let member = &consumers[client];
            assert_eq!(member.group.as_deref(), Some(GROUP));
            assert!(member.commit == CommitMode::Transaction && member.read_committed);
        }
        (copiers, kafka.committed(GROUP), counts)
    });
    let all = told(&events, &copiers);
    let ended = whole(&all, &committed);
    let written = counts["ledger"].sent as i64;
    let copied: i64 = committed.values().map(|next| next.0).sum();
    assert!(
        copied + 30 >= written && copied <= written,
        "{trouble:?}: {copied} of {written} copied"
    );
    assert_eq!(counts["copies"].in_flight, 0);
    (ended, copiers.len())
}

#[test]
fn each_record_is_copied_by_one_committed_transaction_whatever_befalls() {
    use Coordinating::{AnswersLate, Fences, RefusesOffsets, SaysAbort, Well};
    use Trouble::{Coordinator, Log};
    // Unknown ends at least, and whether others stand in the copiers' places afterwards.
    for (trouble, unknown, anew) in [
        (Trouble::None, 0, false),
        (Coordinator(Well), 0, false),
        (Coordinator(RefusesOffsets), 0, false),
        (Coordinator(AnswersLate), 0, false),
        (Coordinator(SaysAbort), 5, true),
        (Coordinator(Fences), 5, true),
        (Log(Behaviour::Refuse), 0, false),
        (Log(Behaviour::Swallow), 0, true),
        (Log(Behaviour::Fence), 0, true),
        (Trouble::Taken, 0, false),
        (Trouble::Crash, 0, true),
    ] {
        let (ended, copiers) = copied(trouble);
        let of = |fate: &str| ended.get(fate).copied().unwrap_or(0);
        assert_eq!(copiers > 2, anew, "{trouble:?}: {copiers} copiers");
        assert!(of("Unknown") >= unknown, "{trouble:?}: {ended:?}");
        // In memory what was not heard was carried out, and then nothing of it comes again.
        assert_eq!(of("again"), 0, "{trouble:?}: {ended:?}");
        let taken = matches!(trouble, Trouble::Taken);
        assert_eq!(of("lost") > 0, taken, "{trouble:?}: {ended:?}");
        let (committed, aborted) = (of("Committed"), of("Aborted"));
        assert!(
            committed > 100 && aborted * 10 > committed,
            "{trouble:?}: {ended:?}"
        );
    }
}

#[test]
fn an_end_that_nobody_answered_is_told_unknown_and_asked_for_again() {
    let (_, events) = play_all(topics(), async |scene| {
        scene.kafka.coordinate(Coordinating::AnswersLate);
        sleep(5 * SECOND).await;
        scene.workload.stop(SECOND).await;
    });
    let ends = |wanted: fn(&Outcome<()>) -> bool| {
        let mut asked = BTreeSet::new();
        let mut count = 0u32;
        for event in &events {
            match event {
                Event::Invoked {
                    op,
                    call: Call::End { commit: true },
                    ..
                } => {
                    asked.insert(*op);
                }
                Event::Returned {
                    op,
                    reply: Reply::Done(done),
                    ..
                } if asked.contains(op) && wanted(done) => count += 1,
                _ => {}
            }
        }
        count
    };
    let unknown = ends(|done| matches!(done, Outcome::Unknown(_)));
    let done = ends(|done| matches!(done, Outcome::Ok(())));
    assert!(
        unknown > 5 && unknown.abs_diff(done) <= 2,
        "{unknown} {done}"
    );
}

#[test]
fn where_nothing_is_to_be_read_a_transaction_is_open_for_a_second() {
    let mut topics = topics();
    if let Some(ledger) = topics.get_mut("ledger") {
        ledger.load.rate = Rate::OnDemand;
    }
    let (_, events) = play_all(topics, async |scene| {
        sleep(10 * SECOND).await;
        scene.workload.stop(SECOND).await;
    });
    let begun = events.iter().filter(|event| {
        matches!(
            event,
            Event::Invoked {
                call: Call::Begin,
                ..
            }
        )
    });
    assert!((18..=22).contains(&begun.count()));
}
