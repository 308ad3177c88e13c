//! `tidemark nightly install` and `uninstall`: everything is looked at before anything is changed.
//!
//! They write units or a crontab, and the directory of results where there is none; they start no
//! night and hold no secret.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use chrono::Local;
use clap::Args as ClapArgs;
use nix::unistd::{Uid, User};

use super::cron;
use super::every::{self, Asked, At, Every, Order};
use super::systemd::{Systemd, units};
use crate::exit::{Exit, Failure, OrExit};
use crate::home::{print, say, say_error};

/// Variables for nights that root starts.
const SECRETS: &str = "/etc/tidemark/nightly.env";

/// Variables for nights of anybody else's crontab, below the home directory.
const OWN_SECRETS: &str = ".config/tidemark/nightly.env";

/// `tidemark nightly install`.
#[derive(Debug, ClapArgs)]
pub struct InstallArgs {
    /// A suite's name or file.
    #[arg(default_value = "nightly")]
    pub suite: String,
    /// A lab's name or file.
    #[arg(long, default_value = "local")]
    pub lab: String,
    /// Nights and their runs are kept below this directory.
    #[arg(long, default_value = "results", env = "TIDEMARK_RESULTS")]
    pub results: PathBuf,
    /// When a night begins, by the clock of this machine.
    #[arg(long, default_value = "02:00", value_name = "HH:MM")]
    pub at: At,
    /// Who runs it; root, or for a crontab you. A lab of namespaces needs root.
    #[arg(long = "as", value_name = "USER")]
    pub user: Option<String>,
    /// A file that only its owner may read, with the variables that suite and lab name (a webhook,
    /// passwords), one `NAME='value'` a line. [default: /etc/tidemark/nightly.env]
    #[arg(long, value_name = "FILE")]
    pub secrets: Option<PathBuf>,
    /// A line of the crontab instead of systemd units.
    #[arg(long)]
    pub cron: bool,
    /// Print what would be installed, and change nothing.
    #[arg(long)]
    pub print: bool,
    /// Units are below this directory.
    #[arg(long, hide = true, default_value = "/")]
    pub root: PathBuf,
}

/// `tidemark nightly uninstall`.
#[derive(Debug, ClapArgs)]
pub struct UninstallArgs {
    /// What `tidemark nightly status` calls it, as nightly-local; not needed if there is only one.
    pub name: Option<String>,
    /// Whose crontab, if not yours.
    #[arg(long = "as", value_name = "USER")]
    pub user: Option<String>,
    /// Units are below this directory.
    #[arg(long, hide = true, default_value = "/")]
    pub root: PathBuf,
}

/// Installs a suite, or shows what that would be.
pub fn install(asked: &InstallArgs) -> Result<Exit, Failure> {
    let user = match (&asked.user, asked.cron) {
        (None, false) => every::user(Some("root")),
        (name, _) => every::user(name.as_deref()),
    };
    let user = user.or_usage()?;
    let secrets = secrets(asked, &user).or_usage()?;
    let wanted = Asked {
        suite: &asked.suite,
        lab: &asked.lab,
        results: &asked.results,
        at: asked.at,
    };
    let order = every::order(wanted, &user, secrets).or_usage()?;
    match (asked.print, asked.cron) {
        (true, true) => print(&cron::with("", &order).or_usage()?),
        (true, false) => {
            for (name, text) in units(&order) {
                say(&format!("# /etc/systemd/system/{name}\n{text}"));
            }
        }
        (false, _) => {
            let systemd = Systemd::below(&asked.root);
            let said = match asked.cron {
                true => into_crontab(&order, &user, &systemd, &asked.root),
                false => as_units(&order, &user, &systemd, &asked.root),
            };
            say(&said.or_harness()?);
        }
    }
    for note in notes(&order, &asked.root) {
        say_error(&format!("note: {note}"));
    }
    Ok(Exit::Held)
}

/// Removes what `install` wrote, and nothing else.
pub fn uninstall(asked: &UninstallArgs) -> Result<Exit, Failure> {
    let user = every::user(asked.user.as_deref()).or_usage()?;
    let systemd = Systemd::below(&asked.root);
    let units = systemd.installed().or_harness()?;
    let crontab = cron::read(&user).or_harness()?;
    let lines = cron::installed(&crontab);
    let every = chosen(asked.name.as_deref(), &units, &lines).or_usage()?;
    if units.iter().any(|unit| unit.is_of(&every)) {
        may_write(&asked.root).or_harness()?;
        systemd.uninstall(&every).or_harness()?;
        let tag = every.tag();
        say(&format!(
            "{}: {tag}.timer and its services are gone",
            every.name()
        ));
    }
    if lines.iter().any(|line| line.is_of(&every)) {
        let left = cron::without(&crontab, &every).or_harness()?;
        cron::write(&user, &left).or_harness()?;
        let whose = &user.name;
        say(&format!(
            "{}: gone from the crontab of {whose}",
            every.name()
        ));
    }
    say(&format!("its nights stay in {}", every.results.display()));
    Ok(Exit::Held)
}

fn chosen(name: Option<&str>, units: &[Every], lines: &[Every]) -> anyhow::Result<Every> {
    let mut all: Vec<&Every> = units.iter().chain(lines).collect();
    // In both forms, perhaps by hand: both go.
    all.sort_by_key(|every| every.name());
    all.dedup_by(|a, b| a.is_of(b));
    let names: Vec<String> = all.iter().map(|every| every.name()).collect();
    let known = names.join(", ");
    match (name, all.as_slice()) {
        (_, []) => bail!("no night is installed here: there is nothing to take away"),
        (None, [only]) => Ok((*only).clone()),
        (None, _) => bail!("several nights are installed here; name one of them: {known}"),
        (Some(name), all) => all
            .iter()
            .find(|every| every.name() == name)
            .map(|every| (*every).clone())
            .ok_or_else(|| anyhow!("no night called `{name}` is installed here, but {known}")),
    }
}

