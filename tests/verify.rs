//! What `verify` must notice: any row of the catalog that was edited, taken away or added behind the program's back; and what
//! it must not: anything that the program does.

use ratehouse::Warehouse;
use ratehouse::catalog::{CatalogError, audit};
use rusqlite::Connection;

use crate::fixture::{Fixture, Line, focus, run};

/// Tables that the audit does not cover: the names and types of the lake's columns are the program's, and what collection has seen
/// and still asks is of no snapshot.
const NOT_COVERED: [&str; 12] = [
    "alert",
    "alert_delivery",
    "alert_look",
    "collection_allowance",
    "collection_answer",
    "collection_delivery",
    "collection_item",
    "collection_log",
    "collection_request",
    "collection_run",
    "collection_source",
    "lake_column",
];

async fn assert_sound(fixture: &Fixture, after: &str) {
    let verified = fixture.warehouse.verify().await.expect("it can be read");
    assert_eq!(verified.problems, Vec::<String>::new(), "after {after}");
}

/// Logins, terms and deliveries that came, changed and went: every table has rows, live and ended ones where it has both.
async fn lived_in() -> Fixture {
    let fixture = Fixture::chain().await;
    let admin = fixture.admin();
    fixture.copy("fx_rates", "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\na,market,USD,EUR,2025-01-01,0.9\nb,market,USD,JPY,2025-01-01,150\n").await;
    fixture
        .copy("approval_rules", "rule_id,kind,seller_node_id,role\nr1,invoice,acme,finance\nr2,invoice,bolt,finance\n")
        .await;
    fixture
        .copy(
            "adjustment_policies",
            "policy_id,seller_node_id,buyer_node_id,method\na,north,,note\nb,south,core,wait\n",
        )
        .await;
    fixture.copy("attribution_rules", "rule_id,owner_node_id,tag_key,node_id\nt,north,team,acme\n").await;
    fixture.copy("sources", "name,kind,location\na,folder,/a\nb,folder,/b\n").await;
    fixture.copy("pools", "owner_node_id,pool_id,method\nnorth,net,even\n").await;
    fixture.copy("pool_shares", "owner_node_id,pool_id,node_id\nnorth,net,acme\n").await;
    let drivers =
        "owner_node_id,driver,node_id,quantity,valid_from,valid_to\nnorth,cores,acme,1,2025-10-01,2025-11-01\n";
    fixture.copy("drivers", drivers).await;
    fixture.copy("driver_rules", "owner_node_id,rule_id,namespace,node_id\nnorth,r,shop,acme\n").await;
    fixture.copy("charge_policies", "node_id,charge_category,policy\nnorth,Tax,pass\n").await;
    fixture.copy("commitment_policies", "policy_id,commitment_id,valid_from\np,sp-1,2029-01-01\n").await;
    fixture.copy("nodes", "node_id,parent_id,kind,name,currency\nlater,south,customer,Later,USD\n").await;
    fixture.copy("licences", "seller_node_id,licence_id,node_id,product,seats,unit_price,currency,valid_from\nnorth,l,acme,Office,1,5,USD,2029-01-01\n").await;
    fixture
        .copy(
            "contracts",
            "seller_node_id,contract_id,buyer_node_id,currency,valid_from\ndist,c,north,USD,2029-01-01\n",
        )
        .await;
    fixture
        .copy("tag_policies", "owner_node_id,policy_id,policy\nnorth,p,\"{\"\"tags\"\": {\"\"team\"\": {}}}\"\n")
        .await;
    fixture
        .copy(
            "planned_changes",
            "owner_node_id,plan_id,node_id,change_type,value,valid_from\nnorth,launch,acme,percent,20,2029-01-01\n",
        )
        .await;
    fixture.copy("budgets", "owner_node_id,budget_id,amount,currency,valid_from\nnorth,b,100,USD,2029-01-01\n").await;
    fixture.copy("holidays", "country,holiday_date,name\nDE,2029-05-01,Tag der Arbeit\n").await;
    fixture.copy("thresholds", "owner_node_id,threshold_id,rule,min_impact\nnorth,t,anomalies,5\n").await;
    fixture.copy("alert_targets", "owner_node_id,target_id,url\nnorth,hook,https://hook.example/\n").await;
    fixture.copy("margin_targets", "owner_node_id,node_id,target_pct\nnorth,acme,5\n").await;
    fixture.copy("virtual_tags", "owner_node_id,rule_id,virtual_key,virtual_value\nnorth,v,team,red\n").await;
    fixture.copy("time_entries", "seller_node_id,entry_id,node_id,project,engineer,worked_at,hours,rate,currency\nnorth,t,acme,P,ada,2029-01-01,1,5,USD\n").await;
    fixture
        .copy(
            "quotes",
            "seller_node_id,quote_id,node_id,project,amount,currency,quoted_at\nnorth,q,acme,P,5,USD,2029-01-01\n",
        )
        .await;
    fixture
        .copy(
            "credits",
            "credit_id,seller_node_id,node_id,source,amount,currency,valid_from\nc,dist,acme,P,5,USD,2029-01-01\n",
        )
        .await;
    fixture.copy("credit_policies", "node_id,policy\nnorth,retain\n").await;
    run(&admin, "update ref.credits set source = 'Programme'").await;
    for table in ["time_entries", "quotes"] {
        run(&admin, &format!("update ref.{table} set project = 'Move'")).await;
    }
    for table in [
        "attribution_rules",
        "charge_policies",
        "commitment_policies",
        "pools",
        "pool_shares",
        "drivers",
        "driver_rules",
        "licences",
        "contracts",
        "credit_policies",
        "tag_policies",
        "virtual_tags",
        "planned_changes",
        "budgets",
        "thresholds",
        "margin_targets",
    ] {
        run(&admin, &format!("update ref.{table} set valid_to = '2030-01-01'")).await;
    }
    for statement in [
        "update ref.nodes set name = 'Acme Inc' where node_id = 'acme'",
        "update ref.accounts set valid_to = '2035-01-01' where node_id = 'bolt'",
        "delete from ref.nodes where node_id = 'later'",
        "update ref.holidays set name = 'Maifeiertag'",
        "delete from ref.fx_rates where fx_rate_id = 'a'",
        "delete from ref.approval_rules where rule_id = 'r2'",
        "delete from ref.adjustment_policies where policy_id = 'b'",
        "delete from ref.sources where name = 'a'",
        "update ref.alert_targets set enabled = false",
        "create user \"gone\" password 'long enough' node 'north' role portal",
        "alter user \"gone\" password 'longer than that'",
        "alter user \"gone\" role finance",
        "drop user \"gone\"",
    ] {
        run(&admin, statement).await;
    }
    assert_sound(&fixture, "reference data and logins").await;
    // Graduated prices for core: its slice has band totals.
    fixture
        .copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nbands,south,core,USD,Bands\n")
        .await;
    run(&admin, "update ref.rate_cards set name = 'By the hour' where card_id = 'bands'").await;
    fixture.copy("rate_card_versions", "card_id,version\nbands,1\n").await;
    fixture.copy("rate_rules", "card_id,version,rule_id,method,bands\nbands,1,all,graduated,\"[{\"\"up_to\"\": null, \"\"price\"\": \"\"0.08\"\"}]\"\n").await;
    run(&admin, "update ref.rate_rules set priority = 1 where card_id = 'bands'").await;
    fixture.activate("bands", "1").await;
    let bad = Line { billed: "12,5", ..Line::usage("a-bolt", "12.5") };
    let path = fixture.file("october.csv", &focus(&[Line::usage("a-acme", "100"), Line::usage("a-core", "4"), bad]));
    fixture.land_path(&path).await.expect("it lands");
    assert_sound(&fixture, "landing").await;
    let all = [Line::usage("a-acme", "100"), Line::usage("a-bolt", "12.5"), Line::usage("a-core", "4")];
    fixture.land("october-2.csv", &all).await;
    run(&admin, "update ref.accounts set node_id = 'bolt' where sub_account_id = 'a-acme'").await;
    run(&admin, "call refresh()").await;
    assert_sound(&fixture, "replacing and refreshing").await;
    run(&admin, "call close_period('2025-10')").await;
    fixture.land("october-3.csv", &all[1..]).await;
    run(&admin, "call close_period('2025-10')").await;
    assert_sound(&fixture, "closing twice").await;
    run(&admin, "call issue_invoices('2025-10')").await;
    let november = Line { period: "2025-11", from: "2025-11-05T00:00:00Z", to: "2025-11-05T01:00:00Z", ..bad };
    let path = fixture.file("november.csv", &focus(&[Line { billed: "1", ..november }, november]));
    fixture.land_path(&path).await.expect("it lands");
    assert_sound(&fixture, "issuing").await;
    fixture.land("october-4.csv", &[Line::usage("a-bolt", "13"), Line::usage("a-core", "4")]).await;
    run(&admin, "call submit('adjustment', 'north/bolt/2025-10', 'restated')").await;
    run(&fixture.session("finance"), "call approve('adjustment', 'north/bolt/2025-10', 'seen')").await;
    assert_sound(&fixture, "correcting").await;
    say(&fixture).await;
    assert_sound(&fixture, "what providers say").await;
    collect(&fixture).await;
    run(&admin, "call refresh(1)").await;
    assert_sound(&fixture, "collecting").await;
    fixture
}

