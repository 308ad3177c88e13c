//! What is known of versions: which of them break or weaken a promise. Facts about Kafka's releases
//! only; whether a run is one of them is asked of what was recorded.

/// A release, `3.0.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl Version {
    /// Reads `3.0.0`; a version that cannot be read has no known defects.
    pub fn of(text: &str) -> Option<Self> {
        let mut numbers = text
            .split(['.', '-'])
            .map(|number| number.parse::<u32>().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self(major, minor, numbers.next().flatten().unwrap_or(0)))
    }
}

/// KAFKA-14704: a returning follower takes the leader's high watermark before it cuts its log;
/// 2.7.0 to 3.4.0.
pub fn dirty_hw(kafka: Option<Version>) -> bool {
    kafka.is_some_and(|v| (Version(2, 7, 0)..=Version(3, 4, 0)).contains(&v))
}

/// KAFKA-13194: a cut-off leader of a compacted topic may clean away a committed record; fixed in
/// 3.1.0.
pub fn cleaner_loses(kafka: Option<Version>) -> bool {
    kafka.is_some_and(|v| v < Version(3, 1, 0))
}

/// KAFKA-13598: the Java producer's idempotence is documented as on by default and is off; 3.0.0 and
/// 3.1.0.
pub fn idempotence_off_by_default(kafka: Option<Version>) -> bool {
    kafka.is_some_and(|v| v == Version(3, 0, 0) || v == Version(3, 1, 0))
}

/// KAFKA-17754 and its kin: before 4.0 a late request may end, or write into, another transaction.
pub fn transactions_tear(kafka: Option<Version>) -> bool {
    kafka.is_some_and(|v| v < Version(4, 0, 0))
}

/// The broker setting after which a silent producer is forgotten: of its own from 3.4 on.
pub fn forgets_producers_by(kafka: Option<Version>) -> &'static str {
    match kafka {
        Some(version) if version >= Version(3, 4, 0) => "producer.id.expiration.ms",
        Some(_) | None => "transactional.id.expiration.ms",
    }
}

/// Why an inter-broker protocol is known to lose or to diverge, if it is: versions below 2.0 cut a
/// follower's log without asking for an epoch's end (up to 0.11.0-IV1), or without that epoch in the
/// answer.
pub fn protocol_loses(protocol: &str) -> Option<&'static str> {
    let version = Version::of(protocol)?;
    let first = |v: Version| v < Version(0, 11, 0) || protocol.starts_with("0.11.0-IV0");
    if first(version) || protocol.starts_with("0.11.0-IV1") {
        return Some("KIP-101");
    }
    (version < Version(2, 0, 0)).then_some("KAFKA-6361")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_defect_has_its_range() {
        let v = Version::of;
        type Row<'a> = (fn(Option<Version>) -> bool, &'a [&'a str], &'a [&'a str]);
        let rows: [Row; 4] = [
            (
                dirty_hw,
                &["2.7.0", "3.0.0", "3.4.0"],
                &["2.6.3", "3.4.1", "3.5"],
            ),
            (cleaner_loses, &["2.8.0", "3.0.2"], &["3.1.0", "4.0.0"]),
            (
                idempotence_off_by_default,
                &["3.0.0", "3.1.0"],
                &["3.0.1", "3.2.0"],
            ),
            (transactions_tear, &["3.9.0"], &["4.0.0", "trunk"]),
        ];
        for (defect, bad, good) in rows {
            assert!(bad.iter().all(|version| defect(v(version))), "{bad:?}");
            assert!(good.iter().all(|version| !defect(v(version))), "{good:?}");
        }
        assert_eq!(
            forgets_producers_by(v("3.0.0")),
            "transactional.id.expiration.ms"
        );
        assert_eq!(
            forgets_producers_by(v("3.4.0")),
            "producer.id.expiration.ms"
        );
    }

    #[test]
    fn protocols_below_2_0_are_known_to_lose() {
        for (protocol, why) in [
            ("0.10.2-IV0", Some("KIP-101")),
            ("0.11.0-IV0", Some("KIP-101")),
            ("0.11.0-IV1", Some("KIP-101")),
            ("0.11.0-IV2", Some("KAFKA-6361")),
            ("1.1-IV0", Some("KAFKA-6361")),
            ("2.0-IV0", None),
            ("3.0-IV1", None),
        ] {
            assert_eq!(protocol_loses(protocol), why, "{protocol}");
        }
    }
}
