//! What no plan asked for, in the middle of a fault: a host out of reach, a wrong password of sudo, a
//! firewall that somebody else holds, a disk that is really full. Each is told in one sentence, and
//! the heal is complete all the same: the hosts are compared with what they were, line by line.
//!
//! Needs root and what the lab needs; skips visibly without.

mod live_lab;
#[path = "live_lab/stand_ins.rs"]
mod stand_ins;

use std::time::Duration;

use cluster::{LabFile, Power, Sudo, System, guard};
use history::{Clock, FaultId};
use live_lab::in_a_lab;
use stand_ins::{BROKER, N, connected, harm, host, link, on, stand_ins, traces, until_as};
use tokio::time::sleep;

/// Longer than any guard needs to see that its lease is over, and to heal.
const LEASE_AND_MORE: Duration = Duration::from_secs(5);

#[test]
#[ignore = "a minute: hosts and locks are waited for in vain"]
fn mishaps_are_told_and_healed() {
    in_a_lab("mishaps_are_told_and_healed", "m", |mut lab| async move {
        lab.lease = "3s".to_owned().try_into().unwrap();
        let bare = bare(&lab).await;
        one_host_is_out_of_reach(&lab, &bare).await;
        the_sudo_password_is_wrong(&lab, &bare).await;
        another_program_holds_the_firewall(&lab, &bare).await;
        the_disk_is_really_full(&lab, &bare).await;
    });
}

/// What the hosts look like after a run that nothing happened to.
async fn bare(lab: &LabFile) -> Vec<String> {
    stand_ins(lab).await;
    clean_run(lab, 1).await;
    traces(lab).await
}

/// What the next run does with what it finds, and leaves.
async fn clean_run(lab: &LabFile, run: u64) {
    let system = connected(lab, run, true).await;
    system.lock().await.unwrap();
    system.tear_down().await.unwrap();
}

async fn rules(lab: &LabFile, node: usize) -> String {
    on(lab, node, "iptables -S | grep -c '^-A TM-' || :").await
}

/// The packets of the controller to n1, and only these, vanish while f1 to f3 are in force.
async fn one_host_is_out_of_reach(lab: &LabFile, bare: &[String]) {
    stand_ins(lab).await;
    let system = connected(lab, 2, true).await;
    system.lock().await.unwrap();
    harm(&system).await;
    silence("-I", lab).await;
    let clock = Clock::start();
    let links = [link(1, 0, None), link(0, 1, None), link(1, 2, None)];
    let cut = system.cut(FaultId(3), &links, &clock).await;
    let said = cut.unwrap_err().to_string();
    println!("{said}");
    assert!(said.starts_with("n1: "), "it is named: {said}");
    let left = system.tear_down().await.unwrap_err().to_string();
    println!("{left}");
    assert!(left.starts_with("n1: "), "it is named: {left}");
    for node in [0, 2] {
        assert_eq!(rules(lab, node).await, "0\n", "n{node} is in reach");
    }
    sleep(LEASE_AND_MORE).await;
    silence("-D", lab).await;
    assert_eq!(rules(lab, 1).await, "0\n", "n1 healed itself");
    let diary = guard::diary(&host(lab, 1).await, lab).await.unwrap();
    assert!(diary[0].contains("removed the chain TM-"), "{diary:?}");
    clean_run(lab, 3).await;
    until_as(lab, bare).await;
}

/// In the controller's own namespace.
async fn silence(how: &str, lab: &LabFile) {
    let rule = ["OUTPUT", "-d", &lab.hosts[1].address, "-j", "DROP"];
    let mut iptables = tokio::process::Command::new("iptables");
    let status = iptables.args(["-w", how]).args(rule).status().await;
    assert!(status.unwrap().success());
}

