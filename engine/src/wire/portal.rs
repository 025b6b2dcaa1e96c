//! What lives in a connection between messages: prepared statements, portals and cursors.
//!
//! SQL's PREPARE and the protocol's Parse share one set of names, as do DECLARE and Bind.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::scalar::ScalarValue;

use super::backend::{Failure, Prepared};
use super::command::{Unit, Verb};
use super::rows::Rows;
use super::types::parameter::ParameterType;
use super::types::row::RowShape;

/// A statement prepared by Parse or PREPARE.
#[derive(Clone)]
pub(crate) struct PreparedStatement {
    /// The statement; `None` for an empty text.
    pub(crate) unit: Option<Arc<Unit>>,
    /// The plan: of the statement itself, or of the query inside DECLARE. Other protocol statements have none.
    pub(crate) prepared: Option<Arc<dyn Prepared>>,
    /// Its parameters.
    pub(crate) parameters: Vec<ParameterType>,
}

impl PreparedStatement {
    /// The verb for transaction rules and tags.
    pub(crate) fn verb(&self) -> Verb {
        self.unit.as_ref().map_or(Verb::Other, |unit| unit.verb)
    }
}

/// A result that can be taken in pieces.
pub(crate) struct Portal {
    /// What it was made of.
    pub(crate) statement: PreparedStatement,
    /// Its parameters' values.
    pub(crate) parameters: Vec<ScalarValue>,
    /// The result's columns; `None` when there are none.
    pub(crate) schema: Option<SchemaRef>,
    /// How they are written.
    pub(crate) shape: RowShape,
    /// How far it has come.
    pub(crate) state: PortalState,
    /// Whether it outlives its transaction.
    pub(crate) holds: Hold,
}

/// How far a portal has come.
pub(crate) enum PortalState {
    /// Not run yet.
    New,
    /// Returning rows.
    Running(Box<Rows>),
    /// Everything was sent; it answers with no more rows.
    Drained,
    /// It was a statement without rows, which runs once.
    Finished,
}

/// When a portal ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// With its transaction.
    UntilEnd,
    /// WITH HOLD, but its transaction has not committed yet.
    FromCommit,
    /// WITH HOLD: with the connection.
    Connection,
}

/// A bounded set of named things.
pub(crate) struct Named<T> {
    items: HashMap<String, T>,
    most: usize,
    what: &'static str,
}

impl<T> Named<T> {
    /// Makes an empty set of at most `most` things; `what` names them in errors.
    pub(crate) fn new(most: usize, what: &'static str) -> Self {
        Self { items: HashMap::new(), most, what }
    }

    /// Adds one. Errors: 53400 when there are too many.
    pub(crate) fn insert(&mut self, name: &str, item: T) -> Result<(), Failure> {
        if self.items.len() >= self.most && !self.items.contains_key(name) {
            let message = format!("a connection may have {} {}", self.most, self.what);
            return Err(Failure::new("53400", message).with_hint("Close those that are no longer needed."));
        }
        self.items.insert(name.to_owned(), item);
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.items.get(name)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.items.contains_key(name)
    }

    /// Takes one out, to be put back or not.
    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        self.items.remove(name)
    }

    /// Puts back what was taken out.
    pub(crate) fn restore(&mut self, name: &str, item: T) {
        self.items.insert(name.to_owned(), item);
    }

    pub(crate) fn clear(&mut self) {
        self.items.clear();
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        self.items.retain(|_, item| keep(item));
    }
}

/// The name of the portal and the statement that have none.
pub(crate) const UNNAMED: &str = "";

/// The error of a statement name that stands for nothing.
pub(crate) fn unknown_statement(name: &str) -> Failure {
    match name {
        UNNAMED => Failure::new("26000", "unnamed prepared statement does not exist"),
        name => Failure::new("26000", format!("prepared statement \"{name}\" does not exist")),
    }
}

/// The error of a portal name that stands for nothing.
pub(crate) fn unknown_portal(name: &str) -> Failure {
    Failure::new("34000", format!("portal \"{name}\" does not exist"))
}

/// The error of a cursor name that stands for nothing.
pub(crate) fn unknown_cursor(name: &str) -> Failure {
    Failure::new("34000", format!("cursor \"{name}\" does not exist"))
}
