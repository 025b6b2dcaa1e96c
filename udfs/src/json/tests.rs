//! The operators as SQL sees them, and what they find in texts good and bad. The expected values follow from the grammar of
//! JSON and from what PostgreSQL 15 answers; `tests/postgres_json.py` compares many more.

use super::{JsonFunction, Shown, Step, element, member, path, shown};
use crate::testing::{error, rows, value};
use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl};
use std::sync::Arc;

const TAGS: &str =
    r#"{"team":"red","n":1.50,"none":null,"yes":true,"in":{"a": [1, {"b":"x"}]},"":"empty","list":[10,"20",null,[3]]}"#;

fn found(document: &str, key: &str) -> Option<String> {
    member(document, key).and_then(shown).map(std::borrow::Cow::into_owned)
}

#[test]
fn text_is_shown_without_quotes_and_everything_else_as_it_is_written() {
    let shown = |key| found(TAGS, key);
    assert_eq!(shown("team").as_deref(), Some("red"));
    assert_eq!(shown("n").as_deref(), Some("1.50"));
    assert_eq!(shown("yes").as_deref(), Some("true"));
    assert_eq!(shown("in").as_deref(), Some(r#"{"a": [1, {"b":"x"}]}"#));
    assert_eq!(shown("").as_deref(), Some("empty"));
    assert_eq!(shown("none"), None);
    assert_eq!(shown("absent"), None);
    // A member of a member is none of the object's.
    assert_eq!(shown("a"), None);
    // The JSON of null is not NULL.
    assert_eq!(member(TAGS, "none"), Some("null"));
    assert_eq!(member(TAGS, "team"), Some("\"red\""));
}

#[test]
fn numbers_keep_their_digits() {
    for number in ["0.1000000000000000055511151231257827", "12345678901234567890.10", "-0", "1e400", "1.0E-7"] {
        assert_eq!(found(&format!("{{\"n\" : {number} }}"), "n").as_deref(), Some(number));
    }
}

#[test]
fn escapes_are_replaced_in_values_and_in_names() {
    let text = |json: &str| shown(json).map(std::borrow::Cow::into_owned);
    assert_eq!(text(r#""q\" b\\ s\/ \b\f\n\r\t""#).as_deref(), Some("q\" b\\ s/ \u{8}\u{c}\n\r\t"));
    assert_eq!(text(r#""\u00e9\u20AC""#).as_deref(), Some("é€"));
    // U+1F600 is the pair d83d de00.
    assert_eq!(text(r#""a\ud83d\ude00b""#).as_deref(), Some("a😀b"));
    assert_eq!(found(r#"{"te\u0061m":"red"}"#, "team").as_deref(), Some("red"));
    assert_eq!(found(r#"{"a\"b":"red"}"#, "a\"b").as_deref(), Some("red"));
    assert_eq!(found(r#"{"a\\":"1","a":"2"}"#, "a\\").as_deref(), Some("1"));
}

#[test]
fn a_string_that_no_text_can_hold_is_null_and_harms_no_other() {
    for bad in [r"\u0000", r"\ud83d", r"\ud83dx", r"\ude00", r"\ud83d\ud83d", r"\ud83d\n"] {
        let tags = format!(r#"{{"bad":"{bad}","{bad}":"1","good":"2"}}"#);
        assert_eq!((found(&tags, "bad"), found(&tags, "good").as_deref()), (None, Some("2")), "{bad}");
    }
}

#[test]
fn of_members_of_one_name_the_last_counts() {
    assert_eq!(found(r#"{"a":"1","b":"2","a":"3"}"#, "a").as_deref(), Some("3"));
    assert_eq!(found(r#"{"a":"1","\u0061":null}"#, "a"), None);
}

#[test]
fn spaces_may_stand_between_tokens_and_belong_to_no_value() {
    assert_eq!(found(" {\t\"a\" :\r\n [ 1 , 2 ] , \"b\":3 } \n", "a").as_deref(), Some("[ 1 , 2 ]"));
    assert_eq!(found(" { } ", "a"), None);
    assert_eq!(element(" [ ] ", 0), None);
}

#[test]
fn what_is_no_json_has_no_values() {
    let whole = r#"{"a":"1","b":[1,{"c":2}],"d":-1.5e+3,"e":true}"#;
    assert_eq!(found(whole, "a").as_deref(), Some("1"));
    // Every beginning of it is broken, though "a" is there.
    for end in 0..whole.len() {
        assert_eq!(found(&whole[..end], "a"), None, "{}", &whole[..end]);
    }
    for bad in [
        r#"{"a":"1"}x"#,
        r#"{"a":"1",}"#,
        r#"{"a":"1" "b":2}"#,
        r#"{"a":"1","b"}"#,
        r#"{"a":"1","b":}"#,
        r#"{"a":"1",b:2}"#,
        r#"{"a":"1","b":[1,]}"#,
        r#"{"a":"1","b":[1}}"#,
        r#"{"a":"1","b":{"c":1]}"#,
        r#"{"a":"1","b":01}"#,
        r#"{"a":"1","b":1.}"#,
        r#"{"a":"1","b":.5}"#,
        r#"{"a":"1","b":+1}"#,
        r#"{"a":"1","b":1e}"#,
        r#"{"a":"1","b":-}"#,
        r#"{"a":"1","b":nul}"#,
        r#"{"a":"1","b":truex}"#,
        r#"{"a":"1","b":NaN}"#,
        r#"{"a":"1","b":"\x"}"#,
        r#"{"a":"1","b":"\u12g4"}"#,
        "{\"a\":\"1\",\"b\":\"\n\"}",
        "{'a':'1'}",
        "team=red",
        "",
    ] {
        assert_eq!(found(bad, "a"), None, "{bad}");
    }
}

#[test]
fn deep_nesting_needs_no_stack() {
    let depth = 1_000_000;
    let deep = format!("{{\"deep\":{}{},\"a\":\"1\"}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(found(&deep, "a").as_deref(), Some("1"));
}

#[test]
fn elements_are_counted_from_0_and_from_the_end() {
    let list = r#"[10, "20", null, [3]]"#;
    let at = |place| element(list, place);
    assert_eq!([at(0), at(1), at(3), at(4)], [Some("10"), Some("\"20\""), Some("[3]"), None]);
    assert_eq!([at(-1), at(-4), at(-5), at(i64::MIN)], [Some("[3]"), Some("10"), None, None]);
    assert_eq!(element(r#"{"0":1}"#, 0), None);
    assert_eq!(element("7", 0), None);
    assert_eq!(member(list, "0"), None);
    assert_eq!(element("[1,2", 0), None);
}

#[test]
fn paths_go_through_objects_and_arrays() {
    assert_eq!(path(TAGS, ["in", "a", "1", "b"]), Some("\"x\""));
    assert_eq!(path(TAGS, ["in", "a", "-2"]), Some("1"));
    assert_eq!(path(TAGS, ["in", "a", "x"]), None);
    assert_eq!(path(TAGS, ["in", "a", "1", "b", "c"]), None);
    assert_eq!(path(" [1] ", []), Some("[1]"));
    assert_eq!(path("[1", []), None);
}

#[test]
fn operators_are_planned_in_every_clause() {
    let tags = "(values ('{\"team\":\"red\",\"n\":2}'), ('{\"team\":\"blue\"}'), ('{\"team\":\"red\"}'), (null), ('no')) as t(tags)";
    assert_eq!(
        rows(&format!("select tags ->> 'team', count(*) from {tags} group by tags ->> 'team' order by 1 nulls last")),
        ["blue 1", "red 2", "null 2"]
    );
    assert_eq!(rows(&format!("select tags -> 'team' from {tags} where (tags ->> 'n')::int = 2")), ["\"red\""]);
    assert_eq!(rows(&format!("select count(*) from {tags} where tags ->> 'team' is null")), ["2"]);
    // -> and ->> bind closer than a comparison and go from left to right.
    assert_eq!(value("select '{\"a\":[{\"b\":\"x\"}]}' -> 'a' -> 0 ->> 'b' = 'x'"), "true");
    assert_eq!(value("select '[1,2,3]' ->> -1"), "3");
    assert_eq!(value("select '{\"1\":\"name\"}' ->> '1'"), "name");
    assert_eq!(rows("select '{\"a\":1}' ->> null, null ->> 'a'"), ["null null"]);
}

#[test]
fn keys_may_be_columns() {
    let pairs = "(values ('{\"a\":\"1\",\"b\":\"2\"}', 'a', 0), ('{\"a\":\"1\",\"b\":\"2\"}', 'b', 1), ('[7,8]', 'a', 1), ('[7,8]', null, null)) as t(j, k, i)";
    assert_eq!(rows(&format!("select j ->> k, j ->> i from {pairs}")), ["1 null", "2 null", "null 8", "null null"]);
}

#[test]
fn paths_are_written_as_array_literals() {
    let json = "'{\"a\":{\"b c\":[1,\"x\"]}}'";
    assert_eq!(value(&format!("select {json} #>> '{{a,b c,1}}'")), "x");
    assert_eq!(value(&format!("select {json} #> '{{ a , \"b c\" , 1 }}'")), "\"x\"");
    assert_eq!(value("select '\"quoted\"' #>> '{}'"), "quoted");
    assert_eq!(rows("select '{\"null\":1}' #>> '{null}', '{\"null\":1}' #>> '{\"null\"}'"), ["null 1"]);
    assert_eq!(value(&format!("select json_extract_path_text({json}, 'a', 'b c', '0')")), "1");
    assert_eq!(value(&format!("select jsonb_extract_path({json}, 'a', 'b c', '1')")), "\"x\"");
    for malformed in ["a", "{a", "{a,}", "{,a}", "{a,{b}}", "{\"a}", "{\"a\"b}"] {
        assert!(error(&format!("select {json} #>> '{malformed}'")).contains("malformed array literal"), "{malformed}");
    }
}

#[test]
fn keys_and_documents_of_other_types_are_refused() {
    assert!(error("select 1 ->> 'a'").contains("operator ->> takes JSON text on its left"));
    assert!(error("select '{}' -> 1.5").contains("operator -> takes the name of a member or the place"));
    assert!(error("select '{}' #> 1").contains("operator #> takes a path"));
    assert!(error("select json_array_element('[]', 'a')").contains("json_array_element"));
    assert!(error("select json_object_field(1, 'a')").contains("json_object_field"));
    assert!(error("select json_extract_path_text()").contains("json_extract_path_text"));
}

#[test]
fn texts_that_repeat_in_a_batch_keep_their_own_values() {
    // 600 texts, more than are remembered, longer than a view holds itself, met three times in turn; every tenth is NULL.
    let tags = |at: usize| format!(r#"{{"padding":"................","v":"{at}"}}"#);
    let mut documents = StringViewBuilder::new().with_deduplicate_strings();
    let mut expected = Vec::new();
    for at in (0..600).chain(0..600).chain(0..600) {
        let is_null = at % 10 == 0;
        documents.append_option((!is_null).then(|| tags(at)));
        expected.push((!is_null).then(|| at.to_string()));
    }
    let documents = documents.finish();
    assert_eq!(documents.views()[1], documents.views()[601], "equal texts share a view");
    let function = JsonFunction::new(Step::Field, Shown::Text);
    let rows = documents.len();
    let found = function
        .invoke_with_args(ScalarFunctionArgs {
            args: vec![
                ColumnarValue::Array(Arc::new(documents)),
                ColumnarValue::Scalar(ScalarValue::Utf8View(Some("v".to_owned()))),
            ],
            arg_fields: Vec::new(),
            number_rows: rows,
            return_field: Arc::new(Field::new("", DataType::Utf8View, true)),
            config_options: Arc::default(),
        })
        .expect("the function is total");
    let ColumnarValue::Array(found) = found else { panic!("a column gives a column") };
    let found: Vec<Option<String>> = found.as_string_view().iter().map(|text| text.map(str::to_owned)).collect();
    assert_eq!(found, expected);
}
