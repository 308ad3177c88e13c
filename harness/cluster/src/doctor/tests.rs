//! Readers fed with what hosts said: those of CentOS 7 and today's; and a checkup as it is shown.

use super::probes::worst;
use super::*;
use crate::injection::{Lack, Power};
use crate::labfile::{self, Sudo};

fn lab() -> LabFile {
    labfile::find("local").expect("built in")
}

/// A finding in one line: grade, what was found.
fn told(finding: &Finding) -> String {
    format!("{:?} {}", finding.grade, finding.found)
}

#[test]
fn the_lab_s_directory_is_ours_only_with_its_marker_and_without_a_lock() {
    let lab = lab();
    for (said, grade, ours) in [
        ("dir open\nmarker local\nuser root\n", "Fits claimed", true),
        ("dir open\nuser kafka\n", "Missing unclaimed", false),
        ("dir open\nfilled\nuser kafka\n", "Missing not empty", false),
        (
            "dir open\nmarker other\nfilled\n",
            "Missing of other",
            false,
        ),
        ("dir closed\nuser kafka\n", "Missing closed", false),
        ("dir none\nuser kafka\n", "Missing none", false),
        (
            "dir open\nmarker local\nlock run x7k2qa (pid 7 on host c)\nuntil 60\nnow 50\nfilled\n",
            "Note in use",
            false,
        ),
        (
            "dir open\nmarker local\nlock run x7k2qa (pid 7 on host c)\nuntil 60\nnow 61\nfilled\n",
            "Fits claimed",
            true,
        ),
    ] {
        let (finding, is_ours) = read::site(said, &lab);
        assert_eq!((told(&finding).as_str(), is_ours), (grade, ours), "{said}");
        assert!(
            finding.grade == Grade::Fits || !finding.remedy.is_empty(),
            "{said}"
        );
    }
    let (finding, _) = read::site("dir none\nuser kafka\n", &lab);
    assert!(
        finding
            .remedy
            .contains("sudo install -d -o kafka /srv/tidemark")
    );
}

#[test]
fn java_of_three_ages_and_none() {
    let eight =
        "openjdk version \"1.8.0_412\"\nOpenJDK Runtime Environment (build 1.8.0_412-b08)\n";
    let eleven = "openjdk version \"11.0.23\" 2024-04-16 LTS\n";
    let refuses =
        "Unrecognized VM option 'Nonsense'\nError: Could not create the Java Virtual Machine.\n";
    for (said, wanted) in [
        (eight, "Fits 1.8.0_412"),
        (eleven, "Fits 11.0.23"),
        ("java version \"1.7.0_261\"\n", "Missing 1.7.0_261"),
        ("none\n", "Missing none"),
        (refuses, "Missing does not start"),
    ] {
        assert_eq!(told(&read::java(said, "java")), wanted, "{said}");
    }
}

#[test]
fn iptables_of_both_ages_and_backends() {
    for (said, wanted) in [
        (
            "iptables v1.4.21\nwait ok\nrestore ok\n",
            "Fits 1.4.21 legacy",
        ),
        (
            "iptables v1.4.21\nwait ok\nrestore no\n",
            "Note 1.4.21 legacy",
        ),
        (
            "iptables v1.8.9 (nf_tables)\nwait ok\nrestore ok\n",
            "Fits 1.8.9 nf_tables",
        ),
        (
            "iptables v1.8.4 (legacy)\nwait ok\nrestore ok\n",
            "Fits 1.8.4 legacy",
        ),
        (
            "iptables v1.4.7\nwait iptables v1.4.7: option \"-w\" requires an argument\nrestore no\n",
            "Missing 1.4.7 legacy",
        ),
        (
            "iptables v1.4.21\nwait sudo: a password is required\nrestore no\n",
            "Missing 1.4.21 legacy",
        ),
        ("none\n", "Missing none"),
    ] {
        assert_eq!(told(&read::iptables(said)), wanted, "{said}");
    }
}

