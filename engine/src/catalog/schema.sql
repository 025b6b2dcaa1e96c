-- The catalog: everything that is not bulk data. Integers, text and blobs only, so that SQLite and
-- Postgres take the same statements. Money is canonical decimal text; instants are RFC 3339 UTC text
-- with microseconds; billing periods are text (2026-10).
--
-- A row is written once, by the snapshot it names, and lives in [begin_snapshot, end_snapshot);
-- end_snapshot null means it still does. Nothing else of it ever changes: what changes is a new
-- row. So the audit can digest what every snapshot wrote and ended from the tables alone
-- (audit/record.rs). Detail tables, rewritten as a whole, are covered by a hash in their owner's row.

create table head (snapshot_id bigint not null);
insert into head values (0);

-- begin_snapshot null: of no snapshot, as the schema version and where the directory is.
create table setting (name text primary key, value text not null, begin_snapshot bigint);
create index setting_by_begin on setting (begin_snapshot);

create table snapshot (
  snapshot_id bigint primary key,
  at text not null,
  actor text not null,
  kind text not null,
  note text not null,
  changes_hash text not null,
  prev_hash text not null,
  hash text not null
);

-- What a snapshot did to a table: the digest of the rows that it wrote, ended or removed.
create table snapshot_change (
  snapshot_id bigint not null,
  relation text not null,
  event text not null,               -- begun | ended | removed
  digest text not null,
  primary key (snapshot_id, relation, event)
);
create index snapshot_change_by_relation on snapshot_change (relation, event);

create table tier (name text primary key, url text not null, storage_class text not null, begin_snapshot bigint not null);
create index tier_by_begin on tier (begin_snapshot);

create table lake_column (table_id bigint not null, column_id bigint not null, name text not null, ducklake_type text not null,
  primary key (table_id, column_id));

create table slice (
  slice_id bigint primary key,
  source text not null,
  provider_name text not null,
  billing_account_id text not null,
  billing_period text not null,
  role text not null,                -- priced | amortised | reference
  begin_snapshot bigint not null,
  unique (source, provider_name, billing_account_id, billing_period)
);
create index slice_by_period on slice (billing_period);
create index slice_by_begin on slice (begin_snapshot);

-- How fresh a slice's charges are; one live row a slice.
create table slice_state (
  slice_id bigint not null,
  rated_snapshot bigint,             -- the snapshot whose reference data its charges show
  stale_since bigint,                -- the snapshot that made them old
  stale_reason text,
  owners_hash text not null,         -- of its rows in slice_owner
  bands_hash text not null,          -- of its rows in band_total
  begin_snapshot bigint not null,
  end_snapshot bigint,
  primary key (slice_id, begin_snapshot)
);
create unique index slice_state_live on slice_state (slice_id) where end_snapshot is null;
create index slice_state_by_begin on slice_state (begin_snapshot);
create index slice_state_by_end on slice_state (end_snapshot);

create table delivery (
  delivery_id bigint primary key,
  source text not null,
  name text not null,
  content_hash text not null,
  sequence text not null,            -- orders the deliveries of a source: the later text is the newer
  parts bigint not null,
  bytes bigint not null,
  rows bigint not null,
  rejected_rows bigint not null,
  lossy_rows bigint not null,
  billed_cost text not null,
  rejected_billed_cost text not null,
  state text not null,               -- landed | empty | stale
  landed_at text not null,
  snapshot_id bigint not null,       -- the snapshot that wrote it
  role text not null                 -- priced | amortised | reference
);
create index delivery_by_size on delivery (bytes);
create index delivery_by_content on delivery (content_hash);
create index delivery_by_name on delivery (name);
create index delivery_by_snapshot on delivery (snapshot_id);

create table delivery_slice (
  delivery_id bigint not null,
  slice_id bigint not null,
  rows bigint not null,
  billed_cost text not null,
  effective_cost text not null,
  list_cost text not null,
  begin_snapshot bigint not null,
  end_snapshot bigint,
  primary key (delivery_id, slice_id)
);
create index delivery_slice_by_slice on delivery_slice (slice_id);
create index delivery_slice_by_begin on delivery_slice (begin_snapshot);
create index delivery_slice_by_end on delivery_slice (end_snapshot);

-- Ends when a corrected delivery settles it.
create table rejected_row (
  delivery_id bigint not null,
  source_file bigint not null,
  source_row bigint not null,
  column_name text,
  value_class text not null,
  reason text not null,
  raw text not null,
  billed_cost text,
  provider_name text,                -- the slice that it belongs to, as far as the row says
  billing_account_id text,
  billing_period text,
  begin_snapshot bigint not null,
  end_snapshot bigint,
  primary key (delivery_id, source_file, source_row)
);
create index rejected_row_open on rejected_row (delivery_id) where end_snapshot is null;
create index rejected_row_by_begin on rejected_row (begin_snapshot);
create index rejected_row_by_end on rejected_row (end_snapshot);

