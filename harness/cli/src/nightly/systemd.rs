//! A night as systemd units: a service, the timer that starts it, and a service that heals when it
//! failed.
//!
//! Only what systemd 219 (CentOS 7) knows. It changes no unit that does not carry the mark.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::every::{ENDING_S, Every, Order, WRITTEN};

const UNITS: &str = "etc/systemd/system";

/// There while systemd is what started this machine.
const BOOTED: &str = "run/systemd/system";

/// When timers with `Persistent=true` last came due.
const STAMPS: &str = "var/lib/systemd/timers";

/// The units of an order: file name and text.
pub fn units(order: &Order) -> [(String, String); 3] {
    let tag = order.every.tag();
    [
        (format!("{tag}.service"), service(order)),
        (format!("{tag}.timer"), timer(&order.every)),
        (format!("{tag}-heal.service"), healer(order)),
    ]
}

fn head(every: &Every) -> String {
    format!("{WRITTEN}\n{}\n", every.mark())
}

fn around(order: &Order) -> String {
    format!(
        "User={}
WorkingDirectory={}
Environment=PATH={}
EnvironmentFile=-{}
StandardOutput=journal
StandardError=journal
SyslogIdentifier={}
",
        order.every.user,
        order.dir.display(),
        order.path,
        order.secrets.display(),
        order.every.tag(),
    )
}

fn service(order: &Order) -> String {
    let every = &order.every;
    format!(
        "{head}
[Unit]
Description=Tidemark: {suite} on {lab}
Wants=network-online.target
After=network-online.target
# Before CentOS 7.8, systemd 219 leaves ExecStopPost= out when the night failed or was killed.
OnFailure={tag}-heal.service

[Service]
# While it runs, the timer cannot start a second one.
Type=oneshot
{around}# A default of 1024 or 4096 is little for brokers and clients on one machine.
LimitNOFILE=65536
ExecStart={night}
# 1 (broken) and 2 (unproven) are answers about Kafka; 3 and all else is a failed unit.
SuccessExitStatus=1 2
# The deadline: the budget and an hour. RuntimeMaxSec= is newer than 219, and not for oneshot.
TimeoutStartSec={deadline}
# At the deadline and when stopped: the night alone is told, and heals and saves what it has. What
# is left after that long is killed, and everything that it started with it.
KillMode=mixed
KillSignal=SIGINT
TimeoutStopSec={ENDING_S}
ExecStopPost={heal}
",
        head = head(every),
        suite = every.suite,
        lab = every.lab,
        tag = every.tag(),
        around = around(order),
        night = order.night().join(" "),
        deadline = every.deadline_s(),
        heal = order.heal().join(" "),
    )
}

fn healer(order: &Order) -> String {
    format!(
        "{head}
[Unit]
Description=Tidemark: heal {lab} after a night that failed

[Service]
Type=oneshot
{around}ExecStart={heal}
TimeoutStartSec={ENDING_S}
",
        head = head(&order.every),
        lab = order.every.lab,
        around = around(order),
        heal = order.heal().join(" "),
    )
}

fn timer(every: &Every) -> String {
    format!(
        "{head}
[Unit]
Description=Tidemark: {suite} on {lab}, every night

[Timer]
OnCalendar=*-*-* {at}:00
# A night that was missed while this machine was off is made up for.
Persistent=true
Unit={tag}.service

[Install]
WantedBy=timers.target
",
        head = head(every),
        suite = every.suite,
        lab = every.lab,
        at = every.at,
        tag = every.tag(),
    )
}

/// This machine's units; in tests, those below another root.
#[derive(Debug)]
pub struct Systemd {
    root: PathBuf,
}

/// What the manager says of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Active {
    /// `active` or, for a night that goes on, `activating`.
    Yes,
    /// How it stands instead: `inactive`, `failed`, …
    No(String),
    /// Nobody could be asked, and why.
    Unknown(String),
}

impl Systemd {
    /// Units below `root`, `/` for this machine.
    pub fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Whether systemd started this machine.
    pub fn runs(&self) -> bool {
        self.root.join(BOOTED).is_dir()
    }

    /// Where units are.
    fn dir(&self) -> PathBuf {
        self.root.join(UNITS)
    }

