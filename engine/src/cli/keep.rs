//! Commands of operators: land, close, verify, logins.

use std::io::IsTerminal;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use ratehouse::alerts::Alerter;
use ratehouse::collect::{Collector, Which};
use ratehouse::period::BillingPeriod;
use ratehouse::security::policy::{RELATIONS, Role};
use ratehouse::session::Session;
use ratehouse::{Error, Warehouse};

use super::args::Format;
use super::output::write_table;
use super::shell;

/// Who acts when the command line does.
fn actor(warehouse: &Warehouse) -> Result<String, Error> {
    Ok(warehouse.root_admin()?.map_or_else(|| "system".to_owned(), |admin| admin.login))
}

fn json<T: serde::Serialize>(value: &T) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Refused(error.to_string()))?;
    println!("{text}");
    Ok(())
}

/// `land`.
pub(super) async fn land(
    warehouse: &Warehouse,
    files: &[String],
    source: Option<&str>,
    as_json: bool,
) -> Result<(), Error> {
    let bar = std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} rows, {per_sec}") {
            bar.set_style(style);
        }
        bar
    });
    let landed = warehouse
        .land(files, source, &actor(warehouse)?, &|progress| {
            if let Some(bar) = &bar {
                bar.set_position(progress.rows);
            }
        })
        .await;
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let landed = landed?;
    if as_json {
        return json(&landed);
    }
    for delivery in &landed {
        println!("{delivery}");
    }
    Ok(())
}

/// `collect`.
pub(super) async fn collect(warehouse: &Warehouse, name: Option<&str>, as_json: bool) -> Result<(), Error> {
    let which = name.map_or(Which::Due, Which::Named);
    let collected = Collector::new(warehouse).collect(which).await?;
    if as_json {
        json(&collected)?;
    } else if collected.is_empty() {
        println!("no source is due; ops.freshness says when each is");
    } else {
        for source in &collected {
            println!("{source}");
        }
    }
    let failed: Vec<&str> = collected.iter().filter(|c| c.is_failure()).map(|c| c.source.as_str()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!("not everything could be collected from {}", failed.join(", "))))
}

/// `alert`.
pub(super) async fn alert(warehouse: &Warehouse, as_json: bool) -> Result<(), Error> {
    let round = Alerter::new(warehouse).round().await?;
    if as_json {
        json(&round)?;
    } else {
        println!("{} alerts raised, {} deliveries sent", round.raised, round.sent);
        for reason in &round.postponed {
            println!("tried again later: {reason}");
        }
        for reason in &round.failed {
            println!("given up: {reason}");
        }
    }
    if round.failed.is_empty() {
        return Ok(());
    }
    Err(Error::Refused("not everything could be delivered: ops.alert_deliveries says what".to_owned()))
}

/// `close`.
pub(super) async fn close(warehouse: &Warehouse, period: &str, dry_run: bool, as_json: bool) -> Result<(), Error> {
    let report = match warehouse.close(period, &actor(warehouse)?, dry_run).await {
        Err(Error::Billing(ratehouse::billing::BillingError::Blocked { blockers, .. })) => {
            if as_json {
                json(&blockers)?;
            } else {
                print_blockers(&blockers)?;
            }
            return Err(Error::Refused(format!("{period} was not closed")));
        }
        other => other?,
    };
    if as_json {
        return json(&report);
    }
    if !report.blockers.is_empty() {
        print_blockers(&report.blockers)?;
    }
    print_invoices(&report)
}

/// `simulate`: a line for each month, edge and node.
pub(super) async fn simulate(
    session: &Session,
    (card, version): (&str, i64),
    (from, to): (BillingPeriod, BillingPeriod),
    as_json: bool,
) -> Result<(), Error> {
    let columns = if as_json {
        "*"
    } else {
        "billing_period, seller_node_id as seller, buyer_node_id as buyer, node_id as node, charged, simulated, difference, currency, \
         margin, simulated_margin, unrated_rows as unrated, source"
    };
    let card = card.replace('\'', "''");
    let sql = format!(
        "select {columns} from simulate_rate_card('{card}', {version}, '{from}', '{to}') \
         order by billing_period, seller_node_id, buyer_node_id, node_id, currency, cost_currency"
    );
    shell::run_text(session, &sql, if as_json { Format::Json } else { Format::Table }).await
}