#[test]
fn sudo_s_refusals_are_told_from_a_command_s_own_failure() {
    let mut lab = lab();
    lab.login.sudo = Sudo::Passwordless;
    let well = "ok iptables /usr/sbin/iptables\nok true true\nno dmsetup /usr/sbin/dmsetup /dev/mapper/control: open failed: No such device\n";
    let (finding, paths) = read::sudo(well, &lab);
    assert_eq!(told(&finding), "Fits without password");
    assert_eq!(paths[0], ("iptables", "/usr/sbin/iptables".to_owned()));
    for (words, remedy) in [
        ("sudo: a password is required", "visudo"),
        (
            "sudo: sorry, you must have a tty to run sudo",
            "sudo_terminal",
        ),
        (
            "Sorry, user kafka is not allowed to execute '/sbin/tc -V' as root on n0.",
            "visudo",
        ),
    ] {
        let (finding, _) = read::sudo(&format!("no tc /usr/sbin/tc {words}\n"), &lab);
        assert_eq!(told(&finding), "Missing refused", "{words}");
        assert!(
            finding.remedy.contains(remedy),
            "{words}: {}",
            finding.remedy
        );
    }
    let (finding, _) = read::sudo(
        "no mount /usr/bin/mount sudo: a password is required\n",
        &lab,
    );
    assert_eq!(
        told(&finding),
        "Note refused",
        "only faults of disks need it"
    );
}

#[test]
fn timedatectl_of_systemd_219_and_of_today() {
    let old = "      Local time: Mon 2026-11-23 04:47:38 EST\n     NTP enabled: yes\nNTP synchronized: no\n RTC in local TZ: no\n";
    let new = "               Local time: Mon 2026-11-23 09:47:38 UTC\nSystem clock synchronized: yes\n              NTP service: active\n";
    assert_eq!(told(&read::time_sync(old)), "Note no");
    assert_eq!(
        told(&read::time_sync(
            &old.replace("synchronized: no", "synchronized: yes")
        )),
        "Fits yes"
    );
    assert_eq!(told(&read::time_sync(new)), "Fits yes");
    assert_eq!(told(&read::time_sync("none\n")), "Fits not known");
}

