//! The firewall's commands and what it prints, without a firewall.

use super::*;
use crate::guard_heal;
use crate::site::CHAIN_MAX;

fn lab(name: &str) -> LabFile {
    LabFile {
        name: name.to_owned(),
        ..crate::labfile::find("local").expect("built in")
    }
}

fn link(from: u8, to: u8, port: Option<PortName>) -> Link {
    Link {
        from: NodeId(from),
        to: NodeId(to),
        port,
    }
}

const NEW: &str = "\
Chain INPUT (policy ACCEPT 0 packets, 0 bytes)
    pkts      bytes target     prot opt in     out     source               destination         
       9      540 TM-local-f3  0    --  *      *       0.0.0.0/0            0.0.0.0/0           
       7      420 DROP       0    --  *      *       10.9.9.9             0.0.0.0/0            /* n0>n1 */

Chain TM-local-f3 (1 references)
    pkts      bytes target     prot opt in     out     source               destination         
       0        0 RETURN     6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:22
 1234567        0 DROP       0    --  *      *       10.0.0.1             0.0.0.0/0            /* n0>n1 */
       0        0 DROP       6    --  *      *       10.0.0.2             0.0.0.0/0            tcp dpt:9092 /* n2>n1:broker */

Chain TM-local-f4 (0 references)
    pkts      bytes target     prot opt in     out     source               destination         
       0        0 DROP       0    --  *      *       10.0.0.1             0.0.0.0/0            /* n0>n1 */

Chain TM-local-x-f5 (1 references)
    pkts      bytes target     prot opt in     out     source               destination         
       0        0 DROP       0    --  *      *       10.0.0.1             0.0.0.0/0            /* n0>n1 */
";

#[test]
fn cuts_are_read_back_from_both_generations_of_iptables() {
    let expected = vec![
        CutReading {
            fault: FaultId(3),
            on: NodeId(1),
            link: link(0, 1, None),
            packets: 1_234_567,
        },
        CutReading {
            fault: FaultId(3),
            on: NodeId(1),
            link: link(2, 1, Some(PortName::Broker)),
            packets: 0,
        },
    ];
    assert_eq!(parse(NEW, &lab("local"), NodeId(1)), Ok(expected.clone()));
    // 1.4.21 names protocols, and pads the column differently.
    let old = NEW
        .replace(" 0    -- ", " all  -- ")
        .replace(" 6    -- ", " tcp  -- ");
    assert_ne!(old, NEW);
    assert_eq!(parse(&old, &lab("local"), NodeId(1)), Ok(expected));
}

#[test]
fn a_rule_that_is_not_ours_is_an_error_not_a_guess() {
    let odd = NEW.replace("/* n2>n1:broker */", "/* hello */");
    assert!(
        parse(&odd, &lab("local"), NodeId(1))
            .expect_err("odd")
            .contains("hello")
    );
    let bare = NEW.replace("/* n2>n1:broker */", "");
    assert!(parse(&bare, &lab("local"), NodeId(1)).is_err());
}

#[test]
fn comments_read_back_as_their_links() {
    for port in [None].into_iter().chain(PORTS.map(|(name, _)| Some(name))) {
        assert_eq!(
            read_comment(&comment(link(2, 0, port))),
            Some(link(2, 0, port))
        );
    }
    assert_eq!(read_comment("n0>n1:nonsense"), None);
}

#[test]
fn chain_names_fit_and_differ() {
    let long = "a-lab-with-a-long-name-1";
    let other = "a-lab-with-a-long-name-2";
    assert_eq!(long.len(), crate::labfile::NAME_MAX);
    let last = FaultId(u16::MAX);
    assert_eq!(chain(&lab("local"), FaultId(3)), "TM-local-f3");
    assert!(
        chain(&lab(long), last).len() <= CHAIN_MAX,
        "{}",
        chain(&lab(long), last)
    );
    assert_ne!(chain(&lab(long), last), chain(&lab(other), last));
    let line = format!("Chain {} (2 references)", chain(&lab(long), last));
    assert_eq!(read_chain(&line, &chain_prefix(long)), Some((last, 2)));
}

#[test]
fn what_must_not_be_cut_is_refused() {
    let lab = lab("local");
    let refused = |l: Link| rules(NodeId(1), &lab, &[l]).err().map(|e| e.to_string());
    assert!(
        refused(link(0, 1, Some(PortName::Probe)))
            .expect("probe")
            .contains("never cut")
    );
    assert!(
        refused(link(1, 0, None))
            .expect("elsewhere")
            .contains("n1 -> n0")
    );
    assert!(refused(link(1, 1, None)).is_some());
    assert!(
        refused(link(7, 1, None))
            .expect("unknown")
            .contains("no host n7")
    );
    assert!(rules(NodeId(1), &lab, &[]).expect("nothing").is_none());
    let rule = rules(NodeId(1), &lab, &[link(0, 1, Some(PortName::ZkPeer))])
        .expect("fine")
        .expect("one")
        .remove(0);
    assert_eq!(
        (rule.from, rule.port, rule.comment),
        (
            lab.hosts[0].address.clone(),
            "2888".to_owned(),
            "n0>n1:zk-peer".to_owned()
        )
    );
}

