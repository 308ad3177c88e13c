//! The text of a mail, for `sendmail -t`: RFC 5322 headers, then plain text.

use super::Message;
use crate::shown::one_line;

/// No line of a mail may be longer than 998 bytes; this is far from it.
const LINE_MAX: usize = 900;

impl Message<'_> {
    /// The mail, with lines that end as `sendmail` wants them on standard input. Addresses come from
    /// a configuration; what would start another header in them is taken out.
    pub fn mail(&self, from: &str, to: &[String]) -> String {
        let to: Vec<String> = to.iter().map(|to| one_line(to)).collect();
        let mut out = format!(
            "From: {}\nTo: {}\nSubject: {}\n",
            one_line(from),
            to.join(",\n "),
            encoded(&self.subject())
        );
        if let Some(ended) = self.night.ended {
            out += &format!("Date: {}\n", ended.to_rfc2822());
        }
        out += "Auto-Submitted: auto-generated\nMIME-Version: 1.0\n\
                Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n";
        for line in self.text().lines() {
            for piece in pieces(line) {
                out += piece;
                out.push('\n');
            }
        }
        out
    }
}

/// A header's text: as it is if it is ASCII, else as an encoded word (RFC 2047) per 40 bytes.
fn encoded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).as_bytes();
        let piece: String = match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => c.to_string(),
            _ => bytes.iter().map(|byte| format!("={byte:02X}")).collect(),
        };
        if word.len() + piece.len() > 40 {
            words.push(std::mem::take(&mut word));
        }
        word += &piece;
    }
    words.push(word);
    let words = words.iter().map(|word| format!("=?utf-8?Q?{word}?="));
    words.collect::<Vec<_>>().join("\n ")
}

/// A line in pieces that are short enough.
fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while rest.len() > LINE_MAX {
        let mut at = LINE_MAX;
        while !rest.is_char_boundary(at) {
            at -= 1;
        }
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}
