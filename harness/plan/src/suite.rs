//! What a night is made of: its controls, its plans with their weights, the time it may take, who is
//! told, and how long its runs are kept.
//!
//! A suite is read and checked here, its plans included; nothing is drawn and nothing is run.

use std::time::Duration;

use crate::error::PlanError;
use crate::model::{Action, Palette, Plan, Step, Storm, When};
use crate::plans;
use crate::table::{Source, Table, Value};

/// Suites that every build carries: name, what errors call it, text.
pub const EMBEDDED: [(&str, &str, &str); 1] = [(
    "nightly",
    "plans/suites/nightly.toml",
    include_str!("../../../plans/suites/nightly.toml"),
)];

/// A night's worth of plans.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// Lower-case letters, digits and dashes.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// The time that a night fills and never overruns.
    pub budget: Duration,
    /// Must be Broken, or the night is void.
    pub canary: Wanted,
    /// Without faults; must be Held, or the night is void.
    pub calm: Wanted,
    /// Runs besides the controls at the most; without it, as many as the budget holds.
    pub runs: Option<u32>,
    /// The rest, most valuable first: each once, then drawn by weight while there is time.
    pub plans: Vec<Wanted>,
    /// Who is told.
    pub tell: Tell,
    /// How long runs are kept.
    pub keep: Keep,
}

/// A plan of a suite.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// As the suite names it: a built-in plan's name, or a path.
    pub named: String,
    /// The plan.
    pub plan: Plan,
    /// How often it is drawn, against the others.
    pub weight: u32,
    /// How long one run of it takes, from the first command to the report.
    pub takes: Duration,
}

/// Who is told how a night went. No secret stands here: addresses are named by environment variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tell {
    /// The environment variable that holds the webhook's URL.
    pub webhook: Option<String>,
    /// What is sent there.
    pub form: Form,
    /// Who gets a mail, through the system's `sendmail`.
    pub mail: Option<String>,
    /// Where the page of the nights can be looked at, for messages to say.
    pub page: Option<String>,
    /// Nothing is sent when all is well. A void night is always told.
    pub quiet: bool,
}

/// The body of a webhook's request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// `{"text": ...}`, which Slack, Teams and Mattermost take.
    #[default]
    Text,
    /// An adaptive card, for webhooks that a workflow of Teams made.
    Card,
    /// The night's facts.
    Facts,
}

/// How long run directories are kept. Without bounds everything is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Runs that broke a promise: so long whole.
    pub broken: Option<Duration>,
    /// Runs with something unproven: so long whole.
    pub unproven: Option<Duration>,
    /// Runs that held: so long whole; then verdict and report only.
    pub held: Option<Duration>,
    /// Bytes of all runs together.
    pub bytes: Option<u64>,
}

/// What a night's budget leaves for the page, the index and those who are told.
pub const AFTERWARDS: Duration = Duration::from_secs(20);
/// How long before its deadline a run is asked to end, or at half of it if that is later: time to
/// heal, capture, seal and judge. What comes of a run that was asked counts as the lab's failure.
pub const ENDING: Duration = Duration::from_secs(75);

/// The shortest deadline at which a run that takes so long is not asked to end before it has.
pub fn with_ending(takes: Duration) -> Duration {
    takes + takes.min(ENDING)
}

const FORMS: &[(&str, Form)] = &[
    ("text", Form::Text),
    ("card", Form::Card),
    ("facts", Form::Facts),
];

impl Suite {
    /// The text of a suite and what errors should call it, by a built-in suite's name or by a path
    /// (anything with a `/` or ending in `.toml`).
    ///
    /// # Errors
    /// [`PlanError::NoSuchSuite`], [`PlanError::Unreadable`].
    pub fn find(name_or_path: &str) -> Result<(String, String), PlanError> {
        if name_or_path.contains('/') || name_or_path.ends_with(".toml") {
            let names = EMBEDDED.iter().map(|(name, ..)| *name);
            return plans::read("suite", names, name_or_path);
        }
        let named = EMBEDDED.iter().find(|(name, ..)| *name == name_or_path);
        match named {
            Some((_, origin, text)) => Ok(((*origin).to_owned(), (*text).to_owned())),
            None => Err(PlanError::NoSuchSuite {
                name: name_or_path.to_owned(),
                known: EMBEDDED.iter().map(|(name, ..)| *name).collect(),
            }),
        }
    }

