//! The doctor at hosts that are not well: one that is not there, one whose answers do not come.

mod loopback;

use cluster::doctor::{About, Finding, Grade, examine};
use cluster::{Host, HostSpec, claim};
use history::NodeId;
use loopback::sshd;

fn of(findings: &[Finding], about: About) -> &Finding {
    let found = findings.iter().find(|finding| finding.about == about);
    found.unwrap_or_else(|| panic!("nothing about {about:?} in {findings:?}"))
}

#[tokio::test]
async fn a_host_that_is_not_there_and_a_java_that_never_answers() {
    let Some(sshd) = sshd().await else { return };
    let mut lab = sshd.lab();
    lab.hosts[0].node = NodeId(0);
    lab.hosts.push(HostSpec {
        node: NodeId(1),
        ssh_port: Some(1),
        ..lab.hosts[0].clone()
    });
    let unclaimed = examine(&lab).await;
    let seen = &unclaimed.hosts[0];
    assert_eq!(of(&seen.findings, About::Claim).grade, Grade::Missing);
    assert!(
        seen.powers.is_none(),
        "nothing is tried on a host that is not claimed"
    );
    assert!(!sshd.path("lab").exists(), "nothing is made there");

    std::fs::write(sshd.path("java"), "#!/bin/sh\nexec sleep 60\n").expect("a file");
    std::process::Command::new("chmod")
        .arg("755")
        .arg(sshd.path("java"))
        .status()
        .expect("chmod");
    lab.java = sshd.remote("java");

    let host = Host::connect(&lab, &lab.hosts[0]).await.expect("connected");
    claim::claim(&host, &lab).await.expect("claimed");
    let checkup = examine(&lab).await;
    println!("{checkup}");
    assert!(!checkup.fits);
    let (seen, gone) = (&checkup.hosts[0], &checkup.hosts[1]);
    let java = of(&seen.findings, About::Java);
    assert_eq!(
        (java.grade, java.found.as_str()),
        (Grade::Missing, "no answer")
    );
    assert!(java.why.contains("did not end within 6 s"), "{}", java.why);
    for about in [
        About::Login,
        About::Command,
        About::Claim,
        About::Names,
        About::Routes,
        About::Disk,
    ] {
        assert_eq!(of(&seen.findings, about).grade, Grade::Fits, "{about:?}");
    }
    assert_eq!(gone.findings.len(), 1);
    assert!(
        gone.findings[0].why.contains("refuses SSH on port 1"),
        "{:?}",
        gone.findings
    );
    let left: Vec<_> = std::fs::read_dir(sshd.path("lab"))
        .expect("the lab's directory")
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "only the marker: {left:?}");
}
