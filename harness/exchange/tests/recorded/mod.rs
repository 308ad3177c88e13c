//! A run directory made from a history in the notation of `history::notation`.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fs::{self, File};
use std::path::Path;

use history::frames::FrameWriter;
use history::{Event, RunDir, RunId, Setting};

/// One of each kind of event, and of each kind of call and answer.
pub const ONE_OF_EACH: &str = r#"
phase setup
clock n0 1700000000000000000
n0 broker started 123
n1 zookeeper started 9
phase steady
c1 send ledger/0 v1 -> @0 by n0
c1 send ledger/0 v2 -> @?
c1 send ledger/1 v3 -> ? timed out
c1 send ledger/0 v4 -> ! queue "full"\of things
c1 send ledger/0 v5 ...
c2 assign ledger/0@0, ledger/1@5
c2 poll -> ledger/0 @0=v1 @1=corrupt @2=foreign e1 by n0, ledger/1 @7=v9
c2 poll -> nothing
c2 poll -> ? gone
c3 subscribe ledger, metrics
c3 rebalance assigned ledger/0, ledger/1
c3 poll -> ledger/0 @0=v1
c3 seek ledger/0@5
c3 commit ledger/0@5
c4 begin
c4 send ledger/0 v6 -> @8
c4 end commit
c4 begin
c4 send ledger/0 v7 -> @9
c4 end abort
phase storm
step 3 kill leader of ledger/0 : fired
f1 kill broker n0 : injecting (leader of ledger/0 is n0)
f1 injected (no such process)
n0 broker killed
step 3 kill leader of ledger/0 : done
f1 healing
f1 healed (it runs)
f2 cut n0 -> n1 port zk-peer, n1 -> n0 : injecting asked "cut n0 off" (why n0)
f2 ineffective (0 packets)
f2 stuck (no answer)
step 4 await : missed (too late)
n1 leo ledger/0 @5 e1
n1 leo ledger/0 @5
n1 marks ledger/0 hw @5 lso @4 start @1
n1 leader-hw ledger/0 e1 @5
n1 believes ledger/0 leader n1 e1 isr {n1,n2}
n1 zk ledger/0 leader none e1 isr {} version 3
n0 controller n1
n0 controller none
n0 silent (connection refused)
n1 broker paused
n1 broker resumed
n1 broker stopped
n2 broker died
harm ledger/0 n0 lost from @5 by f1
harm ledger/0 n0 wiped
harm ledger/0 n0 damaged from @5
harm ledger/0 deleted before @5
set ledger min.insync.replicas=1
set ledger min.insync.replicas
set brokers unclean.leader.election.enable=true
image n0 before f1 running 123 changed images/n0-f1.tar.zst
image n1 final paused 7 unchanged images/n1-final.tar.zst
image n2 final gone unchanged images/n2-final.tar.zst
phase teardown
"#;

pub const SETTING: &str = r#"{
  "run": "abc123", "plan": "scripted", "seed": 7, "started": "2026-11-22T00:00:00Z",
  "tidemark": "0", "kafka": "3.0.0", "client": "none", "brokers": {}, "hosts": {},
  "topics": {
    "ledger": {"id": null, "assignment": {"0": [0, 1, 2], "1": [1, 2, 0]}, "config": {}},
    "metrics": {"id": null, "assignment": {"0": [0, 1, 2]}, "config": {}}
  },
  "producers": {
    "1": {"topic": "ledger", "acks": "all", "idempotent": true, "retries": true, "max_in_flight": 5}
  }
}"#;

pub fn parsed(text: &str) -> Vec<Event> {
    history::notation::parse(text).expect("notation")
}

/// A run directory below `above` with this history and nothing else.
pub fn run(above: &Path, events: &[Event]) -> RunDir {
    let setting: Setting = serde_json::from_str(SETTING).expect("a setting");
    let started = chrono::DateTime::UNIX_EPOCH;
    let run: RunId = setting.run;
    let dir = RunDir::create(above, started, "scripted", run).expect("made");
    dir.write_setting(&setting).expect("written");
    fs::write(dir.plan_toml(), "name = \"scripted\"\n").expect("written");
    let file = File::create(dir.history_file()).expect("made");
    let mut writer = FrameWriter::begin(file).expect("begun");
    for event in events {
        writer.push(event);
    }
    writer.cut().expect("written");
    dir
}
