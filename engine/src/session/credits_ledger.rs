//! `credits_ledger`: what became of credits, in double entry.
//!
//! It is kept nowhere: what nodes do with credits follows from reference rows, what was drawn are charges of origin `credit`, and what
//! is left when a credit expires is breakage. Each node sees its own books and those below it, and of the edge on which it buys what
//! arrives there; of what is above that there is no row. What happens belongs to the nodes that stand above it at that time: a node
//! that moves takes along what is drawn later.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::moment::{Moment, Shared};
use crate::error::Error;
use crate::lake::schema::{MONEY_PRECISION, MONEY_SCALE, instant, money};
use crate::period::BillingPeriod;
use crate::rating::{CreditFlow, Drawn, RateBook};
use crate::security::policy::{MoneyColumns, money_columns};
use crate::security::relations::{PG_SCALE, commented};
use crate::security::scan::{ScopedSource, ScopedTable};

/// The relation.
pub(super) fn table(shared: Arc<Shared>) -> Arc<dyn TableProvider> {
    Arc::new(ScopedTable::new("credits_ledger", schema(), Arc::new(Ledger { shared })))
}

fn schema() -> SchemaRef {
    let text = |name: &str, comment: &str| commented(name, DataType::Utf8View, comment);
    let amount = |name: &str, comment: &str| -> Field {
        let field = commented(name, money(), comment);
        let mut metadata = field.metadata().clone();
        metadata.insert(PG_SCALE.to_owned(), "trim:2".to_owned());
        field.with_metadata(metadata)
    };
    Arc::new(Schema::new(vec![
        text("entry_id", "The entry; its rows add up to zero."),
        commented("at", instant(), "When: the credit begins, the billing period ends, the credit expires."),
        text(
            "entry",
            "split (a node keeps a part and passes the rest on), grant (what is passed arrives on an edge), application (it is drawn on the buyer's charges) or breakage (it expires).",
        ),
        text("credit_id", "The credit."),
        text("kind", "promotional, service_level or incentive."),
        text("source", "The programme or contract that it comes from."),
        text("seller_node_id", "Whose books: the node that passes on."),
        text("buyer_node_id", "Whose charges it is drawn on; null for what the node keeps and passes on in all."),
        text("account", "received, retained, granted, balance, applied or breakage."),
        amount("amount", "What is added to the account, in currency."),
        text("currency", "Currency of amount."),
        commented("billing_period", DataType::Date32, "First day of the billing period that it is drawn in."),
        commented("expires_at", instant(), "When what is left is lost; null: never."),
    ]))
}

#[derive(Debug)]
struct Ledger {
    shared: Arc<Shared>,
}

/// A row.
struct Posting {
    entry_id: String,
    at: i64,
    entry: &'static str,
    account: &'static str,
    amount: i128,
    buyer: Option<String>,
    period: Option<i32>,
    of: Arc<Subject>,
}

/// What postings are about.
struct Subject {
    credit_id: String,
    kind: Option<String>,
    source: String,
    currency: String,
    seller: String,
    expires_at: Option<i64>,
}

/// On which edge a credit is drawn.
#[derive(PartialEq, Eq, Hash)]
struct Edge {
    credit_id: String,
    seller: String,
    buyer: String,
    currency: String,
}

impl Edge {
    fn of(drawn: &Drawn) -> Self {
        let (seller, buyer) = drawn.edge().unwrap_or_default();
        Self {
            credit_id: drawn.credit_id.clone(),
            seller: seller.to_owned(),
            buyer: buyer.to_owned(),
            currency: drawn.currency.clone(),
        }
    }
}

/// Who looks.
struct Reader<'a> {
    moment: &'a Moment,
    /// A session of the warehouse itself.
    is_all: bool,
    sees_sales: bool,
}

impl Reader<'_> {
    /// Whether the books of the node at a position of a path are the reader's to see.
    fn sees_books(&self, path: &[&str], at: usize) -> bool {
        let own = self.moment.scope.node_id.as_str();
        let stands_above = path.iter().take(at + 1).any(|node| *node == own);
        let is_shown = |seller: &&str| *seller == own || self.moment.tree.discloses(seller);
        self.is_all || self.sees_sales && stands_above && path.get(at).is_some_and(is_shown)
    }

    /// Whether the edge on which the node at a position sells is.
    fn sees_edge(&self, path: &[&str], at: usize) -> bool {
        path.get(at + 1).is_some_and(|buyer| *buyer == self.moment.scope.node_id) || self.sees_books(path, at)
    }
}

