//! Messages from the client, decoded with every length checked.
//!
//! A malformed body is an error of the client (08P01), never a panic: this code reads what anyone may send.

use bytes::{Buf, Bytes};

use super::backend::Failure;
use super::types::Format;

/// What Describe and Close are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

/// A message of the frontend after login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frontend {
    /// Simple query.
    Query(String),
    /// Prepares a statement.
    Parse { name: String, sql: String, parameter_oids: Vec<u32> },
    /// Makes a portal of a statement and parameters.
    Bind(Bind),
    /// Asks for types and columns.
    Describe { target: Target, name: String },
    /// Runs a portal.
    Execute { portal: String, max_rows: i32 },
    /// Forgets a statement or portal.
    Close { target: Target, name: String },
    /// Asks for the answers so far.
    Flush,
    /// Ends a batch of extended messages.
    Sync,
    /// Ends the connection.
    Terminate,
    /// Data, end of data or failure of a COPY; outside of one they are ignored, as the COPY may have failed meanwhile.
    Copy,
    /// The obsolete function call interface.
    FunctionCall,
}

/// The Bind message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: String,
    pub(crate) statement: String,
    pub(crate) parameter_formats: Vec<Format>,
    pub(crate) parameters: Vec<Option<Bytes>>,
    pub(crate) result_formats: Vec<Format>,
}

/// Whether a byte starts a message that an authenticated client may send.
pub(crate) fn is_known(tag: u8) -> bool {
    b"QPBDECHSXdcfF".contains(&tag)
}

impl Frontend {
    /// Decodes a message by its type byte.
    ///
    /// Errors: 08P01 for a malformed body, 22021 for text that is not UTF-8.
    pub(crate) fn decode(tag: u8, body: Bytes) -> Result<Self, Failure> {
        let mut body = Body(body);
        let message = match tag {
            b'Q' => Self::Query(body.text()?),
            b'P' => {
                let (name, sql) = (body.text()?, body.text()?);
                let count = body.count(4)?;
                let parameter_oids = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
                Self::Parse { name, sql, parameter_oids }
            }
            b'B' => Self::Bind(body.bind()?),
            b'D' => Self::Describe { target: body.target()?, name: body.text()? },
            b'E' => Self::Execute { portal: body.text()?, max_rows: body.u32()?.cast_signed() },
            b'C' => Self::Close { target: body.target()?, name: body.text()? },
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'F' => return Ok(Self::FunctionCall),
            b'd' | b'c' | b'f' => return Ok(Self::Copy),
            _ => {
                return Err(Failure::new("08P01", format!("invalid frontend message type {tag}")));
            }
        };
        if body.0.has_remaining() { Err(malformed()) } else { Ok(message) }
    }
}

fn malformed() -> Failure {
    Failure::new("08P01", "invalid message format")
}

/// A message body being read.
pub(crate) struct Body(pub(crate) Bytes);

impl Body {
    /// Reads a text up to its terminating zero.
    pub(crate) fn text(&mut self) -> Result<String, Failure> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(malformed)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        match std::str::from_utf8(&text) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Failure::new("22021", "invalid byte sequence for encoding \"UTF8\"")),
        }
    }

    fn u32(&mut self) -> Result<u32, Failure> {
        self.0.try_get_u32().map_err(|_| malformed())
    }

    fn u16(&mut self) -> Result<u16, Failure> {
        self.0.try_get_u16().map_err(|_| malformed())
    }

    /// Reads a count of things of at least `size` bytes each; more than the body can hold is an error before anything is reserved.
    fn count(&mut self, size: usize) -> Result<usize, Failure> {
        let count = usize::from(self.u16()?);
        if count * size > self.0.remaining() { Err(malformed()) } else { Ok(count) }
    }

    fn target(&mut self) -> Result<Target, Failure> {
        match self.0.try_get_u8() {
            Ok(b'S') => Ok(Target::Statement),
            Ok(b'P') => Ok(Target::Portal),
            _ => Err(malformed()),
        }
    }

    fn formats(&mut self) -> Result<Vec<Format>, Failure> {
        let count = self.count(2)?;
        let format = |code| match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(Failure::new("22023", format!("unsupported format code: {other}"))),
        };
        (0..count).map(|_| self.u16().and_then(format)).collect()
    }

    fn bind(&mut self) -> Result<Bind, Failure> {
        let (portal, statement) = (self.text()?, self.text()?);
        let parameter_formats = self.formats()?;
        let count = self.count(4)?;
        let mut parameters = Vec::with_capacity(count);
        for _ in 0..count {
            parameters.push(match self.u32()?.cast_signed() {
                -1 => None,
                length => {
                    let length = usize::try_from(length).map_err(|_| malformed())?;
                    if length > self.0.remaining() {
                        return Err(malformed());
                    }
                    Some(self.0.split_to(length))
                }
            });
        }
        let result_formats = self.formats()?;
        Ok(Bind { portal, statement, parameter_formats, parameters, result_formats })
    }
}

/// The format of the `index`th of `count` values: none given means text, one given holds for all.
///
/// Errors: 08P01 when the number of formats fits neither.
pub(crate) fn format_of(formats: &[Format], index: usize, count: usize) -> Result<Format, Failure> {
    match formats {
        [] => Ok(Format::Text),
        [all] => Ok(*all),
        each if each.len() == count => Ok(each[index]),
        each => {
            let message = format!("bind message has {} formats but {count} values", each.len());
            Err(Failure::new("08P01", message))
        }
    }
}
