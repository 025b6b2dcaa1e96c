//! `ratehouse demo`: real provider files through a three-tier chain to invoices, margins and SQL.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use ratehouse::session::{Answer, Session};
use ratehouse::wire::config::ServeConfig;
use ratehouse::{Error, NewWarehouse, SessionError, Warehouse};

use super::args::Format;
use super::run::serve;
use super::{keep, shell};

/// Where it is made when no directory is named.
const DIRECTORY: &str = "ratehouse-demo";
/// A directory with this file was made by the demo and may be made anew by it.
const MARK: &str = "made-by-ratehouse-demo";
/// The password of every demo login.
const PASSWORD: &str = "demo-password";

macro_rules! embedded {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_bytes!(concat!("../../../data/", $path)).as_slice())),*]
    };
}

/// Provider files, as their providers wrote them.
static PROVIDER_FILES: [(&str, &[u8]); 6] = embedded![
    "azure/EA_ActualCost_Small.csv",
    "azure/EA_AmortizedCost_Small.csv",
    "aws/cur_legacy_sample.csv",
    "oci/oci_cost_report_sample.csv",
    "focus/focus_1_0_sample.csv",
    "focus/synthetic_focus_1_4_cost_and_usage.csv",
];

/// The first rows of one of them as they might come after a spreadsheet had them: two cannot be read.
static DAMAGED: (&str, &[u8]) = embedded!["demo/cur_legacy_damaged.csv"][0];

/// Reference tables, in the order in which they can be filled.
static REFERENCE: [(&str, &[u8]); 8] = embedded![
    "demo/nodes.csv",
    "demo/accounts.csv",
    "demo/attribution_rules.csv",
    "demo/rate_cards.csv",
    "demo/rate_card_versions.csv",
    "demo/rate_rules.csv",
    "demo/charge_policies.csv",
    "demo/fx_rates.csv",
];

static USERS: &str = include_str!("../../../data/demo/users.csv");

const PERIODS: [&str; 5] = ["2023-09", "2023-11", "2024-09", "2024-10", "2026-05"];

/// The same statement for three logins.
const QUESTION: &str = "select service_category, count(*) as charges, round(sum(cost), 2) as cost, cost_currency as currency \
from charges where billing_period = date '2026-05-01' group by service_category, cost_currency order by 3 desc limit 4";

const ASKING: [&str; 3] = ["finance", "finance@harbor", "portal@atlas"];

/// Runs the demo and, unless `once`, serves it.
pub(super) async fn run(directory: Option<PathBuf>, port: u16, once: bool) -> Result<(), Error> {
    let directory = directory.unwrap_or_else(|| DIRECTORY.into());
    let warehouse = make(&directory)?;
    title("1. A distributor, two resellers, five customers, their rate cards");
    let admin = warehouse.session(required(&warehouse, "admin")?);
    load_reference(&admin).await?;
    title("2. A damaged file: what cannot be read is kept with the reason, and no invoice is drafted over it");
    let files = directory.join("provider-files");
    land(&warehouse, &files, [DAMAGED.0]).await?;
    show(&admin, "select source_row, column_name, reason from ops.rejected_rows order by 1").await?;
    if let Err(error) = warehouse.close("2023-11", "admin", false).await {
        println!("{error}\n");
    }
    show(&admin, "select blocker, usage_rows as rows, detail from ops.close_blockers where blocker = 'rejected_rows'")
        .await?;
    title("3. Provider files land and are priced through the tiers; the whole file takes the damaged one's place");
    land(&warehouse, &files, PROVIDER_FILES.map(|(path, _)| path)).await?;
    show(&admin, "select state, count(*) as rejected_rows from ops.rejected_rows group by 1").await?;
    println!("Findings against the FOCUS specification:");
    show(&admin, "select rule, severity, sum(rows) as rows, min(description) as description from ops.quality group by 1, 2 order by 3 desc, 1 limit 6").await?;
    title("4. The months are closed: one invoice per edge of the chain");
    for period in PERIODS {
        println!("\n{period}");
        let report = warehouse.close(period, "admin", false).await?;
        keep::print_invoices(&report)?;
    }
    title("5. Margins by tier, as the distributor sees them");
    let finance = warehouse.session(required(&warehouse, "finance")?);
    show(&finance, "select billing_period, seller_node_id, buyer_node_id, basis, currency, round(sum(cost), 2) as cost, round(sum(price), 2) as price, round(sum(margin), 2) as margin from margins where billing_period >= date '2024-09-01' group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4").await?;
    title("6. One statement, three logins, three answers");
    println!("  {QUESTION};");
    for login in ASKING {
        println!("\n{login}");
        show(&warehouse.session(required(&warehouse, login)?), QUESTION).await?;
    }
    let invoices = write_invoices(&warehouse, &directory)?;
    println!("\n{invoices} invoices are in {}", directory.join("invoices").display());
    if once {
        return Ok(());
    }
    let port = free_port(port)?;
    let config = ServeConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), tokio::runtime::Handle::current());
    println!("\nlogins, all with password {PASSWORD}:");
    show(&admin, "select login, role, node_id from ref.users order by node_id, login").await?;
    println!("  psql \"host=127.0.0.1 port={port} user=finance@harbor dbname=ratehouse password={PASSWORD}\"");
    serve(warehouse, config).await
}

