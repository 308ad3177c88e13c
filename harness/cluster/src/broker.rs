//! The processes of one host: started, signalled, and looked up in the host's own process table.
//!
//! A process is ours only if its id *and* its start time are those that it wrote down when it was
//! started: ids are reused. It decides nothing; when to start or kill what is the caller's business.

use std::time::Duration;

use history::{Clock, ProcessState, Service};
use tokio::time::{Instant, sleep};

use crate::cmd::Cmd;
use crate::config::Layout;
use crate::error::ClusterError;
use crate::guard::Watch;
use crate::host::{Host, Lane};
use crate::system::{Signal, Signalled};

/// Looking up a process, or sending it a signal.
const SHORT: Duration = Duration::from_secs(10);
/// For a process to be gone after SIGKILL.
const KILLED_WITHIN: Duration = Duration::from_secs(10);
/// A clean end that takes longer is an error: the caller decides whether to kill.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at a process that should end.
const LOOK: Duration = Duration::from_millis(20);

/// Reads a pid file (`$1`) and the process table. Fields 3 and 22 of stat: state, start time; the
/// command's name before them may hold blanks and brackets.
const STATE: &str = r#"state() {
  read -r pid start 2>/dev/null <"$1" || { echo gone; return; }
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || { echo gone; return; }
  set -- ${stat##*) }
  [ "${20}" = "$start" ] || { echo gone; return; }
  case $1 in
    Z|X|x) echo gone ;;
    T|t) echo "paused $pid" ;;
    *) echo "running $pid" ;;
  esac
}
"#;

/// `$1` pid file, `$2` working directory, then the program, which takes this shell's place.
const SPAWN: &str = r#"f=$1; cd "$2" || exit 1; shift 2
start=$(sed 's/.*) //' "/proc/$$/stat" | cut -d ' ' -f 20) || exit 1
echo "$$ $start" >"$f.new" && mv -f -- "$f.new" "$f" || exit 1
exec "$@""#;

/// `$1` pid file, `$2` signal. Prints the state that it met.
const SIGNAL: &str = r#"now=$(state "$1"); echo "$now"
set -- "$2" $now
[ "$2" = gone ] || kill -"$1" "$3""#;

/// `$1` pid file, `$2` signal, `$3` how often to look whether it is obeyed, every 10 ms. Prints what
/// the process was before and what it is then. Everything in one script: a fault is one round trip.
/// A SIGTERM is waited for elsewhere, and not sent to a stopped process: it would be obeyed only
/// when that is continued, as a part of another fault's undo.
const OBEY: &str = r#"look() {
  state=gone
  read -r pid at 2>/dev/null <"$1" && lives "$pid" "$at" || return 0
  case ${stat##*) } in X*|x*) ;; T*|t*) state="paused $pid";; *) state="running $pid";; esac
}
look "$1"; echo "$state"
case $2:$state in *:gone|TERM:paused*) ;; *)
  refused=$(kill -"$2" "$pid" 2>&1) || { look "$1"; [ "$state" = gone ] || { echo "$refused" >&2; exit 1; }; }
  looks=$3
  while look "$1" && [ "$looks" -gt 0 ]; do
    case $2:$state in *:gone|STOP:paused*|CONT:running*|TERM:*) break;; esac
    looks=$((looks - 1)); sleep 0.01
  done
esac
echo "$state""#;

/// `$1` log, `$2` the JVM's own output. An error of Kafka's is a line and, below it, an exception.
const LAST_WORDS: &str = r#"said=$(tail -n 400 -- "$1" 2>/dev/null |
  awk '/ (ERROR|FATAL) / { print; getline; if ($0 !~ /^[0-9]/) print }' | head -n 4 | cut -c 1-400)
[ -n "$said" ] || said=$(tail -n 3 -- "$2" 2>/dev/null | cut -c 1-400)
printf '%s' "$said""#;

/// One service of one host.
#[derive(Debug, Clone, Copy)]
pub struct Process<'a> {
    /// Where.
    pub host: &'a Host,
    /// Where its files are.
    pub layout: &'a Layout,
    /// What.
    pub service: Service,
}