/// Billing periods, an invoice and a commitment of another provider, what OpenCost measured and a metric, each said twice.
async fn say(fixture: &Fixture) {
    let (start, end) = ("2025-08-01T00:00:00Z", "2025-09-01T00:00:00Z");
    for (time, amount) in [("first", "1.5"), ("second", "2.5")] {
        let status = if time == "first" { "Open" } else { "Closed" };
        let period = format!(
            "InvoiceIssuerName,BillingPeriodStart,BillingPeriodEnd,BillingPeriodStatus,BillingPeriodCreated,BillingPeriodLastUpdated\nInitech,{start},{end},{status},{start},{start}\n"
        );
        let invoice = format!(
            "InvoiceIssuerName,BillingAccountId,InvoiceId,InvoiceDetailId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,BilledCost,BillingCurrency,InvoiceIssueStatus\n\
             Initech,Z,I-1,1,{start},{end},Usage,{amount},USD,Issued\n"
        );
        let commitment = format!(
            "ContractCommitmentId,ContractId,InvoiceIssuerName,ServiceProviderName,ContractCommitmentPeriodStart,ContractCommitmentPeriodEnd,ContractCommitmentCost\n\
             c-1,k-1,Initech,Initech,{start},{end},{amount}\n"
        );
        let allocation = format!(
            "name,window.start,window.end,cpuCoreHours,ramByteHours,properties.cluster,properties.providerID\npod,{start},2025-08-02T00:00:00Z,{amount},1,prod,vm-1\n"
        );
        let metric =
            format!("driver,node_id,quantity,valid_from,valid_to\norders,acme,{amount},{start},2025-08-02T00:00:00Z\n");
        let said = [
            ("period", period),
            ("invoice", invoice),
            ("commitment", commitment),
            ("allocation", allocation),
            ("metric", metric),
        ];
        for (name, content) in said {
            let path = fixture.file(&format!("{time}-{name}.csv"), &content);
            fixture.land_path(&path).await.expect("it lands");
        }
    }
}

