//! Pictures of what a query answers: lines over time with bands and marked points.

mod bars;
mod draw;
mod picture;
mod png;

pub use bars::bars;
pub use draw::draw;
pub use picture::Picture;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChartError {
    /// No column to draw over.
    #[error("the answer has no column of dates or times: select one first")]
    NoTime,
    /// No column to draw.
    #[error("the answer has no column of numbers to draw")]
    NoNumber,
    /// No row.
    #[error("the answer has no rows with a time and a number")]
    Empty,
    /// A line has two values at one time.
    #[error(
        "two rows of \"{name}\" at {time}: add them up with sum(...) and group by, or select the text that tells them apart"
    )]
    Twice {
        /// The line.
        name: String,
        /// The time.
        time: String,
    },
    /// Nobody could read it.
    #[error("more than {most} {what}: add rows up, or select fewer with where")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// The file's name.
    #[error("{path}: the file's name must end in .svg or .png")]
    Form {
        /// The path.
        path: String,
    },
    /// The file could not be written.
    #[error("the picture could not be written: {cause}")]
    Drawing {
        /// Why.
        cause: String,
    },
}
