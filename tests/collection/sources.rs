//! `ref.sources`: what may be written there, by whom, and what never is.

use super::House;
use crate::fixture::{refused, rows, run};

const COLUMNS: &str = "name, kind, location, cadence, credential, options";

#[tokio::test]
async fn a_source_that_cannot_be_collected_is_refused_at_the_statement() {
    let house = House::new().await;
    let admin = house.fixture.admin();
    for (values, said) in [
        ("'x', 'ftp', '/x', '1 hour', null, null", "kind must be one of folder"),
        ("'x', 'folder', 'relative', '1 hour', null, null", "must be an absolute path"),
        ("'x', 'folder', '/x', 'hourly', null, null", "such as 15 minutes"),
        ("'x', 'folder', '/x', '30 seconds', null, null", "such as 15 minutes"),
        ("'x', 'folder', '/x', '0 minutes', null, null", "a minute or longer"),
        ("'x', 'folder', '/x', '500 days', null, null", "at most 400 days"),
        ("'x', 'folder', '/x', '1 hour', 'env:SECRET', null", "needs no credential"),
        ("'x', 'object_store', 'https://x/y', '1 hour', null, null", "must begin with s3://"),
        ("'x', 'https_files', 'http://example.com/a.csv', '1 hour', null, null", "must begin with https://"),
        ("'x', 'https_files', 'https://a:b@example.com/a.csv', '1 hour', null, null", "looks like a secret"),
        ("'x', 'https_files', 'https://example.com/a.csv?sig=abc', '1 hour', null, null", "looks like a secret"),
        ("'x', 'https_files', 'https://example.com/a.csv', '1 hour', 'hunter2', null", "never the secret itself"),
        (
            "'x', 'https_files', 'https://example.com/a.csv', '1 hour', 'env:AKIAIOSFODNN7EXAMPLE', null",
            "never the secret itself",
        ),
        ("'x', 'json_api', 'https://example.com/', '1 hour', null, '{\"itmes\": \"/x\"}'", "unknown field"),
        ("'x', 'json_api', 'https://example.com/', '1 hour', null, '{\"items\": \"x\"}'", "begins with /"),
        (
            "'x', 'json_api', 'https://example.com/', '1 hour', null, '{\"headers\": {\"Authorization\": \"hunter2\"}}'",
            "goes into credential",
        ),
        (
            "'x', 'json_api', 'https://example.com/', '1 hour', null, '{\"headers\": {\"X-Api-Key\": \"hunter2\"}}'",
            "goes into credential",
        ),
        (
            "'x', 'json_api', 'https://example.com/', '1 hour', null, '{\"headers\": {\"X-Amz-Date\": \"20261015T120000Z\"}}'",
            "none that the request itself makes",
        ),
        (
            "'x', 'json_api', 'https://example.com/', '1 hour', null, '{\"credential_as\": {\"aws_sigv4\": {\"region\": \"us-east-1\", \"service\": \"ce\"}}}'",
            "needs a credential",
        ),
        (
            "'x', 'json_api', 'https://example.com/', '1 hour', 'env:AWS', '{\"credential_as\": {\"aws_sigv4\": {\"region\": \"us-east-1\"}}}'",
            "missing field `service`",
        ),
        (
            "'x', 'json_api', 'https://example.com/', '1 hour', 'env:AWS', '{\"credential_as\": {\"aws_sigv4\": {\"region\": \"US East\", \"service\": \"ce\"}}}'",
            "names such as us-east-1 and ce",
        ),
        (
            "'x', 'json_api', 'https://example.com/', '1 hour', 'env:AWS', '{\"credential_as\": {\"aws_sigv4\": {\"region\": \"us-east-1\", \"service\": \"s3\"}}}'",
            "does not sign for s3",
        ),
        (
            "'x', 'folder', '/x', '1 hour', null, '{\"credential_as\": {\"aws_sigv4\": {\"region\": \"us-east-1\", \"service\": \"ce\"}}}'",
            "takes only periods",
        ),
        ("'x y', 'folder', '/x', '1 hour', null, null", "name must be"),
    ] {
        let error = refused(&admin, &format!("insert into ref.sources ({COLUMNS}) values ({values})")).await;
        assert_eq!(error.sqlstate, "23514", "{values}: {error}");
        assert!(error.message.contains(said), "{values}: {error}");
        assert!(!error.message.contains("hunter2") && !error.message.contains("AKIA"), "{error}");
    }
    let row = "'x', 'https_files', 'https://example.com/{period}.csv', '15 minutes', 'file:/run/secrets/x', null";
    let insert = format!("insert into ref.sources ({COLUMNS}) values ({row})");
    run(&admin, &insert).await;
    assert_eq!(refused(&admin, &insert).await.sqlstate, "23505");
    assert_eq!(
        rows(&admin, "select requests_per_hour, expected_lag, enabled from ref.sources").await,
        ["100|2 days|true"]
    );
    let rotated = "update ref.sources set credential_issued_at = now() - interval '91 days'";
    run(&admin, rotated).await;
    let shown = "select state, credential_age_days, is_rotation_due from ops.freshness";
    assert_eq!(rows(&admin, shown).await, ["never|91|true"]);
}

#[tokio::test]
async fn sources_are_the_root_admins() {
    let house = House::new().await;
    for login in ["finance", "auditor", "admin@north", "portal@acme"] {
        let session = house.fixture.session(login);
        for statement in ["select * from ref.sources", "delete from ref.sources"] {
            let error = refused(&session, statement).await;
            assert_eq!(error.sqlstate, "42P01", "{login}: {statement}: {error}");
        }
    }
}