/// Collects what no pin keeps, at once.
async fn collect(fixture: &Fixture) {
    std::fs::write(fixture.path().join("ratehouse.toml"), "keep_replaced_days = 0\n")
        .expect("the settings are written");
    let warehouse = Warehouse::open(fixture.path()).expect("the warehouse opens");
    let removed = warehouse.collect_garbage("system").await.expect("it can be collected");
    assert!(removed.replaced > 0, "nothing was collected");
}

/// A catalog under a second pair of hands, which puts back what it changed.
struct Tampered<'a> {
    fixture: &'a Fixture,
    connection: Connection,
}

/// A column as SQLite knows it.
struct Column {
    name: String,
    is_text: bool,
    is_key: bool,
}

impl<'a> Tampered<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        let connection = Connection::open(fixture.path().join("catalog.sqlite")).expect("it is a SQLite file");
        connection.execute_batch("pragma synchronous = off; attach ':memory:' as kept").expect("a place to keep rows");
        Self { fixture, connection }
    }

    fn tables(&self) -> Vec<String> {
        let sql = "select name from sqlite_master where type = 'table' order by name";
        let mut statement = self.connection.prepare(sql).expect("a statement");
        let names = statement.query_map([], |row| row.get::<_, String>(0)).expect("names");
        names.map(|name| name.expect("a name")).filter(|name| !NOT_COVERED.contains(&name.as_str())).collect()
    }

    fn columns(&self, table: &str) -> Vec<Column> {
        let sql = "select name, type, pk from pragma_table_info(?1)";
        let mut statement = self.connection.prepare(sql).expect("a statement");
        let columns = statement.query_map([table], |row| {
            let stored: String = row.get(1)?;
            Ok(Column { name: row.get(0)?, is_text: stored == "text", is_key: row.get::<_, i64>(2)? > 0 })
        });
        columns.expect("columns").map(|column| column.expect("a column")).collect()
    }

    /// What the audit finds while the statement's effect is there; none where a constraint refuses it.
    fn found(&self, table: &str, sql: &str) -> Option<Vec<CatalogError>> {
        let keep = format!("create table kept.{table} as select * from main.{table} order by rowid");
        self.connection.execute(&keep, []).expect("rows are kept");
        let done = self.connection.execute(sql, []);
        let found = match &done {
            Ok(rows) => {
                assert!(*rows > 0, "{sql} changed nothing");
                Some(self.fixture.warehouse.catalog().read(audit).map_or_else(|e| vec![e], |audit| audit.problems))
            }
            Err(error) => {
                let code = error.sqlite_error_code();
                assert_eq!(code, Some(rusqlite::ErrorCode::ConstraintViolation), "{sql}: {error}");
                None
            }
        };
        let restore = format!(
            "delete from main.{table}; insert into main.{table} select * from kept.{table} order by rowid; drop table kept.{table}"
        );
        self.connection.execute_batch(&restore).expect("rows are put back");
        found
    }

    /// The statement must be noticed, in the table or as a break of the chain. Says whether the database let it pass.
    fn must_notice(&self, table: &str, sql: &str) -> bool {
        let Some(found) = self.found(table, sql) else { return false };
        let listed = match table {
            "removed_file" => "data_file",
            "head" | "snapshot_change" => "snapshot",
            other => other,
        };
        let names_it = found.iter().any(|problem| match problem {
            CatalogError::Altered { relation, .. } | CatalogError::Unrecorded { relation } => relation == listed,
            CatalogError::Chain { .. } => matches!(table, "snapshot" | "snapshot_change" | "head"),
            _ => false,
        });
        assert!(names_it, "{sql}: {found:?}");
        true
    }
}

