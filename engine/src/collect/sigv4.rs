//! Signature Version 4 of AWS: a request is signed with a key that is never sent.
//!
//! After <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>, as every service but S3 reads
//! it: the path is encoded once more than it is sent, and the hash of the body is signed and not sent. Signed are `host`,
//! `content-type` and all `x-amz-` headers; others a proxy may change. A signature holds for minutes, so each attempt has its own.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use ring::hmac;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use super::credential::Secret;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What a key is made for, last of all.
const ENDS_WITH: &str = "aws4_request";

/// What is signed for: another region or service does not take the signature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// An access key, as the secret of a source has it.
pub(super) struct AccessKey {
    id: String,
    secret: Secret,
    session_token: Option<Secret>,
}

/// The spellings of the AWS SDKs and of `aws sts`, which also says when the key expires.
#[derive(Deserialize)]
struct KeyObject {
    #[serde(alias = "AccessKeyId")]
    access_key_id: String,
    #[serde(alias = "SecretAccessKey")]
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    session_token: Option<String>,
}

impl AccessKey {
    /// Reads `KEY_ID:SECRET`, `KEY_ID:SECRET:SESSION_TOKEN`, or a JSON object. None says nothing of why: that may hold a part of it.
    pub(super) fn of(secret: &Secret) -> Option<Self> {
        let text = secret.reveal();
        let given = if text.starts_with('{') {
            serde_json::from_str(text).ok()?
        } else {
            let mut parts = text.splitn(3, ':').map(str::to_owned);
            KeyObject { access_key_id: parts.next()?, secret_access_key: parts.next()?, session_token: parts.next() }
        };
        let id = given.access_key_id;
        let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        let token = given.session_token.as_deref();
        if !is_id || !is_word(&given.secret_access_key) || !token.is_none_or(is_word) {
            return None;
        }
        Some(Self { id, secret: Secret::new(&given.secret_access_key), session_token: token.map(Secret::new) })
    }
}

/// A request, as it is else sent, with its signature. None if a header of it is no text.
pub(super) fn signed(mut request: Request, key: &AccessKey, place: Place<'_>, now: DateTime<Utc>) -> Option<Request> {
    let at = now.format("%Y%m%dT%H%M%SZ").to_string();
    let day = now.format("%Y%m%d").to_string();
    let headers = request.headers_mut();
    headers.insert("x-amz-date", HeaderValue::from_str(&at).ok()?);
    if let Some(token) = &key.session_token {
        headers.insert("x-amz-security-token", hidden(token.reveal())?);
    }
    let (names, text) = canonical(&request)?;
    let parts = [day.as_str(), place.region, place.service, ENDS_WITH];
    let scope = parts.join("/");
    let to_sign = format!("{ALGORITHM}\n{at}\n{scope}\n{}", hex(&Sha256::digest(text)));
    let first = format!("AWS4{}", key.secret.reveal()).into_bytes();
    let signing_key = parts.iter().fold(first, |before, part| mac(&before, part));
    let signature = hex(&mac(&signing_key, &to_sign));
    let shown = format!("{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", key.id);
    request.headers_mut().insert(AUTHORIZATION, hidden(&shown)?);
    Some(request)
}

/// The names of the signed headers, and the request in the form that both sides hash.
fn canonical(request: &Request) -> Option<(String, String)> {
    let url = request.url();
    let mut headers = BTreeMap::from([("host".to_owned(), host(url)?)]);
    for name in request.headers().keys().map(reqwest::header::HeaderName::as_str) {
        if name == "content-type" || name.starts_with("x-amz-") {
            let values = request.headers().get_all(name).iter();
            let values: Option<Vec<String>> = values.map(|value| Some(one_spaced(value.to_str().ok()?))).collect();
            headers.insert(name.to_owned(), values?.join(","));
        }
    }
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = headers.into_keys().collect::<Vec<_>>().join(";");
    let body = request.body().map_or(Some::<&[u8]>(&[]), reqwest::Body::as_bytes)?;
    let (method, path, query) = (request.method(), path(url), query(url));
    let text = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{}", hex(&Sha256::digest(body)));
    Some((names, text))
}

