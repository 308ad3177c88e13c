//! The dialect of CentOS 7: every command that is sent to a host, listed in one place
//! (`dialect/commands.txt`), parsed and run by strict shells, and held against what the programs of
//! CentOS 7 know (`dialect/centos7.txt`, with its sources).
//!
//! The list is compared with the scripts that stand in this package's sources; the readers of what
//! commands print are tested beside them, with the words of both ages.

#[path = "dialect/shell.rs"]
mod shell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cluster::config;
use cluster::dialect::PROGRAMS;
use cluster::doctor::ROOT_COMMANDS;
use history::Service;

const LIST: &str = include_str!("dialect/commands.txt");
const CENTOS7: &str = include_str!("dialect/centos7.txt");

/// A script as it stands in a source file.
struct Script {
    /// `guard.rs:130`.
    place: String,
    file: String,
    text: String,
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("sources").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path, into),
            false => into.push(path),
        }
    }
}

/// What of each source file is not a test.
fn code() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    files(&sources(), &mut paths);
    paths.sort();
    let tests = |path: &PathBuf| {
        path.ends_with("tests.rs") || path.to_string_lossy().ends_with("_tests.rs")
    };
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a source file");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
        let name = path.strip_prefix(sources()).expect("below src");
        (name.display().to_string(), code.to_owned())
    };
    paths.iter().filter(|path| !tests(path)).map(read).collect()
}

/// Every raw string of the sources: by convention they are what hosts are sent, and nothing else is.
fn scripts() -> Vec<Script> {
    let mut all = Vec::new();
    for (file, text) in code() {
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("r#\"") {
            let (script, after) = after.split_once("\"#").expect("a raw string ends");
            let line = text[..text.len() - rest.len() + before.len()]
                .matches('\n')
                .count()
                + 1;
            let is_format = before.trim_end().ends_with("format!(");
            all.push(Script {
                place: format!("{file}:{line}"),
                file: file.clone(),
                text: match is_format {
                    true => script
                        .replace("{how}", "sudo -n")
                        .replace("{quiet}", "quiet"),
                    false => script.to_owned(),
                },
            });
            rest = after;
        }
    }
    assert!(all.len() > 80, "only {} scripts were found", all.len());
    all
}

/// Each program with its options, and where it is called.
fn called() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let scripts = scripts();
    let functions: BTreeSet<String> = scripts
        .iter()
        .flat_map(|s| shell::functions(&s.text))
        .collect();
    // Made of its parts in guard_heal.rs.
    let functions = functions.into_iter().chain(["heal".to_owned()]).collect();
    let mut all: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    let mut add = |program: String, option: String, file: &str| {
        let (options, places) = all.entry(program).or_default();
        options.extend(Some(option).filter(|option| !option.is_empty()));
        places.insert(file.to_owned());
    };
    for script in &scripts {
        for (program, option) in shell::calls(&script.text, &functions) {
            add(program, option, &script.file);
        }
    }
    // Commands that are no scripts: Cmd::new("tar").args(["cf", ...]).
    for (file, text) in code() {
        for part in text.split("Cmd::new(\"").skip(1) {
            let statement = part.split(';').next().unwrap_or("");
            let mut words = statement.split('"').step_by(2).map(str::to_owned);
            let Some(program) = words.next() else {
                continue;
            };
            add(program.clone(), String::new(), &file);
            if program == "timeout" {
                continue;
            }
            let strings = statement.split('"').skip(2).step_by(2);
            for option in strings.filter(|w| w.starts_with('-') && w.len() == 2 && *w != "--") {
                add(program.clone(), option.to_owned(), &file);
            }
        }
    }
    all
}

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split('|').map(str::trim).collect())
}

#[test]
fn every_command_is_listed() {
    let mut now = String::new();
    for (program, (options, places)) in called() {
        let join = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" ");
        now += &format!("{program} | {} | {}\n", join(options), join(places));
    }
    let head: Vec<&str> = LIST
        .lines()
        .take_while(|line| line.starts_with('#'))
        .collect();
    let now = format!("{}\n{now}", head.join("\n"));
    if std::env::var_os("TIDEMARK_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialect/commands.txt");
        std::fs::write(path, &now).expect("written");
        return;
    }
    for (line, listed) in now.lines().zip(LIST.lines()) {
        assert_eq!(line, listed, "TIDEMARK_BLESS=1 writes the list anew");
    }
    assert_eq!(now, LIST, "TIDEMARK_BLESS=1 writes the list anew");
}

