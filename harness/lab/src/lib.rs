//! The lab on one machine: hosts made of Linux namespaces, each with its own sshd, address, files
//! and processes, on a switch that nobody else can reach.
//!
//! It knows nothing of Kafka, chooses no fault and never touches the caller's own network: no
//! interface, address, route or firewall rule appears outside the namespaces that it makes.

mod down;
mod enter;
mod error;
mod host;
mod lock;
mod names;
mod net;
mod process;
mod shell;
mod status;
mod tools;
mod up;

pub use down::{Removed, down, down_unless_used};
pub use enter::enter;
pub use error::LabError;
pub use names::{controller_address, controller_netns};
pub use shell::shell;
pub use status::{Part, Status, status};
pub use tools::{can_hold, missing_tools};
pub use up::{as_it_is, up};
