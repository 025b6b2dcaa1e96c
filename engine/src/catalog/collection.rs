//! What collection remembers: what it has seen of each source, and what it still has to ask an API.
//!
//! None of it is of a snapshot: a poll that finds nothing new changes nothing of the warehouse.

use super::tx::{Row, Tx, Value};
use super::{Catalog, CatalogError};

/// How the collection of a source stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceState {
    /// When it was last looked at.
    pub attempted_at: Option<String>,
    /// When it was last looked at without an error.
    pub succeeded_at: Option<String>,
    /// When to look again.
    pub due_at: Option<String>,
    /// Attempts in a row that failed.
    pub failures: i64,
    /// What went wrong last; null once it went well again.
    pub last_error: Option<String>,
}

/// A collection of a source and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionRun {
    /// When it began.
    pub began_at: String,
    /// When it ended.
    pub ended_at: String,
    /// `done`, `refused`, `paused` or `failed`.
    pub outcome: String,
    /// Why it was not done.
    pub detail: Option<String>,
}

/// What is known of one file, group of parts or manifest of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedItem {
    /// Its path or URL.
    pub item: String,
    /// Changes whenever the content does.
    pub fingerprint: String,
    /// `landed`, `waiting` or `refused`.
    pub state: String,
    /// Why it waits or was refused.
    pub detail: Option<String>,
    /// When it came to be in that state with that fingerprint.
    pub since: String,
    /// When it was last seen.
    pub seen_at: String,
}

/// A slice that a source has delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedSlice {
    /// The provider.
    pub provider_name: String,
    /// Its billing account.
    pub billing_account_id: String,
    /// The period.
    pub billing_period: String,
    /// When the newest delivery landed.
    pub landed_at: String,
}

/// One request of a crawl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedRequest {
    /// Its place in the crawl; 0 before it is queued.
    pub request_no: i64,
    /// What is asked for: the same key is queued once.
    pub key: String,
    /// What kind of request it is, for the crawl that made it.
    pub kind: String,
    /// The request, JSON.
    pub request: String,
    /// What its rows are about, JSON.
    pub context: String,
    /// Whether it was answered.
    pub is_done: bool,
    /// How often it was tried in vain.
    pub attempts: i64,
    /// When it may be tried again.
    pub not_before: Option<String>,
    /// Digest of the answer.
    pub content_hash: Option<String>,
    /// The answer's file, if it is kept.
    pub file: Option<String>,
    /// By what the next crawl asks for the answer only if it changed, JSON.
    pub conditions: Option<String>,
}

/// The calls that an account may still make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Calls, in millionths.
    pub millionths: i64,
    /// When that was so.
    pub counted_at: String,
}

impl Catalog {
    /// Runs `work` as one transaction that makes no snapshot: for what collection and alerts remember, and nothing else.
    pub fn remember<T, E: From<CatalogError>>(&self, work: impl FnOnce(&dyn Tx) -> Result<T, E>) -> Result<T, E> {
        self.database.write(work)
    }
}

fn owned(row: &Row, at: usize) -> Result<Option<String>, CatalogError> {
    Ok(row.opt_text(at)?.map(str::to_owned))
}

impl SourceState {
    /// The state of a source; one that was never looked at has the default.
    pub fn of(tx: &dyn Tx, source: &str) -> Result<Self, CatalogError> {
        let sql = "select attempted_at, succeeded_at, due_at, failures, last_error from collection_source where source_name = ?1";
        let Some(row) = tx.row(sql, &[source.into()])? else { return Ok(Self::default()) };
        Ok(Self {
            attempted_at: owned(&row, 0)?,
            succeeded_at: owned(&row, 1)?,
            due_at: owned(&row, 2)?,
            failures: row.int(3)?,
            last_error: owned(&row, 4)?,
        })
    }

