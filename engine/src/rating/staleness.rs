//! Which slices a change of reference data reaches.
//!
//! A commit to `ref.*` re-rates nothing: it marks the slices whose prices may now be others. What
//! counts is conservative (a slice too many is re-rated for nothing, one too few stays wrong) but
//! not everything: time, account, node or currency must meet.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{Months, NaiveDate};
use hashbrown::HashSet;

use super::error::RatingError;
use super::facts::{AttributionTarget, PoolMethod, RefFacts};
use super::fx::is_source_of;
use super::measured::uses_measurements;
use super::own::OWN_SOURCE;
use super::reading::{self, Cells};
use super::span::{DAY_US, Span};
use crate::catalog::{RefRow, RefTable, SliceKey};

/// A change of one reference row: made, ended, or replaced.
#[derive(Debug, Clone)]
pub struct RefChange {
    /// The table.
    pub table: &'static RefTable,
    /// The row before.
    pub old: Option<RefRow>,
    /// The row after.
    pub new: Option<RefRow>,
}

/// What is known of a rated slice.
#[derive(Debug, Clone)]
pub struct SliceFacts {
    /// Its number.
    pub slice_id: i64,
    /// Its name.
    pub key: SliceKey,
    /// The paths that own its portions, `dist/reseller-1/cust-3`.
    pub owners: Vec<String>,
}

/// Days before a billing period in which its rows may have been used: corrections come late.
const LATE_DAYS: i64 = 400;
/// Days after it: providers' days need not be UTC's.
const AFTER_DAYS: i64 = 1;
/// Days that a measurement is about at most; the rule at its beginning counts for all of it.
const WINDOW_DAYS_MAX: i64 = 31;

/// What a changed row reaches.
enum Reach<'a> {
    /// Slices with an owner at or below one of these nodes.
    Nodes(HashSet<Cow<'a, str>>, Span),
    /// Slices of these accounts: provider and, unless any will do, billing account.
    Accounts(Vec<(Cow<'a, str>, Option<Cow<'a, str>>)>, Span),
    /// The slices of what a seller bills by itself.
    Own(String, Span),
    /// Every slice that overlaps.
    All(Span),
}

/// The slices that changes reach, each with the first reason, in the order of the slices.
///
/// `facts` are the reference rows after the changes; they say which edge a card, version or rule
/// belongs to.
///
/// # Errors
/// When a changed row cannot be read.
pub fn affected(
    changes: &[RefChange],
    facts: &RefFacts,
    slices: &[SliceFacts],
) -> Result<Vec<(i64, String)>, RatingError> {
    let mut reaches = Vec::new();
    for change in changes {
        for (row, span) in spans(change)? {
            let cells = Cells { table: change.table, row };
            let reached = reach(&cells, span, facts)?;
            reaches.extend(reached.into_iter().map(|reach| (change.table.name, reach)));
        }
    }
    let mut found = Vec::new();
    for slice in slices {
        let window = window(&slice.key.billing_period);
        let hit = reaches.iter().find(|(_, reach)| is_reached(reach, slice, window, facts));
        if let Some((table, _)) = hit {
            found.push((slice.slice_id, format!("ref.{table} changed")));
        }
    }
    Ok(found)
}

/// The slices that measurements of a time reach: those of nodes whose pools are split by measurements.
pub fn affected_by_measurements(facts: &RefFacts, slices: &[SliceFacts], time: Span) -> Vec<(i64, String)> {
    let owners = facts.driver_rules.iter().map(|rule| rule.owner_node_id.as_str());
    let owners = owners.filter(|owner| uses_measurements(facts, owner)).map(Cow::Borrowed).collect();
    let reach = Reach::Nodes(owners, time);
    let reached = slices.iter().filter(|slice| is_reached(&reach, slice, window(&slice.key.billing_period), facts));
    reached.map(|slice| (slice.slice_id, "OpenCost measurements landed".to_owned())).collect()
}

