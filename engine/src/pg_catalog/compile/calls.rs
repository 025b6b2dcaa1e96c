//! Function calls: by name, special forms, set-returning.

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName,
};

use super::super::error::CatalogQueryError;
use super::super::functions::{column_type, native, set_function};
use super::super::names::parts;
use super::super::types::{BOOL, CHAR, JSON, JSONB, PgType, REGTYPE, TEXT, TYPES, UNKNOWN};

use super::scope::Scope;
use super::sets::rows_call;
use super::table_functions::RowsText;
use super::typed::Typed;
use super::{Compiler, Outcome};

/// A function's bare name; only those of the two system schemas are known.
pub(super) fn function_name(name: &ObjectName) -> Outcome<String> {
    let undefined = || CatalogQueryError::new("42883", format!("function {name} does not exist"));
    let parts = parts(name).ok_or_else(undefined)?;
    match parts.as_slice() {
        [name] => Ok(name.clone()),
        [schema, name] if schema == "pg_catalog" || schema == "information_schema" => Ok(name.clone()),
        _ => Err(undefined()),
    }
}

pub(super) fn undefined_function(name: &str, arguments: &[Typed]) -> CatalogQueryError {
    let types: Vec<String> = arguments
        .iter()
        .map(
            |argument| {
                if argument.untyped.is_some() { "unknown".to_owned() } else { TYPES.format(argument.ty.oid, None) }
            },
        )
        .collect();
    CatalogQueryError::new("42883", format!("function {name}({}) does not exist", types.join(", ")))
}

