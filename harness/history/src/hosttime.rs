//! Placing a host's own timestamps in run time, as intervals that are never too narrow.
//!
//! A sample says: at some moment between asking and answering, the host's clock stood at `h`. A
//! host time `t` near it therefore lies `t - h` later, give or take that interval and the drift
//! since. Host times are never compared with each other here, and clocks are never corrected.

use std::collections::BTreeMap;

use crate::clock::{Mark, Span};
use crate::event::Event;
use crate::ids::NodeId;
use crate::observation::ClockSample;

/// How much faster or slower than the controller's clock a host's may run: 1 in 2000. That is
/// what NTP's kernel discipline slews at most (500 parts per million); an undisciplined quartz is
/// five times better.
const DRIFT_DIVISOR: i128 = 2_000;

/// All hosts' clock samples of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostClocks {
    samples: BTreeMap<NodeId, Vec<ClockSample>>,
}

/// An interval of run time in nanoseconds; may begin before the run.
type Wide = (i128, i128);

impl HostClocks {
    /// Collects the samples of a history.
    pub fn of(events: &[Event]) -> Self {
        let mut samples: BTreeMap<NodeId, Vec<ClockSample>> = BTreeMap::new();
        for event in events {
            if let Event::Clock(sample) = event {
                samples.entry(sample.node).or_default().push(*sample);
            }
        }
        for of_node in samples.values_mut() {
            of_node.sort_by_key(|sample| (sample.asked, sample.answered));
        }
        Self { samples }
    }

    /// When, in run time, `node`'s clock stood at `host_unix_nanos` (nanoseconds since 1970, UTC).
    /// None without samples of that node. What lies before the run's start is clamped to it.
    ///
    /// Between two samples both bounds hold, so the result is their intersection; where they
    /// contradict each other the host's clock was stepped between them, and the result spans both.
    pub fn place(&self, node: NodeId, host_unix_nanos: i64) -> Option<Span> {
        let samples = self.samples.get(&node)?;
        let at = i128::from(host_unix_nanos);
        let between = samples
            .windows(2)
            .filter_map(|pair| within(&pair[0], &pair[1], at))
            .reduce(hull);
        let (from, to) = match between {
            Some(wide) => wide,
            // Outside all samples: from the nearer end.
            None => {
                [samples.first()?, samples.last()?]
                    .map(|sample| (distance(sample, at).abs(), near(sample, at)))
                    .into_iter()
                    .min_by_key(|(distance, _)| *distance)?
                    .1
            }
        };
        let mark = |nanos: i128| Mark(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX));
        Some(Span {
            from: mark(from),
            to: mark(to),
        })
    }
}

/// How much later than the sample the host's clock stood at `at`, in host nanoseconds.
fn distance(sample: &ClockSample, at: i128) -> i128 {
    at - i128::from(sample.host_unix_nanos)
}

/// Where `at` lies, going by one sample.
fn near(sample: &ClockSample, at: i128) -> Wide {
    let distance = distance(sample, at);
    // Rounded up: an interval may be too wide, never too narrow.
    let drift = distance.abs() / DRIFT_DIVISOR + 1;
    (
        i128::from(sample.asked.0) + distance - drift,
        i128::from(sample.answered.0) + distance + drift,
    )
}

/// Where `at` lies if it may lie between two samples that follow each other; none if it cannot.
///
/// The gap between them decides, and never clips: a moment just outside of it is within the
/// uncertainty of one just inside.
fn within(earlier: &ClockSample, later: &ClockSample, at: i128) -> Option<Wide> {
    let gap = (i128::from(earlier.asked.0), i128::from(later.answered.0));
    let in_gap = |wide: &Wide| intersect(*wide, gap).is_some();
    let (from_earlier, from_later) = (near(earlier, at), near(later, at));
    match intersect(from_earlier, from_later) {
        Some(steady) => Some(steady).filter(in_gap),
        // The clock was stepped between the two: each may be right on its side of the step.
        None => [from_earlier, from_later]
            .into_iter()
            .filter(in_gap)
            .reduce(hull),
    }
}

fn intersect(a: Wide, b: Wide) -> Option<Wide> {
    let both = (a.0.max(b.0), a.1.min(b.1));
    (both.0 <= both.1).then_some(both)
}

fn hull(a: Wide, b: Wide) -> Wide {
    (a.0.min(b.0), a.1.max(b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;
    const EPOCH: i64 = 1_700_000_000 * SECOND as i64;

    /// A host whose clock stands at `host(run time)`, sampled at these run times, each answer
    /// taking 4 ms of which the host's reading stands in the middle.
    fn sampled(at: &[u64], host: impl Fn(u64) -> i64) -> HostClocks {
        let events: Vec<Event> = at
            .iter()
            .map(|at| {
                Event::Clock(ClockSample {
                    node: NodeId(0),
                    asked: Mark(at - 2_000_000),
                    answered: Mark(at + 2_000_000),
                    host_unix_nanos: host(*at),
                })
            })
            .collect();
        HostClocks::of(&events)
    }

    #[test]
    fn without_samples_of_a_node_nothing_is_placed() {
        let clocks = sampled(&[SECOND], |run| EPOCH + run as i64);
        assert_eq!(clocks.place(NodeId(1), EPOCH), None);
        assert_eq!(HostClocks::default().place(NodeId(0), EPOCH), None);
    }

    #[test]
    fn a_steady_clock_is_placed_within_the_samples_uncertainty() {
        let clocks = sampled(&[SECOND, 31 * SECOND], |run| EPOCH + run as i64);
        let span = clocks.place(NodeId(0), EPOCH + 3 * SECOND as i64);
        let drift = 1_000_001;
        assert_eq!(
            span,
            Some(Span {
                from: Mark(3 * SECOND - 2_000_000 - drift),
                to: Mark(3 * SECOND + 2_000_000 + drift),
            })
        );
        let before = clocks.place(NodeId(0), EPOCH - 9 * SECOND as i64);
        assert_eq!(
            before.map(|span| (span.from, span.to)),
            Some((Mark(0), Mark(0)))
        );
    }

    #[test]
    fn a_stepped_clock_gives_an_interval_that_spans_both_readings() {
        // At 12 s the host's clock is set back by five seconds: it stands at 8 s twice.
        let host = |run: u64| {
            EPOCH + run as i64
                - if run > 12 * SECOND {
                    5 * SECOND as i64
                } else {
                    0
                }
        };
        let clocks = sampled(&[5 * SECOND, 35 * SECOND], host);
        let span = clocks.place(NodeId(0), EPOCH + 8 * SECOND as i64);
        let span = span.expect("placed");
        assert!(span.from <= Mark(8 * SECOND) && span.to >= Mark(13 * SECOND));
    }

    proptest! {
        #[test]
        fn the_truth_is_always_inside(
            seconds in prop::collection::vec(1u64..500, 1..8),
            moment in 0u64..600 * SECOND,
            drift in -490i64..490,
            offset in -3600i64..3600,
        ) {
            let host = |run: u64| {
                EPOCH + offset * SECOND as i64 + run as i64 + run as i64 / 1_000_000 * drift
            };
            let at: Vec<u64> = seconds.iter().map(|s| s * SECOND).collect();
            let span = sampled(&at, host).place(NodeId(0), host(moment)).expect("placed");
            prop_assert!(span.from <= Mark(moment) && Mark(moment) <= span.to, "{moment} in {span:?}");
        }
    }
}