    /// Reads a suite and its plans.
    ///
    /// # Errors
    /// The first place that is wrong, in the suite or in one of its plans.
    pub fn parse(text: &str, origin: &str) -> Result<Self, PlanError> {
        let source = Source { origin, text };
        let parsed = source.parse()?;
        let known = [
            "name", "about", "budget", "runs", "canary", "calm", "plans", "tell", "keep",
        ];
        let root = Table::root(&source, &parsed, &known)?;
        let name = root.need("name", "it names the suite on the page of the nights")?;
        let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.line()?.chars().any(|c| !sound(c)) {
            return Err(name.bad("a name is made of lower-case letters, digits and dashes"));
        }
        let about = root.need("about", "a sentence on what the suite is for")?;
        let budget = root.need("budget", "the time that a night may take, `\"60m\"`")?;
        let canary = control(&root.need("canary", "the plan that must be Broken")?)?;
        let calm = control(&root.need("calm", "the plan without faults that must be Held")?)?;
        let plans = root.need("plans", "what the night is for: `[[plans]]` tables")?;
        let all: Vec<Wanted> = plans.list()?.iter().map(wanted).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(plans.bad("a night needs at least one plan besides its controls"));
        }
        let suite = Self {
            name: name.line()?.to_owned(),
            about: about.line()?.to_owned(),
            budget: budget.duration()?,
            runs: root.get("runs").map(|v| v.positive::<u32>()).transpose()?,
            canary,
            calm,
            plans: all,
            tell: root
                .get("tell")
                .map(|v| tell(&v))
                .transpose()?
                .unwrap_or_default(),
            keep: root
                .get("keep")
                .map(|v| keep(&v))
                .transpose()?
                .unwrap_or_default(),
        };
        if let Some(why) = suite.too_long(&suite.calm, suite.canary.takes) {
            return Err(budget.bad(format!("no night can begin: {why}")));
        }
        let controls = suite.canary.takes + suite.calm.takes;
        for (at, wanted) in plans.list()?.iter().zip(&suite.plans) {
            if let Some(why) = suite.too_long(wanted, controls) {
                return Err(at.bad(format!("no night can run it: {why}, or leave it out")));
            }
        }
        Ok(suite)
    }

    /// Why a plan never fits into the budget, whatever else is run, after so much time.
    fn too_long(&self, wanted: &Wanted, after: Duration) -> Option<String> {
        let needed = after + with_ending(wanted.takes) + AFTERWARDS;
        (needed > self.budget).then(|| {
            format!(
                "`{}` takes about {} s and up to {} s more to be ended, {} s go by before it and \
                 {} s are for the page; make the budget `{}s` at least",
                wanted.named,
                wanted.takes.as_secs(),
                (with_ending(wanted.takes) - wanted.takes).as_secs(),
                after.as_secs(),
                AFTERWARDS.as_secs(),
                needed.as_secs() + u64::from(needed.subsec_nanos() > 0),
            )
        })
    }
}

fn control(value: &Value<'_>) -> Result<Wanted, PlanError> {
    found(value, value.line()?, 1, None)
}

fn wanted(value: &Value<'_>) -> Result<Wanted, PlanError> {
    let table = value.table(&["plan", "weight", "takes"])?;
    let plan = table.need("plan", "a plan's name or path")?;
    let weight = table
        .get("weight")
        .map(|v| v.positive::<u32>())
        .transpose()?;
    let takes = table.get("takes").map(|v| v.duration()).transpose()?;
    found(&plan, plan.line()?, weight.unwrap_or(1), takes)
}

fn found(
    value: &Value<'_>,
    named: &str,
    weight: u32,
    takes: Option<Duration>,
) -> Result<Wanted, PlanError> {
    let (origin, text) = plans::find(named).map_err(|why| value.bad(why.to_string()))?;
    let plan = Plan::parse(&text, &origin)?;
    Ok(Wanted {
        named: named.to_owned(),
        takes: takes.unwrap_or_else(|| estimate(&plan)),
        plan,
        weight,
    })
}

/// How long a run takes where nobody says: brokers come up in 30 s, a step that waits for something
/// waits 8 s, and capture and judging take 30 s.
fn estimate(plan: &Plan) -> Duration {
    let storm = match &plan.storm {
        Storm::Drawn(Palette { length, .. }) => *length,
        Storm::Steps(steps) => steps.iter().map(step).sum(),
    };
    let around = plan.phases.steady + plan.phases.calm;
    around + storm + Duration::from_secs(75)
}

fn step(step: &Step) -> Duration {
    let waits = Duration::from_secs(8);
    let due = match &step.when {
        When::Once { within, .. } => waits.min(*within),
        When::Next | When::At(_) | When::After { .. } => Duration::ZERO,
    };
    due + match &step.action {
        Action::Fault { hold, .. } => waits + hold.unwrap_or_default(),
        Action::Await { within, .. } => waits.min(*within),
        Action::Wait(length) => *length,
        Action::Send { .. } => Duration::ZERO,
        Action::Heal(_) => waits,
    }
}

fn tell(value: &Value<'_>) -> Result<Tell, PlanError> {
    let table = value.table(&["webhook_env", "form", "mail", "page", "quiet"])?;
    let line = |key: &str| {
        table
            .get(key)
            .map(|v| v.line().map(str::to_owned))
            .transpose()
    };
    if let Some(url) = table.get("webhook_env")
        && url.line()?.contains("://")
    {
        return Err(
            url.bad("a webhook's URL is a secret: name the environment variable that holds it")
        );
    }
    Ok(Tell {
        webhook: line("webhook_env")?,
        form: table
            .get("form")
            .map(|v| v.word(FORMS))
            .transpose()?
            .unwrap_or_default(),
        mail: line("mail")?,
        page: line("page")?,
        quiet: table
            .get("quiet")
            .map(|v| v.boolean())
            .transpose()?
            .unwrap_or(false),
    })
}

fn keep(value: &Value<'_>) -> Result<Keep, PlanError> {
    let table = value.table(&["broken", "unproven", "held", "bytes"])?;
    let days = |key: &str| table.get(key).map(|v| v.duration()).transpose();
    let keep = Keep {
        broken: days("broken")?,
        unproven: days("unproven")?,
        held: days("held")?,
        bytes: table.get("bytes").map(|v| bytes(&v)).transpose()?,
    };
    let order = [keep.held, keep.unproven, keep.broken];
    if order.is_sorted_by_key(|kept| kept.unwrap_or(Duration::MAX)) {
        Ok(keep)
    } else {
        Err(table.bad("broken runs are kept longest, then unproven ones, then those that held"))
    }
}

/// `"40GiB"`.
fn bytes(value: &Value<'_>) -> Result<u64, PlanError> {
    let text = value.line()?;
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let read = units.iter().find_map(|(unit, shift)| {
        let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        number
            .checked_shl(*shift)
            .filter(|_| number.leading_zeros() >= *shift)
    });
    read.ok_or_else(|| {
        value.bad(format!(
            "`{text}` is not a size such as `512MiB` or `40GiB`"
        ))
    })
}

#[cfg(test)]
mod tests;
