//! Partitions by number, in the order in which they are first named.

use std::sync::Arc;

use history::Partition;
use rustc_hash::FxHashMap;

/// So many partitions are looked through before a table is asked.
const FEW: usize = 16;

/// The partitions that sends and deliveries name.
#[derive(Debug, Clone, Default)]
pub struct Names {
    names: Vec<Partition>,
    numbers: FxHashMap<Partition, u32>,
    last: usize,
}

impl Names {
    /// The number of a partition, given to it now if it has none.
    pub fn number(&mut self, name: &Partition) -> u32 {
        // The next record is mostly one of the same partition, named by the same allocation.
        let same =
            |known: &Partition| known.index == name.index && Arc::ptr_eq(&known.topic, &name.topic);
        if self.names.get(self.last).is_some_and(same) {
            return self.last as u32;
        }
        if let Some(number) = self.names.iter().take(FEW).position(same) {
            self.last = number;
            return number as u32;
        }
        let number = match self.numbers.get(name) {
            Some(&number) => number,
            None => {
                let number = self.names.len() as u32;
                self.names.push(name.clone());
                self.numbers.insert(name.clone(), number);
                number
            }
        };
        self.last = number as usize;
        number
    }

    /// The partitions, by number.
    pub fn all(&self) -> &[Partition] {
        &self.names
    }
}
