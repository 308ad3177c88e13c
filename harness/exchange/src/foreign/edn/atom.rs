//! EDN's forms without parts: numbers, words, texts, letters.

use std::io::Read;

use super::Edn;
use crate::foreign::forms::{ATOM_MAX, Atom, Forms, Malformed, TOO_LONG};

impl<R: Read> Edn<R> {
    /// The atom that a byte begins; the byte is still to be taken.
    pub(super) fn atom(&mut self, first: u8) -> Result<Atom, Malformed> {
        // A tag's name stays before what it tags.
        let kept = if self.tagged { self.text.len() } else { 0 };
        self.text.truncate(kept);
        let atom = match first {
            b'"' => {
                self.string(kept > 0)?;
                Atom::Text
            }
            b'\\' => self.letter()?,
            _ => {
                self.source.take_while(&mut self.text, is_inside)?;
                self.word(kept)?
            }
        };
        Ok(if self.tagged { Atom::Tagged } else { atom })
    }

    /// `#name`, kept as the beginning of what it tags.
    pub(super) fn tag(&mut self) -> Result<(), Malformed> {
        self.text.clear();
        self.text.push(b'#');
        self.source.take_while(&mut self.text, is_inside)?;
        self.text.push(b' ');
        Ok(())
    }

    /// `##Inf`, `##-Inf`, `##NaN`.
    pub(super) fn unending(&mut self) -> Result<Atom, Malformed> {
        self.source.bump();
        self.text.clear();
        self.text.extend_from_slice(b"##");
        self.source.take_while(&mut self.text, is_inside)?;
        match self.text.as_slice() {
            b"##Inf" | b"##-Inf" | b"##NaN" => Ok(Atom::Number),
            _ => Err(self.trouble("after `##` only Inf, -Inf and NaN have a meaning")),
        }
    }

    /// `#"..."`, which Clojure prints for patterns.
    pub(super) fn pattern(&mut self) -> Result<Atom, Malformed> {
        self.text.clear();
        self.text.push(b'#');
        self.source.bump();
        self.text.push(b'"');
        loop {
            let Some(byte) = self.source.peek()? else {
                return Err(self.trouble("this pattern never ends"));
            };
            self.source.bump();
            self.push(byte)?;
            if byte == b'\\'
                && let Some(next) = self.source.peek()?
            {
                self.source.bump();
                self.push(next)?;
            }
            if byte == b'"' {
                return Ok(Atom::Tagged);
            }
        }
    }

    fn push(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.text.len() == ATOM_MAX {
            return Err(self.trouble(TOO_LONG));
        }
        self.text.push(byte);
        Ok(())
    }

    /// A text, with its quotes where a tag needs them to stay what it was.
    fn string(&mut self, quoted: bool) -> Result<(), Malformed> {
        self.source.bump();
        if quoted {
            self.text.push(b'"');
        }
        loop {
            match self.source.peek()? {
                None => return Err(self.trouble("this text never ends")),
                Some(b'"') => break self.source.bump(),
                Some(b'\\') => {
                    self.source.bump();
                    let letter = self.escape()?;
                    let mut room = [0; 4];
                    self.text
                        .extend_from_slice(letter.encode_utf8(&mut room).as_bytes());
                }
                Some(b'\n') => {
                    self.source.bump();
                    self.push(b'\n')?;
                }
                Some(_) => {
                    let plain = |byte| !matches!(byte, b'"' | b'\\' | b'\n');
                    self.source.take_while(&mut self.text, plain)?;
                }
            }
            if self.text.len() > ATOM_MAX {
                return Err(self.trouble(TOO_LONG));
            }
        }
        if quoted {
            self.text.push(b'"');
        }
        if std::str::from_utf8(&self.text).is_err() {
            return Err(self.trouble("this text is not UTF-8"));
        }
        Ok(())
    }

    /// What follows a backslash inside a text.
    fn escape(&mut self) -> Result<char, Malformed> {
        let place = self.source.place();
        let Some(byte) = self.source.peek()? else {
            return Err(self.trouble("this text never ends"));
        };
        self.source.bump();
        Ok(match byte {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' => '"',
            b'\\' => '\\',
            b'u' => {
                let first = self.hex4(place)?;
                let code = match first {
                    0xd800..0xdc00 => self.surrogate(first, place)?,
                    _ => first,
                };
                char::from_u32(code)
                    .ok_or_else(|| Malformed::at(place, "`\\u` of half a letter"))?
            }
            _ => {
                return Err(Malformed::at(
                    place,
                    "a backslash before something it cannot escape",
                ));
            }
        })
    }

