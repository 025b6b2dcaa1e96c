//! `to_char`: dates, time stamps and numbers shown by PostgreSQL's patterns.
//!
//! Follows PostgreSQL 15's `formatting.c` in the C locale, item by item; `tests/postgres_patterns.py` compares the two on
//! random values and patterns. Not offered: `EEEE`, `RN` and intervals.

mod by_pattern;
mod digits;
mod function;
mod lexer;
mod moment;
mod number;
mod reading;

#[cfg(test)]
mod tests;

pub use by_pattern::ByPattern;
pub use function::ToChar;
