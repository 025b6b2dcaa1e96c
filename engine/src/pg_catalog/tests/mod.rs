//! Tests of the catalogs, over a small warehouse as one analyst sees it.

mod built_in;
mod captured;
mod claimed;
mod drivers;
mod errors;
mod fixture;
mod functions;
mod psql;
mod standard;
