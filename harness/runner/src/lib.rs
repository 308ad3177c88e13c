//! One plan in, one sealed run directory out.
//!
//! The runner drives the phases and writes everything down. It never judges, and it does not know
//! whether the cluster behind [`cluster::System`] and the clients behind [`workloads::Clients`] are
//! real: the tests run the same code on a fake cluster in virtual time.

mod capture;
mod ending;
mod error;
mod interrupt;
mod order;
mod our_clients;
mod patience;
mod phases;
mod pump;
mod settle;
mod storm;
mod telling;
mod waiting;
mod watch;

pub mod progress;

pub use error::RunError;
pub use interrupt::{Interrupt, Interrupts};
pub use order::{Finished, Order};
pub use our_clients::OurClients;
pub use phases::run;
pub use progress::Progress;
