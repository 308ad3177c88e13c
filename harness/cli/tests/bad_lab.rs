//! Hosts that are not as they should be, and labs that somebody else uses: one sentence with the
//! node and the remedy, exit code 3, a sealed run directory with the reason, nothing left behind.
//!
//! Needs root, Java, Maven, sshd and iptables; says so without. What is wrong with files alone is in
//! `bad_input.rs`; signals and a killed runner in the middle of a run are in `live.rs`.

mod broken;
mod said;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use broken::{Lab, Run};
use history::rundir::Ended;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use said::{HARNESS, UNPROVEN, plan};

const HOLD: &str = "TIDEMARK_HOLD_PORT";

#[test]
fn hosts_that_are_not_ready() {
    let Some(lab) = Lab::new("h") else { return };
    assert_eq!(lab.say(&["lab", "up", "lab.toml"]).code, Some(0));
    refuses_ssh(&lab);
    shows_another_key(&lab);
    has_no_marker(&lab);
    has_no_java(&lab);
    has_a_taken_port(&lab);
    has_no_room(&lab);
    has_a_broker_that_dies(&lab);
    assert!(lab.is_up(), "a lab that was up stays up");
}

fn refuses_ssh(lab: &Lab) {
    lab.machines(|lab| set(lab, "login", "port", 2222));
    lab.refused(&[
        "n0: 192.168.136.27 refuses SSH on port 2222:",
        "start sshd there",
    ]);
}

fn shows_another_key(lab: &Lab) {
    let known = format!("/var/tmp/tidemark/labs/{}/known_hosts", lab.name);
    let known = fs::read_to_string(known).expect("known hosts");
    let keys: Vec<&str> = known
        .lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(_, k)| k)
        .collect();
    // Everybody is known by n0's key.
    let wrong: String = (27..30)
        .map(|n| format!("192.168.136.{n} {}\n", keys[0]))
        .collect();
    lab.put("wrong", &wrong);
    let path = lab.dir.path().join("wrong").display().to_string();
    lab.machines(|lab| set(lab, "login", "known_hosts", path.as_str()));
    let remedy = format!("`ssh-keygen -R '192.168.136.28' -f {path}`");
    lab.refused(&[
        "n1: the host key of 192.168.136.28 port 22 is not the known one",
        &remedy,
    ]);
    lab.put("wrong", "");
    lab.refused(&[
        "n0: the host key of 192.168.136.27 port 22 is unknown",
        "ssh-keyscan",
    ]);
}

fn has_no_marker(lab: &Lab) {
    let claim = format!("`tidemark lab claim {}`", lab.name);
    lab.machines(|lab| drop(lab.insert("dir".to_owned(), "/srv/elsewhere".into())));
    lab.refused(&["n0: has no marker /srv/elsewhere/.tidemark-lab", &claim]);
    let said = lab.inside(&["heal", "machines.toml"]);
    assert_eq!(said.code, Some(HARNESS), "{said:?}");
    assert_eq!(
        said.sentence().matches("has no marker").count(),
        3,
        "{said:?}"
    );
    lab.machines(|lab| drop(lab.insert("name".to_owned(), "other".into())));
    lab.refused(&["n0: /srv/tidemark is claimed for the lab", "not for other"]);
}

fn has_no_java(lab: &Lab) {
    lab.machines(|lab| drop(lab.insert("java".to_owned(), "/nowhere/java".into())));
    lab.refused(&[
        "n0: there is no Java",
        "`/nowhere/java -version`",
        "set `java` in the lab file",
    ]);
    lab.on(
        "n2",
        "printf '#!/bin/sh\\necho \"java version \\\\\"1.7.0_80\\\\\"\" >&2\\n' > /root/java7",
    );
    lab.on("n2", "chmod 755 /root/java7");
    for node in ["n0", "n1"] {
        lab.on(
            node,
            "printf '#!/bin/sh\\nexec java \"$@\"\\n' > /root/java7; chmod 755 /root/java7",
        );
    }
    lab.machines(|lab| drop(lab.insert("java".to_owned(), "/root/java7".into())));
    let old = "n2: Java is too old: java version \"1.7.0_80\", and Kafka needs 8 or newer";
    lab.refused(&[old, "set `java` in the lab file"]);
    lab.machines(|_| {});
}

fn has_a_taken_port(lab: &Lab) {
    let mut holder = Command::new("ip")
        .args(["netns", "exec", &format!("tm-{}-n1", lab.name)])
        .arg(std::env::current_exe().expect("this binary"))
        .args(["--exact", "holds_a_port_when_asked", "--nocapture"])
        .env(HOLD, "0.0.0.0:9092")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ip starts");
    let mut lines = BufReader::new(holder.stdout.take().expect("piped")).lines();
    assert!(lines.any(|l| l.expect("text").contains("listening")));
    lab.refused(&[
        "n1: port 9092 is in use by another program",
        "set another `broker`",
    ]);
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
}

/// Not a test of its own: the program that holds a port in [`has_a_taken_port`].
#[test]
fn holds_a_port_when_asked() {
    if let Ok(address) = std::env::var(HOLD) {
        let _held = TcpListener::bind(address).expect("the port is free");
        println!("listening");
        std::io::stdin()
            .read_line(&mut String::new())
            .expect("the end");
    }
}

