//! Errors carry PostgreSQL's SQLSTATE and never a value of others.

use datafusion::common::ScalarValue;

use super::fixture::{catalog, parsed, run};

fn error_of(sql: &str) -> String {
    let error = run(&catalog(), sql).expect_err("an error");
    format!("{} {}", error.sqlstate, error.message)
}

#[test]
fn what_does_not_exist_and_what_is_hidden_read_the_same() {
    assert_eq!(error_of("select 'secret_costs'::regclass"), "42P01 relation \"secret_costs\" does not exist");
    assert_eq!(
        error_of("select relname::regclass from pg_class where relname = 'pg_type' and 'zz'::text::regclass = 1"),
        "42P01 relation \"zz\" does not exist"
    );
    assert_eq!(
        error_of("select * from pg_catalog.pg_nothing"),
        "42P01 relation \"pg_catalog.pg_nothing\" does not exist"
    );
    assert_eq!(error_of("select has_table_privilege('nope', 'select')"), "42P01 relation \"nope\" does not exist");
}

#[test]
fn names_and_functions() {
    assert_eq!(error_of("select nope from pg_class"), "42703 column \"nope\" does not exist");
    assert_eq!(error_of("select c.nope from pg_class c"), "42703 column c.nope does not exist");
    assert_eq!(error_of("select x.oid from pg_class c"), "42P01 missing FROM-clause entry for table \"x\"");
    assert_eq!(error_of("select oid from pg_class, pg_type"), "42702 column reference \"oid\" is ambiguous");
    assert_eq!(error_of("select nope(oid, 'x') from pg_class"), "42883 function nope(oid, unknown) does not exist");
    assert_eq!(error_of("select current_setting('nope')"), "42704 unrecognized configuration parameter \"nope\"");
}

#[test]
fn values_that_do_not_fit() {
    assert_eq!(
        error_of("select 1 from pg_class where oid = 'abc'"),
        "22P02 invalid input syntax for type oid: \"abc\""
    );
    assert_eq!(
        error_of("select relname::int from pg_class where relname = 'charges'"),
        "22P02 invalid input syntax for type integer: \"charges\""
    );
    assert_eq!(error_of("select has_table_privilege('charges', 'fly')"), "22023 unrecognized privilege type: \"FLY\"");
    assert_eq!(error_of("select relname from pg_class where relname ~ '('"), "2201B invalid regular expression");
}

#[test]
fn missing_parameters_are_counted() {
    let statement = parsed("select $1::text, version()");
    let error = catalog().query(&statement, &[], || false).expect_err("an error");
    assert_eq!(error.sqlstate, "08P01");
    assert!(catalog().query(&statement, &[ScalarValue::Utf8(None)], || false).is_ok());
}

#[test]
fn calls_that_act_on_the_session_are_few() {
    // A call for each pair of types: some hundred thousand.
    for call in ["set_config('search_path', a.typname || b.typname, false)", "pg_sleep(a.oid::int + b.oid::int)"] {
        let error = error_of(&format!("select count(*) from pg_type a, pg_type b where {call} is null"));
        assert_eq!(error, "54000 too many calls in one statement that act on the session");
    }
}
