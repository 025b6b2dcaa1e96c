//! What reference rows must satisfy, each check with an error that names the row.
//!
//! Checks run on the whole state as it would be after a statement, and again inside the commit.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{RefTable, Value};
use crate::collect::SourceSettings;
use crate::security::{Role, SessionError, Tree};

use super::overlay::Rows;

/// All reference tables as they would be.
pub type State = BTreeMap<&'static str, Rows>;

/// Depth of the deepest node: the root is 0.
const DEPTH_MAX: usize = 8;
const KINDS: [&str; 6] = ["distributor", "reseller", "customer", "business_unit", "department", "team"];
const CATEGORIES: [&str; 5] = ["Usage", "Purchase", "Tax", "Credit", "Adjustment"];
const BENEFITS: [&str; 3] = ["user", "purchaser", "seller"];
const PURCHASES: [&str; 2] = ["retain", "pass"];
const UNUSED: [&str; 3] = ["retain", "purchaser", "share"];
const POLICIES: [&str; 4] = ["pass", "retain", "report", "rerate"];
const METHODS: [&str; 11] = [
    "markup_pct",
    "margin_pct",
    "discount_pct",
    "unit_price",
    "graduated",
    "volume",
    "package",
    "pass_through",
    "zero",
    "flat",
    "minimum",
];
const CONVENTIONS: [&str; 4] = ["actual", "30", "full_month", "none"];
const ADJUSTMENT_METHODS: [&str; 3] = ["note", "true_up", "wait"];
const COMMIT_PERIODS: [&str; 4] = ["month", "quarter", "year", "term"];
/// What a seat, an hour or a month may cost at most, and how many seats or hours a row has, so that their products fit 38 digits.
pub(super) const PRICE_MAX: i128 = 1_000_000_000 * ratehouse_udfs::decimal::ONE;
const POLICY_KEYS_MAX: usize = 50;
const SEATS_MAX: i128 = 1_000_000 * ratehouse_udfs::decimal::ONE;
const HOURS_MAX: i128 = 10_000 * ratehouse_udfs::decimal::ONE;
const NET_DAYS_MAX: i64 = 365;
const POOL_METHODS: [&str; 4] = ["percentage", "usage", "even", "fixed"];
pub(super) const HUNDRED: i128 = 100 * ratehouse_udfs::decimal::ONE;
/// So that the sum of all quantities of a pool fits 38 digits.
pub(super) const QUANTITY_MAX: i128 = 1_000_000_000_000 * ratehouse_udfs::decimal::ONE;
const BASES: [&str; 6] = ["cost", "list", "billed", "contracted", "effective", "on_demand"];
const ROOT_BASES: [&str; 4] = ["billed", "contracted", "effective", "on_demand"];
const ROUNDINGS: [&str; 4] = ["half_even", "half_up", "down", "up"];

/// A row with its values by column name.
pub(super) struct Record<'a> {
    pub(super) table: &'static RefTable,
    pub(super) values: &'a [Value],
}