/// The slices that metrics reach: those of nodes with pools by drivers of which metrics landed, each with the time of these.
pub fn affected_by_metrics(
    facts: &RefFacts,
    slices: &[SliceFacts],
    landed: &BTreeMap<[&str; 2], Span>,
) -> Vec<(i64, String)> {
    let by_usage = facts.pools.iter().filter(|pool| pool.method == PoolMethod::Usage);
    let drivers: HashSet<[&str; 2]> =
        by_usage.filter_map(|pool| Some([pool.owner_node_id.as_str(), pool.driver.as_deref()?])).collect();
    let used = landed.iter().filter(|(named, _)| drivers.contains(*named));
    let reaches: Vec<Reach<'_>> =
        used.map(|([owner, _], time)| Reach::Nodes(HashSet::from_iter([Cow::Borrowed(*owner)]), *time)).collect();
    let reached = slices.iter().filter(|slice| {
        let window = window(&slice.key.billing_period);
        reaches.iter().any(|reach| is_reached(reach, slice, window, facts))
    });
    reached.map(|slice| (slice.slice_id, "metrics landed".to_owned())).collect()
}

/// The rows of a change with the time in which each makes a difference.
///
/// A row of which only the validity changed makes a difference only where it did not hold before
/// or does not hold now: ending a version today leaves the past alone.
fn spans(change: &RefChange) -> Result<Vec<(&RefRow, Span)>, RatingError> {
    let table = change.table;
    let valid = |row| reading::valid(&Cells { table, row });
    // A node's, account's or licence's row ends where the next begins, so a new or missing row changes how
    // long the one before it holds.
    let opens = matches!(table.name, "nodes" | "accounts" | "licences");
    let open = |span: Span| if opens { Span { until: i64::MAX, ..span } } else { span };
    let (Some(old), Some(new)) = (&change.old, &change.new) else {
        let rows = change.old.iter().chain(&change.new);
        return rows.map(|row| Ok((row, open(valid(row)?)))).collect();
    };
    let (before, after) = (valid(old)?, valid(new)?);
    let edges = [table.position("valid_from"), table.position("valid_to")];
    let is_same =
        old.values.iter().zip(&new.values).enumerate().all(|(at, (was, is))| was == is || edges.contains(&Some(at)));
    if !is_same {
        return Ok(vec![(old, open(before)), (new, open(after))]);
    }
    let between = |a: i64, b: i64| Span { from: a.min(b), until: a.max(b) };
    let moved = [open(between(before.from, after.from)), between(before.until, after.until)];
    let is_moved = [before.from != after.from, before.until != after.until];
    Ok(moved.into_iter().zip(is_moved).filter(|(_, is)| *is).map(|(span, _)| (new, span)).collect())
}

/// The time in which rows of a billing period may have been used; all of time for a text that is no period.
fn window(period: &str) -> Span {
    let day = if period.len() == 7 { format!("{period}-01") } else { period.to_owned() };
    let Ok(first) = NaiveDate::parse_from_str(&day, "%Y-%m-%d") else { return Span::ALWAYS };
    let Some(next) = first.checked_add_months(Months::new(1)) else { return Span::ALWAYS };
    let day_us = |date: NaiveDate| date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros();
    Span { from: day_us(first) - LATE_DAYS * DAY_US, until: day_us(next) + AFTER_DAYS * DAY_US }
}

fn is_reached(reach: &Reach<'_>, slice: &SliceFacts, window: Span, facts: &RefFacts) -> bool {
    match reach {
        Reach::All(span) => span.overlaps(window),
        Reach::Own(seller, span) => {
            span.overlaps(window) && slice.key.source == OWN_SOURCE && slice.key.billing_account_id == *seller
        }
        Reach::Accounts(accounts, span) => {
            span.overlaps(window)
                && accounts.iter().any(|(provider, billing)| {
                    slice.key.provider_name == *provider
                        && billing.as_ref().is_none_or(|id| slice.key.billing_account_id == *id)
                })
        }
        Reach::Nodes(nodes, span) => {
            span.overlaps(window)
                && (slice.owners.iter().any(|path| path.split('/').any(|node| nodes.contains(node)))
                    || slice.key.source == OWN_SOURCE && sells_to(&slice.key.billing_account_id, nodes, facts))
        }
    }
}

