//! Bad input gets one sentence (place, what, remedy) and the right exit code. No lab, no root, no
//! network: what needs a host is in `bad_lab.rs`.

mod said;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use history::rundir::{Ended, RunDir};
use history::{Call, ClientId, Event, Mark, OpId, Phase, Recorder, RunId, Setting};
use said::{HARNESS, Said, UNPROVEN, USAGE, command, line_of, plan, tidemark};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn put(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// Usage errors are clap's, over several lines, with our exit code.
#[test]
fn usage() {
    let at = dir();
    for (args, word) in [
        (&[][..], "Usage: tidemark"),
        (&["frob"], "unrecognized subcommand 'frob'"),
        (&["run"], "<PLAN>"),
        (&["check"], "<RUN>"),
        (
            &["plan", "demo", "--seed", "abc"],
            "a seed is a whole number from 0 to",
        ),
        (
            &["run", "demo", "--seed", "-1"],
            "a seed is a whole number from 0 to",
        ),
        (&["run", "demo", "--sed", "1"], "'--seed'"),
        (&["lab", "shell", "x1"], "`x1` is not of the form n<number>"),
        (&["run", "demo", "--tarball", "x.tgz"], "--sha512"),
        (
            &["run", "demo", "--tarball", "x.tgz", "--sha512", "abc"],
            "a SHA-512 is 128 hexadecimal digits",
        ),
    ] {
        let said = tidemark(at.path(), args);
        assert_eq!(said.code, Some(USAGE), "{said:?}");
        assert!(said.err.contains(word), "{word:?}: {said:?}");
        assert!(said.out.is_empty(), "{said:?}");
    }
    let help = tidemark(at.path(), &["--help"]);
    assert_eq!(help.code, Some(0), "{help:?}");
    nothing_in(at.path());
}

#[test]
fn plans_that_cannot_be_found_or_read() {
    let at = dir();
    let binary = at.path().join("binary.toml");
    fs::write(&binary, [0xff, 0xfe, 0x00]).expect("written");
    for verb in ["run", "plan"] {
        let ask = |plan: &str| tidemark(at.path(), &[verb, plan]);
        let said = ask("demoo");
        assert_eq!(said.code, Some(USAGE), "{said:?}");
        let said = said.err;
        assert!(said.contains("`demoo`; did you mean `demo`?"), "{said}");
        assert!(said.contains("`standard-storm`"), "all names: {said}");
        ask("/").refuses(USAGE, &["the plan /: ", "name one of the plans in it"]);
        ask("gone.toml").refuses(USAGE, &["the plan gone.toml: ", "need no file are demo, "]);
        ask("./binary.toml").refuses(USAGE, &["plan ./binary.toml: ", "a plan is a TOML file"]);
    }
}

#[test]
fn schedules_that_cannot_be_read() {
    let at = dir();
    put(at.path(), "other.toml", "steps = 7\n");
    let ask = |schedule: &str| tidemark(at.path(), &["run", "quiet", "--schedule", schedule]);
    ask("gone.toml").refuses(USAGE, &["cannot read gone.toml"]);
    ask("other.toml").refuses(USAGE, &["other.toml:1: "]);
    nothing_but(at.path(), &["other.toml"]);
}

#[test]
fn plans_that_are_wrong_name_the_line_and_the_nearest_word() {
    let at = dir();
    let property = |p: &str| plan(&format!("properties = {{ {p} }}"));
    for (text, needle, words) in [
        (
            plan("").replace("min_insync_replicas", "min_insync_replica"),
            "min_insync_replica",
            &[
                "unknown key `topics.ledger.min_insync_replica`",
                "did you mean `min_insync_replicas`?",
            ][..],
        ),
        (
            plan("profil = \"x\""),
            "profil =",
            &["`cluster.profil`", "did you mean `profile`?"],
        ),
        (
            property("\"unclean.leader.election.enabled\" = \"true\""),
            "unclean",
            &[
                "no broker property `unclean.leader.election.enabled`",
                "did you mean `unclean.leader.election.enable`?",
            ],
        ),
        (
            property("\"num.io.threads\" = \"many\""),
            "num.io",
            &["`num.io.threads` is a 32-bit integer, not `many`"],
        ),
        (
            plan("").replace(
                "\n[topics.ledger.load]",
                "properties = { \"retention.mss\" = \"1\" }\n[topics.ledger.load]",
            ),
            "retention",
            &[
                "no topic property `retention.mss`",
                "did you mean `retention.ms`?",
            ],
        ),
        (
            plan("").replace("wait 60s", "wiat 60s"),
            "wiat",
            &["did you mean `wait`?"],
        ),
        (plan("").replace("name = ", "name == "), "name ==", &[]),
    ] {
        let path = put(at.path(), "p.toml", &text);
        let place = format!("p.toml:{}: ", line_of(&text, needle));
        let words = [&[place.as_str()], words].concat();
        tidemark(at.path(), &["plan", "p.toml"]).refuses(USAGE, &words);
        tidemark(at.path(), &["run", "p.toml"]).refuses(USAGE, &words);
        fs::remove_file(path).expect("removed");
    }
    nothing_in(at.path());
}

#[test]
fn labs_that_are_unknown_or_wrong() {
    let at = dir();
    let local = include_str!("../../../labs/local.toml");
    let misspelt = local.replacen("address =", "adress =", 1);
    put(at.path(), "l.toml", &misspelt);
    let place = format!("l.toml line {}: ", line_of(&misspelt, "adress"));
    for verb in [
        &["run", "quiet", "--lab"][..],
        &["heal"],
        &["lab", "up"],
        &["lab", "down"],
        &["lab", "status"],
        &["lab", "claim"],
    ] {
        let ask = |lab: &str| tidemark(at.path(), &[verb, &[lab]].concat());
        ask("locall").refuses(
            USAGE,
            &["no lab `locall`", "did you mean `local`?", "centos7, local"],
        );
        ask("./gone.toml").refuses(USAGE, &["the lab file ./gone.toml: "]);
        ask("./l.toml").refuses(USAGE, &[&place, "did you mean `address`?"]);
        ask("centos7").refuses(USAGE, &["n0 still has the address 192.0.2.27"]);
    }
    tidemark(at.path(), &["lab", "shell", "n9"]).refuses(USAGE, &["has no host n9", "n0, n1, n2"]);
    put(at.path(), "m.toml", &machines(22));
    for verb in ["up", "down", "status"] {
        let said = tidemark(at.path(), &["lab", verb, "m.toml"]);
        said.refuses(USAGE, &["m.toml is made of real machines"]);
    }
}

/// One machine that is this one, by loopback.
fn machines(port: u16) -> String {
    format!(
        "name = \"m\"\nkind = \"machines\"\ndir = \"/nowhere/tidemark\"\n[login]\nport = {port}\n\
         [[hosts]]\nnode = \"n0\"\nname = \"n0\"\naddress = \"127.0.0.1\"\n"
    )
}

#[test]
fn a_host_that_refuses() {
    let at = dir();
    // Port 1 (tcpmux) has had no listener for decades.
    put(at.path(), "m.toml", &machines(1));
    let port = "n0: 127.0.0.1 refuses SSH on port 1:";
    for verb in [&["lab", "claim"][..], &["heal"]] {
        let said = tidemark(at.path(), &[verb, &["m.toml"]].concat());
        said.refuses(HARNESS, &[port, "start sshd there"]);
    }
}

#[test]
fn results_that_cannot_be_kept() {
    let at = dir();
    put(at.path(), "m.toml", &machines(1));
    let file = put(at.path(), "file", "");
    let said = tidemark(
        at.path(),
        &["run", "quiet", "--lab", "m.toml", "--results", &file],
    );
    said.refuses(HARNESS, &["cannot keep runs in ", "--results"]);
}

#[test]
fn without_root() {
    let at = dir();
    let binary = at.path().join("tidemark");
    fs::copy(env!("CARGO_BIN_EXE_tidemark"), &binary).expect("copied");
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(at.path(), open).expect("opened");
    for args in [
        &["run", "quiet"][..],
        &["lab", "up"],
        &["lab", "status"],
        &["lab", "down"],
        &["heal", "local"],
    ] {
        let mut command = Command::new(&binary);
        command
            .args(args)
            .current_dir(at.path())
            .env_remove("TIDEMARK_RESULTS");
        if nix::unistd::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        let said = Said::of(command.output().expect("the binary starts"));
        said.refuses(HARNESS, &["needs root: run the same command with sudo"]);
    }
    fs::remove_file(binary).expect("removed");
    nothing_in(at.path());
}

/// A run directory with this history, sealed as `ended` says.
fn run_dir(results: &Path, events: Vec<Event>, ended: Option<Ended>) -> PathBuf {
    let run = RunId::from_number(7);
    let started = chrono::DateTime::UNIX_EPOCH;
    let dir = RunDir::create(results, started, "short", run).expect("a run directory");
    fs::write(dir.plan_toml(), plan("")).expect("a plan");
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (pen, recorder) = Recorder::create(&dir.history_file()).expect("a history");
        pen.write_all(events);
        drop(pen);
        let counts = recorder.close().await.expect("written");
        if let Some(ended) = ended {
            dir.seal(ended, counts).expect("sealed");
        }
    });
    dir.path().to_owned()
}

