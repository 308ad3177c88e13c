//! The lab for real: made, broken, repaired, removed without a trace. Needs root; says so and
//! passes without it.
//!
//! Every lab here has a name of its own and the tests run one at a time. No packet is sent to a
//! lab's address from outside its namespaces.

mod common;

use common::{Bench, ctl, in_ctl, on};
use lab::{LabError, down, down_unless_used, status, up};

#[test]
fn up_up_status_down_down_leaves_nothing() {
    let Some(bench) = Bench::new("a") else { return };
    let before = bench.outside();
    let filled = up(&bench.lab).unwrap();
    assert_eq!(
        bench.outside(),
        before,
        "something appeared outside the namespaces"
    );
    let pids = bench.pids();
    assert_eq!(up(&bench.lab).unwrap(), filled);
    assert_eq!(bench.pids(), pids, "a second `up` started something");

    let there = status(&bench.lab.name).unwrap();
    let parts: Vec<(&str, bool)> = there
        .parts
        .iter()
        .map(|p| (p.namespace.as_str(), p.sshd))
        .collect();
    let name = |what: &str| format!("tm-{}-{what}", bench.lab.name);
    let [n0, n1, n2, c, sw] = ["n0", "n1", "n2", "ctl", "sw"].map(name);
    assert_eq!(
        parts,
        [
            (&*n0, true),
            (&*n1, true),
            (&*n2, true),
            (&*c, false),
            (&*sw, false)
        ]
    );
    assert_eq!(there.parts[3].addresses, ["192.168.136.26/24"]);
    assert!(
        there
            .to_string()
            .contains("192.168.136.29/24, 3 processes, sshd"),
        "{there}"
    );

    let removed = down(&bench.lab.name).unwrap();
    assert_eq!((removed.namespaces, removed.files), (5, true));
    assert_eq!(
        down(&bench.lab.name).unwrap().to_string(),
        "nothing was there"
    );
    assert!(status(&bench.lab.name).unwrap().is_down());
    assert_eq!(bench.residue(&pids), Vec::<String>::new());
    assert_eq!(bench.outside(), before);
}

#[test]
fn hosts_have_files_names_and_reapers_of_their_own() {
    let Some(bench) = Bench::new("b") else { return };
    let filled = up(&bench.lab).unwrap();
    for (node, host) in ["n0", "n1", "n2"].into_iter().enumerate() {
        let said = on(
            &filled,
            node,
            "hostname; cat /etc/hostname /srv/tidemark/.tidemark-lab",
        );
        assert_eq!(said, format!("{host}\n{host}\n{}\n", filled.name));
        assert_eq!(
            on(&filled, node, "getent hosts n1 | cut -d' ' -f1"),
            "192.168.136.28\n"
        );
    }
    on(&filled, 0, "touch /tmp/x /run/x /srv/x /root/x /var/log/x");
    let elsewhere = on(
        &filled,
        1,
        "ls /tmp /srv /root; ls -d /run/x /var/log/x || :",
    );
    assert!(!elsewhere.contains('x'), "{elsewhere}");
    for outside in ["/tmp/x", "/run/x", "/srv/x", "/root/x", "/var/log/x"] {
        assert!(
            !std::path::Path::new(outside).exists(),
            "{outside} is not the host's own"
        );
    }
    let java = cluster::cmd::quote(&filled.java);
    assert!(on(&filled, 2, &format!("{java} -version 2>&1")).contains("version"));

    // A daemon that outlives its SSH session has the first process as its parent; killed, it is
    // gone at once, not a zombie.
    let daemon = "setsid sleep 300 </dev/null >/dev/null 2>&1 & echo $!";
    let pid = on(&filled, 0, daemon);
    let pid = pid.trim();
    let parent = format!("sleep 0.3; awk '/^PPid/{{print $2}}' /proc/{pid}/status");
    assert_eq!(on(&filled, 0, &parent), "1\n");
    let kill = format!("kill -9 {pid}; sleep 0.3; if [ -e /proc/{pid} ]; then echo zombie; fi");
    assert_eq!(on(&filled, 0, &kill), "");
    // Ctrl-C reaches what a person runs there: SIGINT (bit 2) is not ignored.
    let ignored = on(&filled, 0, "awk '/^SigIgn/{print $2}' /proc/self/status");
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    assert_eq!(ignored & 0b110, 0, "SIGINT or SIGQUIT is ignored on hosts");
}