/// Whether a seller is one of these nodes, sells to one, or bills one by itself.
fn sells_to(seller: &str, nodes: &HashSet<Cow<'_, str>>, facts: &RefFacts) -> bool {
    let is_child = |row: &super::facts::NodeRow| row.parent_id.as_deref() == Some(seller);
    let is_one = |whose: &str, node: &str| whose == seller && nodes.contains(node);
    let is_root = || facts.nodes.iter().any(|row| row.node_id == seller && row.parent_id.is_none());
    let owns = |owner: &Option<String>| owner.as_deref().is_some_and(|owner| nodes.contains(owner));
    nodes.contains(seller)
        || facts.nodes.iter().any(|row| is_child(row) && nodes.contains(row.node_id.as_str()))
        || facts.licences.iter().any(|row| is_one(&row.seller_node_id, &row.node_id))
        || facts.time_entries.iter().any(|row| is_one(&row.seller_node_id, &row.node_id))
        || facts.contracts.iter().any(|row| is_one(&row.seller_node_id, &row.buyer_node_id))
        || facts.commitment_policies.iter().any(|row| owns(&row.owner_node_id)) && is_root()
        // A credit for one of them may flow through the seller.
        || facts
            .credits
            .iter()
            .any(|row| row.is_active && nodes.contains(row.node_id.as_str()) && above(facts, &row.node_id).contains(seller))
}

/// The nodes that stood above a node at any time.
fn above<'a>(facts: &'a RefFacts, node: &str) -> HashSet<&'a str> {
    let mut found: HashSet<&str> = HashSet::new();
    loop {
        let known = found.len();
        let is_one = |row: &&super::facts::NodeRow| row.node_id == node || found.contains(row.node_id.as_str());
        let parents: Vec<&str> = facts.nodes.iter().filter(is_one).filter_map(|row| row.parent_id.as_deref()).collect();
        found.extend(parents);
        if found.len() == known {
            return found;
        }
    }
}

fn own<'a>(seller: String, span: Span) -> Vec<Reach<'a>> {
    vec![Reach::Own(seller, span)]
}

fn one<'a>(node: String, span: Span) -> Vec<Reach<'a>> {
    vec![Reach::Nodes(HashSet::from_iter([Cow::Owned(node)]), span)]
}

