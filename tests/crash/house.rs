//! A warehouse on disk, worked on by runs of the real program that may be killed.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

/// How a run that was to be killed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Killed,
    /// It was faster than the kill.
    Finished,
}

/// The warehouse and the provider's files beside it.
pub(super) struct House {
    directory: TempDir,
}

impl House {
    /// A distributor `root` that sells to `reseller`, which sells to `alpha`, and to `beta`.
    pub(super) fn build() -> Self {
        let house = Self { directory: tempfile::tempdir().expect("a directory") };
        house.run(&["init", house.path(), "--root", "root", "--admin", "admin"]);
        house.copy(
            "nodes",
            "node_id,parent_id,kind,name,currency\nreseller,root,reseller,Reseller,USD\nalpha,reseller,customer,Alpha,USD\n\
             beta,root,customer,Beta,USD\n",
        );
        house.copy("accounts", "provider_name,billing_account_id,node_id\nAWS,account-a,alpha\nAWS,account-b,beta\n");
        house.copy(
            "rate_cards",
            "card_id,seller_node_id,buyer_node_id,currency,name\nwholesale,root,reseller,USD,Wholesale\n\
             direct,root,beta,USD,Direct\nretail,reseller,,USD,Retail\n",
        );
        house.copy(
            "rate_card_versions",
            "card_id,version,valid_from\nwholesale,1,2026-01-01T00:00:00Z\ndirect,1,2026-01-01T00:00:00Z\n\
             retail,1,2026-01-01T00:00:00Z\n",
        );
        house.copy(
            "rate_rules",
            "card_id,version,rule_id,priority,method,value,base,scope\nwholesale,1,all,0,markup_pct,5,billed,node\n\
             direct,1,all,0,markup_pct,10,billed,node\nretail,1,all,0,markup_pct,20,cost,node\n",
        );
        for card in ["wholesale", "direct", "retail"] {
            house.sql(&format!("call submit('rate_card_version', '{card}/1', 'terms')"));
        }
        house
    }

    /// The warehouse's directory as an argument.
    pub(super) fn path(&self) -> &str {
        self.directory.path().to_str().expect("a text")
    }

    /// The catalog's file.
    pub(super) fn catalog(&self) -> PathBuf {
        self.directory.path().join("catalog.sqlite")
    }

    /// A folder of the directory.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.directory.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// Writes the warehouse's settings.
    pub(super) fn write_settings(&self, text: &str) {
        std::fs::write(self.directory.path().join("ratehouse.toml"), text).expect("settings are written");
    }

    fn copy(&self, table: &str, rows: &str) {
        let statement = format!("copy ref.{table} from stdin with (format csv, header)");
        let mut child = program(&["sql", self.path(), "-c", &statement])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("its input");
        input.write_all(rows.as_bytes()).expect("rows are read");
        drop(input);
        assert!(child.wait().expect("it ends").success(), "ref.{table} is filled");
    }

    /// Runs statements as the root's admin and gives what they print.
    pub(super) fn sql(&self, statements: &str) -> String {
        self.run(&["sql", self.path(), "--format", "csv", "-c", statements])
    }

    /// Runs a command to its end, which must be a good one.
    pub(super) fn run(&self, arguments: &[&str]) -> String {
        let output = program(arguments).output().expect("the program starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?} failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Runs a command to its end and says how long it took.
    pub(super) fn timed(&self, arguments: &[&str]) -> (String, Duration) {
        let begun = Instant::now();
        let text = self.run(arguments);
        (text, begun.elapsed())
    }

    /// Runs a command and kills it after a time, with the signal that no program can catch.
    pub(super) fn kill(&self, arguments: &[&str], after: Duration) -> Ending {
        let begun = Instant::now();
        let mut child =
            program(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        std::thread::sleep(after.saturating_sub(begun.elapsed()));
        child.kill().expect("a signal can be sent");
        let status = child.wait().expect("it ends");
        if status.signal() == Some(9) {
            return Ending::Killed;
        }
        assert!(status.success(), "{arguments:?} failed before it was killed: {status}");
        Ending::Finished
    }

    /// Every object of the hot tier by its path in the lake, sorted.
    pub(super) fn objects(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.directory.path().join("hot"), "hot", &mut found);
        found.sort();
        found
    }

    /// Makes every object two days old, as if the crashes had been then.
    pub(super) fn age_objects(&self) {
        let then = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
        for object in self.objects() {
            let file = std::fs::File::options()
                .append(true)
                .open(self.directory.path().join(object))
                .expect("an object opens");
            file.set_modified(then).expect("its time is set");
        }
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratehouse"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn walk(directory: &Path, path: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).expect("a directory is read") {
        let entry = entry.expect("an entry");
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().expect("its type").is_dir() {
            walk(&entry.path(), &path, found);
        } else {
            found.push(path);
        }
    }
}
