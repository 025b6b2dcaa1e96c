//! How large a query becomes when it is planned: common table expressions are planned wherever they are named, and grouping sets one
//! by one.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Cte, Expr, GroupByExpr, Query, Select, Statement as Ast, Visit, Visitor, visit_relations,
};

use crate::security::SessionError;
use crate::security::guard::too_complex;

/// Relations of a query, those inside common table expressions counted wherever they are named.
const RELATIONS_MAX: u64 = 256;
/// Grouping sets of one select.
const GROUPING_SETS_MAX: u64 = 512;

/// Columns of one select, as in PostgreSQL.
const COLUMNS_MAX: usize = 1_664;

/// Refuses what would be too large to plan.
///
/// # Errors
/// `54001`, and `54011` for too many columns.
pub(super) fn check(statement: &Ast) -> Result<(), SessionError> {
    let mut sizes = Sizes { known: HashMap::new() };
    if let ControlFlow::Break(error) = statement.visit(&mut sizes) {
        return Err(error);
    }
    if sizes.relations_in(statement) > RELATIONS_MAX { Err(too_complex()) } else { Ok(()) }
}

struct Sizes {
    /// Relations behind the name of each common table expression.
    known: HashMap<String, u64>,
}

impl Sizes {
    fn relations_in(&self, node: &impl Visit) -> u64 {
        let mut sum = 0_u64;
        let _: ControlFlow<()> = visit_relations(node, |name| {
            let known = match name.0.as_slice() {
                [part] => part.as_ident().and_then(|ident| self.known.get(&ident.value.to_lowercase())),
                _ => None,
            };
            sum = sum.saturating_add(known.copied().unwrap_or(1));
            ControlFlow::Continue(())
        });
        sum
    }
}

impl Visitor for Sizes {
    type Break = SessionError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SessionError> {
        for Cte { alias, query, .. } in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = alias.name.value.to_lowercase();
            // It may name itself, and those before it.
            let size = self.relations_in(query.as_ref());
            self.known.insert(name, size.max(1));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<SessionError> {
        if select.projection.len() > COLUMNS_MAX {
            let message = format!("target lists can have at most {COLUMNS_MAX} entries");
            return ControlFlow::Break(SessionError::new("54011", message));
        }
        let GroupByExpr::Expressions(groups, _) = &select.group_by else { return ControlFlow::Continue(()) };
        let sets = groups.iter().fold(1_u64, |product, group| {
            product.saturating_mul(match group {
                Expr::Rollup(members) => members.len() as u64 + 1,
                Expr::Cube(members) => {
                    1_u64.checked_shl(members.len().try_into().unwrap_or(u32::MAX)).unwrap_or(u64::MAX)
                }
                Expr::GroupingSets(sets) => sets.len() as u64,
                _ => 1,
            })
        });
        if sets > GROUPING_SETS_MAX { ControlFlow::Break(too_complex()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::session::grammar::parse;

    fn is_small(sql: &str) -> bool {
        check(&parse(sql).expect("SQL")[0]).is_ok()
    }

    #[test]
    fn what_multiplies_is_counted_out() {
        let fan = |levels: usize| {
            let ctes: Vec<String> = (1..=levels)
                .map(|at| format!("c{at} as (select * from c{p} union all select * from c{p})", p = at - 1))
                .collect();
            format!("with c0 as (select 1 from t), {} select * from c{levels}", ctes.join(", "))
        };
        assert!(is_small(&fan(4)));
        assert!(!is_small(&fan(12)));
        assert!(is_small("with recursive r(n) as (select 1 union all select n + 1 from r) select * from r"));
        let cube = |members: usize| format!("select 1 from t group by cube ({}a)", "a, ".repeat(members - 1));
        assert!(is_small(&cube(9)) && !is_small(&cube(10)) && !is_small(&cube(70)));
        assert!(!is_small(&format!("select * from t{}", ", t".repeat(300))));
    }
}
