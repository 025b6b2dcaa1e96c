//! Passes over JSON text from left to right, checking its grammar.

use std::borrow::Cow;

/// A place in a text. Every method ends with `None` where the text is not JSON.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// What is between the quotes of a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'a> {
    raw: &'a str,
    has_escapes: bool,
}

/// Bytes that end a run of plain characters in a string: the quote, the escape and what must be escaped.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

impl<'a> Reader<'a> {
    /// Begins at the first character that is no space.
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Self { text, at: 0 };
        reader.space();
        reader
    }

    /// The next byte, which stays.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes the next byte.
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Passes this byte.
    pub(super) fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// Passes spaces.
    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Nothing but spaces is left.
    pub(super) fn end(mut self) -> Option<()> {
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    /// Passes a member's name, its colon, and the spaces around that.
    pub(super) fn name(&mut self) -> Option<Quoted<'a>> {
        let name = self.string()?;
        self.space();
        self.eat(b':')?;
        self.space();
        Some(name)
    }

    /// Passes a value and gives its text.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        // What closes each object and array that is open: a stack of our own, so that no nesting overflows the thread's.
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek()? {
                b'{' => {
                    self.at += 1;
                    self.space();
                    if self.peek()? != b'}' {
                        self.name()?;
                        open.push(b'}');
                        continue;
                    }
                    self.at += 1;
                }
                b'[' => {
                    self.at += 1;
                    self.space();
                    if self.peek()? != b']' {
                        open.push(b']');
                        continue;
                    }
                    self.at += 1;
                }
                b'"' => {
                    self.string()?;
                }
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => self.number()?,
            }
            // A value has ended: so may what it is in.
            loop {
                let Some(close) = open.last().copied() else { return self.text.get(start..self.at) };
                self.space();
                match self.next()? {
                    b',' => {
                        self.space();
                        if close == b'}' {
                            self.name()?;
                        }
                        break;
                    }
                    byte if byte == close => {
                        open.pop();
                    }
                    _ => return None,
                }
            }
        }
    }

    fn string(&mut self) -> Option<Quoted<'a>> {
        self.eat(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut has_escapes = false;
        loop {
            self.at += bytes.get(self.at..)?.iter().position(|byte| SPECIAL[usize::from(*byte)])?;
            match self.next()? {
                b'"' => return Some(Quoted { raw: self.text.get(start..self.at - 1)?, has_escapes }),
                b'\\' => {
                    has_escapes = true;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            for _ in 0..4 {
                                self.next()?.is_ascii_hexdigit().then_some(())?;
                            }
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        self.at += word.len();
        rest.starts_with(word.as_bytes()).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let start = self.at;
        self.digits();
        (self.at > start).then_some(())
    }
}

impl<'a> Quoted<'a> {
    /// The string that is a whole value.
    pub(super) fn of(value: &'a str) -> Option<Self> {
        Reader { text: value, at: 0 }.string()
    }

    /// Whether it says this.
    pub(super) fn is(self, text: &str) -> bool {
        if self.has_escapes { self.text().is_some_and(|own| own == text) } else { self.raw == text }
    }

    /// What it says; none where that cannot be a text.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        if self.has_escapes { decoded(self.raw).map(Cow::Owned) } else { Some(Cow::Borrowed(self.raw)) }
    }
}

/// Replaces escapes, whose grammar was checked.
fn decoded(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, after)) = rest.split_once('\\') {
        text.push_str(plain);
        let escape = after.chars().next()?;
        rest = after.get(1..)?;
        text.push(match escape {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, after) = code_point(rest)?;
                rest = after;
                character
            }
            itself => itself,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// The character of four hexadecimal digits, or of two such escapes that are a surrogate pair; and what follows.
fn code_point(digits: &str) -> Option<(char, &str)> {
    let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let (first, mut rest) = (unit(digits)?, digits.get(4..)?);
    let code = match first {
        // PostgreSQL's texts hold everything but this one, and so do its clients.
        0 => return None,
        0xd800..=0xdbff => {
            let low = rest.strip_prefix("\\u")?;
            rest = low.get(4..)?;
            let second = unit(low).filter(|second| (0xdc00..=0xdfff).contains(second))?;
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        }
        _ => first,
    };
    // Half of a pair alone is no character.
    Some((char::from_u32(code)?, rest))
}
