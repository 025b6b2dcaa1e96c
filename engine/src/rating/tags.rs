//! Reads the tags of a row: a JSON object of text values.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Calls `each` with every key and text value of a JSON object; what is no such object has none.
pub(crate) fn each_tag(json: &str, each: &mut dyn FnMut(&str, &str)) {
    let mut source = serde_json::Deserializer::from_str(json);
    // Landing wrote the text; what cannot be read has no tags.
    let _ = source.deserialize_any(Object { each });
}

/// The value of one tag.
pub(crate) fn value_of(json: &str, key: &str) -> Option<String> {
    let mut found = None;
    each_tag(json, &mut |name, value| {
        if name == key {
            found = Some(value.to_owned());
        }
    });
    found
}

/// Keys of tags that roll-ups keep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TagKeys {
    /// Those that rules look at, as they are written, sorted.
    rules: Vec<String>,
    /// Those that policies speak of, in lower case, sorted: how a key is written is what a policy may find fault with.
    policies: Vec<String>,
}

impl TagKeys {
    pub(crate) fn new(rules: impl Iterator<Item = String>, policies: impl Iterator<Item = String>) -> Self {
        let mut keys = Self { rules: rules.collect(), policies: policies.map(|key| key.to_lowercase()).collect() };
        for list in [&mut keys.rules, &mut keys.policies] {
            list.sort_unstable();
            list.dedup();
        }
        keys
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.policies.is_empty()
    }

    fn has(&self, key: &str) -> bool {
        let is_of_rules = self.rules.binary_search_by(|held| held.as_str().cmp(key)).is_ok();
        is_of_rules || !self.policies.is_empty() && self.policies.binary_search(&key.to_lowercase()).is_ok()
    }
}

/// A JSON object of those tags that have one of the keys, in the order of their own; none when there are none.
pub(crate) fn only(json: &str, keys: &TagKeys) -> Option<String> {
    let mut kept: Vec<(String, String)> = Vec::new();
    each_tag(json, &mut |name, value| {
        if keys.has(name) {
            kept.push((name.to_owned(), value.to_owned()));
        }
    });
    if kept.is_empty() {
        return None;
    }
    kept.sort_unstable();
    let object: serde_json::Map<String, serde_json::Value> =
        kept.into_iter().map(|(name, value)| (name, serde_json::Value::String(value))).collect();
    Some(serde_json::Value::Object(object).to_string())
}

struct Object<'a> {
    each: &'a mut dyn FnMut(&str, &str),
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if let Scalar::Text(value) = map.next_value::<Scalar<'de>>()? {
                (self.each)(&key.0, &value);
            }
        }
        Ok(())
    }
}

struct Text<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        match Scalar::deserialize(source)? {
            Scalar::Text(text) => Ok(Self(text)),
            Scalar::Other => Ok(Self(Cow::Borrowed(""))),
        }
    }
}

enum Scalar<'a> {
    Text(Cow<'a, str>),
    Other,
}

impl<'de> serde::Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tag value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_keys_are_kept_in_their_order() {
        let keys = TagKeys::new(["a".to_owned(), "b\"".to_owned()].into_iter(), std::iter::empty());
        let tags = r#"{"b\"":"x\ny","c":"1","a":"2","n":5,"o":{"a":"9"}}"#;
        assert_eq!(only(tags, &keys).as_deref(), Some(r#"{"a":"2","b\"":"x\ny"}"#));
        assert_eq!(only(r#"{"c":"1"}"#, &keys), None);
        assert_eq!(only("not json", &keys), None);
        assert_eq!(value_of(tags, "c").as_deref(), Some("1"));
    }

    #[test]
    fn keys_of_policies_are_kept_however_they_are_written() {
        let keys = TagKeys::new(std::iter::empty(), ["Project".to_owned()].into_iter());
        let tags = r#"{"project":"a","PROJECT":"b","team":"c"}"#;
        assert_eq!(only(tags, &keys).as_deref(), Some(r#"{"PROJECT":"b","project":"a"}"#));
    }
}