    /// Writes it down.
    pub fn keep(&self, tx: &dyn Tx, source: &str) -> Result<(), CatalogError> {
        tx.execute("delete from collection_source where source_name = ?1", &[source.into()])?;
        let values: [Value; 6] = [
            source.into(),
            self.attempted_at.clone().into(),
            self.succeeded_at.clone().into(),
            self.due_at.clone().into(),
            self.failures.into(),
            self.last_error.clone().into(),
        ];
        tx.execute("insert into collection_source values (?1, ?2, ?3, ?4, ?5, ?6)", &values)?;
        Ok(())
    }
}

impl CollectionRun {
    /// Writes it down, and forgets those of all sources that began before an instant.
    pub fn keep(&self, tx: &dyn Tx, source: &str, forget_before: &str) -> Result<(), CatalogError> {
        tx.execute("delete from collection_log where began_at < ?1", &[forget_before.into()])?;
        let values: [Value; 5] = [
            source.into(),
            self.began_at.as_str().into(),
            self.ended_at.as_str().into(),
            self.outcome.as_str().into(),
            self.detail.clone().into(),
        ];
        tx.execute("insert into collection_log values (?1, ?2, ?3, ?4, ?5)", &values).map(drop)
    }
}

impl CollectedItem {
    /// The items of a source that are in a state, by name.
    pub fn in_state(tx: &dyn Tx, source: &str, state: &str) -> Result<Vec<Self>, CatalogError> {
        let sql = "select item, fingerprint, state, detail, since, seen_at from collection_item where source_name = ?1 and state = ?2 order by item";
        tx.rows(sql, &[source.into(), state.into()])?.iter().map(item).collect()
    }

    /// One item.
    pub fn named(tx: &dyn Tx, source: &str, name: &str) -> Result<Option<Self>, CatalogError> {
        let sql = "select item, fingerprint, state, detail, since, seen_at from collection_item where source_name = ?1 and item = ?2";
        tx.row(sql, &[source.into(), name.into()])?.as_ref().map(item).transpose()
    }

    /// Writes it down; while state and fingerprint stay, so does `since`.
    pub fn keep(&self, tx: &dyn Tx, source: &str) -> Result<(), CatalogError> {
        let known = Self::named(tx, source, &self.item)?;
        let since = known
            .filter(|known| known.state == self.state && known.fingerprint == self.fingerprint)
            .map_or_else(|| self.since.clone(), |known| known.since);
        tx.execute(
            "delete from collection_item where source_name = ?1 and item = ?2",
            &[source.into(), self.item.as_str().into()],
        )?;
        let values: [Value; 7] = [
            source.into(),
            self.item.as_str().into(),
            self.fingerprint.as_str().into(),
            self.state.as_str().into(),
            self.detail.clone().into(),
            since.into(),
            self.seen_at.as_str().into(),
        ];
        tx.execute("insert into collection_item values (?1, ?2, ?3, ?4, ?5, ?6, ?7)", &values)?;
        Ok(())
    }

    /// Forgets items that were not seen since an instant and never landed: they are not there any more.
    pub fn forget_unseen(tx: &dyn Tx, source: &str, since: &str) -> Result<(), CatalogError> {
        tx.execute(
            "delete from collection_item where source_name = ?1 and seen_at < ?2 and state <> 'landed'",
            &[source.into(), since.into()],
        )?;
        Ok(())
    }
}

fn item(row: &Row) -> Result<CollectedItem, CatalogError> {
    Ok(CollectedItem {
        item: row.text(0)?.to_owned(),
        fingerprint: row.text(1)?.to_owned(),
        state: row.text(2)?.to_owned(),
        detail: owned(row, 3)?,
        since: row.text(4)?.to_owned(),
        seen_at: row.text(5)?.to_owned(),
    })
}