#[test]
fn hosts_reach_each_other_and_nobody_else() {
    let Some(bench) = Bench::new("c") else { return };
    let filled = up(&bench.lab).unwrap();
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let there = &filled.hosts[to].address;
        let banner = format!("timeout 5 bash -c 'head -c 4 </dev/tcp/{there}/22'");
        assert_eq!(
            on(&filled, from, &banner),
            "SSH-",
            "n{from} does not reach n{to}"
        );
    }
    for part in ["n0", "n1", "n2", "ctl"] {
        let namespace = format!("tm-{}-{part}", filled.name);
        let routes = common::ok("ip", &["-n", &namespace, "route"]);
        assert_eq!(routes.lines().count(), 1, "{namespace}: {routes}");
        assert!(
            routes.starts_with("192.168.136.0/24 dev eth0"),
            "{namespace}: {routes}"
        );
    }
    // An address reserved for documentation, so that nothing is hit even if a route existed.
    let away = ctl(&filled, &["bash", "-c", "exec 3<>/dev/tcp/192.0.2.1/80"]);
    assert!(!away.status.success());
    let said = String::from_utf8_lossy(&away.stderr).into_owned();
    assert!(said.contains("unreachable"), "{said}");
}

#[test]
fn two_labs_with_the_same_addresses_do_not_see_each_other() {
    let Some(bench) = Bench::new("d") else { return };
    let other = bench.another("e");
    let (one, two) = (up(&bench.lab).unwrap(), up(&other.lab).unwrap());
    assert_eq!(
        on(&one, 1, "cat /srv/tidemark/.tidemark-lab"),
        format!("{}\n", one.name)
    );
    assert_eq!(
        on(&two, 1, "cat /srv/tidemark/.tidemark-lab"),
        format!("{}\n", two.name)
    );
    let pids = other.pids();
    down(&two.name).unwrap();
    assert_eq!(other.residue(&pids), Vec::<String>::new());
    assert_eq!(on(&one, 2, "echo still here"), "still here\n");
}

#[test]
fn what_is_missing_is_made_again_and_what_works_stays() {
    let Some(bench) = Bench::new("f") else { return };
    let filled = up(&bench.lab).unwrap();
    on(&filled, 0, "echo kept > /srv/tidemark/file");
    let untouched = bench.pids_of("n2");

    common::kill_first_process(&filled, "n0");
    common::ok("ip", &["netns", "del", &format!("tm-{}-n1", filled.name)]);
    common::ok("ip", &["netns", "del", &format!("tm-{}-ctl", filled.name)]);
    assert_eq!(up(&bench.lab).unwrap(), filled);
    assert_eq!(on(&filled, 0, "cat /srv/tidemark/file"), "kept\n");
    assert_eq!(on(&filled, 1, "hostname"), "n1\n");
    assert!(
        bench.still_holds("n2", &untouched),
        "n2 worked and was made again"
    );

    // A cable that was pulled, and a switch that vanished under hosts that live on.
    common::ok(
        "ip",
        &[
            "-n",
            &format!("tm-{}-n2", filled.name),
            "link",
            "del",
            "eth0",
        ],
    );
    assert_eq!(up(&bench.lab).unwrap(), filled);
    assert_eq!(on(&filled, 2, "hostname"), "n2\n");
    common::ok("ip", &["netns", "del", &format!("tm-{}-sw", filled.name)]);
    assert_eq!(up(&bench.lab).unwrap(), filled);
    for node in 0..3 {
        assert_eq!(on(&filled, node, "hostname"), format!("n{node}\n"));
    }
    assert!(
        bench.still_holds("n2", &untouched),
        "n2 worked and was made again"
    );
}

#[test]
fn what_a_killed_program_left_is_taken_away_unless_the_lab_is_in_use() {
    let Some(bench) = Bench::new("g") else { return };
    let filled = up(&bench.lab).unwrap();
    // Before any SSH session there could come and go.
    let untouched = bench.pids_of("n2");
    on(
        &filled,
        0,
        "setsid sleep 300 </dev/null >/dev/null 2>&1 & exit 0",
    );
    on(
        &filled,
        1,
        "iptables -N TM-x; iptables -A TM-x -j DROP; iptables -A INPUT -p udp -j TM-x",
    );
    on(&filled, 2, "echo owner=somebody > /srv/tidemark/.lock");

    // Somebody is inside the controller's namespace: a run.
    let mut run = common::in_ctl(&filled, &["sleep", "300"]);
    up(&bench.lab).unwrap();
    assert!(on(&filled, 0, "ps -eo comm").contains("sleep"));
    assert!(on(&filled, 1, "iptables -S").contains("TM-x"));
    assert_eq!(
        on(&filled, 2, "cat /srv/tidemark/.lock"),
        "owner=somebody\n"
    );
    run.kill().unwrap();
    run.wait().unwrap();

    up(&bench.lab).unwrap();
    assert!(!on(&filled, 0, "ps -eo comm").contains("sleep"));
    assert!(!on(&filled, 1, "iptables -S").contains("TM-x"));
    assert!(!on(&filled, 2, "ls -A /srv/tidemark").contains(".lock"));
    assert!(
        bench.still_holds("n2", &untouched),
        "n2 was as it should be and was made again"
    );
}

