//! What a warehouse says of itself after a crash, and what must hold whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OpenFlags};

use super::deliveries::{Slice, Sums, Units, cents, units};
use super::house::House;

/// Every layer of every slice, in one statement and so at one snapshot.
const LAYERS: &str = "\
select 'usage' as layer, billing_account_id, billing_period, count(*) as n, sum(billed_cost) as cost, cast(0 as decimal(38,18)) as price from usage group by 2, 3 \
union all select 'charges', billing_account_id, billing_period, count(*), sum(cost), sum(price) from charges group by 2, 3 \
union all select 'daily', billing_account_id, billing_period, sum(usage_rows), sum(cost), sum(price) from charges_daily group by 2, 3 \
union all select 'monthly', billing_account_id, billing_period, sum(usage_rows), sum(cost), sum(price) from charges_monthly group by 2, 3 \
union all select 'edges', billing_account_id, billing_period, sum(case when depth = 0 then usage_rows end), sum(case when depth = 0 then amount end), \
coalesce(sum(case when depth = 1 then amount end), 0) from ops.edges_monthly group by 2, 3";

/// One slice: its usage and the price of its charges, on which every layer agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SliceState {
    pub(super) sums: Sums,
    pub(super) price: Units,
    pub(super) is_stale: bool,
}

/// A document that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invoice {
    pub(super) number: String,
    pub(super) charges: Units,
    pub(super) content_hash: String,
}

/// A warehouse at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) snapshots: i64,
    pub(super) deliveries: i64,
    pub(super) slices: BTreeMap<Slice, SliceState>,
    pub(super) invoices: BTreeMap<(String, String), Invoice>,
    pub(super) listed: BTreeSet<String>,
}

impl State {
    /// Reads a warehouse by a new run of the program and its catalog by SQLite alone, and checks
    /// what must hold in every state.
    pub(super) fn read(house: &House) -> Self {
        let layers = house.sql(LAYERS);
        // SQLite gives write-ahead logs only to those who may write.
        let catalog =
            Connection::open_with_flags(house.catalog(), OpenFlags::SQLITE_OPEN_READ_WRITE).expect("the catalog opens");
        let state = Self {
            snapshots: gap_free_snapshots(&catalog),
            deliveries: number(&catalog, "select count(*) from delivery"),
            slices: agreeing_layers(&layers, &stale_slices(&catalog)),
            invoices: whole_invoices(&catalog),
            listed: rows(&catalog, "select path from data_file").into_iter().map(|row| row[0].clone()).collect(),
        };
        let objects: BTreeSet<String> = house.objects().into_iter().collect();
        let missing: Vec<_> = state.listed.difference(&objects).collect();
        assert!(missing.is_empty(), "listed files are missing: {missing:?}");
        gap_free_numbers(&catalog, &state.invoices);
        state
    }

    /// Objects that no commit lists.
    pub(super) fn unlisted(&self, house: &House) -> Vec<String> {
        house.objects().into_iter().filter(|object| !self.listed.contains(object)).collect()
    }
}

fn rows(catalog: &Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = catalog.prepare(sql).expect("a statement");
    let columns = statement.column_count();
    let texts = statement.query_map([], |row| {
        (0..columns)
            .map(|at| {
                row.get_ref(at).map(|value| match value {
                    rusqlite::types::ValueRef::Integer(int) => int.to_string(),
                    other => other.as_str().map(str::to_owned).unwrap_or_default(),
                })
            })
            .collect::<rusqlite::Result<Vec<_>>>()
    });
    texts.expect("a query").collect::<rusqlite::Result<_>>().expect("its rows")
}

fn number(catalog: &Connection, sql: &str) -> i64 {
    rows(catalog, sql)[0][0].parse().expect("a number")
}

/// Snapshots are 1, 2, ... up to the head: a count that equals the last of distinct numbers from 1.
fn gap_free_snapshots(catalog: &Connection) -> i64 {
    let row = &rows(
        catalog,
        "select count(*), min(snapshot_id), max(snapshot_id), (select snapshot_id from head) from snapshot",
    )[0];
    assert_eq!(row, &[row[3].clone(), "1".to_owned(), row[3].clone(), row[3].clone()], "snapshots have gaps");
    row[3].parse().expect("a number")
}

