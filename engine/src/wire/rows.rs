//! The rows of a statement as a cursor sees them: a position in a stream that is read as far as it must be.
//!
//! A forward-only cursor keeps the batch it stands in; a scrollable one keeps everything it has read, up to a bound.

use std::collections::VecDeque;
use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use pgwire::messages::data::{FieldDescription, RowDescription};

use super::backend::Failure;
use super::command::Direction;
use super::error::Stop;
use super::link::{FLUSH_BYTES, Link};
use super::types::row::{BatchWriter, RowShape};
use super::work::{RowSource, Watch};

/// Whether a cursor can go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scroll {
    /// It cannot.
    Forward,
    /// It can; at most this many bytes are kept for that.
    Both {
        /// The bound.
        bytes_max: usize,
    },
}

/// Rows with a position among them.
pub(crate) struct Rows {
    source: Option<RowSource>,
    pages: VecDeque<Page>,
    /// Rows read from the source so far.
    loaded: u64,
    /// The row the cursor is on, counted from 1; 0 before the first, `loaded + 1` after the last.
    position: u64,
    scroll: Scroll,
    kept_bytes: usize,
}

struct Page {
    /// Number of its first row, counted from 1.
    first: u64,
    batch: RecordBatch,
}

impl Page {
    fn end(&self) -> u64 {
        self.first + self.batch.num_rows() as u64
    }
}

/// Consecutive rows of one batch, in the order they are wanted.
pub(crate) struct Run {
    batch: RecordBatch,
    rows: Range<usize>,
    backward: bool,
}

impl Run {
    fn count(&self) -> u64 {
        self.rows.len() as u64
    }
}

impl Rows {
    /// Stands before the first row.
    pub(crate) fn new(source: RowSource, scroll: Scroll) -> Self {
        Self { source: Some(source), pages: VecDeque::new(), loaded: 0, position: 0, scroll, kept_bytes: 0 }
    }

    /// Reads one more batch; tells whether there was one.
    async fn load(&mut self, link: &mut Link, watch: &Watch) -> Result<bool, Stop> {
        let Some(source) = &mut self.source else {
            return Ok(false);
        };
        let Some(batch) = source.next(link, watch).await? else {
            self.source = None;
            return Ok(false);
        };
        match self.scroll {
            Scroll::Forward => self.pages.retain(|page| page.end() > self.position),
            Scroll::Both { bytes_max } => {
                self.kept_bytes += batch.get_array_memory_size();
                if self.kept_bytes > bytes_max {
                    let message = format!("a scrollable cursor may keep {bytes_max} bytes of rows");
                    return Err(Failure::new("53400", message).with_hint("Declare it with NO SCROLL.").into());
                }
            }
        }
        let first = self.loaded + 1;
        self.loaded += batch.num_rows() as u64;
        self.pages.push_back(Page { first, batch });
        Ok(true)
    }

    fn run_from(&self, row: u64, most: u64) -> Option<Run> {
        let page = self.pages.iter().find(|page| (page.first..page.end()).contains(&row))?;
        let start = usize::try_from(row - page.first).ok()?;
        let count = usize::try_from(most.min(page.end() - row)).ok()?;
        Some(Run { batch: page.batch.clone(), rows: start..start + count, backward: false })
    }

    /// Goes forward over at most `most` rows of one batch and gives them; `None` at the end.
    pub(crate) async fn forward(&mut self, most: u64, link: &mut Link, watch: &Watch) -> Result<Option<Run>, Stop> {
        if self.position >= self.loaded && !self.load(link, watch).await? {
            self.position = self.loaded + 1;
            return Ok(None);
        }
        let run = self.run_from(self.position + 1, most);
        self.position += run.as_ref().map_or(0, Run::count);
        Ok(run)
    }

    /// Goes back over at most `most` rows of one batch and gives them; `None` at the start.
    fn backward(&mut self, most: u64) -> Result<Option<Run>, Stop> {
        self.must_scroll()?;
        let Some(last) = self.position.checked_sub(1).filter(|row| *row > 0) else {
            self.position = 0;
            return Ok(None);
        };
        let Some(page) = self.pages.iter().find(|page| (page.first..page.end()).contains(&last)) else {
            return Ok(None);
        };
        let first = page.first.max((last + 1).saturating_sub(most));
        let run = self.run_from(first, last + 1 - first).map(|run| Run { backward: true, ..run });
        self.position = first;
        Ok(run)
    }

    fn must_scroll(&self) -> Result<(), Failure> {
        match self.scroll {
            Scroll::Both { .. } => Ok(()),
            Scroll::Forward => Err(Failure::new("55000", "cursor can only scan forward")
                .with_hint("Declare it with SCROLL option to enable backward scan.")),
        }
    }

