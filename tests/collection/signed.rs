//! Signed requests: AWS Cost Explorer, asked as `engine/src/collect/README.md` says.

use chrono::TimeDelta;
use ratehouse::collect::{Outcome, Which};
use ratehouse::warehouse::Landed;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::House;
use super::clock::ManualClock;
use super::server::{Asked, Reply, Server};
use crate::fixture::{Fixture, rows, run};

const README: &str = include_str!("../../engine/src/collect/README.md");
const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const OPTIONS: &str = r#"{"items": "/items", "next": {"body_token": {"at": "/next", "field": "token"}}, "body": {}, "credential_as": {"aws_sigv4": {"region": "us-east-1", "service": "ce"}}}"#;

/// An indented block of the README, from the line that begins so.
fn block(begins: &str) -> String {
    let from = README.find(&format!("    {begins}")).expect("the README has it");
    let lines = README[from..].lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 2104, of keys that are no longer than a block.
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

/// The names of the signed headers, if a request to an address without parameters is signed for Cost Explorer: worked out as AWS
/// does, from what came over the wire, and by nothing that the signer is made of.
fn signed_headers(asked: &Asked) -> Option<String> {
    let header = |name: &str| asked.headers.get(name).map(String::as_str);
    let (algorithm, fields) = header("authorization")?.split_once(' ')?;
    let field = |name: &str| fields.split(", ").find_map(|field| field.strip_prefix(name));
    let (names, at) = (field("SignedHeaders=")?, header("x-amz-date")?);
    let scope = format!("{}/us-east-1/ce/aws4_request", at.get(..8)?);
    let mut lines = String::new();
    for name in names.split(';') {
        lines += &format!("{name}:{}\n", header(name)?);
    }
    let body = hex(&Sha256::digest(&asked.body));
    let canonical = format!("{}\n{}\n\n{lines}\n{names}\n{body}", asked.method, asked.target);
    let to_sign = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let day = hmac(format!("AWS4{KEY}").as_bytes(), at.get(..8)?);
    let signing_key = hmac(&hmac(&hmac(&day, "us-east-1"), "ce"), "aws4_request");
    let is_right = algorithm == "AWS4-HMAC-SHA256"
        && field("Credential=")? == format!("AKIDEXAMPLE/{scope}")
        && field("Signature=")? == hex(&hmac(&signing_key, &to_sign));
    is_right.then(|| names.to_owned())
}

/// What a service of AWS answers to whom it refuses.
fn refusal(name: &str) -> Reply {
    Reply::new(
        400,
        json!({ "__type": format!("com.amazonaws.ce#{name}"), "Message": "account 111122223333" }).to_string(),
    )
}

/// A warehouse at an instant, and a file outside it with a secret.
async fn house(secret: &str) -> (House, TempDir, String) {
    let fixture = Fixture::chain().await;
    let house = House { fixture, clock: ManualClock::at("2026-10-15T12:00:00Z").into() };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("aws");
    std::fs::write(&path, secret).expect("a secret");
    (house, folder, format!("file:{}", path.display()))
}

/// The server's check against what botocore 1.44.8 signs.
#[test]
fn a_signature_of_botocore_is_right_and_any_other_is_not() {
    let signature = "3c6601aa781504e324fe0d20106d6d69b67aa55edc65a320ec3889654b2e1794";
    let shown = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261015/us-east-1/ce/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={signature}"
    );
    let headers = [
        ("authorization", shown.as_str()),
        ("content-type", "application/x-amz-json-1.1"),
        ("host", "ce.us-east-1.amazonaws.com"),
        ("x-amz-date", "20261015T120000Z"),
        ("x-amz-target", "AWSInsightsIndexService.GetCostAndUsage"),
    ];
    let asked = Asked {
        method: "POST".to_owned(),
        target: "/".to_owned(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: r#"{"TimePeriod":{"Start":"2026-10-01","End":"2026-11-01"},"NextPageToken":"p2"}"#.to_owned(),
    };
    assert_eq!(signed_headers(&asked).as_deref(), Some("content-type;host;x-amz-date;x-amz-target"));
    assert_eq!(signed_headers(&Asked { body: asked.body.replace("p2", "p3"), ..asked.clone() }), None);
    assert_eq!(signed_headers(&Asked { target: "/x".to_owned(), ..asked }), None);
}

/// A day as Cost Explorer answers it: groups of service, account and amount.
fn day(date: &str, next_date: &str, groups: &[(&str, &str, &str)]) -> Value {
    let group = |(service, account, amount): &(&str, &str, &str)| json!({ "Keys": [service, account], "Metrics": { "UnblendedCost": { "Amount": amount, "Unit": "USD" } } });
    let groups: Vec<Value> = groups.iter().map(group).collect();
    json!({ "TimePeriod": { "Start": date, "End": next_date }, "Total": {}, "Groups": groups, "Estimated": true })
}

fn cost_explorer(asked: &Asked, before: usize) -> Reply {
    if signed_headers(asked).as_deref() != Some("content-type;host;x-amz-date;x-amz-target") {
        return refusal("InvalidSignatureException");
    }
    // Too fast: that is a 400 here.
    if before == 1 {
        return refusal("LimitExceededException");
    }
    let body: Value = serde_json::from_str(&asked.body).expect("a body");
    let (first, token) = (body["TimePeriod"]["Start"].as_str(), body["NextPageToken"].as_str());
    let target = asked.headers.get("x-amz-target").map(String::as_str);
    let kind = asked.headers.get("content-type").map(String::as_str);
    assert_eq!((target, kind), (Some("AWSInsightsIndexService.GetCostAndUsage"), Some("application/x-amz-json-1.1")));
    assert_eq!(body["GroupBy"][1]["Key"], "LINKED_ACCOUNT");
    let compute = "Amazon Elastic Compute Cloud - Compute";
    let (days, next) = match (first, token) {
        (Some("2026-09-01"), None) => {
            assert_eq!(body["TimePeriod"]["End"], "2026-10-01");
            let groups = [(compute, "200000000012", "1.2345678901"), (compute, "200000000013", "20")];
            (day("2026-09-01", "2026-09-02", &groups), Some("p 2/+="))
        }
        (Some("2026-09-01"), Some("p 2/+=")) => {
            (day("2026-09-30", "2026-10-01", &[("Tax", "200000000012", "0.3")]), None)
        }
        (Some("2026-10-01"), None) => (day("2026-10-01", "2026-10-02", &[(compute, "200000000012", "-0.05")]), None),
        _ => return refusal("ValidationException"),
    };
    let mut answer = json!({ "GroupDefinitions": [], "ResultsByTime": [days], "DimensionValueAttributes": [] });
    if let Some(next) = next {
        answer["NextPageToken"] = next.into();
    }
    Reply::ok(answer.to_string())
}

#[tokio::test]
async fn cost_explorer_lands_as_the_readme_says() {
    let (house, _folder, credential) = house(&format!("AKIDEXAMPLE:{KEY}\n")).await;
    let server = Server::start(cost_explorer).await;
    std::fs::create_dir_all(house.fixture.path().join("sources")).expect("a folder");
    let mapping = house.fixture.path().join("sources/cost_explorer.sql");
    std::fs::write(mapping, block("-- source: cost_explorer")).expect("a mapping");
    let statement = block("insert into ref.sources (name, kind, location, cadence, landing_source,");
    let statement =
        statement.trim_end().trim_end_matches(';').replace("https://ce.us-east-1.amazonaws.com/", &server.url("/"));
    run(&house.fixture.admin(), &statement.replace("file:/run/secrets/aws", &credential)).await;

    let landed = house.done("cost-explorer").await.landed;
    assert!(matches!(landed.as_slice(), [Landed::Landed { rows: 4, rejected_rows: 0, .. }]), "{landed:?}");
    // Three answers, and the second question twice.
    assert_eq!(server.asked().len(), 4);
    assert!(server.asked().iter().all(|asked| asked.headers["x-amz-date"].starts_with("20261015T12")));
    let admin = house.fixture.admin();
    // September: 1.2345678901 + 20 + 0.3.
    let slices = "select source, role, billing_period, rows, billed_cost from ops.slices order by billing_period";
    assert_eq!(
        rows(&admin, slices).await,
        ["cost_explorer|reference|2026-09|3|21.5345678901", "cost_explorer|reference|2026-10|1|-0.05"]
    );
    let lines = "select billing_account_id, sub_account_id, charge_category, billed_cost, billing_currency from usage where service_name = 'Tax'";
    assert_eq!(rows(&admin, lines).await, ["111122223333|200000000012|Tax|0.3|USD"]);
    // A second view of what the provider's bill charges.
    assert_eq!(rows(&admin, "select count(*) from charges").await, ["0"]);
    assert!(!super::is_anywhere(house.fixture.path(), KEY), "the secret was written down");
}

/// Pages of one item, each with the number of the next, up to the last.
fn numbered(asked: &Asked, last: i64) -> Reply {
    let body: Value = serde_json::from_str(&asked.body).expect("a body");
    let page: i64 = body["token"].as_str().unwrap_or("1").parse().expect("a number");
    let next = (page < last).then(|| (page + 1).to_string());
    Reply::ok(json!({ "items": [{ "page": page }], "next": next }).to_string())
}

#[tokio::test]
async fn who_is_throttled_after_a_hundred_calls_goes_on_with_the_next_one() {
    let (house, _folder, credential) = house(&format!("AKIDEXAMPLE:{KEY}")).await;
    // Another program has the account's calls too: those that are allowed here are more than there are.
    let server = Server::start(|asked, before| match before {
        _ if signed_headers(asked).is_none() => refusal("InvalidSignatureException"),
        100 => Reply::new(429, "").with("Retry-After", "3600"),
        _ => numbered(asked, 105),
    })
    .await;
    let more = [("credential", credential.as_str()), ("requests_per_hour", "1000"), ("options", OPTIONS)];
    house.source("api", "json_api", &server.url("/"), &more).await;
    let outcome = house.collect(Which::Due).await.remove(0).outcome;
    assert!(matches!(&outcome, Outcome::Paused { reason } if reason.contains("answered 429")), "{outcome:?}");
    assert_eq!(server.asked().len(), 101);
    house.clock.advance(TimeDelta::hours(1));
    let outcome = house.collect(Which::Due).await.remove(0).outcome;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    // 105 pages and the one refusal; what is asked an hour later is signed an hour later.
    let asked = server.asked();
    assert_eq!(asked.len(), 106);
    assert_eq!((&*asked[100].body, &*asked[101].body), (r#"{"token":"101"}"#, r#"{"token":"101"}"#));
    let at = |asked: &Asked| asked.headers["x-amz-date"].clone();
    assert_eq!((&*at(&asked[100]), &*at(&asked[101])), ("20261015T120000Z", "20261015T130000Z"));
    let text = super::unzipped(&house.fixture.path().join("collected/api/delivery/rows.jsonl.gz"));
    assert_eq!(text.lines().count(), 105);
}

#[tokio::test]
async fn no_hour_has_more_than_the_hundred_calls_of_an_account() {
    let (house, _folder, credential) = house(&format!("AKIDEXAMPLE:{KEY}")).await;
    let server = Server::start(|asked, _| numbered(asked, 105)).await;
    // Nothing is said of calls: a hundred an hour.
    let more = [("credential", credential.as_str()), ("options", OPTIONS)];
    house.source("api", "json_api", &server.url("/"), &more).await;
    // Twenty at once and one in 45 seconds, for two of which a collection waits.
    let mut collections = 0;
    loop {
        collections += 1;
        match house.collect(Which::Named("api")).await.remove(0).outcome {
            Outcome::Done(_) => break,
            Outcome::Paused { reason } => assert!(reason.contains("the 100 calls an hour"), "{reason}"),
            Outcome::Failed { error } => panic!("{error}"),
        }
        assert!(collections < 200, "it never ends");
        house.clock.advance(TimeDelta::seconds(45));
    }
    let at = |asked: &Asked| {
        chrono::NaiveDateTime::parse_from_str(&asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").expect("an instant")
    };
    let calls: Vec<_> = server.asked().iter().map(at).collect();
    assert_eq!(calls.len(), 105);
    for (number, first) in calls.iter().enumerate() {
        let within = calls[number..].iter().take_while(|call| **call - *first < TimeDelta::hours(1)).count();
        assert!(within <= 100, "{within} from {first}");
    }
}

#[tokio::test]
async fn temporary_keys_send_their_token_and_a_refusal_is_told_by_its_name() {
    let sts = json!({ "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": KEY, "SessionToken": "Temporary//Token==",
                      "Expiration": "2026-10-15T13:00:00Z" });
    let (house, folder, credential) = house(&sts.to_string()).await;
    let server = Server::start(|asked, _| match signed_headers(asked).as_deref() {
        Some("content-type;host;x-amz-date;x-amz-security-token")
            if asked.headers["x-amz-security-token"] == "Temporary//Token==" =>
        {
            refusal("AccessDeniedException")
        }
        _ => refusal("InvalidSignatureException"),
    })
    .await;
    house
        .source("api", "json_api", &server.url("/"), &[("credential", credential.as_str()), ("options", OPTIONS)])
        .await;
    let outcome = house.collect(Which::Named("api")).await.remove(0).outcome;
    let Outcome::Failed { error } = &outcome else { panic!("{outcome:?}") };
    assert!(error.ends_with("answered 400 Bad Request: AccessDeniedException"), "{error}");
    assert!(!error.contains("111122223333"), "{error}");
    assert_eq!(server.asked().len(), 1);
    assert!(!super::is_anywhere(house.fixture.path(), "Temporary//Token"), "the token was written down");
    // What is no access key is said without any of it, and nothing is asked with it.
    std::fs::write(folder.path().join("aws"), "hunter2").expect("a secret");
    let outcome = house.collect(Which::Named("api")).await.remove(0).outcome;
    let Outcome::Failed { error } = &outcome else { panic!("{outcome:?}") };
    assert!(error.contains("KEY_ID:SECRET") && !error.contains("hunter2"), "{error}");
    assert_eq!(server.asked().len(), 1);
}
