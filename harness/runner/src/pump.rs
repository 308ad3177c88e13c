//! From the probes to the recorder and to the board on which targets and conditions look.

use cluster::Probes;
use history::{Event, Pen};
use nemesis::Board;
use tokio::sync::watch;

/// The live board. Dropping it ends the probing.
pub(crate) struct Pump {
    board: watch::Receiver<Board>,
    task: tokio::task::JoinHandle<()>,
}

impl Pump {
    /// Begins to pump.
    pub fn start(mut probes: Probes, pen: Pen) -> Pump {
        let (sender, board) = watch::channel(Board::default());
        let task = tokio::task::spawn_local(async move {
            // Named, so that the closure takes the guard along: dropping it would end the probing.
            let _guard = probes.guard;
            while let Some(observation) = probes.observations.recv().await {
                sender.send_modify(|board| board.observe(&observation));
                pen.write(Event::Observed(observation));
            }
        });
        Pump { board, task }
    }

    /// A view of the board; cheap.
    pub fn board(&self) -> watch::Receiver<Board> {
        self.board.clone()
    }
}

impl Drop for Pump {
    /// Ends the probing.
    fn drop(&mut self) {
        self.task.abort();
    }
}
