//! Bad input gets one sentence (place, what, remedy) and the right exit code. No lab, no root, no
//! network: what needs a host is in `bad_lab.rs`, run directories are in `bad_run_dir.rs`.

mod said;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use said::{HARNESS, Said, USAGE, dir, line_of, nothing_but, nothing_in, plan, put, tidemark};

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
    let said = tidemark(at.path(), &["runer"]);
    assert_eq!(said.code, Some(USAGE), "{said:?}");
    assert!(
        said.err.contains("'run'") && !said.err.contains("__"),
        "{said:?}"
    );
    let help = tidemark(at.path(), &["--help"]);
    assert_eq!(help.code, Some(0), "{help:?}");
    nothing_in(at.path());
}

/// The variable is no argument of a night, which would be refused beside what else `nightly` does.
#[test]
fn a_variable_for_results_leaves_room_for_what_nightly_does() {
    let at = dir();
    let ask = |args: &[&str]| {
        let mut command = said::command(at.path(), args);
        let output = command.env("TIDEMARK_RESULTS", "elsewhere").output();
        Said::of(output.expect("the binary starts"))
    };
    ask(&["nightly", "page"]).refuses(USAGE, &["elsewhere holds no night yet"]);
    ask(&["nightly", "gone"]).refuses(USAGE, &["no suite is called `gone`"]);
    let words = [
        "the suite ./gone.toml: ",
        "suites that need no file are nightly",
    ];
    ask(&["nightly", "./gone.toml"]).refuses(USAGE, &words);
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
