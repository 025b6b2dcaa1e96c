//! Nested columns of Parquet files: structs as dotted paths, everything nested as JSON text.
//!
//! A struct `project` with a field `id` is the column `project.id`, as a JSON line's member would
//! be, so that one mapping reads both. A mapping may also name `project` itself, and a list, whose
//! cells are then JSON: numbers by their digits (a double's shortest decimal), times as text,
//! members that are null left out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, Fields};
use arrow::record_batch::RecordBatch;

use super::convert::as_text;
use super::json::{DEPTH_MAX, joined};
use super::tags::push_json_text;

/// The paths of all columns, a struct after what is in it, and whether each is a struct.
pub(crate) fn paths_of(fields: &Fields) -> Vec<(String, bool)> {
    let mut paths = Vec::new();
    add_paths("", fields, 0, &mut paths);
    paths
}

fn add_paths(path: &str, fields: &Fields, depth: usize, paths: &mut Vec<(String, bool)>) {
    for field in fields {
        let own = joined(path, field.name());
        match inner_fields(field.data_type(), depth) {
            Some(inner) => {
                add_paths(&own, inner, depth + 1, paths);
                paths.push((own, true));
            }
            None => paths.push((own, false)),
        }
    }
}

/// The columns of a batch in the order of `paths_of`.
pub(crate) fn columns_of(batch: &RecordBatch) -> Vec<ArrayRef> {
    let mut columns = Vec::new();
    for column in batch.columns() {
        add_columns(column, 0, &mut columns);
    }
    columns
}

fn add_columns(column: &ArrayRef, depth: usize, columns: &mut Vec<ArrayRef>) {
    if inner_fields(column.data_type(), depth).is_some() {
        for child in column.as_struct().columns() {
            add_columns(&below(column, child), depth + 1, columns);
        }
    }
    columns.push(Arc::clone(column));
}

fn inner_fields(data_type: &DataType, depth: usize) -> Option<&Fields> {
    match data_type {
        DataType::Struct(fields) if depth < DEPTH_MAX => Some(fields),
        _ => None,
    }
}

/// A field of a struct, null where the struct is: what is stored there means nothing.
fn below(parent: &ArrayRef, child: &ArrayRef) -> ArrayRef {
    if parent.null_count() == 0 {
        return Arc::clone(child);
    }
    is_null(parent).and_then(|nulls| nullif(child, &nulls)).unwrap_or_else(|_| Arc::clone(child))
}

/// A nested column as JSON texts.
pub(crate) fn as_json(column: &ArrayRef) -> StringViewArray {
    let cells = Cells::of(column);
    let mut texts = StringViewBuilder::with_capacity(column.len());
    let mut json = String::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            texts.append_null();
            continue;
        }
        json.clear();
        cells.push(&mut json, row);
        texts.append_value(&json);
    }
    texts.finish()
}

/// A column whose cells can be written as JSON.
enum Cells {
    /// Cells that are JSON as they stand: finite numbers, `true`, `false`, objects of tags.
    Plain(StringViewArray),
    Quoted(StringViewArray),
    Struct(Vec<(String, ArrayRef, Self)>),
    /// The elements of row `r` are `spans[r]` of the cells.
    List(Vec<(usize, usize)>, ArrayRef, Box<Self>),
}

impl Cells {
    fn of(column: &ArrayRef) -> Self {
        let span = |from: i64, to: i64| (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(0));
        match column.data_type() {
            DataType::Struct(fields) => {
                let members = fields.iter().zip(column.as_struct().columns());
                Self::Struct(members.map(|(f, c)| (f.name().clone(), Arc::clone(c), Self::of(c))).collect())
            }
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                let spans = list.value_offsets().windows(2).map(|w| span(w[0].into(), w[1].into())).collect();
                Self::List(spans, Arc::clone(list.values()), Box::new(Self::of(list.values())))
            }
            DataType::LargeList(_) => {
                let list = column.as_list::<i64>();
                let spans = list.value_offsets().windows(2).map(|w| span(w[0], w[1])).collect();
                Self::List(spans, Arc::clone(list.values()), Box::new(Self::of(list.values())))
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::numbers(&as_text(column)),
            DataType::Map(..) | DataType::Boolean => Self::Plain(as_text(column)),
            other if other.is_integer() || other.is_decimal() => Self::Plain(as_text(column)),
            _ => Self::Quoted(as_text(column)),
        }
    }