impl Process<'_> {
    /// What the process table says.
    pub async fn state(&self) -> Result<ProcessState, ClusterError> {
        let text = self.with_state(r#"state "$1""#, &[]).await?;
        self.read(&text)
    }

    /// Starts a command line in this process's name; it appends its output to a file of its own.
    pub async fn spawn(&self, argv: Vec<String>) -> Result<u32, ClusterError> {
        let args = [self.layout.pid_file(self.service), self.layout.logs()];
        let cmd = Cmd::script(SPAWN, args.into_iter().chain(argv));
        self.host
            .daemon(&cmd, &self.layout.output(self.service))
            .await
    }

    /// Sends a signal, and says what the process was before; nothing is sent to one that is gone.
    pub async fn signal(&self, name: &str) -> Result<ProcessState, ClusterError> {
        let text = self.with_state(SIGNAL, &[name.to_owned()]).await?;
        self.read(&text)
    }

    /// Sends a signal for a fault, and waits until it is obeyed. Only [`Signal::Resume`] is sent where
    /// the undo is not armed.
    ///
    /// # Errors
    /// The undo is not armed; the process does not obey.
    pub(crate) async fn obey(
        &self,
        signal: Signal,
        watch: &Watch,
        clock: &Clock,
    ) -> Result<Signalled, ClusterError> {
        let name = match signal {
            Signal::Kill => "KILL",
            Signal::Pause => "STOP",
            Signal::Resume => "CONT",
            Signal::Stop => "TERM",
        };
        let args = [self.layout.pid_file(self.service), name.into(), "50".into()];
        let cmd = match signal {
            Signal::Resume => watch.unguarded(OBEY, args),
            Signal::Kill | Signal::Pause | Signal::Stop => watch.guarded(OBEY, args),
        };
        let sent = clock.mark();
        let ran = watch.run(self.host, &cmd, SHORT).await?;
        if !ran.succeeded() {
            return Err(self.host.unhappy(&cmd, &ran));
        }
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let (before, after) = said.split_once('\n').unwrap_or((&said, ""));
        let (before, mut after) = (self.read(before)?, self.read(after)?);
        let within = match (signal, before) {
            (Signal::Kill, _) => KILLED_WITHIN,
            (Signal::Stop, ProcessState::Paused { .. }) => Duration::ZERO,
            (Signal::Stop, _) => STOPPED_WITHIN,
            (Signal::Pause | Signal::Resume, _) => Duration::ZERO,
        };
        if after != ProcessState::Gone && !within.is_zero() {
            after = self.wait_gone(within).await?;
        }
        match after {
            ProcessState::Running { pid } | ProcessState::Paused { pid } if !within.is_zero() => {
                Err(self.stubborn(name, pid, within).await)
            }
            _ => Ok(Signalled {
                before,
                after,
                between: (sent, clock.mark()),
            }),
        }
    }

    async fn stubborn(&self, signal: &str, pid: u32, within: Duration) -> ClusterError {
        self.host.error(format!(
            "the {} (process {pid}) did not end within {}s of SIG{signal}; its state there: `ps -o \
             stat,wchan -p {pid}`; {}",
            self.service,
            within.as_secs(),
            self.last_words().await
        ))
    }

    /// Waits until the process is gone; what it is after at most `within`. The host is asked again
    /// and again, so that its control lane is never held.
    pub async fn wait_gone(&self, within: Duration) -> Result<ProcessState, ClusterError> {
        let deadline = Instant::now() + within;
        loop {
            let state = self.state().await?;
            if state == ProcessState::Gone || Instant::now() >= deadline {
                return Ok(state);
            }
            sleep(LOOK).await;
        }
    }

    /// SIGTERM, and SIGKILL when `grace` has passed. A paused process is continued, or it would
    /// never hear the first.
    pub async fn end(&self, grace: Duration) -> Result<(), ClusterError> {
        if self.signal("TERM").await? == ProcessState::Gone {
            return Ok(());
        }
        self.signal("CONT").await?;
        if self.wait_gone(grace).await? == ProcessState::Gone {
            return Ok(());
        }
        self.kill().await
    }

    /// SIGKILL, and a look whether it is gone.
    pub async fn kill(&self) -> Result<(), ClusterError> {
        if self.signal("KILL").await? == ProcessState::Gone {
            return Ok(());
        }
        match self.wait_gone(KILLED_WITHIN).await? {
            ProcessState::Gone => Ok(()),
            ProcessState::Running { pid } | ProcessState::Paused { pid } => {
                Err(self.stubborn("KILL", pid, KILLED_WITHIN).await)
            }
        }
    }

    /// The reason a process gave for its end, from its own log, on one line.
    pub async fn last_words(&self) -> String {
        let files = [
            self.layout.log(self.service),
            self.layout.output(self.service),
        ];
        let cmd = Cmd::script(LAST_WORDS, files.clone());
        let said = self.host.ok(Lane::Control, &cmd, SHORT).await;
        let said = said.unwrap_or_else(|error| error.to_string());
        let lines: Vec<&str> = said
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        if lines.is_empty() {
            return format!("its log says nothing (see {} there)", files[0]);
        }
        format!("its log says: {}", lines.join("; "))
    }

    async fn with_state(&self, script: &str, args: &[String]) -> Result<String, ClusterError> {
        let all = std::iter::once(self.layout.pid_file(self.service)).chain(args.iter().cloned());
        let cmd = Cmd::script(&format!("{STATE}{script}"), all);
        self.host.ok(Lane::Control, &cmd, SHORT).await
    }

    fn read(&self, text: &str) -> Result<ProcessState, ClusterError> {
        read_state(text).ok_or_else(|| {
            let why = format!(
                "the state of the {} cannot be read from `{text}`",
                self.service
            );
            self.host.error(why)
        })
    }
}