/// Runs a script against a play iptables that logs its arguments, and what it reads; `there` says
/// whether chains and rules are there already, `restores` whether there is an iptables-restore.
fn rehearse(script: &str, args: &[&str], there: bool, restores: bool) -> Vec<String> {
    let dir = tempfile::tempdir().expect("dir");
    let log = dir.path().join("log");
    let play = |name: &str, then: &str| {
        let at = log.display();
        let text = format!("#!/bin/sh\necho \"$*\" >>'{at}'\n{then}\n");
        let program = dir.path().join(name);
        std::fs::write(&program, text).expect("play");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("mode");
    };
    let (absent, present) = (i32::from(!there), i32::from(there));
    let answers = format!("case $2 in -C) exit {absent};; -N) exit {present};; esac");
    play("iptables", &answers);
    let reads = match restores {
        true => format!("cat >>'{}'", log.display()),
        false => "exit 1".to_owned(),
    };
    play("iptables-restore", &reads);
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let mut lab = lab("local");
    lab.dir = dir.path().display().to_string();
    let cmd = Site::new("", &lab).script(script, args.iter().copied());
    let [sh, rest @ ..] = &cmd.words("")[..] else {
        panic!("no command")
    };
    let status = std::process::Command::new(sh)
        .args(rest)
        .env("PATH", path)
        .status()
        .expect("sh");
    assert!(status.success());
    assert!(
        dir.path().join(".cuts").exists(),
        "the intent is written down"
    );
    std::fs::read_to_string(log)
        .expect("log")
        .lines()
        .map(str::to_owned)
        .collect()
}

const ARGS: [&str; 9] = [
    "TM-local-f3",
    "22",
    "9192",
    "10.0.0.1",
    "-",
    "n0>n1",
    "10.0.0.2",
    "9092",
    "n2>n1:broker",
];

/// In the order in which they have to stand.
const RULES: [&str; 5] = [
    "-A TM-local-f3 -p tcp --dport 22 -j RETURN",
    "-A TM-local-f3 -p tcp --dport 9192 -j RETURN",
    "-A TM-local-f3 -s 10.0.0.1 -m comment --comment n0>n1 -j DROP",
    "-A TM-local-f3 -s 10.0.0.2 -p tcp --dport 9092 -m comment --comment n2>n1:broker -j DROP",
    "-I INPUT 1 -j TM-local-f3",
];

#[test]
fn a_cut_returns_ssh_and_probes_first_and_begins_at_once() {
    let log = rehearse(CUT, &ARGS, false, true);
    let mut expected = vec!["-w -N TM-local-f3", "-w -n", "*filter"];
    expected.extend(RULES);
    expected.push("COMMIT");
    assert_eq!(log, expected);
}

#[test]
fn where_nothing_restores_the_same_rules_come_one_by_one() {
    let log = rehearse(CUT, &ARGS, false, false);
    let written: Vec<&str> = log
        .iter()
        .filter_map(|line| line.strip_prefix("-w "))
        .filter(|line| line.starts_with("-A") || line.starts_with("-I"))
        .collect();
    assert_eq!(written, RULES);
}

#[test]
fn cutting_twice_adds_nothing() {
    let log = rehearse(CUT, &ARGS, true, true);
    assert!(
        !log.iter().any(|l| l.contains("-A ") || l.contains("-I ")),
        "{log:?}"
    );
}

/// The scripts against the real iptables, in a network namespace of their own: no packet is sent.
#[test]
fn the_real_iptables_takes_the_scripts() {
    let able = |program: &str, args: &[&str]| {
        std::process::Command::new(program)
            .args(args)
            .output()
            .is_ok_and(|o| o.status.success())
    };
    if !able("unshare", &["-n", "iptables", "-w", "-n", "-L"]) {
        println!(
            "SKIPPED: no iptables in a network namespace of our own here (needs root, unshare, iptables)"
        );
        return;
    }
    let dir = tempfile::tempdir().expect("dir");
    let mut own = lab("local");
    own.dir = dir.path().display().to_string();
    let step = |script: &str, args: &[&str]| {
        let cmd = Site::new("", &own).script(script, args.iter().copied());
        format!("{} || exit 9; echo ---", crate::cmd::quoted(cmd.words("")))
    };
    let [cut, mend, list] = [
        step(CUT, &ARGS),
        step(MEND, &["TM-local-f3"]),
        step(LIST, &[]),
    ];
    let other = step(
        CUT,
        &["TM-local-f4", "22", "9192", "10.0.0.2", "-", "n2>n1"],
    );
    let healed = format!("{}heal", guard_heal::functions());
    let heal = step(&healed, &[]);
    let foreign =
        "iptables -w -N TM-local-x-f5; iptables -w -A INPUT -j TM-local-x-f5; echo ---".to_owned();
    let all = [
        &cut, &list, &cut, &list, &other, &mend, &list, &mend, &cut, &foreign, &heal, &heal, &list,
    ]
    .map(String::as_str)
    .join("\n");
    let out = std::process::Command::new("unshare")
        .args(["-n", "sh", "-c", &all])
        .output()
        .expect("unshare");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let lists: Vec<&str> = text
        .split("---\n")
        .filter(|part| part.contains("Chain INPUT"))
        .collect();
    let [once, twice, mended, healed] = lists.as_slice() else {
        panic!("four listings in {text}")
    };
    assert_eq!(once, twice, "cutting twice is cutting once");
    let found = parse(once, &lab("local"), NodeId(1)).expect("readable");
    assert_eq!(
        found.iter().map(|r| r.link).collect::<Vec<_>>(),
        [link(0, 1, None), link(2, 1, Some(PortName::Broker))]
    );
    assert!(
        !mended.contains("TM-local-f3") && mended.contains("TM-local-f4"),
        "{mended}"
    );
    assert!(
        !healed.contains("TM-local-f") && healed.contains("TM-local-x-f5"),
        "{healed}"
    );
    assert!(
        text.contains("removed the chain TM-local-f3\nremoved the chain TM-local-f4\n"),
        "{text}"
    );
    assert!(!dir.path().join(".cuts").exists());
}
