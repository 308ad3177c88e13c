//! The one table of what a client error entitles a client to conclude.
//!
//! It decides nothing from an error's text and knows no cluster, no fault and no history. Three
//! facts shape it. *The library's last word describes the last attempt only*: a record may have
//! been appended by an attempt of which it says nothing. *A broker that loses its leadership while
//! it waits for the followers answers "not leader" for a record that stands in its log*; the
//! library calls that "not persisted". *With `acks=0` nobody answers at all.* So `Failed` is
//! argued for, code by code, and everything else is `Unknown`: a false `Failed` invents phantoms,
//! a false `Unknown` costs only power.

use std::time::Duration;

use history::{NodeId, Offset, Outcome, SendAck, Why};
use plan::Acks;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::client::{Then, Transact, Transacted};

/// What the client library says about the persistence of a record, when it gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persisted {
    /// "Not persisted": never sent, or the last attempt was rejected.
    No,
    /// "Possibly persisted": sent, and no answer that tells.
    Possibly,
    /// "Persisted": a broker answered that it was appended.
    Yes,
}

/// A record that the client library gave back, with all that it says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The final error code, `NoError` for an acknowledgement.
    pub code: Code,
    /// The message's status.
    pub persisted: Persisted,
    /// `acks` of the producer.
    pub acks: Acks,
    /// Whether it is certain that the record was sent at most once; see [`sole_attempt`].
    pub sole_attempt: bool,
    /// The offset as reported; negative when the library has none.
    pub offset: i64,
    /// The broker that answered; none when no broker did.
    pub broker: Option<NodeId>,
}

/// Whether a report that came so long after the record was handed over can include only one
/// attempt, given `retry.backoff.ms`. The library waits that long, less a fifth of jitter, before
/// it sends a record again, whatever the reason. It proves nothing for a report without a broker's
/// code; [`of_report`] does not use it for those.
pub fn sole_attempt(latency: Option<Duration>, retry_backoff: Duration) -> bool {
    latency.is_some_and(|latency| latency < retry_backoff * 4 / 5)
}

/// What may be concluded from a delivery report.
pub fn of_report(report: &Report) -> Outcome<SendAck> {
    use Persisted::{No, Possibly, Yes};
    match (report.code, report.acks, report.persisted) {
        // Reported as delivered even when the broker rejected it, or never read it.
        (Code::NoError, Acks::None, _) => unknown("acks=0 is never answered"),
        // A duplicate sequence number is an acknowledgement without an offset.
        (Code::NoError, Acks::Leader | Acks::All, Yes) => Outcome::Ok(SendAck {
            offset: (report.offset >= 0).then_some(Offset(report.offset)),
            broker: report.broker,
        }),
        (Code::NoError, Acks::Leader | Acks::All, No | Possibly) => {
            unknown("reported as delivered, but not as persisted")
        }
        // Without acknowledgements nothing is ever retried for a broker's answer: what the library
        // did not write to a socket was never sent.
        (Code::MessageTimedOut | Code::PurgeQueue, Acks::None, No) => failed(report.code),
        (code, Acks::None, _) => unknown_code(code),
        (code, Acks::Leader | Acks::All, _) if report.sole_attempt && rejected_unappended(code) => {
            failed(code)
        }
        // Everything else, and these above all: a rejection that may follow an earlier attempt
        // (any code, when the attempt was not the only one); time-outs, also "not persisted" ones,
        // since a refused leader is asked again without a trace; lost connections and purges;
        // `NotLeaderForPartition`, `UnknownTopicOrPartition` and `KafkaStorageError`, which may
        // follow the append; `RequestTimedOut` and `NotEnoughReplicasAfterAppend`, which do;
        // sequence and fatal errors of an idempotent producer, which speak of other records.
        (code, Acks::Leader | Acks::All, _) => unknown_code(code),
    }
}

/// What may be concluded when the library refuses a record at the call that hands it over. It
/// then never owned the record; codes that should not occur there stay doubts.
pub fn of_refusal(code: Code) -> Outcome<SendAck> {
    match code {
        Code::QueueFull
        | Code::MessageSizeTooLarge
        | Code::UnknownPartition
        | Code::UnknownTopic
        | Code::Fatal
        | Code::State
        | Code::InvalidArgument => failed(code),
        code => unknown_code(code),
    }
}

/// What may be concluded about a record that the library never gave back.
pub fn of_silence() -> Outcome<SendAck> {
    unknown("the client library never reported it")
}