fn phases(count: u64) -> Vec<Event> {
    let phase = Phase::Setup;
    (0..count)
        .map(|n| Event::Phase { at: Mark(n), phase })
        .collect()
}

#[test]
fn what_is_no_run_directory() {
    let at = dir();
    let file = put(at.path(), "file", "");
    for verb in ["check", "report", "history"] {
        for place in [".", "/nowhere", &file] {
            let said = tidemark(at.path(), &[verb, place]);
            said.refuses(
                USAGE,
                &[place, "is not a run directory", "below results/runs"],
            );
        }
    }
    nothing_but(at.path(), &["file"]);
}

#[test]
fn a_run_directory_of_a_newer_format() {
    let at = dir();
    let run = run_dir(at.path(), phases(1), Some(Ended::Completed));
    let seal = fs::read_to_string(run.join("seal.json")).expect("a seal");
    let newer = seal.replace("\"format\": 1", "\"format\": 2, \"unheard\": [of]");
    assert_ne!(newer, seal);
    fs::write(run.join("seal.json"), newer.replace("[of]", "{}")).expect("written");
    let run = run.display().to_string();
    for verb in ["check", "report", "history"] {
        let said = tidemark(at.path(), &[verb, &run]);
        said.refuses(
            USAGE,
            &[
                &run,
                "a newer Tidemark (format 2; this one reads up to 1)",
                "upgrade",
            ],
        );
    }
}