    /// Goes to a row by its number and gives it; beyond either end there is none.
    async fn go_to(&mut self, row: u64, link: &mut Link, watch: &Watch) -> Result<Option<Run>, Stop> {
        if row < self.position {
            self.must_scroll()?;
        }
        while row > self.loaded {
            // Only the batch with the wanted row matters to a cursor that never goes back.
            self.position = self.position.max(self.loaded);
            if !self.load(link, watch).await? {
                self.position = self.loaded + 1;
                return Ok(None);
            }
        }
        self.position = row;
        Ok(self.run_from(row, 1))
    }

    async fn load_all(&mut self, link: &mut Link, watch: &Watch) -> Result<(), Stop> {
        self.must_scroll()?;
        while self.load(link, watch).await? {}
        Ok(())
    }

    /// Does what FETCH or MOVE says; the rows go to `outlet`, or nowhere. Returns how many there were.
    pub(crate) async fn fetch(
        &mut self,
        direction: Direction,
        outlet: Option<&RowShape>,
        link: &mut Link,
        watch: &Watch,
    ) -> Result<u64, Stop> {
        let mut count = 0;
        let single = match direction {
            Direction::Forward(most) => {
                let most = most.unwrap_or(u64::MAX);
                while count < most {
                    let Some(run) = self.forward(most - count, link, watch).await? else {
                        break;
                    };
                    count += run.count();
                    send_run(&run, outlet, link, watch).await?;
                }
                return Ok(count);
            }
            Direction::Backward(most) => {
                let most = most.unwrap_or(u64::MAX);
                while count < most {
                    let Some(run) = self.backward(most - count)? else {
                        break;
                    };
                    count += run.count();
                    send_run(&run, outlet, link, watch).await?;
                }
                return Ok(count);
            }
            Direction::Absolute(row) => match u64::try_from(row) {
                Ok(0) => {
                    self.must_scroll()?;
                    self.position = 0;
                    None
                }
                Ok(row) => self.go_to(row, link, watch).await?,
                Err(_) => {
                    self.load_all(link, watch).await?;
                    let target = (self.loaded + 1).saturating_sub(row.unsigned_abs());
                    self.position = target;
                    self.run_from(target, 1)
                }
            },
            Direction::Relative(steps) => match self.position.saturating_add_signed(steps) {
                0 => {
                    if self.position > 0 {
                        self.must_scroll()?;
                    }
                    self.position = 0;
                    None
                }
                row => self.go_to(row, link, watch).await?,
            },
        };
        if let Some(run) = single {
            count = 1;
            send_run(&run, outlet, link, watch).await?;
        }
        Ok(count)
    }
}

async fn send_run(run: &Run, outlet: Option<&RowShape>, link: &mut Link, watch: &Watch) -> Result<(), Stop> {
    let Some(shape) = outlet else { return Ok(()) };
    let mut writer = BatchWriter::new(&run.batch, shape)?;
    for step in 0..run.rows.len() {
        let row = if run.backward { run.rows.end - 1 - step } else { run.rows.start + step };
        writer.write_row(row, &mut link.out)?;
        if link.out.len() >= FLUSH_BYTES {
            flush_watched(link, watch).await?;
        }
    }
    Ok(())
}

/// Sends the buffer; a client that reads slowly does not keep its statement from being cancelled.
pub(crate) async fn flush_watched(link: &mut Link, watch: &Watch) -> Result<(), Stop> {
    tokio::select! {
        biased;
        stop = watch.fired() => Err(stop),
        flushed = link.flush() => Ok(flushed?),
    }
}

/// Calls `write` for every row that is left, with the writers of its batch, flushing as the buffer fills. Returns their number.
pub(crate) async fn drain(
    rows: &mut Rows,
    shape: &RowShape,
    link: &mut Link,
    watch: &Watch,
    mut write: impl FnMut(&mut BatchWriter<'_>, usize, &mut bytes::BytesMut) -> Result<(), Failure> + Send,
) -> Result<u64, Stop> {
    let mut count = 0;
    while let Some(run) = rows.forward(u64::MAX, link, watch).await? {
        let mut writer = BatchWriter::new(&run.batch, shape)?;
        for row in run.rows.clone() {
            write(&mut writer, row, &mut link.out)?;
            if link.out.len() >= FLUSH_BYTES {
                flush_watched(link, watch).await?;
            }
        }
        count += run.count();
    }
    Ok(count)
}

/// Makes the RowDescription of a result.
pub(crate) fn description(schema: &SchemaRef, shape: &RowShape) -> RowDescription {
    let fields = schema.fields().iter().zip(&shape.columns).zip(&shape.formats).map(|((field, column), format)| {
        FieldDescription::new(
            field.name().clone(),
            column.table.cast_signed(),
            column.number,
            column.oid,
            column.size,
            column.modifier,
            format.code(),
        )
    });
    RowDescription::new(fields.collect())
}
