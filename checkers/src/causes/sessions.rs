//! R: producers that began anew. Brokers know a copy by its producer id; a handle that wrote under
//! several ids was started again, or given a new id by its library.

use std::collections::{BTreeMap, BTreeSet};

use history::{ClientId, Payload};

use crate::contract::Contract;
use crate::facts::{Facts, PartFacts};

/// A producer with the ids under which its records stand in the final log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Which handle.
    pub client: ClientId,
    /// More than one.
    pub producer_ids: BTreeSet<i64>,
}

/// Idempotent producers of a partition that wrote under several producer ids.
pub fn all(facts: &Facts, contract: &Contract, part: &PartFacts) -> Vec<Session> {
    let Some(log) = part.final_log() else {
        return Vec::new();
    };
    if !contract.writers.iter().any(|writers| writers.idempotent) {
        return Vec::new();
    }
    let mut ids: BTreeMap<ClientId, BTreeSet<i64>> = BTreeMap::new();
    for batch in &log.log.batches {
        if batch.is_control() || batch.producer_id < 0 {
            continue;
        }
        // All records of a batch are one producer's.
        let values = log.log.records_of(batch).iter();
        let send = values
            .filter_map(|record| match record.payload {
                Payload::Value(value) => facts.ops.by_value.get(value),
                Payload::Corrupt | Payload::Foreign => None,
            })
            .next();
        if let Some(send) = send {
            let client = facts.ops.send(send).client;
            ids.entry(client).or_default().insert(batch.producer_id);
        }
    }
    ids.into_iter()
        .filter(|(_, ids)| ids.len() > 1)
        .map(|(client, producer_ids)| Session {
            client,
            producer_ids,
        })
        .collect()
}
