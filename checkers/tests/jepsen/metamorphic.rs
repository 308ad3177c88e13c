//! What must not change a verdict: other names for values, other numbers for processes, other
//! gaps between offsets, JSON Lines instead of EDN.

use checkers::jepsen::{Asked, judge_as_jepsen, judge_natively};
use serde_json::{Map, Value, json};

use super::{Case, cases, errors};

/// The counts of both judges, and Jepsen's crash up to its names.
fn verdicts(text: &str, asked: Asked, name: &str) -> (Vec<String>, Vec<String>, Option<String>) {
    let history =
        exchange::foreign::read(text.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let jepsen = judge_as_jepsen(&history, asked);
    let native = judge_natively(&history, asked);
    let crash = jepsen
        .crash
        .as_ref()
        .and_then(|why| why.split(':').next().map(str::to_owned));
    (errors(&jepsen), errors(&native), crash)
}

/// Values at one offset are picked by hash order: their names may change what follows.
fn picks(case: &Case) -> bool {
    case.text.contains("inconsistent-offsets")
}

/// The text with each operation's fields mapped; cases are regular enough for that.
fn each_line(text: &str, change: impl Fn(&str) -> String) -> String {
    let lines = text.lines().map(|line| {
        if line.starts_with('{') {
            change(line)
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn other_process_numbers_and_times() {
    for case in cases() {
        let text = each_line(&case.text, |line| {
            line.replace(":process ", ":process 77")
                .replace(":time ", ":time 9")
        });
        let text = text.replace(":process 77:nemesis", ":process :nemesis");
        let before = verdicts(&case.text, case.asked, &case.name);
        assert_eq!(
            verdicts(&text, case.asked, &case.name),
            before,
            "{}",
            case.name
        );
    }
}

#[test]
fn indices_may_be_left_out_and_one_vector_may_hold_all() {
    for case in cases() {
        let bare = each_line(&case.text, |line| {
            let (_, rest) = line.split_once(", ").expect("an index and more");
            format!("{{{rest}")
        });
        let before = verdicts(&case.text, case.asked, &case.name);
        assert_eq!(
            verdicts(&bare, case.asked, &case.name),
            before,
            "{}",
            case.name
        );
        let wrapped = format!("[{}\n]", case.text.trim_end());
        assert_eq!(
            verdicts(&wrapped, case.asked, &case.name),
            before,
            "{}",
            case.name
        );
    }
}

#[test]
fn the_same_maps_as_json_lines() {
    for case in cases() {
        // JSON has one kind of text where EDN has words and texts.
        if case.name.contains("values of words") {
            continue;
        }
        let json = each_line(&case.text, |line| to_json(line).to_string());
        let json: Vec<&str> = json.lines().filter(|line| line.starts_with('{')).collect();
        let before = verdicts(&case.text, case.asked, &case.name);
        assert_eq!(
            verdicts(&json.join("\n"), case.asked, &case.name),
            before,
            "{}",
            case.name
        );
    }
}

#[test]
fn wider_gaps_between_offsets() {
    let named = ["9223372036854775806", ":keys", "assign", "subscribe"];
    let fits = |case: &&Case| !named.iter().any(|name| case.text.contains(name));
    for case in cases().iter().filter(fits) {
        let wide: Vec<String> = case.text.split('[').map(widened).collect();
        let wide = wide.join("[");
        let before = verdicts(&case.text, case.asked, &case.name);
        assert_eq!(
            verdicts(&wide, case.asked, &case.name),
            before,
            "{}: {wide}",
            case.name
        );
    }
}

/// What follows a `[`, with its number a million times larger if it is the offset of `[offset
/// value]`; order and -1 stay.
fn widened(piece: &str) -> String {
    let pair = piece
        .split_once(']')
        .and_then(|(pair, _)| pair.split_once(' '));
    match pair.map(|(offset, value)| (offset.parse::<u64>(), value.contains(' '))) {
        Some((Ok(offset), false)) => {
            let digits = piece.find(' ').unwrap_or_default();
            format!("{}{}", offset * 1_000_003, &piece[digits..])
        }
        _ => piece.to_owned(),
    }
}

#[test]
fn other_names_for_values() {
    for case in cases().iter().filter(|case| !picks(case)) {
        // Whole words only: every value of the cases that is a word gets another one.
        let text = each_line(&case.text, |line| {
            let mut line = line.to_owned();
            for word in ["a", "b", "c", "d"] {
                for end in [']', ' '] {
                    line = line.replace(&format!(" :{word}{end}"), &format!(" :other-{word}{end}"));
                }
            }
            line
        });
        let before = verdicts(&case.text, case.asked, &case.name);
        assert_eq!(
            verdicts(&text, case.asked, &case.name),
            before,
            "{}",
            case.name
        );
    }
}

/// The EDN of the cases is small: maps, vectors, lists, words, texts, numbers, nil.
fn to_json(line: &str) -> Value {
    let mut rest = line;
    let value = form(&mut rest);
    assert!(rest.trim().is_empty(), "{rest:?} is left of {line:?}");
    value
}

fn form(rest: &mut &str) -> Value {
    *rest = rest.trim_start_matches([' ', ',']);
    let first = rest.chars().next().expect("a form");
    match first {
        '{' => {
            let forms = forms(rest, '}');
            let mut map = Map::new();
            for pair in forms.chunks(2) {
                let name = match &pair[0] {
                    Value::String(name) => name.clone(),
                    other => other.to_string(),
                };
                map.insert(name, pair[1].clone());
            }
            Value::Object(map)
        }
        '[' => Value::Array(forms(rest, ']')),
        '(' => Value::Array(forms(rest, ')')),
        _ => {
            let end = rest.find([' ', ',', ']', '}', ')']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            *rest = after;
            match word {
                "nil" => Value::Null,
                "true" => json!(true),
                _ => match word.parse::<i64>() {
                    Ok(int) => json!(int),
                    Err(_) => json!(word.trim_matches(['"', ':'])),
                },
            }
        }
    }
}

fn forms(rest: &mut &str, closer: char) -> Vec<Value> {
    *rest = &rest[1..];
    let mut forms = Vec::new();
    loop {
        *rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix(closer) {
            *rest = after;
            return forms;
        }
        forms.push(form(rest));
    }
}
