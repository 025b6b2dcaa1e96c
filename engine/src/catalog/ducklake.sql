-- The DuckLake 1.0 face of the catalog: what DuckDB's ducklake extension reads when it attaches
-- catalog.sqlite, as read-only views over our own tables. Whoever can open this file is the root.
--
-- Rows of replaced deliveries stay out: a file is in a snapshot from begin_snapshot to just before
-- end_snapshot. Every view has the columns of DuckLake's table of that name; those that
-- describe what a warehouse does not have (deletes by row, inlined rows, macros ...) are empty.

-- Paths. A tier of a relative URL lies below the data path, which is the warehouse's directory as
-- the program last opened it; any other tier is named in full. Whoever reads a directory that was
-- moved or copied since attaches it with DATA_PATH 'DIR/' and OVERRIDE_DATA_PATH true.
create view ducklake_metadata as
  select 'version' as key, '1.0' as value, cast(null as varchar) as scope, cast(null as bigint) as scope_id
  union all
  select 'created_by', 'ratehouse', null, null
  union all
  select 'encrypted', 'false', null, null
  union all
  select 'data_path', value || '/', null, null from setting where name = 'directory';

create view ducklake_snapshot as
  select snapshot_id,
    replace(replace("at", 'T', ' '), 'Z', '+00') as snapshot_time,
    1 as schema_version,
    (select max(table_id) + 1 from lake_column) as next_catalog_id,
    (select coalesce(max(file_id), 0) + 1 from data_file) as next_file_id
  from snapshot;

create view ducklake_snapshot_changes as
  with
  touched as (
    select begin_snapshot as snapshot_id, 'inserted_into_table:' || table_id as change from data_file
    union
    select end_snapshot, 'deleted_from_table:' || table_id from data_file where end_snapshot is not null
  ),
  changes as (select snapshot_id, group_concat(change, ',') as changes_made from touched group by snapshot_id)
  select s.snapshot_id, c.changes_made, s.actor as author, s.kind || ': ' || s.note as commit_message,
    cast(null as varchar) as commit_extra_info
  from snapshot s left join changes c on c.snapshot_id = s.snapshot_id;

create view ducklake_schema as
  select 0 as schema_id, '7a1e0000-0000-4000-8000-000000000000' as schema_uuid, 0 as begin_snapshot,
    cast(null as bigint) as end_snapshot, 'main' as schema_name, '' as path, 1 as path_is_relative;

create view ducklake_table as
  select table_id, '7a1e0000-0000-4000-8000-00000000000' || table_id as table_uuid, 0 as begin_snapshot,
    cast(null as bigint) as end_snapshot, 0 as schema_id,
    case table_id
      when 1 then 'usage' when 2 then 'charges' when 3 then 'charges_daily' when 4 then 'charges_monthly' when 5 then 'edges_monthly' when 6 then 'charges_by_terms'
    end as table_name,
    '' as path, 1 as path_is_relative
  from (select distinct table_id from lake_column);

create view ducklake_column as
  select column_id, 0 as begin_snapshot, cast(null as bigint) as end_snapshot, table_id, column_id as column_order,
    name as column_name, ducklake_type as column_type, cast(null as varchar) as initial_default, 'NULL' as default_value,
    1 as nulls_allowed, cast(null as bigint) as parent_column, 'literal' as default_value_type, 'duckdb' as default_value_dialect
  from lake_column;

-- A file's rows are numbered from its own number times 2^32, so that no two files share a number.
create view ducklake_data_file as
  select f.file_id as data_file_id, f.table_id, f.begin_snapshot, f.end_snapshot, cast(null as bigint) as file_order,
    case when t.url like 'file://%' then substr(t.url, 8) else rtrim(t.url, '/') end || substr(f.path, instr(f.path, '/')) as path,
    case when t.url like '%://%' or t.url like '/%' or t.url like '_:%' then 0 else 1 end as path_is_relative,
    'parquet' as file_format, f.rows as record_count, f.bytes as file_size_bytes, f.footer_bytes as footer_size,
    f.file_id * 4294967296 as row_id_start, cast(null as bigint) as partition_id, cast(null as varchar) as encryption_key,
    cast(null as bigint) as mapping_id, cast(null as bigint) as partial_max
  from data_file f join tier t on t.name = substr(f.path, 1, instr(f.path, '/') - 1);

