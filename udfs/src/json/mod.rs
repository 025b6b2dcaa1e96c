//! `->`, `->>`, `#>` and `#>>` over text that holds JSON, such as tags.
//!
//! They give what PostgreSQL's operators on `json` give: the text of a string without its quotes, every other value as it is
//! written (a number keeps its digits), NULL for JSON's null and for what is not there; of two members of one name the last.
//! [`JsonPlanner`] turns the operators into the functions that PostgreSQL has behind them.
//!
//! Tags come from providers, and a query over a month must not fail on one bad row. Text that is not JSON therefore gives
//! NULL where PostgreSQL refuses it, as does a string that no text can hold (`\u0000`, half of a surrogate pair). So every
//! function here is total: no value makes it fail.
//!
//! The text is read once from left to right and nothing is built from it; it is read to its end, since a member may come
//! again and what follows may not be JSON.

mod cast;
mod find;
mod function;
mod planner;
mod reader;

#[cfg(test)]
mod tests;

pub use cast::ToJson;
pub use find::{element, elements, member, members, path, shown};
pub use function::{JsonFunction, Shown, Step};
pub use planner::JsonPlanner;
