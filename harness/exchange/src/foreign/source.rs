//! Bytes of a stream, one after the other, with their line and column. Holds one block of the
//! file at a time and never goes back.

use std::io::{ErrorKind, Read};

use super::ForeignError;
use super::forms::Malformed;

const BLOCK: usize = 256 * 1024;

/// A stream of bytes that knows where it stands.
pub struct Source<R> {
    input: R,
    block: Box<[u8]>,
    at: usize,
    end: usize,
    before: u64,
    line: u64,
    line_start: u64,
}

impl<R: Read> Source<R> {
    pub fn new(input: R) -> Source<R> {
        Source {
            input,
            block: vec![0; BLOCK].into_boxed_slice(),
            at: 0,
            end: 0,
            before: 0,
            line: 1,
            line_start: 0,
        }
    }

    /// The next byte, not yet taken; none at the end.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<u8>, Malformed> {
        if self.at < self.end {
            return Ok(Some(self.block[self.at]));
        }
        self.refill()
    }

    /// Takes the byte that was peeked at.
    #[inline]
    pub fn bump(&mut self) {
        if self.block[self.at] == b'\n' {
            self.line += 1;
            self.line_start = self.before + self.at as u64 + 1;
        }
        self.at += 1;
    }

    /// Takes bytes for as long as they are wanted; none of them may be a line's end.
    #[inline]
    pub fn take_while(
        &mut self,
        text: &mut Vec<u8>,
        wanted: impl Fn(u8) -> bool,
    ) -> Result<(), Malformed> {
        while self.peek()?.is_some() {
            let rest = &self.block[self.at..self.end];
            let count = rest.iter().position(|&byte| !wanted(byte));
            let taken = count.unwrap_or(rest.len());
            text.extend_from_slice(&rest[..taken]);
            self.at += taken;
            if count.is_some() {
                break;
            }
            if text.len() > super::forms::ATOM_MAX {
                return Err(self.trouble(super::forms::TOO_LONG));
            }
        }
        Ok(())
    }

    /// Where the next byte stands, from 1.
    pub fn place(&self) -> (u64, u64) {
        let here = self.before + self.at as u64;
        (self.line, here - self.line_start + 1)
    }

    pub fn trouble(&self, reason: impl Into<String>) -> Malformed {
        Malformed::at(self.place(), reason)
    }

    /// Whether the text begins like a JSON map. Takes nothing but a byte order mark.
    pub fn begins_like_json(&mut self) -> Result<bool, ForeignError> {
        self.refill()?;
        if self.block[..self.end].starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        let mut seen = self.block[self.at..self.end]
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace());
        Ok(seen.next() == Some(&b'{') && seen.next() == Some(&b'"'))
    }

    #[cold]
    fn refill(&mut self) -> Result<Option<u8>, Malformed> {
        self.before += self.end as u64;
        (self.at, self.end) = (0, 0);
        loop {
            match self.input.read(&mut self.block) {
                Ok(0) => return Ok(None),
                Ok(count) => {
                    self.end = count;
                    return Ok(Some(self.block[0]));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Malformed::unreadable(&error)),
            }
        }
    }
}
