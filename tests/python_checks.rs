//! Comparisons that are written in Python, because they must not share code with what they check.
//!
//! Where Python, or what a script needs, is not there, the test names what it skipped; in CI
//! (`CI=true`) that is a failure.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The exit status of a script that cannot do its work here; its last line says why.
const SKIPPED: i32 = 77;

/// Runs a script of `tests/` and fails with what it prints if it fails.
pub(crate) fn check(script: &str, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new("python3");
    command.arg(root.join("tests").join(script)).args(arguments).env("CARGO_TARGET_DIR", target()).current_dir(&root);
    // What cargo tells a test of its package would have a build inside it make dependencies anew that look at it.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return skip(script, "python3 is not installed");
        }
        Err(error) => panic!("{script} does not start: {error}"),
    };
    let text = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
    if output.status.code() == Some(SKIPPED) {
        return skip(script, text.trim().lines().last().unwrap_or("it does not say why"));
    }
    print!("{text}");
    assert!(output.status.success(), "{script} failed:\n{text}");
}

/// Says what is not checked here; in CI everything must be.
fn skip(script: &str, reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{script} cannot run in CI: {reason}");
    eprintln!("skipped: {script}: {reason}");
}

/// The directory that this build goes to, for what a script builds itself.
fn target() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap_or(temporary).to_owned()
}

#[test]
fn landing_reference_is_what_its_script_computes() {
    check("landing_reference.py", &["--check"]);
}

#[test]
fn demo_reference_is_what_its_script_computes() {
    check("demo_reference.py", &["--check"]);
}

/// Runs a script that compares with PostgreSQL 15, where that is installed.
fn check_with_postgresql(script: &str, arguments: &[&str]) {
    if !Path::new("/usr/lib/postgresql/15/bin/postgres").exists() {
        return skip(script, "no PostgreSQL 15 in /usr/lib/postgresql/15/bin");
    }
    check(script, arguments);
}

#[test]
fn decimals_are_those_of_postgresql() {
    check_with_postgresql("postgres_decimals.py", &["--rows", "2000"]);
}

#[test]
fn values_in_json_are_those_of_postgresql() {
    check_with_postgresql("postgres_json.py", &["--documents", "300"]);
}

#[test]
fn values_by_pattern_are_those_of_postgresql() {
    check_with_postgresql("postgres_patterns.py", &["--patterns", "300"]);
}