#[tokio::test]
async fn any_edit_of_any_row_is_noticed() {
    let fixture = lived_in().await;
    let hands = Tampered::new(&fixture);
    let tables = hands.tables();
    assert_eq!(tables.len(), 59, "{tables:?}");
    for table in &tables {
        // What is of no snapshot: the version of the tables and where the directory is.
        let covered = if table == "setting" { "where begin_snapshot is not null" } else { "" };
        let columns = hands.columns(table);
        for end in ["asc", "desc"] {
            let row = format!("rowid = (select rowid from {table} {covered} order by rowid {end} limit 1)");
            for Column { name, is_text, .. } in &columns {
                let other =
                    if *is_text { format!("coalesce({name}, '') || 'x'") } else { format!("coalesce({name}, 0) + 1") };
                let edits = [&other, "x'00'"].map(|value| format!("update {table} set {name} = {value} where {row}"));
                let passed = edits.iter().filter(|edit| hands.must_notice(table, edit)).count();
                assert!(passed > 0, "{table}.{name} was not edited");
            }
            hands.must_notice(table, &format!("delete from {table} where {row}"));
        }
        let values: Vec<String> = columns
            .iter()
            .map(|Column { name, is_text, is_key }| match (*is_key, *is_text) {
                (false, _) => name.clone(),
                (true, true) => format!("{name} || 'x'"),
                (true, false) => format!("{name} + 1"),
            })
            .collect();
        let values = values.join(", ");
        let add = format!("insert into {table} select {values} from {table} {covered} order by rowid desc limit 1");
        hands.must_notice(table, &add);
    }
    assert_sound(&fixture, "putting everything back").await;
}

