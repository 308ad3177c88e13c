//! How root is had on a host: what scripts put before a command that needs it.
//!
//! `sudo -n` where sudo asks for nothing. Where it wants a password or a terminal, a small program
//! in the lab's directory stands between: it is written when a host was found to be ours, since the
//! guard must be able to undo faults while nobody is there to type, and goes with the run. It never
//! knows what it is used for.

use std::time::Duration;

use crate::cmd::{Cmd, quote};
use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::labfile::{LabFile, Login, Sudo};

const SHORT: Duration = Duration::from_secs(10);

/// Below the lab's directory: runs its arguments as root.
const RUN: &str = ".root";
/// Tells sudo the password.
const ASK: &str = ".root-ask";
/// A pipe that never ends, for `script` to read from.
const QUIET: &str = ".root-in";

/// What a script puts before a command that needs root.
pub(crate) fn prefix(lab: &LabFile) -> String {
    match (&lab.login.sudo, stands_between(&lab.login)) {
        (Sudo::None, _) => String::new(),
        (_, true) => at(lab, RUN),
        (_, false) => "sudo -n".to_owned(),
    }
}

fn stands_between(login: &Login) -> bool {
    login.sudo == Sudo::Password || (login.sudo == Sudo::Passwordless && login.sudo_terminal)
}

fn at(lab: &LabFile, name: &str) -> String {
    format!("{}/{name}", lab.dir.trim_end_matches('/'))
}

/// Puts there what stands between, where something has to. The host was found to be ours.
///
/// # Errors
/// The password's variable is not set; the host takes no file.
pub(crate) async fn give(host: &Host, lab: &LabFile) -> Result<(), ClusterError> {
    if !stands_between(&lab.login) {
        return Ok(());
    }
    let mut how = "sudo -n".to_owned();
    if lab.login.sudo == Sudo::Password {
        let variable = lab.login.sudo_password_env.as_deref().unwrap_or_default();
        let password = std::env::var(variable).map_err(|_| {
            host.error(format!(
                "the environment variable {variable} (login.sudo_password_env of the lab file) is \
                 not set"
            ))
        })?;
        let text = format!("#!/bin/sh\nprintf '%s\\n' {}\n", quote(&password));
        let path = at(lab, ASK);
        host.put_bytes(Lane::Control, text.into_bytes(), &path, 0o700)
            .await?;
        how = format!("SUDO_ASKPASS={path} sudo -A");
    }
    let text = match lab.login.sudo_terminal {
        false => format!(
            r#"#!/bin/sh
{how} -- "$@"
"#
        ),
        true => with_a_terminal(&how, &at(lab, QUIET)),
    };
    host.put_bytes(Lane::Control, text.into_bytes(), &at(lab, RUN), 0o700)
        .await?;
    if lab.login.sudo_terminal {
        let make = r#"[ -p "$1" ] || mkfifo -m 600 -- "$1""#;
        host.ok(Lane::Control, &Cmd::script(make, [at(lab, QUIET)]), SHORT)
            .await?;
    }
    Ok(())
}

/// Each argument is quoted for the shell that `script` starts. The command's own streams stay the
/// caller's: only its terminal is new. util-linux before 2.25 ends at once when there is nothing to
/// read, hence the pipe, which is opened for both directions and never ends.
fn with_a_terminal(how: &str, quiet: &str) -> String {
    format!(
        r#"#!/bin/sh
line=
for word in "$@"; do
  line="$line '$(printf '%s\n' "$word" | sed "s/'/'\\\\''/g")'"
done
exec 3<&0 4>&1 5>&2
SHELL=/bin/sh exec script -q -e -c "{how} --$line <&3 >&4 2>&5 3<&- 4>&- 5>&-" /dev/null <>{quiet} >/dev/null 2>&1
"#
    )
}

/// Removes what stands between, and with it the password.
///
/// # Errors
/// The host does not answer.
pub async fn forget(host: &Host, lab: &LabFile) -> Result<(), ClusterError> {
    if !stands_between(&lab.login) {
        return Ok(());
    }
    let files = [RUN, ASK, QUIET].map(|name| at(lab, name));
    let cmd = Cmd::new("rm").args(["-f", "--"]).args(files);
    host.ok(Lane::Control, &cmd, SHORT).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// The real `script`, and `env` for sudo.
    #[test]
    fn words_come_through_a_terminal_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        let text = with_a_terminal("env", &file("in"));
        std::fs::write(dir.path().join("root"), text).unwrap();
        let made = Command::new("mkfifo").arg(file("in")).status();
        if Command::new("script").arg("-V").output().is_err() || !made.is_ok_and(|s| s.success()) {
            println!("SKIPPED: no script here (util-linux)");
            return;
        }
        let program = r#"cat; printf '%s|' "$@"; tty >/dev/null 2>&1 </dev/tty && echo terminal; echo complaint >&2; exit 7"#;
        let words = ["it's", "a b", "$HOME", "x\ny", "", "*", "\\"];
        let ran = Command::new("sh")
            .args([
                "-c",
                r#"p=$1; shift; printf 'fed\n' | sh "$p" sh -c "$@""#,
                "sh",
            ])
            .arg(file("root"))
            .args([program, "sh"])
            .args(words)
            .output()
            .unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(said, format!("fed\n{}|terminal\n", words.join("|")));
        assert_eq!(String::from_utf8_lossy(&ran.stderr), "complaint\n");
        assert_eq!(ran.status.code(), Some(7));
    }
}