/// What may be concluded from a step of a transaction, and what an application does next. The library
/// may have asked the coordinator several times: only a begin, which asks nobody, ever fails for
/// certain.
pub fn of_step(step: Transact, done: Result<(), KafkaError>) -> Transacted {
    let Err(error) = done else {
        return Transacted::done();
    };
    let (why, then) = match &error {
        KafkaError::Transaction(error) => (
            format!("{:?}: {}", error.code(), error.string()),
            if error.is_fatal() {
                Then::Dead
            } else if error.txn_requires_abort() {
                Then::Abort
            } else if error.is_retriable() {
                Then::Again
            } else {
                Then::Dead
            },
        ),
        // The flush before a commit.
        KafkaError::Flush(code) => (format!("flush: {code:?}"), Then::Again),
        other => (other.to_string(), Then::Dead),
    };
    let why = Why::new(why.as_str());
    Transacted {
        outcome: match step {
            Transact::Begin => Outcome::Failed(why),
            Transact::Register | Transact::End { .. } => Outcome::Unknown(why),
        },
        then,
    }
}

/// What may be concluded from offsets that were to be committed within a transaction, and what an
/// application does next. Where they may not have been taken nothing is left but to abort: whoever
/// the group has dropped meanwhile is refused for good, whoever was not heard may have been.
pub fn of_offsets(done: Result<(), KafkaError>) -> Transacted {
    let mut sent = of_step(Transact::End { commit: true }, done);
    if sent.then == Then::Again {
        sent.then = Then::Abort;
    }
    sent
}

/// Whether a broker that answers with this code has looked at the batch and refused it before it
/// appended anything. True of that attempt only.
fn rejected_unappended(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidMessage
            | Code::MessageSizeTooLarge
            | Code::InvalidTopic
            | Code::MessageBatchTooLarge
            | Code::NotEnoughReplicas
            | Code::InvalidRequiredAcks
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::InvalidTimestamp
            | Code::UnsupportedForMessageFormat
            | Code::PolicyViolation
            | Code::InvalidProducerEpoch
            | Code::InvalidTransactionalState
            | Code::TransactionalIdAuthorizationFailed
            | Code::UnsupportedCompressionType
            | Code::InvalidRecord
            | Code::ProducerFenced
    )
}

fn failed(code: Code) -> Outcome<SendAck> {
    Outcome::Failed(why(code))
}

fn unknown_code(code: Code) -> Outcome<SendAck> {
    Outcome::Unknown(why(code))
}

fn unknown(words: &'static str) -> Outcome<SendAck> {
    Outcome::Unknown(Why::new(words))
}

