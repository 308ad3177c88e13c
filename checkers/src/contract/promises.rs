//! The rows of the contract: what these settings promise to whom, why, unless what, and what would
//! change it (docs/guarantees.md, "contract").

use history::ClientId;
use plan::Acks;

use super::known;
use super::writers::Writers;
use super::{Contract, Promise};
use crate::judgement::Clause;

/// What holds in every configuration, in one sentence.
const ALWAYS: &str = "two batches at one offset and epoch, epochs or offsets that go back within a \
                      log, a leader's high watermark that goes back within its epoch or lies \
                      beyond its log end, an in-sync member that lacks what is committed, and a \
                      clean leader's cut below its own high watermark are judged whatever the \
                      settings";

impl Contract {
    /// Every producer waits for all in-sync replicas.
    pub fn acks_all(&self) -> bool {
        let mut writers = self.writers.iter();
        !self.writers.is_empty() && writers.all(|writers| writers.acks == Acks::All)
    }

    /// The producers that a client is one of.
    pub fn writers_of(&self, client: ClientId) -> Option<&Writers> {
        self.writers.iter().find(|w| w.clients.contains(&client))
    }

    /// Acknowledged records above the HW stay.
    pub fn above_hw(&self) -> Promise {
        self.to_all(Self::above_hw_to)
    }

    /// The same to producers of one kind.
    pub fn above_hw_to(&self, writers: &Writers) -> Promise {
        match writers.acks {
            Acks::All => Promise::Yes(
                "acks=all acknowledges a record only once it is below the high watermark".into(),
            ),
            Acks::None => Promise::no(
                "acks=0 waits for no answer, so nothing is ever acknowledged",
                "acks=all",
            ),
            Acks::Leader if self.replicas == 1 => Promise::Yes(
                "the only replica is the whole in-sync set: what it wrote is below the high \
                 watermark"
                    .into(),
            ),
            Acks::Leader if !self.leader_changed => Promise::Yes(
                "acks=1 may lose records when the leader changes, and none changed".into(),
            ),
            Acks::Leader => Promise::no(
                "acks=1 acknowledges a record before other replicas hold it",
                "acks=all",
            ),
        }
    }

    /// No record twice.
    pub fn no_duplicates(&self) -> Promise {
        self.to_all(Self::no_duplicates_by)
    }

    /// The same of one client.
    pub fn no_duplicates_of(&self, client: ClientId) -> Promise {
        match self.writers_of(client) {
            Some(writers) => self.no_duplicates_by(writers),
            None => self.no_duplicates(),
        }
    }

    /// The same of producers of one kind.
    pub fn no_duplicates_by(&self, writers: &Writers) -> Promise {
        if writers.idempotent {
            return match self.forgotten_within_run {
                Some(ms) => Promise::no(
                    &format!(
                        "brokers forget a producer that was silent for {ms} ms, which is less \
                         than the run took"
                    ),
                    &format!("a longer {}", known::forgets_producers_by(self.kafka)),
                ),
                None => Promise::Yes("an idempotent producer's copies are recognised".into()),
            };
        }
        if writers.acks == Acks::None {
            return Promise::Yes("without answers there is nothing to send again for".into());
        }
        if !writers.retries {
            return Promise::Yes("nothing is sent again".into());
        }
        if !self.disturbed {
            return Promise::Yes(
                "without a fault or a late answer there is no reason to send again".into(),
            );
        }
        let default = match writers.acks {
            Acks::All if known::idempotence_off_by_default(self.kafka) => {
                " (so is this version's Java producer by default, whatever its documentation says: \
                 KAFKA-13598)"
            }
            _ => "",
        };
        Promise::no(
            &format!(
                "without idempotence a retry after a fault may append a record twice{default}"
            ),
            "enable.idempotence=true",
        )
    }

    /// Sending order stays.
    pub fn order(&self) -> Promise {
        self.to_all(Self::order_by)
    }

    /// The same of one client.
    pub fn order_of(&self, client: ClientId) -> Promise {
        match self.writers_of(client) {
            Some(writers) => self.order_by(writers),
            None => self.order(),
        }
    }

    /// The same of producers of one kind.
    pub fn order_by(&self, writers: &Writers) -> Promise {
        if writers.idempotent {
            return Promise::Yes("an idempotent producer keeps its order".into());
        }
        if writers.acks == Acks::None {
            return match self.disturbed {
                true => Promise::no(
                    "requests that nobody answers may overtake each other when a connection is \
                     made anew",
                    "enable.idempotence=true",
                ),
                false => Promise::Yes("one connection that stays keeps its order".into()),
            };
        }
        if writers.max_in_flight <= 1 {
            return Promise::Yes("one request in flight cannot be overtaken".into());
        }
        if !writers.retries {
            return Promise::Yes("nothing is sent again, so nothing is overtaken".into());
        }
        Promise::no(
            "a retry may be overtaken by a later request in flight",
            "enable.idempotence=true, or one request in flight",
        )
    }

    /// Records below the HW stay.
    pub fn below_hw(&self) -> Promise {
        Promise::Yes(match (self.unclean_enabled, self.replicas) {
            (true, _) => "unless an unclean election happens, which these settings allow".into(),
            (false, 1) => "one replica keeps what its disk keeps".into(),
            (false, _) => "below the high watermark every in-sync replica holds a record".into(),
        })
    }

