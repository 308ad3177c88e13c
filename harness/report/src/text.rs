//! How numbers, names and sentences are set. No markup is built from text here without escaping.

use checkers::judgement::{
    Class, Ended, Fold, Judgement, OffsetRange, Standing, TimeSpan, Verdict,
};
use history::{Mark, NodeId};
use maud::{Markup, html};
use plan::plans;

/// A space that is thin and does not break: between groups of three digits.
const THIN: char = '\u{202f}';

/// Digits in groups of three: `26 707`.
pub fn n(number: u64) -> String {
    checkers::judgement::grouped(number).replace(' ', &THIN.to_string())
}

/// A count with its noun: `1 cut`, `3 cuts`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", n(number), if number == 1 { one } else { many })
}

/// Bytes for people, in powers of 1000.
pub fn bytes(number: u64) -> String {
    const STEPS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    STEPS.iter().find(|(step, _)| number >= *step).map_or_else(
        || format!("{number} B"),
        |(step, unit)| format!("{:.1} {unit}", number as f64 / *step as f64),
    )
}

/// A duration in nanoseconds, as times are printed everywhere: `4.320s`.
pub fn nanos(duration: u64) -> String {
    Mark(duration).to_string()
}

/// How long a span is.
pub fn length(span: TimeSpan) -> String {
    nanos(span.to.0.saturating_sub(span.from.0))
}

/// When: a moment, or from and to where the difference shows in milliseconds.
pub fn when(span: TimeSpan) -> String {
    let (from, to) = (span.from.to_string(), span.to.to_string());
    if from == to {
        from
    } else {
        format!("{from} to {to}")
    }
}

/// The inclusive range that people read: `@8079..@22883`.
pub fn offsets(range: OffsetRange) -> String {
    match range.len() {
        0 => format!("none at @{}", range.from),
        1 => format!("@{}", range.from),
        _ => format!("@{}..@{}", range.from, range.to - 1),
    }
}

/// The colour class of a broker, the same in every part of the page.
pub fn colour(node: NodeId) -> usize {
    usize::from(node.0) % 8
}

/// A broker's name in its colour.
pub fn broker(node: NodeId) -> Markup {
    html! { b class={ "b b" (colour(node)) } { (node) } }
}

/// Brokers' names, each in its colour.
pub fn brokers(nodes: &[NodeId]) -> Markup {
    html! { @for (i, node) in nodes.iter().enumerate() { @if i > 0 { " " } (broker(*node)) } }
}

/// A sentence of a judgement: brokers in their colours, numbers grouped, the given names as code.
pub fn prose(text: &str, names: &[&str]) -> Markup {
    let text = group_thinly(&visible(text));
    html! {
        @for piece in text.split_inclusive([' ', '\n']) {
            @let (lead, word, trail) = trimmed(piece);
            (lead)
            @if let Some(node) = node_name(word) { (broker(node)) }
            @else if names.contains(&word) { code { (word) } }
            @else { (word) }
            (trail)
        }
    }
}

/// The topics of a run, for [`prose`].
pub fn topics(judgement: &Judgement) -> Vec<&str> {
    judgement.topics.iter().map(|t| t.topic.as_str()).collect()
}

/// Control characters are shown, never acted upon by whatever reads the page.
pub fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            // Marks that turn the direction of text would let a log line pose as another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// A word between its leading bracket and its trailing punctuation.
fn trimmed(piece: &str) -> (&str, &str, &str) {
    let start = piece.len() - piece.trim_start_matches(['(', '[', '{', '`']).len();
    let word = piece[start..].trim_end_matches([' ', '\n', ',', '.', ';', ':', ')', ']', '}', '`']);
    (&piece[..start], word, &piece[start + word.len()..])
}

fn node_name(word: &str) -> Option<NodeId> {
    let digits = word.strip_prefix('n')?;
    (digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok().map(NodeId))
        .flatten()
}

/// Turns the spaces inside `26 707` into thin ones and leaves every other space alone.
fn group_thinly(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let digit = |i: usize| chars.get(i).is_some_and(char::is_ascii_digit);
    let inside = |i: usize| {
        let run = (0..i).rev().take_while(|&k| digit(k)).count();
        let before = i.checked_sub(run + 1).map(|k| chars[k]);
        let free = !before.is_some_and(|c| c.is_alphanumeric() || c == '@' || c == '.');
        let three = (1..=3).all(|k| digit(i + k)) && !digit(i + 4);
        (1..=3).contains(&run) && free && three
    };
    chars
        .iter()
        .enumerate()
        .map(|(i, c)| if *c == ' ' && inside(i) { THIN } else { *c })
        .collect()
}

/// The word and the colour class of a folded verdict.
pub fn fold(fold: Fold) -> (&'static str, &'static str) {
    match fold {
        Fold::Held => ("Held", "held"),
        Fold::Broken => ("Broken", "broken"),
        Fold::Unproven => ("Unproven", "unproven"),
    }
}

/// The word and the colour class of a guarantee's verdict.
pub fn verdict(verdict: &Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Held { .. } => ("held", "held"),
        Verdict::Broken { .. } => ("broken", "broken"),
        Verdict::Unproven { .. } => ("unproven", "unproven"),
        Verdict::NotPromised { .. } => ("not promised", "permit"),
    }
}

