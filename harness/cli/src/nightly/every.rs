//! What is wanted every night: which suite on which lab, when, as whom, with what around it.
//!
//! It reads the suite and the lab, so that a night is not installed that could never begin, and
//! makes every path absolute. It writes nothing and knows neither systemd nor cron.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{anyhow, bail};
use chrono::{DateTime, Local};
use cluster::labfile::{self, Kind, LabFile};
use nix::unistd::{Uid, User};
use plan::suite::Suite;
use serde::{Deserialize, Serialize};

/// A night that runs so much longer than its budget is ended. It has to be more than one run takes.
pub const GRACE_S: u64 = 3600;

/// Begins the line by which an installed night is found again: in its units and in a crontab.
pub const MARK: &str = "# tidemark nightly: ";

/// The line before it, for people.
pub const WRITTEN: &str =
    "# Written by `tidemark nightly install`; `tidemark nightly uninstall` takes it away.";

/// How long a night that was told to end may take to heal, to save what it has and to end.
pub const ENDING_S: u64 = 600;

/// What stands beside an installed night, so that it can be found and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Every {
    /// The suite's own name.
    pub suite: String,
    /// The lab's own name.
    pub lab: String,
    /// When it begins.
    pub at: At,
    /// Who runs it.
    pub user: String,
    /// Where its nights are kept.
    pub results: PathBuf,
    /// What a night may take, seconds.
    pub budget_s: u64,
}

impl Every {
    /// `nightly-local`: one night per suite and lab.
    pub fn name(&self) -> String {
        format!("{}-{}", self.suite, self.lab)
    }

    /// What its units, its lines in the journal and its lock are called.
    pub fn tag(&self) -> String {
        format!("tidemark-{}", self.name())
    }

    /// Whether both are the same suite on the same lab.
    pub fn is_of(&self, other: &Self) -> bool {
        (&self.suite, &self.lab) == (&other.suite, &other.lab)
    }

    /// The line by which it is found again.
    pub fn mark(&self) -> String {
        // Strings and numbers only: this cannot fail.
        let said = serde_json::to_string(self).unwrap_or_default();
        format!("{MARK}{said}")
    }

    /// What a line says, if it is such a line.
    pub fn marked(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix(MARK)?).ok()
    }

    /// When a night is ended that has not ended, seconds from its start.
    pub fn deadline_s(&self) -> u64 {
        self.budget_s + GRACE_S
    }
}

/// An installed night and the commands that make it.
#[derive(Debug)]
pub struct Order {
    /// What it is.
    pub every: Every,
    /// This program.
    pub program: PathBuf,
    /// The suite as the command line names it: a built-in one's name, or an absolute path.
    pub suite: String,
    /// The lab, likewise.
    pub lab: String,
    /// Where relative paths of the suite and the lab begin.
    pub dir: PathBuf,
    /// The file of variables that nobody else may read.
    pub secrets: PathBuf,
    /// Where programs are looked for.
    pub path: String,
    /// The variables that suite and lab want to find.
    pub wanted: Vec<String>,
    /// What will not be there at night.
    pub notes: Vec<String>,
}

impl Order {
    /// The command that makes a night.
    pub fn night(&self) -> Vec<String> {
        let (program, results) = (self.program.display(), self.every.results.display());
        let (program, results) = (program.to_string(), results.to_string());
        let words = [
            &program,
            "nightly",
            &self.suite,
            "--lab",
            &self.lab,
            "--results",
            &results,
        ];
        words.map(str::to_owned).to_vec()
    }

    /// The command that leaves no fault behind.
    pub fn heal(&self) -> Vec<String> {
        let program = self.program.to_string_lossy();
        [program.as_ref(), "heal", &self.lab]
            .map(str::to_owned)
            .to_vec()
    }
}

/// A time of day, by the clock of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct At {
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl At {
    /// The next such moment. Where the clock is put forward over it, the one a day later.
    pub fn next(self, now: DateTime<Local>) -> Option<DateTime<Local>> {
        let today = now.date_naive();
        today.iter_days().take(3).find_map(|day| {
            let due = day.and_hms_opt(self.hour, self.minute, 0)?;
            let due = due.and_local_timezone(Local).earliest()?;
            (due > now).then_some(due)
        })
    }
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |part: &str| (part.len() == 2).then(|| part.parse().ok()).flatten();
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b':');
        let read = text.split_once(':').filter(|_| plain);
        let read = read.and_then(|(hour, minute)| Some((digits(hour)?, digits(minute)?)));
        match read {
            Some((hour, minute)) if hour < 24 && minute < 60 => Ok(Self { hour, minute }),
            _ => Err(format!(
                "`{text}` is no time of day: write hours and minutes, 00:00 to 23:59"
            )),
        }
    }
}

