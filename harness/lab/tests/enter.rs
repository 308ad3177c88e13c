//! Entering the controller's namespace: a process without threads of its own, hence no test harness.
//! Needs root; says so and passes without it.

mod common;

use std::io::Read;
use std::net::TcpStream;
use std::process::{Command, ExitCode};

use common::Bench;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "inside", lab] => inside(lab),
        _ => outside(),
    }
}

/// Makes a lab and starts itself again inside it: this process must stay where it is.
fn outside() -> ExitCode {
    let Some(bench) = Bench::new("z") else {
        return ExitCode::SUCCESS;
    };
    lab::up(&bench.lab).expect("the lab");
    let here = std::env::current_exe().expect("this program");
    let status = Command::new(here)
        .args(["inside", &bench.lab.name])
        .status();
    drop(bench);
    match status.expect("the second process").success() {
        true => {
            println!("test a_process_without_threads_enters_the_lab ... ok");
            ExitCode::SUCCESS
        }
        false => ExitCode::FAILURE,
    }
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