fn reach<'a>(cells: &Cells<'_>, span: Span, facts: &'a RefFacts) -> Result<Vec<Reach<'a>>, RatingError> {
    Ok(match cells.table.name {
        "nodes" => of_node(facts, reading::node(cells)?.node_id, span),
        "accounts" => {
            let account = reading::account(cells)?;
            let billing = Some(Cow::Owned(account.billing_account_id));
            vec![Reach::Accounts(vec![(Cow::Owned(account.provider_name), billing)], span)]
        }
        "attribution_rules" => {
            let rule = reading::attribution(cells)?;
            match rule.provider_name {
                Some(provider) => {
                    let billing = rule.billing_account_id.map(Cow::Owned);
                    vec![Reach::Accounts(vec![(Cow::Owned(provider), billing)], span)]
                }
                // The root's rules also see what nobody owns, which stands at the root.
                None => one(rule.owner_node_id, span),
            }
        }
        "virtual_tags" => one(reading::virtual_tag(cells)?.owner_node_id, span),
        "tag_policies" => one(reading::tag_policy(cells)?.owner_node_id, span),
        "pools" => one(reading::pool(cells)?.owner_node_id, span),
        "pool_shares" => one(reading::share(cells)?.owner_node_id, span),
        "drivers" => {
            let row = reading::driver(cells)?;
            let span = facts.metrics.reached_by(&row, span);
            one(row.owner_node_id, span)
        }
        "driver_rules" => {
            let until = span.until.saturating_add(WINDOW_DAYS_MAX * DAY_US);
            one(reading::driver_rule(cells)?.owner_node_id, Span { until, ..span })
        }
        "rate_cards" => {
            let card = reading::card(cells)?;
            one(card.buyer_node_id.unwrap_or(card.seller_node_id), Span::ALWAYS)
        }
        "rate_card_versions" => {
            let version = reading::version(cells)?;
            let own = version.is_active.then_some(span);
            of_version(facts, &version.card_id, version.version, own)
        }
        "rate_rules" => {
            let rule = reading::rule(cells)?;
            of_version(facts, &rule.card_id, rule.version, None)
        }
        "charge_policies" => {
            let policy = reading::policy(cells)?;
            one(policy.buyer_node_id.unwrap_or(policy.node_id), span)
        }
        "commitment_policies" => {
            let policy = reading::commitment(cells)?;
            let mut found = match (policy.buyer_node_id, policy.provider_name) {
                (Some(buyer), _) => one(buyer, span),
                (None, Some(provider)) => vec![Reach::Accounts(vec![(Cow::Owned(provider), None)], span)],
                (None, None) => vec![Reach::All(span)],
            };
            let root = facts.nodes.iter().find(|row| row.parent_id.is_none());
            found.extend(root.map(|root| Reach::Own(root.node_id.clone(), span)));
            found
        }
        "fx_rates" => of_rate(facts, &reading::fx_rate(cells)?),
        "licences" => own(reading::licence(cells)?.seller_node_id, span),
        "time_entries" => {
            let entry = reading::time_entry(cells)?;
            own(entry.seller_node_id, Span { from: entry.worked_at, until: entry.worked_at + 1 })
        }
        "contracts" => own(reading::contract(cells)?.seller_node_id, span),
        "credits" => {
            let credit = reading::credit(cells)?;
            // It is drawn on every edge on its way.
            let sellers = above(facts, &credit.node_id).into_iter().filter(|_| credit.is_active);
            sellers.flat_map(|seller| own(seller.to_owned(), span)).collect()
        }
        "credit_policies" => {
            // What a credit that began under it comes to on the edges further down lasts as long as the credit.
            let span = Span { until: i64::MAX, ..span };
            let sellers = below(facts, reading::credit_policy(cells)?.node_id);
            sellers.into_iter().flat_map(|seller| own(seller.into_owned(), span)).collect()
        }
        // No price depends on them.
        "adjustment_policies"
        | "approval_rules"
        | "sources"
        | "users"
        | "quotes"
        | "planned_changes"
        | "holidays"
        | "budgets"
        | "thresholds"
        | "margin_targets"
        | "alert_targets" => Vec::new(),
        _ => vec![Reach::All(Span::ALWAYS)],
    })
}

/// A node with what lies below it at any time.
fn below(facts: &RefFacts, node: String) -> HashSet<Cow<'_, str>> {
    let mut below: HashSet<Cow<'_, str>> = HashSet::from_iter([Cow::Owned(node)]);
    loop {
        let known = below.len();
        for row in &facts.nodes {
            if row.parent_id.as_deref().is_some_and(|parent| below.contains(parent)) {
                below.insert(Cow::Borrowed(&row.node_id));
            }
        }
        if below.len() == known {
            return below;
        }
    }
}

/// A node with what lies below it at any time, and the accounts of all of these: one that has just
/// come to be owns rows that were nobody's.
fn of_node(facts: &RefFacts, node: String, span: Span) -> Vec<Reach<'_>> {
    let below = below(facts, node);
    let accounts = facts
        .accounts
        .iter()
        .filter(|account| below.contains(account.node_id.as_str()))
        .map(|account| {
            let billing = Cow::Borrowed(account.billing_account_id.as_str());
            (Cow::Borrowed(account.provider_name.as_str()), Some(billing))
        })
        .collect();
    // Rules that hand rows to one of them belong to a node whose rows may now go elsewhere.
    let mut nodes = below.clone();
    for rule in &facts.attribution_rules {
        if matches!(&rule.target, AttributionTarget::Node(node) if below.contains(node.as_str())) {
            nodes.insert(Cow::Borrowed(&rule.owner_node_id));
        }
    }
    nodes.extend(owners_of_pools(facts, &below).map(Cow::Borrowed));
    vec![Reach::Nodes(nodes, span), Reach::Accounts(accounts, span)]
}

