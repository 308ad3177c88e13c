//! Nights that come by themselves: the units and the crontab's line, what they do when they are run,
//! what is refused, what is left alone, what `status` says.
//!
//! No root, no systemd, no cron: units go below a directory, `systemctl`, `crontab` and `logger` are
//! scripts that write down what they were asked. No night is run; a script stands in for it.

mod every_night;
mod said;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use every_night::{Machine, NAME};
use nix::fcntl::{Flock, FlockArg};
use said::{HARNESS, Said, USAGE};

/// What the units may say: section, directive, and the version of systemd that brought it, from its
/// NEWS and the manual pages (which give 183 to all that is older). CentOS 7 has 219; each name was
/// also looked up in the table of directives of that version's source.
const DIRECTIVES: &[(&str, &str, u32)] = &[
    ("Unit", "Description", 183),
    ("Unit", "Wants", 183),
    ("Unit", "After", 183),
    ("Unit", "OnFailure", 183),
    ("Service", "Type", 183),
    ("Service", "User", 183),
    ("Service", "WorkingDirectory", 183),
    ("Service", "Environment", 183),
    ("Service", "EnvironmentFile", 183),
    ("Service", "StandardOutput", 183),
    ("Service", "StandardError", 183),
    ("Service", "SyslogIdentifier", 183),
    ("Service", "LimitNOFILE", 183),
    ("Service", "ExecStart", 183),
    ("Service", "ExecStopPost", 183),
    ("Service", "TimeoutStartSec", 188),
    ("Service", "TimeoutStopSec", 188),
    ("Service", "SuccessExitStatus", 189),
    ("Service", "KillMode", 183),
    ("Service", "KillSignal", 183),
    ("Timer", "OnCalendar", 197),
    ("Timer", "Persistent", 212),
    ("Timer", "Unit", 183),
    ("Install", "WantedBy", 183),
];

/// Values that came later than their directive.
const VALUES: &[(&str, &str, u32)] = &[
    ("KillMode", "mixed", 209),
    ("Type", "oneshot", 183),
    ("StandardOutput", "journal", 183),
    ("StandardError", "journal", 183),
];

const CENTOS7: u32 = 219;

type Unit = BTreeMap<(String, String), String>;

/// A unit as systemd reads it, without any of its forms that are seldom needed: no line continued,
/// no directive twice, nothing quoted, no `%` and no `$`.
fn parsed(text: &str) -> Unit {
    let mut unit = Unit::new();
    let mut section = None;
    for line in text.lines() {
        assert_eq!(line, line.trim(), "blanks around: {line:?}");
        assert!(!line.ends_with('\\'), "continued: {line}");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = Some(name.to_owned());
            continue;
        }
        let section = section.clone().expect("a section before directives");
        let (key, value) = line.split_once('=').expect("NAME=VALUE");
        assert!(!value.is_empty(), "{line}");
        assert!(!value.contains(['%', '$', '"', '\'', ';', '\\']), "{line}");
        let known = DIRECTIVES
            .iter()
            .find(|(s, k, _)| (*s, *k) == (&section, key));
        let (.., since) = known.unwrap_or_else(|| panic!("[{section}] {key} is in no table"));
        assert!(*since <= CENTOS7, "{key} came with systemd {since}");
        if let Some((.., since)) = VALUES.iter().find(|(k, v, _)| (*k, *v) == (key, value)) {
            assert!(*since <= CENTOS7, "{line} came with systemd {since}");
        }
        let twice = unit.insert((section, key.to_owned()), value.to_owned());
        assert_eq!(twice, None, "{line} is there twice");
    }
    unit
}

fn get<'a>(unit: &'a Unit, section: &str, key: &str) -> &'a str {
    let key = (section.to_owned(), key.to_owned());
    unit.get(&key)
        .unwrap_or_else(|| panic!("no {key:?} in {unit:?}"))
}

