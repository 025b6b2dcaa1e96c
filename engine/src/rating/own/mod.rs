//! What sellers bill by themselves: seats, hours worked, flat fees, minimums, missed commitments, the credits that they grant,
//! differences of earlier invoices, and what policies of reservations and savings plans move between nodes.
//!
//! No provider sends these. They are made of reference rows, a month of the seller's at a time, and lie in slices of their own
//! (source `ratehouse`, the seller for an account). A row begins at its seller's edge: above it does not exist, and further down
//! it is priced like any charge.

mod batch;
mod commitments;
mod credits;
mod fees;
mod floors;
mod labour;
mod licences;
mod month;
mod rate;
mod true_ups;

use hashbrown::HashMap;

pub use commitments::CommitmentMove;
pub use credits::{CreditFlow, DRAWN_COLUMNS, Drawn, EdgeCredits, draws_in};
pub use floors::{DaysCounted, Floor};
pub(crate) use month::Month;
pub use rate::rate_own;

use super::book::RateBook;
use super::facts::{ContractRow, LicenceRow, RefFacts, TimeEntryRow, TrueUpRow};
use super::outcome::Origin;
use super::span::{DAY_US, Span};
use super::tree::{NodeIndex, Tree};

/// The source of slices that no provider sends, and the provider of their rows.
pub const OWN_SOURCE: &str = "ratehouse";

/// A row that a seller bills by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRow {
    /// What it is.
    pub(crate) origin: Origin,
    /// Who bills it.
    pub(crate) seller: NodeIndex,
    /// Who has it: a node below the seller.
    pub(crate) node: NodeIndex,
    /// Tells it from the seller's other rows of the month and origin.
    pub(crate) name: String,
    /// When it was used.
    pub(crate) span: Span,
    /// When its path is that of the node.
    pub(crate) at: i64,
    /// FOCUS charge category.
    pub(crate) category: &'static str,
    /// What it is called.
    pub(crate) service_name: Option<String>,
    /// Its SKU.
    pub(crate) sku_id: Option<String>,
    /// What the buyer reads.
    pub(crate) description: String,
    /// A JSON object.
    pub(crate) tags: Option<String>,
    /// Scale 18.
    pub(crate) quantity: Option<i128>,
    /// Of the quantity.
    pub(crate) unit: Option<&'static str>,
    /// What the seller's child on the way to the node pays, scale 18.
    pub(crate) amount: i128,
    /// Of the amount.
    pub(crate) currency: String,
    /// The rule that says so, `card/version/rule`.
    pub(crate) rule: Option<String>,
}

/// Reference rows that sellers bill by, by seller.
#[derive(Debug, Default)]
pub(crate) struct OwnTerms {
    /// Each ends where the licence's next row begins.
    licences: HashMap<NodeIndex, Vec<LicenceRow>>,
    time_entries: HashMap<NodeIndex, Vec<TimeEntryRow>>,
    contracts: HashMap<NodeIndex, Vec<ContractRow>>,
    /// By the node that passes on.
    credits: HashMap<NodeIndex, Vec<CreditFlow>>,
    true_ups: HashMap<NodeIndex, Vec<TrueUpRow>>,
}

impl OwnTerms {
    pub(crate) fn compile(facts: &RefFacts, tree: &Tree) -> Self {
        let mut terms = Self { credits: credits::compile(facts, tree), ..Self::default() };
        let mut licences = facts.licences.clone();
        licences.sort_by(|a, b| {
            (&a.seller_node_id, &a.licence_id, a.valid.from).cmp(&(&b.seller_node_id, &b.licence_id, b.valid.from))
        });
        for at in 1..licences.len() {
            let next = (licences[at].seller_node_id.clone(), licences[at].licence_id.clone(), licences[at].valid.from);
            let row = &mut licences[at - 1];
            if (&row.seller_node_id, &row.licence_id) == (&next.0, &next.1) {
                row.valid.until = row.valid.until.min(next.2);
            }
        }
        for row in licences {
            if let Some(seller) = tree.node(&row.seller_node_id) {
                let valid = by_days_of(tree, seller, row.valid);
                terms.licences.entry(seller).or_default().push(LicenceRow { valid, ..row });
            }
        }
        for row in facts.time_entries.iter().filter(|row| row.billable) {
            if let Some(seller) = tree.node(&row.seller_node_id) {
                terms.time_entries.entry(seller).or_default().push(row.clone());
            }
        }
        for row in facts.contracts.iter().filter(|row| row.commit_amount.is_some()) {
            if let Some(seller) = tree.node(&row.seller_node_id) {
                let valid = by_days_of(tree, seller, row.valid);
                terms.contracts.entry(seller).or_default().push(ContractRow { valid, ..row.clone() });
            }
        }
        for row in &facts.true_ups {
            if let Some(seller) = tree.node(&row.seller_node_id) {
                terms.true_ups.entry(seller).or_default().push(row.clone());
            }
        }
        terms
    }
}

/// A span whose ends were written as dates: they are days of the seller.
fn by_days_of(tree: &Tree, seller: NodeIndex, span: Span) -> Span {
    let edge = |at: i64| {
        let row = tree.stretch(seller, at).0.and_then(|stretch| stretch.rows.last());
        row.map_or(at, |row| Month::edge(at, tree.row(*row).time_zone))
    };
    Span { from: edge(span.from), until: edge(span.until) }
}

