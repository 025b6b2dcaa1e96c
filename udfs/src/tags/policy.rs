//! Tag policies: which keys tags must have, how these are written, and which values they take.
//!
//! A policy is the JSON document that AWS Organizations calls a tag policy, read as it is:
//!
//! ```json
//! {"tags": {
//!   "environment": {"tag_key": {"@@assign": "Environment"}, "tag_value": {"@@assign": ["Production", "Staging", "Dev*"]}},
//!   "costcenter": {"tag_key": {"@@assign": "CostCenter"}, "tag_pattern": {"@@assign": "^CC-[0-9]{4}$"}},
//!   "owner": {"required": {"@@assign": false}}
//! }}
//! ```
//!
//! `tag_key` is how the key is written; without it any case will do. `tag_value` lists the values, in which `*` stands for any text;
//! without it any value will do. Two entries are not AWS's: `tag_pattern`, a regular expression that values match somewhere, and
//! `required`, whether the key must be there (it must unless that is false). A member may be given without `@@assign`. What else a
//! document says (`enforced_for`, inheritance) decides nothing here.

use datafusion::common::{DataFusionError, Result, plan_datafusion_err};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Keys that a policy may speak of.
const KEYS_MAX: usize = 1_000;
/// Characters of a value that a violation shows.
const SHOWN_MAX: usize = 256;
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What a policy says of one key.
#[derive(Debug)]
struct Rule {
    /// As it is written, where the policy says so; else as the policy itself spells it.
    key: String,
    is_case_enforced: bool,
    is_required: bool,
    values: Option<Vec<String>>,
    pattern: Option<Regex>,
}

/// A tag policy, read once.
#[derive(Debug)]
pub struct TagPolicy {
    rules: Vec<Rule>,
}

fn wrong(what: impl std::fmt::Display) -> DataFusionError {
    plan_datafusion_err!("this is no tag policy: {what}")
}

/// A member's value, with or without `@@assign`.
fn assigned<'a>(entry: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let value = entry.get(name)?;
    match value.as_object() {
        Some(operators) => operators.get("@@assign").or_else(|| operators.get("@@append")),
        None => Some(value),
    }
}

fn text<'a>(entry: &'a Map<String, Value>, key: &str, name: &str) -> Result<Option<&'a str>> {
    let Some(value) = assigned(entry, name) else { return Ok(None) };
    value.as_str().map(Some).ok_or_else(|| wrong(format!("{name} of \"{key}\" is not a text")))
}

impl TagPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// Says what of the document is not as it should be.
    pub fn parse(document: &str) -> Result<Self> {
        let document: Value = serde_json::from_str(document).map_err(|_| wrong("it is not JSON"))?;
        let tags = document.get("tags").and_then(Value::as_object);
        let tags = tags.ok_or_else(|| wrong("it has no object \"tags\""))?;
        if tags.len() > KEYS_MAX {
            return Err(wrong(format!("it speaks of more than {KEYS_MAX} keys")));
        }
        let rules = tags.iter().filter(|(name, _)| !name.starts_with("@@")).map(|(name, entry)| rule(name, entry));
        Ok(Self { rules: rules.collect::<Result<_>>()? })
    }

    /// The keys that it speaks of, as it spells them.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.key.as_str())
    }

    /// What is wrong with a row's tags: an array of `{"key", "reason", ...}` in the order of the policy. Reasons: `missing` (the key
    /// is not there), `case` (it is written otherwise: `found`), `value` and `pattern` (the `value`, of which 256 characters are shown, is none
    /// that is allowed). A tag
    /// whose key is written otherwise is judged by its value, too.
    pub fn violations(&self, tags: &HashMap<String, String>) -> Vec<Value> {
        let mut found = Vec::new();
        for rule in &self.rules {
            rule.judge(tags, &mut found);
        }
        found
    }
}

fn rule(name: &str, entry: &Value) -> Result<Rule> {
    let entry = entry.as_object().ok_or_else(|| wrong(format!("\"{name}\" is not an object")))?;
    let key = text(entry, name, "tag_key")?;
    let values = match assigned(entry, "tag_value") {
        None => None,
        Some(Value::Array(values)) => {
            let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
            Some(
                texts
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| wrong(format!("tag_value of \"{name}\" is not a list of texts")))?,
            )
        }
        Some(_) => return Err(wrong(format!("tag_value of \"{name}\" is not a list"))),
    };
    let pattern = text(entry, name, "tag_pattern")?
        .map(|pattern| {
            let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
            built.map_err(|_| wrong(format!("tag_pattern of \"{name}\" is no regular expression, or too large a one")))
        })
        .transpose()?;
    let is_required = match assigned(entry, "required") {
        None => true,
        Some(Value::Bool(required)) => *required,
        Some(_) => return Err(wrong(format!("required of \"{name}\" is neither true nor false"))),
    };
    Ok(Rule { key: key.unwrap_or(name).to_owned(), is_case_enforced: key.is_some(), is_required, values, pattern })
}