#[test]
fn a_run_directory_that_was_damaged() {
    let at = dir();
    let run = run_dir(at.path(), phases(1), None);
    let damage = |name: &str, text: Option<&str>| {
        let path = run.join(name);
        let before = fs::read(&path).ok();
        match text {
            Some(text) => fs::write(&path, text).expect("written"),
            None => fs::remove_file(&path).expect("removed"),
        }
        let said = tidemark(at.path(), &["check", &run.display().to_string()]);
        match before {
            Some(bytes) => fs::write(&path, bytes).expect("written"),
            None => fs::remove_file(&path).expect("removed"),
        }
        said
    };
    damage("seal.json", Some("{")).refuses(USAGE, &["seal.json cannot be understood"]);
    damage("setting.json", Some("{\"run\": 3}"))
        .refuses(USAGE, &["setting.json cannot be understood"]);
    fs::write(run.join("setting.json"), "{}").expect("written");
    damage("plan.toml", None).refuses(USAGE, &["cannot read ", "plan.toml"]);
    damage("plan.toml", Some("nam = 1")).refuses(USAGE, &["plan.toml:1: unknown key `nam`"]);
    damage("history/events.tmh", None).refuses(USAGE, &["cannot read ", "events.tmh"]);
    let garbage = Some("this is somebody's diary, not a history");
    damage("history/events.tmh", garbage).refuses(USAGE, &["is not a history"]);
}