    fn surrogate(&mut self, first: u32, place: (u64, u64)) -> Result<u32, Malformed> {
        let half = || Malformed::at(place, "`\\u` of half a letter");
        for wanted in [b'\\', b'u'] {
            if self.source.peek()? != Some(wanted) {
                return Err(half());
            }
            self.source.bump();
        }
        match self.hex4(place)? {
            second @ 0xdc00..0xe000 => Ok(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)),
            _ => Err(half()),
        }
    }

    fn hex4(&mut self, place: (u64, u64)) -> Result<u32, Malformed> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self
                .source
                .peek()?
                .and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(Malformed::at(place, "`\\u` needs four hexadecimal digits"));
            };
            self.source.bump();
            code = code * 16 + digit;
        }
        Ok(code)
    }

    /// `\a`, `\newline`, `\u0041`.
    fn letter(&mut self) -> Result<Atom, Malformed> {
        self.source.bump();
        let start = self.text.len();
        let Some(first) = self.source.peek()? else {
            return Err(self.trouble("a backslash at the end of the file"));
        };
        if first.is_ascii_whitespace() {
            return Err(self.trouble("a backslash with no letter after it"));
        }
        self.source.bump();
        self.text.push(first);
        self.source.take_while(&mut self.text, is_inside)?;
        let name = std::str::from_utf8(&self.text[start..])
            .map_err(|_| self.trouble("this letter is not UTF-8"))?;
        let mut letters = name.chars();
        let letter = match (letters.next(), letters.next(), name) {
            (Some(only), None, _) => Some(only),
            (_, _, "newline") => Some('\n'),
            (_, _, "return") => Some('\r'),
            (_, _, "space") => Some(' '),
            (_, _, "tab") => Some('\t'),
            (_, _, "formfeed") => Some('\u{c}'),
            (_, _, "backspace") => Some('\u{8}'),
            (Some('u'), _, hex) if hex.len() == 5 => u32::from_str_radix(&hex[1..], 16)
                .ok()
                .and_then(char::from_u32),
            _ => None,
        };
        match letter {
            Some(letter) => Ok(Atom::Char(letter)),
            None => Err(self.trouble(format!("`\\{name}` is no letter"))),
        }
    }

    /// A number, a keyword or a symbol that stands in `text` from `from` on.
    fn word(&mut self, from: usize) -> Result<Atom, Malformed> {
        let word = &self.text[from..];
        let Some((&first, rest)) = word.split_first() else {
            let byte = self.source.peek()?.unwrap_or_default();
            return Err(self.trouble(format!("`{}` begins no form of EDN", byte.escape_ascii())));
        };
        let signed = matches!(first, b'+' | b'-') && rest.first().is_some_and(u8::is_ascii_digit);
        if first.is_ascii_digit() || signed {
            return self.number(from);
        }
        match word {
            b"nil" => return Ok(Atom::Nil),
            b"true" => return Ok(Atom::Bool(true)),
            b"false" => return Ok(Atom::Bool(false)),
            _ => {}
        }
        if std::str::from_utf8(word).is_err() {
            return Err(self.trouble("this word is not UTF-8"));
        }
        if first == b':' {
            if matches!(rest.first(), None | Some(b':')) {
                return Err(self.trouble("a colon with no name after it"));
            }
            if from == 0 {
                self.text.remove(0);
            }
            return Ok(Atom::Keyword);
        }
        if matches!(first, b'\'' | b'`' | b'~' | b'@' | b'^' | b'#') {
            let first = char::from(first);
            return Err(self.trouble(format!("`{first}` begins no form of EDN")));
        }
        Ok(Atom::Symbol)
    }

    fn number(&mut self, from: usize) -> Result<Atom, Malformed> {
        let Ok(word) = std::str::from_utf8(&self.text[from..]) else {
            return Err(self.trouble("this number is not UTF-8"));
        };
        match number(word) {
            Some(Ok(int)) => Ok(Atom::Int(int)),
            Some(Err(spelling)) => {
                if from == 0 {
                    self.text.clear();
                    self.text.extend_from_slice(spelling.as_bytes());
                }
                Ok(Atom::Number)
            }
            None => {
                let shown: String = word.chars().take(40).collect();
                Err(self.trouble(format!("`{shown}` is no number of EDN")))
            }
        }
    }
}

/// A number: whole and of 64 bits, or in the one spelling of all that are equal to it.
fn number(word: &str) -> Option<Result<i64, String>> {
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    let plain = word.strip_prefix('+').unwrap_or(word);
    let is_whole = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text.len() == 1 || !text.starts_with('0'))
    };
    if is_whole(digits) {
        return Some(plain.parse().map_err(|_| format!("{plain}N")));
    }
    if let Some(whole) = digits.strip_suffix('N') {
        let plain = plain.strip_suffix('N')?;
        return is_whole(whole).then(|| plain.parse().map_err(|_| format!("{plain}N")));
    }
    if let Some((above, below)) = digits.split_once('/') {
        let fits = is_whole(above) && is_whole(below) && below != "0";
        return fits.then(|| Err(plain.to_owned()));
    }
    let (decimal, exact) = match plain.strip_suffix('M') {
        Some(decimal) => (decimal, true),
        None => (plain, false),
    };
    let body = decimal.strip_prefix('-').unwrap_or(decimal);
    let (mantissa, exponent) = body.split_once(['e', 'E']).unwrap_or((body, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_whole(whole) || !all_digits(part) || exponent.is_empty() || !all_digits(exponent) {
        return None;
    }
    if exact {
        return Some(Err(plain.to_owned()));
    }
    let float: f64 = decimal.parse().ok()?;
    Some(Err(format!("{float:?}")))
}

/// Whether a byte can stand inside a number or a word.
fn is_inside(byte: u8) -> bool {
    !matches!(
        byte,
        b' ' | b','
            | b'\n'
            | b'\r'
            | b'\t'
            | 0x0b
            | 0x0c
            | b'"'
            | b';'
            | b'('
            | b')'
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'\\'
    )
}