#[test]
fn limits_room_disk_and_the_rest() {
    let limits = |files: &str, processes: &str| {
        format!(
            "Limit                     Soft Limit           Hard Limit           Units     \nMax processes             1024                 {processes}                 processes \nMax open files            1024                 {files}                 files     \n"
        )
    };
    assert_eq!(
        told(&read::limits(&limits("4096", "4096"), "kafka")),
        "Fits 4096 files"
    );
    assert_eq!(
        told(&read::limits(&limits("unlimited", "unlimited"), "kafka")),
        "Fits any files"
    );
    assert_eq!(
        told(&read::limits(&limits("1024", "4096"), "kafka")),
        "Note 1024 files"
    );
    assert_eq!(
        told(&read::limits(&limits("256", "4096"), "kafka")),
        "Missing 256 files"
    );
    assert_eq!(
        told(&read::limits(&limits("4096", "100"), "kafka")),
        "Missing 4096 files"
    );
    assert_eq!(told(&read::limits("", "kafka")), "Note unknown");

    let lab = lab();
    assert_eq!(
        told(&read::room("41943040 xfs\n", &lab)),
        "Fits 42.9 GB xfs"
    );
    assert_eq!(
        told(&read::room("1048576 ext4\n", &lab)),
        "Note 1.1 GB ext4"
    );
    assert_eq!(
        told(&read::room("1024 tmpfs\n", &lab)),
        "Missing 0.0 GB tmpfs"
    );
    assert_eq!(told(&read::room("", &lab)), "Missing unknown");
    assert_eq!(told(&read::speed("20000000 16000000\n")), "Fits 2.0 ms");
    assert_eq!(
        told(&read::speed("900000000 1600000000\n")),
        "Note 200.0 ms"
    );
    assert_eq!(told(&read::speed("")), "Missing fails");
    assert_eq!(told(&read::clock(0.002, 0.001, 0.1)), "Fits +2.0 ms ±1.0");
    assert_eq!(told(&read::clock(-3600.0, 0.001, 0.1)), "Note -3600 s");
    assert_eq!(told(&read::selinux("none\n")), "Fits none");
    assert_eq!(
        told(&read::selinux(
            "enforce 1\nunconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\n"
        )),
        "Fits unconfined"
    );
    assert_eq!(
        told(&read::selinux("enforce 1\nuser_u:user_r:user_t:s0\n")),
        "Note enforcing"
    );
    assert_eq!(told(&read::firewalld("active\n", &lab)), "Note running");
    for said in ["inactive\n", "unknown\n", "none\n", ""] {
        assert_eq!(
            told(&read::firewalld(said, &lab)),
            "Fits not running",
            "{said}"
        );
    }
    let table = "  sl  local_address rem_address   st\n   0: 00000000:2384 00000000:0000 0A 0\n";
    assert_eq!(told(&read::ports(table, &lab, true)), "Missing in use");
    assert_eq!(told(&read::ports(table, &lab, false)), "Note in use");
    assert_eq!(told(&read::ports("", &lab, true)), "Fits free");
    assert_eq!(told(&read::foreign("4711 kafka\n")), "Missing process 4711");
    assert_eq!(
        told(&read::leftovers("the chain TM-local-f3\n", &lab)),
        "Note 1"
    );
    assert_eq!(told(&read::programs("tc\ndmsetup\n")), "Note no tc dmsetup");
    let finding = read::programs("flock\ntc\n");
    assert_eq!(told(&finding), "Missing no flock");
    assert_eq!(finding.remedy, "sudo yum install iproute util-linux");
    assert_eq!(
        told(&read::system(
            "CentOS Linux 7 (Core)",
            "Linux 3.10.0-1160.el7.x86_64"
        )),
        "Fits CentOS Linux 7, 3.10.0"
    );
}

#[test]
fn routes_in_the_words_of_both_bashes() {
    let lab = lab();
    let said = |port: &str| {
        format!(
            "self n0 192.168.136.27\nname 192.168.136.28 192.168.136.28\n\
             route 192.168.136.28 192.168.136.28 dev eth0 src 192.168.136.27 \\    cache \n\
             port 192.168.136.28 9092 {port}\n"
        )
    };
    for (port, wanted) in [
        ("0 ", "Fits by eth0"),
        ("1 sh: connect: Connection refused", "Fits by eth0"),
        (
            "1 192.168.136.28: line 1: /dev/tcp/192.168.136.28/9092: Connection refused",
            "Fits by eth0",
        ),
        ("124 ", "Missing not n1"),
        ("1 sh: connect: No route to host", "Missing not n1"),
        ("1 sh: connect: Network is unreachable", "Missing not n1"),
        (
            "127 timeout: failed to run command 'bash': No such file or directory",
            "Missing not n1",
        ),
    ] {
        assert_eq!(told(&routes::routes(&said(port), &lab)), wanted, "{port}");
    }
    let why = routes::routes(&said("1 sh: connect: No route to host"), &lab).why;
    assert_eq!(why, "to n1 port 9092: rejected");
    assert_eq!(told(&routes::routes("self n0 \n", &lab)), "Missing none");
    let mut through = lab.clone();
    through.interface = Some("eth1".to_owned());
    assert_eq!(
        told(&routes::routes(&said("0 "), &through)),
        "Missing through eth0"
    );
    assert_eq!(told(&routes::names(&said("0 "), &lab)), "Fits n0");
    assert_eq!(
        told(&routes::names("self n0 \nname x 10.0.0.1\n", &lab)),
        "Note not n0"
    );
    let mut named = lab;
    named.hosts[1].address = "kafka1".to_owned();
    let unknown = routes::names("self n0 10.0.0.1\nname kafka1 \n", &named);
    assert_eq!(told(&unknown), "Missing unknown");
    let lines = "192.168.136.27 n0; ADDRESS kafka1; 192.168.136.29 n2";
    assert!(unknown.remedy.contains(lines), "{}", unknown.remedy);
}

