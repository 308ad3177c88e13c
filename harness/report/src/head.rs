//! The top of the page: the verdict in a sentence, what was looked at, how to ask again.

use checkers::Judgement;
use checkers::judgement::{Expectation, PremiseState};
use maud::{Markup, html};

use crate::text;

/// The band with the verdict. What weakens or turns the verdict is said in it, not below.
pub fn band(j: &Judgement) -> Markup {
    let (word, class) = text::fold(j.fold);
    let topics = text::topics(j);
    let (lead, rest) = match j.sentence.strip_prefix(word) {
        Some(rest) if rest.starts_with('.') => (format!("{word}."), &rest[1..]),
        _ => (format!("{word}."), j.sentence.as_str()),
    };
    html! {
        header {
            p.over.mute {
                "Tidemark · plan " b { (j.plan) } " · run " b { (j.run) }
                @if !j.about.is_empty() { " · " (text::prose(&j.about, &topics)) }
            }
            div class={ "band " (class) "-edge" } {
                h1 { span class=(class) { (lead) } " " (text::prose(rest.trim_start(), &topics)) }
                (notices(j))
                (facts(j))
                p.again {
                    span.mute { "repeat it: " }
                    code.cmd { (text::repeat(j)) }
                }
            }
        }
    }
}

/// What a reader must know before believing the sentence above it.
fn notices(j: &Judgement) -> Markup {
    html! {
        @if let Some(expectation) = j.expected { (control(expectation)) }
        @if let Some(sentence) = text::ended(&j.ended) { p.notice { (text::visible(&sentence)) } }
        @for premise in &j.premises {
            @if let PremiseState::Failed { why } = &premise.state {
                p.notice {
                    b { "Premise not met: " } (text::prose(&premise.sentence, &[])) ": "
                    (text::prose(why, &[]))
                }
            }
        }
        @for topic in &j.topics {
            @for sentence in &topic.accounting.imbalance {
                p.notice {
                    b { "Accounting of " (topic.topic) " does not balance: " }
                    (text::prose(sentence, &[]))
                }
            }
        }
    }
}

fn control(expectation: Expectation) -> Markup {
    let (wanted, class) = text::fold(expectation.wanted);
    html! {
        p.notice {
            "This plan is a control: it must end " b class=(class) { (wanted) }
            @if expectation.met { ", and it did." } @else { b.broken { ", and it did not." } }
        }
    }
}

fn facts(j: &Judgement) -> Markup {
    let t = &j.totals;
    html! {
        ul.facts {
            li { b { "Kafka " (j.kafka) } " on " (text::count(t.brokers.into(), "broker", "brokers")) }
            li { b { (text::n(t.faults.into())) } @if t.faults == 1 { " fault, " } @else { " faults, " } b { (text::n(t.faults_proved.into())) } " proved in force" }
            li {
                b { (text::n(t.sends)) } " sends: " (text::n(t.acknowledged)) " acknowledged, "
                (text::n(t.failed)) " failed, " (text::n(t.unknown)) " unknown"
            }
            li { b { (text::n(t.deliveries)) } " deliveries" }
            li {
                b { (text::n(t.replica_logs.into())) } " replica logs in "
                (text::count(t.images.into(), "image", "images")) ", " (text::bytes(t.replica_bytes))
            }
            li { b { (text::n(t.observations)) } " probe answers" }
            li { b { (text::n(t.log_lines)) } " log lines read" }
            li { b { (t.length) } " long" }
            li { "seed " b { (j.seed) } }
        }
    }
}
