//! Functions as `pg_proc` knows them: signatures and how they print.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::facts::{CatalogFacts, FunctionKind};
use super::oids::{OidSource, PG_CATALOG};
use super::static_data::{PG_PROC, StaticTable};
use super::types::{PgType, TYPES};

/// A function, built in or own.
#[derive(Debug, Clone)]
pub(super) struct Procedure {
    pub(super) oid: u32,
    pub(super) namespace: u32,
    pub(super) name: String,
    pub(super) kind: char,
    /// Types of the input arguments.
    pub(super) inputs: Vec<u32>,
    /// All arguments, output ones too, with mode (`i`, `o`, `b`, `v`, `t`), name and type.
    pub(super) arguments: Vec<(char, String, u32)>,
    /// Defaults of the last input arguments, as SQL text.
    pub(super) defaults: Vec<String>,
    pub(super) returns: u32,
    pub(super) returns_set: bool,
    pub(super) comment: Option<String>,
}

impl Procedure {
    /// What `pg_get_function_arguments` prints.
    pub(super) fn arguments_text(&self, with_defaults: Defaults) -> String {
        let inputs = self.arguments.iter().filter(|(mode, ..)| matches!(mode, 'i' | 'b' | 'v')).count();
        let mut input = 0;
        let mut printed = Vec::new();
        for (mode, name, oid) in &self.arguments {
            if *mode == 't' {
                continue;
            }
            let mut text = match mode {
                'o' => "OUT ".to_owned(),
                'b' => "INOUT ".to_owned(),
                'v' => "VARIADIC ".to_owned(),
                _ => String::new(),
            };
            if !name.is_empty() {
                text.push_str(&super::names::quote_identifier(name));
                text.push(' ');
            }
            text.push_str(&TYPES.format(*oid, None));
            if *mode != 'o' {
                let default = (input + self.defaults.len()).checked_sub(inputs).and_then(|at| self.defaults.get(at));
                if let (Some(default), Defaults::Shown) = (default, with_defaults) {
                    text.push_str(" DEFAULT ");
                    text.push_str(default);
                }
                input += 1;
            }
            printed.push(text);
        }
        printed.join(", ")
    }

    /// What `pg_get_function_result` prints; `None` for procedures.
    pub(super) fn result_text(&self) -> Option<String> {
        if self.kind == 'p' {
            return None;
        }
        let table: Vec<String> = self
            .arguments
            .iter()
            .filter(|(mode, ..)| *mode == 't')
            .map(|(_, name, oid)| format!("{} {}", super::names::quote_identifier(name), TYPES.format(*oid, None)))
            .collect();
        if !table.is_empty() {
            return Some(format!("TABLE({})", table.join(", ")));
        }
        let set = if self.returns_set { "SETOF " } else { "" };
        Some(format!("{set}{}", TYPES.format(self.returns, None)))
    }

    /// What `regprocedure` prints after the name.
    pub(super) fn input_types_text(&self) -> String {
        self.inputs.iter().map(|oid| TYPES.format(*oid, None)).collect::<Vec<_>>().join(",")
    }
}

/// Whether argument defaults are printed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Defaults {
    Shown,
    Hidden,
}

/// PostgreSQL's functions by oid.
pub(super) fn builtin_procedures() -> &'static HashMap<u32, Procedure> {
    static BUILTIN: LazyLock<HashMap<u32, Procedure>> = LazyLock::new(|| {
        let table = StaticTable::parse(PG_PROC);
        let columns: Vec<&str> = table.columns().collect();
        let mut procedures = HashMap::new();
        for row in table.rows() {
            let cells: HashMap<&str, Option<String>> =
                columns.iter().copied().zip(row.cells().map(|cell| cell.map(Into::into))).collect();
            let procedure = builtin(&cells);
            procedures.insert(procedure.oid, procedure);
        }
        procedures
    });
    &BUILTIN
}

fn builtin(cells: &HashMap<&str, Option<String>>) -> Procedure {
    let text = |column: &str| cells.get(column).cloned().flatten();
    let number = |column: &str| text(column).and_then(|cell| cell.parse::<u32>().ok()).unwrap_or(0);
    let oids = |column: &str| text(column).and_then(|cell| serde_json::from_str::<Vec<u32>>(&cell).ok());
    let texts = |column: &str| text(column).and_then(|cell| serde_json::from_str::<Vec<String>>(&cell).ok());
    let inputs = oids("proargtypes").unwrap_or_default();
    let all = oids("proallargtypes").unwrap_or_else(|| inputs.clone());
    let modes = texts("proargmodes").unwrap_or_default();
    let names = texts("proargnames").unwrap_or_default();
    let arguments = all.iter().enumerate().map(|(at, oid)| {
        let mode = modes.get(at).and_then(|mode| mode.chars().next()).unwrap_or('i');
        (mode, names.get(at).cloned().unwrap_or_default(), *oid)
    });
    Procedure {
        oid: number("oid"),
        namespace: number("pronamespace"),
        name: text("proname").unwrap_or_default(),
        kind: text("prokind").and_then(|kind| kind.chars().next()).unwrap_or('f'),
        arguments: arguments.collect(),
        inputs,
        defaults: text("proargdefaults").map(|list| list.split(", ").map(str::to_owned).collect()).unwrap_or_default(),
        returns: number("prorettype"),
        returns_set: text("proretset").as_deref() == Some("1"),
        comment: None,
    }
}

/// The facts' functions with their oids.
pub(super) fn own_procedures(facts: &CatalogFacts, schemas: &[(u32, String)], oids: &mut OidSource) -> Vec<Procedure> {
    let mut order: Vec<(String, usize)> = facts
        .functions
        .iter()
        .enumerate()
        .map(|(at, fact)| {
            (format!("{}({:?})", fact.name, fact.arguments.iter().map(|(_, ty)| ty.oid).collect::<Vec<_>>()), at)
        })
        .collect();
    order.sort();
    let namespace_of = |name: &str| schemas.iter().find(|(_, known)| known == name).map_or(PG_CATALOG, |(oid, _)| *oid);
    order
        .into_iter()
        .map(|(signature, at)| {
            let fact = &facts.functions[at];
            let inputs: Vec<u32> = fact.arguments.iter().map(|(_, PgType { oid, .. })| *oid).collect();
            Procedure {
                oid: oids.assign("function", &fact.schema, &signature),
                namespace: namespace_of(&fact.schema),
                name: fact.name.clone(),
                kind: match fact.kind {
                    FunctionKind::Function => 'f',
                    FunctionKind::Aggregate => 'a',
                    FunctionKind::Procedure => 'p',
                },
                arguments: fact.arguments.iter().map(|(name, ty)| ('i', name.clone(), ty.oid)).collect(),
                inputs,
                defaults: Vec::new(),
                returns: fact.returns.oid,
                returns_set: fact.returns_set,
                comment: fact.comment.clone(),
            }
        })
        .collect()
}
