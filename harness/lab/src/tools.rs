//! The programs that the lab is made with: found, run by argument vector, waited for.
//!
//! No shell string is ever built from a name or an address.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::LabError;

/// Where a program may be when `PATH` does not say.
const USUAL: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
];

/// Programs, with the packages that hold them on Debian's and on Red Hat's side.
const NEEDED: [(&str, &str, &str); 11] = [
    ("ip", "iproute2", "iproute"),
    ("iptables", "iptables", "iptables"),
    ("sshd", "openssh-server", "openssh-server"),
    ("ssh", "openssh-client", "openssh-clients"),
    ("ssh-keygen", "openssh-client", "openssh"),
    ("unshare", "util-linux", "util-linux"),
    ("nsenter", "util-linux", "util-linux"),
    ("setsid", "util-linux", "util-linux"),
    ("mount", "mount", "util-linux"),
    ("sh", "dash", "bash"),
    ("java", "default-jre-headless", "java-11-openjdk-headless"),
];

/// Whether this machine can hold a lab.
///
/// # Errors
/// Without root, or with a program missing: one sentence that says what to do.
pub fn missing_tools() -> Result<(), LabError> {
    check_tools("java")
}

/// Whether this machine can hold this lab, with the Java that its file names.
///
/// # Errors
/// As [`missing_tools`].
pub fn can_hold(lab: &cluster::LabFile) -> Result<(), LabError> {
    check_tools(&lab.java)
}

/// As [`missing_tools`]; a Java that the lab file names otherwise is looked for when the lab is made.
pub(crate) fn check_tools(java: &str) -> Result<(), LabError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(LabError::NotRoot);
    }
    lacking(&|name| (name == "java" && java != "java") || find(name).is_some())
}

/// The programs alone, with the search handed in.
fn lacking(there: &dyn Fn(&str) -> bool) -> Result<(), LabError> {
    let missing: Vec<_> = NEEDED.iter().filter(|(name, ..)| !there(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(name, ..)| *name).collect();
    let manager = ["apt-get", "dnf", "yum"].into_iter().find(|m| there(m));
    let mut packages: Vec<&str> = missing
        .iter()
        .map(|(_, debian, red_hat)| match manager {
            Some("dnf" | "yum") => *red_hat,
            _ => *debian,
        })
        .collect();
    packages.dedup();
    Err(LabError::Missing {
        missing: names.join(", "),
        remedy: format!(
            "{} install -y {}",
            manager.unwrap_or("the package manager's"),
            packages.join(" ")
        ),
    })
}

/// The path of a program: itself when it is one, else from `PATH` and the usual places.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return executable(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(USUAL.iter().map(PathBuf::from))
        .find_map(|dir| executable(&dir.join(program)))
}

fn executable(path: &Path) -> Option<PathBuf> {
    let meta = std::fs::metadata(path).ok()?;
    (meta.is_file() && meta.permissions().mode() & 0o111 != 0).then(|| path.to_owned())
}

/// The path of a program that [`missing_tools`] has found before.
pub(crate) fn tool(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| PathBuf::from(program))
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<String, LabError> {
    let mut command = Command::new(tool(program));
    command.args(args).stdin(Stdio::null());
    finish(command)
}

/// `ip` with these arguments.
pub(crate) fn ip(args: &[&str]) -> Result<String, LabError> {
    run("ip", args)
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn finish(mut command: Command) -> Result<String, LabError> {
    let shown = format!("{command:?}").replace('"', "");
    let refused = |how: String, said: String| LabError::Command {
        hint: match said.contains("Operation not permitted") {
            true => {
                "; root has not the right to make namespaces here (in a container, run it \
                     privileged)"
            }
            false => "",
        },
        command: shown.clone(),
        how,
        said,
    };
    let output = command
        .output()
        .map_err(|e| refused("not started".to_owned(), e.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(refused(
        output.status.to_string(),
        said.trim().replace('\n', "; "),
    ))
}

/// Asks every 10 ms until the answer is there or the time is up.
#[expect(
    clippy::disallowed_methods,
    reason = "the lab waits for other processes, outside any run and its clock"
)]
pub(crate) fn until<T>(
    deadline: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, LabError>,
) -> Result<Option<T>, LabError> {
    let started = std::time::Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        if started.elapsed() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Starts a program that outlives us, in a session of its own, its output appended to `console`.
///
/// It inherits nothing else: a pipe of the caller's that it kept open would make `lab up | cat`
/// wait for the end of the lab. It is not our child: started as the leader of a process group,
/// `setsid` forks and ends at once. (A shell's `&` would leave SIGINT ignored on the hosts.)
pub(crate) fn start_daemon(console: &Path, argv: &[&str]) -> Result<(), LabError> {
    let out = File::options()
        .create(true)
        .append(true)
        .open(console)
        .map_err(LabError::file("open", console))?;
    let both = out.try_clone().map_err(LabError::file("open", console))?;
    let close = r#"exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec "$@""#;
    let mut command = Command::new(tool("sh"));
    command
        .args(["-c", close, "sh"])
        .arg(tool("setsid"))
        .args(argv)
        .env_clear()
        .env("PATH", USUAL.join(":"))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(both);
    let shown = format!("{command:?}");
    let status = command.status().map_err(LabError::file("start", argv[0]))?;
    match status.success() {
        true => Ok(()),
        false => Err(LabError::Command {
            command: shown,
            how: status.to_string(),
            said: format!("see {}", console.display()),
            hint: "",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_line_that_installs_it() {
        let without = |gone: &'static [&str]| move |name: &str| !gone.contains(&name);
        assert!(lacking(&without(&[])).is_ok());
        let said = lacking(&without(&["sshd", "java"]))
            .unwrap_err()
            .to_string();
        assert_eq!(
            said,
            "the local lab needs sshd, java, not found on this machine; install with: apt-get \
             install -y openssh-server default-jre-headless"
        );
        let said = lacking(&without(&["ip", "apt-get"]))
            .unwrap_err()
            .to_string();
        assert!(said.ends_with("dnf install -y iproute"), "{said}");
        let said = lacking(&without(&["ip", "apt-get", "dnf"]))
            .unwrap_err()
            .to_string();
        assert!(said.ends_with("yum install -y iproute"), "{said}");
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let said = run("sh", &["-c", "echo no such bridge >&2; exit 3"]).unwrap_err();
        let said = said.to_string();
        assert!(
            said.contains("no such bridge") && said.contains("3"),
            "{said}"
        );
    }

    #[test]
    fn waiting_ends_with_the_answer_or_with_the_time() {
        let mut asked = 0;
        let answer = until(Duration::from_secs(5), || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(answer.unwrap(), Some(3));
        let never = until(Duration::from_millis(30), || Ok(None::<u8>));
        assert_eq!(never.unwrap(), None);
    }
}
