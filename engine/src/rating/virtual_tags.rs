//! Virtual tags: what rules of `ref.virtual_tags` make of the tags that providers sent, for who reads charges.
//!
//! They are made while charges are read, of what the reader sees of them, and stored nowhere: a rule changes no amount, and
//! nobody else sees it. Whether a rule holds is decided by the first day of a row's billing period, which is the same for all parts of
//! a row and in roll-ups.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::{DataType, Date32Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use serde_json::{Map, Value as Json};

use super::attribution::is_like;
use super::error::RatingError;
use super::facts::VirtualTagRow;
use super::reading::read_virtual_tags;
use super::span::DAY_US;
use super::tags::value_of;
use crate::catalog::{SnapshotId, Tx};

/// All rules of virtual tags, as known at one snapshot.
#[derive(Debug, Default)]
pub struct VirtualTagRules(Vec<VirtualTagRow>);

impl VirtualTagRules {
    /// Reads them.
    ///
    /// # Errors
    /// When a row of `ref.virtual_tags` cannot be read.
    pub fn read(tx: &dyn Tx, snapshot: SnapshotId) -> std::result::Result<Self, RatingError> {
        Ok(Self(read_virtual_tags(tx, snapshot)?))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The owners of rules that those below are shown.
    pub(crate) fn disclosing(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|rule| rule.disclose).map(|rule| rule.owner_node_id.as_str())
    }

    /// The virtual tags of a reader: by rules of its own, then by what the nodes of `above`, from the nearest up, disclose.
    pub(crate) fn of_reader(&self, own: &str, above: &[&str]) -> VirtualTags {
        let rank = |rule: &VirtualTagRow| match rule.owner_node_id == own {
            true => Some(0),
            false => above.iter().position(|owner| rule.disclose && *owner == rule.owner_node_id).map(|at| at + 1),
        };
        let mut rules: Vec<(usize, &VirtualTagRow)> =
            self.0.iter().filter_map(|rule| Some((rank(rule)?, rule))).collect();
        rules.sort_by(|(a, one), (b, other)| {
            a.cmp(b).then_with(|| other.priority.cmp(&one.priority)).then_with(|| one.rule_id.cmp(&other.rule_id))
        });
        VirtualTags(rules.into_iter().map(|(_, rule)| rule.clone()).collect())
    }
}

/// The rules that a reader's tags are made by, the first that matches a row first.
#[derive(Debug, Clone, Default)]
pub(crate) struct VirtualTags(Vec<VirtualTagRow>);

/// What a rule looks at.
struct Seen<'a> {
    tags: Option<&'a str>,
    provider_name: Option<&'a str>,
    billing_account_id: Option<&'a str>,
    sub_account_id: Option<&'a str>,
    service_name: Option<&'a str>,
    resource_id: Option<&'a str>,
    /// The first instant of the billing period.
    at: i64,
}

impl VirtualTags {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those whose keys no rule gives by a resource, which roll-ups do not have.
    pub(crate) fn of_rollups(&self) -> Self {
        let by_resource =
            |key: &str| self.0.iter().any(|rule| rule.resource_pattern.is_some() && rule.virtual_key == key);
        Self(self.0.iter().filter(|rule| !by_resource(&rule.virtual_key)).cloned().collect())
    }

    /// As a function of tags, provider, billing account, sub account, service, resource and the billing period's first day.
    pub(crate) fn function(self) -> ScalarUDF {
        let text = DataType::Utf8View;
        let mut types = vec![text; 6];
        types.push(DataType::Date32);
        let signature = Signature::exact(types, Volatility::Immutable);
        ScalarUDF::from(WithVirtualTags { tags: Arc::new(self), signature })
    }

    /// The tags of a row with the virtual ones; none where nothing is added.
    fn added(&self, row: &Seen<'_>) -> Option<String> {
        let mut object: Option<Map<String, Json>> = None;
        let mut decided: Vec<&str> = Vec::new();
        for rule in self.0.iter().filter(|rule| rule.valid.contains(row.at)) {
            if decided.contains(&rule.virtual_key.as_str()) || !matches(rule, row) {
                continue;
            }
            decided.push(&rule.virtual_key);
            let has_own = |tags: &str| value_of(tags, &rule.virtual_key).is_some_and(|value| !value.is_empty());
            if !rule.replaces && row.tags.is_some_and(has_own) {
                continue;
            }
            let copied = || value_of(row.tags?, rule.tag_key.as_deref()?);
            let Some(value) = rule.virtual_value.clone().or_else(copied) else { continue };
            if object.is_none() {
                object = match row.tags {
                    None => Some(Map::new()),
                    // What is no object of tags stays what it is.
                    Some(tags) => Some(serde_json::from_str(tags).ok()?),
                };
            }
            if let Some(object) = &mut object {
                object.insert(rule.virtual_key.clone(), Json::String(value));
            }
        }
        object.map(|object| Json::Object(object).to_string())
    }
}

fn matches(rule: &VirtualTagRow, row: &Seen<'_>) -> bool {
    let is_met =
        |wanted: &Option<String>, held: Option<&str>| wanted.as_deref().is_none_or(|wanted| held == Some(wanted));
    is_met(&rule.provider_name, row.provider_name)
        && is_met(&rule.billing_account_id, row.billing_account_id)
        && is_met(&rule.sub_account_id, row.sub_account_id)
        && is_met(&rule.service_name, row.service_name)
        && rule
            .resource_pattern
            .as_deref()
            .is_none_or(|pattern| row.resource_id.is_some_and(|resource| is_like(resource, pattern)))
        && rule.tag_key.as_deref().is_none_or(|key| {
            let held = row.tags.and_then(|tags| value_of(tags, key));
            held.is_some_and(|held| rule.tag_value.as_deref().is_none_or(|wanted| held == wanted))
        })
}

/// Tags with the virtual ones of a reader.
#[derive(Debug)]
struct WithVirtualTags {
    tags: Arc<VirtualTags>,
    signature: Signature,
}

impl PartialEq for WithVirtualTags {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tags, &other.tags)
    }
}

impl Eq for WithVirtualTags {}

impl Hash for WithVirtualTags {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tags.0.len().hash(state);
    }
}

impl ScalarUDFImpl for WithVirtualTags {
    fn name(&self) -> &'static str {
        "with_virtual_tags"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays: Vec<ArrayRef> = ColumnarValue::values_to_arrays(&args.args)?;
        let [tags, provider, billing, sub, service, resource, period] = &arrays[..] else {
            return exec_err!("with_virtual_tags takes seven columns");
        };
        let texts = [tags, provider, billing, sub, service, resource].map(|column| column.as_string_view());
        let days = period.as_primitive::<Date32Type>();
        let rows = tags.len();
        let made: StringViewArray = (0..rows)
            .map(|row| {
                let [tags, provider, billing, sub, service, resource] =
                    texts.map(|column| column.is_valid(row).then(|| column.value(row)));
                let seen = Seen {
                    tags,
                    provider_name: provider,
                    billing_account_id: billing,
                    sub_account_id: sub,
                    service_name: service,
                    resource_id: resource,
                    at: i64::from(days.value(row)) * DAY_US,
                };
                self.tags.added(&seen).or_else(|| tags.map(str::to_owned))
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(made)))
    }
}
