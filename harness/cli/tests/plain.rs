//! From machines that Tidemark never saw to a night's page, as docs/lab.md has it: through a jump host,
//! as an unprivileged user, on another port, by other addresses than the cluster's.
//!
//! Needs root, Java, Maven, sshd, sudo and iptables; says so without.

mod strangers;

use std::fs;
use std::process::Output;

use campaign::Night;
use checkers::Fold;
use strangers::{PASSWORD_ENV, Strangers, USER};

fn words(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Grade and words of every host's finding.
fn about(checkup: &serde_json::Value, what: &str) -> Vec<String> {
    let hosts = checkup["hosts"].as_array().expect("hosts");
    let found = |host: &serde_json::Value| {
        let findings = host["findings"].as_array()?;
        let found = findings.iter().find(|finding| finding["about"] == what)?;
        Some(format!(
            "{} {}",
            found["grade"].as_str()?,
            found["found"].as_str()?
        ))
    };
    hosts
        .iter()
        .map(|host| found(host).unwrap_or_default())
        .collect()
}

/// A night of three short runs.
const SUITE: &str = r#"
name = "small"
about = "Controls, and a cut."
budget = "15m"
runs = 1
canary = "canary-kip101"
calm = "./still.toml"
[[plans]]
plan = "./cut.toml"
"#;

/// A short run with one step.
fn plan(name: &str, step: &str) -> String {
    let smoke = include_str!("../../../plans/smoke.toml");
    let (before, _steps) = smoke.split_once("steps = [").expect("steps");
    let before = before.replacen("name = \"smoke\"", &format!("name = \"{name}\""), 1);
    let mut plan = format!("{before}steps = [\"{step}\"]\n");
    for (long, short) in [
        ("calm = \"2s\"", "calm = \"1s\""),
        ("acked = 1000", "acked = 100"),
        ("acked_per_second = 100", "acked_per_second = 10"),
    ] {
        assert!(plan.contains(long), "{long}");
        plan = plan.replacen(long, short, 1);
    }
    plan
}

#[test]
fn machines_that_somebody_else_runs() {
    let Some(strangers) = Strangers::new() else {
        return;
    };
    let lab = strangers.lab_file("sudo = \"passwordless\"");
    let lab = lab.to_str().expect("text");
    let doctor = || {
        let ran = strangers.tidemark(&["doctor", lab, "--json"]);
        let checkup: serde_json::Value =
            serde_json::from_slice(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", words(&ran)));
        (ran.status.code(), checkup, words(&ran))
    };

    // Nothing is prepared yet, and the doctor says what to do.
    let (code, fresh, said) = doctor();
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(about(&fresh, "claim"), ["missing none"; 3], "{said}");
    assert_eq!(about(&fresh, "sudo"), ["missing refused"; 3], "{said}");
    for what in ["routes", "reach", "java", "ports", "names"] {
        let fits = about(&fresh, what)
            .iter()
            .all(|found| found.starts_with("fits "));
        assert!(fits, "{what}: {said}");
    }
    assert_eq!(about(&fresh, "routes"), ["fits by cluster"; 3]);
    let lines: Vec<String> = serde_json::from_value(fresh["sudoers"].clone()).expect("lines");
    strangers.sudoers(&lines);
    strangers.make_dirs();
    let ran = strangers.tidemark(&["lab", "claim", lab]);
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    let (code, ready, said) = doctor();
    assert_eq!(
        code,
        Some(0),
        "the doctor's own sudoers lines are enough: {said}"
    );
    assert_eq!(about(&ready, "sudo"), ["fits without password"; 3]);

    // sudo that wants a terminal and a password: refused as long as the lab file knows nothing of
    // it, and then as good as any.
    let harder = lines.iter().map(|line| {
        line.replace("NOPASSWD: ", "")
            .replace("!requiretty", "requiretty")
    });
    strangers.sudoers(&harder.collect::<Vec<_>>());
    let (code, refused, said) = doctor();
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(about(&refused, "sudo"), ["missing refused"; 3], "{said}");
    strangers.lab_file(&format!(
        "sudo = \"password\"\nsudo_password_env = \"{PASSWORD_ENV}\"\nsudo_terminal = true"
    ));
    let (code, told, said) = doctor();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(about(&told, "sudo"), ["fits by password"; 3], "{said}");

    // A whole night, whose cuts and their undoing need root.
    let rules = |name| strangers.on(name, "iptables-save | grep -v '^#'; tc qdisc show");
    strangers.on(
        "n1",
        "iptables -A INPUT -p tcp --dport 7 -m comment --comment theirs -j DROP",
    );
    strangers.on("n2", "iptables -S");
    let before = ["n0", "n1", "n2"].map(rules);
    let put = |name: &str, text: &str| fs::write(strangers.path(name), text).expect("written");
    put("small.toml", SUITE);
    put("still.toml", &plan("still", "wait 1s"));
    put("cut.toml", &plan("cut", "isolate n2 for 1s required"));
    let night = ["nightly", "./small.toml", "--lab", lab];
    let ran = strangers.tidemark(&night);
    let said = words(&ran);
    assert_eq!(ran.status.code(), Some(0), "{said}");
    assert!(said.contains("Held."), "{said}");
    let nights = Night::files(&strangers.path("results")).expect("nights");
    let night = Night::read(&nights[0]).expect("a night");
    let verdicts = night.entries.iter().map(|entry| {
        let facts = entry.judged().unwrap_or_else(|| panic!("{said}"));
        (entry.plan.as_str(), facts.verdict)
    });
    assert_eq!(
        verdicts.collect::<Vec<_>>(),
        [
            ("canary-kip101", Fold::Broken),
            ("still", Fold::Held),
            ("cut", Fold::Held)
        ]
    );
    for file in ["index.html", "index.sqlite"] {
        assert!(strangers.path("results").join(file).exists(), "{file}");
    }
    let after = ["n0", "n1", "n2"].map(rules);
    for (before, after) in before.iter().zip(&after) {
        // The first rule makes iptables create its table, which stays, empty.
        let rules = |text: &str| {
            let lines = text
                .lines()
                .filter(|line| line.starts_with("-A ") || line.starts_with("qdisc"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(rules(before), rules(after));
    }
    for name in ["n0", "n1", "n2"] {
        let dir = strangers.path(name).join("srv/tidemark");
        let mut left: Vec<String> = fs::read_dir(dir)
            .expect("the lab's directory")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [".guard", ".lock.guard", ".tidemark-lab", "store"],
            "{name}"
        );
    }
    let secret = fs::read_dir(strangers.path("results/runs"))
        .expect("runs")
        .flatten();
    for run in secret {
        let text = fs::read_to_string(run.path().join("lab.toml")).expect("lab.toml");
        assert!(text.contains(PASSWORD_ENV) && text.contains(USER), "{text}");
        assert!(!text.contains("esame"), "{text}");
    }
}
