//! Answers to the client: rows, tags, COPY in both directions. Used by both protocols.

use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};

use super::backend::{Answer, CopySink, Failure, FailureMap};
use super::command::{Direction, Verb};
use super::connection::Connection;
use super::copy::out::CopyWriter;
use super::copy::{CopyFormat, CopyKind};
use super::error::{ConnectionEnd, Stop};
use super::link::CopyPiece;
use super::message::format_of;
use super::rows::{self, Rows, Scroll, flush_watched};
use super::types::Format;
use super::types::row::{RowShape, columns_of};
use super::work::Watch;

/// How a result is to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    /// Whether RowDescription goes before the rows; the extended protocol has its own message for that.
    pub(crate) describes: bool,
    /// The formats that Bind asked for.
    pub(crate) formats: Vec<Format>,
}

impl Outlet {
    /// The simple protocol: described, in text.
    pub(crate) fn simple() -> Self {
        Self { describes: true, formats: Vec::new() }
    }
}

impl Connection {
    /// Announces a result's columns. Errors: 0A000 for types that cannot be sent, 08P01 for a wrong number of formats.
    pub(crate) fn shape(&self, schema: &SchemaRef, formats: &[Format]) -> Result<RowShape, Failure> {
        let columns = columns_of(schema)?;
        if columns.len() > 1_600 {
            return Err(Failure::new("54011", "target lists can have at most 1600 entries"));
        }
        let count = columns.len();
        let formats = (0..count).map(|index| format_of(formats, index, count)).collect::<Result<_, _>>()?;
        Ok(RowShape { columns, formats, settings: self.output_settings() })
    }

    /// Sends an answer from its description to its tag.
    pub(crate) async fn send_answer(
        &mut self,
        answer: Answer,
        verb: Verb,
        outlet: &Outlet,
        watch: &Watch,
    ) -> Result<(), Stop> {
        match answer {
            Answer::Rows { schema, stream, failures } => {
                let shape = self.shape(&schema, &outlet.formats)?;
                if outlet.describes {
                    self.link.put(&rows::description(&schema, &shape));
                }
                let mut rows = Rows::new(self.work.rows(stream, failures, watch), Scroll::Forward);
                let all = Direction::Forward(None);
                let count = rows.fetch(all, Some(&shape), &mut self.link, watch).await?;
                self.complete(verb.rows_tag(count));
            }
            Answer::Done { tag } => self.complete(tag),
            Answer::CopyOut { schema, stream, format, failures } => {
                let rows = Rows::new(self.work.rows(stream, failures, watch), Scroll::Forward);
                self.copy_out(&schema, rows, format, watch).await?;
            }
            Answer::CopyIn { columns, format, sink } => self.copy_in(columns, &format, sink, watch).await?,
        }
        Ok(())
    }

    /// Sends the rows of a stream as COPY data.
    pub(crate) async fn copy_out(
        &mut self,
        schema: &SchemaRef,
        mut rows: Rows,
        format: CopyFormat,
        watch: &Watch,
    ) -> Result<(), Stop> {
        let code = if format.kind == CopyKind::Binary { Format::Binary } else { Format::Text };
        let mut shape = RowShape::of(schema, code, self.output_settings())?;
        if code == Format::Binary {
            shape = shape.with_declared_scales();
        }
        let mut writer = CopyWriter::new(format, schema)?;
        let (overall, columns) = copy_formats(code, shape.columns.len());
        self.link.put(&CopyOutResponse::new(overall, count_of(&columns), columns));
        writer.open(&mut self.link.out);
        let count =
            rows::drain(&mut rows, &shape, &mut self.link, watch, |batch, row, out| writer.write_row(batch, row, out))
                .await?;
        writer.close(&mut self.link.out);
        self.link.put(&CopyDone::new());
        self.complete(format!("COPY {count}"));
        Ok(())
    }

    /// Opens the stream of a query for COPY.
    pub(crate) fn rows_of(&self, stream: SendableRecordBatchStream, failures: FailureMap, watch: &Watch) -> Rows {
        Rows::new(self.work.rows(stream, failures, watch), Scroll::Forward)
    }

    /// Feeds what the client sends to a sink.
    async fn copy_in(
        &mut self,
        columns: usize,
        format: &CopyFormat,
        sink: Box<dyn CopySink>,
        watch: &Watch,
    ) -> Result<(), Stop> {
        let code = if format.kind == CopyKind::Binary { Format::Binary } else { Format::Text };
        let (overall, columns) = copy_formats(code, columns);
        self.link.put(&CopyInResponse::new(overall, count_of(&columns), columns));
        flush_watched(&mut self.link, watch).await?;
        let mut sink = Some(sink);
        loop {
            let most = self.limits.message_bytes_max;
            let piece = tokio::select! {
                biased;
                stop = watch.fired() => return Err(stop),
                piece = tokio::time::timeout(self.limits.idle_timeout, self.link.copy_piece(most)) => piece,
            };
            match piece.map_err(|_| Stop::Connection(ConnectionEnd::Gone))?? {
                CopyPiece::Data(data) => {
                    let Some(mut taking) = sink.take() else {
                        continue;
                    };
                    let push = async move { taking.push(data).await.map(|()| taking) };
                    sink = Some(self.work.run(&mut self.link, watch, push).await?);
                }
                CopyPiece::Done => break,
                CopyPiece::Failed(reason) => {
                    return Err(Failure::new("57014", format!("COPY from stdin failed: {reason}")).into());
                }
                CopyPiece::Ignored => {}
            }
        }
        if let Some(sink) = sink {
            let tag = self.work.run(&mut self.link, watch, async move { sink.finish().await }).await?;
            self.complete(tag);
        }
        Ok(())
    }
}

/// The overall format and that of every column, as the COPY responses carry them.
fn copy_formats(format: Format, columns: usize) -> (i8, Vec<i16>) {
    (i8::from(format == Format::Binary), vec![format.code(); columns])
}

fn count_of(columns: &[i16]) -> i16 {
    i16::try_from(columns.len()).unwrap_or(i16::MAX)
}
