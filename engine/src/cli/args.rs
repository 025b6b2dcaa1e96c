//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// An embedded billing warehouse for cloud resellers.
#[derive(Debug, Parser)]
#[command(name = "ratehouse", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a row.
    Json,
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentForm {
    /// A page to print or to send.
    Html,
    /// Its lines.
    Csv,
    /// All of it.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The main job on real sample data: land, price, close, invoice, serve.
    ///
    /// Example: ratehouse demo --once
    Demo {
        /// Where to make the warehouse; none makes `ratehouse-demo` anew.
        directory: Option<PathBuf>,
        /// The port to serve on, or the next free one.
        #[arg(long, default_value_t = 5432)]
        port: u16,
        /// Print everything and exit instead of serving.
        #[arg(long)]
        once: bool,
    },
    /// Makes an empty warehouse: its root node and the root's admin login.
    ///
    /// Example: ratehouse init /srv/billing --root acme --admin alice --currency EUR
    Init {
        directory: PathBuf,
        /// The root node: letters, digits, `.`, `_`, `-`.
        #[arg(long)]
        root: String,
        /// The root admin's login.
        #[arg(long)]
        admin: String,
        /// The root's currency, ISO 4217.
        #[arg(long, default_value = "USD")]
        currency: String,
        /// A file with the password; without it one is made up and printed once.
        #[arg(long)]
        password_file: Option<PathBuf>,
        /// Where new files go: a directory, s3://, az:// or gs:// URL.
        #[arg(long)]
        hot: Option<String>,
        /// Where old files go.
        #[arg(long)]
        cold: Option<String>,
    },
    /// Serves SQL over the Postgres protocol.
    ///
    /// Example: ratehouse serve /srv/billing --listen 0.0.0.0:5432 --tls-cert cert.pem --tls-key key.pem
    Serve {
        directory: PathBuf,
        #[arg(long, default_value = "127.0.0.1:5432")]
        listen: SocketAddr,
        /// Certificate chain, PEM. Without it only loopback addresses are served.
        #[arg(long, requires = "tls_key")]
        tls_cert: Option<PathBuf>,
        /// Private key, PEM.
        #[arg(long, requires = "tls_cert")]
        tls_key: Option<PathBuf>,
        /// Certificates, PEM, of the authority that signs those of clients. A certificate that a client shows must be signed by
        /// it and have the login as its common name; the password is asked for in any case.
        #[arg(long, requires = "tls_cert")]
        tls_client_ca: Option<PathBuf>,
    },
    /// Runs SQL in this process, under the same rules as a connection.
    ///
    /// Example: ratehouse sql /srv/billing -U finance@harbor -c "select service_name, sum(cost) from charges group by 1"
    Sql {
        directory: PathBuf,
        /// The login; none is the root's admin.
        #[arg(short = 'U', long)]
        user: Option<String>,
        /// Statements to run.
        #[arg(short = 'c', long, conflicts_with = "file")]
        command: Option<String>,
        /// A file of statements to run.
        #[arg(short = 'f', long)]
        file: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Lands provider files and prices them.
    ///
    /// Example: ratehouse land /srv/billing exports/2026-10/*.csv.gz
    Land {
        directory: PathBuf,
        /// Files, folders, globs, manifests, s3:// az:// gs:// URLs.
        #[arg(required = true)]
        files: Vec<String>,
        /// The source, when it is not to be detected from the header.
        #[arg(long)]
        source: Option<String>,
        /// Print the results as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Closes a billing period: checks it and drafts its invoices.
    ///
    /// Example: ratehouse close /srv/billing 2026-10
    Close {
        directory: PathBuf,
        /// The period, such as 2026-10.
        period: String,
        /// Say what would be drafted and what blocks it; change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// What everybody would have paid if a version of a rate card had held for some months; changes nothing.
    ///
    /// The version may be a draft. All columns: select * from simulate_rate_card('retail', 2, '2026-01', '2026-12').
    ///
    /// Example: ratehouse simulate /srv/billing retail 2 --from 2026-01 --to 2026-12
    Simulate {
        directory: PathBuf,
        /// The rate card.
        card: String,
        /// Its version, whatever its status.
        #[arg(id = "card_version", value_name = "VERSION")]
        version: i64,
        /// The first month, such as 2026-01.
        #[arg(long)]
        from: String,
        /// The last month.
        #[arg(long)]
        to: String,
        /// The login; none is the root's admin.
        #[arg(short = 'U', long)]
        user: Option<String>,
        /// Print the results as JSON, one object a row.
        #[arg(long)]
        json: bool,
    },
    /// Writes invoices as documents.
    ///
    /// Example: ratehouse invoice /srv/billing --period 2026-10 --format html -o invoices/
    Invoice {
        directory: PathBuf,
        /// The number of one invoice.
        #[arg(required_unless_present = "period", conflicts_with = "period")]
        number: Option<String>,
        /// All invoices of a period.
        #[arg(long)]
        period: Option<String>,
        #[arg(long, value_enum, default_value_t = DocumentForm::Html)]
        format: DocumentForm,
        /// A file for one invoice, a directory for several.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Checks every row of the catalog against the audit chain, the documents, the files and the sums.
    ///
    /// Example: ratehouse verify /srv/billing
    Verify {
        directory: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// Collects what the sources of ref.sources have delivered: those that are due, or one.
    ///
    /// For an external cron; `serve` does it by itself. See ops.freshness for what is late.
    ///
    /// Example: ratehouse collect /srv/billing aws-payer
    Collect {
        directory: PathBuf,
        /// One source, whether it is due or not.
        name: Option<String>,
        /// Print the results as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Looks for what is unusual or above its budget, and sends what is due to the targets of ref.alert_targets.
    ///
    /// For an external cron; `serve` does it by itself. See ops.alerts.
    ///
    /// Example: ratehouse alert /srv/billing
    Alert {
        directory: PathBuf,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Draws what a query or a view answers over time as SVG or PNG.
    ///
    /// The first column of dates or times is the axis, each column of numbers a line, texts tell lines apart, `lower_x` and `upper_x`
    /// are a band around a line, `is_anomaly` marks points. `forecasts` and `anomalies` draw all usage of the login, by currency.
    ///
    /// Example: ratehouse chart /srv/billing forecasts -o forecasts.svg
    Chart {
        directory: PathBuf,
        /// `forecasts`, `anomalies`, another relation or a query.
        what: String,
        /// The picture: a name that ends in .svg or .png.
        #[arg(short, long)]
        output: PathBuf,
        /// The login to ask as; the root's admin if none is given.
        #[arg(short = 'U', long)]
        user: Option<String>,
        /// What to write above it; the relation's name if nothing is given.
        #[arg(long)]
        title: Option<String>,
    },
    /// Removes replaced files and what crashed writers left.
    ///
    /// Example: ratehouse clean /srv/billing
    Clean { directory: PathBuf },
    /// Copies the warehouse to a directory while others use it.
    ///
    /// Example: ratehouse backup /srv/billing /mnt/backup/2026-11-21
    Backup { directory: PathBuf, to: PathBuf },
    /// Makes a warehouse of a backup.
    ///
    /// Example: ratehouse restore /mnt/backup/2026-11-21 /srv/billing
    Restore { from: PathBuf, directory: PathBuf },
    /// Logins.
    #[command(subcommand)]
    User(UserCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Adds a login.
    ///
    /// Example: ratehouse user add /srv/billing finance@harbor --node harbor --role finance
    Add {
        directory: PathBuf,
        login: String,
        #[arg(long)]
        node: String,
        #[arg(long)]
        role: String,
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Gives a login a new password.
    ///
    /// Example: ratehouse user password /srv/billing finance@harbor
    Password {
        directory: PathBuf,
        login: String,
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Lists logins.
    ///
    /// Example: ratehouse user list /srv/billing
    List { directory: PathBuf },
    /// Prints what each role sees and may write.
    ///
    /// Example: ratehouse user roles
    Roles,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Arguments;

    #[test]
    fn no_two_arguments_of_a_command_have_one_name() {
        Arguments::command().debug_assert();
    }
}