async fn land<const N: usize>(warehouse: &Warehouse, files: &Path, paths: [&str; N]) -> Result<(), Error> {
    let inputs = paths.map(|path| files.join(path).display().to_string());
    for landed in warehouse.land(&inputs, None, "admin", &|_| {}).await? {
        println!("  {}", landed.to_string().replace(&format!("{}/", files.display()), ""));
    }
    Ok(())
}

fn title(text: &str) {
    println!("\n== {text}");
}

/// An empty warehouse; one that the demo made before is made anew.
fn make(directory: &Path) -> Result<Warehouse, Error> {
    let io = |source| Error::Io { path: directory.display().to_string(), source };
    if directory.exists() {
        let is_empty = std::fs::read_dir(directory).map_err(io)?.next().is_none();
        if !is_empty && !directory.join(MARK).exists() {
            return Err(Error::Refused(format!(
                "{} is not a demo and is not touched: name another directory",
                directory.display()
            )));
        }
        std::fs::remove_dir_all(directory).map_err(io)?;
    }
    std::fs::create_dir_all(directory).map_err(io)?;
    std::fs::write(directory.join(MARK), "").map_err(io)?;
    for (path, bytes) in PROVIDER_FILES.into_iter().chain([DAMAGED]) {
        let target = directory.join("provider-files").join(path);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        std::fs::write(&target, bytes).map_err(io)?;
    }
    let new = NewWarehouse {
        root: "meridian".to_owned(),
        currency: "USD".to_owned(),
        admin: "admin".to_owned(),
        verifier: ratehouse::session::verifier_of(PASSWORD)?,
        hot: None,
        cold: None,
    };
    Warehouse::create(directory, &new)
}

fn required(warehouse: &Warehouse, login: &str) -> Result<ratehouse::Principal, Error> {
    warehouse.principal(login)?.ok_or_else(|| Error::Refused(format!("login {login} is missing")))
}

async fn load_reference(admin: &Session) -> Result<(), Error> {
    for (path, bytes) in REFERENCE {
        let table = path.trim_start_matches("demo/").trim_end_matches(".csv");
        let answer = admin.sql(&format!("copy ref.{table} from stdin with (format csv, header)")).await?;
        let Answer::CopyIn(mut copy) = answer else {
            return Err(SessionError::new("XX000", "copy did not ask for rows").into());
        };
        copy.push(bytes)?;
        let tag = admin.finish_copy(copy)?;
        println!("  ref.{table}: {tag}");
    }
    for line in REFERENCE
        .iter()
        .filter(|(path, _)| path.ends_with("rate_card_versions.csv"))
        .flat_map(|(_, bytes)| bytes.split(|b| *b == b'\n'))
        .skip(1)
    {
        let line = String::from_utf8_lossy(line);
        let mut fields = line.split(',');
        if let (Some(card), Some(version)) = (fields.next().filter(|card| !card.is_empty()), fields.next()) {
            admin.sql(&format!("call submit('rate_card_version', '{card}/{version}', 'demo terms')")).await?;
        }
    }
    let active = admin.take_notices().iter().filter(|notice| notice.text.ends_with(" is active")).count();
    println!("  rate card versions: {active} active");
    for line in USERS.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [login, node, role] = fields.as_slice() else { continue };
        if *login != "admin" {
            admin.sql(&format!("create user \"{login}\" password '{PASSWORD}' node '{node}' role {role}")).await?;
        }
    }
    println!("  logins: {}", USERS.lines().skip(1).count());
    Ok(())
}

async fn show(session: &Session, sql: &str) -> Result<(), Error> {
    shell::run_text(session, sql, Format::Table).await
}

fn write_invoices(warehouse: &Warehouse, directory: &Path) -> Result<usize, Error> {
    use ratehouse::billing::{Document, DocumentFormat, Renderer, write_document};
    let renderer = Renderer::new(None);
    let mut count = 0;
    for period in PERIODS {
        let documents = warehouse.catalog().read::<_, Error>(|tx| {
            Ok(Document::of_period(tx, period.parse().map_err(ratehouse::billing::BillingError::from)?)?)
        })?;
        for document in &documents {
            let path = directory.join("invoices").join(document.relative_path(DocumentFormat::Html));
            write_document(document, DocumentFormat::Html, &renderer, &path)?;
            count += 1;
        }
    }
    std::io::stdout().flush().map_err(|source| Error::Io { path: "standard output".to_owned(), source })?;
    Ok(count)
}

/// The port, or the next free one of the hundred after it.
fn free_port(wanted: u16) -> Result<u16, Error> {
    (wanted..wanted.saturating_add(100))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| Error::Refused(format!("no port from {wanted} on is free: choose one with --port")))
}
