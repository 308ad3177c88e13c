//! The printed units under a systemd that is real: whatever ends a night, the lab is healed.
//!
//! A manager of its own in a mount namespace, with the units as they are printed, but for who runs
//! them, where their output goes, shorter times, and a script in the place of this program.

mod every_night;
mod said;

use std::fs;
use std::path::Path;
use std::process::Command;

use every_night::{Machine, NAME};

/// The deadline, and how long a night that was told may take, seconds.
const SHORT: [(&str, &str); 2] = [
    ("TimeoutStartSec=4800", "TimeoutStartSec=2"),
    ("TimeoutStopSec=600", "TimeoutStopSec=2"),
];

/// How each night ends: what the script does, what systemd says of it, and what must be healed by
/// then: once after the night, and once more where the unit failed.
const ENDS: &[(&str, &str, &str, usize)] = &[
    ("held", "exit 0", "success", 1),
    ("broken", "exit 1", "success", 1),
    ("unproven", "exit 2", "success", 1),
    ("failed", "exit 3", "exit-code", 2),
    ("killed", "kill -9 $$", "signal", 2),
    (
        "too long",
        "trap 'echo told >>calls; kill $child; exit 2' INT\n\
         (trap 'echo child told >>calls' INT; exec sleep 60) & child=$!; wait",
        "timeout",
        2,
    ),
    ("deaf", "trap '' INT; sleep 60", "timeout", 2),
];

/// `$1` is the directory. The manager insists on a systemd below `/run`.
const MANAGER: &str = r#"
mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system || exit 9
export XDG_RUNTIME_DIR="$1/run" XDG_CONFIG_HOME="$1/config"
group=/sys/fs/cgroup/systemd; [ -d $group ] || group=/sys/fs/cgroup
mkdir $group/tidemark-test-$$ && echo $$ >$group/tidemark-test-$$/cgroup.procs || exit 9
/lib/systemd/systemd --user --unit=nothing.target >"$1/manager" 2>&1 &
manager=$!
trap 'kill $manager; wait $manager; echo $$ >$group/cgroup.procs; rmdir $group/tidemark-test-$$' EXIT
tries=0
until systemctl --user is-active -q nothing.target; do
    tries=$((tries + 1)); [ $tries -lt 100 ] || exit 9; sleep 0.1
done
shift
for end in "$@"; do
    cp "end-$end" bin/stand-in; : >calls
    systemctl --user start $NAME.service 2>/dev/null
    tries=0
    while systemctl --user is-active $NAME-heal.service | grep -q activ.*ing; do
        tries=$((tries + 1)); [ $tries -lt 100 ] || exit 9; sleep 0.1
    done
    systemctl --user show -p Result $NAME.service >"was-$end"
    cp calls "calls-$end"
    systemctl --user reset-failed
done
"#;

#[test]
#[ignore = "needs root and systemd's programs; 10 s: `make test-slow`"]
fn a_real_systemd_heals_however_the_night_ends() {
    let root = nix::unistd::Uid::effective().is_root();
    if !root || !Path::new("/lib/systemd/systemd").exists() {
        eprintln!("skipped: needs root and systemd's programs");
        return;
    }
    let machine = Machine::new();
    let at = machine.path("").display().to_string();
    let at = at.trim_end_matches('/');
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_tidemark")).expect("the binary");
    for (name, text) in machine.units(&[]) {
        let mut text = text.replace(
            &program.display().to_string(),
            &format!("{at}/bin/stand-in"),
        );
        for (long, short) in SHORT {
            text = text.replace(long, short);
        }
        let not_here = [
            "User=",
            "StandardOutput=",
            "StandardError=",
            "Wants=",
            "After=",
        ];
        let kept = text
            .lines()
            .filter(|l| !not_here.iter().any(|n| l.starts_with(n)));
        let text: Vec<&str> = kept.collect();
        machine.put(&format!("config/systemd/user/{name}"), &text.join("\n"));
    }
    let nothing = "[Unit]\nDefaultDependencies=no\n";
    machine.put("config/systemd/user/nothing.target", nothing);
    fs::create_dir(machine.path("run")).expect("made");
    machine.mode("run", 0o700);
    for (n, (_, ends, ..)) in ENDS.iter().enumerate() {
        machine.stand_in(&format!("[ \"$1\" != heal ] || exit 0\n{ends}"));
        let (from, to) = (
            machine.path("bin/stand-in"),
            machine.path(&format!("end-{n}")),
        );
        fs::rename(from, to).expect("renamed");
    }
    let script = MANAGER.replace("$NAME", NAME);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script, "sh", at]);
    command.args((0..ENDS.len()).map(|n| n.to_string()));
    let ended = command.current_dir(at).output().expect("unshare");
    let manager = fs::read_to_string(machine.path("manager")).unwrap_or_default();
    assert!(ended.status.success(), "{ended:?}\n{manager}");
    for (n, (what, _, result, heals)) in ENDS.iter().enumerate() {
        assert_eq!(
            machine.read(&format!("was-{n}")),
            format!("Result={result}\n"),
            "{what}"
        );
        let calls = machine.read(&format!("calls-{n}"));
        let began = calls.lines().next().unwrap_or_default();
        assert!(began.starts_with("nightly "), "{what}: {calls}");
        let healed = calls
            .lines()
            .filter(|line| line.starts_with("heal "))
            .count();
        assert_eq!(healed, *heals, "{what}: {calls}");
        let told = calls
            .lines()
            .filter(|line| line.contains("told"))
            .collect::<Vec<_>>();
        let wanted: &[&str] = if *what == "too long" { &["told"] } else { &[] };
        assert_eq!(told, wanted, "{what}: the night alone is told, and once");
    }
}
