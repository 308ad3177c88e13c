//! Entering the controller's namespace: a process without threads of its own, hence no test harness.
//! Needs root; says so and passes without it.

mod common;

use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode};

use common::Bench;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "inside", lab] => inside(lab),
        [_, "elsewhere", lab] => elsewhere(lab),
        _ => outside(),
    }
}

/// Makes a lab and starts itself again inside it: this process must stay where it is.
fn outside() -> ExitCode {
    let Some(bench) = Bench::new("z") else {
        return ExitCode::SUCCESS;
    };
    lab::up(&bench.lab).expect("the lab");
    again(&["inside", &bench.lab.name], None);
    println!("test a_process_without_threads_enters_the_lab ... ok");
    // Below a directory that every host has for itself: keys and files must be found all the same.
    let state = tempfile::tempdir().expect("a directory");
    again(&["elsewhere", &bench.lab.name], Some(state.path()));
    let left = std::fs::read_dir(state.path())
        .expect("the directory")
        .count();
    assert_eq!(left, 0, "`down` left something in {state:?}");
    println!("test the_state_may_lie_where_hosts_hide_it ... ok");
    ExitCode::SUCCESS
}

/// Starts this program again, with another place for the state if asked.
fn again(args: &[&str], state: Option<&Path>) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(args);
    if let Some(state) = state {
        command.env("TIDEMARK_STATE", state.join("state"));
    }
    let status = command.status().expect("the second process");
    assert!(status.success(), "{args:?}: {status}");
}

/// Makes the lab again, from the state that the environment names, and removes it.
fn elsewhere(name: &str) -> ExitCode {
    lab::down(name).expect("down");
    let mut lab = cluster::labfile::find("local").expect("the local lab");
    lab.name = name.to_owned();
    let filled = lab::up(&lab).expect("the lab");
    assert!(
        filled
            .login
            .key
            .as_ref()
            .is_some_and(|k| k.starts_with("/tmp")),
        "{filled:?}"
    );
    assert_eq!(
        common::on(&filled, 1, "ls -A /tmp; ls -A /srv"),
        "tidemark\n"
    );
    lab::down(name).expect("down");
    ExitCode::SUCCESS
}

/// Enters, reaches a host, reaches nothing else, and is not ended by its own `down`.
fn inside(lab: &str) -> ExitCode {
    lab::enter(&lab::controller_netns(lab)).expect("entering");
    let mut banner = [0; 4];
    let mut host = TcpStream::connect("192.168.136.28:22").expect("a host");
    host.read_exact(&mut banner).expect("its banner");
    assert_eq!(&banner, b"SSH-");
    let away = TcpStream::connect("192.0.2.1:80").expect_err("no way out");
    assert_eq!(
        away.kind(),
        std::io::ErrorKind::NetworkUnreachable,
        "{away}"
    );
    let said = lab::down(lab).expect_err("down from inside").to_string();
    assert!(said.contains("would end itself"), "{said}");
    ExitCode::SUCCESS
}
