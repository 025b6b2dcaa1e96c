//! What tests begin with: a warehouse in a directory of its own, reference rows as CSV text,
//! usage as hand-made FOCUS lines; and SQL answers as text.

use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{Months, NaiveDate};
use futures::TryStreamExt;
use ratehouse::session::{Answer, Session};
use ratehouse::warehouse::Landed;
use ratehouse::{Error, NewWarehouse, SessionError, Warehouse};
use tempfile::TempDir;

/// The password of every login.
pub(crate) const PASSWORD: &str = "correct horse";

/// A warehouse that goes away with the test.
pub(crate) struct Fixture {
    pub(crate) warehouse: Warehouse,
    directory: TempDir,
}

impl Fixture {
    /// The root `dist` (USD) and its login `admin`, nothing else.
    pub(crate) fn empty() -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let warehouse = create(directory.path(), "dist");
        Self { warehouse, directory }
    }

    /// The same warehouse again: same rows, same secret. Statements run on one thread, so that rows come in one order.
    pub(crate) fn copy_of(&self) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        copy_directory(self.directory.path(), directory.path());
        std::fs::write(directory.path().join("ratehouse.toml"), "threads = 1\n").expect("a file");
        let warehouse = Warehouse::open(directory.path()).expect("a warehouse");
        Self { warehouse, directory }
    }

    /// The same directory, opened anew.
    pub(crate) fn reopened(self) -> Self {
        let Self { warehouse, directory } = self;
        drop(warehouse);
        Self { warehouse: Warehouse::open(directory.path()).expect("a warehouse"), directory }
    }

    /// The root with nodes below it: `node,parent,kind` a line.
    pub(crate) async fn with_nodes(lines: &str) -> Self {
        let fixture = Self::empty();
        fixture.nodes(lines).await;
        fixture
    }

    /// The tree that most tests use, with cards but without usage:
    ///
    /// ```text
    /// dist
    /// ├── north   reseller, buys at cost + 10 %, sells at + 50 %
    /// │   ├── acme    customer, account a-acme
    /// │   └── bolt    customer, account a-bolt
    /// └── south   reseller, buys at cost + 20 %, sells at + 100 %
    ///     └── core    customer, account a-core
    /// ```
    pub(crate) async fn chain() -> Self {
        let fixture = Self::empty();
        fixture.nodes("north,dist,reseller\nsouth,dist,reseller\nacme,north,customer\nbolt,north,customer\ncore,south,customer").await;
        fixture.accounts("a-acme,acme\na-bolt,bolt\na-core,core\na-north,north").await;
        fixture.chain_cards().await;
        for (login, node, role) in [
            ("finance", "dist", "finance"),
            ("auditor", "dist", "auditor"),
            ("admin@north", "north", "admin"),
            ("finance@north", "north", "finance"),
            ("finance@south", "south", "finance"),
            ("portal@acme", "acme", "portal"),
        ] {
            fixture.user(login, node, role).await;
        }
        fixture
    }

    /// All at once: each copy is a commit, and this one is made for nearly every test.
    async fn chain_cards(&self) {
        let cards = [
            ("wholesale-north", "dist,north", "10"),
            ("wholesale-south", "dist,south", "20"),
            ("retail-north", "north,", "50"),
            ("retail-south", "south,", "100"),
        ];
        let lines = |header: &str, line: &dyn Fn(&(&str, &str, &str)) -> String| {
            let lines: String = cards.iter().map(line).collect();
            format!("{header}\n{lines}")
        };
        let rows = lines("card_id,seller_node_id,buyer_node_id,currency,name", &|(card, edge, _)| {
            format!("{card},{edge},USD,{card}\n")
        });
        self.copy("rate_cards", &rows).await;
        self.copy("rate_card_versions", &lines("card_id,version", &|(card, ..)| format!("{card},1\n"))).await;
        let rows = lines("card_id,version,rule_id,method,value", &|(card, _, percent)| {
            format!("{card},1,all,markup_pct,{percent}\n")
        });
        self.copy("rate_rules", &rows).await;
        for (card, ..) in cards {
            self.activate(card, "1").await;
        }
    }

    /// The same with a line for each account in the period 2025-10: 100 for acme, 200 for bolt,
    /// 400 for core, 10 for north itself.
    pub(crate) async fn chain_with_usage() -> Self {
        let fixture = Self::chain().await;
        let lines = [
            Line::usage("a-acme", "100"),
            Line::usage("a-bolt", "200"),
            Line::usage("a-core", "400"),
            Line::usage("a-north", "10"),
        ];
        fixture.land("october.csv", &lines).await;
        fixture
    }

    /// Nodes in USD: `node,parent,kind` a line.
    pub(crate) async fn nodes(&self, lines: &str) {
        let rows: String =
            lines.lines().map(|line| format!("{line},{},USD\n", line.split(',').next().unwrap_or_default())).collect();
        self.copy("nodes", &format!("node_id,parent_id,kind,name,currency\n{rows}")).await;
    }

    /// Sub accounts of Globex' billing account B1: `sub account,node` a line.
    pub(crate) async fn accounts(&self, lines: &str) {
        let rows: String = lines.lines().map(|line| format!("Globex,B1,{line}\n")).collect();
        self.copy("accounts", &format!("provider_name,billing_account_id,sub_account_id,node_id\n{rows}")).await;
    }

    /// A card with one version and one rule for everything, active.
    pub(crate) async fn card(&self, card: &str, seller: &str, buyer: &str, method: &str, value: &str) {
        self.copy(
            "rate_cards",
            &format!("card_id,seller_node_id,buyer_node_id,currency,name\n{card},{seller},{buyer},USD,{card}\n"),
        )
        .await;
        self.version(card, "1,2000-01-01,", &format!("all,{method},{value}\n")).await;
    }

    /// A version (`number,from,to`) with rules (`rule,method,value` a line), active.
    pub(crate) async fn version(&self, card: &str, version: &str, rules: &str) {
        self.copy("rate_card_versions", &format!("card_id,version,valid_from,valid_to\n{card},{version}\n")).await;
        let number = version.split(',').next().unwrap_or_default();
        let rules: String = rules.lines().map(|rule| format!("{card},{number},{rule}\n")).collect();
        self.copy("rate_rules", &format!("card_id,version,rule_id,method,value\n{rules}")).await;
        self.activate(card, number).await;
    }

    /// Submits a version that needs no approval.
    pub(crate) async fn activate(&self, card: &str, number: &str) {
        run(&self.admin(), &format!("call submit('rate_card_version', '{card}/{number}', 'agreed')")).await;
    }

    /// Makes a login.
    pub(crate) async fn user(&self, login: &str, node: &str, role: &str) {
        run(&self.admin(), &format!("create user \"{login}\" password '{PASSWORD}' node '{node}' role {role}")).await;
    }

    /// Loads CSV text with a header into a reference table, as the root's admin.
    pub(crate) async fn copy(&self, table: &str, csv: &str) -> String {
        copy(&self.admin(), table, csv).await.expect("the rows are right")
    }

    pub(crate) fn session(&self, login: &str) -> Session {
        let principal = self.warehouse.principal(login).expect("the catalog is there");
        self.warehouse.session(principal.expect("the login is there"))
    }

    pub(crate) fn admin(&self) -> Session {
        self.session("admin")
    }

    /// The path of a provider file with that content.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join("incoming").join(name);
        let folder = path.parent().expect("a file is in a folder");
        std::fs::create_dir_all(folder).expect("the folder can be made");
        std::fs::write(&path, content).expect("the file can be written");
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Lands lines that are all right.
    pub(crate) async fn land(&self, name: &str, lines: &[Line<'_>]) -> Landed {
        let path = self.file(name, &focus(lines));
        self.land_path(&path).await.expect("the delivery is right").remove(0)
    }

    pub(crate) async fn land_path(&self, path: &Path) -> Result<Vec<Landed>, Error> {
        self.warehouse.land(&[path.display().to_string()], None, "admin", &|_| {}).await
    }
}

