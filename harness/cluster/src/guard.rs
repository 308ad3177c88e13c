//! The guard: a process on each host that undoes every fault there when the controller goes silent.
//!
//! It chooses no fault and knows none: it waits for a lease to run out and then heals the host from
//! what *is* (`guard_heal`). The lease is a moment on the host's own monotonic clock
//! (`/proc/uptime`), renewed by the controller over a lane of its own. Every injection asks in its
//! own script, and under the guard's lock, that the lease is in force and that the guard lives:
//! so nothing slips in after the host has healed itself.
//!
//! On the host, below the lab's directory: `.guard` (the lock; kept), `.lease` (until when, whose
//! run, which guard; gone with the run), `guard.log` (what a guard had to do; kept until it is told).

use std::time::Duration;

use history::RunId;
use tokio::time::{Instant, sleep};

use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::guard_heal;
use crate::host::{Host, Lane};
use crate::labfile::LabFile;
use crate::ran::{End, Ran};
use crate::site::Site;

/// Where a guard writes what it had to do, below the lab's directory.
pub const DIARY: &str = "guard.log";
/// Looks and renewals.
const SHORT: Duration = Duration::from_secs(5);
/// A heal, which may wait for the lock of the firewall.
const HEALING: Duration = Duration::from_secs(15);
/// With this status a script says that it did nothing, since the undo is not armed.
const NOT_ARMED: i32 = 7;

