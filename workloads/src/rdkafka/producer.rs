//! A producer over librdkafka: handed records by the tokio thread, given back by one poll thread.
//!
//! Every record completes exactly once, whatever the library does: what it never reports is
//! completed as unknown when the producer finishes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::rdkafka::consumer::ConsumerGroupMetadata;
use ::rdkafka::producer::{BaseProducer, Producer as _, PurgeConfig};
use history::{ClientId, Clock, NodeId, Offset, OpId, Partition, RunId, Topic, payload};
use plan::{Acks, Load};
use rustc_hash::FxHashSet;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::ffi::{Reported, Reports, Sender, Silent};
use super::member::offsets_of;
use super::notes::Notes;
use super::settings::RETRY_BACKOFF;
use crate::client::{Completion, Producer, Record, Then, Transact, Transacted};
use crate::fate::{self, Report};

/// How long purged records may take to come back; the library answers from memory.
const PURGE_GRACE: Duration = Duration::from_secs(2);

/// How long the poll thread sleeps at most without looking whether it should end.
const POLL: Duration = Duration::from_millis(100);

/// How many keys a topic's records have, where they have keys: v0 and v1000 have the same.
pub const KEYS: u64 = 1000;

/// A producer over librdkafka.
pub struct RdProducer {
    sender: Sender,
    reports: mpsc::UnboundedReceiver<Vec<Completion>>,
    /// What the library refused at once.
    refused: Vec<Completion>,
    /// Handed over and not yet given back.
    pending: FxHashSet<u64>,
    dead: bool,
    closing: Arc<AtomicBool>,
    stamp: Stamp,
    payload: Vec<u8>,
}

/// What goes into every payload of one producer.
struct Stamp {
    run: RunId,
    client: ClientId,
    clock: Clock,
    bytes: usize,
    keyed: Arc<BTreeSet<Topic>>,
}

impl RdProducer {
    /// Wraps a producer and starts its poll thread.
    pub(super) fn start(
        producer: BaseProducer<Silent>,
        (run, client, clock): (RunId, ClientId, Clock),
        (load, keyed): (&Load, Arc<BTreeSet<Topic>>),
        notes: Notes,
    ) -> std::io::Result<Self> {
        let producer = Arc::new(producer);
        let (to, reports) = mpsc::unbounded_channel();
        let closing = Arc::new(AtomicBool::new(false));
        let thread = PollThread {
            reports: Reports::new(Arc::clone(&producer)),
            to,
            acks: load.acks,
            clock,
            closing: Arc::clone(&closing),
            notes,
            client,
        };
        std::thread::Builder::new()
            .name(format!("{client} reports"))
            .spawn(move || thread.run())?;
        Ok(Self {
            sender: Sender::new(producer),
            reports,
            refused: Vec::new(),
            pending: FxHashSet::default(),
            dead: false,
            closing,
            stamp: Stamp {
                run,
                client,
                clock,
                bytes: load.value_bytes as usize,
                keyed,
            },
            payload: Vec::new(),
        })
    }

    /// Strikes off what completed. A second report of one record, which should not be, is dropped.
    fn settle(&mut self, mut batch: Vec<Completion>) -> Vec<Completion> {
        batch.retain(|completion| self.pending.remove(&completion.op.0));
        batch
    }

    /// Makes a call in which the library waits, on a thread of its own: nobody here does.
    async fn wait(
        &mut self,
        call: impl FnOnce(&BaseProducer<Silent>) -> Transacted + Send + 'static,
    ) -> Transacted {
        let producer = self.sender.shared();
        let (answer, answered) = oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("{} transaction", self.stamp.client));
        let done = match thread.spawn(move || answer.send(call(&producer))) {
            Ok(_) => answered.await,
            Err(error) => return Transacted::dead(&format!("no thread to wait on: {error}")),
        };
        let done = done.unwrap_or_else(|_| Transacted::dead("its thread ended"));
        self.dead |= done.then == Then::Dead;
        done
    }

    /// Everything that is still pending, as unknown.
    fn give_up(&mut self) -> Vec<Completion> {
        let at = self.stamp.clock.mark();
        let mut ops: Vec<u64> = self.pending.drain().collect();
        ops.sort_unstable();
        ops.into_iter()
            .map(|op| Completion {
                op: OpId(op),
                at,
                outcome: fate::of_silence(),
            })
            .collect()
    }

    /// Completions until nothing is pending or the deadline has passed.
    async fn collect(&mut self, until: Instant, into: &mut Vec<Completion>) {
        while !self.pending.is_empty() || !self.refused.is_empty() {
            match timeout_at(until, self.completions()).await {
                Ok(batch) => into.extend(batch),
                Err(_) => return,
            }
        }
    }
}

impl Producer for RdProducer {
    type Standing = ConsumerGroupMetadata;

