//! What metadata, settings and logs show, read as data.

use std::process::Command;

use history::Epoch;

use super::*;

fn view(leader: Option<u8>, epoch: i32) -> PartitionView {
    PartitionView {
        leader: leader.map(NodeId),
        epoch: Epoch(epoch),
        replicas: [0, 1, 2].map(NodeId).to_vec(),
        isr: [0, 1, 2].map(NodeId).to_vec(),
    }
}

fn said_by(node: u8, controller: Option<u8>, of: PartitionView) -> (NodeId, View) {
    let view = View {
        controller: controller.map(NodeId),
        partitions: BTreeMap::from([("ledger/0".parse().unwrap(), of)]),
        ..View::default()
    };
    (NodeId(node), view)
}

#[test]
fn the_newest_epoch_is_believed_and_the_first_to_say_it() {
    let views = [
        said_by(0, Some(0), view(Some(0), 3)),
        said_by(1, Some(2), view(Some(2), 4)),
        said_by(2, Some(2), view(Some(2), 4)),
    ];
    let partition = "ledger/0".parse().unwrap();
    let found = newest(&views, &partition).unwrap();
    assert_eq!(
        found.to_string(),
        "n2 leads ledger/0 in e4, says the metadata of n1"
    );
    assert_eq!(newest(&views, &"other/0".parse().unwrap()), None);
    assert_eq!(controllers(&views), [2, 0].map(NodeId));
    assert_eq!(controllers(&[]), []);
}

#[test]
fn an_election_counts_when_it_did_what_it_was_for() {
    let is = |before, after, unclean| elected(&before, &after, unclean).0;
    // Preferred: n0, first in the assignment.
    assert!(is(view(Some(1), 3), view(Some(0), 4), false));
    assert!(!is(view(Some(0), 3), view(Some(0), 4), false));
    assert!(!is(view(Some(1), 3), view(Some(2), 4), false));
    // Unclean: only of a partition that nobody led.
    assert!(is(view(None, 3), view(Some(2), 4), true));
    assert!(!is(view(Some(1), 3), view(Some(2), 4), true));
}

#[test]
fn a_brokers_log_says_which_value_it_goes_by() {
    let line = "2026-11-22 03:00:00,000 INFO Processing override for entityPath: topics/ledger \
                with config: Map(min.insync.replicas -> 1, flush.messages -> 10) (kafka.server...)";
    let says = |key, value| setting::says(line, key, value);
    assert!(says("min.insync.replicas", Some("1")));
    assert!(says("flush.messages", Some("10")));
    assert!(!says("flush.messages", Some("1")));
    assert!(!says("insync.replicas", Some("1")), "the end of a key");
    assert!(says("retention.ms", None));
    assert!(!says("flush.messages", None));
    assert!(!setting::says("", "retention.ms", None));
    assert!(setting::says(
        "x with config: Map() (k)",
        "retention.ms",
        None
    ));
}

#[test]
fn lines_are_counted_and_the_last_one_shown() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("server.log");
    let ask = || {
        let out = Command::new("sh")
            .args(["-c", setting::TAKEN, "sh", "topics/a with"])
            .arg(&log)
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!(ask(), "0\n");
    std::fs::write(&log, "nothing\n").unwrap();
    assert_eq!(ask(), "0\n\n");
    std::fs::write(&log, "topics/a with 1\ntopics/ab with 2\ntopics/a with 3\n").unwrap();
    assert_eq!(ask(), "2\ntopics/a with 3\n");
}