#[test]
fn a_lab_made_from_another_file_is_made_again() {
    let Some(mut bench) = Bench::new("h") else {
        return;
    };
    up(&bench.lab).unwrap();
    bench.lab.hosts.pop();
    for host in &mut bench.lab.hosts {
        host.address = host.address.replace("192.168.136", "10.77.3");
    }
    let mut run = common::in_ctl(&bench.lab, &["sleep", "300"]);
    let said = up(&bench.lab).unwrap_err().to_string();
    assert!(said.contains("is using it"), "{said}");
    run.kill().unwrap();
    run.wait().unwrap();
    let filled = up(&bench.lab).unwrap();
    assert_eq!(status(&filled.name).unwrap().parts.len(), 4);
    assert_eq!(on(&filled, 1, "hostname"), "n1\n");
}

#[test]
fn a_jdk_that_a_host_hides_is_shown_to_it_elsewhere() {
    let Some(mut bench) = Bench::new("l") else {
        return;
    };
    let jdk = tempfile::tempdir().unwrap();
    assert!(
        jdk.path().starts_with("/tmp"),
        "{jdk:?} is not where hosts have files of their own"
    );
    let java = jdk.path().join("bin/java");
    std::fs::create_dir(jdk.path().join("bin")).unwrap();
    std::fs::write(&java, "#!/bin/sh\necho a java of our own\n").unwrap();
    std::fs::set_permissions(&java, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bench.lab.java = java.display().to_string();
    let filled = up(&bench.lab).unwrap();
    assert_eq!(on(&filled, 0, &filled.java), "a java of our own\n");
}

#[test]
fn two_ups_at_once_make_one_lab() {
    let Some(bench) = Bench::new("i") else { return };
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| up(&bench.lab));
        let two = scope.spawn(|| up(&bench.lab));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!(one.unwrap(), two.unwrap());
    let processes: Vec<usize> = status(&bench.lab.name)
        .unwrap()
        .parts
        .iter()
        .map(|p| p.processes)
        .collect();
    assert_eq!(processes, [3, 3, 3, 0, 0]);
}

#[test]
fn what_cannot_be_made_is_refused_with_the_reason() {
    let Some(mut bench) = Bench::new("j") else {
        return;
    };
    bench.lab.dir = "/nowhere-at-all/tidemark".to_owned();
    let said = up(&bench.lab).unwrap_err();
    assert!(matches!(said, LabError::Refused(_)), "{said}");
    bench.lab.dir = "/srv/tidemark".to_owned();
    bench.lab.java = "jawa".to_owned();
    let said = up(&bench.lab).unwrap_err().to_string();
    assert!(said.contains("jawa"), "{said}");
    let machines = cluster::LabFile::parse(cluster::labfile::BUILT_IN[0].1, "x").unwrap();
    let said = up(&machines).unwrap_err().to_string();
    assert!(said.contains("tidemark lab claim centos7"), "{said}");
}

#[test]
fn a_host_that_does_not_start_says_why_at_once() {
    let Some(bench) = Bench::new("m") else { return };
    let filled = up(&bench.lab).unwrap();
    common::kill_first_process(&filled, "n0");
    let log = filled
        .login
        .key
        .unwrap()
        .with_file_name("n0")
        .join("sshd.log");
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    let said = up(&bench.lab).unwrap_err().to_string();
    assert!(
        said.contains("-n0 does not listen on 192.168.136.27"),
        "{said}"
    );
    assert!(said.contains("its first process ended"), "{said}");
    assert!(
        said.contains("sshd.log"),
        "the console is not quoted: {said}"
    );
}

#[test]
fn a_shell_on_a_host_passes_words_and_status_through() {
    let Some(bench) = Bench::new("k") else { return };
    let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let node = history::NodeId(1);
    let said = lab::shell(&bench.lab, node, &words(&["true"]))
        .unwrap_err()
        .to_string();
    assert!(said.contains("is not up"), "{said}");
    up(&bench.lab).unwrap();
    // The lab file as it was read, not as `up` returned it.
    let script = words(&[
        "sh",
        "-c",
        "test \"$1\" = \"it's a  word\" && exit 7",
        "sh",
        "it's a  word",
    ]);
    let status = lab::shell(&bench.lab, node, &script).unwrap();
    assert_eq!(status.code(), Some(7));
    let said = lab::shell(&bench.lab, history::NodeId(9), &[])
        .unwrap_err()
        .to_string();
    assert!(said.contains("no host n9; it has n0, n1, n2"), "{said}");
}

#[test]
fn a_lab_in_use_goes_down_only_by_force() {
    let Some(bench) = Bench::new("u") else { return };
    up(&bench.lab).unwrap();
    let mut user = in_ctl(&bench.lab, &["sleep", "600"]);
    let before = bench.pids_of("n0");
    let said = down_unless_used(&bench.lab.name).unwrap_err().to_string();
    assert!(
        said.contains(&format!("in use by process {} (sleep)", user.id())),
        "{said}"
    );
    assert!(bench.still_holds("n0", &before), "nothing was touched");
    down(&bench.lab.name).unwrap();
    user.wait().unwrap();
    let again = down_unless_used(&bench.lab.name).unwrap();
    assert_eq!(again, lab::Removed::default());
}