fn has_no_room(lab: &Lab) {
    let store = "/srv/tidemark/store";
    lab.on(
        "n2",
        &format!("mkdir -p {store} && mount -t tmpfs -o size=16m tmpfs {store}"),
    );
    lab.refused(&["n2: the disk is full: 1", "MiB are needed; make room there"]);
    lab.on("n2", &format!("umount {store}"));
}

/// On the lab as it is meant: brokers are started, and end.
fn has_a_broker_that_dies(lab: &Lab) {
    let deadly = "properties = { \"inter.broker.protocol.version\" = \"9.9\" }";
    lab.put("deadly.toml", &plan(deadly));
    let said = lab.say(&["run", "deadly.toml", "--lab", "lab.toml"]);
    let words = [
        "the broker ended while it was starting; its log says: ",
        "Version `9.9` is not",
    ];
    lab.refused_in_setup(&said, &words);
    lab.machines(|_| {});
    let said = lab.inside(&["heal", "machines.toml"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn set(lab: &mut toml::Table, table: &str, key: &str, value: impl Into<toml::Value>) {
    let table = lab[table].as_table_mut().expect("a table");
    table.insert(key.to_owned(), value.into());
}

#[test]
fn a_java_that_is_not_there_leaves_no_lab() {
    let Some(lab) = Lab::new("j") else { return };
    let text = fs::read_to_string(lab.dir.path().join("lab.toml")).expect("a lab");
    lab.put(
        "lab.toml",
        &text.replacen("java = \"java\"", "java = \"/nowhere/java\"", 1),
    );
    for args in [
        &["run", "short.toml", "--lab", "lab.toml"][..],
        &["lab", "up", "lab.toml"],
    ] {
        let words = [
            "no Java `/nowhere/java` on this machine",
            "set `java` in the lab file",
        ];
        lab.say(args).refuses(HARNESS, &words);
        lab.is_gone();
    }
}

/// Two runs at once on a lab that is down: both bring it up, one has it, the other is refused and
/// takes nothing away. Then nobody takes it down by accident, and somebody does on purpose.
#[test]
fn a_lab_in_use() {
    let Some(lab) = Lab::new("u") else { return };
    let results = |name: &str| {
        let mut run = lab.run();
        run.args(["--results", name]);
        Run::start(run)
    };
    let (mut winner, mut loser) = (results("first"), results("second"));
    if winner.until(&["storm", "teardown"]) != Some("storm") {
        std::mem::swap(&mut winner, &mut loser);
        assert_eq!(
            winner.until(&["storm", "teardown"]),
            Some("storm"),
            "{}",
            winner.said
        );
    }
    let refused = loser.end();
    refused.refuses(
        HARNESS,
        &["n0: in use by run ", "wait until it ends", "--steal"],
    );
    let third = lab.say(&["run", "short.toml", "--lab", "lab.toml"]);
    lab.refused_in_setup(&third, &["n0: in use by run ", "--steal"]);
    let down = lab.say(&["lab", "down", "lab.toml"]);
    down.refuses(
        HARNESS,
        &["is in use by process ", "wait for its end", "--force"],
    );
    assert!(lab.is_up());
    let down = lab.say(&["lab", "down", "--force", "lab.toml"]);
    assert_eq!(down.code, Some(0), "{down:?}");
    let ended = winner.end();
    assert_eq!(ended.code, Some(HARNESS), "{ended:?}");
    assert!(
        ended.err.contains("the runner was killed by signal 9"),
        "{ended:?}"
    );
    lab.is_gone();
}

/// `tidemark run ... 2>&1 | head`, and a signal later: the run ends in order though nobody listens.
#[test]
fn nobody_listens_any_more() {
    let Some(lab) = Lab::new("q") else { return };
    let mut run = Run::start(lab.run());
    assert_eq!(run.until(&["setup"]), Some("setup"));
    let Run {
        mut child, lines, ..
    } = run;
    drop(lines);
    let pid = Pid::from_raw(child.id().cast_signed());
    kill(pid, Signal::SIGTERM).expect("sent");
    assert_eq!(child.wait().expect("it ends").code(), Some(UNPROVEN));
    let (seal, _) = lab.newest();
    assert!(
        matches!(&seal, Some(Ended::Interrupted { signal, .. }) if signal == "TERM"),
        "{seal:?}"
    );
    lab.is_gone();
}

/// A terminal's Ctrl-C reaches the command and everything that it started.
#[test]
fn ctrl_c_while_the_lab_comes_up() {
    let Some(lab) = Lab::new("c") else { return };
    let mut run = lab.run();
    run.process_group(0);
    let run = Run::start(run);
    while !lab.is_up() {
        std::thread::yield_now();
    }
    let group = Pid::from_raw(run.child.id().cast_signed());
    killpg(group, Signal::SIGINT).expect("sent");
    let said = run.end();
    assert_eq!(said.code, Some(UNPROVEN), "{said:?}");
    assert!(said.sentence().contains("INT"), "{said:?}");
    lab.is_gone();
}