#[test]
fn centos_7_knows_every_program_and_option() {
    let known: BTreeMap<&str, BTreeSet<&str>> = rows(CENTOS7)
        .map(|row| {
            let [program, version, source, options] = row.as_slice() else {
                panic!("{row:?} is not `program | version | source | options`");
            };
            assert!(
                !version.is_empty() && !source.is_empty(),
                "{program} names no source"
            );
            (*program, options.split_whitespace().collect())
        })
        .collect();
    for row in rows(LIST) {
        let [program, options, places] = row.as_slice() else {
            panic!("{row:?} is not `program | options | where`");
        };
        let known = known.get(program).unwrap_or_else(|| {
            panic!("{places}: what options {program} has on CentOS 7 stands nowhere")
        });
        for option in options.split_whitespace() {
            assert!(
                known.contains(option),
                "{places}: {program} of CentOS 7 does not know {option}"
            );
        }
    }
}

#[test]
fn the_doctor_looks_for_every_program() {
    let listed: BTreeSet<&str> = rows(LIST).map(|row| row[0]).collect();
    let looked: BTreeSet<&str> = PROGRAMS.iter().map(|program| program.name).collect();
    // Looked for elsewhere, or only where the lab file wants it; and what only the doctor asks,
    // which can do without.
    let other = ["java", "sudo", "script", "systemctl", "timedatectl"];
    let needed: BTreeSet<&str> = listed
        .iter()
        .copied()
        .filter(|p| !other.contains(p))
        .collect();
    assert_eq!(
        needed.difference(&looked).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
    // What commands begin with when they are given an environment, or sudo is tried with.
    let hidden = ["env", "true"];
    let extra = looked.difference(&needed).filter(|p| !hidden.contains(p));
    assert_eq!(extra.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn sudoers_allow_what_scripts_do_as_root_and_nothing_else() {
    let mut asked: BTreeSet<String> = BTreeSet::new();
    for script in scripts() {
        for (_, after) in script
            .text
            .match_indices("$root ")
            .map(|(at, m)| script.text.split_at(at + m.len()))
        {
            let name: String = after
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
                .collect();
            asked.extend(Some(name).filter(|name| !name.is_empty()));
        }
    }
    let allowed: BTreeSet<String> = ROOT_COMMANDS.iter().map(|c| c.name.to_owned()).collect();
    assert_eq!(asked, allowed);
}

#[test]
fn strict_shells_read_every_script() {
    let shells: [&[&str]; 4] = [
        &["dash", "-n"],
        &["bash", "--posix", "-n"],
        &["busybox", "sh", "-n"],
        &["sh", "-n"],
    ];
    let mut read = 0;
    for shell in shells {
        let (program, args) = shell.split_first().expect("a shell");
        for script in scripts() {
            let ran = Command::new(program)
                .args(args)
                .args(["-c", &script.text])
                .stdin(Stdio::null())
                .output();
            let Ok(ran) = ran else {
                println!("SKIPPED: there is no {program} here");
                break;
            };
            let said = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "{program}: {}: {said}", script.place);
            read += 1;
        }
    }
    assert!(read > 0, "no shell was there");
}

#[test]
fn no_script_hides_in_an_ordinary_string() {
    for (file, text) in code() {
        let raw: String = text
            .split("r#\"")
            .map(|part| part.split_once("\"#").map_or(part, |(_, after)| after))
            .collect();
        for sign in ["$@", "\\\"$1", "\\\"$dir", "2>/dev/null"] {
            let lines = raw
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let found = lines.clone().find(|line| line.contains(sign));
            assert_eq!(
                found, None,
                "{file}: a script is a raw string, so that it is found"
            );
        }
    }
}

/// One line for each program: a use of all its options that harms nothing, run by the strict shell.
#[test]
fn every_row_is_run_by_a_strict_shell() {
    let uses: BTreeMap<&str, Vec<&str>> = include_str!("dialect/uses.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (program, script) = line.split_once('|').expect("program | script");
            (program.trim(), vec![script.trim()])
        })
        .collect();
    let isolated = Command::new("unshare").args(["-m", "-n", "true"]).status();
    let isolated = isolated.is_ok_and(|status| status.success());
    let none = BTreeSet::new();
    for row in rows(LIST) {
        let (program, options) = (row[0], row[1]);
        let script = uses
            .get(program)
            .unwrap_or_else(|| panic!("{program} has no use"))[0];
        let (script, needs) = match script.strip_prefix("(root) ") {
            Some(script) => (script, true),
            None => (script, false),
        };
        let (script, may_fail) = match script.strip_prefix("(kernel) ") {
            Some(script) => (script, true),
            None => (script, false),
        };
        let used: BTreeSet<String> = shell::calls(script, &none)
            .into_iter()
            .filter(|(name, option)| name == program && !option.is_empty())
            .map(|(_, option)| option)
            .collect();
        let wanted: BTreeSet<String> = options.split_whitespace().map(str::to_owned).collect();
        assert_eq!(
            used, wanted,
            "the use of {program} has other options than the list"
        );
        if needs && !isolated {
            println!("SKIPPED: {program}: no namespaces of one's own here (needs root)");
            continue;
        }
        run(program, script, needs, may_fail);
    }
}

fn run(program: &str, script: &str, alone: bool, may_fail: bool) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = match alone {
        true => Command::new("unshare"),
        false => Command::new("sh"),
    };
    if alone {
        command.args(["-m", "-n", "sh"]);
    }
    let ran = command
        .args([
            "-c",
            &format!("PATH=$PATH:/usr/sbin:/sbin; set -e; {script}"),
        ])
        .current_dir(dir.path())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    if ran.status.code() == Some(127) {
        println!("SKIPPED: {program} is not installed here");
        return;
    }
    let low = said.to_lowercase();
    let misused = ["usage", "invalid option", "unrecognized", "unknown option"];
    assert!(
        !misused.iter().any(|words| low.contains(words)),
        "{program}: {said}"
    );
    assert!(
        may_fail || ran.status.success(),
        "{program}: {}: {said}",
        ran.status
    );
    if !ran.status.success() {
        println!(
            "{program}: understood, and not possible here: {}",
            said.trim()
        );
    }
}

