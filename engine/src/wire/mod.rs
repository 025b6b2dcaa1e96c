//! The Postgres face: protocol 3 over TCP and TLS, for psql, drivers and BI tools.
//!
//! | part | files |
//! |---|---|
//! | listener, encryption, login | `server`, `startup`, `login`, `auth`, `verifier`, `throttle`, `config` |
//! | bytes and messages | `link`, `message`, `error` |
//! | a connection | `connection`, `simple`, `extended`, `execute`, `cursor`, `prepared`, `portal`, `rows`, `work`, `cancel`, `settings` |
//! | statements of the protocol layer | `lex`, `command`, `grammar`, `copy` |
//! | values | `types` |
//!
//! What it never does: plan or run SQL itself (that is [`backend`]'s), read a message before the login has ended that is not part of
//! the login, collect a result, or block an I/O thread on a statement.

mod auth;
pub mod backend;
pub mod cancel;
mod command;
pub mod config;
mod connection;
pub mod copy;
mod cursor;
mod error;
mod execute;
mod extended;
mod grammar;
mod lex;
mod link;
mod login;
mod message;
mod portal;
mod prepared;
mod rows;
mod server;
pub mod settings;
mod simple;
mod startup;
mod throttle;
mod types;
pub mod verifier;
mod work;

#[cfg(test)]
mod tests;

pub use server::{Server, serve};
pub(crate) use types::presentation::ColumnType;
pub use types::presentation::least_digits;