/// As the `Host` header says it: without the port that the scheme has anyway.
fn host(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn path(url: &Url) -> String {
    url.path().split('/').map(encoded).collect::<Vec<_>>().join("/")
}

fn query(url: &Url) -> String {
    let mut pairs: Vec<_> = url.query_pairs().map(|(name, value)| (encoded(&name), encoded(&value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Every byte that RFC 3986 does not leave as it is becomes `%XX`.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn one_spaced(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A header that no log shows.
fn hidden(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use reqwest::header::HeaderName;

    use super::*;

    const SECRET: &str = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    const FORM_UTF8: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded; charset=utf8");

    fn key(text: &str) -> Option<AccessKey> {
        AccessKey::of(&Secret::new(text))
    }

    fn request(method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> Request {
        let mut request = Request::new(method, url.parse().expect("an address"));
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a name");
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        if !body.is_empty() {
            *request.body_mut() = Some(body.to_owned().into());
        }
        request
    }

    fn shown(request: Request, secret: &str, place: Place<'_>, at: &str) -> String {
        let now = at.parse().expect("an instant");
        let request = signed(request, &key(secret).expect("a key"), place, now).expect("texts");
        request.headers()[AUTHORIZATION].to_str().expect("a text").to_owned()
    }

    /// The cases of `aws-sig-v4-test-suite` that sign no headers of their own; each has the name of its folder there.
    #[test]
    fn requests_are_signed_as_in_the_test_suite_of_aws() {
        let sts = format!(
            "{SECRET}:{}{}{}",
            "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/",
            "qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7Z",
            "D0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
        );
        let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let unreserved = format!("?{unreserved}={unreserved}");
        let get = |query: &str| request(Method::GET, &format!("https://example.amazonaws.com/{query}"), &[], "");
        let post = |query: &str, headers: &[(&str, &str)], body: &str| {
            request(Method::POST, &format!("https://example.amazonaws.com/{query}"), headers, body)
        };
        let (plain, form, token) =
            ("host;x-amz-date", "content-type;host;x-amz-date", "host;x-amz-date;x-amz-security-token");
        for (case, request, secret, names, signature) in [
            ("get-vanilla", get(""), SECRET, plain, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                "get-vanilla-query-order-key-case",
                get("?Param2=value2&Param1=value1"),
                SECRET,
                plain,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "get-vanilla-query-unreserved",
                get(&unreserved),
                SECRET,
                plain,
                "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            ),
            (
                "post-vanilla",
                post("", &[], ""),
                SECRET,
                plain,
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-vanilla-query",
                post("?Param1=value1", &[], ""),
                SECRET,
                plain,
                "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
            ),
            (
                "post-x-www-form-urlencoded",
                post("", &[FORM], "Param1=value1"),
                SECRET,
                form,
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "post-x-www-form-urlencoded-parameters",
                post("", &[FORM_UTF8], "Param1=value1"),
                SECRET,
                form,
                "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
            ),
            (
                "post-sts-header-before",
                post("", &[], ""),
                &sts,
                token,
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
        ] {
            let place = Place { region: "us-east-1", service: "service" };
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, Signature={signature}"
            );
            assert_eq!(shown(request, secret, place, "2015-08-30T12:36:00Z"), expected, "{case}");
        }
    }

    /// What botocore 1.44.8 (`SigV4Auth`), the signer of AWS's own command line, gives for the same.
    #[test]
    fn requests_are_signed_as_botocore_does() {
        let headers = [
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", "AWSInsightsIndexService.GetCostAndUsage"),
            // Not signed.
            ("Accept-Encoding", "identity"),
        ];
        let body = r#"{"TimePeriod":{"Start":"2026-10-01","End":"2026-11-01"},"NextPageToken":"p2"}"#;
        let asked = request(Method::POST, "https://ce.us-east-1.amazonaws.com/", &headers, body);
        assert_eq!(
            shown(asked, SECRET, Place { region: "us-east-1", service: "ce" }, "2026-10-15T12:00:00Z"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261015/us-east-1/ce/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=3c6601aa781504e324fe0d20106d6d69b67aa55edc65a320ec3889654b2e1794"
        );
        let url = "https://example.amazonaws.com/v1/a%20b/c?x=a%20b&x=a&y=%2F%2B";
        let place = Place { region: "eu-west-1", service: "execute-api" };
        let text = shown(request(Method::GET, url, &[], ""), SECRET, place, "2026-10-15T12:00:00Z");
        let signature = "Signature=b90836993e6b3ce84490a48f1942b337b81aa45a743605ec17ee489214b8763f";
        assert!(text.ends_with(signature), "{text}");
    }

    #[test]
    fn the_host_has_its_port_if_it_is_not_the_schemes() {
        let host_of = |url: &str| host(&url.parse().expect("an address"));
        assert_eq!(host_of("https://a.example:443/x").as_deref(), Some("a.example"));
        assert_eq!(host_of("http://127.0.0.1:8080/x").as_deref(), Some("127.0.0.1:8080"));
    }

    #[test]
    fn a_key_is_a_line_or_an_object() {
        let parts = |text: &str| {
            let key = key(text)?;
            let token = key.session_token.map(|token| token.reveal().to_owned());
            Some((key.id, key.secret.reveal().to_owned(), token))
        };
        let part = str::to_owned;
        assert_eq!(parts("AKID:s/+=\n"), Some((part("AKID"), part("s/+="), None)));
        assert_eq!(parts("ASIA:s:t/=="), Some((part("ASIA"), part("s"), Some(part("t/==")))));
        let sts = r#"{"AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "2026-10-15T13:00:00Z"}"#;
        assert_eq!(parts(sts), Some((part("ASIA"), part("s"), Some(part("t")))));
        let plain = r#"{"access_key_id": "AKID", "secret_access_key": "s"}"#;
        assert_eq!(parts(plain), Some((part("AKID"), part("s"), None)));
        for wrong in ["AKID", "AKID:", ":s", "AKID:s:", "AK ID:s", "AKID:s t", "{\"access_key_id\": \"AKID\"}", "{"] {
            assert!(key(wrong).is_none(), "{wrong}");
        }
    }
}