    /// The nights that are installed, by name.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn installed(&self) -> anyhow::Result<Vec<Every>> {
        let dir = self.dir();
        if !dir.exists() {
            return Ok(Vec::new());
        }
        let listed = std::fs::read_dir(&dir);
        let listed = listed.with_context(|| format!("cannot read {}", dir.display()))?;
        let timers = listed.flatten().map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("tidemark-") && name.ends_with(".timer")
        });
        let mut found: Vec<Every> = timers
            .filter_map(|timer| std::fs::read_to_string(timer).ok())
            .filter_map(|text| text.lines().find_map(Every::marked))
            .collect();
        found.sort_by_key(Every::name);
        Ok(found)
    }

    /// Writes units, has them read and starts the timer. Says whether a file changed.
    ///
    /// # Errors
    /// A file of that name that somebody else wrote; nothing is changed then. A manager that refuses.
    pub fn install(&self, order: &Order) -> anyhow::Result<bool> {
        let dir = self.dir();
        let units = units(order);
        for (name, _) in &units {
            self.check_ours(&dir.join(name), &order.every)?;
        }
        let timer = format!("{}.timer", order.every.tag());
        let there_was_one = dir.join(&timer).exists();
        let mut changed = false;
        for (name, text) in &units {
            let path = dir.join(name);
            if std::fs::read_to_string(&path).is_ok_and(|there| there == *text) {
                continue;
            }
            history::rundir::write_atomically(&path, text.as_bytes())?;
            changed = true;
        }
        systemctl(&["daemon-reload"])?;
        if changed && there_was_one {
            systemctl(&["stop", &timer])?;
        }
        if changed {
            self.forget_last(&order.every)?;
        }
        // `enable --now` is newer than 219.
        systemctl(&["enable", &timer])?;
        systemctl(&["start", &timer])?;
        Ok(changed)
    }

    /// Stops the timer and removes the units.
    ///
    /// # Errors
    /// While a night goes on: it would end without what heals after it.
    pub fn uninstall(&self, every: &Every) -> anyhow::Result<()> {
        let tag = every.tag();
        let (service, timer) = (format!("{tag}.service"), format!("{tag}.timer"));
        if self.active(&service) == Active::Yes {
            bail!(
                "a night of {} goes on: wait for it, or end it by `systemctl stop {service}`, which \
                 heals the lab",
                every.name()
            );
        }
        let dir = self.dir();
        let names = [format!("{tag}-heal.service"), service, timer.clone()];
        for name in &names {
            self.check_ours(&dir.join(name), every)?;
        }
        if self.runs() {
            systemctl(&["stop", &timer])?;
            systemctl(&["disable", &timer])?;
        }
        for name in &names {
            let path = dir.join(name);
            if path.exists() {
                let gone = std::fs::remove_file(&path);
                gone.with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        self.forget_last(every)?;
        if self.runs() {
            systemctl(&["daemon-reload"])?;
        }
        Ok(())
    }

    /// Removes what systemd noted of the timer's last night (`Persistent=true`). With a note of an
    /// earlier installation, or of another time of day, a night would begin at once.
    fn forget_last(&self, every: &Every) -> anyhow::Result<()> {
        let note = self
            .root
            .join(format!("{STAMPS}/stamp-{}.timer", every.tag()));
        match std::fs::remove_file(&note) {
            Err(why) if why.kind() != ErrorKind::NotFound => {
                Err(why).with_context(|| format!("cannot remove {}", note.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether a unit is at work.
    pub fn active(&self, unit: &str) -> Active {
        if !self.runs() {
            return Active::Unknown("systemd does not run on this machine".to_owned());
        }
        let asked = Command::new("systemctl")
            .args(["is-active", unit])
            .stdin(Stdio::null())
            .output();
        let said = match asked {
            Ok(said) => said,
            Err(why) => return Active::Unknown(format!("cannot start systemctl: {why}")),
        };
        match String::from_utf8_lossy(&said.stdout).trim() {
            "active" | "activating" => Active::Yes,
            "" => {
                let why = String::from_utf8_lossy(&said.stderr);
                Active::Unknown(format!("systemctl says: {}", why.trim()))
            }
            other => Active::No(other.to_owned()),
        }
    }

    fn check_ours(&self, path: &Path, every: &Every) -> anyhow::Result<()> {
        if !path.exists() {
            return Ok(());
        }
        let there = std::fs::read_to_string(path);
        let there = there.with_context(|| format!("cannot read {}", path.display()))?;
        match there.lines().find_map(Every::marked) {
            None => bail!(
                "{} was not written by tidemark and stays as it is: move it away first",
                path.display()
            ),
            Some(other) if !other.is_of(every) => bail!(
                "{} belongs to suite {} on lab {}: give the suite or the lab another name",
                path.display(),
                other.suite,
                other.lab
            ),
            Some(_) => Ok(()),
        }
    }
}

fn systemctl(args: &[&str]) -> anyhow::Result<()> {
    let line = format!("systemctl {}", args.join(" "));
    let ended = Command::new("systemctl")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    bail!("`{line}` failed: {}", said.trim().replace('\n', "; "))
}
