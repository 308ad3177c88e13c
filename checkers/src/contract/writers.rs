//! Producers of one topic, gathered by what their settings promise them: those with equal settings
//! are told together.

use history::{ClientId, ProducerSetting, Topic};
use plan::Acks;

use crate::facts::Facts;

/// Producers with equal settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writers {
    /// Who; empty before a run.
    pub clients: Vec<ClientId>,
    /// `acks`.
    pub acks: Acks,
    /// `enable.idempotence`, or a transactional id.
    pub idempotent: bool,
    /// The library may send again by itself.
    pub retries: bool,
    /// Requests in flight.
    pub max_in_flight: u32,
    /// With a `transactional.id`.
    pub transactional: bool,
}

impl Writers {
    /// The producers of a topic, by settings, in order of their first client.
    pub fn of(facts: &Facts, topic: &Topic) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let producers = facts.recording.setting.producers.iter();
        for (client, setting) in producers.filter(|(_, producer)| producer.topic == *topic) {
            let one = Self::one(*client, setting);
            let same = |known: &&mut Self| known.same_settings(&one);
            match all.iter_mut().find(same) {
                Some(known) => known.clients.push(*client),
                None => all.push(one),
            }
        }
        all
    }

    fn one(client: ClientId, setting: &ProducerSetting) -> Self {
        let transactional = setting.transactional_id.is_some();
        Self {
            clients: vec![client],
            acks: match setting.acks.as_str() {
                "all" | "-1" => Acks::All,
                "0" => Acks::None,
                // What is neither is taken for what promises less of the two that are answered.
                _ => Acks::Leader,
            },
            idempotent: setting.idempotent || transactional,
            retries: setting.retries,
            max_in_flight: setting.max_in_flight,
            transactional,
        }
    }

    fn same_settings(&self, other: &Self) -> bool {
        let clients = Vec::new();
        let bare = |writers: &Self| Self {
            clients: clients.clone(),
            ..writers.clone()
        };
        bare(self) == bare(other)
    }

    /// `acks=all, idempotent`.
    pub fn words(&self) -> String {
        let mut words = format!("acks={}", self.acks);
        if self.transactional {
            words.push_str(", transactional");
        } else if self.idempotent {
            words.push_str(", idempotent");
        }
        words
    }

    /// `c1, c2`; "its producers" before a run.
    pub fn names(&self) -> String {
        if self.clients.is_empty() {
            return "its producers".to_owned();
        }
        let names: Vec<String> = self.clients.iter().map(ClientId::to_string).collect();
        names.join(", ")
    }
}
