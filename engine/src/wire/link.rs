//! The bytes of a connection: frames in with their limits, a reused buffer out.
//!
//! Reading and flushing keep their state in the link, so either can be dropped half-way (by a timer, a cancel request) and taken up
//! again. What was written stays in the buffer until it is flushed at about 64 kB, at ReadyForQuery, on Flush or with an error.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::backend::{Failure, Notice};
use super::error::{self, ConnectionEnd, Severity};

/// The output is flushed when it has grown to this.
pub(crate) const FLUSH_BYTES: usize = 64 * 1024;
/// While a statement runs, this much of what the client sends ahead is taken in.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// A byte stream of either kind, plain or TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// A message: its type byte and its body.
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) body: Bytes,
}

/// A piece of what arrives during `COPY ... FROM STDIN`.
pub(crate) enum CopyPiece {
    /// Some of the data, cut anywhere.
    Data(Bytes),
    /// The end of the data.
    Done,
    /// The client gives up, with its reason.
    Failed(String),
    /// Flush or Sync, which mean nothing here.
    Ignored,
}

/// A connection's stream with its buffers.
pub(crate) struct Link {
    stream: Box<dyn Stream>,
    input: BytesMut,
    /// What is to be sent.
    pub(crate) out: BytesMut,
    /// Bytes of the present CopyData message that have not been handed out.
    copy_left: usize,
    ended: bool,
    write_stall: Duration,
}

impl Link {
    /// Takes over a stream. A write that makes no progress for `write_stall` ends the connection.
    pub(crate) fn new(stream: Box<dyn Stream>, write_stall: Duration) -> Self {
        let out = BytesMut::with_capacity(8 * 1024);
        Self { stream, input: BytesMut::with_capacity(8 * 1024), out, copy_left: 0, ended: false, write_stall }
    }

    /// Reads the next message, of at most `limit` bytes.
    ///
    /// The length and the type byte are checked before the body is awaited, so a client cannot make the server keep more.
    pub(crate) async fn frame(&mut self, limit: usize, is_known: fn(u8) -> bool) -> Result<Frame, ConnectionEnd> {
        self.skip_copy_rest().await?;
        self.fill_to(5).await?;
        let length = self.frame_length(is_known)?;
        // Data of a COPY that has failed meanwhile, of any size: it is skipped, not kept.
        if self.input[0] == b'd' {
            self.input.advance(5);
            self.copy_left = length;
            return Ok(Frame { tag: b'd', body: Bytes::new() });
        }
        if length > limit {
            let message = format!("a message of {length} bytes exceeds the limit of {limit} bytes");
            return Err(ConnectionEnd::Fatal(Failure::new("54000", message)));
        }
        self.fill_to(5 + length).await?;
        let tag = self.input[0];
        self.input.advance(5);
        Ok(Frame { tag, body: self.input.split_to(length).freeze() })
    }

    fn frame_length(&self, is_known: fn(u8) -> bool) -> Result<usize, ConnectionEnd> {
        let tag = self.input[0];
        if !is_known(tag) {
            let message = format!("invalid frontend message type {tag}");
            return Err(ConnectionEnd::Fatal(Failure::new("08P01", message)));
        }
        let length = (&self.input[1..5]).get_i32();
        usize::try_from(i64::from(length) - 4)
            .map_err(|_| ConnectionEnd::Fatal(Failure::new("08P01", "invalid message length")))
    }

