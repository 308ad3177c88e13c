//! Lines about what changed beneath the clients.

use super::Parser;
use super::line::{Line, Wanted};
use crate::change::{Alteration, Harm, HarmEvent, RebalanceEvent};
use crate::event::Event;
use crate::ids::{ClientId, Partition};
use crate::notation::words;

impl Parser {
    /// `assigned ledger/0, ledger/1`, behind the client and `rebalance`.
    pub(super) fn rebalance(&mut self, line: &mut Line, client: ClientId) -> Result<(), Wanted> {
        let change = line.named(&words::REBALANCES)?;
        let mut partitions: Vec<Partition> = Vec::new();
        while !line.at_end() {
            partitions.push(line.id("a partition, ledger/0")?);
            if !line.eat(",") {
                break;
            }
        }
        let at = self.time(line)?;
        self.events.push(Event::Rebalance(RebalanceEvent {
            at,
            client,
            change,
            partitions,
        }));
        Ok(())
    }

    /// `ledger/0 n0 lost from @5 by f1`, behind `harm`.
    pub(super) fn harm(&mut self, line: &mut Line) -> Result<(), Wanted> {
        const OFFSET: &str = "an offset, @5";
        let partition = line.id("a partition, ledger/0")?;
        let harm = if line.eat("deleted") {
            line.expect("before")?;
            let before = line.id(OFFSET)?;
            Harm::Deleted { before }
        } else {
            let node = line.id("a node (n0), or `deleted before @5`")?;
            match line.word() {
                "lost" => {
                    line.expect("from")?;
                    let from = line.id(OFFSET)?;
                    Harm::SuffixLost { node, from }
                }
                "wiped" => Harm::Wiped { node },
                "damaged" => {
                    line.expect("from")?;
                    let from = line.id(OFFSET)?;
                    Harm::Damaged { node, from }
                }
                _ => {
                    let wanted = "`lost from @5`, `wiped` or `damaged from @5`";
                    return Err(Wanted::new(wanted));
                }
            }
        };
        let fault = match line.eat("by") {
            true => Some(line.id("a fault, f1")?),
            false => None,
        };
        let at = self.time(line)?;
        self.events.push(Event::Harm(HarmEvent {
            at,
            fault,
            partition,
            harm,
        }));
        Ok(())
    }

    /// `ledger min.insync.replicas=1`, behind `set`.
    pub(super) fn alteration(&mut self, line: &mut Line) -> Result<(), Wanted> {
        let topic = match line.word() {
            "" => return Err(Wanted::new("a topic, or `brokers`")),
            "brokers" => None,
            topic => Some(topic.into()),
        };
        let setting = line.text()?;
        let (key, value) = match setting.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (setting, None),
        };
        let (asked, answered) = self.two_times(line)?;
        self.events.push(Event::Altered(Alteration {
            asked,
            answered,
            topic,
            key,
            value,
        }));
        Ok(())
    }
}