impl Rule {
    fn judge(&self, tags: &HashMap<String, String>, found: &mut Vec<Value>) {
        let value = match tags.get(&self.key) {
            Some(value) => value,
            None => {
                // Of several spellings the first in the order of texts is named, whatever order the tags have.
                let others = tags.iter().filter(|(key, _)| key.to_lowercase() == self.key.to_lowercase());
                match others.min() {
                    Some((key, value)) => {
                        if self.is_case_enforced {
                            found.push(json!({ "key": self.key, "reason": "case", "found": key }));
                        }
                        value
                    }
                    None => {
                        if self.is_required {
                            found.push(json!({ "key": self.key, "reason": "missing" }));
                        }
                        return;
                    }
                }
            }
        };
        let shown: String = value.chars().take(SHOWN_MAX).collect();
        if self.values.as_ref().is_some_and(|allowed| !allowed.iter().any(|wanted| is_like(value, wanted))) {
            found.push(json!({ "key": self.key, "reason": "value", "value": shown }));
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(value)) {
            found.push(json!({ "key": self.key, "reason": "pattern", "value": shown }));
        }
    }
}

/// Whether a text is the other one, in which `*` stands for any text.
fn is_like(text: &str, wanted: &str) -> bool {
    let mut parts = wanted.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Example F14 of the domain.
    const F14: &str = r#"{"tags": {
        "environment": {"tag_key": {"@@assign": "Environment"}, "tag_value": {"@@assign": ["Production", "Staging", "Development"]}},
        "project": {"tag_key": {"@@assign": "Project"}},
        "costcenter": {"tag_key": {"@@assign": "CostCenter"}, "tag_pattern": {"@@assign": "^CC-[0-9]{4}$"}}
    }}"#;

    fn judged(policy: &str, tags: &[(&str, &str)]) -> Vec<String> {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        TagPolicy::parse(policy).expect("a policy").violations(&tags).iter().map(Value::to_string).collect()
    }

    #[test]
    fn f14_violations_by_key_and_reason() {
        assert!(
            judged(F14, &[("Environment", "Staging"), ("Project", "x"), ("CostCenter", "CC-0042"), ("more", "")])
                .is_empty()
        );
        assert_eq!(
            judged(F14, &[("Environment", "production"), ("project", "x"), ("CostCenter", "CC-42")]),
            [
                r#"{"key":"Environment","reason":"value","value":"production"}"#,
                r#"{"key":"Project","reason":"case","found":"project"}"#,
                r#"{"key":"CostCenter","reason":"pattern","value":"CC-42"}"#
            ]
        );
        assert_eq!(
            judged(F14, &[("ENVIRONMENT", "Dev")]),
            [
                r#"{"key":"Environment","reason":"case","found":"ENVIRONMENT"}"#,
                r#"{"key":"Environment","reason":"value","value":"Dev"}"#,
                r#"{"key":"Project","reason":"missing"}"#,
                r#"{"key":"CostCenter","reason":"missing"}"#
            ]
        );
    }

    #[test]
    fn a_document_of_the_provider_is_read_as_it_is() {
        // From the provider's own description of tag policies.
        let document = r#"{"tags": {
            "costcenter": {
                "tag_key": {"@@assign": "CostCenter", "@@operators_allowed_for_child_policies": ["@@none"]},
                "tag_value": {"@@assign": ["100", "200*", "*-x"]},
                "enforced_for": {"@@assign": ["secretsmanager:*"]}
            },
            "owner": {"required": false}
        }}"#;
        for allowed in ["100", "200", "2001", "a-x"] {
            assert!(judged(document, &[("CostCenter", allowed)]).is_empty(), "{allowed}");
        }
        for refused in ["1001", "20", "a-xy", ""] {
            assert_eq!(judged(document, &[("CostCenter", refused)]).len(), 1, "{refused}");
        }
        // Without a spelling any will do; what is not required need not be there.
        assert!(judged(r#"{"tags": {"owner": {}}}"#, &[("OWNER", "x")]).is_empty());
        assert!(judged(document, &[("costcenter", "100")]).iter().all(|found| found.contains("case")));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for (document, problem) in [
            ("no", "not JSON"),
            ("{}", "no object \"tags\""),
            (r#"{"tags": {"a": 1}}"#, "\"a\" is not an object"),
            (r#"{"tags": {"a": {"tag_value": "x"}}}"#, "not a list"),
            (r#"{"tags": {"a": {"tag_value": [1]}}}"#, "not a list of texts"),
            (r#"{"tags": {"a": {"tag_pattern": "("}}}"#, "no regular expression"),
            (r#"{"tags": {"a": {"tag_pattern": "(a{1000}){1000}"}}}"#, "too large"),
            (r#"{"tags": {"a": {"required": 1}}}"#, "neither true nor false"),
            (r#"{"tags": {"a": {"tag_key": []}}}"#, "not a text"),
        ] {
            let error = TagPolicy::parse(document).expect_err(document).to_string();
            assert!(error.contains(problem), "{document}: {error}");
        }
    }
}