impl TryFrom<String> for At {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<At> for String {
    fn from(at: At) -> String {
        at.to_string()
    }
}

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// A suite's name or file.
    pub suite: &'a str,
    /// A lab's name or file.
    pub lab: &'a str,
    /// Where nights are kept.
    pub results: &'a Path,
    /// When.
    pub at: At,
}

/// Reads suite and lab, and makes an order of them. `secrets` is the file that holds variables.
///
/// # Errors
/// A suite or lab that could not be run; a path that cannot stand in a unit and in a crontab.
pub fn order(asked: Asked<'_>, user: &User, secrets: PathBuf) -> anyhow::Result<Order> {
    let (origin, text) = Suite::find(asked.suite)?;
    let suite = Suite::parse(&text, &origin)?;
    let lab = labfile::find(asked.lab)?;
    if lab.kind == Kind::Namespaces && !user.uid.is_root() {
        bail!(
            "{} is a lab of namespaces, which only root can make: leave --as away, and install it \
             as root",
            lab.name
        );
    }
    let dir = std::env::current_dir()?;
    let order = Order {
        every: Every {
            suite: suite.name.clone(),
            lab: lab.name.clone(),
            at: asked.at,
            user: user.name.clone(),
            results: std::path::absolute(asked.results)?,
            budget_s: suite.budget.as_secs(),
        },
        program: std::env::current_exe()?,
        suite: absolute_file(asked.suite)?,
        lab: match Path::new("labs").join(format!("{}.toml", asked.lab)) {
            here if here.exists() => std::path::absolute(here)?.display().to_string(),
            _ => absolute_file(asked.lab)?,
        },
        dir,
        secrets,
        path: search_path(),
        wanted: variables(&suite, &lab),
        notes: notes(&lab),
    };
    plain(&order)?;
    Ok(order)
}

/// The one who is to run it: somebody by name, or whoever asks.
///
/// # Errors
/// A name that this machine does not know.
pub fn user(name: Option<&str>) -> anyhow::Result<User> {
    let found = match name {
        Some(name) => User::from_name(name)?,
        None => User::from_uid(Uid::effective())?,
    };
    found.ok_or_else(|| match name {
        Some(name) => anyhow!("there is no user `{name}` on this machine"),
        None => anyhow!("user {} has no name on this machine", Uid::effective()),
    })
}

/// A file by its absolute path; what is built in keeps its name.
fn absolute_file(asked: &str) -> anyhow::Result<String> {
    if asked.contains('/') || asked.ends_with(".toml") {
        return Ok(std::path::absolute(asked)?.display().to_string());
    }
    Ok(asked.to_owned())
}

/// The directories of the caller's `PATH` that can stand anywhere: what is found by hand is found at
/// night. A service and cron have short ones of their own, without `/usr/local` or `/usr/sbin`.
fn search_path() -> String {
    let asked = std::env::var("PATH").unwrap_or_default();
    let usual = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ];
    let mut dirs: Vec<&str> = Vec::new();
    for dir in asked.split(':').chain(usual) {
        if dir.starts_with('/') && dir.chars().all(is_plain) && !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    dirs.join(":")
}

fn variables(suite: &Suite, lab: &LabFile) -> Vec<String> {
    let login = &lab.login;
    let jump = login.jump.as_ref();
    let named = [
        suite.tell.webhook.as_ref(),
        login.password_env.as_ref(),
        login.passphrase_env.as_ref(),
        login.sudo_password_env.as_ref(),
        jump.and_then(|jump| jump.password_env.as_ref()),
        jump.and_then(|jump| jump.passphrase_env.as_ref()),
    ];
    let mut named: Vec<String> = named.into_iter().flatten().cloned().collect();
    named.sort();
    named.dedup();
    named
}

fn notes(lab: &LabFile) -> Vec<String> {
    let login = &lab.login;
    let agent = login.agent && login.key.is_none() && login.password_env.is_none();
    match agent && lab.kind == Kind::Machines {
        true => vec![format!(
            "no ssh-agent runs at night: name a key in the file of lab {}",
            lab.name
        )],
        false => Vec::new(),
    }
}

/// systemd, cron and the shell each quote in their own way; these characters mean themselves in all
/// of them.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/._-+:,@=".contains(c)
}

fn plain(order: &Order) -> anyhow::Result<()> {
    let paths = [
        ("this program's path", order.program.display().to_string()),
        ("the suite's path", order.suite.clone()),
        ("the lab's path", order.lab.clone()),
        (
            "the results' path",
            order.every.results.display().to_string(),
        ),
        ("this directory's path", order.dir.display().to_string()),
        (
            "the path of the variables' file",
            order.secrets.display().to_string(),
        ),
        ("the user's name", order.every.user.clone()),
    ];
    for (what, path) in paths {
        if !path.chars().all(is_plain) {
            bail!(
                "{what}, `{path}`, cannot stand in a unit or a crontab: use letters, digits and any \
                 of / . _ - + : , @ = only"
            );
        }
    }
    Ok(())
}