impl<'a> Record<'a> {
    pub(super) fn text(&self, column: &str) -> Option<&'a str> {
        self.table.position(column).and_then(|at| self.values.get(at)).and_then(Value::as_text)
    }

    pub(super) fn need(&self, column: &str) -> &'a str {
        self.text(column).unwrap_or_default()
    }

    fn int(&self, column: &str) -> Option<i64> {
        self.table.position(column).and_then(|at| self.values.get(at)).and_then(Value::as_int)
    }

    /// The row's key, for messages: `accounts (AWS, 123, 456)`.
    pub(super) fn named(&self) -> String {
        let key: Vec<String> = self
            .table
            .key
            .iter()
            .map(|column| match self.int(column) {
                Some(int) => int.to_string(),
                None => self.text(column).unwrap_or("null").to_owned(),
            })
            .collect();
        format!("ref.{} ({})", self.table.name, key.join(", "))
    }

    pub(super) fn refuse(&self, message: &str) -> SessionError {
        SessionError::violates(format!("{}: {message}", self.named()))
    }

    /// A decimal, scale 18.
    pub(super) fn number(&self, column: &str) -> Option<i128> {
        ratehouse_udfs::decimal::parse_decimal(self.text(column)?).ok().map(|parsed| parsed.value)
    }

    pub(super) fn one_of(&self, column: &str, allowed: &[&str]) -> Result<(), SessionError> {
        match self.text(column) {
            Some(value) if !allowed.contains(&value) => {
                Err(self.refuse(&format!("{column} must be one of {}", allowed.join(", "))))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn id(&self, column: &str) -> Result<(), SessionError> {
        let valid = |id: &str| {
            id.len() <= 64
                && id.starts_with(|c: char| c.is_ascii_alphanumeric())
                && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@'))
        };
        match self.text(column) {
            Some(id) if !valid(id) => Err(self.refuse(&format!(
                "{column} must be 1 to 64 letters, digits, `.`, `_` or `-` and begin with a letter or digit"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn currency(&self, column: &str) -> Result<(), SessionError> {
        match self.text(column) {
            Some(code) if ratehouse_udfs::money::Currency::of(code).is_err() => {
                Err(self.refuse(&format!("{column} must be an ISO 4217 code")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// An ISO 3166 code of a country, or of a part of one, if there is any.
    pub(super) fn country(&self, column: &str) -> Result<(), SessionError> {
        let Some(code) = self.text(column) else { return Ok(()) };
        let (country, part) = code.split_once('-').unwrap_or((code, "A"));
        let is_code = |text: &str, lengths: std::ops::RangeInclusive<usize>, is_one: fn(&u8) -> bool| {
            lengths.contains(&text.len()) && text.as_bytes().iter().all(is_one)
        };
        let is_part = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if is_code(country, 2..=2, u8::is_ascii_uppercase) && is_code(part, 1..=3, is_part) {
            return Ok(());
        }
        Err(self.refuse(&format!("{column} must be an ISO 3166 code such as DE or DE-BY")))
    }
}

pub(super) fn records<'a>(state: &'a State, name: &str) -> Vec<Record<'a>> {
    let Some(table) = RefTable::named(name) else { return Vec::new() };
    state.get(table.name).into_iter().flat_map(|rows| rows.values()).map(|values| Record { table, values }).collect()
}

/// Checks the tables that a statement touched, and those that depend on them.
///
/// # Errors
/// `23502` (a required column is null), `23505` (a key twice), `23503` (a reference to nothing)
/// or `23514` (any other check), each naming the row.
pub fn check(state: &State, root: &str) -> Result<(), SessionError> {
    for table in RefTable::all() {
        not_null(&records(state, table.name))?;
        keys(&records(state, table.name))?;
    }
    let tree = nodes(state, root)?;
    accounts(state, &tree)?;
    pools(state, &tree)?;
    drivers(state, &tree)?;
    driver_rules(state, &tree)?;
    attribution_rules(state, &tree)?;
    tag_policies(state, &tree)?;
    virtual_tags(state, &tree)?;
    super::spend::check(state, &tree)?;
    cards(state, &tree)?;
    versions(state)?;
    rules(state, root)?;
    policies(state, &tree)?;
    commitment_policies(state, &tree, root)?;
    own_terms(state, &tree)?;
    super::credits::check(state, &tree, root)?;
    rates(state)?;
    sources(state)?;
    alert_targets(state, &tree)?;
    users(state, &tree)
}

fn not_null(rows: &[Record<'_>]) -> Result<(), SessionError> {
    for row in rows {
        for (column, value) in row.table.columns.iter().zip(row.values) {
            if !column.nullable && *value == Value::Null {
                return Err(SessionError::new(
                    "23502",
                    format!("null value in column \"{}\" of relation \"{}\"", column.name, row.table.name),
                )
                .detail(format!("The row is {}.", row.named())));
            }
        }
    }
    Ok(())
}

fn keys(rows: &[Record<'_>]) -> Result<(), SessionError> {
    let mut seen = BTreeSet::new();
    for row in rows {
        let key: Vec<Option<&Value>> =
            row.table.key.iter().map(|column| row.table.position(column).and_then(|at| row.values.get(at))).collect();
        if !seen.insert(key) {
            return Err(SessionError::new("23505", format!("{} exists already", row.named())));
        }
    }
    Ok(())
}

/// A validity range under a name; ranges of one name must not overlap.
pub(super) fn no_overlap<'a>(
    rows: &[Record<'a>],
    name: impl Fn(&Record<'a>) -> Vec<Option<&'a str>>,
) -> Result<(), SessionError> {
    no_overlap_but(rows, name, |_, _| false)
}

/// The same, unless the earlier and the later row of a pair may overlap.
fn no_overlap_but<'a>(
    rows: &[Record<'a>],
    name: impl Fn(&Record<'a>) -> Vec<Option<&'a str>>,
    may: impl Fn(&Record<'_>, &Record<'_>) -> bool,
) -> Result<(), SessionError> {
    let mut by_name: BTreeMap<Vec<Option<&str>>, Vec<&Record<'_>>> = BTreeMap::new();
    for row in rows {
        if row.text("valid_to").is_some_and(|to| to <= row.need("valid_from")) {
            return Err(row.refuse("valid_to must be after valid_from"));
        }
        by_name.entry(name(row)).or_default().push(row);
    }
    for group in by_name.values_mut() {
        group.sort_by(|a, b| a.need("valid_from").cmp(b.need("valid_from")));
        for pair in group.windows(2) {
            let [first, second] = pair else { continue };
            let overlap = first.text("valid_to").is_none_or(|to| to > second.need("valid_from"));
            if overlap && !may(first, second) {
                return Err(second.refuse(&format!(
                    "it overlaps the row valid from {}: end that one first",
                    first.need("valid_from")
                )));
            }
        }
    }
    Ok(())
}

fn nodes(state: &State, root: &str) -> Result<Tree, SessionError> {
    let rows = records(state, "nodes");
    for row in &rows {
        row.id("node_id")?;
        row.one_of("kind", &KINDS)?;
        row.one_of("rounding_mode", &ROUNDINGS)?;
        row.currency("currency")?;
        if row.need("time_zone").parse::<chrono_tz::Tz>().is_err() {
            return Err(row.refuse("time_zone must be an IANA name such as Europe/Berlin"));
        }
        row.country("country")?;
        let is_root = row.need("node_id") == root;
        if is_root == row.text("parent_id").is_some() {
            let message =
                if is_root { "the root has no parent" } else { "parent_id is missing: only the root has none" };
            return Err(row.refuse(message));
        }
    }
    no_overlap(&rows, |row| vec![row.text("node_id")])?;
    let table = RefTable::named("nodes").ok_or_else(|| SessionError::new("XX000", "internal error"))?;
    let tree = Tree::from_rows(table, rows.iter().map(|row| row.values))?;
    for row in &rows {
        if let Some(parent) = row.text("parent_id").filter(|parent| !tree.has(parent)) {
            return Err(SessionError::new("23503", format!("{}: node \"{parent}\" does not exist", row.named())));
        }
    }
    for row in &rows {
        climbs_to_root(&rows, row)?;
    }
    Ok(tree)
}

/// Follows the parents of a row at every instant at which something above it changes.
fn climbs_to_root(rows: &[Record<'_>], row: &Record<'_>) -> Result<(), SessionError> {
    let mut instants: BTreeSet<&str> = rows.iter().flat_map(|r| r.text("valid_from")).collect();
    instants.insert(row.need("valid_from"));
    for at in instants {
        let alive = |r: &Record<'_>| r.need("valid_from") <= at && r.text("valid_to").is_none_or(|to| at < to);
        if !alive(row) {
            continue;
        }
        let mut current = row;
        let mut depth = 0;
        while let Some(parent) = current.text("parent_id") {
            depth += 1;
            if depth > rows.len() || parent == row.need("node_id") {
                return Err(row.refuse("the tree would have a cycle"));
            }
            if depth > DEPTH_MAX {
                return Err(row.refuse("the tree would be deeper than 8 below the root"));
            }
            let Some(above) = rows.iter().find(|r| r.need("node_id") == parent && alive(r)) else {
                return Err(row.refuse(&format!("its parent \"{parent}\" does not exist at {at}")));
            };
            current = above;
        }
    }
    Ok(())
}

pub(super) fn node_exists(tree: &Tree, row: &Record<'_>, column: &str) -> Result<(), SessionError> {
    match row.text(column) {
        Some(id) if !tree.has(id) => {
            Err(SessionError::new("23503", format!("{}: node \"{id}\" does not exist", row.named())))
        }
        Some(_) | None => Ok(()),
    }
}

fn accounts(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "accounts");
    for row in &rows {
        node_exists(tree, row, "node_id")?;
    }
    no_overlap(&rows, |row| vec![row.text("provider_name"), row.text("billing_account_id"), row.text("sub_account_id")])
}

/// Pools have what their method needs, their nodes stand below the owner, and percentages add up at every instant.
fn pools(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "pools");
    let shares = records(state, "pool_shares");
    let name = |row: &Record<'_>| (row.need("owner_node_id").to_owned(), row.need("pool_id").to_owned());
    for row in &rows {
        row.id("pool_id")?;
        node_exists(tree, row, "owner_node_id")?;
        row.one_of("method", &POOL_METHODS)?;
        row.one_of("idle", &["keep", "spread"])?;
        is_below(tree, row, "fallback_node_id")?;
        match (row.need("method") == "usage", row.text("driver")) {
            (true, None) => return Err(row.refuse("a pool by usage needs a driver of the view metrics")),
            (false, Some(_)) => return Err(row.refuse("only a pool by usage has a driver")),
            _ => {}
        }
    }
    no_overlap(&rows, |row| vec![row.text("owner_node_id"), row.text("pool_id")])?;
    let mut by_pool: BTreeMap<(String, String), Vec<&Record<'_>>> = BTreeMap::new();
    for row in &shares {
        node_exists(tree, row, "node_id")?;
        is_below(tree, row, "node_id")?;
        if row.number("share").is_some_and(|share| share < 0) {
            return Err(row.refuse("a share is not negative"));
        }
        by_pool.entry(name(row)).or_default().push(row);
    }
    no_overlap(&shares, |row| vec![row.text("owner_node_id"), row.text("pool_id"), row.text("node_id")])?;
    for (pool, shares) in &by_pool {
        let terms: Vec<&Record<'_>> = rows.iter().filter(|row| name(row) == *pool).collect();
        if terms.is_empty() {
            let missing = format!("{}: the pool does not exist", shares[0].named());
            return Err(SessionError::new("23503", missing));
        }
        for terms in terms {
            shares_fit(terms, shares)?;
        }
    }
    Ok(())
}

/// What the shares of a pool must be while one row of `ref.pools` holds.
fn shares_fit(terms: &Record<'_>, shares: &[&Record<'_>]) -> Result<(), SessionError> {
    let method = terms.need("method");
    let during = |row: &&&Record<'_>| {
        terms.text("valid_to").is_none_or(|to| row.need("valid_from") < to)
            && row.text("valid_to").is_none_or(|to| terms.need("valid_from") < to)
    };
    let shares: Vec<&Record<'_>> = shares.iter().filter(during).copied().collect();
    for row in &shares {
        match (method, row.number("share")) {
            ("usage", _) => return Err(row.refuse("a pool by usage has no shares: its driver says who takes part")),
            ("even", Some(_)) => return Err(row.refuse("the shares of an even pool are alike: leave share null")),
            ("percentage" | "fixed", None) => return Err(row.refuse("share is missing")),
            _ => {}
        }
    }
    if method != "percentage" {
        return Ok(());
    }
    let begins = |row: &&Record<'_>| row.need("valid_from").max(terms.need("valid_from")).to_owned();
    let ends = shares
        .iter()
        .filter_map(|row| row.text("valid_to"))
        .filter(|to| terms.text("valid_to").is_none_or(|end| *to < end));
    let instants: BTreeSet<String> = shares.iter().map(begins).chain(ends.map(str::to_owned)).collect();
    for at in instants {
        let holds = |row: &&&Record<'_>| {
            row.need("valid_from") <= at.as_str() && row.text("valid_to").is_none_or(|to| at.as_str() < to)
        };
        let held: Vec<i128> = shares.iter().filter(holds).filter_map(|row| row.number("share")).collect();
        let sum = held.iter().fold(0_i128, |sum, share| sum.saturating_add(*share));
        if !held.is_empty() && sum != HUNDRED {
            let shown = ratehouse_udfs::decimal::format_trimmed(sum, 18, 0);
            return Err(terms.refuse(&format!(
                "its shares add up to {shown} percent at {at}, not to 100: write them in one statement"
            )));
        }
    }
    Ok(())
}

fn drivers(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "drivers");
    for row in &rows {
        row.id("driver")?;
        node_exists(tree, row, "owner_node_id")?;
        node_exists(tree, row, "node_id")?;
        is_below(tree, row, "node_id")?;
        if row.number("quantity").is_none_or(|quantity| !(0..=QUANTITY_MAX).contains(&quantity)) {
            return Err(row.refuse("quantity must be from 0 to 1000000000000"));
        }
    }
    no_overlap(&rows, |row| {
        vec![row.text("owner_node_id"), row.text("driver"), row.text("node_id"), row.text("resource_id")]
    })
}

fn driver_rules(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "driver_rules");
    for row in &rows {
        row.id("rule_id")?;
        node_exists(tree, row, "owner_node_id")?;
        is_below(tree, row, "node_id")?;
        if row.text("label_value").is_some() && row.text("label_key").is_none() {
            return Err(row.refuse("label_value needs a label_key"));
        }
    }
    no_overlap(&rows, |row| vec![row.text("owner_node_id"), row.text("rule_id")])
}

/// The node of that column is the owner, or stands below it at some time.
fn is_below(tree: &Tree, row: &Record<'_>, column: &str) -> Result<(), SessionError> {
    let Some(node) = row.text(column) else { return Ok(()) };
    node_exists(tree, row, column)?;
    if tree.is_within(node, row.need("owner_node_id")) {
        return Ok(());
    }
    Err(row.refuse(&format!("{column} must be in the owner's subtree")))
}

fn attribution_rules(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "attribution_rules");
    let pools: BTreeSet<(String, String)> = records(state, "pools")
        .iter()
        .map(|row| (row.need("owner_node_id").to_owned(), row.need("pool_id").to_owned()))
        .collect();
    for row in &rows {
        row.id("rule_id")?;
        node_exists(tree, row, "owner_node_id")?;
        row.one_of("method", &["direct", "pool"])?;
        if row.text("tag_value").is_some() && row.text("tag_key").is_none() {
            return Err(row.refuse("tag_value needs a tag_key"));
        }
        match (row.need("method"), row.text("node_id"), row.text("pool_id")) {
            ("direct", Some(_), None) => is_below(tree, row, "node_id")?,
            ("direct", _, _) => return Err(row.refuse("a direct rule names a node_id and no pool_id")),
            (_, None, Some(pool)) => {
                if !pools.contains(&(row.need("owner_node_id").to_owned(), pool.to_owned())) {
                    return Err(SessionError::new(
                        "23503",
                        format!("{}: its owner has no pool \"{pool}\" in ref.pools", row.named()),
                    ));
                }
            }
            (_, _, _) => return Err(row.refuse("a rule of method pool names a pool_id and no node_id")),
        }
    }
    no_overlap(&rows, |row| vec![row.text("owner_node_id"), row.text("rule_id")])
}

fn virtual_tags(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "virtual_tags");
    for row in &rows {
        row.id("rule_id")?;
        node_exists(tree, row, "owner_node_id")?;
        if row.need("virtual_key").is_empty() {
            return Err(row.refuse("virtual_key is empty"));
        }
        if row.text("tag_key").is_none() && (row.text("tag_value").is_some() || row.text("virtual_value").is_none()) {
            return Err(row.refuse("tag_value, and a null virtual_value, need a tag_key"));
        }
    }
    no_overlap(&rows, |row| vec![row.text("owner_node_id"), row.text("rule_id")])
}

fn tag_policies(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "tag_policies");
    for row in &rows {
        row.id("policy_id")?;
        node_exists(tree, row, "owner_node_id")?;
        let policy = ratehouse_udfs::tags::TagPolicy::parse(row.need("policy"));
        let policy = policy.map_err(|error| row.refuse(&error.strip_backtrace()))?;
        if policy.keys().count() > POLICY_KEYS_MAX {
            return Err(row.refuse("a policy speaks of at most 50 keys: roll-ups keep each of them"));
        }
    }
    no_overlap(&rows, |row| vec![row.text("owner_node_id"), row.text("policy_id")])
}

/// Whether a node ever stood right below another.
fn is_child(tree: &Tree, node: &str, parent: &str) -> bool {
    tree.places(node).iter().any(|place| place.path.rsplit('/').nth(1) == Some(parent))
}

fn cards(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let mut edges = BTreeSet::new();
    for row in &records(state, "rate_cards") {
        row.id("card_id")?;
        row.currency("currency")?;
        node_exists(tree, row, "seller_node_id")?;
        node_exists(tree, row, "buyer_node_id")?;
        let (seller, buyer) = (row.need("seller_node_id"), row.text("buyer_node_id"));
        if let Some(buyer) = buyer {
            if !is_child(tree, buyer, seller) {
                return Err(row.refuse("buyer_node_id must be a child of seller_node_id"));
            }
            if tree.currency(buyer).is_some_and(|currency| currency != row.need("currency")) {
                return Err(row.refuse("currency must be the buyer's"));
            }
        }
        let currency = buyer.is_none().then(|| row.need("currency"));
        if !edges.insert((seller, buyer, currency)) {
            return Err(row.refuse("this seller has a card for this buyer already: add a version to that one"));
        }
    }
    Ok(())
}

fn versions(state: &State) -> Result<(), SessionError> {
    let cards: BTreeMap<&str, &str> =
        records(state, "rate_cards").iter().map(|row| (row.need("card_id"), row.need("seller_node_id"))).collect();
    let rows = records(state, "rate_card_versions");
    let known: BTreeSet<(&str, i64)> =
        rows.iter().map(|row| (row.need("card_id"), row.int("version").unwrap_or_default())).collect();
    for row in &rows {
        let Some(seller) = cards.get(row.need("card_id")) else {
            return Err(SessionError::new("23503", format!("{}: the card does not exist", row.named())));
        };
        if row.int("version").is_none_or(|version| version < 1) {
            return Err(row.refuse("version must be 1 or more"));
        }
        row.one_of("status", &["draft", "pending", "active", "retired"])?;
        rounding(row)?;
        match (row.text("base_card_id"), row.int("base_version")) {
            (None, None) => {}
            (Some(base), Some(version)) => {
                if cards.get(base) != Some(seller) || !known.contains(&(base, version)) {
                    return Err(row.refuse("the base version must exist and be of a card of the same seller"));
                }
            }
            (Some(_), None) | (None, Some(_)) => {
                return Err(row.refuse("base_card_id and base_version go together"));
            }
        }
    }
    base_versions_end(&rows)?;
    let live: Vec<Record<'_>> = rows.into_iter().filter(|row| row.need("status") != "retired").collect();
    // A version that is not active yet may begin while one without an end holds: it ends that one when it is activated.
    no_overlap_but(
        &live,
        |row| vec![row.text("card_id")],
        |first, second| {
            second.need("status") != "active"
                && first.text("valid_to").is_none()
                && first.need("valid_from") < second.need("valid_from")
        },
    )
}

/// To how many digits prices are rounded, and how.
fn rounding(row: &Record<'_>) -> Result<(), SessionError> {
    row.one_of("rounding_mode", &ROUNDINGS)?;
    match row.int("rounding_digits") {
        None if row.text("rounding_mode").is_some() => Err(row.refuse("rounding_mode needs rounding_digits")),
        Some(digits) if !(0..=18).contains(&digits) => Err(row.refuse("rounding_digits must be 0 to 18")),
        Some(_) | None => Ok(()),
    }
}

fn base_versions_end(rows: &[Record<'_>]) -> Result<(), SessionError> {
    for row in rows {
        let mut current = row;
        for _ in 0..=rows.len() {
            let (Some(base), Some(version)) = (current.text("base_card_id"), current.int("base_version")) else {
                break;
            };
            if base == row.need("card_id") && Some(version) == row.int("version") {
                return Err(row.refuse("the base versions would form a cycle"));
            }
            match rows.iter().find(|r| r.need("card_id") == base && r.int("version") == Some(version)) {
                Some(next) => current = next,
                None => break,
            }
        }
    }
    Ok(())
}

fn rules(state: &State, root: &str) -> Result<(), SessionError> {
    let sellers: BTreeMap<&str, &str> =
        records(state, "rate_cards").iter().map(|row| (row.need("card_id"), row.need("seller_node_id"))).collect();
    let known: BTreeSet<(&str, i64)> = records(state, "rate_card_versions")
        .iter()
        .map(|row| (row.need("card_id"), row.int("version").unwrap_or_default()))
        .collect();
    for row in &records(state, "rate_rules") {
        if !known.contains(&(row.need("card_id"), row.int("version").unwrap_or_default())) {
            return Err(SessionError::new("23503", format!("{}: the card's version does not exist", row.named())));
        }
        row.id("rule_id")?;
        row.one_of("charge_category", &CATEGORIES)?;
        row.one_of("method", &METHODS)?;
        row.one_of("base", &BASES)?;
        row.one_of("scope", &["account", "node", "subtree"])?;
        rounding(row)?;
        if row.text("tag_value").is_some() && row.text("tag_key").is_none() {
            return Err(row.refuse("tag_value needs a tag_key"));
        }
        let at_root = sellers.get(row.need("card_id")).copied() == Some(root);
        if ROOT_BASES.contains(&row.need("base")) && !at_root {
            return Err(row.refuse("this base is the root's alone: use cost or list"));
        }
        method_has_its_values(row)?;
    }
    Ok(())
}

/// What a rule of method flat does not look at.
const FLAT_HAS_NONE: [&str; 11] = [
    "provider_name",
    "service_category",
    "sku_id",
    "region_id",
    "charge_category",
    "pricing_category",
    "resource_type",
    "marketplace",
    "tag_key",
    "unit",
    "bands",
];

fn method_has_its_values(row: &Record<'_>) -> Result<(), SessionError> {
    let value = row.number("value");
    match row.need("method") {
        "markup_pct" | "margin_pct" | "discount_pct" | "unit_price" => {
            let Some(value) = value else { return Err(row.refuse("the method needs a value")) };
            if row.need("method") == "margin_pct" && value >= HUNDRED {
                return Err(row.refuse("a margin is below 100 percent of the price"));
            }
            if row.need("method") == "unit_price" && value < 0 {
                return Err(row.refuse("a unit price is not negative"));
            }
        }
        "flat" | "minimum" => {
            if value.is_none_or(|value| !(0..=PRICE_MAX).contains(&value)) {
                return Err(row.refuse("the method needs a value of 0 to 1000000000, for each month"));
            }
            let looks_at = |column: &&str| row.text(column).is_some() || row.int(column).is_some();
            if row.need("method") == "flat"
                && let Some(column) = FLAT_HAS_NONE.iter().copied().find(|column| looks_at(column))
            {
                return Err(row.refuse(&format!(
                    "a flat fee matches no charges: leave {column} null; service_name is what it is called"
                )));
            }
        }
        "graduated" | "volume" | "package" => {
            let Some(bands) = row.text("bands") else { return Err(row.refuse("the method needs bands")) };
            bands_are_whole(bands, row.need("method") == "package").map_err(|message| row.refuse(message))?;
        }
        _ => {}
    }
    Ok(())
}

/// `[{"up_to": "100", "price": "0.10"}, {"up_to": null, "price": "0.08"}]`; a package is
/// `[{"up_to": "1000", "price": "5.00"}]`: the block and its price.
fn bands_are_whole(text: &str, package: bool) -> Result<(), &'static str> {
    const FORM: &str = "bands must be a list of {\"up_to\": decimal text or null, \"price\": decimal text}";
    let bands: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|_| FORM)?;
    let decimal = |value: Option<&serde_json::Value>| {
        value
            .and_then(serde_json::Value::as_str)
            .and_then(|text| ratehouse_udfs::decimal::parse_decimal(text).ok())
            .map(|p| p.value)
    };
    let mut last = 0;
    for (at, band) in bands.iter().enumerate() {
        let price = decimal(band.get("price")).ok_or(FORM)?;
        if price < 0 {
            return Err("a price is not negative");
        }
        match band.get("up_to") {
            Some(serde_json::Value::Null) if at + 1 == bands.len() && !package => {}
            bound => {
                let bound = decimal(bound).ok_or(FORM)?;
                if bound <= last {
                    return Err("the bands' bounds must grow");
                }
                last = bound;
            }
        }
    }
    let open = bands.last().is_some_and(|band| band.get("up_to") == Some(&serde_json::Value::Null));
    match (package, bands.len()) {
        (true, 1) => Ok(()),
        (true, _) => Err("a package has one entry: its size and its price"),
        (false, 0) => Err("bands must not be empty"),
        (false, _) if !open => Err("the last band must be open: \"up_to\": null"),
        (false, _) => Ok(()),
    }
}

fn policies(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "charge_policies");
    for row in &rows {
        node_exists(tree, row, "node_id")?;
        node_exists(tree, row, "buyer_node_id")?;
        row.one_of("charge_category", &CATEGORIES)?;
        row.one_of("charge_class", &["Correction"])?;
        row.one_of("policy", &POLICIES)?;
    }
    no_overlap(&rows, |row| {
        vec![row.text("node_id"), row.text("buyer_node_id"), row.text("charge_category"), row.text("charge_class")]
    })
}

fn commitment_policies(state: &State, tree: &Tree, root: &str) -> Result<(), SessionError> {
    let rows = records(state, "commitment_policies");
    let nodes = records(state, "nodes");
    for row in &rows {
        row.id("policy_id")?;
        row.one_of("benefit", &BENEFITS)?;
        row.one_of("purchase", &PURCHASES)?;
        row.one_of("unused", &UNUSED)?;
        node_exists(tree, row, "owner_node_id")?;
        let Some(buyer) = row.text("buyer_node_id") else { continue };
        node_exists(tree, row, "buyer_node_id")?;
        if !nodes.iter().any(|node| node.need("node_id") == buyer && node.text("parent_id") == Some(root)) {
            return Err(row.refuse("buyer_node_id must be a child of the root, which sells what commitments cover"));
        }
        let is_of_benefit_only = row.need("purchase") == "retain" && row.need("unused") == "retain";
        if !is_of_benefit_only || row.text("owner_node_id").is_some() {
            return Err(row.refuse(
                "a policy for a buyer says who has the benefit of its usage: what becomes of purchases and of what is unused, and who owns \
                 the commitment, is for one without a buyer",
            ));
        }
    }
    no_overlap(&rows, |row| vec![row.text("provider_name"), row.text("commitment_id"), row.text("buyer_node_id")])
}

/// What sellers bill by themselves.
fn own_terms(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let sold = |row: &Record<'_>, node: &str| {
        node_exists(tree, row, "seller_node_id")?;
        node_exists(tree, row, node)?;
        row.currency("currency")?;
        let (seller, node_id) = (row.need("seller_node_id"), row.need(node));
        if node_id == seller || !tree.is_within(node_id, seller) {
            return Err(row.refuse(&format!("{node} must be below seller_node_id")));
        }
        Ok(())
    };
    let within = |row: &Record<'_>, column: &str| match row.number(column) {
        Some(value) if !(0..=PRICE_MAX).contains(&value) => {
            Err(row.refuse(&format!("{column} must be from 0 to 1000000000")))
        }
        Some(_) | None => Ok(()),
    };
    for row in &records(state, "licences") {
        sold(row, "node_id")?;
        row.one_of("convention", &CONVENTIONS)?;
        row.one_of("status", &["active", "suspended"])?;
        within(row, "unit_price")?;
        if row.number("seats").is_none_or(|seats| !(0..=SEATS_MAX).contains(&seats)) {
            return Err(row.refuse("seats must be from 0 to 1000000"));
        }
        if row.text("valid_to").is_some_and(|to| to <= row.need("valid_from")) {
            return Err(row.refuse("valid_to must be after valid_from"));
        }
    }
    for row in &records(state, "time_entries") {
        sold(row, "node_id")?;
        within(row, "hours")?;
        within(row, "rate")?;
        if row.number("hours").is_some_and(|hours| hours > HOURS_MAX) {
            return Err(row.refuse("hours must be at most 10000: one entry is one piece of work"));
        }
        let at = row.need("worked_at");
        let times = tree.times_within(row.need("node_id"), row.need("seller_node_id"), (at, None));
        if times.first().is_none_or(|(from, _)| from != at) {
            return Err(row.refuse("node_id was not below seller_node_id then"));
        }
    }
    for row in &records(state, "quotes") {
        sold(row, "node_id")?;
        within(row, "hours")?;
    }
    let contracts = records(state, "contracts");
    for row in &contracts {
        sold(row, "buyer_node_id")?;
        if !is_child(tree, row.need("buyer_node_id"), row.need("seller_node_id")) {
            return Err(row.refuse("buyer_node_id must be a child of seller_node_id"));
        }
        row.one_of("commit_period", &COMMIT_PERIODS)?;
        if row.number("commit_amount").is_some_and(|amount| !(0..=QUANTITY_MAX).contains(&amount)) {
            return Err(row.refuse("commit_amount must be from 0 to 1000000000000"));
        }
        if row.text("commit_amount").is_some() && row.need("commit_period") == "term" && row.text("valid_to").is_none()
        {
            return Err(row.refuse("a commitment of the whole term needs a valid_to"));
        }
        if row.int("net_days").is_none_or(|days| !(0..=NET_DAYS_MAX).contains(&days)) {
            return Err(row.refuse("net_days must be from 0 to 365"));
        }
    }
    no_overlap(&contracts, |row| vec![row.text("seller_node_id"), row.text("contract_id")])
}

fn rates(state: &State) -> Result<(), SessionError> {
    let mut ids = BTreeSet::new();
    for row in &records(state, "fx_rates") {
        row.currency("base_currency")?;
        row.currency("quote_currency")?;
        if row.need("base_currency") == row.need("quote_currency") {
            return Err(row.refuse("base_currency and quote_currency are the same"));
        }
        if row.number("rate").is_none_or(|rate| rate <= 0) {
            return Err(row.refuse("a rate is above zero"));
        }
        if !ids.insert(row.need("fx_rate_id")) {
            return Err(SessionError::new("23505", format!("{}: fx_rate_id is taken", row.named())));
        }
    }
    Ok(())
}

fn sources(state: &State) -> Result<(), SessionError> {
    for row in &records(state, "sources") {
        row.id("name")?;
        SourceSettings::of(row.values).map_err(|message| row.refuse(&message))?;
    }
    Ok(())
}

fn alert_targets(state: &State, tree: &Tree) -> Result<(), SessionError> {
    for row in &records(state, "alert_targets") {
        row.id("target_id")?;
        node_exists(tree, row, "owner_node_id")?;
        crate::alerts::Target::of(row.values).map_err(|message| row.refuse(&message))?;
    }
    Ok(())
}

fn users(state: &State, tree: &Tree) -> Result<(), SessionError> {
    for row in &records(state, "users") {
        node_exists(tree, row, "node_id")?;
        if let Err(message) = row.need("role").parse::<Role>() {
            return Err(row.refuse(&message));
        }
    }
    for row in &records(state, "approval_rules") {
        node_exists(tree, row, "seller_node_id")?;
        row.one_of("kind", &["rate_card_version", "credit", "budget", "invoice", "adjustment"])?;
        if let Err(message) = row.need("role").parse::<Role>() {
            return Err(row.refuse(&message));
        }
        if row.text("min_amount").is_some() && !matches!(row.need("kind"), "credit" | "budget" | "adjustment") {
            return Err(row.refuse("min_amount is for rules of kind credit, budget or adjustment"));
        }
        if row.number("min_amount").is_some_and(|amount| amount < 0) {
            return Err(row.refuse("min_amount must not be negative: it counts for credits and debits alike"));
        }
    }
    adjustments(state, tree)
}

fn adjustments(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let mut edges = BTreeSet::new();
    for row in &records(state, "adjustment_policies") {
        row.id("policy_id")?;
        node_exists(tree, row, "seller_node_id")?;
        node_exists(tree, row, "buyer_node_id")?;
        row.one_of("method", &ADJUSTMENT_METHODS)?;
        let (seller, buyer) = (row.need("seller_node_id"), row.text("buyer_node_id"));
        if buyer.is_some_and(|buyer| !is_child(tree, buyer, seller)) {
            return Err(row.refuse("buyer_node_id must be a child of seller_node_id"));
        }
        if !edges.insert((seller, buyer)) {
            return Err(row.refuse("another policy speaks of the same seller and buyer"));
        }
    }
    Ok(())
}