/// It was right when the run began. The lab file's own path is the password.
async fn the_sudo_password_is_wrong(lab: &LabFile, bare: &[String]) {
    let mut lab = lab.clone();
    lab.login.sudo = Sudo::Password;
    lab.login.sudo_password_env = Some("TIDEMARK_LIVE_LAB".to_owned());
    let sudo = r#"mkdir /run/sudoer && cd /run/sudoer || exit 1
cat >sudo <<'EOF'
#!/bin/sh
[ "$1" = -A ] || { echo "sudo: a password is required" >&2; exit 1; }
if [ -e /run/sudoer/wrong ] || [ -z "$("$SUDO_ASKPASS")" ]; then
  echo "Sorry, try again." >&2; echo "sudo: 3 incorrect password attempts" >&2; exit 1
fi
shift 2; exec "$@"
EOF
chmod +x sudo; mount --bind sudo "$(readlink -f "$(command -v sudo)")""#;
    on(&lab, 1, sudo).await;
    stand_ins(&lab).await;
    let system = connected(&lab, 4, true).await;
    system.lock().await.unwrap();
    harm(&system).await;
    assert_eq!(rules(&lab, 1).await, "4\n", "the password was right");
    on(&lab, 1, ": >/run/sudoer/wrong").await;

    let powers = system.powers().await.unwrap();
    let lacks = powers[1].lack(Power::Iptables).unwrap_or_default();
    assert!(lacks.contains("incorrect password"), "{powers:?}");
    let clock = Clock::start();
    let cut = system.cut(FaultId(3), &[link(0, 1, None)], &clock).await;
    let mend = system.mend(FaultId(1)).await;
    for told in [cut.map(drop), mend] {
        let said = told.unwrap_err().to_string();
        println!("{said}");
        assert!(said.starts_with("n1: "), "{said}");
        assert!(
            said.contains("sudo: 3 incorrect password attempts"),
            "{said}"
        );
        assert!(said.contains("login.sudo_password_env"), "{said}");
    }
    let left = system.tear_down().await.unwrap_err().to_string();
    println!("{left}");
    assert!(
        left.starts_with("n1: the host could not be healed"),
        "{left}"
    );
    assert_eq!(rules(&lab, 1).await, "4\n", "nobody may remove them");
    // The guard tries again and again.
    on(&lab, 1, "rm /run/sudoer/wrong").await;
    sleep(LEASE_AND_MORE).await;
    assert_eq!(rules(&lab, 1).await, "0\n");
    clean_run(&lab, 5).await;
    on(
        &lab,
        1,
        "umount \"$(readlink -f \"$(command -v sudo)\")\"; rm -r /run/sudoer",
    )
    .await;
    until_as(&lab, bare).await;
}

/// An iptables that waits for a lock that somebody else holds, as 1.4 and the legacy ones do.
async fn another_program_holds_the_firewall(lab: &LabFile, bare: &[String]) {
    stand_ins(lab).await;
    let system = connected(lab, 6, true).await;
    system.lock().await.unwrap();
    harm(&system).await;
    let wrap = r#"real=$(readlink -f "$(command -v iptables)"); mkdir /run/busy && cd /run/busy || exit 1
printf '#!/bin/sh\nexec flock /run/busy/lock /run/busy/real iptables "$@"\n' >wrap
cp "$real" real; chmod +x wrap; mount --bind wrap "$real"
setsid flock lock sleep 60 </dev/null >/dev/null 2>&1 &
until kill -0 -$! 2>/dev/null; do sleep 0.01; done; echo $!"#;
    let holder = on(lab, 1, wrap).await;
    let clock = Clock::start();
    let cut = system.cut(FaultId(3), &[link(0, 1, None)], &clock).await;
    let mend = system.mend(FaultId(1)).await;
    for told in [cut.map(drop), mend] {
        let said = told.unwrap_err().to_string();
        println!("{said}");
        assert!(
            said.starts_with(
                "n1: iptables did not answer within 5 s: another program holds its lock"
            ),
            "{said}"
        );
    }
    let release = format!("kill -9 -{}; cd /run/busy", holder.trim());
    on(lab, 1, &release).await;
    system
        .cut(FaultId(3), &[link(0, 1, None)], &clock)
        .await
        .unwrap();
    system.tear_down().await.unwrap();
    on(
        lab,
        1,
        "umount \"$(readlink -f \"$(command -v iptables)\")\"; rm -r /run/busy",
    )
    .await;
    until_as(lab, bare).await;
}

/// Not the broker's file system, which is a fault's business, but the one that our own files are on.
async fn the_disk_is_really_full(lab: &LabFile, bare: &[String]) {
    let small = r#"mkdir /run/small && mount -t tmpfs -o size=1m none /run/small &&
cp -a "$1/." /run/small && mount --bind /run/small "$1""#;
    on(lab, 1, small).await;
    stand_ins(lab).await;
    let system = connected(lab, 7, true).await;
    system.lock().await.unwrap();
    harm(&system).await;
    let full = r#"cat /dev/zero >"$1/full" 2>/dev/null; df -Pk "$1" | awk 'NR == 2 { print $4 }'"#;
    assert_eq!(on(lab, 1, full).await, "0\n");
    sleep(LEASE_AND_MORE).await;
    assert_eq!(
        rules(lab, 1).await,
        "4\n",
        "leases are renewed all the same"
    );
    let clock = Clock::start();
    let links = [link(0, 1, None)];
    system.cut(FaultId(3), &links, &clock).await.unwrap();
    system.mend(FaultId(3)).await.unwrap();
    let state = system.process(N[1], BROKER).await.unwrap();
    println!("{state:?}");
    system.tear_down().await.unwrap();
    assert_eq!(rules(lab, 1).await, "0\n");
    on(
        lab,
        1,
        r#"umount "$1" && umount /run/small && rmdir /run/small"#,
    )
    .await;
    clean_run(lab, 8).await;
    until_as(lab, bare).await;
}