#[test]
fn units_are_strict_and_older_than_219() {
    let machine = Machine::new();
    let units = machine.units(&["--at", "23:05"]);
    let names: Vec<&str> = units.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            format!("{NAME}-heal.service"),
            format!("{NAME}.service"),
            format!("{NAME}.timer")
        ]
    );
    let [healer, service, timer] = units.values().collect::<Vec<_>>()[..] else {
        panic!("three units");
    };
    let (healer, service, timer) = (parsed(healer), parsed(service), parsed(timer));
    let program = env!("CARGO_BIN_EXE_tidemark");
    let program = fs::canonicalize(program).expect("the binary");
    let (program, at) = (program.display(), machine.path("").display().to_string());
    let at = at.trim_end_matches('/');
    let night =
        format!("{program} nightly {at}/small.toml --lab {at}/lab.toml --results {at}/results");
    assert_eq!(get(&service, "Service", "ExecStart"), night);
    let heal = format!("{program} heal {at}/lab.toml");
    assert_eq!(get(&service, "Service", "ExecStopPost"), heal);
    assert_eq!(get(&healer, "Service", "ExecStart"), heal);
    for (key, value) in [
        ("Type", "oneshot"),
        ("TimeoutStartSec", "4800"),
        ("KillMode", "mixed"),
        ("KillSignal", "SIGINT"),
        ("TimeoutStopSec", "600"),
        ("SuccessExitStatus", "1 2"),
        ("StandardOutput", "journal"),
        ("SyslogIdentifier", NAME),
        ("WorkingDirectory", at),
        ("EnvironmentFile", "-/etc/tidemark/nightly.env"),
    ] {
        assert_eq!(get(&service, "Service", key), value);
    }
    // HOME is set only for a service that says who runs it; Kafka's jars are cached below it.
    for unit in [&service, &healer] {
        assert_eq!(get(unit, "Service", "User"), "root");
    }
    assert_eq!(
        get(&service, "Unit", "OnFailure"),
        format!("{NAME}-heal.service")
    );
    assert_eq!(get(&timer, "Timer", "OnCalendar"), "*-*-* 23:05:00");
    assert_eq!(get(&timer, "Timer", "Persistent"), "true");
    assert_eq!(get(&timer, "Timer", "Unit"), format!("{NAME}.service"));
    assert_eq!(get(&timer, "Install", "WantedBy"), "timers.target");
}

#[test]
fn systemd_itself_finds_nothing_to_say() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: there is no systemd-analyze here (the test above reads the units too)");
        return;
    }
    let machine = Machine::new();
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify");
    for (name, text) in machine.units(&[]) {
        verify.arg(said::put(machine.path("").as_path(), &name, &text));
    }
    let said = Said::of(verify.output().expect("systemd-analyze"));
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
}

#[test]
fn the_crontab_has_one_line_that_a_shell_can_read() {
    let machine = Machine::new();
    let (mark, line) = machine.line(&["--at", "03:07"]);
    assert!(mark.starts_with("# tidemark nightly: {"), "{mark}");
    let fields: Vec<&str> = line.splitn(6, ' ').collect();
    assert_eq!(fields[..5], ["7", "3", "*", "*", "*"]);
    let job = fields[5];
    assert!(
        !job.contains('%'),
        "cron ends a line at a percent sign: {job}"
    );
    assert!(line.len() < 998, "{} bytes", line.len());
    let read = Command::new("sh")
        .args(["-n", "-c", job])
        .output()
        .expect("sh");
    assert_eq!((read.status.code(), &*read.stderr), (Some(0), &b""[..]));
    for part in [
        "timeout --foreground -s INT -k 600 4800 ",
        " heal ",
        "flock -n -o ",
        &format!("2>&1 | logger -t {NAME}"),
    ] {
        assert_eq!(job.matches(part).count(), 1, "{part:?} in {job}");
    }
}

/// A script stands in for this program; what it is called with stands in `calls`.
#[test]
fn the_line_heals_however_the_night_ends() {
    let machine = Machine::new();
    machine.put(
        "secrets",
        "# of the night\nHOOK='https://a.example/?b=c&d=e f'\n",
    );
    machine.mode("secrets", 0o600);
    for (what, ends, told) in [
        ("held", "exit 0", "exit code 0"),
        ("broken", "exit 1", "exit code 1"),
        ("failed", "exit 3", "exit code 3"),
        ("killed", "kill -9 $$", "exit code 137"),
    ] {
        machine.stand_in(&format!("[ \"$1\" = heal ] || {ends}"));
        machine.run_line();
        let calls = machine.calls();
        let [night, heal] = calls.as_slice() else {
            panic!("{what}: {calls:?}");
        };
        assert!(
            night.starts_with("nightly ") && night.contains(" --lab "),
            "{night}"
        );
        assert!(heal.starts_with("heal "), "{heal}");
        assert!(
            machine.logged().contains(told),
            "{what}: {}",
            machine.logged()
        );
    }
    machine.stand_in("echo \"$HOOK\"; [ \"$1\" = nightly ]");
    machine.run_line();
    let logged = machine.logged();
    assert!(
        logged.contains("https://a.example/?b=c&d=e f\n"),
        "{logged}"
    );
    assert!(logged.contains("healing failed: do it by hand"), "{logged}");
    assert!(logged.starts_with(&format!("-t {NAME}\n")), "{logged}");
}

