//! A consumer over librdkafka: manual assignment, no group, served without a thread of its own.
//!
//! The library's threads fetch; they only tell that something is at hand. A batch that fails its
//! checksum is a delivery like any other, with a corrupt payload: it is evidence.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ::rdkafka::types::RDKafkaErrorCode as Code;
use history::{
    ClientId, Clock, Delivery, Epoch, NodeId, Offset, Outcome, Partition, Payload, Reply, RunId,
    Why, payload,
};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::ffi::{Reader, Taken};
use super::notes::Notes;
use crate::client::Consumer;
use crate::fate;

/// A consumer over librdkafka.
pub struct RdConsumer {
    /// Taken out only when the consumer is dropped.
    reader: Option<Reader>,
    /// Errors that came behind deliveries and belong to the next poll.
    errors: VecDeque<Why>,
    /// Ends of logs that were met and not yet told.
    ends: Vec<(Partition, Offset)>,
    run: RunId,
    client: ClientId,
    clock: Clock,
    notes: Notes,
}

impl RdConsumer {
    pub(super) fn new(
        reader: Reader,
        (run, client, clock): (RunId, ClientId, Clock),
        notes: Notes,
    ) -> Self {
        Self {
            reader: Some(reader),
            errors: VecDeque::new(),
            ends: Vec::new(),
            run,
            client,
            clock,
            notes,
        }
    }

    /// What is at hand now. Errors are put aside for the next poll, so that what was delivered
    /// before them is not lost.
    fn take(&mut self, max: usize) -> Vec<Delivery> {
        let Some(reader) = &mut self.reader else {
            return Vec::new();
        };
        let (run, errors, ends) = (self.run, &mut self.errors, &mut self.ends);
        let mut deliveries = Vec::new();
        reader.take(max, &mut |taken| {
            if let Err((Code::PartitionEOF, _)) = &taken.what {
                let partition = Partition::new(taken.topic.clone(), taken.partition);
                return ends.push((partition, Offset(taken.offset)));
            }
            match delivery(run, &taken) {
                Ok(delivery) => deliveries.push(delivery),
                Err(why) => errors.push_back(why),
            }
        });
        reader.lines(&mut |line| self.notes.write(self.clock.mark(), self.client, &line));
        deliveries
    }

    fn wake(&self) -> Option<Arc<Notify>> {
        self.reader.as_ref().map(|reader| Arc::clone(reader.wake()))
    }
}

impl Consumer for RdConsumer {
    async fn assign(&mut self, from: &[(Partition, Offset)]) -> Outcome<()> {
        self.errors.clear();
        self.ends.clear();
        let Some(reader) = &mut self.reader else {
            return Outcome::Failed(Why::new("closed"));
        };
        reader.stop();
        for (partition, offset) in from {
            if let Err(code) = reader.start(&partition.topic, partition.index, offset.0) {
                reader.stop();
                return Outcome::Failed(fate::why(code));
            }
        }
        Outcome::Ok(())
    }

    async fn poll(&mut self, max: usize, within: Duration) -> Reply {
        let until = Instant::now() + within;
        loop {
            if let Some(why) = self.errors.pop_front() {
                // Reading changes nothing: a poll that brought nothing has certainly failed.
                return Reply::Polled(Outcome::Failed(why));
            }
            let deliveries = self.take(max);
            if !deliveries.is_empty() || !self.ends.is_empty() {
                return Reply::Polled(Outcome::Ok(deliveries));
            }
            if !self.errors.is_empty() {
                continue;
            }
            let Some(wake) = self.wake() else {
                return Reply::Polled(Outcome::Failed(Why::new("closed")));
            };
            if timeout_at(until, wake.notified()).await.is_err() {
                return Reply::Polled(Outcome::Ok(Vec::new()));
            }
        }
    }

    fn ends(&mut self) -> Vec<(Partition, Offset)> {
        std::mem::take(&mut self.ends)
    }

    /// Without a group there is nobody to say goodbye to.
    fn crash(self) {}
}

impl Drop for RdConsumer {
    fn drop(&mut self) {
        let Some(reader) = self.reader.take() else {
            return;
        };
        // The library joins its threads, which may sit in a connect; nobody here waits for that.
        let closing = std::thread::Builder::new().name(format!("{} closing", self.client));
        if closing.spawn(move || drop(reader)).is_err() {
            self.notes.write(
                self.clock.mark(),
                self.client,
                "closed late: no thread could be started",
            );
        }
    }
}

fn delivery(run: RunId, taken: &Taken<'_>) -> Result<Delivery, Why> {
    let payload = match &taken.what {
        Ok(bytes) => payload::recognise(run, bytes),
        Err((Code::BadMessage, _)) if taken.offset >= 0 => Payload::Corrupt,
        Err((code, words)) => {
            let place = Partition::new(taken.topic.clone(), taken.partition);
            return Err(Why::new(format!("{place}: {code:?}: {words}")));
        }
    };
    Ok(Delivery {
        partition: Partition::new(taken.topic.clone(), taken.partition),
        offset: Offset(taken.offset),
        payload,
        epoch: (taken.epoch >= 0).then_some(Epoch(taken.epoch)),
        broker: u8::try_from(taken.broker).ok().map(NodeId),
    })
}