#[test]
fn a_run_that_ended_before_its_load_says_why() {
    let at = dir();
    let why = "in setup: n1: port 9092 is in use by another program";
    for (ended, words) in [
        (
            None,
            "was killed, or is still going on, before its load began",
        ),
        (
            Some(Ended::Failed {
                why: why.to_owned(),
                phase: Some(Phase::Setup),
            }),
            "failed before its load began: in setup: n1: port 9092 is in use",
        ),
        (
            Some(Ended::Interrupted {
                signal: "INT".to_owned(),
                phase: Some(Phase::Setup),
            }),
            "before its load began: interrupted by INT in setup",
        ),
    ] {
        let results = dir();
        let run = run_dir(results.path(), phases(1), ended);
        let said = tidemark(at.path(), &["check", &run.display().to_string()]);
        assert_eq!(said.code, Some(UNPROVEN), "{said:?}");
        assert!(
            said.err.starts_with("unproven: ") && said.err.contains(words),
            "{said:?}"
        );
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
    }
    let results = dir();
    let run = run_dir(results.path(), phases(1), None);
    let opened = RunDir::open(&run).expect("a run directory");
    opened.write_setting(&setting()).expect("a setting");
    let counts = history::Counts::default();
    opened.seal(Ended::Completed, counts).expect("sealed");
    fs::remove_file(run.join("setting.json")).expect("removed");
    tidemark(at.path(), &["check", &run.display().to_string()])
        .refuses(USAGE, &["setting.json was sealed and is gone"]);
}

/// A history is read up to its tear; what is left proves nothing, and both are said.
#[test]
fn a_torn_history() {
    let at = dir();
    let run = run_dir(at.path(), phases(3), None);
    let opened = RunDir::open(&run).expect("a run directory");
    opened.write_setting(&setting()).expect("a setting");
    let path = opened.history_file();
    let whole = fs::read(&path).expect("a history");
    fs::write(&path, &whole[..whole.len() - 1]).expect("written");
    let run = run.display().to_string();
    let said = tidemark(at.path(), &["history", &run]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let torn = "the history is torn at byte ";
    assert!(said.sentence().contains(torn), "{said:?}");
    let said = tidemark(at.path(), &["check", &run]);
    assert_eq!(said.code, Some(UNPROVEN), "{said:?}");
    assert!(
        said.out.starts_with("Unproven.") && said.out.contains(torn),
        "{said:?}"
    );
}

/// What a run without brokers would have found.
fn setting() -> Setting {
    Setting {
        run: RunId::from_number(7),
        plan: "short".to_owned(),
        seed: 1,
        started: "1970-01-01T00:00:00Z".to_owned(),
        tidemark: "0".to_owned(),
        kafka: "3.0.0".to_owned(),
        client: "none".to_owned(),
        brokers: BTreeMap::new(),
        topics: BTreeMap::new(),
        producers: BTreeMap::new(),
        hosts: BTreeMap::new(),
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let at = dir();
    // More than a pipe holds, so that the writer is still writing when nobody reads any more.
    let polls = (0..20_000).map(|n| Event::Invoked {
        op: OpId(n),
        client: ClientId(1),
        at: Mark(n),
        call: Call::Poll,
    });
    let run = run_dir(at.path(), polls.collect(), None);
    let run = run.display().to_string();
    let mut child = command(at.path(), &["history", &run])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    out.read_line(&mut line).expect("a line");
    drop(out);
    let said = Said::of(child.wait_with_output().expect("it ends"));
    assert!(line.contains("poll"), "{line}");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
}

fn nothing_in(dir: &Path) {
    nothing_but(dir, &[]);
}

/// A refused command leaves no directory behind.
fn nothing_but(dir: &Path, known: &[&str]) {
    let entries = fs::read_dir(dir).expect("a directory").flatten();
    let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
    let left: Vec<String> = names.filter(|n| !known.contains(&n.as_str())).collect();
    assert_eq!(left, Vec::<String>::new());
}
