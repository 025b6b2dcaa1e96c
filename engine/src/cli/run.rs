//! Runs a command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ratehouse::alerts::Alerter;
use ratehouse::billing::{Document, DocumentFormat, Renderer, write_document};
use ratehouse::collect::Collector;
use ratehouse::period::BillingPeriod;
use ratehouse::serve::Served;
use ratehouse::session::Session;
use ratehouse::wire::config::{Encryption, ServeConfig, Tls};
use ratehouse::{Error, NewWarehouse, Warehouse};
use tokio_util::sync::CancellationToken;

use super::args::{Arguments, Command, DocumentForm, UserCommand};
use super::{chart, demo, keep, shell};

/// Runs the command; the error says what could not be done.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    // Statements nest up to a bound that fits this; unoptimised code needs more of it.
    let stack_mib = if cfg!(debug_assertions) { 64 } else { 16 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(stack_mib << 20)
        .build()
        .map_err(|source| Error::Io { path: "threads".to_owned(), source })?;
    runtime.block_on(dispatch(arguments.command))
}

async fn dispatch(command: Command) -> Result<(), Error> {
    match command {
        Command::Demo { directory, port, once } => demo::run(directory, port, once).await,
        Command::Init { directory, root, admin, currency, password_file, hot, cold } => {
            let (password, made_up) = keep::password(password_file.as_deref())?;
            let new = NewWarehouse {
                root,
                currency,
                admin: admin.clone(),
                verifier: ratehouse::session::verifier_of(&password)?,
                hot,
                cold,
            };
            Warehouse::create(&directory, &new)?;
            println!("warehouse made in {}", directory.display());
            keep::show_password(&admin, &password, made_up);
            Ok(())
        }
        Command::Serve { directory, listen, tls_cert, tls_key, tls_client_ca } => {
            let warehouse = Warehouse::open(&directory)?;
            let mut config = ServeConfig::new(listen, tokio::runtime::Handle::current());
            let settings = warehouse.config();
            config.limits.connections_max = settings.connections_max;
            config.limits.connections_per_login_max = settings.connections_per_login_max;
            config.limits.connections_per_node_max = settings.connections_per_node_max;
            config.limits.idle_timeout = settings.idle_timeout;
            if settings.require_encryption {
                config.encryption = Encryption::Required;
            }
            config.requires_client_certificate = settings.require_client_certificate;
            if settings.require_client_certificate && tls_client_ca.is_none() {
                return Err(Error::Refused("require_client_certificate is set: give --tls-client-ca".to_owned()));
            }
            if let (Some(certificate), Some(key)) = (tls_cert, tls_key) {
                let tls = Tls::from_pem_files(&certificate, &key, tls_client_ca.as_deref());
                config.tls = Some(tls.map_err(|error| Error::Refused(error.to_string()))?);
            } else if !listen.ip().is_loopback() {
                return Err(Error::Refused(format!(
                    "{listen} is not a loopback address: give --tls-cert and --tls-key"
                )));
            }
            serve(warehouse, config).await
        }
        Command::Sql { directory, user, command, file, format } => {
            let session = session(&Warehouse::open(&directory)?, user.as_deref())?;
            match (command, file) {
                (Some(text), _) => shell::run_text(&session, &text, format).await,
                (None, Some(path)) => {
                    let text = std::fs::read_to_string(&path)
                        .map_err(|source| Error::Io { path: path.display().to_string(), source })?;
                    shell::run_text(&session, &text, format).await
                }
                (None, None) => shell::run_interactive(&session, format).await,
            }
        }
        Command::Land { directory, files, source, json } => {
            let warehouse = Warehouse::open(&directory)?;
            keep::land(&warehouse, &files, source.as_deref(), json).await
        }
        Command::Close { directory, period, dry_run, json } => {
            let warehouse = Warehouse::open(&directory)?;
            keep::close(&warehouse, &period, dry_run, json).await
        }
        Command::Simulate { directory, card, version, from, to, user, json } => {
            let session = session(&Warehouse::open(&directory)?, user.as_deref())?;
            let months = [from, to].map(|month| month.parse::<BillingPeriod>());
            let [Ok(from), Ok(to)] = months else {
                return Err(Error::Refused("--from and --to take months such as 2026-10".to_owned()));
            };
            keep::simulate(&session, (&card, version), (from, to), json).await
        }
        Command::Invoice { directory, number, period, format, output } => {
            let warehouse = Warehouse::open(&directory)?;
            invoice(&warehouse, number.as_deref(), period.as_deref(), format, &output)
        }
        Command::Verify { directory, json } => keep::verify(&Warehouse::open(&directory)?, json).await,
        Command::Collect { directory, name, json } => {
            keep::collect(&Warehouse::open(&directory)?, name.as_deref(), json).await
        }
        Command::Alert { directory, json } => keep::alert(&Warehouse::open(&directory)?, json).await,
        Command::Chart { directory, what, output, user, title } => {
            let warehouse = Warehouse::open(&directory)?;
            chart::chart(&session(&warehouse, user.as_deref())?, &what, title.as_deref(), &output).await
        }
        Command::Clean { directory } => {
            let removed = Warehouse::open(&directory)?.collect_garbage("system").await?;
            println!("removed {} replaced files and {} that were never committed", removed.replaced, removed.unlisted);
            Ok(())
        }
        Command::Backup { directory, to } => {
            let copied = Warehouse::open(&directory)?.backup(&to).await?;
            println!("catalog and {copied} data files copied to {}", to.display());
            Ok(())
        }
        Command::Restore { from, directory } => {
            Warehouse::restore(&from, &directory)?;
            println!("warehouse restored in {}", directory.display());
            Ok(())
        }
        Command::User(command) => user(command).await,
    }
}

