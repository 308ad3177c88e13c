//! After the heal, with no load: every replica in sync, HW = LEO everywhere, within a deadline.
//!
//! Missing the deadline is no error here; it is recorded, and the judge calls it by its name.

use std::time::Duration;

use history::{Clock, Mark, NodeId, Partition};
use nemesis::{Board, Healed};
use tokio::sync::watch;

/// What came of waiting.
pub(crate) enum Settled {
    /// Everything stands still and agrees.
    Yes,
    /// It does not, and this is what stands in the way.
    No(String),
}

/// Waits until every partition is settled by observations asked after `now`. Needs the proof that
/// every fault was closed: settling while something is cut would blame the brokers for our fault, so
/// nothing is waited for while a fault is stuck.
pub(crate) async fn settle(
    healed: &Healed,
    mut board: watch::Receiver<Board>,
    partitions: &[(Partition, Vec<NodeId>)],
    clock: &Clock,
    within: Duration,
) -> Settled {
    if let Some((fault, why)) = healed.stuck.first() {
        return Settled::No(format!("{fault} could not be undone: {why}"));
    }
    let began = clock.mark();
    let deadline = clock.instant(began + within);
    let mut in_the_way = String::from("nothing was observed");
    loop {
        let unsettled = first_unsettled(&board.borrow_and_update(), partitions, began);
        match unsettled {
            None => return Settled::Yes,
            Some(why) => in_the_way.clone_from(&why),
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(deadline) => return Settled::No(in_the_way),
            changed = board.changed() => if changed.is_err() {
                return Settled::No("the probes ended".to_owned());
            },
        }
    }
}

fn first_unsettled(
    board: &Board,
    partitions: &[(Partition, Vec<NodeId>)],
    since: Mark,
) -> Option<String> {
    partitions
        .iter()
        .find_map(|(partition, assigned)| board.settled(partition, assigned, since).err())
}
