//! A moving window over an input: records are parsed where they lie, without a copy for each.

use std::io::{self, Read};

/// The longest record: a longer one is most likely an unclosed quote.
const LONGEST: usize = 256 << 20;
const FIRST: usize = 1 << 20;

/// The bytes of an input that were read and not yet consumed.
pub struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
}

impl<R: Read> Window<R> {
    /// A window at the beginning of an input; a byte order mark is skipped.
    pub fn open(input: R) -> io::Result<Self> {
        let mut window = Self { input, buffer: vec![0; FIRST], start: 0, end: 0, ended: false };
        while window.bytes().len() < 3 && window.more()? {}
        if window.bytes().starts_with(b"\xEF\xBB\xBF") {
            window.consume(3);
        }
        Ok(window)
    }

    /// What is there.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether the input has no more than what is there.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Takes bytes from the front.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Reads on, at least as much again as lies in the window: so a long record is looked at few times. Answers whether
    /// there was anything.
    pub fn more(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let left = self.end - self.start;
        if left >= LONGEST {
            return Err(io::Error::other(format!(
                "a record is longer than {} MiB (an unclosed quote?)",
                LONGEST >> 20
            )));
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, left);
        if self.buffer.len() < left * 2 {
            self.buffer.resize(left * 4, 0);
        }
        let enough = left * 2;
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if self.ended || self.end >= enough.max(1) || self.end == self.buffer.len() {
                return Ok(self.end > left);
            }
        }
    }
}
