//! What a plan's values are called: one table for reading and for writing them.

use history::CommitMode;

use crate::model::{Acks, Compression, Expected, Profile, Rate};

/// Units of a disk's size in bytes, the largest first.
pub(crate) const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20)];

/// What an experiment expects to end as.
pub(crate) const EXPECTED: &[(&str, Expected)] = &[
    ("held", Expected::Held),
    ("broken", Expected::Broken),
    ("unproven", Expected::Unproven),
];

/// How patient brokers are.
pub(crate) const PROFILES: &[(&str, Profile)] =
    &[("fast", Profile::Fast), ("stock", Profile::Stock)];

/// How batches are packed.
pub(crate) const COMPRESSIONS: &[(&str, Compression)] = &[
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

/// When a group commits. What is given counts as processed, so that no group of ours can commit before.
pub(crate) const COMMITS: &[(&str, CommitMode)] =
    &[("after", CommitMode::After), ("auto", CommitMode::Auto)];

/// Whose answer a producer waits for; `-1` is what Kafka itself calls `all`.
pub(crate) const ACKS: &[(&str, Acks)] = &[
    ("0", Acks::None),
    ("1", Acks::Leader),
    ("all", Acks::All),
    ("-1", Acks::All),
];

/// Rates that are no number.
pub(crate) const RATES: &[(&str, Rate)] = &[("max", Rate::Max), ("on-demand", Rate::OnDemand)];
