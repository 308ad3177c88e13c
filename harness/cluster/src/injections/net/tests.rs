//! What tc and iptables are told and what they print, without a network.

use super::*;
use crate::site::Site;

#[test]
fn shapes_in_tcs_words() {
    let ms = Duration::from_millis;
    for (shape, words) in [
        (
            Shape::Delay {
                by: ms(100),
                jitter: Duration::ZERO,
            },
            "netem delay 100000us",
        ),
        (
            Shape::Delay {
                by: ms(100),
                jitter: ms(20),
            },
            "netem delay 100000us 20000us",
        ),
        (Shape::Loss(5_000), "netem loss 5.000%"),
        (Shape::Duplicate(125), "netem duplicate 0.125%"),
        (Shape::Corrupt(100_000), "netem corrupt 100.000%"),
        (Shape::Reorder(25_000), "netem delay 10ms reorder 25.000%"),
        (
            Shape::Bandwidth(512),
            "tbf rate 512kbit burst 16384 latency 400ms",
        ),
        (
            Shape::Bandwidth(100_000),
            "tbf rate 100000kbit burst 125000 latency 400ms",
        ),
    ] {
        assert_eq!(queue::words(shape), words);
    }
    assert_eq!(loss::share(5_000), "0.05000");
    assert_eq!(loss::share(100_000), "1.00000");
    assert_eq!(loss::share(1), "0.00001");
}

const LISTING: &str = "\
qdisc noqueue 0: dev lo root refcnt 2 
 Sent 9 bytes 9 pkt (dropped 9, overlimits 9 requeues 0) 
 backlog 0b 0p requeues 0
qdisc htb 71a: dev eth0 root refcnt 2 r2q 10 default 0 direct_packets_stat 5 direct_qlen 1000
 Sent 700 bytes 12 pkt (dropped 3, overlimits 4 requeues 0) 
 backlog 0b 0p requeues 0
qdisc netem 1010: dev eth0 parent 71a:1010 limit 1000 delay 100.0ms
 Sent 500 bytes 7 pkt (dropped 2, overlimits 1 requeues 0) 
 backlog 0b 0p requeues 0
qdisc tbf 1020: dev eth0 parent 71a:1020 rate 512Kbit burst 16Kb lat 400.0ms 
 Sent 0 bytes 0 pkt (dropped 0, overlimits 33 requeues 0) 
qdisc netem 1030: dev eth1 parent 1:1030 limit 1000
 Sent 1 bytes 1 pkt (dropped 1, overlimits 1 requeues 0) 
";

#[test]
fn queues_of_ours_are_read_and_no_others() {
    let queues = queue::parse(LISTING, "71a:");
    let read: Vec<(u16, u64, u64, u64)> = queues
        .iter()
        .map(|q| (q.number, q.sent, q.dropped, q.overlimits))
        .collect();
    assert_eq!(read, [(0x1010, 7, 2, 1), (0x1020, 0, 0, 33)]);
    assert!(queues[0].words.starts_with("netem 1010: dev eth0"));
}

/// Runs the scripts in a network namespace of their own, against a play tc that answers as a kernel
/// with netem would, and logs what it was told.
#[test]
fn a_root_of_somebody_else_is_never_replaced() {
    let dir = tempfile::tempdir().expect("dir");
    let log = dir.path().join("log");
    let play = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("play");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&file, mode).expect("mode");
    };
    play("ip", "echo \"$5 dev eth7 src 10.0.0.9 uid 0\"");
    let mut lab = crate::labfile::find("local").expect("built in");
    lab.dir = dir.path().display().to_string();
    let site = Site::new("", &lab);
    let handle = site.handle().to_owned();
    let run = |root: &str| {
        let tell = format!(
            "echo \"$*\" >>'{}'\ncase \"$*\" in 'qdisc show dev eth7') echo '{root}';; esac",
            log.display()
        );
        play("tc", &tell);
        std::fs::write(&log, "").expect("log");
        let args = ["22", "9192", "netem delay 1us", "1010", "10.0.0.1", "9092"];
        let cmd = site.script(&queue::adding(), args);
        let words = cmd.words("");
        let out = std::process::Command::new(&words[0])
            .args(&words[1..])
            .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
            .output()
            .expect("sh");
        let told = std::fs::read_to_string(&log).expect("log");
        let told: Vec<String> = told.lines().map(str::to_owned).collect();
        (
            out.status.success(),
            String::from_utf8(out.stderr).expect("text"),
            told,
        )
    };
    let begin = |told: &[String]| told.iter().filter(|l| l.contains("qdisc add")).count();
    for foreign in [
        "qdisc htb 1: root refcnt 2 r2q 10",
        "qdisc fq_codel 8001: root refcnt 2",
    ] {
        let (ok, said, told) = run(foreign);
        assert!(!ok && said.contains("which is never replaced"), "{said}");
        assert_eq!(told, ["qdisc show dev eth7"]);
    }
    let (ok, said, told) = run("qdisc mq 0: root");
    assert!(ok, "{said}");
    assert_eq!(begin(&told), 1);
    let spared = told.iter().filter(|l| l.contains(" prio 1 ")).count();
    assert_eq!(spared, 4, "SSH and PROBE, both ways: {told:?}");
    let last = told.last().expect("the filter");
    assert_eq!(
        *last,
        format!(
            "filter add dev eth7 parent {handle} protocol ip prio 4112 u32 match ip dst 10.0.0.1/32 \
             match ip protocol 6 0xff match ip dport 9092 0xffff flowid {handle}1010"
        )
    );
    let (ok, said, told) = run(&format!(
        "qdisc htb {handle} root refcnt 2 r2q 10 default 0"
    ));
    assert!(ok, "{said}");
    assert_eq!(begin(&told), 0, "ours is there already");
}