impl Ledger {
    async fn postings(&self, moment: &Moment) -> Result<Vec<Posting>, Error> {
        let core = &self.shared.core;
        let book = core.book(moment.snapshot)?;
        let own = moment.scope.node_id.as_str();
        let children = moment.scope.children();
        let is_near = |seller: &str| moment.tree.is_within(seller, own) || moment.tree.is_child_of(own, seller);
        let in_scope = |child: &str| children.as_ref().is_none_or(|children| children.contains(child));
        let wanted = |seller: &str, child: &str| in_scope(child) || is_near(seller);
        let drawn = core.credits_drawn(moment.snapshot, |file| wanted(&file.billing_account_id, &file.child));
        let mut drawn_of: HashMap<Edge, Vec<Drawn>> = HashMap::new();
        for one in drawn.await? {
            drawn_of.entry(Edge::of(&one)).or_default().push(one);
        }
        let reader = Reader {
            moment,
            is_all: self.shared.fixed.is_some(),
            sees_sales: money_columns(self.shared.principal.role) == MoneyColumns::CostPriceMargin,
        };
        let now = chrono::Utc::now().timestamp_micros();
        let mut postings = Vec::new();
        for flow in book.credit_flows() {
            let name = |node| book.tree().name(node).to_owned();
            let edge = Edge {
                credit_id: flow.credit_id.clone(),
                seller: name(flow.seller()),
                buyer: name(flow.buyer()),
                currency: flow.currency.clone(),
            };
            let own = drawn_of.remove(&edge).unwrap_or_default();
            postings.extend(of_flow(&book, flow, &own, (&reader, now))?);
        }
        // What issued documents show of a credit that does not flow there any more.
        for one in drawn_of.values().flatten() {
            let path: Vec<&str> = one.node_path.split('/').collect();
            let Some((seller, buyer)) = one.edge() else { continue };
            if reader.sees_edge(&path, path.len() - 2) {
                let subject = Subject {
                    credit_id: one.credit_id.clone(),
                    kind: None,
                    source: one.source.clone(),
                    currency: one.currency.clone(),
                    seller: seller.to_owned(),
                    expires_at: None,
                };
                postings.extend(application(&book, &Arc::new(subject), buyer, (one.period, one.amount))?);
            }
        }
        postings.sort_by(|a, b| {
            let key = |posting: &Posting| (posting.at, posting.entry_id.clone());
            a.of.credit_id.cmp(&b.of.credit_id).then_with(|| key(a).cmp(&key(b)))
        });
        Ok(postings)
    }
}

