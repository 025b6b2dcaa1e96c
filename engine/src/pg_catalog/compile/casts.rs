//! Literals, coercions and casts.

use super::super::error::CatalogQueryError;
use super::super::functions::{array_literal_to_json, bool_from_text, date_from_text, instant_from_text};
use super::super::names::quoted_literal;
use super::super::regtypes;
use super::super::types::{
    BOOL, BPCHAR, CHAR, DATE, FLOAT4, FLOAT8, INT2, INT4, INT8, NAME, NUMERIC, OID, PgType, TEXT, TYPES, UNKNOWN,
    VARCHAR, is_instant, is_integer, is_number, is_reg,
};
use super::typed::{Typed, Untyped};
use super::{Compiler, Outcome};

impl Compiler<'_> {
    /// Gives an untyped literal or parameter a type; anything else stays as it is.
    pub(super) fn coerce(&mut self, value: Typed, target: u32) -> Outcome<Typed> {
        let Some(untyped) = value.untyped.clone() else {
            return Ok(value);
        };
        let target = if target == UNKNOWN { TEXT } else { TYPES.base_of(target) };
        match untyped {
            Untyped::Null => Ok(Typed::new("NULL", target)),
            Untyped::Text(text) => self.literal(&text, target),
            Untyped::Parameter(position) => {
                let wanted = if is_reg(target) { TEXT } else { target };
                let given = *self.parameters[position].get_or_insert(wanted);
                self.cast(Typed::new(value.sql, given), PgType::plain(target))
            }
        }
    }

    /// A literal of a type.
    fn literal(&self, text: &str, target: u32) -> Outcome<Typed> {
        let invalid = || CatalogQueryError::invalid_text(&TYPES.format(target, None), text);
        if let Some(element) = TYPES.element_of(target) {
            return Ok(Typed::new(quoted_literal(&array_literal_to_json(text, element)?), target));
        }
        let sql = match target {
            BOOL => i32::from(bool_from_text(text).ok_or_else(invalid)?).to_string(),
            CHAR => quoted_literal(&text.chars().take(1).collect::<String>()),
            DATE => date_from_text(text)?.to_string(),
            _ if is_instant(target) && text == "now" => "catalog_now()".to_owned(),
            _ if is_instant(target) => instant_from_text(text)?.to_string(),
            _ if is_reg(target) => regtypes::parse(self.session, target, text)?.to_string(),
            _ if is_integer(target) => text.trim().parse::<i64>().map_err(|_| invalid())?.to_string(),
            FLOAT4 | FLOAT8 | NUMERIC => {
                text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(invalid)?.to_string()
            }
            _ => quoted_literal(text),
        };
        Ok(Typed::new(sql, target))
    }

    /// `value::target`.
    pub(super) fn cast(&mut self, value: Typed, target: PgType) -> Outcome<Typed> {
        let target = PgType { oid: TYPES.base_of(target.oid), typmod: target.typmod };
        if value.untyped.is_some() {
            let typed = self.coerce(value, target.oid)?;
            return Ok(truncated(typed, target));
        }
        let (from, to) = (value.ty.oid, target.oid);
        if from == to || value.fields.is_some() {
            return Ok(truncated(value, target));
        }
        if let Some(element) = TYPES.element_of(to) {
            return Ok(Typed::new(array_cast(&value, element), to));
        }
        let sql = value.sql;
        let converted = match to {
            BOOL if is_integer(from) => format!("({sql} <> 0)"),
            BOOL => call("bool_in", &sql, None),
            CHAR if is_integer(from) => call("chr", &sql, None),
            CHAR => call("char_in", &sql, None),
            INT4 if from == CHAR => call("ascii", &sql, None),
            _ if is_text(to) => printed(&sql, from),
            _ if is_reg(to) && is_number(from) => sql,
            _ if is_reg(to) => call("reg_in", &sql, Some(to)),
            _ if is_integer(to) && matches!(from, FLOAT4 | FLOAT8 | NUMERIC) => {
                format!("CAST(round({sql}) AS INTEGER)")
            }
            _ if is_integer(to) && (is_number(from) || from == BOOL) => sql,
            _ if is_integer(to) => call("integer_in", &sql, Some(to)),
            FLOAT4 | FLOAT8 => format!("CAST({sql} AS REAL)"),
            NUMERIC => format!("CAST({sql} AS NUMERIC)"),
            DATE if is_instant(from) => format!("({sql} / 86400000000)"),
            DATE => call("date_in", &sql, None),
            _ if is_instant(to) && from == DATE => format!("({sql} * 86400000000)"),
            _ if is_instant(to) && !is_instant(from) => call("instant_in", &sql, None),
            _ => sql,
        };
        Ok(truncated(Typed::new(converted, to), target))
    }

    /// The type several values have in common.
    pub(super) fn common_type<'t>(values: impl IntoIterator<Item = &'t Typed>) -> PgType {
        let mut common: Option<PgType> = None;
        for value in values.into_iter().filter(|value| value.untyped.is_none()) {
            common = Some(match common {
                None => value.ty,
                Some(so_far) if so_far == value.ty => so_far,
                Some(so_far) => PgType::plain(wider(so_far.oid, value.ty.oid)),
            });
        }
        common.unwrap_or(PgType::plain(TEXT))
    }

    /// Converts values to the type they have in common.
    pub(super) fn unify(&mut self, values: Vec<Typed>) -> Outcome<(Vec<Typed>, PgType)> {
        let common = Self::common_type(&values);
        let converted: Outcome<Vec<Typed>> = values.into_iter().map(|value| self.convert(value, common)).collect();
        Ok((converted?, common))
    }

    /// Converts a value for a place whose type is already decided, keeping records as they are.
    pub(super) fn convert(&mut self, value: Typed, common: PgType) -> Outcome<Typed> {
        if value.untyped.is_some() {
            return self.coerce(value, common.oid);
        }
        if value.ty.oid == common.oid || value.fields.is_some() {
            return Ok(Typed { ty: common, ..value });
        }
        self.cast(value, common)
    }
}