fn copy_directory(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            // Temporary files are of the process that has it open.
            if entry.file_name() != "tmp" {
                std::fs::create_dir(&target).expect("a new directory");
                copy_directory(&entry.path(), &target);
            }
        } else {
            std::fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}

/// A new warehouse whose root's admin is `admin`.
pub(crate) fn create(directory: &Path, root: &str) -> Warehouse {
    let new = NewWarehouse {
        root: root.to_owned(),
        currency: "USD".to_owned(),
        admin: "admin".to_owned(),
        verifier: ratehouse::session::verifier_of(PASSWORD).expect("the password is long enough"),
        hot: None,
        cold: None,
    };
    Warehouse::create(directory, &new).expect("the directory is empty")
}

/// One line of a FOCUS 1.2 file.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) billing: &'a str,
    pub(crate) account: &'a str,
    pub(crate) period: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) category: &'a str,
    /// `Correction`, or nothing.
    pub(crate) class: &'a str,
    pub(crate) description: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) service_category: &'a str,
    pub(crate) service: &'a str,
    pub(crate) sku: &'a str,
    pub(crate) quantity: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) billed: &'a str,
    pub(crate) effective: &'a str,
    pub(crate) list: &'a str,
    pub(crate) tags: &'a str,
    /// A reservation or savings plan, and `Used` or `Unused` where it covered the line or was left unused.
    pub(crate) commitment: &'a str,
    pub(crate) status: &'a str,
}

impl<'a> Line<'a> {
    /// One hour of compute on 5 October 2025 for a sub account of Globex' billing account B1.
    pub(crate) fn usage(account: &'a str, cost: &'a str) -> Self {
        Line {
            billing: "B1",
            account,
            period: "2025-10",
            from: "2025-10-05T00:00:00Z",
            to: "2025-10-05T01:00:00Z",
            category: "Usage",
            class: "",
            description: "",
            resource: "",
            service_category: "Compute",
            service: "Machines",
            sku: "M1",
            quantity: "1",
            unit: "Hours",
            billed: cost,
            effective: cost,
            list: cost,
            tags: "",
            commitment: "",
            status: "",
        }
    }

