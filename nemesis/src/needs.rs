//! Which powers of a host a fault needs, and whether the hosts of a lab have them.

use cluster::{Power, Powers};
use plan::{Action, Ask, Counterpart, Schedule, Shape};

/// What a fault needs: of each group one power is enough.
pub fn needs(ask: &Ask) -> Vec<&'static [Power]> {
    const RULES: &[Power] = &[Power::Iptables];
    match ask {
        Ask::Isolate(_) | Ask::Cut(_) | Ask::Split(_) | Ask::Bridge(_) | Ask::Ring => vec![RULES],
        Ask::Part { from, .. } => match from {
            Counterpart::ZooKeeper | Counterpart::Peers | Counterpart::Clients => vec![RULES],
        },
        Ask::Flap { cut, .. } => needs(cut),
        Ask::Shape { shape, .. } => vec![match shape {
            Shape::Delay { .. } | Shape::Duplicate(_) | Shape::Corrupt(_) | Shape::Reorder(_) => {
                &[Power::Netem]
            }
            Shape::Loss(_) => &[Power::Netem, Power::Statistic],
            Shape::Bandwidth(_) => &[Power::Tbf],
        }],
        Ask::FillDisk(_) => vec![&[Power::OwnDisk]],
        Ask::SlowDisk(..) | Ask::FailDisk(_) => vec![&[Power::DeviceMapper]],
        Ask::Clock { .. } => vec![&[Power::OwnClock]],
        Ask::Process { .. }
        | Ask::Elect { .. }
        | Ask::Reassign { .. }
        | Ask::Configure { .. }
        | Ask::PowerCut { .. }
        | Ask::FlipBit { .. }
        | Ask::Checkpoints { .. }
        | Ask::Wipe(_)
        | Ask::DeleteRecords { .. }
        | Ask::CrashClient { .. } => Vec::new(),
    }
}

/// Whether a schedule needs any power at all: hosts are asked only then.
pub fn needs_any(schedule: &Schedule) -> bool {
    asks(schedule).any(|ask| !needs(ask).is_empty())
}

/// Whether a step puts back older checkpoint files, which must be copied before the storm then.
pub fn puts_checkpoints_back(schedule: &Schedule) -> bool {
    asks(schedule).any(|ask| matches!(ask, Ask::Checkpoints { stale: true, .. }))
}

/// The first step that some host lacks the power for, in a sentence.
pub fn refusal(schedule: &Schedule, hosts: &[Powers]) -> Option<String> {
    asks(schedule).find_map(|ask| {
        let groups = needs(ask).into_iter();
        groups
            .flat_map(|group| hosts.iter().map(move |host| (group, host)))
            .find_map(|(group, host)| {
                let lacks: Option<Vec<&str>> =
                    group.iter().map(|power| host.lack(*power)).collect();
                let names: Vec<String> = group.iter().map(ToString::to_string).collect();
                let whys = lacks?;
                Some(format!(
                    "`{ask}` needs {}, and {} has none: {}",
                    names.join(" or "),
                    host.node,
                    whys.join("; ")
                ))
            })
    })
}

fn asks(schedule: &Schedule) -> impl Iterator<Item = &Ask> {
    schedule.steps.iter().filter_map(|step| match &step.action {
        Action::Fault { ask, .. } => Some(ask),
        Action::Send { .. } | Action::Heal(_) | Action::Await { .. } | Action::Wait(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use cluster::{Lack, POWERS};
    use history::NodeId;
    use plan::Seed;

    use super::*;

    fn host(lacks: &[Power]) -> Powers {
        let lack = |(power, _)| Lack {
            power,
            why: format!("no {power}"),
        };
        Powers {
            node: NodeId(1),
            lacks: POWERS
                .into_iter()
                .filter(|(it, _)| lacks.contains(it))
                .map(lack)
                .collect(),
        }
    }

    fn schedule(steps: &[&str]) -> Schedule {
        Schedule {
            seed: Seed(1),
            steps: steps
                .iter()
                .map(|text| text.parse().expect("a step"))
                .collect(),
        }
    }

    #[test]
    fn one_power_of_a_group_is_enough() {
        let lossy = schedule(&["kill n0", "lose 5% of n0 -> n1"]);
        assert!(needs_any(&lossy) && !needs_any(&schedule(&["kill n0"])));
        assert_eq!(refusal(&lossy, &[host(&[Power::Netem])]), None);
        let why = refusal(&lossy, &[host(&[Power::Netem, Power::Statistic])]).expect("refused");
        assert!(
            why.contains("or iptables' statistic match, and n1 has none: no the netem"),
            "{why}"
        );
    }

    #[test]
    fn a_flap_needs_what_its_cut_needs() {
        let flap = schedule(&["flap isolate n0 every 500ms"]);
        assert!(refusal(&flap, &[host(&[])]).is_none());
        assert!(refusal(&flap, &[host(&[Power::Iptables])]).is_some());
    }
}
