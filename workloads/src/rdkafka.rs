//! The real clients: librdkafka, driven as applications drive it.
//!
//! Foreign threads live only in here (one poll thread for each producer, and the library's own).
//! Nothing in here records, retries above the library, or prints.

mod consumer;
mod ffi;
mod member;
mod notes;
mod producer;
mod settings;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ::rdkafka::ClientConfig;
use ::rdkafka::client::ClientContext;
use ::rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use ::rdkafka::consumer::{BaseConsumer, ConsumerGroupMetadata};
use ::rdkafka::producer::BaseProducer;
use history::{ClientId, Clock, CommitMode, RunId, Topic};
use plan::{Group, Load};
use tokio::sync::{Notify, mpsc};

pub use consumer::RdConsumer;
pub use member::RdMember;
pub use producer::{KEYS, RdProducer};
pub use settings::QUEUE_MESSAGES;

use crate::client::{Clients, OpenError, Reading};
use ffi::{Reader, Silent};
use member::Hears;
use notes::Notes;

/// Opens clients of one cluster, for one run.
pub struct RdKafka {
    bootstrap: String,
    run: RunId,
    clock: Clock,
    notes: Notes,
    keyed: Arc<BTreeSet<Topic>>,
}

impl RdKafka {
    /// Clients that find their cluster at `bootstrap` (`host:port`, separated by commas) and stamp
    /// their records with `run`.
    pub fn new(bootstrap: String, run: RunId, clock: Clock) -> Self {
        Self {
            bootstrap,
            run,
            clock,
            notes: Notes::default(),
            keyed: Arc::default(),
        }
    }

    /// The same, whose records of these topics have keys: [`KEYS`] of them, in turn. A compacted topic
    /// takes no others.
    pub fn keyed(self, topics: BTreeSet<Topic>) -> Self {
        Self {
            keyed: Arc::new(topics),
            ..self
        }
    }

    /// The last things that the library said about itself (at most 2000 lines, oldest first).
    pub fn notes(&self) -> Vec<String> {
        self.notes.lines()
    }

    fn open<X: ClientContext, T: FromClientConfigAndContext<X>>(
        client: ClientId,
        settings: Vec<(&'static str, String)>,
        context: X,
    ) -> Result<T, OpenError> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.extend(
            settings
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value)),
        );
        T::from_config_and_context(&config, context).map_err(|error| OpenError {
            client,
            why: error.to_string(),
        })
    }
}

impl Clients for RdKafka {
    type Standing = ConsumerGroupMetadata;
    type Producer = RdProducer;
    type Consumer = RdConsumer;
    type Member = RdMember;

    fn producer(
        &self,
        id: ClientId,
        load: &Load,
        transactional_id: Option<&str>,
    ) -> Result<RdProducer, OpenError> {
        let settings = settings::producer(&self.bootstrap, id, load, transactional_id);
        let producer: BaseProducer<Silent> = Self::open(id, settings, Silent)?;
        let stamp = (self.run, id, self.clock);
        let keyed = Arc::clone(&self.keyed);
        let started = RdProducer::start(producer, stamp, (load, keyed), self.notes.clone());
        started.map_err(|error| OpenError {
            client: id,
            why: format!("no poll thread: {error}"),
        })
    }

    fn consumer(&self, id: ClientId, reading: Reading) -> Result<RdConsumer, OpenError> {
        let settings = settings::consumer(&self.bootstrap, id, reading);
        let consumer: BaseConsumer<Silent> = Self::open(id, settings, Silent)?;
        let reader = Reader::new(consumer, Arc::new(Notify::new()));
        let stamp = (self.run, id, self.clock);
        Ok(RdConsumer::new(reader, stamp, self.notes.clone()))
    }

    fn member(
        &self,
        id: ClientId,
        group: &Group,
        read_committed: bool,
    ) -> Result<RdMember, OpenError> {
        let (told, moves) = mpsc::unbounded_channel();
        let hears = Hears {
            client: id,
            clock: self.clock,
            notes: self.notes.clone(),
            moves: told,
            changed: AtomicBool::new(false),
        };
        let settings = settings::member(&self.bootstrap, id, group, read_committed);
        let consumer: BaseConsumer<Hears> = Self::open(id, settings, hears)?;
        let stamp = (self.run, id, self.clock);
        let in_transactions = group.commit == CommitMode::Transaction;
        RdMember::start(consumer, stamp, (moves, in_transactions)).map_err(|error| OpenError {
            client: id,
            why: format!("no thread: {error}"),
        })
    }

    fn describe(&self) -> String {
        let (_, version) = ::rdkafka::util::get_rdkafka_version();
        let features = ClientConfig::new()
            .create_native_config()
            .and_then(|config| config.get("builtin.features"))
            .unwrap_or_else(|error| error.to_string());
        format!("librdkafka {version} ({features})")
    }
}