impl Compiler<'_> {
    pub(super) fn call(&mut self, function: &Function, scope: &Scope<'_>) -> Outcome<Typed> {
        let name = function_name(&function.name)?;
        let list = match &function.args {
            FunctionArguments::Subquery(query) if name == "array" => {
                return self.array_of(query, scope);
            }
            FunctionArguments::Subquery(query) => {
                let value = self.query(query, Some(scope))?;
                let item = value.columns.first().map(|(_, item)| item.renamed(format!("({})", value.sql)));
                return self.plain_call(&name, item.into_iter().collect());
            }
            FunctionArguments::None => return self.keyword(&name),
            FunctionArguments::List(list) => list,
        };
        if super::aggregates::is_aggregate(&name, function) {
            return self.aggregate(&name, function, list, scope);
        }
        if matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)) || function.filter.is_some() {
            return Err(CatalogQueryError::new("42809", format!("{name} is not an aggregate function")));
        }
        if name.starts_with("_pg_truetyp") {
            return self.true_type(&name, &list.args, scope);
        }
        let mut arguments = Vec::new();
        for argument in &list.args {
            arguments.push(self.argument(argument, scope)?);
        }
        self.plain_call(&name, arguments)
    }

    pub(super) fn argument(&mut self, argument: &FunctionArg, scope: &Scope<'_>) -> Outcome<Typed> {
        let (FunctionArg::Unnamed(value)
        | FunctionArg::Named { arg: value, .. }
        | FunctionArg::ExprNamed { arg: value, .. }) = argument;
        match value {
            FunctionArgExpr::Expr(expr) => self.expression(expr, scope),
            FunctionArgExpr::QualifiedWildcard(name) => {
                let table = parts(name).and_then(|mut parts| parts.pop()).unwrap_or_default();
                scope.bare(&table)
            }
            FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => {
                Err(CatalogQueryError::unsupported("* as an argument here"))
            }
        }
    }

    /// `current_user`, `current_timestamp` and other names without parentheses.
    fn keyword(&mut self, name: &str) -> Outcome<Typed> {
        match name {
            "current_date" => Ok(Typed::new("(catalog_now() / 86400000000)", super::super::types::DATE)),
            "current_timestamp" | "localtimestamp" => self.native_call("now", Vec::new()),
            other => self.native_call(other, Vec::new()),
        }
    }

    fn plain_call(&mut self, name: &str, arguments: Vec<Typed>) -> Outcome<Typed> {
        if let Some(set) = set_function(name) {
            let arguments = self.set_arguments(name, arguments)?;
            return self.set_in_list(set, &arguments);
        }
        match name {
            "coalesce" => {
                let (arguments, ty) = self.unify(arguments)?;
                let list: Vec<&str> = arguments.iter().map(|argument| argument.sql.as_str()).collect();
                let sql = if list.len() == 1 { list[0].to_owned() } else { format!("coalesce({})", list.join(", ")) };
                Ok(Typed::with_type(sql, ty))
            }
            "nullif" => {
                let [left, right] =
                    <[Typed; 2]>::try_from(arguments).map_err(|given| undefined_function(name, &given))?;
                let (left, right) = self.comparable(left, right)?;
                Ok(Typed::with_type(format!("nullif({}, {})", left.sql, right.sql), left.ty))
            }
            "array_prepend" | "array_append" | "array_cat" => {
                let [left, right] =
                    <[Typed; 2]>::try_from(arguments).map_err(|given| undefined_function(name, &given))?;
                self.operate(left, "||", right)
            }
            "pg_typeof" => {
                let oid = arguments.first().map_or(UNKNOWN, |argument| argument.ty.oid);
                Ok(Typed::new(oid.to_string(), REGTYPE))
            }
            "json_build_object" | "jsonb_build_object" | "json_build_array" | "jsonb_build_array" | "to_json"
            | "to_jsonb" | "row_to_json" => self.json_call(name, arguments),
            "current_date" | "current_timestamp" | "localtimestamp" => self.keyword(name),
            // explicit casts in the form of calls: text(x), oid(x)
            "text" | "name" | "oid" | "int4" | "int8" | "int2" | "varchar" if arguments.len() == 1 => {
                let target = TYPES.named(name).unwrap_or(TEXT);
                let value = arguments.into_iter().next().unwrap_or_else(|| Typed::text("NULL"));
                self.cast(value, PgType::plain(target))
            }
            "concat" | "concat_ws" | "format" => {
                let mut printed = Vec::new();
                for argument in arguments {
                    printed.push(self.cast(argument, PgType::plain(TEXT))?);
                }
                self.native_call(name, printed)
            }
            _ => self.native_call(name, arguments),
        }
    }

    fn set_arguments(&mut self, name: &str, arguments: Vec<Typed>) -> Outcome<Vec<Typed>> {
        let rows = format!("rows_of_{name}");
        let expected = native(&rows).map_or(&[][..], |function| function.arguments);
        let mut typed = Vec::new();
        for (at, argument) in arguments.into_iter().enumerate() {
            let target = expected.get(at).copied().unwrap_or(TEXT);
            typed.push(self.coerce(argument, target)?);
        }
        Ok(typed)
    }

    /// A function in `FROM`: a set, or a plain function as a set of one row.
    pub(super) fn rows_of_call(
        &mut self,
        name: &str,
        arguments: Vec<Typed>,
    ) -> Outcome<(RowsText, Vec<(String, u32)>)> {
        if let Some(set) = set_function(name) {
            let arguments = self.set_arguments(name, arguments)?;
            let first = arguments.first().map_or(UNKNOWN, |argument| argument.ty.oid);
            let columns =
                set.columns.iter().map(|(name, oid)| ((*name).to_owned(), column_type(*oid, first))).collect();
            return Ok((RowsText { sql: rows_call(set, &arguments), is_record: set.is_record }, columns));
        }
        let value = self.plain_call(name, arguments)?;
        let rows = RowsText { sql: format!("json_array({})", value.sql), is_record: false };
        Ok((rows, vec![(name.to_owned(), value.ty.oid)]))
    }

    /// `ARRAY(SELECT ...)`.
    fn array_of(&mut self, query: &datafusion::sql::sqlparser::ast::Query, scope: &Scope<'_>) -> Outcome<Typed> {
        let compiled = self.query(query, Some(scope))?;
        let [(name, item)] = compiled.columns.as_slice() else {
            return Err(CatalogQueryError::new("42601", "subquery must return only one column"));
        };
        let column = super::ordering::unique_names(std::iter::once(name.as_str())).remove(0);
        let array = TYPES.array_of(item.ty.oid);
        let sql = format!("(SELECT json_group_array({column}) FROM ({}))", compiled.sql);
        Ok(Typed::new(sql, if array == 0 { super::super::types::TEXT_ARRAY } else { array }))
    }

    /// `_pg_truetypid(a.*, t.*)`: the type below a domain.
    fn true_type(&mut self, name: &str, arguments: &[FunctionArg], scope: &Scope<'_>) -> Outcome<Typed> {
        let mut tables = Vec::new();
        for argument in arguments {
            let text = argument.to_string();
            tables
                .push(text.trim_end_matches(".*").trim_matches(['(', ')', '"']).trim_end_matches(".*").to_lowercase());
        }
        let [attribute, kind] = tables.as_slice() else {
            return Err(undefined_function(name, &[]));
        };
        let (of_domain, of_column) =
            if name == "_pg_truetypid" { ("typbasetype", "atttypid") } else { ("typtypmod", "atttypmod") };
        let typtype = scope.qualified(None, kind, "typtype")?;
        let domain = scope.qualified(None, kind, of_domain)?;
        let column = scope.qualified(None, attribute, of_column)?;
        Ok(column.renamed(format!("CASE WHEN {} = 'd' THEN {} ELSE {} END", typtype.sql, domain.sql, column.sql)))
    }

    fn json_call(&mut self, name: &str, arguments: Vec<Typed>) -> Outcome<Typed> {
        let oid = if name.contains("jsonb") { JSONB } else { JSON };
        let mut list = Vec::new();
        let is_object = name.ends_with("build_object");
        for (at, argument) in arguments.into_iter().enumerate() {
            let argument = self.coerce(argument, TEXT)?;
            list.push(if is_object && at % 2 == 0 { argument.sql } else { json_value(&argument) });
        }
        let sql = match name {
            "json_build_object" | "jsonb_build_object" => {
                format!("json_object({})", list.join(", "))
            }
            "json_build_array" | "jsonb_build_array" => format!("json_array({})", list.join(", ")),
            _ => {
                let value = list.first().map_or("NULL", String::as_str);
                format!("CASE WHEN {value} IS NOT NULL THEN json_quote({value}) END")
            }
        };
        Ok(Typed::new(sql, oid))
    }
}

/// A value so that SQLite's JSON functions nest it as PostgreSQL's would.
pub(super) fn json_value(value: &Typed) -> String {
    if let Some(fields) = &value.fields {
        let pairs: Vec<String> = fields
            .iter()
            .enumerate()
            .map(|(at, (name, oid))| {
                let item = super::sets::field(&value.sql, at, *oid);
                format!("{}, {}", super::super::names::quoted_literal(name), json_value(&item))
            })
            .collect();
        return format!("json_object({})", pairs.join(", "));
    }
    match value.ty.oid {
        BOOL => format!("json(CASE {} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END)", value.sql),
        JSON | JSONB => format!("json({})", value.sql),
        CHAR => value.sql.clone(),
        oid if TYPES.element_of(oid).is_some() => format!("json({})", value.sql),
        _ => value.sql.clone(),
    }
}
