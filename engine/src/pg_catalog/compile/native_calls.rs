//! Calls of functions in the function table.

use super::super::functions::{Returns, native, sqlite_name};
use super::super::types::{NUMERIC, OID, PgType, TEXT};
use super::typed::{Typed, Untyped};
use super::{Compiler, Outcome};

impl Compiler<'_> {
    /// Calls a function of the table by its PostgreSQL name.
    pub(super) fn native_call(&mut self, name: &str, arguments: Vec<Typed>) -> Outcome<Typed> {
        let function = native(name).ok_or_else(|| super::calls::undefined_function(name, &arguments))?;
        let arguments = match function.returns {
            Returns::Common => self.unify(arguments)?.0,
            Returns::Type(_) | Returns::First => {
                let mut typed = Vec::new();
                for (at, argument) in arguments.into_iter().enumerate() {
                    let target = function.arguments.get(at).copied();
                    // a name given where an object is meant stays text: the function itself looks it up
                    let is_object = target == Some(OID) && argument.untyped.is_some();
                    typed.push(match target {
                        Some(target) if !is_object || !is_name_literal(&argument) => self.coerce(argument, target)?,
                        _ => self.coerce(argument, TEXT)?,
                    });
                }
                typed
            }
        };
        let list: Vec<&str> = arguments.iter().map(|argument| argument.sql.as_str()).collect();
        let first = arguments.first().map_or(PgType::plain(TEXT), |argument| argument.ty);
        let ty = match function.returns {
            Returns::Type(oid) if oid == NUMERIC && arguments.len() == 1 => PgType::numeric(38, 0),
            Returns::Type(oid) => PgType::plain(oid),
            Returns::First | Returns::Common => first,
        };
        Ok(Typed::with_type(format!("{}({})", sqlite_name(name), list.join(", ")), ty))
    }
}

fn is_name_literal(argument: &Typed) -> bool {
    matches!(&argument.untyped, Some(Untyped::Text(text)) if text.trim().parse::<u32>().is_err())
}