/// The drafted invoices as a table.
pub(super) fn print_invoices(report: &ratehouse::billing::CloseReport) -> Result<(), Error> {
    for changed in &report.proposed {
        println!(
            "{} is issued and its charges changed: {} {} to {} proposed, see proposed_adjustments",
            changed.number, changed.difference, changed.currency, changed.buyer_node_id
        );
    }
    if report.invoices.is_empty() {
        println!("{}: no invoice was drafted, none is to be issued on any edge", report.period);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = report
        .invoices
        .iter()
        .map(|invoice| {
            vec![
                invoice.number.clone().unwrap_or_else(|| "(new)".to_owned()),
                invoice.seller_node_id.clone(),
                invoice.buyer_node_id.clone(),
                invoice.lines.to_string(),
                invoice.subtotal.clone(),
                invoice.credits.clone(),
                invoice.tax.clone(),
                invoice.total.clone(),
                invoice.currency.clone(),
            ]
        })
        .collect();
    let names = ["number", "seller", "buyer", "lines", "subtotal", "credits", "tax", "total", "currency"];
    let right = [false, false, false, true, true, true, true, true, false];
    write_table(&mut std::io::stdout().lock(), &names, &right, &rows).map_err(stdout_failed)
}

fn stdout_failed(source: std::io::Error) -> Error {
    Error::Io { path: "standard output".to_owned(), source }
}

fn print_blockers(blockers: &[ratehouse::billing::Blocker]) -> Result<(), Error> {
    let rows: Vec<Vec<String>> =
        blockers.iter().map(|b| vec![b.blocker.clone(), b.scope.clone(), b.detail.clone(), b.remedy.clone()]).collect();
    write_table(&mut std::io::stdout().lock(), &["blocker", "scope", "detail", "what to do"], &[false; 4], &rows)
        .map_err(stdout_failed)
}

/// `verify`.
pub(super) async fn verify(warehouse: &Warehouse, as_json: bool) -> Result<(), Error> {
    let verified = warehouse.verify().await?;
    if as_json {
        json(&verified)?;
    } else {
        println!(
            "{} snapshots chained, {} files present, {} slices reconciled",
            verified.snapshots, verified.files, verified.slices
        );
        for problem in &verified.problems {
            println!("PROBLEM: {problem}");
        }
    }
    if verified.problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Refused(format!("{} problems", verified.problems.len())))
    }
}

/// A password from a file, or a new one.
pub(super) fn password(file: Option<&Path>) -> Result<(String, bool), Error> {
    match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| Error::Io { path: path.display().to_string(), source })?;
            Ok((text.trim_end_matches(['\r', '\n']).to_owned(), false))
        }
        None => {
            let bytes: [u8; 15] = rand::random();
            let text = bytes
                .iter()
                .map(|byte| char::from(b"abcdefghjkmnpqrstuvwxyz23456789-"[usize::from(byte % 32)]))
                .collect();
            Ok((text, true))
        }
    }
}

/// Prints a made-up password, once.
pub(super) fn show_password(login: &str, password: &str, made_up: bool) {
    if made_up {
        println!("login {login}, password {password} (shown this once)");
    } else {
        println!("login {login}");
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn identifier(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

async fn run_as_admin(warehouse: &Warehouse, sql: &str, format: Format) -> Result<(), Error> {
    let admin = warehouse.root_admin()?.ok_or_else(|| Error::Refused("the root has no admin login".to_owned()))?;
    shell::run_text(&warehouse.session(admin), sql, format).await
}

/// `user add`.
pub(super) async fn add_user(
    warehouse: &Warehouse,
    login: &str,
    node: &str,
    role: &str,
    password_file: Option<&Path>,
) -> Result<(), Error> {
    let (password, made_up) = password(password_file)?;
    let sql = format!(
        "create user {} password {} node {} role {}",
        identifier(login),
        quoted(&password),
        quoted(node),
        quoted(role)
    );
    run_as_admin(warehouse, &sql, Format::Csv).await?;
    show_password(login, &password, made_up);
    Ok(())
}

/// `user password`.
pub(super) async fn change_password(warehouse: &Warehouse, login: &str, file: Option<&Path>) -> Result<(), Error> {
    let (password, made_up) = password(file)?;
    let sql = format!("alter user {} password {}", identifier(login), quoted(&password));
    run_as_admin(warehouse, &sql, Format::Csv).await?;
    show_password(login, &password, made_up);
    Ok(())
}

/// `user list`.
pub(super) async fn list_users(warehouse: &Warehouse) -> Result<(), Error> {
    run_as_admin(
        warehouse,
        "select login, node_id, role, enabled from ref.users order by node_id, login",
        Format::Table,
    )
    .await
}

/// `user roles`: the matrix that sessions are built from.
pub(super) fn print_roles() -> Result<(), Error> {
    let mut names = vec!["relation", "nodes"];
    names.extend(Role::ALL.iter().map(|role| role.name()));
    let rows: Vec<Vec<String>> = RELATIONS
        .iter()
        .map(|relation| {
            let reach = format!("{:?}", relation.reach).to_lowercase();
            let cells = Role::ALL.iter().map(|role| {
                let (reads, writes) = (relation.read.has(*role), relation.write.has(*role));
                match (reads, writes) {
                    (_, true) => "write",
                    (true, false) => "read",
                    (false, false) => "",
                }
                .to_owned()
            });
            [format!("{}.{}", relation.schema, relation.name), reach].into_iter().chain(cells).collect()
        })
        .collect();
    write_table(&mut std::io::stdout().lock(), &names, &vec![false; names.len()], &rows).map_err(stdout_failed)
}
