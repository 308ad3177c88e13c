//! A night as a line of a crontab, for machines without systemd and for users without root.
//!
//! Two lines of comment stand before it, by which it is found again. Every other line of the crontab
//! stays as it is, to the byte.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use cluster::cmd::quoted;
use nix::unistd::{Uid, User};

use super::every::{At, ENDING_S, Every, Order, WRITTEN};

/// The longest command that every cron takes (Vixie's has 1000 bytes for it).
const LONGEST: usize = 990;

/// What the line needs besides this program.
pub const PROGRAMS: [&str; 4] = ["crontab", "flock", "timeout", "logger"];

/// The lines of an order: for people, the mark, and the job.
///
/// # Errors
/// A line that is too long for cron.
pub fn lines(order: &Order) -> anyhow::Result<[String; 3]> {
    let At { hour, minute } = order.every.at;
    let job = job(order);
    if job.len() > LONGEST {
        bail!(
            "the line would have {} bytes, and cron takes {LONGEST}: shorten the paths or PATH",
            job.len()
        );
    }
    Ok([
        WRITTEN.to_owned(),
        order.every.mark(),
        format!("{minute} {hour} * * * {job}"),
    ])
}

/// No word of it holds a `%`, which cron would read as the end of the line (`every::is_plain`).
fn job(order: &Order) -> String {
    let every = &order.every;
    let (secrets, dir) = (order.secrets.display(), order.dir.display());
    // `--foreground`: the signal goes to the night alone, once; a second one would cut short what
    // the first one began.
    let inner = format!(
        "timeout --foreground -s INT -k {ENDING_S} {deadline} {night}; \
         echo \"the night ended with exit code $?\"; \
         {heal} || echo \"healing failed: do it by hand\"",
        deadline = every.deadline_s(),
        night = quoted(order.night()),
        heal = quoted(order.heal()),
    );
    // `-o`: what a night leaves running (a lab that stays up) must not hold the lock for ever.
    format!(
        "cd {dir} && {{ [ ! -r {secrets} ] || {{ set -a; . {secrets}; set +a; }}; \
         PATH={path}; export PATH; \
         flock -n -o {lock} sh -c {inner} || echo \"not begun: another night holds {lock}\"; }} \
         2>&1 | logger -t {tag}",
        path = order.path,
        lock = every
            .results
            .join(format!("{}.lock", every.tag()))
            .display(),
        inner = quoted([inner]),
        tag = every.tag(),
    )
}

/// The nights that a crontab has.
pub fn installed(crontab: &str) -> Vec<Every> {
    crontab.lines().filter_map(Every::marked).collect()
}

/// The crontab without one of its nights.
///
/// # Errors
/// When another line stands where the job was put.
pub fn without(crontab: &str, every: &Every) -> anyhow::Result<String> {
    let mut kept: Vec<&str> = Vec::new();
    let mut lines = crontab.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let ours = Every::marked(line.trim_end()).is_some_and(|other| other.is_of(every));
        if !ours {
            kept.push(line);
            continue;
        }
        let job = lines.next().unwrap_or_default();
        if !job
            .trim_end()
            .ends_with(&format!("| logger -t {}", every.tag()))
        {
            bail!(
                "the line after {}'s mark in the crontab is not the one that was installed: remove \
                 both by hand (`crontab -e`)",
                every.name()
            );
        }
        if kept.last().is_some_and(|line| line.trim_end() == WRITTEN) {
            kept.pop();
        }
    }
    Ok(kept.concat())
}

/// The crontab with a night, in place of an older form of it.
///
/// # Errors
/// As [`lines`] and [`without`].
pub fn with(crontab: &str, order: &Order) -> anyhow::Result<String> {
    let mut text = without(crontab, &order.every)?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in lines(order)? {
        text += &line;
        text.push('\n');
    }
    Ok(text)
}

/// A user's crontab; empty if it was never made, or if there is no cron on this machine.
///
/// # Errors
/// When `crontab` refuses: what could not be read is not written over.
pub fn read(user: &User) -> anyhow::Result<String> {
    let asked = command(user)
        .arg("-l")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output();
    let ended = match asked {
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(String::new()),
        ended => ended.context("cannot start `crontab -l`")?,
    };
    if ended.status.success() {
        return String::from_utf8(ended.stdout).context("the crontab is not UTF-8");
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    if said.contains("no crontab for") {
        return Ok(String::new());
    }
    bail!("`crontab -l` failed: {}", said.trim().replace('\n', "; "))
}

/// Puts a crontab in place of the one that is there.
///
/// # Errors
/// When `crontab` refuses.
pub fn write(user: &User, text: &str) -> anyhow::Result<()> {
    let mut child = command(user)
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start `crontab -`")?;
    let sent = child
        .stdin
        .take()
        .map(|mut input| input.write_all(text.as_bytes()));
    let ended = child.wait_with_output()?;
    if ended.status.success() && matches!(sent, Some(Ok(()))) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    bail!("`crontab -` failed: {}", said.trim().replace('\n', "; "))
}

fn command(user: &User) -> Command {
    let mut command = Command::new("crontab");
    if user.uid != Uid::effective() {
        command.args(["-u", &user.name]);
    }
    command
}
