//! Marker and lock on a real host: sshd on loopback.

mod loopback;

use std::time::Duration;

use cluster::claim::{self, Lock, Owner};
use history::RunId;
use loopback::sshd;

const LEASE: Duration = Duration::from_secs(60);

fn owner(n: u64) -> Owner {
    Owner {
        controller: "ctl".to_owned(),
        pid: 7,
        run: RunId::from_number(n),
    }
}

#[tokio::test]
async fn a_host_is_touched_only_with_its_marker() {
    let Some(sshd) = sshd().await else { return };
    let (lab, host) = (sshd.lab(), sshd.host().await);
    let why = claim::check(&host, &lab)
        .await
        .expect_err("no marker")
        .to_string();
    assert!(
        why.starts_with("n1: has no marker ") && why.contains("`tidemark lab claim loop`"),
        "{why}"
    );
    claim::claim(&host, &lab).await.expect("claimed");
    claim::claim(&host, &lab).await.expect("claimed again");
    claim::check(&host, &lab).await.expect("ours");
    assert_eq!(
        std::fs::read_to_string(sshd.path("lab/.tidemark-lab")).expect("marker"),
        "loop\n"
    );
    let mut other = lab.clone();
    other.name = "other".to_owned();
    for refused in [
        claim::check(&host, &other).await,
        claim::claim(&host, &other).await,
    ] {
        let why = refused.expect_err("another lab's").to_string();
        assert!(
            why.contains("claimed for the lab \"loop\", not for other"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_directory_with_other_things_in_it_is_not_claimed() {
    let Some(sshd) = sshd().await else { return };
    let (mut lab, host) = (sshd.lab(), sshd.host().await);
    lab.dir = sshd.dir.path().display().to_string();
    let why = claim::claim(&host, &lab)
        .await
        .expect_err("not empty")
        .to_string();
    assert!(
        why.contains("is not empty and has no marker; give the lab a directory of its own"),
        "{why}"
    );
    lab.dir = "/dev/null/lab".to_owned();
    let why = claim::claim(&host, &lab)
        .await
        .expect_err("cannot be made")
        .to_string();
    assert!(why.contains("sudo mkdir -p /dev/null/lab"), "{why}");
}

#[tokio::test]
async fn one_run_at_a_time() {
    let Some(sshd) = sshd().await else { return };
    let (lab, host) = (sshd.lab(), sshd.host().await);
    claim::claim(&host, &lab).await.expect("claimed");
    let first = Lock::take(&host, &lab, &owner(1), LEASE, false)
        .await
        .expect("taken");
    Lock::take(&host, &lab, &owner(1), LEASE, false)
        .await
        .expect("one's own again");
    first.renew().await.expect("renewed");
    let why = Lock::take(&host, &lab, &owner(2), LEASE, false)
        .await
        .expect_err("held")
        .to_string();
    assert!(
        why.contains(&format!(
            "in use by run {} (pid 7 on host ctl) since 20",
            RunId::from_number(1)
        )),
        "{why}"
    );
    assert!(why.contains("--steal"), "{why}");
    let second = Lock::take(&host, &lab, &owner(2), LEASE, true)
        .await
        .expect("stolen");
    for lost in [first.renew().await, first.release().await] {
        let why = lost.expect_err("stolen").to_string();
        assert!(why.contains("was taken from us"), "{why}");
    }
    second.release().await.expect("released");
    second.release().await.expect("released twice");
    assert!(
        second
            .renew()
            .await
            .expect_err("gone")
            .to_string()
            .contains("removed")
    );
    Lock::take(&host, &lab, &owner(3), LEASE, false)
        .await
        .expect("free");
}

#[tokio::test]
async fn an_expired_lease_is_taken_over_and_a_renewed_one_is_not() {
    let Some(sshd) = sshd().await else { return };
    let (lab, host) = (sshd.lab(), sshd.host().await);
    claim::claim(&host, &lab).await.expect("claimed");
    let short = Duration::from_secs(3);
    let kept = Lock::take(&host, &lab, &owner(1), short, false)
        .await
        .expect("taken");
    let waited = tokio::time::timeout(Duration::from_secs(5), kept.keep()).await;
    assert!(waited.is_err(), "kept as long as it is renewed: {waited:?}");
    Lock::take(&host, &lab, &owner(2), short, false)
        .await
        .expect_err("renewed");
    let taken = async {
        while Lock::take(&host, &lab, &owner(2), short, false)
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), taken)
        .await
        .expect("expired");
}

#[tokio::test]
async fn of_many_takers_one_wins() {
    let Some(sshd) = sshd().await else { return };
    let lab = sshd.lab();
    let hosts = [
        sshd.host().await,
        sshd.host().await,
        sshd.host().await,
        sshd.host().await,
    ];
    claim::claim(&hosts[0], &lab).await.expect("claimed");
    let owners = [owner(1), owner(2), owner(3), owner(4)];
    let (a, b, c, d) = tokio::join!(
        Lock::take(&hosts[0], &lab, &owners[0], LEASE, false),
        Lock::take(&hosts[1], &lab, &owners[1], LEASE, false),
        Lock::take(&hosts[2], &lab, &owners[2], LEASE, false),
        Lock::take(&hosts[3], &lab, &owners[3], LEASE, false),
    );
    assert_eq!([a, b, c, d].iter().filter(|taken| taken.is_ok()).count(), 1);
}