/// Whether values of the type are plain texts inside.
pub(super) fn is_text(oid: u32) -> bool {
    matches!(oid, TEXT | VARCHAR | BPCHAR | NAME)
}

fn wider(left: u32, right: u32) -> u32 {
    if is_number(left) && is_number(right) {
        let rank = |oid: u32| match oid {
            INT2 => 0,
            INT4 => 1,
            INT8 => 2,
            OID => 4,
            NUMERIC => 5,
            FLOAT4 => 6,
            FLOAT8 => 7,
            _ => 3,
        };
        return if rank(left) >= rank(right) { left } else { right };
    }
    if is_instant(left) && right == DATE || is_instant(right) && left == DATE {
        return if is_instant(left) { left } else { right };
    }
    // between kinds of text the first wins, as each converts to the others; only "char" gives way
    if left == CHAR && is_text(right) { right } else { left }
}

fn call(function: &str, sql: &str, second: Option<u32>) -> String {
    match second {
        None => format!("catalog_{function}({sql})"),
        Some(oid) => format!("catalog_{function}({sql}, {oid})"),
    }
}

/// A value printed as PostgreSQL's output function does.
fn printed(sql: &str, from: u32) -> String {
    match from {
        BOOL => format!("CASE {sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"),
        DATE => call("date_out", sql, None),
        _ if is_reg(from) => call("reg_out", sql, Some(from)),
        _ if is_instant(from) => call("instant_out", sql, Some(from)),
        _ if TYPES.element_of(from).is_some() => call("array_out", sql, Some(from)),
        _ if is_number(from) => format!("CAST({sql} AS TEXT)"),
        _ => sql.to_owned(),
    }
}

/// Casts between arrays, and from text to arrays.
fn array_cast(value: &Typed, element: u32) -> String {
    match TYPES.element_of(value.ty.oid) {
        Some(from) if is_text(element) && !is_text(from) && from != CHAR => {
            format!("catalog_array_as_text({}, {from})", value.sql)
        }
        Some(_) => value.sql.clone(),
        None => call("array_in", &value.sql, Some(element)),
    }
}

/// Applies `varchar(n)`.
fn truncated(value: Typed, target: PgType) -> Typed {
    match (target.oid, target.typmod) {
        (VARCHAR | BPCHAR, modifier) if modifier >= 4 && value.ty != target => {
            Typed { sql: format!("substr({}, 1, {})", value.sql, modifier - 4), ty: target, ..value }
        }
        (_, -1) => value,
        _ => Typed { ty: target, ..value },
    }
}