    /// The same over the whole of October 2025.
    pub(crate) fn october(account: &'a str, cost: &'a str) -> Self {
        Line { from: "2025-10-01T00:00:00Z", to: "2025-11-01T00:00:00Z", ..Self::usage(account, cost) }
    }

    fn fields(&self) -> Vec<String> {
        let first = NaiveDate::parse_from_str(&format!("{}-01", self.period), "%Y-%m-%d").expect("a period is a month");
        let next = first + Months::new(1);
        [
            self.billed,
            self.billing,
            "USD",
            &format!("{next}T00:00:00Z"),
            &format!("{first}T00:00:00Z"),
            self.category,
            self.description,
            self.from,
            self.to,
            self.effective,
            self.effective,
            "I-1",
            self.list,
            if self.status.is_empty() { "Standard" } else { "Committed" },
            self.quantity,
            self.unit,
            "Globex",
            self.resource,
            self.service_category,
            self.service,
            self.sku,
            self.account,
            self.tags,
            self.commitment,
            self.status,
            self.class,
        ]
        .map(|field| format!("\"{}\"", field.replace('"', "\"\"")))
        .to_vec()
    }
}

const FOCUS_HEADER: &str = "BilledCost,BillingAccountId,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargeDescription,\
ChargePeriodStart,ChargePeriodEnd,ContractedCost,EffectiveCost,InvoiceId,ListCost,PricingCategory,PricingQuantity,PricingUnit,ProviderName,\
ResourceId,ServiceCategory,ServiceName,SkuId,SubAccountId,Tags,CommitmentDiscountId,CommitmentDiscountStatus,ChargeClass";

/// The lines as a FOCUS 1.2 file.
pub(crate) fn focus(lines: &[Line<'_>]) -> String {
    let rows: String = lines.iter().map(|line| line.fields().join(",") + "\n").collect();
    format!("{FOCUS_HEADER}\n{rows}")
}

/// A statement's answer; rows are texts joined by `|`.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<String>,
    pub(crate) tag: String,
}

/// Runs a statement.
pub(crate) async fn ask(session: &Session, sql: &str) -> Result<Shown, SessionError> {
    let empty = |tag| Shown { columns: Vec::new(), rows: Vec::new(), tag };
    match session.sql(sql).await? {
        Answer::Rows { schema, stream } | Answer::CopyOut { schema, stream, .. } => {
            let batches: Vec<RecordBatch> = match stream.try_collect().await {
                Ok(batches) => batches,
                Err(error) => {
                    session.fail_transaction();
                    return Err(error.into());
                }
            };
            let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
            let rows = batches.iter().flat_map(texts).collect();
            Ok(Shown { columns, rows, tag: "SELECT".to_owned() })
        }
        Answer::Done { tag } => Ok(empty(tag)),
        Answer::CopyIn(copy) => Ok(empty(format!("COPY IN {}", copy.columns.len()))),
    }
}

fn texts(batch: &RecordBatch) -> Vec<String> {
    (0..batch.num_rows())
        .map(|row| {
            let cells: Vec<String> = batch.columns().iter().map(|column| cell(column.as_ref(), row)).collect();
            cells.join("|")
        })
        .collect()
}

/// A value as text: decimals without trailing zeros, null as `null`.
pub(crate) fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "null".to_owned();
    }
    let text = ArrayFormatter::try_new(column, &FormatOptions::default())
        .expect("the type can be shown")
        .value(row)
        .to_string();
    if column.data_type().is_decimal() && text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// The rows of a query that is right.
pub(crate) async fn rows(session: &Session, sql: &str) -> Vec<String> {
    match ask(session, sql).await {
        Ok(shown) => shown.rows,
        Err(error) => panic!("{sql}\n{} {error}", error.sqlstate),
    }
}

/// Runs a statement that is right and gives its tag.
pub(crate) async fn run(session: &Session, sql: &str) -> String {
    match ask(session, sql).await {
        Ok(shown) => shown.tag,
        Err(error) => panic!("{sql}\n{} {error}", error.sqlstate),
    }
}

/// The error of a statement that must be refused.
pub(crate) async fn refused(session: &Session, sql: &str) -> SessionError {
    match ask(session, sql).await {
        Ok(shown) => panic!("{sql}\nwas not refused: {shown:?}"),
        Err(error) => error,
    }
}

/// Loads CSV text with a header into a reference table.
pub(crate) async fn copy(session: &Session, table: &str, csv: &str) -> Result<String, SessionError> {
    let statement = format!("copy ref.{table} from stdin with (format csv, header)");
    let Answer::CopyIn(mut copy) = session.sql(&statement).await? else {
        panic!("copy from stdin takes rows");
    };
    copy.push(csv.as_bytes())?;
    let done = session.finish_copy(copy);
    if done.is_err() {
        session.fail_transaction();
    }
    done
}