fn stale_slices(catalog: &Connection) -> BTreeSet<Slice> {
    rows(
        catalog,
        "select billing_account_id, billing_period || '-01' from slice s join slice_state r on r.slice_id = s.slice_id where r.end_snapshot is null and r.stale_since is not null",
    )
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect()
}

/// Usage, charges and the roll-ups of a slice have the same rows and cost, and the same price.
fn agreeing_layers(text: &str, stale: &BTreeSet<Slice>) -> BTreeMap<Slice, SliceState> {
    let mut layers: BTreeMap<&str, BTreeMap<Slice, (Sums, Units)>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [layer, account, period, n, cost, price] = fields.as_slice() else { panic!("{line} has other columns") };
        let sums = Sums { rows: n.parse().expect("a count"), cost: units(cost) };
        let slice = ((*account).to_owned(), (*period).to_owned());
        layers.entry(layer).or_default().insert(slice, (sums, units(price)));
    }
    let charges = layers.remove("charges").expect("charges");
    for (layer, slices) in &layers {
        assert_eq!(slices.len(), charges.len(), "{layer} and charges have other slices");
        for (slice, (sums, price)) in slices {
            assert_eq!(*sums, charges[slice].0, "{layer} of {slice:?} is not what was charged");
            assert!(*layer == "usage" || *price == charges[slice].1, "{layer} of {slice:?} has another price");
        }
    }
    let state = |(slice, (sums, price)): (Slice, (Sums, Units))| {
        let is_stale = stale.contains(&slice);
        (slice, SliceState { sums, price, is_stale })
    };
    charges.into_iter().map(state).collect()
}

/// Live documents, each with lines that add up to it.
fn whole_invoices(catalog: &Connection) -> BTreeMap<(String, String), Invoice> {
    let lines = rows(
        catalog,
        "select c.invoice_id, l.value ->> 6, l.value ->> 7, l.value ->> 0 from invoice_content c, json_each(c.lines) l",
    );
    let invoices = rows(
        catalog,
        "select invoice_id, seller_node_id, buyer_node_id, number, total, charges_total, content_hash, end_snapshot from invoice",
    );
    let mut live = BTreeMap::new();
    for invoice in &invoices {
        let own: Vec<_> = lines.iter().filter(|line| line[0] == invoice[0]).collect();
        let amounts: Units = own.iter().map(|line| units(&line[1])).sum();
        let charges: Units = own.iter().filter(|line| line[3] != "rounding").map(|line| units(&line[2])).sum();
        assert!(!own.is_empty(), "{} has no lines", invoice[3]);
        assert_eq!(amounts, units(&invoice[4]), "the lines of {} are not its total", invoice[3]);
        assert_eq!(charges, units(&invoice[5]), "the lines of {} are not its charges", invoice[3]);
        assert_eq!(cents(charges), amounts, "{} is not its charges in cents", invoice[3]);
        if invoice[7].is_empty() {
            let document = Invoice { number: invoice[3].clone(), charges, content_hash: invoice[6].clone() };
            let twice = live.insert((invoice[1].clone(), invoice[2].clone()), document);
            assert_eq!(twice, None, "an edge has two documents");
        }
    }
    let known: BTreeSet<&String> = invoices.iter().map(|invoice| &invoice[0]).collect();
    assert!(lines.iter().all(|line| known.contains(&line[0])), "a line belongs to no document");
    live
}

/// Of every series, the numbers that were ever in force are 1, 2, ... and no two documents in force share one.
fn gap_free_numbers(catalog: &Connection, invoices: &BTreeMap<(String, String), Invoice>) {
    let in_force: BTreeSet<&str> = invoices.values().map(|invoice| invoice.number.as_str()).collect();
    assert_eq!(in_force.len(), invoices.len(), "two documents have one number");
    let mut series: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in
        rows(catalog, "select distinct seller_node_id || '/' || buyer_node_id, number from invoice order by number")
    {
        series.entry(row[0].clone()).or_default().push(row[1].clone());
    }
    for (pair, numbers) in series {
        let expected: Vec<String> = (1..=numbers.len()).map(|n| format!("{pair}/{n:04}")).collect();
        assert_eq!(numbers, expected, "the numbers of {pair} have gaps");
    }
}
