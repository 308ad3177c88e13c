//! The storm of a plan: written steps, or what steps are drawn from.
//!
//! The language of steps is `step`; drawing is `schedule`.

use std::collections::BTreeMap;
use std::time::Duration;

use history::Topic;

use crate::ask::Ask;
use crate::check;
use crate::error::PlanError;
use crate::model::{Palette, Step, Storm, TopicSpec};
use crate::step::{self, StepError};
use crate::table::{Table, Value};

pub(super) fn storm(
    value: &Value<'_>,
    topics: &BTreeMap<Topic, TopicSpec>,
) -> Result<Storm, PlanError> {
    let table = value.table(&["steps", "length", "hold", "quiet", "faults"])?;
    let Some(steps) = table.get("steps") else {
        return palette(&table, topics).map(Storm::Drawn);
    };
    for key in ["length", "hold", "quiet", "faults"] {
        if let Some(other) = table.get(key) {
            return Err(other.bad("a storm is either written as `steps` or drawn, not both"));
        }
    }
    let mut written = Vec::new();
    for element in steps.list()? {
        let text = element.text()?;
        let steps: Vec<Step> = step::read(text).map_err(|why| element.flawed(why))?;
        for step in steps {
            check::step(&step, topics).map_err(|why| element.bad(format!("{step}: {why}")))?;
            written.push(step);
        }
    }
    check::times(&written).map_err(|why| steps.bad(why))?;
    Ok(Storm::Steps(written))
}

fn palette(table: &Table<'_>, topics: &BTreeMap<Topic, TopicSpec>) -> Result<Palette, PlanError> {
    const WHAT: &str =
        "a storm has `steps`, or is drawn from `length`, `hold`, `quiet` and `faults`";
    let length = table.need("length", WHAT)?;
    let weighted = table.need("faults", WHAT)?;
    let hold = bounds(&table.need("hold", WHAT)?)?;
    let quiet = bounds(&table.need("quiet", WHAT)?)?;
    let mut faults: Vec<(Ask, u32)> = Vec::new();
    for (text, weight) in weighted.entries()? {
        let ask = text.parse().map_err(|why: StepError| weight.flawed(why))?;
        check::ask(&ask, topics).map_err(|why| weight.bad(why))?;
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
        at_once: 1,
        shift: None,
        count: None,
    };
    if palette.length < palette.quiet.0 + palette.hold.0 {
        return Err(length.bad("there is no time for even one fault (quiet, then hold)"));
    }
    Ok(palette)
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
