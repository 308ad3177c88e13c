//! How librdkafka is configured: what a plan asks for, and the time-outs of runs of a minute.
//!
//! Retries stay at the library's default, since real clients retry; what a plan does not name and
//! what a short run does not need stays at its default, too.

use std::time::Duration;

use history::{ClientId, CommitMode};
use plan::{Acks, Compression, Group, Load};

use crate::client::{Reading, transaction_timeout};

/// `retry.backoff.ms`, the library's own default; [`crate::fate::sole_attempt`] rests on it.
pub const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// `queue.buffering.max.messages`: above anything that the load keeps in flight.
pub const QUEUE_MESSAGES: usize = 200_000;

/// What every client gets. A broker that went silent is given up after six seconds, one that
/// does not accept after two, and metadata are never older than a second: runs last a minute, and
/// the defaults (60 s, 30 s, 5 min) would let the clients sleep through a whole fail-over.
fn common(bootstrap: &str, client: ClientId) -> Vec<(&'static str, String)> {
    [
        ("bootstrap.servers", bootstrap),
        ("allow.auto.create.topics", "false"),
        ("broker.address.family", "v4"),
        ("enable.metrics.push", "false"),
        ("log.connection.close", "false"),
        ("reconnect.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "500"),
        ("socket.connection.setup.timeout.ms", "2000"),
        ("socket.timeout.ms", "6000"),
        ("topic.metadata.refresh.interval.ms", "1000"),
    ]
    .into_iter()
    .map(|(key, value)| (key, value.to_owned()))
    .chain([("client.id", format!("tidemark-{client}"))])
    .collect()
}

/// The settings of a producer.
pub fn producer(
    bootstrap: &str,
    client: ClientId,
    load: &Load,
    transactional_id: Option<&str>,
) -> Vec<(&'static str, String)> {
    let acks = match load.acks {
        Acks::None => "0",
        Acks::Leader => "1",
        Acks::All => "all",
    };
    let compression = match load.compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    let mut settings = common(bootstrap, client);
    settings.extend([
        ("acks", acks.to_owned()),
        ("enable.idempotence", load.idempotent.to_string()),
        (
            "max.in.flight.requests.per.connection",
            load.max_in_flight.to_string(),
        ),
        ("linger.ms", load.linger_ms.to_string()),
        ("batch.size", load.batch_bytes.to_string()),
        ("compression.type", compression.to_owned()),
        (
            "message.timeout.ms",
            load.delivery_timeout.as_millis().to_string(),
        ),
        // How long a leader may wait for its followers; below `socket.timeout.ms`, so that the
        // leader's own answer is heard rather than a time-out here.
        ("request.timeout.ms", "5000".to_owned()),
        ("retry.backoff.ms", RETRY_BACKOFF.as_millis().to_string()),
        ("queue.buffering.max.messages", QUEUE_MESSAGES.to_string()),
        // In KiB; the count above is what bounds.
        ("queue.buffering.max.kbytes", "2097151".to_owned()),
    ]);
    if let Some(id) = transactional_id {
        let timeout = transaction_timeout(load);
        settings.extend([
            ("transactional.id", id.to_owned()),
            ("transaction.timeout.ms", timeout.as_millis().to_string()),
        ]);
    }
    settings
}

/// The settings of a consumer: no group, nothing committed, every checksum verified, and a lost
/// position is an error rather than a silent jump.
pub fn consumer(
    bootstrap: &str,
    client: ClientId,
    reading: Reading,
) -> Vec<(&'static str, String)> {
    let isolation = match reading {
        Reading::Committed => "read_committed",
        Reading::Everything | Reading::ToTheEnd => "read_uncommitted",
    };
    let to_the_end = (reading == Reading::ToTheEnd).to_string();
    let mut settings = common(bootstrap, client);
    settings.extend(
        [
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", &to_the_end),
            ("fetch.error.backoff.ms", "100"),
            ("fetch.wait.max.ms", "100"),
            ("isolation.level", isolation),
        ]
        .map(|(key, value)| (key, value.to_owned())),
    );
    settings
}

/// The settings of a consumer of a group. A member that crashed is missed after six seconds, the
/// least that brokers allow; what is processed is told to the library by hand.
pub fn member(
    bootstrap: &str,
    client: ClientId,
    group: &Group,
    read_committed: bool,
) -> Vec<(&'static str, String)> {
    let isolation = match read_committed {
        true => "read_committed",
        false => "read_uncommitted",
    };
    let auto = (group.commit == CommitMode::Auto).to_string();
    let mut settings = common(bootstrap, client);
    settings.extend(
        [
            ("auto.commit.interval.ms", "1000"),
            ("auto.offset.reset", "earliest"),
            ("check.crcs", "true"),
            ("enable.auto.commit", &auto),
            ("enable.auto.offset.store", "false"),
            ("fetch.error.backoff.ms", "100"),
            ("fetch.wait.max.ms", "100"),
            ("group.id", &group.name),
            ("heartbeat.interval.ms", "1000"),
            ("isolation.level", isolation),
            ("session.timeout.ms", "6000"),
        ]
        .map(|(key, value)| (key, value.to_owned())),
    );
    settings
}