impl CollectedSlice {
    /// Notes that a delivery came from a source.
    pub fn note(tx: &dyn Tx, source: &str, delivery_id: i64, at: &str) -> Result<(), CatalogError> {
        let values = [source.into(), delivery_id.into(), at.into()];
        let sql =
            "insert into collection_delivery values (?1, ?2, ?3) on conflict (source_name, delivery_id) do nothing";
        tx.execute(sql, &values).map(drop)
    }

    /// The slices that a source has delivered, by account and period.
    pub fn of(tx: &dyn Tx, source: &str) -> Result<Vec<Self>, CatalogError> {
        let sql = "select s.provider_name, s.billing_account_id, s.billing_period, max(c.landed_at) from collection_delivery c \
             join delivery_slice d on d.delivery_id = c.delivery_id join slice s on s.slice_id = d.slice_id \
             where c.source_name = ?1 group by 1, 2, 3 order by 1, 2, 3";
        let slice = |row: &Row| {
            Ok(Self {
                provider_name: row.text(0)?.to_owned(),
                billing_account_id: row.text(1)?.to_owned(),
                billing_period: row.text(2)?.to_owned(),
                landed_at: row.text(3)?.to_owned(),
            })
        };
        tx.rows(sql, &[source.into()])?.iter().map(slice).collect()
    }

    /// Whether an account belongs to somebody at some time between two instants, or nobody has said whose it is at all.
    pub fn is_expected(&self, tx: &dyn Tx, from: &str, to: &str) -> Result<bool, CatalogError> {
        let sql = "select count(*), coalesce(sum(case when valid_from < ?4 and (valid_to is null or valid_to > ?3) then 1 else 0 end), 0) \
             from ref_accounts where end_snapshot is null and provider_name = ?1 and billing_account_id = ?2";
        let account =
            [self.provider_name.as_str().into(), self.billing_account_id.as_str().into(), from.into(), to.into()];
        let Some(row) = tx.row(sql, &account)? else { return Ok(true) };
        Ok(row.int(0)? == 0 || row.int(1)? > 0)
    }

    /// When a delivery of the source last landed.
    pub fn newest(tx: &dyn Tx, source: &str) -> Result<Option<String>, CatalogError> {
        let sql = "select max(landed_at) from collection_delivery where source_name = ?1";
        tx.row(sql, &[source.into()])?.map_or(Ok(None), |row| owned(&row, 0))
    }
}

const REQUEST: &str =
    "request_no, request_key, kind, request, context, state, attempts, not_before, content_hash, file, conditions";

fn request(row: &Row) -> Result<QueuedRequest, CatalogError> {
    Ok(QueuedRequest {
        request_no: row.int(0)?,
        key: row.text(1)?.to_owned(),
        kind: row.text(2)?.to_owned(),
        request: row.text(3)?.to_owned(),
        context: row.text(4)?.to_owned(),
        is_done: row.text(5)? == "done",
        attempts: row.int(6)?,
        not_before: owned(row, 7)?,
        content_hash: owned(row, 8)?,
        file: owned(row, 9)?,
        conditions: owned(row, 10)?,
    })
}

