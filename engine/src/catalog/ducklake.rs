//! The DuckLake 1.0 face of the catalog: read-only views named `ducklake_*`, with which DuckDB
//! reads a warehouse at any snapshot.
//!
//! ```sql
//! attach 'ducklake:sqlite:DIR/catalog.sqlite' as warehouse (read_only);
//! select sum(billed_cost) from warehouse.usage at (version => 12);
//! ```
//!
//! DuckDB does not hand the views to SQLite: it reads their text, parses it in its own dialect and
//! runs it over our tables. So `ducklake.sql` is written in what both dialects have in common
//! (`at` is a keyword there, and no function of SQLite alone may appear).
//!
//! The views are for reading. DuckDB cannot commit to them, but a connection that is not
//! `read_only` may leave files behind that no commit lists, or remove such files of a landing that is under way.

use arrow::datatypes::{DataType, TimeUnit};

use super::tx::Tx;
use super::{Catalog, CatalogError, statements};
use crate::lake::LakeTable;

/// The setting with the directory that relative tiers lie in, as DuckDB is told it.
const DIRECTORY: &str = "directory";

/// Fills `lake_column` and makes the views of a new catalog.
pub(super) fn create_views(tx: &dyn Tx) -> Result<(), CatalogError> {
    for table in LakeTable::ALL {
        let schema = table.schema();
        // A column is found in a file by its field id, which is its position, counted from 1.
        for (column_id, field) in (1_i64..).zip(schema.fields()) {
            let stored = ducklake_type(field.data_type()).ok_or(CatalogError::Malformed { what: "column type" })?;
            tx.execute(
                "insert into lake_column values (?1, ?2, ?3, ?4)",
                &[table.id().into(), column_id.into(), field.name().as_str().into(), stored.into()],
            )?;
        }
    }
    for statement in statements(include_str!("ducklake.sql")) {
        tx.execute(&statement, &[])?;
    }
    Ok(())
}

/// DuckLake's name of a stored type; none for a type that no lake table has.
fn ducklake_type(data_type: &DataType) -> Option<String> {
    Some(match data_type {
        DataType::Utf8View => "varchar".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamptz".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        _ => return None,
    })
}

impl Catalog {
    /// Notes where the warehouse is, so that the views find its files after a move. Not a change
    /// of the warehouse: it makes no snapshot.
    pub(super) fn note_directory(&self) -> Result<(), CatalogError> {
        let absolute = std::path::absolute(self.directory()).map_err(|source| super::io(self.directory(), source))?;
        let text = absolute.display().to_string();
        let text = text.trim_end_matches('/');
        if self.setting(DIRECTORY)?.as_deref() == Some(text) {
            return Ok(());
        }
        self.database.write(|tx| {
            tx.execute(
                "insert into setting values (?1, ?2, null) on conflict (name) do update set value = excluded.value",
                &[DIRECTORY.into(), text.into()],
            )
            .map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(catalog: &Catalog, sql: &str) -> Vec<String> {
        let rows = catalog.read(|tx| tx.rows(sql, &[])).expect("the views answer");
        rows.iter().map(|row| row.text(0).expect("a text").to_owned()).collect()
    }

    #[test]
    fn tables_and_their_columns_are_those_of_the_lake() {
        let directory = tempfile::tempdir().expect("a directory");
        let catalog = Catalog::create(directory.path()).expect("a catalog");
        let tables = texts(&catalog, "select table_name from ducklake_table order by table_id");
        assert_eq!(tables, LakeTable::ALL.map(LakeTable::name));
        for table in LakeTable::ALL {
            let sql =
                format!("select column_name from ducklake_column where table_id = {} order by column_id", table.id());
            let schema = table.schema();
            assert_eq!(texts(&catalog, &sql), schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>());
        }
        let types = texts(&catalog, "select distinct column_type from ducklake_column order by column_type");
        assert_eq!(types, ["boolean", "date", "decimal(38,18)", "int32", "int64", "timestamptz", "varchar"]);
    }

    #[test]
    fn paths_are_below_the_tier_wherever_that_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let catalog = Catalog::create(directory.path()).expect("a catalog");
        let change = super::super::Change::new("system", "init", "tiers");
        catalog
            .commit::<_, CatalogError>(&change, |commit| {
                for (at, url) in ["hot", "/srv/hot/", "file:///srv/hot", "s3://bucket/a"].into_iter().enumerate() {
                    let id = i64::try_from(at).unwrap_or_default();
                    commit.tx.execute(
                        "insert into tier values (?1, ?2, 'standard', 1)",
                        &[format!("t{id}").into(), url.into()],
                    )?;
                    commit.tx.execute(
                        "insert into data_file values (?1, 1, ?2, 1, 1, 1, 1, '', '', 1, null)",
                        &[id.into(), format!("t{id}/usage/x.parquet").into()],
                    )?;
                }
                Ok(())
            })
            .expect("a commit");
        let paths =
            texts(&catalog, "select path_is_relative || ' ' || path from ducklake_data_file order by data_file_id");
        assert_eq!(
            paths,
            [
                "1 hot/usage/x.parquet",
                "0 /srv/hot/usage/x.parquet",
                "0 /srv/hot/usage/x.parquet",
                "0 s3://bucket/a/usage/x.parquet",
            ]
        );
    }

    #[test]
    fn a_moved_warehouse_is_found_where_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let (before, after) = (directory.path().join("before"), directory.path().join("after"));
        std::fs::create_dir(&before).expect("a directory");
        drop(Catalog::create(&before).expect("a catalog"));
        std::fs::rename(&before, &after).expect("a move");
        let catalog = Catalog::open(&after).expect("the catalog");
        let path = texts(&catalog, "select value from ducklake_metadata where key = 'data_path'");
        assert_eq!(path, [format!("{}/", after.display())]);
        assert_eq!(catalog.head().expect("a head"), 0);
    }
}