/// An error code in the library's words.
pub fn why(code: Code) -> Why {
    Why::new(code.to_string())
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaRespErr;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Clone, Copy)]
    enum Said {
        Ok(Option<i64>),
        Failed,
        Unknown,
    }

    fn said(outcome: &Outcome<SendAck>) -> Said {
        match outcome {
            Outcome::Ok(ack) => Said::Ok(ack.offset.map(|offset| offset.0)),
            Outcome::Failed(_) => Said::Failed,
            Outcome::Unknown(_) => Said::Unknown,
        }
    }

    fn report(code: Code, persisted: Persisted, acks: Acks, sole: bool, offset: i64) -> Report {
        Report {
            code,
            persisted,
            acks,
            sole_attempt: sole,
            offset,
            broker: Some(NodeId(1)),
        }
    }

    /// Every code that the library can name.
    fn every_code() -> Vec<Code> {
        (-200..=200)
            .filter_map(|number| RDKafkaRespErr::try_from(number).ok())
            .map(Code::from)
            .collect()
    }

    const ALL: [Acks; 3] = [Acks::None, Acks::Leader, Acks::All];
    const STATUSES: [Persisted; 3] = [Persisted::No, Persisted::Possibly, Persisted::Yes];

    #[test]
    fn the_table_says_what_it_says() {
        use Acks::{All, Leader, None};
        use Persisted::{No, Possibly, Yes};
        let table = [
            // code, status, acks, sole attempt, offset -> outcome
            (Code::NoError, Yes, All, false, 1071, Said::Ok(Some(1071))),
            (Code::NoError, Yes, All, false, 0, Said::Ok(Some(0))),
            (Code::NoError, Yes, Leader, false, 7, Said::Ok(Some(7))),
            (Code::NoError, Yes, All, false, -1, Said::Ok(Option::None)),
            (Code::NoError, Possibly, All, false, 7, Said::Unknown),
            (Code::NoError, Possibly, None, true, -1001, Said::Unknown),
            (Code::NoError, Yes, None, true, 7, Said::Unknown),
            (Code::MessageTimedOut, No, All, true, -1001, Said::Unknown),
            (Code::MessageTimedOut, No, Leader, true, -1, Said::Unknown),
            (Code::MessageTimedOut, No, None, true, -1001, Said::Failed),
            (
                Code::MessageTimedOut,
                Possibly,
                None,
                true,
                -1,
                Said::Unknown,
            ),
            (Code::PurgeQueue, No, All, true, -1001, Said::Unknown),
            (Code::PurgeQueue, No, None, false, -1001, Said::Failed),
            (Code::PurgeInflight, Possibly, All, true, -1, Said::Unknown),
            (Code::PurgeInflight, No, None, true, -1001, Said::Unknown),
            (Code::NotEnoughReplicas, No, All, true, -1, Said::Failed),
            (Code::NotEnoughReplicas, No, All, false, -1, Said::Unknown),
            (Code::NotEnoughReplicas, No, None, true, -1, Said::Unknown),
            (
                Code::MessageSizeTooLarge,
                No,
                Leader,
                true,
                -1,
                Said::Failed,
            ),
            (Code::InvalidRecord, No, All, false, -1, Said::Unknown),
            (
                Code::NotEnoughReplicasAfterAppend,
                Possibly,
                All,
                true,
                -1,
                Said::Unknown,
            ),
            (
                Code::NotLeaderForPartition,
                No,
                All,
                true,
                -1,
                Said::Unknown,
            ),
            (
                Code::UnknownTopicOrPartition,
                No,
                All,
                true,
                -1,
                Said::Unknown,
            ),
            (Code::KafkaStorageError, No, All, true, -1, Said::Unknown),
            (
                Code::RequestTimedOut,
                Possibly,
                All,
                true,
                -1,
                Said::Unknown,
            ),
            (
                Code::OutOfOrderSequenceNumber,
                Possibly,
                All,
                true,
                -1,
                Said::Unknown,
            ),
            (Code::UnknownProducerId, No, All, true, -1, Said::Unknown),
            (
                Code::BrokerTransportFailure,
                Possibly,
                All,
                true,
                -1,
                Said::Unknown,
            ),
            (Code::Fatal, No, All, true, -1, Said::Unknown),
            (Code::Unknown, No, All, true, -1, Said::Unknown),
        ];
        for (code, status, acks, sole, offset, wanted) in table {
            let outcome = of_report(&report(code, status, acks, sole, offset));
            assert_eq!(
                said(&outcome),
                wanted,
                "{code:?} {status:?} acks={acks} sole={sole} offset={offset}"
            );
        }
    }

    #[test]
    fn only_an_error_free_persisted_answered_record_is_ok() {
        let mut examined = 0;
        for code in every_code() {
            for acks in ALL {
                for status in STATUSES {
                    for sole in [false, true] {
                        let outcome = of_report(&report(code, status, acks, sole, 5));
                        let may_be_ok =
                            code == Code::NoError && acks != Acks::None && status == Persisted::Yes;
                        assert_eq!(outcome.ok().is_some(), may_be_ok, "{code:?} {acks}");
                        examined += 1;
                    }
                }
            }
        }
        assert!(examined > 150 * 18, "only {examined} cases");
    }

    #[test]
    fn a_failure_is_never_concluded_beyond_the_argued_codes() {
        let definite: Vec<i32> = every_code()
            .into_iter()
            .filter(|code| {
                let outcome = of_report(&report(*code, Persisted::No, Acks::All, true, -1));
                said(&outcome) == Said::Failed
            })
            .map(|code| code as i32)
            .collect();
        assert_eq!(
            definite,
            [
                2, 10, 17, 18, 19, 21, 29, 31, 32, 43, 44, 47, 48, 53, 76, 87, 90
            ]
        );
        for code in every_code() {
            let outcome = of_report(&report(code, Persisted::No, Acks::All, false, -1));
            assert_ne!(said(&outcome), Said::Failed, "{code:?}: not a sole attempt");
        }
    }

    #[test]
    fn a_refused_record_failed_for_the_argued_codes_only() {
        let definite: Vec<i32> = every_code()
            .into_iter()
            .filter(|code| said(&of_refusal(*code)) == Said::Failed)
            .map(|code| code as i32)
            .collect();
        assert_eq!(definite, [-190, -188, -186, -184, -172, -150, 10]);
        assert_eq!(said(&of_silence()), Said::Unknown);
    }

    #[test]
    fn an_attempt_is_sole_only_well_below_the_backoff() {
        let backoff = Duration::from_millis(100);
        assert!(sole_attempt(Some(Duration::from_millis(79)), backoff));
        assert!(!sole_attempt(Some(Duration::from_millis(80)), backoff));
        assert!(!sole_attempt(None, backoff));
    }
}