create table finding (
  delivery_id bigint not null,
  rule text not null,
  severity text not null,
  rows bigint not null,
  example text not null,
  description text not null,
  begin_snapshot bigint not null,
  primary key (delivery_id, rule, description)
);
create index finding_by_begin on finding (begin_snapshot);

create table data_file (
  file_id bigint primary key,
  table_id bigint not null,
  path text not null unique,
  rows bigint not null,
  bytes bigint not null,
  footer_bytes bigint not null,
  slice_id bigint not null,
  child text not null,               -- the root's child that all rows belong to, '' for the root's own
  stats_hash text not null,          -- of its rows in file_stats
  begin_snapshot bigint not null,
  end_snapshot bigint
);
create index data_file_by_slice on data_file (slice_id, table_id);
create index data_file_by_begin on data_file (begin_snapshot);
create index data_file_by_end on data_file (end_snapshot);

-- Files that were ended and collected: what they were stays, so that the snapshots that listed them can be checked.
create table removed_file (
  file_id bigint primary key,
  table_id bigint not null,
  path text not null,
  rows bigint not null,
  bytes bigint not null,
  footer_bytes bigint not null,
  slice_id bigint not null,
  child text not null,
  stats_hash text not null,
  begin_snapshot bigint not null,
  end_snapshot bigint not null,
  removed_snapshot bigint not null
);
create index removed_file_by_begin on removed_file (begin_snapshot);
create index removed_file_by_end on removed_file (end_snapshot);
create index removed_file_by_removed on removed_file (removed_snapshot);

create table file_stats (
  file_id bigint not null,
  column_name text not null,
  min_value text,
  max_value text,
  nulls bigint not null,
  primary key (file_id, column_name)
);

-- The owners that a slice's charges have: which slices a change of reference data reaches.
create table slice_owner (slice_id bigint not null, node_path text not null, primary key (slice_id, node_path));

-- What a slice adds to the period totals that band prices are taken from.
create table band_total (
  slice_id bigint not null,
  counter text not null,             -- edge, rule, scope and version segment
  quantity text not null,
  primary key (slice_id, counter)
);
create index band_total_by_counter on band_total (counter);

create table pin (
  snapshot_id bigint not null,       -- the snapshot that wrote it, and whose files it keeps
  slice_id bigint not null,
  reference text not null,
  keep_until text not null,
  end_snapshot bigint,
  primary key (snapshot_id, slice_id, reference)
);
create index pin_by_end on pin (end_snapshot);

-- A document's state is a row: approving and issuing end one and write the next.
create table invoice (
  invoice_id text not null,
  number text not null,
  seller_node_id text not null,
  buyer_node_id text not null,
  billing_period text not null,
  currency text not null,
  status text not null,              -- draft | approved | issued | paid | disputed
  document_type text not null,       -- invoice | credit_note | debit_note
  corrects_number text,              -- the invoice that a note corrects
  reason text,                       -- of a note
  subtotal text not null,
  tax text not null,
  credits text not null,
  total text not null,
  charges_total text not null,       -- the unrounded charges behind it
  snapshot_id bigint not null,
  content_hash text not null,
  issued_at text,
  due_date text,
  begin_snapshot bigint not null,
  end_snapshot bigint,
  primary key (invoice_id, begin_snapshot)
);
create index invoice_by_period on invoice (billing_period, seller_node_id, buyer_node_id);
create index invoice_by_edge on invoice (seller_node_id, buyer_node_id);
create index invoice_by_begin on invoice (begin_snapshot);
create index invoice_by_end on invoice (end_snapshot);

-- The lines of a document in their order, as a JSON array of arrays of texts: kind, service, charge category, description,
-- quantity, unit, amount, unrounded amount.
create table invoice_content (
  invoice_id text primary key,
  lines text not null,
  begin_snapshot bigint not null
);
create index invoice_content_by_begin on invoice_content (begin_snapshot);

-- A correction of an issued invoice: what charges changed, or what somebody credits. Its state is a row as a document's is.
create table adjustment (
  adjustment_id bigint not null,
  object_id text not null,           -- as submit and approve name it
  kind text not null,                -- restatement | credit
  invoice_number text not null,
  seller_node_id text not null,
  buyer_node_id text not null,
  billing_period text not null,
  currency text not null,
  method text not null,              -- note | true_up
  status text not null,              -- submitted | settled | rejected
  amount text not null,              -- unrounded
  parts text not null,               -- what of it corrects which line: a JSON array of [line or null, amount as text]
  reason text not null,
  charges_snapshot bigint,           -- whose charges it brings the invoice to; null for a credit
  settled_by text,                   -- the number of its note, or the billing period on whose invoice it is
  begin_snapshot bigint not null,
  end_snapshot bigint,
  primary key (adjustment_id, begin_snapshot)
);
create index adjustment_by_invoice on adjustment (invoice_number);
create index adjustment_by_begin on adjustment (begin_snapshot);
create index adjustment_by_end on adjustment (end_snapshot);