impl RateBook {
    /// The sellers that may bill something by themselves in a billing period (days since 1970 of its first day), those nearer the
    /// root first: what they bill counts for those below.
    pub fn own_sellers(&self, period: i32) -> Vec<NodeIndex> {
        let around = Month::around(period);
        let own = &self.own;
        let licences = own.licences.iter().filter(|(_, rows)| rows.iter().any(|row| row.valid.overlaps(around)));
        let entries = own.time_entries.iter().filter(|(_, rows)| rows.iter().any(|row| around.contains(row.worked_at)));
        let contracts = own.contracts.iter().filter(|(_, rows)| rows.iter().any(|row| row.valid.overlaps(around)));
        let mut sellers: Vec<NodeIndex> = licences.map(|(seller, _)| *seller).collect();
        sellers.extend(entries.map(|(seller, _)| *seller));
        sellers.extend(contracts.map(|(seller, _)| *seller));
        sellers.extend(own.credits.keys().filter(|seller| self.grants(**seller, around)));
        let true_ups = own.true_ups.iter().filter(|(_, rows)| rows.iter().any(|row| row.billed_with == period));
        sellers.extend(true_ups.map(|(seller, _)| *seller));
        sellers.extend(self.cards.with_own_rules(around));
        sellers.extend(self.commitments.overlap(around).then(|| self.tree.root()));
        let depth = |seller: &NodeIndex| self.tree.path(*seller, around.from).map_or(usize::MAX, |path| path.len());
        sellers.sort_by_key(|seller| (depth(seller), *seller));
        sellers.dedup();
        sellers
    }

    /// Whether a credit can be drawn on an edge of a seller in a time.
    fn grants(&self, seller: NodeIndex, around: Span) -> bool {
        let mut flows = self.own.credits.get(&seller).into_iter().flatten();
        flows.any(|flow| flow.passed != 0 && flow.valid.overlaps(around))
    }

    /// What a seller bills by itself in a billing period, without what depends on other charges.
    pub fn own_rows(&self, seller: NodeIndex, period: i32) -> Vec<OwnRow> {
        let Some(month) = Month::of(&self.tree, seller, period) else { return Vec::new() };
        let mut rows = licences::rows(self, seller, &month);
        rows.extend(labour::rows(self, seller, &month));
        rows.extend(fees::rows(self, seller, &month));
        rows.extend(true_ups::rows(self, seller, &month));
        rows
    }

    /// What a seller's buyers must be charged at least by the end of a billing period.
    pub fn own_floors(&self, seller: NodeIndex, period: i32) -> Vec<Floor> {
        let Some(month) = Month::of(&self.tree, seller, period) else { return Vec::new() };
        floors::floors(self, seller, &month)
    }

    /// Whether what a seller bills by itself in a period may depend on charges of another period: those of its buyers, or those that
    /// another seller bills by itself.
    pub fn own_depends_on(&self, (seller, period): (&str, i32), (above, changed): (Option<&str>, i32)) -> bool {
        let Some(seller) = self.tree.node(seller) else { return false };
        let around = Month::around(period);
        let has_minimums = || changed == period && self.cards.with_own_rules(around).any(|other| other == seller);
        let contracts = || self.own.contracts.get(&seller).into_iter().flatten();
        let has_commitments = || changed <= period && contracts().any(|row| row.valid.overlaps(around));
        // Charges of an earlier period change what is left of a credit by what was drawn then only.
        let has_credits = || self.grants(seller, around);
        // Earlier lines say who owns a commitment.
        let moves_commitments = seller == self.tree.root() && changed <= period && self.commitments.overlap(around);
        match above.and_then(|above| self.tree.node(above)) {
            // What it bills by itself counts for its own commitments of later months, what it draws of credits for what is left of them.
            Some(above) if above == seller => changed < period && (has_commitments() || has_credits()),
            Some(above) if !self.tree.was_below(seller, above) => false,
            None if moves_commitments => true,
            Some(_) | None => has_minimums() || has_commitments() || changed == period && has_credits(),
        }
    }
}

/// A time in which a node stands below a seller.
#[derive(Debug, Clone, Copy)]
struct Stay {
    /// As it is.
    real: Span,
    /// By the seller's days, as the ends of terms are read.
    days: Span,
}

/// The times in which a node stands below a seller, around a span.
fn stays_below(tree: &Tree, node: NodeIndex, seller: NodeIndex, (around, month): (Span, &Month)) -> Vec<Stay> {
    stays(tree, node, (around, month), |path| path.iter().any(|above| *above == seller && *above != node))
}

/// The times in which a node stands right below a seller, around a span.
fn stays_of_edge(tree: &Tree, node: NodeIndex, seller: NodeIndex, (around, month): (Span, &Month)) -> Vec<Stay> {
    stays(tree, node, (around, month), |path| path.ends_with(&[seller, node]))
}

fn stays(
    tree: &Tree,
    node: NodeIndex,
    (around, month): (Span, &Month),
    is_there: impl Fn(&[NodeIndex]) -> bool,
) -> Vec<Stay> {
    let within = Span { from: around.from.saturating_sub(DAY_US), until: around.until.saturating_add(DAY_US) };
    let mut times: Vec<Span> = Vec::new();
    let mut at = within.from;
    while at < within.until {
        let (stretch, holds) = tree.stretch(node, at);
        let rows = stretch.into_iter().flat_map(|stretch| stretch.rows.iter());
        let is_there = is_there(&rows.map(|row| tree.node_of_row(*row)).collect::<Vec<_>>());
        let until = holds.until.min(within.until);
        match times.last_mut() {
            Some(last) if is_there && last.until == at => last.until = until,
            _ if is_there => times.push(Span { from: at, until }),
            _ => {}
        }
        at = until;
    }
    times.into_iter().map(|real| Stay { real, days: month.edges(real) }).collect()
}