/// Each option that our JVMs are started with, and since when it is there; none of them was taken
/// away up to 17 (the `java` manual of 8, 11 and 17; the release notes of 8u92 for the third).
const JVM: [(&str, &str); 9] = [
    ("-XX:+UseSerialGC", "1.3"),
    ("-XX:TieredStopAtLevel=1", "7"),
    ("-XX:+ExitOnOutOfMemoryError", "8u92"),
    ("-XX:-UsePerfData", "5"),
    ("-Djava.awt.headless=true", "1.4"),
    ("-Djava.net.preferIPv4Stack=true", "1.4"),
    ("-Duser.timezone=UTC", "1.1"),
    ("-Xms", "1.2"),
    ("-Xmx", "1.2"),
];

#[test]
fn jvms_from_8_to_17_know_our_options() {
    let heaps = [Service::Broker, Service::ZooKeeper].map(config::heap);
    for option in config::JVM_OPTIONS.iter().chain(heaps.iter().flatten()) {
        let name = option.trim_end_matches(|c: char| c.is_ascii_digit() || c == 'm');
        let known = JVM
            .iter()
            .any(|(known, _)| known == option || *known == name);
        assert!(known, "{option}: since when?");
    }
    let mut jvms = vec![PathBuf::from("java")];
    let installed = std::fs::read_dir("/usr/lib/jvm")
        .into_iter()
        .flatten()
        .flatten();
    let installed = installed.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    jvms.extend(installed.map(|entry| entry.path().join("bin/java")));
    for java in jvms {
        let ran = Command::new(&java)
            .args(heaps[0])
            .args(config::JVM_OPTIONS)
            .arg("-version")
            .output();
        let Ok(ran) = ran else {
            println!("SKIPPED: there is no {}", java.display());
            continue;
        };
        let said = String::from_utf8_lossy(&ran.stderr);
        println!("{}: {}", java.display(), said.lines().next().unwrap_or(""));
        assert!(ran.status.success(), "{}: {said}", java.display());
        assert!(!said.contains("warning"), "{}: {said}", java.display());
    }
}