#[test]
fn a_night_that_goes_on_keeps_the_next_from_beginning() {
    let machine = Machine::new();
    machine.stand_in("true");
    let lock = machine.path(&format!("results/{NAME}.lock"));
    fs::create_dir(machine.path("results")).expect("made");
    let file = fs::File::create(&lock).expect("made");
    let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).expect("free");
    machine.run_line();
    assert_eq!(
        machine.calls(),
        Vec::<String>::new(),
        "healing would harm it"
    );
    let logged = machine.logged();
    assert!(
        logged.contains("not begun: another night holds"),
        "{logged}"
    );
    drop(held);

    // What a night leaves running, as a lab that stays up, does not hold the lock.
    machine
        .stand_in("[ \"$1\" = heal ] || { sleep 600 >/dev/null 2>&1 </dev/null & echo $! >left; }");
    machine.run_line();
    let file = fs::File::open(&lock).expect("there");
    let free = Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok();
    let left = fs::read_to_string(machine.path("left")).expect("a pid");
    let killed = Command::new("kill")
        .arg(left.trim())
        .status()
        .expect("kill");
    assert!(killed.success(), "it was still there");
    assert!(free, "the lock is free");
}

#[test]
fn a_timer_is_installed_once_and_removed_whole() {
    let machine = Machine::booted();
    let said = machine.tidemark(&["install"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("every night at 02:00, the next on "),
        "{said:?}"
    );
    assert!(
        said.out.contains(&format!("journalctl -t {NAME}")),
        "{said:?}"
    );
    let timer = format!("{NAME}.timer");
    let [enable, start, stop, disable] =
        ["enable", "start", "stop", "disable"].map(|verb| format!("{verb} {timer}"));
    let reload = "daemon-reload".to_owned();
    let asked = machine.systemctl();
    assert_eq!(asked, [reload.clone(), enable.clone(), start.clone()]);
    assert!(machine.path("results").is_dir());
    let there = machine.installed();
    assert_eq!(
        there,
        machine.units(&[]),
        "what is printed is what is installed"
    );

    // systemd notes when the timer came due; with that note and another time, it would be due now.
    let note = format!("root/var/lib/systemd/timers/stamp-{timer}");
    machine.put(&note, "");
    let again = machine.tidemark(&["install"]);
    assert!(again.out.contains("(as before)"), "{again:?}");
    assert_eq!(machine.installed(), there);
    let asked = machine.systemctl();
    assert_eq!(asked, [reload.clone(), enable.clone(), start.clone()]);
    assert!(
        machine.path(&note).exists(),
        "nothing changed: a missed night is made up for"
    );
    let later = machine.tidemark(&["install", "--at", "04:30"]);
    assert!(!later.out.contains("(as before)"), "{later:?}");
    assert!(machine.installed()[&timer].contains("OnCalendar=*-*-* 04:30:00\n"));
    let asked = machine.systemctl();
    assert_eq!(asked, [reload.clone(), stop.clone(), enable, start]);
    assert!(!machine.path(&note).exists());
    machine.put(&note, "");

    machine.put("root/etc/systemd/system/other.timer", "[Timer]\n");
    let said = machine.tidemark(&["uninstall"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("its nights stay in"), "{said:?}");
    let is_active = format!("is-active {NAME}.service");
    assert_eq!(machine.systemctl(), [is_active, stop, disable, reload]);
    assert!(!machine.path(&note).exists());
    assert_eq!(
        machine.installed().keys().collect::<Vec<_>>(),
        ["other.timer"]
    );
    machine.tidemark(&["uninstall"]).refuses(
        USAGE,
        &["no night is installed here: there is nothing to take away"],
    );
}

#[test]
fn a_crontab_keeps_every_other_line() {
    let machine = Machine::new();
    let others =
        "MAILTO=\"\"\n# mine\n*/5 * * * * echo 100\\% | logger -t tidemark-x\n\n@daily true";
    machine.put("crontab", others);
    let said = machine.tidemark(&["install", "--cron"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("by the crontab of"), "{said:?}");
    let (mark, line) = machine.line(&[]);
    let with = fs::read_to_string(machine.path("crontab")).expect("a crontab");
    assert!(
        with.starts_with(&format!("{others}\n# Written by")),
        "{with}"
    );
    assert!(with.ends_with(&format!("\n{mark}\n{line}\n")), "{with}");

    let again = machine.tidemark(&["install", "--cron"]);
    assert!(again.out.contains("(as before)"), "{again:?}");
    assert_eq!(
        fs::read_to_string(machine.path("crontab")).expect("it"),
        with
    );
    // Somebody writes below it; another time replaces the line and nothing else.
    machine.put("crontab", &format!("{with}@reboot true\n"));
    machine.tidemark(&["install", "--cron", "--at", "05:00"]);
    let moved = fs::read_to_string(machine.path("crontab")).expect("it");
    assert_eq!(moved.matches("tidemark nightly: ").count(), 1, "{moved}");
    assert!(moved.contains("@reboot true\n# Written by"), "{moved}");
    let said = machine.tidemark(&["uninstall", "small-farm"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let left = fs::read_to_string(machine.path("crontab")).expect("it");
    assert_eq!(left, format!("{others}\n@reboot true\n"));
}

#[test]
fn what_cannot_run_every_night_is_refused() {
    let machine = Machine::booted();
    machine.put("broken.toml", "name = 5\n");
    machine.put("odd name.toml", &machine.read("small.toml"));
    for (args, words) in [
        (
            &["install", "weekly"][..],
            &["no suite is called `weekly`"][..],
        ),
        (&["install", "gone.toml"], &["gone.toml"]),
        (&["install", "broken.toml"], &["broken.toml:1"]),
        (
            &["install", "--lab", "lokal"],
            &["there is no lab `lokal`", "did you mean `local`?"],
        ),
        (
            &["install", "--as", "no-such-user"],
            &["there is no user `no-such-user`"],
        ),
        (
            &["install", "odd name.toml"],
            &["the suite's path", "cannot stand in a unit or a crontab"],
        ),
        (
            &["install", "--results", "a%b"],
            &["the results' path", "use letters, digits"],
        ),
        (
            &["install", "--secrets", "a$b"],
            &["the path of the variables' file"],
        ),
        (&["uninstall"], &["no night is installed here"]),
    ] {
        machine.tidemark_with(args).refuses(USAGE, words);
    }
    machine
        .tidemark_with(&["install", "--as", "nobody"])
        .refuses(
            USAGE,
            &["local is a lab of namespaces, which only root can make"],
        );
    for at in [
        "2:00",
        "24:00",
        "12:60",
        "0200",
        "+1:00",
        "02:00:00",
        "Mon 02:00",
        "",
    ] {
        let said = machine.tidemark_with(&["install", "--at", at]);
        assert_eq!(said.code, Some(USAGE), "{said:?}");
        assert!(
            said.err.contains(&format!("`{at}` is no time of day")),
            "{said:?}"
        );
    }
    assert!(machine.installed().is_empty());
    assert_eq!(machine.systemctl(), Vec::<String>::new());
}

#[test]
fn a_line_that_cron_would_cut_is_refused() {
    let machine = Machine::new();
    let long = format!("--results={}", "deep/".repeat(60));
    machine
        .tidemark(&["install", "--cron", "--print", &long])
        .refuses(USAGE, &["bytes, and cron takes 990: shorten"]);
}

#[test]
fn a_machine_that_cannot_do_it_says_what_can() {
    let machine = Machine::new();
    machine.tidemark(&["install"]).refuses(
        HARNESS,
        &[
            "systemd does not run on this machine",
            "`--cron`",
            "`--print`",
        ],
    );
    let machine = Machine::booted();
    machine.put("failing", "Failed to connect to bus");
    machine.tidemark(&["install"]).refuses(
        HARNESS,
        &["`systemctl daemon-reload` failed: Failed to connect to bus"],
    );
    let machine = Machine::new();
    machine.put("cron-fails", "you are not allowed to use this program");
    let said = machine.tidemark(&["install", "--cron"]);
    said.refuses(HARNESS, &["`crontab -l` failed: you are not allowed"]);
    let said = machine.tidemark(&["status"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out
            .contains("`crontab -l` failed: you are not allowed"),
        "{said:?}"
    );
    assert!(
        !machine.path("crontab").exists(),
        "what could not be read is not written over"
    );
    fs::remove_file(machine.path("bin/logger")).expect("it was there");
    fs::remove_file(machine.path("bin/crontab")).expect("it was there");
    machine.tidemark(&["install", "--cron"]).refuses(
        HARNESS,
        &["this machine has no crontab, logger: install it, or `--print`"],
    );
}

#[test]
fn secrets_that_others_may_read_are_refused() {
    let machine = Machine::booted();
    // The suite tells a webhook; until its variable is there, that is said.
    let said = machine.tidemark(&["install", "--print"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.err
            .starts_with("note: $HOOK is not set in /etc/tidemark/"),
        "{said:?}"
    );
    let file = "root/etc/tidemark/nightly.env";
    machine.put(file, "# of the night\nHOOK='https://a.example/'\n");
    for mode in [0o640, 0o604] {
        machine.mode(file, mode);
        for form in [
            &[][..],
            &["--cron", "--secrets", "/etc/tidemark/nightly.env"],
        ] {
            let said = machine.tidemark(&[&["install"], form].concat());
            said.refuses(
                HARNESS,
                &["holds secrets and others may read it: `chmod 600 "],
            );
        }
    }
    machine.mode(file, 0o600);
    assert!(machine.installed().is_empty() && !machine.path("crontab").exists());
    let said = machine.tidemark(&["install"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    for (_, text) in machine.installed() {
        assert!(!text.contains("a.example"), "{text}");
    }
    fs::create_dir_all(machine.path("root/srv")).expect("made");
    machine.tidemark(&["install", "--secrets", "/srv"]).refuses(
        HARNESS,
        &["is to hold variables, and is no file: name another by --secrets"],
    );
}

#[test]
fn what_somebody_else_wrote_stays() {
    let machine = Machine::booted();
    let own = format!("root/etc/systemd/system/{NAME}-heal.service");
    machine.put(&own, "[Service]\nExecStart=/bin/true\n");
    machine.tidemark(&["install"]).refuses(
        HARNESS,
        &["-heal.service was not written by tidemark and stays as it is: move it away first"],
    );
    assert_eq!(machine.read(&own), "[Service]\nExecStart=/bin/true\n");
    assert_eq!(machine.installed().len(), 1, "nothing was begun");
    assert_eq!(machine.systemctl(), Vec::<String>::new());
    fs::remove_file(machine.path(&own)).expect("it was there");

    // Two names that come to the same.
    machine.tidemark(&["install"]);
    machine.put(
        "suite2.toml",
        &machine
            .read("small.toml")
            .replace("\"small\"", "\"small-farm\""),
    );
    machine.put(
        "lab2.toml",
        &machine.read("lab.toml").replace("\"farm\"", "\"b\""),
    );
    machine.put("suite3.toml", &machine.read("small.toml"));
    machine.put(
        "lab3.toml",
        &machine.read("lab.toml").replace("\"farm\"", "\"farm-b\""),
    );
    let done = machine.tidemark_with(&["install", "suite2.toml", "--lab", "lab2.toml"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    machine
        .tidemark_with(&["install", "suite3.toml", "--lab", "lab3.toml"])
        .refuses(
            HARNESS,
            &["belongs to suite small-farm on lab b: give the suite or the lab"],
        );
    machine.tidemark(&["uninstall"]).refuses(
        USAGE,
        &["several nights are installed here; name one of them: small-farm, small-farm-b"],
    );
    machine.tidemark(&["uninstall", "small"]).refuses(
        USAGE,
        &["no night called `small` is installed here, but small-farm, "],
    );

    // Both forms at once would be two nights at once.
    machine.tidemark(&["install", "--cron"]).refuses(
        HARNESS,
        &["has a timer already: `tidemark nightly uninstall small-farm` first"],
    );
    let machine = Machine::booted();
    machine.tidemark(&["install", "--cron"]);
    let user = machine.user();
    machine
        .tidemark(&["install", "--as", &user])
        .refuses(HARNESS, &["is in the crontab of", "twice a night"]);
    let edited = machine
        .read("crontab")
        .replace("| logger", "| cat; : logger");
    machine.put("crontab", &edited);
    machine.tidemark(&["uninstall"]).refuses(
        HARNESS,
        &["the line after small-farm's mark in the crontab is not the one"],
    );
    assert_eq!(machine.read("crontab"), edited);
}

#[test]
fn a_night_that_goes_on_is_not_uninstalled() {
    let machine = Machine::booted();
    machine.tidemark(&["install"]);
    machine.put(&format!("active-{NAME}.service"), "activating");
    machine.tidemark(&["uninstall"]).refuses(
        HARNESS,
        &[
            "a night of small-farm goes on",
            "`systemctl stop tidemark-small-farm.service`",
        ],
    );
    assert_eq!(machine.installed().len(), 3);
}

#[test]
fn status_tells_of_the_last_night_and_the_next() {
    let machine = Machine::booted();
    let said = machine.tidemark(&["status"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out
            .starts_with("no night is installed here: `tidemark nightly install"),
        "{said:?}"
    );
    assert!(said.out.contains("results: no night yet"), "{said:?}");

    machine.tidemark(&["install", "--at", "02:30"]);
    let said = machine.tidemark(&["status"]);
    assert_eq!(said.code, Some(HARNESS), "{said:?}");
    assert!(
        said.out
            .contains("next: unknown: the timer is inactive; start it by"),
        "{said:?}"
    );
    machine.put(&format!("active-{NAME}.timer"), "active");
    machine.night("2026-11-20", Some("2026-11-20T01:20:00Z"), None);
    let said = machine.tidemark(&["status"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let timer = format!("small-farm: every night at 02:30, by {NAME}.timer");
    assert!(said.out.starts_with(&timer), "{said:?}");
    assert!(said.out.contains(" 02:30 "), "{said:?}");
    let ended =
        "  last: 2026-11-20, small on farm, ended 2026-11-20 01:20 UTC, exit code 2. Unproven.";
    assert!(said.out.contains(ended), "{said:?}");

    machine.night(
        "2026-11-21",
        Some("2026-11-21T01:20:00Z"),
        Some("no canary was run"),
    );
    machine.night("2026-11-22", None, None);
    machine.put("results/nights/2026-11-23.json", "{}");
    let said = machine.tidemark(&["status"]);
    let lines: Vec<&str> = said.out.lines().collect();
    let [.., count, unread, torn, before] = lines.as_slice() else {
        panic!("{said:?}");
    };
    assert!(count.ends_with("results: 4 nights"), "{said:?}");
    assert!(
        unread.contains("not read: ") && unread.contains("2026-11-23.json is no night"),
        "{said:?}"
    );
    let word =
        "last: 2026-11-22, small on farm, began 2026-11-22 01:00 UTC. Torn. The night did not";
    assert!(torn.contains(word), "{said:?}");
    assert!(
        before.contains("before that: 2026-11-21") && before.contains("exit code 3. Void."),
        "{said:?}"
    );

    let said = machine.tidemark(&["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let one = &json["installed"][0];
    assert_eq!(
        (&one["at"], &one["suite"]),
        (&"02:30".into(), &"small".into()),
        "{json}"
    );
    assert_eq!(one["idle"], serde_json::Value::Null);
    let next = one["next"].as_str().expect("a time");
    let next = chrono::DateTime::parse_from_rfc3339(next).expect("a time");
    assert_eq!(next.format("%H:%M:%S").to_string(), "02:30:00");
    assert_eq!(json["results"][0]["last"]["exit_code"], 3);
    assert_eq!(json["results"][0]["nights"], 4);
}

/// The words of the installed command are words of this program.
#[test]
fn what_is_installed_is_a_command_of_this_program() {
    let machine = Machine::new();
    let units = machine.units(&[]);
    for directive in ["ExecStart", "ExecStopPost"] {
        let service = parsed(&units[&format!("{NAME}.service")]);
        let words: Vec<String> = get(&service, "Service", directive)
            .split(' ')
            .map(str::to_owned)
            .collect();
        let ended = Command::new(&words[0])
            .args(&words[1..])
            .arg("--help")
            .stdin(Stdio::null())
            .output()
            .expect("it starts");
        assert!(ended.status.success(), "{words:?}: {}", Said::of(ended).err);
        let mode = fs::metadata(&words[0])
            .expect("the program")
            .permissions()
            .mode();
        assert_ne!(mode & 0o111, 0);
    }
}