/// Owners of the pools in which some of these nodes may take part.
fn owners_of_pools<'a>(facts: &'a RefFacts, nodes: &HashSet<Cow<'_, str>>) -> impl Iterator<Item = &'a str> {
    let is_one = |node: &str| nodes.contains(node);
    let shares = facts.pool_shares.iter().filter(|row| is_one(&row.node_id)).map(|row| row.owner_node_id.as_str());
    let drivers = facts.drivers.iter().filter(|row| is_one(&row.node_id)).map(|row| row.owner_node_id.as_str());
    let landed = facts.metrics.owners_and_nodes().filter(|(_, node)| is_one(node)).map(|(owner, _)| owner);
    let ruled = facts.driver_rules.iter().filter(|row| is_one(&row.node_id)).map(|row| row.owner_node_id.as_str());
    let parents: HashSet<&str> =
        facts.nodes.iter().filter(|row| is_one(&row.node_id)).filter_map(|row| row.parent_id.as_deref()).collect();
    // Pools that are even may be split among all children.
    let even = facts.pools.iter().filter(|pool| pool.method == PoolMethod::Even);
    let even = even.map(|pool| pool.owner_node_id.as_str()).filter(|owner| parents.contains(owner));
    shares.chain(drivers).chain(landed).chain(ruled).chain(even).collect::<HashSet<_>>().into_iter()
}

/// Edges on which a version prices, and those of every version that inherits from it.
///
/// `own` is when the version's own row makes a difference; none for a change of its rules, which
/// counts whenever the version holds. Drafts price nothing.
fn of_version<'a>(facts: &'a RefFacts, card_id: &str, version: i64, own: Option<Span>) -> Vec<Reach<'a>> {
    let mut found = Vec::new();
    let mut wanted: Vec<(Cow<'a, str>, i64)> = vec![(Cow::Owned(card_id.to_owned()), version)];
    let mut at = 0;
    while let Some((card_id, version)) = wanted.get(at).cloned() {
        let is_own = at == 0;
        at += 1;
        let mut spans: Vec<Span> = if is_own { own.into_iter().collect() } else { Vec::new() };
        for row in &facts.rate_card_versions {
            let name = (row.card_id.as_str(), row.version);
            if name == (card_id.as_ref(), version) && row.is_active && (own.is_none() || !is_own) {
                spans.push(row.valid);
            }
            let base = row.base.as_ref().map(|(card, number)| (card.as_str(), *number));
            let heir = (Cow::Borrowed(row.card_id.as_str()), row.version);
            if base == Some((card_id.as_ref(), version)) && !wanted.contains(&heir) {
                wanted.push(heir);
            }
        }
        let card = facts.rate_cards.iter().find(|card| card.card_id == card_id);
        for span in spans {
            found.push(match card {
                None => Reach::All(span),
                Some(card) => {
                    let node = card.buyer_node_id.as_ref().unwrap_or(&card.seller_node_id);
                    Reach::Nodes(HashSet::from_iter([Cow::Borrowed(node.as_str())]), span)
                }
            });
        }
    }
    found
}

/// Nodes that convert by a rate's source into or out of its currencies, from the rate's first day
/// until the next rate's.
///
/// The billing currency of a slice is not known here, so a node whose own currency is one of the
/// pair counts whatever its seller's is.
fn of_rate<'a>(facts: &'a RefFacts, rate: &super::facts::FxRow) -> Vec<Reach<'a>> {
    let nodes: HashSet<Cow<'a, str>> = facts
        .nodes
        .iter()
        .filter(|node| is_source_of(&rate.source, &node.fx_policy, &node.node_id))
        .filter(|node| node.currency == rate.base_currency || node.currency == rate.quote_currency)
        .map(|node| Cow::Borrowed(node.node_id.as_str()))
        .collect();
    let next = facts
        .fx_rates
        .iter()
        .filter(|other| {
            (&other.source, &other.base_currency, &other.quote_currency)
                == (&rate.source, &rate.base_currency, &rate.quote_currency)
                && other.valid_from > rate.valid_from
        })
        .map(|other| other.valid_from)
        .min();
    // The next rate holds from the first day that begins at or after it.
    let until = next.map_or(i64::MAX, |from| from.saturating_add(DAY_US));
    vec![Reach::Nodes(nodes, Span { from: rate.valid_from, until })]
}