    /// Not a number and infinity are no JSON: as texts they fail where a number is read.
    fn numbers(texts: &StringViewArray) -> Self {
        let written = |text: &str| if text.contains(['n', 'N']) { format!("\"{text}\"") } else { text.to_owned() };
        Self::Plain(texts.iter().map(|text| text.map(written)).collect())
    }

    fn push(&self, json: &mut String, row: usize) {
        match self {
            Self::Plain(texts) if texts.is_valid(row) => json.push_str(texts.value(row)),
            Self::Quoted(texts) if texts.is_valid(row) => push_json_text(json, texts.value(row)),
            Self::Plain(_) | Self::Quoted(_) => json.push_str("null"),
            Self::Struct(members) => {
                json.push('{');
                let mut is_first = true;
                for (name, column, cells) in members.iter().filter(|(_, column, _)| column.is_valid(row)) {
                    debug_assert!(column.len() > row);
                    if !std::mem::take(&mut is_first) {
                        json.push(',');
                    }
                    push_json_text(json, name);
                    json.push(':');
                    cells.push(json, row);
                }
                json.push('}');
            }
            Self::List(spans, values, cells) => {
                let (from, to) = spans[row];
                json.push('[');
                for at in from..to {
                    if at > from {
                        json.push(',');
                    }
                    if values.is_null(at) {
                        json.push_str("null");
                    } else {
                        cells.push(json, at);
                    }
                }
                json.push(']');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray, StructArray};
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn credits() -> ArrayRef {
        let fields: Fields =
            vec![Field::new("name", DataType::Utf8, true), Field::new("amount", DataType::Float64, true)].into();
        let names = Arc::new(StringArray::from(vec![Some("a \"b\""), None, Some("c")])) as ArrayRef;
        let amounts = Arc::new(Float64Array::from(vec![-0.1, -1e-7, f64::NAN])) as ArrayRef;
        let elements = StructArray::new(fields.clone(), vec![names, amounts], None);
        let item = Arc::new(Field::new("item", DataType::Struct(fields), true));
        let offsets = OffsetBuffer::from_lengths([2, 0, 1, 0]);
        let validity = NullBuffer::from(vec![true, true, true, false]);
        Arc::new(arrow::array::ListArray::new(item, offsets, Arc::new(elements), Some(validity)))
    }

    #[test]
    fn lists_of_structs_are_arrays_of_objects() {
        let texts = as_json(&credits());
        assert_eq!(texts.value(0), r#"[{"name":"a \"b\"","amount":-0.1},{"amount":-0.0000001}]"#);
        assert_eq!(texts.value(1), "[]");
        assert_eq!(texts.value(2), r#"[{"name":"c","amount":"NaN"}]"#);
        assert!(texts.is_null(3));
    }

    #[test]
    fn structs_are_paths_and_what_is_below_a_null_is_null() {
        let inner: Fields = vec![Field::new("id", DataType::Int64, true)].into();
        let ids = Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
        let project = StructArray::new(inner.clone(), vec![ids], Some(NullBuffer::from(vec![true, false])));
        let schema = Schema::new(vec![
            Field::new("cost", DataType::Float64, true),
            Field::new("project", DataType::Struct(inner), true),
        ]);
        let costs = Arc::new(Float64Array::from(vec![1.0, 2.0])) as ArrayRef;
        let batch = RecordBatch::try_new(Arc::new(schema), vec![costs, Arc::new(project)]).expect("batch");
        let paths = paths_of(batch.schema().fields());
        let expected = [("cost", false), ("project.id", false), ("project", true)];
        assert_eq!(paths, expected.map(|(path, is_struct)| (path.to_owned(), is_struct)));
        let columns = columns_of(&batch);
        assert!(columns[1].is_valid(0) && columns[1].is_null(1));
        let whole = as_text(&columns[2]);
        assert_eq!((whole.value(0), whole.is_null(1)), (r#"{"id":1}"#, true));
    }
}