impl QueuedRequest {
    /// The crawl of a source that has begun and not ended: its id and when it began.
    pub fn run(tx: &dyn Tx, source: &str) -> Result<Option<(String, String)>, CatalogError> {
        let row = tx.row("select run_id, began_at from collection_run where source_name = ?1", &[source.into()])?;
        row.map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))).transpose()
    }

    /// Begins a crawl.
    pub fn begin(tx: &dyn Tx, source: &str, run_id: &str, at: &str) -> Result<(), CatalogError> {
        tx.execute("insert into collection_run values (?1, ?2, ?3)", &[source.into(), run_id.into(), at.into()])
            .map(drop)
    }

    /// Ends the crawl of a source and forgets its requests.
    pub fn end(tx: &dyn Tx, source: &str) -> Result<(), CatalogError> {
        tx.execute("delete from collection_run where source_name = ?1", &[source.into()])?;
        tx.execute("delete from collection_request where source_name = ?1", &[source.into()]).map(drop)
    }

    /// Queues the request, unless one of that key is there.
    pub fn queue(&self, tx: &dyn Tx, source: &str) -> Result<bool, CatalogError> {
        let values: [Value; 6] = [
            source.into(),
            self.key.as_str().into(),
            self.kind.as_str().into(),
            self.request.as_str().into(),
            self.context.as_str().into(),
            self.not_before.clone().into(),
        ];
        let sql = "insert into collection_request select ?1, coalesce(max(request_no), 0) + 1, ?2, ?3, ?4, ?5, 'waiting', 0, ?6, null, null, null \
             from collection_request where source_name = ?1 on conflict (source_name, request_key) do nothing";
        Ok(tx.execute(sql, &values)? == 1)
    }

    /// All requests of a source's crawl in their order.
    pub fn all(tx: &dyn Tx, source: &str) -> Result<Vec<Self>, CatalogError> {
        let sql = format!("select {REQUEST} from collection_request where source_name = ?1 order by request_no");
        tx.rows(&sql, &[source.into()])?.iter().map(request).collect()
    }

    /// How many requests a crawl has.
    pub fn count(tx: &dyn Tx, source: &str) -> Result<i64, CatalogError> {
        let row = tx.row("select count(*) from collection_request where source_name = ?1", &[source.into()])?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// The first request that waits for an answer.
    pub fn next(tx: &dyn Tx, source: &str) -> Result<Option<Self>, CatalogError> {
        let sql = format!(
            "select {REQUEST} from collection_request where source_name = ?1 and state = 'waiting' order by request_no limit 1"
        );
        tx.row(&sql, &[source.into()])?.as_ref().map(request).transpose()
    }

    /// Whether an answered request of the same kind and context had the same answer.
    pub fn is_repeated(&self, tx: &dyn Tx, source: &str, content_hash: &str) -> Result<bool, CatalogError> {
        let sql = "select 1 from collection_request where source_name = ?1 and kind = ?2 and context = ?3 and content_hash = ?4 and request_no <> ?5 limit 1";
        let values: [Value; 5] = [
            source.into(),
            self.kind.as_str().into(),
            self.context.as_str().into(),
            content_hash.into(),
            self.request_no.into(),
        ];
        Ok(tx.row(sql, &values)?.is_some())
    }

    /// Writes down what became of it.
    pub fn keep(&self, tx: &dyn Tx, source: &str) -> Result<(), CatalogError> {
        let values: [Value; 8] = [
            source.into(),
            self.request_no.into(),
            if self.is_done { "done" } else { "waiting" }.into(),
            self.attempts.into(),
            self.not_before.clone().into(),
            self.content_hash.clone().into(),
            self.file.clone().into(),
            self.conditions.clone().into(),
        ];
        tx.execute(
            "update collection_request set state = ?3, attempts = ?4, not_before = ?5, content_hash = ?6, file = ?7, conditions = ?8 \
             where source_name = ?1 and request_no = ?2",
            &values,
        )
        .map(drop)
    }
}

impl Allowance {
    /// What an account may still do, if it was ever counted.
    pub fn of(tx: &dyn Tx, account: &str) -> Result<Option<Self>, CatalogError> {
        let sql = "select millionths, counted_at from collection_allowance where account = ?1";
        let row = tx.row(sql, &[account.into()])?;
        row.map(|row| Ok(Self { millionths: row.int(0)?, counted_at: row.text(1)?.to_owned() })).transpose()
    }

    /// Writes it down.
    pub fn keep(&self, tx: &dyn Tx, account: &str) -> Result<(), CatalogError> {
        let values = [account.into(), self.millionths.into(), self.counted_at.as_str().into()];
        let sql = "insert into collection_allowance values (?1, ?2, ?3) \
             on conflict (account) do update set millionths = excluded.millionths, counted_at = excluded.counted_at";
        tx.execute(sql, &values).map(drop)
    }
}
