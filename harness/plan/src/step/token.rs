//! A step cut into words, signs and quoted text, each with its place.
//!
//! Tokens have no meaning here; `read` gives them one.

use std::ops::Range;

use super::{StepError, Trouble};

/// One token and where it stands, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Anything between spaces and signs: `kill`, `ledger/0`, `6s`.
    Word(String),
    /// Text between double quotes, its escapes undone.
    Quoted(String),
    /// One of [`SIGNS`].
    Sign(&'static str),
}

/// Longer ones before those that they begin with.
const SIGNS: [&str; 13] = [
    "->", "==", ">=", "<=", ">", "<", "=", "{", "}", "(", ")", "|", ",",
];

fn sign_at(text: &str) -> Option<&'static str> {
    SIGNS.into_iter().find(|sign| text.starts_with(sign))
}

/// Cuts a step into tokens. Fails only on a quote that does not end.
pub(super) fn cut(text: &str) -> Result<Vec<Token>, StepError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = if let Some(sign) = sign_at(&text[at..]) {
            (TokenKind::Sign(sign), sign.len())
        } else if first == '"' {
            quoted(text, at)?
        } else {
            word(&text[at..])
        };
        tokens.push(Token {
            kind,
            at: at..at + length,
        });
        at += length;
    }
    Ok(tokens)
}

fn word(text: &str) -> (TokenKind, usize) {
    let length = text
        .char_indices()
        .find(|(at, c)| c.is_whitespace() || *c == '"' || sign_at(&text[*at..]).is_some())
        .map_or(text.len(), |(at, _)| at);
    (TokenKind::Word(text[..length].to_owned()), length)
}

/// Reads `"..."` from its opening quote; `\"`, `\\` and `\n` are the escapes.
fn quoted(text: &str, start: usize) -> Result<(TokenKind, usize), StepError> {
    let mut content = String::new();
    let mut chars = text[start + 1..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((TokenKind::Quoted(content), at + 2)),
            '\\' => match chars.next() {
                Some((_, 'n')) => content.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => content.push(escaped),
                Some((_, other)) => {
                    let at = start + 1 + at..start + 2 + at + other.len_utf8();
                    return Err(StepError::new(text, at, Trouble::UnknownEscape(other)));
                }
                None => break,
            },
            _ => content.push(c),
        }
    }
    Err(StepError::new(text, start..text.len(), Trouble::OpenQuote))
}

/// Puts text between quotes so that [`cut`] reads it back.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A text as it is where it is one word, else between quotes.
pub(super) fn word_or_quote(text: &str) -> String {
    let word = TokenKind::Word(text.to_owned());
    match cut(text).as_deref() {
        Ok([token]) if token.kind == word => text.to_owned(),
        Ok(_) | Err(_) => quote(text),
    }
}