fn as_units(order: &Order, user: &User, systemd: &Systemd, root: &Path) -> anyhow::Result<String> {
    if !systemd.runs() {
        bail!(
            "systemd does not run on this machine: `--cron` installs a line of the crontab, \
             `--print` shows the units for another machine"
        );
    }
    may_write(root)?;
    needs(&["systemctl"])?;
    let owners = [Uid::effective().as_raw(), user.uid.as_raw()];
    check_secrets(&below(root, &order.secrets), &owners)?;
    let lines = cron::installed(&cron::read(user)?);
    if lines.iter().any(|every| every.is_of(&order.every)) {
        bail!(
            "{} is in the crontab of {} already: `tidemark nightly uninstall` first, or it runs \
             twice a night",
            order.every.name(),
            user.name
        );
    }
    make_results(&order.every.results, user)?;
    let changed = systemd.install(order)?;
    let tag = order.every.tag();
    Ok(format!(
        "{}, by {tag}.timer{}\nits log: journalctl -t {tag}\none at once: systemctl start --no-block \
         {tag}.service",
        announced(&order.every),
        if changed { "" } else { " (as before)" },
    ))
}

fn into_crontab(
    order: &Order,
    user: &User,
    systemd: &Systemd,
    root: &Path,
) -> anyhow::Result<String> {
    needs(&cron::PROGRAMS)?;
    if user.uid != Uid::effective() && !Uid::effective().is_root() {
        bail!(
            "only root may change the crontab of {}: run this with sudo",
            user.name
        );
    }
    check_secrets(&below(root, &order.secrets), &[user.uid.as_raw()])?;
    let (name, tag) = (order.every.name(), order.every.tag());
    if systemd
        .installed()?
        .iter()
        .any(|every| every.name() == name)
    {
        bail!(
            "{name} has a timer already: `tidemark nightly uninstall {name}` first, or it runs \
             twice a night"
        );
    }
    let there = cron::read(user)?;
    let wanted = cron::with(&there, order)?;
    make_results(&order.every.results, user)?;
    if wanted != there {
        cron::write(user, &wanted)?;
    }
    Ok(format!(
        "{}, by the crontab of {}{}\nits log: journalctl -t {tag}, or where syslog writes",
        announced(&order.every),
        user.name,
        if wanted == there { " (as before)" } else { "" },
    ))
}

fn announced(every: &Every) -> String {
    let next = every
        .at
        .next(Local::now())
        .map_or_else(String::new, |next| {
            format!(", the next on {}", next.format("%Y-%m-%d"))
        });
    let (name, at) = (every.name(), every.at);
    format!("{name}: every night at {at}{next}")
}

/// Who starts a night reads its variables: root for units; for a crontab the one whose it is.
fn secrets(asked: &InstallArgs, user: &User) -> anyhow::Result<PathBuf> {
    match &asked.secrets {
        Some(file) => Ok(std::path::absolute(file)?),
        None if asked.cron && !user.uid.is_root() => Ok(user.dir.join(OWN_SECRETS)),
        None => Ok(PathBuf::from(SECRETS)),
    }
}

fn check_secrets(file: &Path, owners: &[u32]) -> anyhow::Result<()> {
    let Ok(meta) = std::fs::metadata(file) else {
        return Ok(());
    };
    let shown = file.display();
    if !meta.is_file() {
        bail!("{shown} is to hold variables, and is no file: name another by --secrets");
    }
    if meta.mode() & 0o077 != 0 {
        bail!("{shown} holds secrets and others may read it: `chmod 600 {shown}`");
    }
    if !owners.contains(&meta.uid()) {
        let owner = User::from_uid(Uid::from_raw(owners[owners.len() - 1]))?;
        let owner = owner.map_or_else(|| "root".to_owned(), |owner| owner.name);
        bail!("{shown} belongs to somebody else: `chown {owner} {shown}`");
    }
    Ok(())
}

/// What is not there yet and will be missed at night.
fn notes(order: &Order, root: &Path) -> Vec<String> {
    let file = below(root, &order.secrets);
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let has = |name: &String| {
        let set = |line: &str| {
            line.split_once('=')
                .is_some_and(|(left, _)| left.trim() == name)
        };
        text.lines().any(set)
    };
    let missing = order.wanted.iter().filter(|name| !has(name)).map(|name| {
        format!(
            "${name} is not set in {}: add a line {name}='...' (the file mode 600)",
            order.secrets.display()
        )
    });
    missing.chain(order.notes.iter().cloned()).collect()
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// `--root` is for a directory of one's own.
fn may_write(root: &Path) -> anyhow::Result<()> {
    if root == Path::new("/") && !Uid::effective().is_root() {
        bail!("units are root's to write: run this with sudo, or `--cron` for your own crontab");
    }
    Ok(())
}

fn make_results(dir: &Path, user: &User) -> anyhow::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if user.uid != Uid::effective() {
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        std::os::unix::fs::chown(dir, Some(uid), Some(gid))
            .with_context(|| format!("cannot give {} to {}", dir.display(), user.name))?;
    }
    Ok(())
}

fn needs(programs: &[&str]) -> anyhow::Result<()> {
    let missing: Vec<&str> = programs.iter().copied().filter(|it| !program(it)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "this machine has no {}: install it, or `--print` shows what to put where",
        missing.join(", ")
    )
}

/// Whether a program is in `PATH`.
fn program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}
