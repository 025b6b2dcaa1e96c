//! The items of a JSON page, as they were written: a number keeps every digit, since nothing reads it.

/// The text of each item of the array at a JSON pointer, on one line. The document must be valid JSON.
///
/// # Errors
/// When there is no array there, or an item is no object.
pub(super) fn items(document: &str, pointer: &str) -> Result<Vec<String>, String> {
    let nothing = || format!("there is no array at \"{pointer}\"");
    let mut value = document.trim();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        value = member(value, &step).ok_or_else(nothing)?;
    }
    if !value.starts_with('[') {
        return Err(nothing());
    }
    let one_line = |item: &str| {
        if item.starts_with('{') {
            Ok(item.replace(['\n', '\r'], " "))
        } else {
            Err("an item is not an object".to_owned())
        }
    };
    elements(value).into_iter().map(one_line).collect()
}

/// The item with more fields before its own; its own stay as they are.
pub(super) fn with_fields(item: &str, fields: &[(String, String)]) -> Result<String, String> {
    let own = elements(item);
    let mut text = String::from("{");
    for (name, value) in fields.iter().filter(|(name, _)| member(item, name).is_none()) {
        let pair = |text: &str| serde_json::to_string(text).map_err(|error| error.to_string());
        text += &format!("{}:{},", pair(name)?, pair(value)?);
    }
    if own.is_empty() {
        text.truncate(text.trim_end_matches(',').len());
    }
    Ok(text + item.get(1..).unwrap_or("}").trim_start())
}

/// The value of an object's member.
fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    if !object.starts_with('{') {
        return None;
    }
    elements(object).into_iter().find_map(|pair| {
        let key_ends = end_of_string(pair)?;
        let key: String = serde_json::from_str(&pair[..key_ends]).ok()?;
        let value = pair[key_ends..].trim_start().strip_prefix(':')?.trim();
        (key == name).then_some(value)
    })
}

/// What lies between the commas of an array or object. No string of valid JSON has a bracket or comma that counts.
fn elements(value: &str) -> Vec<&str> {
    let bytes = value.as_bytes();
    let (mut found, mut depth, mut at, mut from) = (Vec::new(), 0_usize, 0, 1);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at += end_of_string(&value[at..]).unwrap_or(1) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    found.push(value[from..at].trim());
                    break;
                }
            }
            b',' if depth == 1 => {
                found.push(value[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    found.retain(|element| !element.is_empty());
    found
}

/// Where the string that a text begins with ends.
fn end_of_string(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_every_digit_and_lose_their_line_breaks() {
        let page =
            "\n{\"a\": {\"v/w\": [ {\"cost\": 0.10000000000000000000001,\n \"t\": \"x,]}\\\"y\"}, {} ]}, \"n\": null}";
        let found = items(page, "/a/v~1w").expect("an array");
        assert_eq!(found, ["{\"cost\": 0.10000000000000000000001,  \"t\": \"x,]}\\\"y\"}", "{}"]);
        assert_eq!(items("[]", "").expect("an array"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_array_of_objects_is_refused() {
        for (page, pointer) in
            [("{}", "/items"), ("{\"items\": {}}", "/items"), ("[1]", ""), ("3", ""), ("{\"a\": 1}", "/a/b")]
        {
            assert!(items(page, pointer).is_err(), "{page}");
        }
    }

    #[test]
    fn fields_are_put_before_an_items_own() {
        let fields = [("customerId".to_owned(), "a\"b".to_owned()), ("x".to_owned(), "1".to_owned())];
        assert_eq!(with_fields("{ \"x\": 2.50 }", &fields).expect("text"), "{\"customerId\":\"a\\\"b\",\"x\": 2.50 }");
        let both = with_fields("{}", &fields).expect("text");
        assert_eq!(both, "{\"customerId\":\"a\\\"b\",\"x\":\"1\"}");
    }
}