    /// Reads the next piece of a COPY; a CopyData message of any length arrives in pieces.
    pub(crate) async fn copy_piece(&mut self, limit: usize) -> Result<CopyPiece, ConnectionEnd> {
        if self.copy_left == 0 {
            self.fill_to(5).await?;
            let length = self.frame_length(super::message::is_known)?;
            match self.input[0] {
                b'd' => {
                    self.input.advance(5);
                    self.copy_left = length;
                    return if length == 0 { Ok(CopyPiece::Ignored) } else { self.copy_data().await };
                }
                b'c' | b'f' | b'H' | b'S' => {
                    let frame = self.frame(limit, super::message::is_known).await?;
                    return Ok(match frame.tag {
                        b'c' => CopyPiece::Done,
                        b'f' => CopyPiece::Failed(super::message::Body(frame.body).text().unwrap_or_default()),
                        _ => CopyPiece::Ignored,
                    });
                }
                _ => {
                    let message = "unexpected message type during COPY from stdin";
                    return Err(ConnectionEnd::Fatal(Failure::new("08P01", message)));
                }
            }
        }
        self.copy_data().await
    }

    async fn copy_data(&mut self) -> Result<CopyPiece, ConnectionEnd> {
        self.fill_to(1).await?;
        let take = self.copy_left.min(self.input.len());
        self.copy_left -= take;
        Ok(CopyPiece::Data(self.input.split_to(take).freeze()))
    }

    /// Skips what is left of a CopyData message that nobody wants.
    async fn skip_copy_rest(&mut self) -> Result<(), ConnectionEnd> {
        while self.copy_left > 0 {
            self.copy_data().await?;
        }
        Ok(())
    }

    async fn fill_to(&mut self, bytes: usize) -> Result<(), ConnectionEnd> {
        while self.input.len() < bytes {
            self.input.reserve(bytes - self.input.len());
            if self.stream.read_buf(&mut self.input).await? == 0 {
                self.ended = true;
                return Err(ConnectionEnd::Gone);
            }
        }
        Ok(())
    }

    /// Waits, while a statement runs, until the client has hung up; takes in what it sends ahead meanwhile.
    ///
    /// A client that said goodbye (Terminate) after its statement did not hang up on it.
    pub(crate) async fn gone(&mut self) {
        while !self.ended && self.input.len() < READ_AHEAD_BYTES {
            self.input.reserve(4 * 1024);
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => self.ended = true,
                Ok(_) => {}
            }
        }
        if !self.ended || !self.input.is_empty() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the next message has already arrived and is a Sync.
    pub(crate) fn sync_is_next(&self) -> bool {
        self.input.first() == Some(&b'S')
    }

    /// Appends a message.
    pub(crate) fn put<M: Message>(&mut self, message: &M) {
        // Encoding fails only for a message over the protocol's limit; such a one is left out whole.
        let start = self.out.len();
        if let Err(error) = message.encode(&mut self.out) {
            tracing::error!(%error, "a message to the client could not be encoded");
            self.out.truncate(start);
        }
    }

    /// Appends an error.
    pub(crate) fn put_failure(&mut self, severity: Severity, failure: &Failure) {
        self.put(&error::response(severity, failure));
    }

    /// Appends notices.
    pub(crate) fn put_notices(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            self.put(&error::notice(&notice));
        }
    }

    /// Sends everything that was appended.
    ///
    /// Dropping the future half-way loses nothing: what was not sent is still in the buffer.
    pub(crate) async fn flush(&mut self) -> Result<(), ConnectionEnd> {
        while !self.out.is_empty() {
            let stalled = || io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answers");
            let written =
                timeout(self.write_stall, self.stream.write_buf(&mut self.out)).await.map_err(|_| stalled())??;
            if written == 0 {
                return Err(ConnectionEnd::Gone);
            }
        }
        timeout(self.write_stall, self.stream.flush()).await.map_err(|_| ConnectionEnd::Gone)??;
        Ok(())
    }

    /// Sends a last error and closes; a peer that is gone is no error.
    pub(crate) async fn close(mut self, last: Option<Failure>) {
        if let Some(failure) = last {
            self.put_failure(Severity::Fatal, &failure);
        }
        let patience = self.write_stall.min(Duration::from_secs(5));
        let farewell = async {
            self.flush().await?;
            self.stream.shutdown().await?;
            Ok::<(), ConnectionEnd>(())
        };
        if timeout(patience, farewell).await.is_err() {
            tracing::debug!("the client did not take the last message");
        }
    }
}
