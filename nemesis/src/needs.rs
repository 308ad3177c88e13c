//! Which powers of a host a fault needs, and whether the hosts of a lab have them.

use cluster::{Power, Powers};
use plan::{Action, Ask, Counterpart, Schedule, Shape, Step, Storm, Target};

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

/// Why a schedule cannot be done on these hosts: the first step that some host lacks the power for,
/// its place and that of all others, what gives the power, and how the plan goes without it.
pub fn refusal(storm: &Storm, schedule: &Schedule, hosts: &[Powers]) -> Option<String> {
    let lacking = (1..).zip(&schedule.steps).filter_map(|(place, step)| {
        let ask = asked(step)?;
        let lack = needs(ask)
            .into_iter()
            .find_map(|group| lack(group, hosts))?;
        Some((place, ask, lack))
    });
    let lacking: Vec<(usize, &Ask, Lacking)> = lacking.collect();
    let ((place, ask, lack), others) = lacking.split_first()?;
    let of = schedule.steps.len();
    let others: Vec<String> = others.iter().map(|(at, ..)| at.to_string()).collect();
    let others = match &others[..] {
        [] => String::new(),
        [one] => format!(", and step {one} cannot be done either"),
        many => format!(", and steps {} cannot be done either", many.join(", ")),
    };
    let remedies: Vec<&str> = lack.group.iter().map(|power| power.remedy()).collect();
    Some(format!(
        "`{ask}` needs {}. It is step {place} of {of}{others}. Either give the hosts what they lack \
         ({}), or leave it out: {}",
        lack.said,
        remedies.join("; or "),
        left_out(storm, ask)
    ))
}

/// A power, or one of several, that some host is without.
struct Lacking {
    group: &'static [Power],
    /// What is needed, who has none, and why.
    said: String,
}

fn lack(group: &'static [Power], hosts: &[Powers]) -> Option<Lacking> {
    let without = hosts.iter().filter_map(|host| {
        let lacks: Option<Vec<&str>> = group.iter().map(|power| host.lack(*power)).collect();
        Some((host.node.to_string(), lacks?))
    });
    let without: Vec<(String, Vec<&str>)> = without.collect();
    let ((first, whys), others) = without.split_first()?;
    let others: Vec<&str> = others.iter().map(|(node, _)| node.as_str()).collect();
    let names: Vec<String> = group.iter().map(ToString::to_string).collect();
    let as_well = match others[..] {
        [] => String::new(),
        [..] => format!(" (nor has {})", others.join(", nor ")),
    };
    Some(Lacking {
        group,
        said: format!(
            "{}, and {first} has none: {}{as_well}",
            names.join(" or "),
            whys.join("; ").trim_end_matches('.')
        ),
    })
}

/// Where a plan that goes without a fault is edited.
fn left_out(storm: &Storm, ask: &Ask) -> String {
    let drawn_from = match storm {
        Storm::Steps(_) => None,
        Storm::Drawn(palette) => palette.faults.iter().map(|(fault, _)| fault).find(|fault| {
            let mut settled = (*fault).clone();
            if let (Some(open), Some(found)) = (settled.target_mut(), ask.target())
                && *open == Target::Any
            {
                open.clone_from(found);
            }
            settled == *ask
        }),
    };
    match drawn_from {
        Some(fault) => format!("take `{fault}` off the plan's [storm.faults]"),
        None => "take the step off the plan's [storm] steps".to_owned(),
    }
}

fn asks(schedule: &Schedule) -> impl Iterator<Item = &Ask> {
    schedule.steps.iter().filter_map(asked)
}

fn asked(step: &Step) -> Option<&Ask> {
    match &step.action {
        Action::Fault { ask, .. } => Some(ask),
        Action::Send { .. } | Action::Heal(_) | Action::Await { .. } | Action::Wait(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use cluster::{Lack, POWERS};
    use history::NodeId;
    use plan::{Plan, Seed};

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

    fn refused(steps: &[&str], hosts: &[Powers]) -> Option<String> {
        let schedule = schedule(steps);
        refusal(&Storm::Steps(schedule.steps.clone()), &schedule, hosts)
    }

    #[test]
    fn one_power_of_a_group_is_enough() {
        let steps = ["kill n0", "lose 5% of n0 -> n1"];
        assert!(needs_any(&schedule(&steps)) && !needs_any(&schedule(&["kill n0"])));
        assert_eq!(refused(&steps, &[host(&[Power::Netem])]), None);
        let why = refused(&steps, &[host(&[Power::Netem, Power::Statistic])]).expect("refused");
        assert!(
            why.contains("or iptables' statistic match, and n1 has none: no the netem"),
            "{why}"
        );
        assert!(why.contains("sch_netem") && why.contains("; or sudo modprobe xt_statistic"));
    }

    #[test]
    fn a_flap_needs_what_its_cut_needs() {
        let flap = ["flap isolate n0 every 500ms"];
        assert!(refused(&flap, &[host(&[])]).is_none());
        assert!(refused(&flap, &[host(&[Power::Iptables])]).is_some());
    }

    #[test]
    fn a_refusal_says_where_what_to_install_and_how_to_go_without() {
        let mut other = host(&[Power::Netem]);
        other.node = NodeId(2);
        let steps = [
            "kill n0 for 1s",
            "delay n0 -> n1 by 100ms for 1s",
            "limit n0 -> n1 to 512kbit for 1s",
            "corrupt 1% of n0 -> n1 for 1s",
            "bump clock of n0 by 1s for 1s",
        ];
        let hosts = [host(&[Power::Netem, Power::OwnClock]), other];
        assert_eq!(
            refused(&steps, &hosts).expect("refused"),
            "`delay n0 -> n1 by 0.1s` needs the netem queueing discipline, and n1 has none: no the \
             netem queueing discipline (nor has n2). It is step 2 of 5, and steps 4, 5 cannot be \
             done either. Either give the hosts what they lack (sudo modprobe sch_netem; on RHEL 8 \
             and later it is in the package kernel-modules-extra), or leave it out: take the step \
             off the plan's [storm] steps"
        );
        for (power, _) in POWERS {
            assert!(!power.remedy().is_empty(), "{power}");
        }
    }

    #[test]
    fn what_was_drawn_is_left_out_where_it_was_drawn_from() {
        let palette = plan::plans::find("standard-storm").expect("a plan").1;
        let palette = palette.replace(
            "[storm.faults]",
            "[storm.faults]\n\"slow disk of any by 50ms\" = 9",
        );
        let plan = Plan::parse(&palette, "p.toml").expect("a plan");
        let lacks = [host(&[Power::DeviceMapper])];
        let why = (0..20).find_map(|seed| {
            let drawn = Schedule::draw(&plan, Seed(seed));
            refusal(&plan.storm, &drawn, &lacks)
        });
        let why = why.expect("drawn within twenty storms");
        assert!(
            why.ends_with("take `slow disk of any by 0.05s` off the plan's [storm.faults]"),
            "{why}"
        );
    }
}