-- One row a close; the newest one counts.
create table closed_period (billing_period text not null, snapshot_id bigint not null, closed_at text not null,
  primary key (billing_period, snapshot_id));
create index closed_period_by_snapshot on closed_period (snapshot_id);

create table credential (
  login text not null,
  verifier text,                     -- null once it ended: an old password is not kept
  verifier_hash text not null,
  changed_at text not null,
  begin_snapshot bigint not null,
  end_snapshot bigint,
  primary key (login, begin_snapshot)
);
create unique index credential_live on credential (login) where end_snapshot is null;
create index credential_by_begin on credential (begin_snapshot);
create index credential_by_end on credential (end_snapshot);

create table approval (
  kind text not null,
  object_id text not null,
  action text not null,              -- submit | approve | reject
  login text not null,
  role text not null,
  justification text not null,
  at text not null,
  snapshot_id bigint not null,
  revision bigint not null           -- which of several objects of that id: of an adjustment its number
);
create index approval_by_object on approval (kind, object_id);
create index approval_by_snapshot on approval (snapshot_id);

-- What collection has seen, asked for and may still ask. Working state of no snapshot: the audit does not cover it, and who loses it
-- looks a second time at files that landing knows.
create table collection_source (
  source_name text primary key,
  attempted_at text,
  succeeded_at text,
  due_at text,                       -- when to look again
  failures bigint not null,          -- in a row
  last_error text
);

-- How collections went, for a month.
create table collection_log (
  source_name text not null,
  began_at text not null,
  ended_at text not null,
  outcome text not null,             -- done | refused | paused | failed
  detail text                        -- why it was none of the first
);
create index collection_log_by_time on collection_log (began_at);

create table collection_item (
  source_name text not null,
  item text not null,                -- path or URL of a file, a group of parts or a manifest
  fingerprint text not null,         -- changes whenever the content does
  state text not null,               -- landed | waiting | refused
  detail text,                       -- why it waits or was refused
  since text not null,               -- when it came to be in that state with that fingerprint
  seen_at text not null,
  primary key (source_name, item)
);

create table collection_delivery (
  source_name text not null,
  delivery_id bigint not null,
  landed_at text not null,
  primary key (source_name, delivery_id)
);

-- One crawl of an API; it ends with its delivery.
create table collection_run (
  source_name text primary key,
  run_id text not null,
  began_at text not null
);

create table collection_request (
  source_name text not null,
  request_no bigint not null,        -- in the order of asking
  request_key text not null,         -- what is asked for: twice the same is asked once
  kind text not null,
  request text not null,             -- JSON: method, URL, headers and body, without secrets
  context text not null,             -- JSON: what its rows are about
  state text not null,               -- waiting | done
  attempts bigint not null,
  not_before text,
  content_hash text,                 -- of the answer, to know a repeated page
  file text,                         -- the answer's, in the run's folder
  conditions text,                   -- JSON: by what the next crawl asks for the answer only if it changed; null if it asks anew
  primary key (source_name, request_no)
);
create unique index collection_request_by_key on collection_request (source_name, request_key);

-- Answers of the last crawl of an API that ended, for the next one. Their bodies are files.
create table collection_answer (
  source_name text not null,
  request_key text not null,
  request_no bigint not null,        -- in that crawl: it names the file
  conditions text not null,
  primary key (source_name, request_key)
);

-- Calls that an account may still make, in millionths.
create table collection_allowance (
  account text primary key,
  millionths bigint not null,
  counted_at text not null
);

-- What was told to those who asked for it.
create table alert (
  owner_node_id text not null,
  alert_no bigint not null,          -- from 1 for each owner
  rule text not null,                -- the view that shows it
  dedup_key text not null,           -- what it is about: told once
  severity text not null,            -- warning | critical
  summary text not null,
  facts text not null,               -- JSON
  raised_at text not null,           -- when it came to have its severity
  seen_at text not null,             -- when a look last found it
  primary key (owner_node_id, alert_no)
);
create unique index alert_by_key on alert (owner_node_id, rule, dedup_key);

create table alert_delivery (
  owner_node_id text not null,
  target_id text not null,
  alert_no bigint not null,
  severity text not null,            -- told again when it becomes critical
  state text not null,               -- waiting | sent | failed
  attempts bigint not null,
  not_before text not null,          -- of what waits; otherwise when it was settled
  last_error text,
  delivery_key text,                 -- what the receiver knows it and those that went with it by; null before the first attempt
  primary key (owner_node_id, target_id, alert_no, severity)
);

create table alert_look (
  owner_node_id text primary key,
  snapshot_id bigint not null,
  day text not null,
  looked_at text not null
);
