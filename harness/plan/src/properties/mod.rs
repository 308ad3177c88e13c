//! The property names of Kafka 3.0.0, so that a misspelt one is an error before anything starts.
//!
//! A name and the type of its value are checked, no more: what a value does, and whether the
//! broker took it, is seen on the broker itself.

mod known;

use crate::nearest::{hint, nearest};

/// The type of a property's value, as Kafka declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A 16-bit integer.
    Short,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// A floating-point number.
    Double,
    /// Text, a list, a class or a password.
    Text,
}

impl Kind {
    /// Whether Kafka would read `value` as this type; like Kafka, ignoring surrounding blanks.
    fn admits(self, value: &str) -> bool {
        let value = value.trim();
        match self {
            Kind::Boolean => ["true", "false"]
                .iter()
                .any(|b| value.eq_ignore_ascii_case(b)),
            Kind::Short => value.parse::<i16>().is_ok(),
            Kind::Int => value.parse::<i32>().is_ok(),
            Kind::Long => value.parse::<i64>().is_ok(),
            Kind::Double => value.parse::<f64>().is_ok(),
            Kind::Text => true,
        }
    }

    fn described(self) -> &'static str {
        match self {
            Kind::Boolean => "`true` or `false`",
            Kind::Short => "a 16-bit integer",
            Kind::Int => "a 32-bit integer",
            Kind::Long => "a 64-bit integer",
            Kind::Double => "a number",
            Kind::Text => "text",
        }
    }
}

/// A property that Kafka 3.0.0 does not know, or not with this value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// No such name.
    #[error("Kafka 3.0.0 has no {whose} property `{key}`{}", hint(near.as_deref()))]
    Unknown {
        /// `broker` or `topic`.
        whose: &'static str,
        /// The name as written.
        key: String,
        /// The known name nearest to it.
        near: Option<String>,
    },
    /// A value of another type.
    #[error("`{key}` is {wanted}, not `{value}`")]
    WrongType {
        /// The property.
        key: String,
        /// What its values are.
        wanted: &'static str,
        /// What was given.
        value: String,
    },
}

/// Properties that say where a broker is and whom it serves: the harness sets them on every node,
/// so a plan must not. Ascending.
const SET_BY_HARNESS: &[&str] = &[
    "advertised.listeners",
    "broker.id",
    "broker.id.generation.enable",
    "control.plane.listener.name",
    "controller.listener.names",
    "controller.quorum.voters",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "node.id",
    "process.roles",
    "security.inter.broker.protocol",
    "zookeeper.connect",
];

/// Checks one broker property (`server.properties`).
pub fn check_broker(key: &str, value: &str) -> Result<(), PropertyError> {
    check("broker", known::BROKER, key, value)
}

/// Checks one topic property, as given when a topic is created.
pub fn check_topic(key: &str, value: &str) -> Result<(), PropertyError> {
    check("topic", known::TOPIC, key, value)
}

/// Whether the harness itself sets this broker property on every node.
pub fn set_by_harness(key: &str) -> bool {
    SET_BY_HARNESS.binary_search(&key).is_ok()
}

/// The type of a broker property's value, if there is such a property.
pub fn broker_kind(key: &str) -> Option<Kind> {
    kind(known::BROKER, key)
}

fn kind(known: &[(&str, Kind)], key: &str) -> Option<Kind> {
    let index = known.binary_search_by(|(name, _)| (*name).cmp(key)).ok()?;
    Some(known[index].1)
}

fn check(
    whose: &'static str,
    known: &[(&'static str, Kind)],
    key: &str,
    value: &str,
) -> Result<(), PropertyError> {
    let Some(kind) = kind(known, key) else {
        return Err(PropertyError::Unknown {
            whose,
            key: key.to_owned(),
            near: nearest(key, known.iter().map(|(name, _)| *name)).map(str::to_owned),
        });
    };
    if kind.admits(value) {
        Ok(())
    } else {
        Err(PropertyError::WrongType {
            key: key.to_owned(),
            wanted: kind.described(),
            value: value.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_can_be_searched() {
        for table in [known::BROKER, known::TOPIC] {
            assert!(table.is_sorted_by(|(a, _), (b, _)| a < b));
        }
        assert!(SET_BY_HARNESS.is_sorted());
        for key in SET_BY_HARNESS {
            assert!(broker_kind(key).is_some(), "{key}");
        }
    }

    #[test]
    fn a_misspelt_name_is_told_with_the_nearest() {
        let error = check_broker("replica.lag.time.max", "3000").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Kafka 3.0.0 has no broker property `replica.lag.time.max`; \
             did you mean `replica.lag.time.max.ms`?"
        );
        assert_eq!(
            check_topic("min.insync.replica", "2")
                .unwrap_err()
                .to_string(),
            "Kafka 3.0.0 has no topic property `min.insync.replica`; \
             did you mean `min.insync.replicas`?"
        );
        assert!(check_topic("replica.lag.time.max.ms", "3000").is_err());
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        assert_eq!(
            check_broker("unclean.leader.election.enable", "TRUE"),
            Ok(())
        );
        assert_eq!(
            check_broker("unclean.leader.election.enable", "yes")
                .unwrap_err()
                .to_string(),
            "`unclean.leader.election.enable` is `true` or `false`, not `yes`"
        );
        assert!(check_broker("num.io.threads", "99999999999").is_err());
        assert_eq!(
            check_broker("log.flush.interval.messages", "99999999999"),
            Ok(())
        );
        assert_eq!(
            check_broker("inter.broker.protocol.version", "0.11.0-IV1"),
            Ok(())
        );
    }
}
