//! DuckDB reads a warehouse through its DuckLake views: `ducklake.py` builds one with the real
//! program and compares what the official extension reads with what Python computes from the files.

use super::python_checks::check;

#[test]
fn duckdb_reads_a_warehouse_now_and_then() {
    check("ducklake.py", &[env!("CARGO_BIN_EXE_ratehouse")]);
}