/// The word and the colour class of a finding's standing.
pub fn standing(standing: Standing) -> (&'static str, &'static str) {
    match standing {
        Standing::Broken => ("broken", "broken"),
        Standing::Undetermined => ("undetermined", "unproven"),
        Standing::NotPromised => ("not promised", "permit"),
    }
}

/// What a class of cause is called; a plain finding says it in its title.
pub fn class(class: Class) -> Option<&'static str> {
    match class {
        Class::Unexplained => Some("unexplained: nothing recorded explains it"),
        Class::KnownBadProtocol => Some("cause: a protocol version known to lose"),
        Class::Undetermined => Some("cause undetermined: evidence is missing"),
        Class::UncleanElection => Some("cause: unclean election"),
        Class::LossyLeader => Some("cause: a leader that had lost data"),
        Class::LastStanding => Some("cause: the last replica standing had lost data, and led"),
        Class::AllDown => {
            Some("cause: all in-sync replicas were down together, and a lossy one led")
        }
        Class::StaleReadmission => Some("cause: a lossy replica was taken back by a stale fetch"),
        Class::Damage => Some("cause: damaged files"),
        Class::ZookeeperRolledBack => Some("cause: ZooKeeper forgot what it had confirmed"),
        Class::Compaction => Some("cause: compaction (KAFKA-13194)"),
        Class::LoadRecovery => Some("cause: a log lost its end while it was loaded"),
        Class::DirtyHw => Some("cause: dirty high watermark (KAFKA-14704)"),
        Class::AboveHw => Some("above the high watermark, proven"),
        Class::Expired => Some("cause: deleted on request or by retention"),
        Class::Resend => Some("cause: sent again by the client"),
        Class::Plain => None,
    }
}

/// How a run ended, where that needs saying.
pub fn ended(ended: &Ended) -> Option<String> {
    match ended {
        Ended::Completed => None,
        Ended::Interrupted { signal } => Some(format!(
            "The run was interrupted by {signal}: what follows covers what was recorded until then."
        )),
        Ended::CutShort { why } => Some(format!(
            "The run stopped itself, since going on would have shown nothing: {why}."
        )),
        Ended::Failed { why } => Some(format!("The harness or the lab failed: {why}.")),
        Ended::Incomplete => Some(
            "The run has no seal: whatever ran it was killed. What had been recorded is judged."
                .to_owned(),
        ),
    }
}

/// The command that asks the same again: by the name of a built-in plan, else by the plan that lies
/// beside the report.
pub fn repeat(judgement: &Judgement) -> String {
    let mut known = plans::EMBEDDED.iter().map(|(name, ..)| *name);
    let plan = known.find(|name| *name == judgement.plan);
    let plan = plan.unwrap_or("./plan.toml");
    format!("tidemark run {plan} --seed {}", judgement.seed)
}

/// Where a quoted source lies beside the report, if it names a file of the run.
///
/// Anything else (a probe, a path that climbs out, a scheme) is not made a link.
pub fn link(source: &str) -> Option<String> {
    let inside = ["nodes/", "images/"]
        .iter()
        .any(|dir| source.starts_with(dir));
    let climbs = source.split('/').any(|part| part == "..");
    (inside && !climbs).then(|| {
        source
            .bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                    char::from(b).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grouped_digits_get_thin_spaces() {
        let thin = |text: &str| group_thinly(text).replace(THIN, "_");
        assert_eq!(thin("kept all 26 707 records"), "kept all 26_707 records");
        assert_eq!(thin("1 000 000."), "1_000_000.");
        assert_eq!(
            thin("n0 412 packets, @8 123, 2 40 500x"),
            "n0 412 packets, @8 123, 2 40_500x"
        );
        assert_eq!(thin("after 12.481 200 more"), "after 12.481 200 more");
        assert_eq!(thin("5 1234"), "5 1234");
    }

    #[test]
    fn sentences_keep_every_character_and_colour_brokers() {
        let set = prose("(n0), metrics <b> n0x n1.", &["metrics"]).into_string();
        assert_eq!(
            set,
            "(<b class=\"b b0\">n0</b>), <code>metrics</code> &lt;b&gt; n0x <b class=\"b b1\">n1</b>."
        );
        assert_eq!(visible("a\u{1b}[31m\u{202e}b"), "a\u{fffd}[31m\u{fffd}b");
    }

    #[test]
    fn only_files_of_the_run_become_links() {
        assert_eq!(
            link("nodes/n1/logs/a b.log").as_deref(),
            Some("nodes/n1/logs/a%20b.log")
        );
        assert_eq!(link("nodes/../../secret"), None);
        assert_eq!(link("javascript:alert(1)"), None);
        assert_eq!(link("history"), None);
    }

    #[test]
    fn ranges_and_sizes_read_as_people_say_them() {
        assert_eq!(
            offsets(OffsetRange {
                from: 8079,
                to: 22_884
            }),
            "@8079..@22883"
        );
        assert_eq!(offsets(OffsetRange { from: 5, to: 6 }), "@5");
        assert_eq!(bytes(13_500_000), "13.5 MB");
        assert_eq!(bytes(12), "12 B");
    }
}
