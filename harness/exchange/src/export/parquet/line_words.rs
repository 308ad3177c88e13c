//! What a broker's log line says, flat. What a kind of line does not say is absent.

use evidence::Says;
use history::{Epoch, NodeId, Offset, Partition};

/// The cells of a line.
#[derive(Default)]
pub(super) struct Told<'a> {
    pub(super) says: &'static str,
    pub(super) partition: Option<&'a Partition>,
    pub(super) epoch: Option<Epoch>,
    pub(super) leader: Option<NodeId>,
    pub(super) leo: Option<Offset>,
    pub(super) hw: Option<Offset>,
    /// Where a log was cut, rolled or begun anew.
    pub(super) cut_to: Option<Offset>,
    pub(super) isr: Option<&'a [NodeId]>,
    pub(super) version: Option<i32>,
}

impl<'a> Told<'a> {
    /// Of a line of the log of `node`.
    pub(super) fn of(says: &'a Says, node: NodeId) -> Self {
        match says {
            Says::LeaderStarts {
                partition,
                epoch,
                leo,
                hw,
                isr,
                previous: _,
            } => Told {
                epoch: Some(*epoch),
                leader: Some(node),
                leo: Some(*leo),
                hw: Some(*hw),
                isr: Some(isr),
                ..about("leader-starts", partition)
            },
            Says::FollowerStarts {
                partition,
                epoch,
                leo,
                hw,
                previous: _,
            } => Told {
                epoch: Some(*epoch),
                leo: Some(*leo),
                hw: Some(*hw),
                ..about("follower-starts", partition)
            },
            Says::Shrinking {
                partition,
                from: _,
                to,
                hw,
                leo,
            } => Told {
                leader: Some(node),
                leo: Some(*leo),
                hw: Some(*hw),
                isr: Some(to),
                ..about("shrinking", partition)
            },
            Says::IsrUpdated {
                partition,
                isr,
                version,
            } => Told {
                isr: Some(isr),
                version: *version,
                ..about("isr-updated", partition)
            },
            Says::PartitionState {
                partition,
                leader,
                epoch,
                isr,
                version,
            } => Told {
                epoch: Some(*epoch),
                leader: *leader,
                isr: Some(isr),
                version: *version,
                ..about("partition-state", partition)
            },
            Says::Loaded { partition, hw } => Told {
                hw: Some(*hw),
                ..about("loaded", partition)
            },
            Says::ControllerElected { epoch } => Told {
                says: "controller-elected",
                epoch: Some(Epoch(*epoch)),
                leader: Some(node),
                ..Told::default()
            },
            Says::BrokerStarted => alone("broker-started"),
            Says::Fatal => alone("fatal"),
            Says::Truncating { .. }
            | Says::TruncatingToHw { .. }
            | Says::TruncationWithoutEffect { .. }
            | Says::TruncateFully { .. }
            | Says::NonMonotonicHw { .. }
            | Says::Corruption { .. }
            | Says::Rolled { .. }
            | Says::ResetFetchOffset { .. } => Self::cut(says),
        }
    }

    /// Lines about where a log ends now.
    fn cut(says: &'a Says) -> Self {
        let (told, to) = match says {
            Says::Truncating { partition, to } => (about("truncating", partition), Some(*to)),
            Says::TruncatingToHw { partition, hw } => {
                (about("truncating-to-hw", partition), Some(*hw))
            }
            Says::TruncationWithoutEffect { partition, to } => {
                (about("truncation-without-effect", partition), Some(*to))
            }
            Says::TruncateFully { partition, to } => {
                (about("truncate-fully", partition), Some(*to))
            }
            Says::NonMonotonicHw {
                partition,
                from,
                to,
            } => {
                let hw = Some(*from);
                let told = about("non-monotonic-hw", partition);
                (Told { hw, ..told }, Some(*to))
            }
            Says::Corruption { partition, to } => (about("corruption", partition), *to),
            Says::Rolled { partition, at } => (about("rolled", partition), Some(*at)),
            Says::ResetFetchOffset { partition, to, .. } => {
                (about("reset-fetch-offset", partition), Some(*to))
            }
            Says::LeaderStarts { .. }
            | Says::FollowerStarts { .. }
            | Says::Shrinking { .. }
            | Says::IsrUpdated { .. }
            | Says::PartitionState { .. }
            | Says::Loaded { .. }
            | Says::ControllerElected { .. }
            | Says::BrokerStarted
            | Says::Fatal => (Told::default(), None),
        };
        Told { cut_to: to, ..told }
    }
}

fn about<'a>(says: &'static str, partition: &'a Partition) -> Told<'a> {
    Told {
        says,
        partition: Some(partition),
        ..Told::default()
    }
}

fn alone(says: &'static str) -> Told<'static> {
    Told {
        says,
        ..Told::default()
    }
}
