//! What changed beneath the clients, as lines; and lists.

use std::fmt::Display;

use super::{Printer, text};
use crate::change::{Alteration, Harm, HarmEvent, RebalanceEvent};
use crate::ids::{Offset, Partition};

impl Printer {
    /// ` a, b`; nothing for none.
    pub(super) fn list<T: Display>(&mut self, all: &[T]) {
        for (n, one) in all.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            self.text.push_str(&format!("{comma} {one}"));
        }
    }

    pub(super) fn positions(&mut self, all: &[(Partition, Offset)]) {
        let all: Vec<String> = all.iter().map(|(p, at)| format!("{p}{at}")).collect();
        self.list(&all);
    }

    pub(super) fn rebalance(&mut self, event: &RebalanceEvent) {
        let RebalanceEvent { client, change, .. } = event;
        self.text.push_str(&format!("{client} rebalance {change}"));
        self.list(&event.partitions);
    }

    pub(super) fn harm(&mut self, event: &HarmEvent) {
        let what = match event.harm {
            Harm::SuffixLost { node, from } => format!("{node} lost from {from}"),
            Harm::Wiped { node } => format!("{node} wiped"),
            Harm::Damaged { node, from } => format!("{node} damaged from {from}"),
            Harm::Deleted { before } => format!("deleted before {before}"),
        };
        self.text
            .push_str(&format!("harm {} {what}", event.partition));
        if let Some(fault) = event.fault {
            self.text.push_str(&format!(" by {fault}"));
        }
    }

    pub(super) fn alteration(&mut self, change: &Alteration) {
        let target = change.topic.as_deref().unwrap_or("brokers");
        let setting = match &change.value {
            Some(value) => format!("{}={value}", change.key),
            None => change.key.clone(),
        };
        self.text
            .push_str(&format!("set {target} {}", text(&setting)));
    }
}