fn read_state(text: &str) -> Option<ProcessState> {
    let mut words = text.split_whitespace();
    let state = words.next()?;
    let pid = words.next().map(str::parse);
    match (state, pid) {
        ("gone", None) => Some(ProcessState::Gone),
        ("running", Some(Ok(pid))) => Some(ProcessState::Running { pid }),
        ("paused", Some(Ok(pid))) => Some(ProcessState::Paused { pid }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Runs a script as a host would, with a pid file as its first argument.
    fn sh(script: &str, args: &[&str]) -> String {
        let output = Command::new("sh")
            .args(["-c", &format!("{STATE}{script}"), "sh"])
            .args(args)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_process_is_known_by_its_start_time_and_not_by_its_id_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("broker.pid");
        let file = file.to_str().unwrap();
        let look = || read_state(&sh("state \"$1\"", &[file])).unwrap();
        assert_eq!(look(), ProcessState::Gone, "no pid file");

        let mut child = Command::new("sh")
            .args(["-c", SPAWN, "sh", file, "/", "sleep", "600"])
            .spawn()
            .unwrap();
        let pid = child.id();
        while look() == ProcessState::Gone {}
        assert_eq!(look(), ProcessState::Running { pid });

        sh(SIGNAL, &[file, "STOP"]);
        while look() != (ProcessState::Paused { pid }) {}
        sh(SIGNAL, &[file, "CONT"]);
        while look() != (ProcessState::Running { pid }) {}

        std::fs::write(file, format!("{pid} 12")).unwrap();
        assert_eq!(look(), ProcessState::Gone, "the id was reused");

        child.kill().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let start = stat
            .rsplit(") ")
            .next()
            .unwrap()
            .split(' ')
            .nth(19)
            .unwrap();
        std::fs::write(file, format!("{pid} {start}")).unwrap();
        while look() != ProcessState::Gone {}
        assert!(
            std::path::Path::new(&format!("/proc/{pid}")).exists(),
            "a zombie"
        );
        child.wait().unwrap();
    }

    #[test]
    fn the_reason_of_a_death_is_found_in_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("server.log");
        let text = "2026-01-01 00:00:00,000 INFO starting (k)\n\
                    2026-01-01 00:00:00,001 ERROR Fatal error during startup (k)\n\
                    java.lang.IllegalStateException: no disk\n\tat x\n\
                    2026-01-01 00:00:00,002 INFO shutting down (k)\n";
        std::fs::write(&log, text).unwrap();
        let said = sh(LAST_WORDS, &[log.to_str().unwrap(), "/nowhere"]);
        assert_eq!(
            said,
            "2026-01-01 00:00:00,001 ERROR Fatal error during startup (k)\n\
             java.lang.IllegalStateException: no disk"
        );
        let said = sh(LAST_WORDS, &["/nowhere", log.to_str().unwrap()]);
        assert!(said.ends_with("shutting down (k)"));
    }

    #[test]
    fn nonsense_is_no_state() {
        for text in ["", "running", "running x", "gone 5", "dead 5"] {
            assert_eq!(read_state(text), None, "{text}");
        }
    }
}