    /// Under which conditions even what is below the HW may go: LRS, X, U, D, T of the contract.
    fn below_hw_unless(&self) -> String {
        let flushed = self.flushed_throughout();
        let mut unless: Vec<&str> = Vec::new();
        match (self.replicas, flushed) {
            (1, true) => unless.push("the replica's files are wiped or damaged"),
            (1, false) => unless.push(
                "a power cut takes what the replica had not flushed, or its files are wiped or \
                 damaged",
            ),
            (_, true) => unless.push(
                "a replica whose files were wiped or damaged leads without having copied them again \
                 (a power cut is no excuse: flush.messages=1)",
            ),
            (_, false) => unless.push(
                "a replica that a power cut or damage robbed of them leads without having copied \
                 them again (the last one in sync, or all in sync down at once; flush.messages=1 \
                 would rule the power cut out)",
            ),
        }
        if self.unclean_enabled {
            unless.push("an unclean election drops them");
        }
        if self.may_expire || self.compacted || self.deleted() {
            unless.push("retention, compaction or DeleteRecords removes them");
        }
        unless.join("; or ")
    }

    /// A promise to producers of every kind, as one. Where some have it and others not, it is a
    /// promise, and each record is judged by its own producer's settings.
    fn to_all(&self, promise: fn(&Self, &Writers) -> Promise) -> Promise {
        let all: Vec<(Promise, &Writers)> =
            self.writers.iter().map(|w| (promise(self, w), w)).collect();
        let given = |given: &Promise| matches!(given, Promise::Yes(_));
        let Some((first, _)) = all.first() else {
            return Promise::Yes("nobody writes to it".to_owned());
        };
        let Some((kept, to)) = all.iter().find(|(promise, _)| given(promise)) else {
            return first.clone();
        };
        match (all.iter().all(|(promise, _)| given(promise)), kept) {
            (false, Promise::Yes(why)) => Promise::Yes(format!("to {} only: {why}", to.names())),
            _ => first.clone(),
        }
    }

    /// The contract in words: what holds for the topic, then what differs by producer.
    pub fn clauses(&self) -> Vec<Clause> {
        let below = "acknowledged records below the high watermark stay";
        let mut clauses = vec![self.known_bad(Clause {
            unless: Some(self.below_hw_unless()),
            ..self.below_hw().clause(below)
        })];
        type Row = (&'static str, fn(&Contract, &Writers) -> Promise);
        let rows: [Row; 3] = [
            (
                "acknowledged records above the high watermark stay",
                Self::above_hw_to,
            ),
            ("no record stands twice in the log", Self::no_duplicates_by),
            (
                "records of one producer stay in sending order",
                Self::order_by,
            ),
        ];
        for (what, promise) in rows {
            clauses.extend(self.by_writers(what, promise));
        }
        if self.writers.iter().any(|writers| writers.transactional) {
            clauses.push(self.transactions());
        }
        clauses.push(
            self.known_bad(
                Promise::Yes("replicas copy their leader's log byte for byte".into())
                    .clause("replicas agree"),
            ),
        );
        clauses.push(self.saw());
        clauses.extend(self.to_readers());
        clauses.push(
            Promise::Yes(ALWAYS.to_owned()).clause("what no configuration permits does not happen"),
        );
        clauses
    }

    /// One clause where all producers are promised the same for the same reason, else one for each
    /// kind.
    fn by_writers(&self, what: &str, promise: fn(&Self, &Writers) -> Promise) -> Vec<Clause> {
        let clause = |writers: &Writers| {
            let mut clause = promise(self, writers).clause(what);
            if clause.promised && writers.idempotent && !what.starts_with("acknowledged") {
                clause.unless = Some(self.idempotent_unless());
            }
            clause
        };
        let all: Vec<Clause> = self.writers.iter().map(clause).collect();
        match all.first() {
            None => vec![self.to_all(promise).clause(what)],
            Some(first) if all.iter().all(|clause| clause == first) => vec![first.clone()],
            Some(_) => {
                let named = all.into_iter().zip(&self.writers).map(|(clause, writers)| {
                    let names = writers.clients.iter().map(ClientId::to_string).collect();
                    Clause {
                        by: names,
                        ..clause
                    }
                });
                named.collect()
            }
        }
    }

    fn idempotent_unless(&self) -> String {
        "an unclean election, a replica that had lost data and led, or deletion took what brokers \
         knew of the producer; or the client library sends again under a higher producer epoch, or \
         is started anew"
            .to_owned()
    }

    fn transactions(&self) -> Clause {
        let known = match known::transactions_tear(self.kafka) {
            true => {
                "; versions before 4.0 are known to break this (KAFKA-17754), which stays a breach"
            }
            false => "",
        };
        Promise::Yes(format!(
            "all of a committed transaction's records are shown, and none of an aborted one's{known}"
        ))
        .clause("transactions are whole or not at all, to readers of committed data")
    }

    fn saw(&self) -> Clause {
        let dirty = match known::dirty_hw(self.kafka) {
            true => "; or a follower that has just returned gave it (KAFKA-14704)",
            false => "",
        };
        Clause {
            unless: Some(format!("{}{dirty}", self.below_hw_unless())),
            ..Promise::Yes("consumers are given only what is below the high watermark".into())
                .clause("what a consumer saw stays")
        }
    }

    /// Names the protocol version that is known to break a promise, if one is in force.
    fn known_bad(&self, mut clause: Clause) -> Clause {
        if let Some(version) = &self.known_bad_protocol {
            let known = known::protocol_loses(version).unwrap_or("known");
            clause.why.push_str(&format!(
                "; protocol {version} is known to break this ({known}), which stays a breach"
            ));
        }
        clause
    }
}
