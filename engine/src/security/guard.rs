//! The gates that a statement passes: an allow-list over the parsed statement, limits over its
//! plan, and a look at the leaves of what will run.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement};

use super::SessionError;

/// Expressions in one statement.
const EXPRESSIONS_MAX: usize = 50_000;
/// Nested or chained binary operators in one expression: planning time grows with its square.
const OPERATORS_MAX: usize = 1_000;
/// The largest length or count that `repeat`, `lpad`, `range` and their like take.
const LENGTH_MAX: i64 = 1_000_000;

/// What kind of statement it is, as far as the session's dispatch needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `select`, `values`, `with`, `table`.
    Query,
    /// `explain` of a query.
    Explain,
    /// `insert`, `update`, `delete` on reference tables.
    Write,
    /// `copy ... from stdin`.
    CopyIn,
    /// `copy (query) to stdout` or `copy table to stdout`.
    CopyOut,
    /// `call`.
    Call,
    /// `set`.
    Set,
    /// `show`.
    Show,
    /// `reset`.
    Reset,
    /// `begin`, `commit`, `rollback`, `savepoint`, `release`.
    Transaction,
    /// `lock table`.
    Lock,
    /// Statements that pools send and that have nothing to do here: `discard`, `listen`, `deallocate`.
    Nothing,
}

/// The first gate: what is not on the list does not run.
///
/// # Errors
/// `0A000` or `42501` name the kind of statement.
pub fn admit(statement: &Statement) -> Result<Kind, SessionError> {
    Ok(match statement {
        Statement::Query(_) => Kind::Query,
        Statement::Explain { statement, .. } => match statement.as_ref() {
            Statement::Query(_) => Kind::Explain,
            _ => return Err(SessionError::unsupported("explain of this statement")),
        },
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => Kind::Write,
        Statement::Copy { to, .. } => {
            if *to {
                Kind::CopyOut
            } else {
                Kind::CopyIn
            }
        }
        Statement::Call(_) => Kind::Call,
        Statement::Lock(_) => Kind::Lock,
        Statement::Set(_) => Kind::Set,
        Statement::ShowVariable { .. } => Kind::Show,
        Statement::Reset(_) => Kind::Reset,
        Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. } => Kind::Transaction,
        Statement::Discard { .. }
        | Statement::LISTEN { .. }
        | Statement::UNLISTEN { .. }
        | Statement::Deallocate { .. } => Kind::Nothing,
        Statement::CreateTable(_)
        | Statement::CreateView(_)
        | Statement::CreateIndex(_)
        | Statement::CreateSchema { .. }
        | Statement::CreateFunction(_)
        | Statement::AlterTable(_)
        | Statement::Drop { .. }
        | Statement::Truncate(_)
        | Statement::Grant(_)
        | Statement::Revoke(_) => {
            return Err(SessionError::new("42501", "the schema of a warehouse is fixed")
                .hint("reference data is written with insert, update, delete and copy on tables of schema ref"));
        }
        _ => return Err(SessionError::unsupported("this statement")),
    })
}

/// A name's parts in lower case unless quoted.
pub fn name_parts(name: &ObjectName) -> Vec<String> {
    name.0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(|ident| if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() })
        .collect()
}

/// The second gate: limits over the plan.
///
/// # Errors
/// `54001` for a statement that is too complex, `53200` for a length that no memory holds.
pub fn limit(plan: &LogicalPlan) -> Result<()> {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false).verify_plan(plan)?;
    let mut expressions = 0_usize;
    plan.apply_with_subqueries(|node| {
        for expression in node.expressions() {
            let mut operators = 0_usize;
            expression.apply(|inner| {
                expressions += 1;
                if matches!(inner, Expr::BinaryExpr(_) | Expr::Case(_) | Expr::ScalarFunction(_)) {
                    operators += 1;
                }
                if expressions > EXPRESSIONS_MAX || operators > OPERATORS_MAX {
                    return Err(DataFusionError::External(Box::new(too_complex())));
                }
                bounded(inner)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The error of a statement that is beyond a bound.
pub(crate) fn too_complex() -> SessionError {
    SessionError::new("54001", "statement too complex")
        .hint("split it, or join a list of values instead of spelling it out")
}

/// Functions whose literal argument says how much memory a row takes.
fn bounded(expression: &Expr) -> Result<()> {
    let Expr::ScalarFunction(call) = expression else { return Ok(()) };
    if !matches!(
        call.func.name(),
        "repeat"
            | "lpad"
            | "rpad"
            | "range"
            | "generate_series"
            | "array_repeat"
            | "array_resize"
            | "list_repeat"
            | "space"
    ) {
        return Ok(());
    }
    for argument in &call.args {
        let Expr::Literal(value, _) = argument else { continue };
        let too_long = match value.cast_to(&arrow::datatypes::DataType::Int64) {
            Ok(ScalarValue::Int64(Some(length))) => !(-LENGTH_MAX..=LENGTH_MAX).contains(&length),
            Ok(_) | Err(_) => false,
        };
        if too_long && !matches!(value, ScalarValue::Utf8(_) | ScalarValue::Utf8View(_) | ScalarValue::LargeUtf8(_)) {
            return Err(DataFusionError::External(Box::new(SessionError::new("53200", "out of memory"))));
        }
    }
    Ok(())
}