    fn submit(&mut self, records: &[Record]) {
        let stamp = &self.stamp;
        let at = stamp.clock.mark();
        for record in records {
            payload::encode(
                stamp.run,
                stamp.client,
                record.value,
                at,
                stamp.bytes,
                &mut self.payload,
            );
            let Partition { topic, index } = &record.partition;
            self.pending.insert(record.op.0);
            let key = (record.value.0 % KEYS).to_be_bytes();
            let key = stamp.keyed.contains(topic).then_some(&key[..]);
            let bytes = (key, &self.payload[..]);
            if let Err(code) = self.sender.send(topic, *index, bytes, record.op.0) {
                self.dead |= self.sender.is_dead();
                self.refused.push(Completion {
                    op: record.op,
                    at: stamp.clock.mark(),
                    outcome: fate::of_refusal(code),
                });
            }
        }
    }

    async fn completions(&mut self) -> Vec<Completion> {
        loop {
            if !self.refused.is_empty() {
                let refused = std::mem::take(&mut self.refused);
                return self.settle(refused);
            }
            let batch = match self.reports.recv().await {
                Some(batch) => self.settle(batch),
                // The poll thread is gone, and with it all hope of a report.
                None if !self.pending.is_empty() => self.give_up(),
                None => std::future::pending().await,
            };
            if !batch.is_empty() {
                return batch;
            }
        }
    }

    fn is_dead(&self) -> bool {
        self.dead
    }

    async fn finish(&mut self, within: Duration) -> Vec<Completion> {
        let mut all = Vec::new();
        self.collect(Instant::now() + within, &mut all).await;
        if !self.pending.is_empty() {
            let everything = PurgeConfig::default().queue().inflight().non_blocking();
            self.sender.producer().purge(everything);
            self.collect(Instant::now() + PURGE_GRACE, &mut all).await;
            all.extend(self.give_up());
        }
        all
    }

    async fn transact(&mut self, step: Transact, within: Duration) -> Transacted {
        self.wait(move |producer| {
            let done = match step {
                Transact::Register => producer.init_transactions(within),
                Transact::Begin => producer.begin_transaction(),
                // Flushes first, and finds nothing: what is in flight then would lose its report.
                Transact::End { commit: true } => producer.commit_transaction(within),
                Transact::End { commit: false } => producer.abort_transaction(within),
            };
            fate::of_step(step, done)
        })
        .await
    }

    async fn send_offsets(
        &mut self,
        offsets: &[(Partition, Offset)],
        standing: ConsumerGroupMetadata,
        within: Duration,
    ) -> Transacted {
        let offsets = offsets_of(offsets);
        self.wait(move |producer| {
            let done = producer.send_offsets_to_transaction(&offsets, &standing, within);
            fate::of_offsets(done)
        })
        .await
    }

    fn crash(&mut self) -> Vec<Completion> {
        // What the library still holds must not be sent any more, or as little of it as can be: its
        // threads hear of this a moment later.
        let everything = PurgeConfig::default().queue().inflight().non_blocking();
        self.sender.producer().purge(everything);
        let mut all = std::mem::take(&mut self.refused);
        // Reports of the purge itself come later than this, if at all.
        while let Ok(batch) = self.reports.try_recv() {
            all.extend(batch);
        }
        let mut all = self.settle(all);
        all.extend(self.give_up());
        self.closing.store(true, Ordering::Release);
        all
    }
}

impl Drop for RdProducer {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
    }
}

/// Owns the last reference to the producer, so that its slow end keeps nobody waiting.
struct PollThread {
    reports: Reports,
    to: mpsc::UnboundedSender<Vec<Completion>>,
    acks: Acks,
    clock: Clock,
    closing: Arc<AtomicBool>,
    notes: Notes,
    client: ClientId,
}

impl PollThread {
    fn run(self) {
        while !self.closing.load(Ordering::Acquire) {
            self.serve(POLL);
        }
        // Dropping a producer that holds records loses their reports: purge, then poll until empty.
        let everything = PurgeConfig::default().queue().inflight().non_blocking();
        self.reports.producer().purge(everything);
        let ends = self.clock.mark() + PURGE_GRACE;
        while !self.reports.is_empty() && self.clock.mark() < ends {
            self.serve(POLL);
        }
    }

    fn serve(&self, wait: Duration) {
        let mut batch = Vec::new();
        let mut at = None;
        self.reports.serve(
            wait,
            &mut |reported| {
                let at = *at.get_or_insert_with(|| self.clock.mark());
                batch.push(Completion {
                    op: OpId(reported.op),
                    at,
                    outcome: fate::of_report(&report(&reported, self.acks)),
                });
            },
            &mut |line| self.notes.write(self.clock.mark(), self.client, &line),
        );
        if !batch.is_empty() && self.to.send(batch).is_err() {
            // The producer was dropped unfinished: nobody is left who could conclude anything.
            self.closing.store(true, Ordering::Release);
        }
    }
}

fn report(reported: &Reported, acks: Acks) -> Report {
    Report {
        code: reported.code,
        persisted: reported.persisted,
        acks,
        sole_attempt: fate::sole_attempt(reported.latency, RETRY_BACKOFF),
        offset: reported.offset,
        broker: u8::try_from(reported.broker).ok().map(NodeId),
    }
}
