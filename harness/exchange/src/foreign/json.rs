//! JSON Lines as tokens. Strict: commas and colons stand where JSON wants them.
//!
//! A map's names are texts in JSON. Where Jepsen has whole numbers for keys, `"1"` is the number.

use std::io::Read;

use history::jepsen::Scalar;

use super::forms::{ATOM_MAX, Atom, DEPTH_MAX, Forms, Malformed, Shape, TOO_LONG, Token};
use super::source::Source;

/// A reader of JSON.
pub struct Json<R> {
    source: Source<R>,
    open: Vec<Frame>,
    text: Vec<u8>,
    place: (u64, u64),
    tokens: u64,
    last_line: u64,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    is_map: bool,
    /// Nothing has stood in it yet.
    empty: bool,
    /// In a map: a name has been read, its value has not.
    named: bool,
    place: (u64, u64),
}

impl<R: Read> Forms for Json<R> {
    const MAY_WRAP: bool = false;

    fn next(&mut self) -> Result<Token, Malformed> {
        self.tokens += 1;
        self.space()?;
        self.place = self.source.place();
        let Some(&Frame {
            is_map,
            empty,
            named,
            place,
        }) = self.open.last()
        else {
            return self.line();
        };
        let Some(mut byte) = self.source.peek()? else {
            return Err(Malformed::at(place, "this bracket is never closed"));
        };
        let closes = if is_map { b'}' } else { b']' };
        if byte == closes && !named {
            self.source.bump();
            self.open.pop();
            return Ok(Token::Close);
        }
        if !empty && !named {
            if byte != b',' {
                return Err(self.trouble(format!("`,` or `{}` is wanted here", char::from(closes))));
            }
            byte = self.after(b',')?;
        }
        if let Some(frame) = self.open.last_mut() {
            frame.empty = false;
            frame.named = is_map && !named;
        }
        if is_map && !named {
            if byte != b'"' {
                return Err(self.trouble("a map's name has to be a text"));
            }
            self.string()?;
            self.space()?;
            if self.source.peek()? != Some(b':') {
                return Err(self.source.trouble("`:` is wanted here"));
            }
            self.source.bump();
            return Ok(Token::Atom(Atom::Text));
        }
        self.form(byte)
    }

    fn text(&self) -> &[u8] {
        &self.text
    }

    fn depth(&self) -> usize {
        self.open.len()
    }

    fn is_first(&self) -> bool {
        self.tokens == 1
    }

    fn is_tagged(&self) -> bool {
        false
    }

    fn place(&self) -> (u64, u64) {
        self.place
    }

    fn is_word(atom: Atom) -> bool {
        atom == Atom::Text
    }

    fn key(&self, atom: Atom) -> Result<Scalar, Malformed> {
        let scalar = self.scalar(atom)?;
        if let Scalar::Text(text) = &scalar
            && let Ok(int) = text.parse::<i64>()
            && int.to_string() == *text
        {
            return Ok(Scalar::Int(int));
        }
        Ok(scalar)
    }
}

impl<R: Read> Json<R> {
    pub fn new(source: Source<R>) -> Json<R> {
        Json {
            source,
            open: Vec::new(),
            text: Vec::new(),
            place: (1, 1),
            tokens: 0,
            last_line: 0,
        }
    }

    /// An operation's line begins, or the text ends.
    fn line(&mut self) -> Result<Token, Malformed> {
        let Some(byte) = self.source.peek()? else {
            return Ok(Token::End);
        };
        if self.place.0 == self.last_line {
            return Err(self.trouble("JSON Lines has one operation a line"));
        }
        let token = self.form(byte)?;
        self.last_line = self.place.0;
        Ok(token)
    }

    /// Takes a byte and says what follows it.
    fn after(&mut self, _taken: u8) -> Result<u8, Malformed> {
        self.source.bump();
        self.space()?;
        self.place = self.source.place();
        match self.source.peek()? {
            Some(byte) => Ok(byte),
            None => Err(self.trouble("the file ends inside a form")),
        }
    }

    fn form(&mut self, byte: u8) -> Result<Token, Malformed> {
        let shape = match byte {
            b'{' => Shape::Map,
            b'[' => Shape::Vector,
            b'"' => {
                self.string()?;
                return Ok(Token::Atom(Atom::Text));
            }
            _ => return Ok(Token::Atom(self.word()?)),
        };
        if self.open.len() == DEPTH_MAX {
            return Err(self.trouble(format!("forms nest deeper than {DEPTH_MAX}")));
        }
        self.source.bump();
        self.open.push(Frame {
            is_map: shape == Shape::Map,
            empty: true,
            named: false,
            place: self.place,
        });
        Ok(Token::Open(shape))
    }

    fn word(&mut self) -> Result<Atom, Malformed> {
        self.text.clear();
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        self.source.take_while(&mut self.text, inside)?;
        match self.text.as_slice() {
            b"null" => return Ok(Atom::Nil),
            b"true" => return Ok(Atom::Bool(true)),
            b"false" => return Ok(Atom::Bool(false)),
            _ => {}
        }
        let word = String::from_utf8_lossy(&self.text).into_owned();
        let Ok(number) = serde_json::from_str::<serde_json::Number>(&word) else {
            let shown: String = word.chars().take(40).collect();
            return Err(self.trouble(format!("`{shown}` is no form of JSON")));
        };
        if let Some(int) = number.as_i64() {
            return Ok(Atom::Int(int));
        }
        self.text.clear();
        match number.as_u64() {
            Some(long) => self.text.extend_from_slice(format!("{long}N").as_bytes()),
            None => self.text.extend_from_slice(number.to_string().as_bytes()),
        }
        Ok(Atom::Number)
    }

    fn string(&mut self) -> Result<(), Malformed> {
        self.source.bump();
        self.text.clear();
        let mut escaped = false;
        loop {
            let plain = |byte| !matches!(byte, b'"' | b'\\') && byte >= 0x20;
            self.source.take_while(&mut self.text, plain)?;
            if self.text.len() > ATOM_MAX {
                return Err(self.trouble(TOO_LONG));
            }
            match self.source.peek()? {
                Some(b'"') => break self.source.bump(),
                Some(b'\\') => {
                    escaped = true;
                    self.source.bump();
                    self.text.push(b'\\');
                    if let Some(next) = self.source.peek()?
                        && next >= 0x20
                    {
                        self.source.bump();
                        self.text.push(next);
                    }
                }
                Some(_) => return Err(self.source.trouble("a bare control character in a text")),
                None => return Err(self.trouble("this text never ends")),
            }
        }
        if escaped {
            self.unescape()
        } else if std::str::from_utf8(&self.text).is_err() {
            Err(self.trouble("this text is not UTF-8"))
        } else {
            Ok(())
        }
    }

    fn unescape(&mut self) -> Result<(), Malformed> {
        let mut quoted = Vec::with_capacity(self.text.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(&self.text);
        quoted.push(b'"');
        match serde_json::from_slice::<String>(&quoted) {
            Ok(text) => {
                self.text.clear();
                self.text.extend_from_slice(text.as_bytes());
                Ok(())
            }
            Err(error) => Err(self.trouble(format!("this text is not as JSON wants it: {error}"))),
        }
    }

    fn space(&mut self) -> Result<(), Malformed> {
        while let Some(byte) = self.source.peek()?
            && matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
        {
            self.source.bump();
        }
        Ok(())
    }
}
