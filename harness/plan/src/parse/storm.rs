//! The storm of a plan: written steps, or what steps are drawn from, and what neither may exceed.
//!
//! The language of steps is `step`; drawing is `schedule`.

use std::collections::BTreeMap;
use std::time::Duration;

use history::Topic;

use crate::ask::Ask;
use crate::check::{Order, Scope};
use crate::error::PlanError;
use crate::model::{Budget, ClusterSpec, NODES, Palette, Shift, Step, Storm, TopicSpec};
use crate::schedule;
use crate::step::{self, StepError};
use crate::table::{Table, Value};

/// What makes a storm a drawn one.
const DRAWN: [&str; 7] = [
    "length", "hold", "quiet", "faults", "at_once", "count", "shift",
];

pub(super) fn storm(
    value: &Value<'_>,
    topics: &BTreeMap<Topic, TopicSpec>,
    cluster: &ClusterSpec,
) -> Result<(Storm, Budget), PlanError> {
    let known: Vec<&'static str> = DRAWN.into_iter().chain(["steps", "budget"]).collect();
    let table = value.table(&known)?;
    let budget = table.get("budget").map(|v| budget(&v)).transpose()?;
    let budget = budget.unwrap_or_default();
    let scope = Scope::new(topics, cluster, &budget);
    let storm = match table.get("steps") {
        None => Storm::Drawn(palette(&table, &scope)?),
        Some(steps) => {
            for key in DRAWN {
                if let Some(other) = table.get(key) {
                    return Err(
                        other.bad("a storm is either written as `steps` or drawn, not both")
                    );
                }
            }
            Storm::Steps(written(&steps, scope)?)
        }
    };
    Ok((storm, budget))
}

fn written(steps: &Value<'_>, mut scope: Scope<'_>) -> Result<Vec<Step>, PlanError> {
    let mut written = Vec::new();
    let mut order = Order::default();
    for element in steps.list()? {
        let several = step::read(element.text()?).map_err(|why| element.flawed(why))?;
        for step in several {
            let named = scope.step(&step);
            named.map_err(|why| element.bad(format!("{step}: {why}")))?;
            order.step(&step).map_err(|why| element.bad(why))?;
            written.push(step);
        }
    }
    Ok(written)
}

fn budget(value: &Value<'_>) -> Result<Budget, PlanError> {
    const MAJORITY: &[(&str, bool)] = &[("majority", true)];
    let table = value.table(&["brokers", "zookeeper"])?;
    let brokers = match table.get("brokers") {
        None => None,
        Some(value) => match value.positive::<u32>()? {
            most if most as usize <= NODES.len() => Some(most),
            most => return Err(value.bad(format!("{most} are more than n0, n1 and n2"))),
        },
    };
    let zookeeper = table
        .get("zookeeper")
        .map(|v| v.word(MAJORITY))
        .transpose()?;
    Ok(Budget {
        brokers,
        zookeeper_majority: zookeeper.unwrap_or(false),
    })
}

fn palette(table: &Table<'_>, scope: &Scope<'_>) -> Result<Palette, PlanError> {
    const WHAT: &str =
        "a storm has `steps`, or is drawn from `length`, `hold`, `quiet` and `faults`";
    let length = table.need("length", WHAT)?;
    let weighted = table.need("faults", WHAT)?;
    let hold = bounds(&table.need("hold", WHAT)?)?;
    let quiet = bounds(&table.need("quiet", WHAT)?)?;
    let mut faults: Vec<(Ask, u32)> = Vec::new();
    for (text, weight) in weighted.entries()? {
        let ask = text.parse().map_err(|why: StepError| weight.flawed(why))?;
        scope.ask(&ask).map_err(|why| weight.bad(why))?;
        if faults.iter().any(|(known, _)| *known == ask) {
            return Err(weight.bad(format!("`{ask}` is here twice")));
        }
        faults.push((ask, weight.positive()?));
    }
    if faults.is_empty() {
        return Err(weighted.bad("there must be a fault to draw"));
    }
    let palette = Palette {
        length: length.duration()?,
        faults,
        hold,
        quiet,
        at_once: table.get("at_once").map_or(Ok(1), |v| v.positive())?,
        shift: table.get("shift").map(|v| shift(&v)).transpose()?,
        count: table.get("count").map(|v| v.positive()).transpose()?,
    };
    if palette.length < palette.quiet.0 + palette.hold.0 {
        return Err(length.bad("there is no time for even one fault (quiet, then hold)"));
    }
    match &palette.shift {
        Some(mix) if mix.every.0 < palette.quiet.0 + palette.hold.0 => {
            let place = table.get("shift").unwrap_or(length);
            return Err(place.bad("a mix has no time for even one fault (quiet, then hold)"));
        }
        Some(_) | None => {}
    }
    if let (Some(count), Some(value)) = (palette.count, table.get("count")) {
        let most = schedule::capacity(&palette);
        if u64::from(count) > most {
            return Err(value.bad(format!(
                "no more than {most} faults fit into the length one after the other, each with \
                 the least quiet and the least hold"
            )));
        }
    }
    Ok(palette)
}

fn shift(value: &Value<'_>) -> Result<Shift, PlanError> {
    const WHY: &str = "a shifting storm has `every`, `kinds` and `rest`";
    let table = value.table(&["every", "kinds", "rest"])?;
    Ok(Shift {
        every: bounds(&table.need("every", WHY)?)?,
        kinds: table.need("kinds", WHY)?.positive()?,
        rest: bounds(&table.need("rest", WHY)?)?,
    })
}

/// `["3s", "10s"]`: the least and the most, both above nothing.
fn bounds(value: &Value<'_>) -> Result<(Duration, Duration), PlanError> {
    let elements = value.list()?;
    let [least, most] = elements.as_slice() else {
        return Err(value.bad("must be two durations: the least and the most"));
    };
    let (least, most) = (least.duration()?, most.duration()?);
    if least > most {
        return Err(value.bad("the least is more than the most"));
    }
    if least < Duration::from_millis(1) {
        return Err(value.bad("must be at least 1ms"));
    }
    Ok((least, most))
}