/// The postings of a node that a credit reaches, as far as the reader sees them.
fn of_flow(
    book: &RateBook,
    flow: &CreditFlow,
    drawn: &[Drawn],
    (reader, now): (&Reader<'_>, i64),
) -> Result<Vec<Posting>, Error> {
    let path: Vec<&str> = flow.path.iter().map(|node| book.tree().name(*node)).collect();
    let buyer = book.tree().name(flow.buyer());
    let expires_at = (flow.valid.until != i64::MAX).then_some(flow.valid.until);
    let of = Arc::new(Subject {
        credit_id: flow.credit_id.clone(),
        kind: Some(flow.kind.clone()),
        source: flow.source.clone(),
        currency: flow.currency.clone(),
        seller: book.tree().name(flow.seller()).to_owned(),
        expires_at,
    });
    let mut postings = Vec::new();
    if reader.sees_books(&path, flow.at) {
        let amounts = [("received", negated(flow.received)?), ("retained", flow.kept), ("granted", flow.passed)];
        postings.extend(entry(&of, ("split", flow.valid.from), None, None, &amounts));
    }
    if flow.passed != 0 && reader.sees_edge(&path, flow.at) {
        let amounts = [("granted", negated(flow.passed)?), ("balance", flow.passed)];
        postings.extend(entry(&of, ("grant", flow.valid.from), Some(buyer), None, &amounts));
    }
    let mut left = flow.passed;
    let mut months: BTreeMap<i32, i128> = BTreeMap::new();
    for one in drawn {
        left = left.checked_sub(one.amount).ok_or_else(too_large)?;
        let there: Vec<&str> = one.node_path.split('/').collect();
        if reader.sees_edge(&there, there.len() - 2) {
            let sum = months.entry(one.period).or_default();
            *sum = sum.checked_add(one.amount).ok_or_else(too_large)?;
        }
    }
    for (period, amount) in months {
        let applied = application(book, &of, buyer, (period, amount))?;
        postings.extend(
            applied
                .into_iter()
                .map(|posting| Posting { at: posting.at.min(flow.valid.until).max(flow.valid.from), ..posting }),
        );
    }
    let Some(expired) = expires_at.filter(|at| *at <= now && left != 0) else { return Ok(postings) };
    let edge = [flow.seller(), flow.buyer()];
    let last = book.tree().path(flow.buyer(), expired.saturating_sub(1)).filter(|path| path.ends_with(&edge));
    let last: Vec<&str> = last.iter().flatten().map(|node| book.tree().name(*node)).collect();
    // Where its edge is no more, it is as it was when it began.
    let (there, at) = if last.is_empty() { (&path, flow.at) } else { (&last, last.len() - 2) };
    if reader.sees_edge(there, at) {
        let amounts = [("balance", negated(left)?), ("breakage", left)];
        postings.extend(entry(&of, ("breakage", expired), Some(buyer), None, &amounts));
    }
    Ok(postings)
}

fn application(
    book: &RateBook,
    of: &Arc<Subject>,
    buyer: &str,
    (period, amount): (i32, i128),
) -> Result<Vec<Posting>, Error> {
    let seller = book.tree().node(&of.seller);
    let at = seller.and_then(|seller| book.period_end(seller, period)).unwrap_or_default();
    let amounts = [("balance", negated(amount)?), ("applied", amount)];
    Ok(entry(of, ("application", at), Some(buyer), Some(period), &amounts))
}

/// One entry; its amounts add up to zero, and accounts that nothing is added to have no row.
fn entry(
    of: &Arc<Subject>,
    (name, at): (&'static str, i64),
    buyer: Option<&str>,
    period: Option<i32>,
    amounts: &[(&'static str, i128)],
) -> Vec<Posting> {
    let mut entry_id = format!("{}/{}", of.credit_id, of.seller);
    for part in
        [buyer.map(str::to_owned), Some(name.to_owned()), period.and_then(BillingPeriod::of_day).map(|p| p.to_string())]
    {
        entry_id.extend(part.map(|part| format!("/{part}")));
    }
    let posting = |(account, amount): &(&'static str, i128)| Posting {
        entry_id: entry_id.clone(),
        at,
        entry: name,
        account,
        amount: *amount,
        buyer: buyer.map(str::to_owned),
        period,
        of: Arc::clone(of),
    };
    amounts.iter().filter(|(_, amount)| *amount != 0).map(posting).collect()
}

fn negated(amount: i128) -> Result<i128, Error> {
    amount.checked_neg().ok_or_else(too_large)
}

fn too_large() -> Error {
    crate::rating::RatingError::Sum { what: "what was drawn of a credit" }.into()
}

fn batch(postings: &[Posting]) -> Result<RecordBatch, Error> {
    let texts = |of: fn(&Posting) -> Option<&str>| -> ArrayRef {
        Arc::new(StringViewArray::from_iter(postings.iter().map(of)))
    };
    let instants = |of: fn(&Posting) -> Option<i64>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter(postings.iter().map(of)).with_timezone("UTC"))
    };
    let amounts: Decimal128Array = postings.iter().map(|posting| Some(posting.amount)).collect();
    let arrays: Vec<ArrayRef> = vec![
        texts(|posting| Some(&posting.entry_id)),
        instants(|posting| Some(posting.at)),
        texts(|posting| Some(posting.entry)),
        texts(|posting| Some(&posting.of.credit_id)),
        texts(|posting| posting.of.kind.as_deref()),
        texts(|posting| Some(&posting.of.source)),
        texts(|posting| Some(&posting.of.seller)),
        texts(|posting| posting.buyer.as_deref()),
        texts(|posting| Some(posting.account)),
        Arc::new(amounts.with_precision_and_scale(MONEY_PRECISION, MONEY_SCALE)?),
        texts(|posting| Some(&posting.of.currency)),
        Arc::new(Date32Array::from_iter(postings.iter().map(|posting| posting.period))),
        instants(|posting| posting.of.expires_at),
    ];
    Ok(RecordBatch::try_new(schema(), arrays)?)
}

#[async_trait]
impl ScopedSource for Ledger {
    fn partitions(&self, _threads: usize) -> usize {
        1
    }

    async fn plan(
        &self,
        projection: Option<&[usize]>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let moment = self.shared.moment();
        let shown = |error: Error| DataFusionError::External(Box::new(error.shown()));
        let postings = self.postings(&moment).await.map_err(shown)?;
        let batch = batch(&postings).map_err(shown)?;
        let schema = batch.schema();
        let plan = MemorySourceConfig::try_new_exec(&[vec![batch]], schema, projection.map(<[usize]>::to_vec))?;
        Ok((plan, self.shared.core.private.task_ctx()))
    }
}