/// A session of a login, or of the root's admin.
fn session(warehouse: &Warehouse, user: Option<&str>) -> Result<Session, Error> {
    let principal = match user {
        Some(login) => warehouse.principal(login)?.ok_or_else(|| {
            Error::Refused(format!("there is no enabled login \"{login}\": see `ratehouse user list`"))
        })?,
        None => warehouse.root_admin()?.ok_or_else(|| Error::Refused("the root has no admin login".to_owned()))?,
    };
    Ok(warehouse.session(principal))
}

/// Serves until interrupted.
///
/// Sockets have threads of their own: statements, which may keep a thread for long, run on those of
/// the caller, and a client is answered and can cancel whatever runs there.
pub(crate) async fn serve(warehouse: Warehouse, config: ServeConfig) -> Result<(), Error> {
    let listen = config.listen;
    let io = |source| Error::Io { path: listen.to_string(), source };
    let sockets = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(io)?;
    let stop = CancellationToken::new();
    let alerting = tokio::spawn(ratehouse::alerts::run(Alerter::new(&warehouse), stop.clone()));
    let collecting = tokio::spawn(ratehouse::collect::run(Collector::new(&warehouse), stop.clone()));
    let serving = sockets.spawn(async move {
        let server = ratehouse::wire::serve(Arc::new(Served(warehouse)), config).await?;
        println!("serving SQL on {} (database ratehouse); Ctrl-C stops", server.local_addr());
        let _ = tokio::signal::ctrl_c().await;
        server.shutdown().await;
        Ok(())
    });
    let served = serving.await;
    stop.cancel();
    // What it was at is kept; it has nothing to say.
    let _ = tokio::join!(collecting, alerting);
    sockets.shutdown_background();
    served.map_err(|ended| io(std::io::Error::other(ended)))?.map_err(io)
}

fn invoice(
    warehouse: &Warehouse,
    number: Option<&str>,
    period: Option<&str>,
    format: DocumentForm,
    output: &Path,
) -> Result<(), Error> {
    let format = match format {
        DocumentForm::Html => DocumentFormat::Html,
        DocumentForm::Csv => DocumentFormat::Csv,
        DocumentForm::Json => DocumentFormat::Json,
    };
    let renderer = Renderer::new(Some(&warehouse.directory().join("templates")));
    let documents = warehouse.catalog().read::<_, Error>(|tx| match (number, period) {
        (Some(number), _) => Ok(vec![Document::by_number(tx, number)?]),
        (None, Some(period)) => {
            Ok(Document::of_period(tx, period.parse().map_err(ratehouse::billing::BillingError::from)?)?)
        }
        (None, None) => Ok(Vec::new()),
    })?;
    if documents.is_empty() {
        return Err(Error::Refused("there is no such invoice: close the period first".to_owned()));
    }
    for document in &documents {
        let path: PathBuf =
            if number.is_some() { output.to_owned() } else { output.join(document.relative_path(format)) };
        write_document(document, format, &renderer, &path)?;
        println!("{}", path.display());
    }
    Ok(())
}

async fn user(command: UserCommand) -> Result<(), Error> {
    match command {
        UserCommand::Add { directory, login, node, role, password_file } => {
            keep::add_user(&Warehouse::open(&directory)?, &login, &node, &role, password_file.as_deref()).await
        }
        UserCommand::Password { directory, login, password_file } => {
            keep::change_password(&Warehouse::open(&directory)?, &login, password_file.as_deref()).await
        }
        UserCommand::List { directory } => keep::list_users(&Warehouse::open(&directory)?).await,
        UserCommand::Roles => keep::print_roles(),
    }
}
