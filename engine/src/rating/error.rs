//! What can go wrong while rating.

use datafusion::error::DataFusionError;

use super::simulation::MINIMUMS_MAX;

/// A failure of rating; nothing was written.
///
/// What is merely wrong in a rate card is not an error: the rows it would have priced come out
/// `unrated` with a [`Reason`](super::Reason), so that one seller's slip does not stop the others.
#[derive(Debug, thiserror::Error)]
pub enum RatingError {
    /// The catalog could not be read.
    #[error(transparent)]
    Catalog(#[from] crate::catalog::CatalogError),
    /// A reference row holds something that its column cannot mean.
    #[error("ref.{table} row {row}: column {column} does not hold {wanted}")]
    Reference {
        /// The table.
        table: &'static str,
        /// The key of the row.
        row: String,
        /// The column.
        column: &'static str,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The tree has no root, or more than one.
    #[error("ref.nodes needs exactly one node without a parent, found {found}")]
    Root {
        /// How many.
        found: usize,
    },
    /// A node is its own ancestor, or lies too deep.
    #[error("node {node}: its path {problem}")]
    Path {
        /// The node.
        node: String,
        /// What is wrong with the path.
        problem: &'static str,
    },
    /// A usage row lacks what every charge has.
    #[error("usage row {source_row} of part {source_file} (delivery {delivery}) has no {column}: land it again")]
    Incomplete {
        /// The missing column.
        column: &'static str,
        /// Its delivery.
        delivery: i64,
        /// Its part of the delivery.
        source_file: i32,
        /// Its row in the part.
        source_row: i64,
    },
    /// An amount does not fit 38 digits.
    #[error(
        "usage row {source_row} of part {source_file} (delivery {delivery}): the amount on edge {edge} is out of range; correct the rule {rule}"
    )]
    Overflow {
        /// The position of the buyer.
        edge: usize,
        /// The rule, `card/version/rule`, or what else was computed.
        rule: String,
        /// The row's delivery.
        delivery: i64,
        /// Its part of the delivery.
        source_file: i32,
        /// Its row in the part.
        source_row: i64,
    },
    /// An amount of what a seller bills by itself does not fit 38 digits.
    #[error("{origin} {name}: the amount on edge {edge} is out of range; correct the rule {rule}")]
    OwnOverflow {
        /// What it is.
        origin: &'static str,
        /// Which one.
        name: String,
        /// The position of the buyer.
        edge: usize,
        /// The rule, `card/version/rule`, or what else was computed.
        rule: String,
    },
    /// A simulated amount does not fit 38 digits.
    #[error("the amount that {seller} would bill {buyer} is out of range; correct the rule {rule}")]
    SimulatedOverflow {
        /// Who sells.
        seller: String,
        /// Who buys.
        buyer: String,
        /// The rule, `card/version/rule`, or what else was computed.
        rule: String,
    },
    /// More minimums hold on one path than a simulation keeps apart.
    #[error("more than {MINIMUMS_MAX} minimums hold on {path} at once: a simulation counts for so many")]
    Minimums {
        /// The path, root first.
        path: String,
    },
    /// What a seller bills by itself is for a node that is not below it.
    #[error("{name}: node {node} is not below {seller} when it begins")]
    NotBelow {
        /// Who has it.
        node: String,
        /// Who bills it.
        seller: String,
        /// Which row.
        name: String,
    },
    /// A sum over many rows does not fit 38 digits.
    #[error("the sum of {what} is out of range")]
    Sum {
        /// What was summed.
        what: &'static str,
    },
    /// A batch does not have the columns of `usage`.
    #[error("column {0} is missing from usage or has another type")]
    Column(&'static str),
    /// The engine below failed.
    #[error(transparent)]
    Engine(#[from] Box<DataFusionError>),
    /// An array could not be built.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// A worker ended without a result.
    #[error("a rating worker ended early")]
    Worker,
    /// The receiver of rated rows failed.
    #[error("writing rated rows: {0}")]
    Sink(Box<dyn std::error::Error + Send + Sync>),
    /// A temporary file could not be used.
    #[error("temporary file of a roll-up: {0}")]
    Spill(#[from] std::io::Error),
}

impl From<DataFusionError> for RatingError {
    fn from(source: DataFusionError) -> Self {
        Self::Engine(Box::new(source))
    }
}

impl RatingError {
    /// The SQLSTATE that names this failure to a client.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Overflow { .. } | Self::OwnOverflow { .. } | Self::SimulatedOverflow { .. } | Self::Sum { .. } => {
                "22003"
            }
            Self::Reference { .. } | Self::Root { .. } | Self::Path { .. } | Self::NotBelow { .. } => "23514",
            Self::Incomplete { .. } => "22004",
            Self::Minimums { .. } => "54000",
            Self::Spill(_) => "58030",
            Self::Catalog(_) | Self::Column(_) | Self::Engine(_) | Self::Arrow(_) | Self::Worker | Self::Sink(_) => {
                "XX000"
            }
        }
    }
}