create view ducklake_file_column_stats as
  select s.file_id as data_file_id, f.table_id, c.column_id, cast(null as bigint) as column_size_bytes,
    f.rows - s.nulls as value_count, s.nulls as null_count, s.min_value, s.max_value,
    cast(null as bigint) as contains_nan, cast(null as varchar) as extra_stats
  from file_stats s
  join data_file f on f.file_id = s.file_id
  join lake_column c on c.table_id = f.table_id and c.name = s.column_name;

-- Over every file ever listed: an upper bound at any snapshot.
create view ducklake_table_stats as
  select table_id, sum(rows) as record_count, (max(file_id) + 1) * 4294967296 as next_row_id, sum(bytes) as file_size_bytes
  from data_file group by table_id;

create view ducklake_schema_versions as
  select 0 as begin_snapshot, 1 as schema_version, table_id from ducklake_table;

-- Not in a warehouse.

create view ducklake_view as
  select 0 as view_id, '' as view_uuid, 0 as begin_snapshot, 0 as end_snapshot, 0 as schema_id, '' as view_name,
    '' as dialect, '' as "sql", '' as column_aliases
  where false;

create view ducklake_tag as
  select 0 as object_id, 0 as begin_snapshot, 0 as end_snapshot, '' as key, '' as value where false;

create view ducklake_column_tag as
  select 0 as table_id, 0 as column_id, 0 as begin_snapshot, 0 as end_snapshot, '' as key, '' as value where false;

create view ducklake_table_column_stats as
  select 0 as table_id, 0 as column_id, 0 as contains_null, 0 as contains_nan, '' as min_value, '' as max_value,
    '' as extra_stats
  where false;

create view ducklake_file_variant_stats as
  select 0 as data_file_id, 0 as table_id, 0 as column_id, '' as variant_path, '' as shredded_type,
    0 as column_size_bytes, 0 as value_count, 0 as null_count, '' as min_value, '' as max_value, 0 as contains_nan,
    '' as extra_stats
  where false;

create view ducklake_delete_file as
  select 0 as delete_file_id, 0 as table_id, 0 as begin_snapshot, 0 as end_snapshot, 0 as data_file_id, '' as path,
    0 as path_is_relative, '' as format, 0 as delete_count, 0 as file_size_bytes, 0 as footer_size,
    '' as encryption_key, 0 as partial_max
  where false;

create view ducklake_partition_info as
  select 0 as partition_id, 0 as table_id, 0 as begin_snapshot, 0 as end_snapshot where false;

create view ducklake_partition_column as
  select 0 as partition_id, 0 as table_id, 0 as partition_key_index, 0 as column_id, '' as "transform" where false;

create view ducklake_file_partition_value as
  select 0 as data_file_id, 0 as table_id, 0 as partition_key_index, '' as partition_value where false;

create view ducklake_files_scheduled_for_deletion as
  select 0 as data_file_id, '' as path, 0 as path_is_relative, '' as schedule_start where false;

create view ducklake_inlined_data_tables as
  select 0 as table_id, '' as table_name, 0 as schema_version where false;

create view ducklake_column_mapping as
  select 0 as mapping_id, 0 as table_id, '' as type where false;

create view ducklake_name_mapping as
  select 0 as mapping_id, 0 as column_id, '' as source_name, 0 as target_field_id, 0 as parent_column,
    0 as is_partition
  where false;

create view ducklake_macro as
  select 0 as schema_id, 0 as macro_id, '' as macro_name, 0 as begin_snapshot, 0 as end_snapshot where false;

create view ducklake_macro_impl as
  select 0 as macro_id, 0 as impl_id, '' as dialect, '' as "sql", '' as type where false;

create view ducklake_macro_parameters as
  select 0 as macro_id, 0 as impl_id, 0 as column_id, '' as parameter_name, '' as parameter_type,
    '' as default_value, '' as default_value_type
  where false;

create view ducklake_sort_info as
  select 0 as sort_id, 0 as table_id, 0 as begin_snapshot, 0 as end_snapshot where false;

create view ducklake_sort_expression as
  select 0 as sort_id, 0 as table_id, 0 as sort_key_index, '' as expression, '' as dialect, '' as sort_direction,
    '' as null_order
  where false;