/// $1 whose. Ends when the lease is another's or gone. An injection that hangs may hold the lock:
/// then what is there is healed without it, and once more with it. What cannot be undone is tried
/// again for ever.
const GUARD: &str = r#"mine=$1 told=
cd /
tell() { now; printf '%s up %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$up" "$1" >>"$dir/guard.log"; }
ours() { lease && [ "$whose $guard" = "$mine $$" ]; }
over() { now; [ "$now" -ge "$until" ]; }
work() {
  said=$(heal 2>&1); failed=$?; said=$(printf %s "$said" | tr '\n' ';')
  [ "$failed$said" = "$told" ] || tell "the lease of run $mine ran out: ${said:-nothing had to be healed}"
  told=$failed$said; return $failed
}
hold 60; exec 9<&-
while ours; do
  if ! over; then sleep 0.5; continue; fi
  until hold 1; do work; done
  if ours && over && work; then rm -f -- "$dir/.lease"; exit 0; fi
  exec 9<&-; sleep 1
done"#;

/// $1 whose, $2 lease in hundredths of a second, $3 the guard. Heals what an earlier run left, and
/// says so. One's own guard that still watches is only told to wait longer; where it died within
/// the lease, our faults stay and another guard takes over.
const ARM: &str = r#"mine=$1 length=$2 watch=$3
umask 022; [ -e "$dir/.guard" ] || : >"$dir/.guard" || exit 1
hold 5 || { echo "nobody lets go of $dir/.guard" >&2; exit 1; }
write() { printf '%-14s %s %s %s\n' "$1" "$mine" "$2" "$3" >"$dir/.lease.part" && mv -f -- "$dir/.lease.part" "$dir/.lease"; }
said= ours= watched=
if lease; then
  now
  if [ "$whose" = "$mine" ] && [ "$now" -lt "$until" ]; then ours=1; fi
  if lives "$guard" "$since"; then watched=1; fi
fi
if [ -n "$ours$watched" ] && [ "$ours" = "$watched" ]; then printf '%-14s' $((now + length)) 1<>"$dir/.lease"; exit; fi
# First the other run's lease ends, so that its controller starts no guard in place of the one that dies here.
[ -n "$ours" ] || write 0 0 0 || exit 1
[ -z "$watched" ] || kill -9 "-$guard" 2>/dev/null
if [ -z "$ours" ]; then said=$(heal 2>&1) || { printf '%s\n' "$said" >&2; exit 6; }; fi
setsid sh -c "$watch" tidemark-guard "$root" "$dir" "$prefix" "$handle" "$mine" </dev/null >/dev/null 2>&1 9<&- &
p=$!
until kill -0 -"$p" 2>/dev/null; do
  kill -0 "$p" 2>/dev/null || { echo "the guard ended at once: is setsid there?" >&2; exit 1; }
  sleep 0.01
done
read -r stat <"/proc/$p/stat"; set -- ${stat##*) }
now; write $((now + length)) "$p" "${20}" || { kill -9 "-$p"; exit 1; }
[ -z "$said" ] || printf '%s\n' "$said""#;

/// $1 whose, $2 lease in hundredths of a second. Takes no lock, since an injection may hold it for
/// seconds; writes in place, so that a full disk does not let a lease run out, and only the time, so
/// that a lease that becomes another's meanwhile stays theirs.
const RENEW: &str = r#"lease || { echo none; exit 0; }
[ "$whose" = "$1" ] || { echo "taken $whose"; exit 0; }
lives "$guard" "$since" || { echo dead; exit 0; }
now; [ "$now" -lt "$until" ] || { echo late; exit 0; }
printf '%-14s' $((now + $2)) 1<>"$dir/.lease" && echo renewed"#;

/// $1 whose.
const ARMED: &str = r#"armed "$1"; shift"#;

/// $1 whose. Heals, and lets the guard go; another's is left to them. Prints first whether the lease
/// was there to the end.
const DISARM: &str = r#"hold 5 || [ ! -e "$dir/.guard" ] || { echo "nobody lets go of $dir/.guard" >&2; exit 1; }
if lease; then
  [ "$whose" = "$1" ] || { echo lapsed; exit 0; }
  now; if [ "$now" -lt "$until" ]; then echo armed; else echo lapsed; fi
else echo lapsed; fi
heal || exit 6
rm -f -- "$dir/.lease"
if [ -n "$guard" ] && lives "$guard" "$since"; then kill -9 "-$guard"; fi"#;

/// Heals whoever's faults there are.
const HEAL: &str = r#"hold 5 || [ ! -e "$dir/.guard" ] || echo "nobody lets go of $dir/.guard: healing without it" >&2
heal || exit 6"#;

/// Who asks: the run whose guard must watch before anything is injected.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    site: Site,
    whose: String,
    lease: Duration,
}

/// What became of a renewal.
#[derive(Debug, PartialEq, Eq)]
enum Renewed {
    Yes,
    /// The lease is another run's now.
    Taken(String),
    /// The guard itself is gone although the lease is in force.
    Dead,
    /// It ran out: the host heals itself, or has done so.
    Late,
}

impl Watch {
    /// Of a run on a host; nothing is armed yet.
    pub(crate) fn new(host: &Host, lab: &LabFile, run: RunId) -> Self {
        Self {
            site: Site::of(host, lab),
            whose: run.to_string(),
            lease: lab.lease.0,
        }
    }

    fn centis(&self) -> String {
        (self.lease.as_millis() / 10).to_string()
    }

    /// A script that begins by asking that the undo is armed, and holds the guard's lock to its end.
    pub(crate) fn guarded<A: Into<String>>(
        &self,
        text: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Cmd {
        let args = args.into_iter().map(Into::into);
        let text = format!("{ARMED}\n{text}");
        self.site
            .script(&text, std::iter::once(self.whose.clone()).chain(args))
    }

    /// As [`Site::text`].
    pub(crate) fn text(&self, text: &str) -> String {
        self.site.text(text)
    }

    /// A script that only undoes.
    pub(crate) fn unguarded<A: Into<String>>(
        &self,
        text: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Cmd {
        self.site.script(text, args)
    }

    /// Runs a guarded script.
    ///
    /// # Errors
    /// The undo is not armed, and nothing was done; or the script did not end.
    pub(crate) async fn run(
        &self,
        host: &Host,
        cmd: &Cmd,
        deadline: Duration,
    ) -> Result<Ran, ClusterError> {
        let ran = host.run(Lane::Control, cmd, deadline).await?;
        not_armed(host, &ran).map_or(Ok(ran), Err)
    }

    /// Heals what an earlier run left on the host, starts the guard and gives it its first lease.
    /// Returns what had to be healed. Arming again is renewing.
    ///
    /// # Errors
    /// The host cannot be healed, or the guard does not start.
    pub(crate) async fn arm(&self, host: &Host) -> Result<Vec<String>, ClusterError> {
        let watch = self
            .site
            .text(&format!("{}{GUARD}", guard_heal::functions()));
        let args = [self.whose.clone(), self.centis(), watch];
        let ran = host
            .run(Lane::Control, &self.site.healing(ARM, args), HEALING)
            .await?;
        let said = answer(host, &ran, "the undo could not be armed")?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    async fn renew(&self, host: &Host) -> Result<Renewed, ClusterError> {
        let cmd = self.site.script(RENEW, [self.whose.clone(), self.centis()]);
        let said = host.ok(Lane::Lease, &cmd, SHORT).await?;
        match said.trim().split_once(' ').unwrap_or((said.trim(), "")) {
            ("renewed", _) => Ok(Renewed::Yes),
            ("taken", by) => Ok(Renewed::Taken(by.to_owned())),
            ("dead", _) => Ok(Renewed::Dead),
            ("none" | "late", _) => Ok(Renewed::Late),
            _ => Err(host.error(format!("renewing the lease printed {said:?}"))),
        }
    }

    /// Renews until the lease is lost, and returns why. A host that does not answer is asked again
    /// as long as the lease lasts: then it has healed itself.
    pub(crate) async fn keep(&self, host: &Host) -> ClusterError {
        let mut renewed = Instant::now();
        let mut pause = self.lease / 5;
        loop {
            sleep(pause).await;
            let asked = Instant::now();
            let said = match self.renew(host).await {
                Ok(Renewed::Dead) => self.arm(host).await.map(|_| Renewed::Yes),
                said => said,
            };
            match said {
                Ok(Renewed::Yes | Renewed::Dead) => {
                    (renewed, pause) = (asked, self.lease / 5);
                }
                Ok(Renewed::Taken(by)) => {
                    return host.error(format!("its undo is armed by run {by} now, not by us"));
                }
                Ok(Renewed::Late) => {
                    return lapsed(host);
                }
                Err(_) if renewed.elapsed() >= self.lease => return lapsed(host),
                Err(_) => pause = self.lease / 20,
            }
        }
    }

    /// Heals the host and lets its guard go. Where another run's guard watches, nothing is done.
    /// False when the lease had run out before: the host healed itself, and what was recorded as in
    /// force there was not.
    ///
    /// # Errors
    /// What could not be undone.
    pub(crate) async fn disarm(&self, host: &Host) -> Result<bool, ClusterError> {
        let cmd = self.site.healing(DISARM, [self.whose.clone()]);
        let ran = host.run(Lane::Control, &cmd, HEALING).await?;
        let said = answer(host, &ran, "the host could not be healed")?;
        Ok(said.starts_with("armed\n"))
    }
}

/// Why a guarded script did nothing, if the undo was not armed.
pub(crate) fn not_armed(host: &Host, ran: &Ran) -> Option<ClusterError> {
    let why = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
    (ran.end == End::Exit(NOT_ARMED))
        .then(|| host.error(format!("the undo is not armed, so nothing was done: {why}")))
}

/// A host that did not hear from us in time.
pub(crate) fn lapsed(host: &Host) -> ClusterError {
    host.error(format!(
        "the lease of its undo ran out in the middle of the run and it healed itself: what is \
         recorded as in force there ended then ({DIARY} among its logs)"
    ))
}

/// Removes every trace of every fault of the lab from a host, and says what that was.
///
/// # Errors
/// What could not be undone, in the host's own words.
pub async fn heal(host: &Host, lab: &LabFile) -> Result<Vec<String>, ClusterError> {
    let cmd = Site::of(host, lab).healing(HEAL, [""; 0]);
    let ran = host.run(Lane::Control, &cmd, HEALING).await?;
    let said = answer(host, &ran, "the host could not be healed")?;
    Ok(said.lines().map(str::to_owned).collect())
}

/// What guards had to do on a host since a run last took it, a line each.
///
/// # Errors
/// The host does not answer.
pub async fn diary(host: &Host, lab: &LabFile) -> Result<Vec<String>, ClusterError> {
    let cmd = Site::of(host, lab).script(r#"cat -- "$dir/guard.log" 2>/dev/null; :"#, [""; 0]);
    let said = host.ok(Lane::Control, &cmd, SHORT).await?;
    Ok(said.lines().map(str::to_owned).collect())
}

fn answer(host: &Host, ran: &Ran, what: &str) -> Result<String, ClusterError> {
    if ran.succeeded() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let said = said.trim().replace('\n', " / ");
    Err(host.error(format!("{what}: {said}{}", remedy(&said))))
}

/// What to do about what a host said when something needed root.
pub(crate) fn remedy(said: &str) -> &'static str {
    if said.contains("iptables") && said.contains("not found") {
        ": install iptables there (yum install iptables, apt-get install iptables)"
    } else if said.contains("tc") && said.contains("not found") {
        ": install tc there (yum install iproute, apt-get install iproute2)"
    } else if said.contains("incorrect password") {
        ": correct the password in the variable that login.sudo_password_env of the lab file names"
    } else if said.contains("sudo:") {
        ": let the login user run iptables and tc through `sudo -n`, without a password"
    } else if said.contains("Permission denied")
        || said.contains("you must be root")
        || said.contains("Operation not permitted")
    {
        ": log in as root, or set login.sudo = \"passwordless\" in the lab file"
    } else {
        ""
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