#[tokio::test]
async fn a_row_that_is_brought_back_or_ended_is_noticed() {
    let fixture = lived_in().await;
    let hands = Tampered::new(&fixture);
    let mut refused = Vec::new();
    for table in hands.tables() {
        if !hands.columns(&table).iter().any(|column| column.name == "end_snapshot") || table == "removed_file" {
            continue;
        }
        let row = |condition: &str| {
            format!("rowid = (select rowid from {table} where end_snapshot is {condition} order by rowid limit 1)")
        };
        assert!(hands.must_notice(&table, &format!("update {table} set end_snapshot = 3 where {}", row("null"))));
        if !hands.must_notice(&table, &format!("update {table} set end_snapshot = null where {}", row("not null"))) {
            refused.push(table.clone());
        }
    }
    // The database itself keeps a slice's state single.
    assert_eq!(refused, ["slice_state"]);
}

#[tokio::test]
async fn the_report_names_table_and_snapshot_and_no_value() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    let head = || fixture.warehouse.catalog().head().expect("a head");
    for (name, base) in [("first", "CHF"), ("second", "EUR"), ("third", "GBP")] {
        let row = format!(
            "fx_rate_id,source,base_currency,quote_currency,valid_from,rate\n{name},market,{base},USD,2025-01-01,1.5\n"
        );
        fixture.copy("fx_rates", &row).await;
    }
    let last = head();
    run(&admin, "call close_period('2025-10')").await;
    let closed = head();
    assert_sound(&fixture, "a close").await;
    let hands = Tampered::new(&fixture);
    let edit = "update ref_fx_rates set rate = '7.7' where fx_rate_id in ('second', 'third')";
    assert_eq!(hands.connection.execute(edit, []).expect("they are edited"), 2);
    // Each was a commit of its own: the second is the one before the last.
    let verified = fixture.warehouse.verify().await.expect("it can be read");
    let edited = |table: &str, snapshot| {
        format!(
            "table {table} is not what snapshot {snapshot} made of it: catalog.sqlite was edited outside Ratehouse; restore a backup"
        )
    };
    assert_eq!(verified.problems, [edited("ref_fx_rates", last - 1)]);
    let restore = "update ref_fx_rates set rate = '1.5' where fx_rate_id in ('second', 'third')";
    assert_eq!(hands.connection.execute(restore, []).expect("they are put back"), 2);
    assert_sound(&fixture, "putting it back").await;
    // A document's line is covered by the document's own hash too.
    let edit = "update invoice_content set lines = replace(lines, 'usage', 'something else') where invoice_id = (select invoice_id from invoice where number = 'south/core/0001')";
    assert_eq!(hands.connection.execute(edit, []).expect("it is edited"), 1);
    let verified = fixture.warehouse.verify().await.expect("it can be read");
    let content = "invoice south/core/0001 does not match its content hash".to_owned();
    assert_eq!(verified.problems, [edited("invoice_content", closed), content]);
}