#[test]
fn nonsense_never_fits_silently_and_never_panics() {
    let lab = lab();
    for said in [
        "",
        "\n",
        " ",
        "x",
        "ok\n",
        "port\n",
        "route\nname\n",
        "\u{1f980} 1 2 3 4\n",
    ] {
        assert!(!read::site(said, &lab).1);
        assert_eq!(read::java(said, "java").grade, Grade::Missing, "{said:?}");
        assert_eq!(read::iptables(said).grade, Grade::Missing, "{said:?}");
        assert_eq!(read::room(said, &lab).grade, Grade::Missing, "{said:?}");
        assert_eq!(read::speed(said).grade, Grade::Missing, "{said:?}");
        assert_eq!(routes::routes(said, &lab).grade, Grade::Missing, "{said:?}");
        let _ = (
            read::sudo(said, &lab),
            read::limits(said, "u"),
            read::time_sync(said),
        );
        let _ = (
            routes::names(said, &lab),
            read::foreign(said),
            read::selinux(said),
        );
    }
    assert_eq!(
        worst([Grade::Note, Grade::Missing, Grade::Fits]),
        Grade::Missing
    );
    assert_eq!(worst([]), Grade::Fits);
}

#[test]
fn a_host_that_is_silent_stands_beside_those_that_answer() {
    let lab = lab();
    let column = |n: u8, findings: Vec<Finding>, powers| Column {
        node: NodeId(n),
        name: lab.hosts[usize::from(n)].name.clone(),
        address: String::new(),
        findings,
        powers,
        root_paths: Vec::new(),
        clock: None,
        boot: None,
    };
    let netem = Lack {
        power: Power::Netem,
        why: "tc: Specified qdisc kind is unknown.".to_owned(),
    };
    let powers = Some(Powers {
        node: NodeId(0),
        lacks: vec![netem],
    });
    let checkup = Checkup {
        lab: "local".to_owned(),
        user: "root".to_owned(),
        fits: false,
        sudoers: vec!["kafka ALL=(root) NOPASSWD: /usr/sbin/tc".to_owned()],
        hosts: vec![
            column(
                0,
                vec![
                    Finding::fits(About::Login, "root in 35.0 ms"),
                    Finding::fits(About::Java, "17.0.15"),
                ],
                powers,
            ),
            column(
                1,
                vec![Finding::missing(
                    About::Login,
                    "refused",
                    "n1 refuses SSH on port 22",
                    "",
                )],
                None,
            ),
        ],
    };
    let shown = checkup.to_string();
    assert!(
        shown.contains("login       root in 35.0 ms  X refused\n"),
        "{shown}"
    );
    assert!(
        shown.contains("Java        17.0.15          -\n"),
        "{shown}"
    );
    assert!(
        shown.contains("\nA run needs:\n  n1 login: n1 refuses SSH on port 22\n"),
        "{shown}"
    );
    assert!(
        shown.contains(
            "netem queueing discipline: not n0 (tc: Specified qdisc kind is unknown.)\n      \
             sudo modprobe sch_netem; "
        ),
        "{shown}"
    );
    assert!(
        shown.contains("tbf queueing discipline: all hosts that could be asked\n"),
        "{shown}"
    );
    assert!(
        shown.contains("\n  kafka ALL=(root) NOPASSWD: /usr/sbin/tc\n"),
        "{shown}"
    );
    assert!(
        shown.ends_with("local: one thing that a run needs is missing."),
        "{shown}"
    );
    let json = serde_json::to_value(&checkup).unwrap();
    assert_eq!(json["hosts"][1]["findings"][0]["grade"], "missing");
    assert_eq!(json["hosts"][0]["node"], "n0");
    assert_eq!(
        json["hosts"][0]["powers"][0]["power"],
        "the netem queueing discipline"
    );
    assert!(json["hosts"][1]["powers"].is_null());
}
