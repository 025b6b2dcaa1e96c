//! `call ...`: what changes the warehouse other than single rows.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement as Ast, Value as Literal,
};

use super::{Answer, Session, Statement, lock};
use crate::billing::ADJUSTMENT;
use crate::catalog::{CatalogError, RefTable, SnapshotId, Tx};
use crate::reference::Rows;
use crate::security::SessionError;
use crate::security::guard::name_parts;
use crate::security::policy::Action;

/// All reference rows as a transaction sees them at a snapshot.
pub(crate) fn state_after(tx: &dyn Tx, snapshot: SnapshotId) -> Result<BTreeMap<&'static str, Rows>, CatalogError> {
    RefTable::all()
        .into_iter()
        .map(|table| {
            let rows = table.rows_at(tx, snapshot)?.into_iter().map(|row| (row.row_id, row.values)).collect();
            Ok((table.name, rows))
        })
        .collect()
}

/// Parameters of a call: texts.
pub(super) fn parameters(statement: &Statement, declared: &[Option<DataType>]) -> Vec<DataType> {
    let count = statement.text().matches('$').count().max(declared.len());
    (0..count).map(|at| declared.get(at).cloned().flatten().unwrap_or(DataType::Utf8)).collect()
}

const PROCEDURES: &str = "close_period, issue_invoices, refresh, apply_credits, land, submit, approve, reject, credit_note, acknowledge, expect";

impl Session {
    pub(super) async fn run_procedure(
        &self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<Answer, SessionError> {
        if let Some(user) = statement.user() {
            return self.run_user(user);
        }
        let Ast::Call(call) = statement.ast()? else { return Err(SessionError::unsupported("this statement")) };
        if lock(&self.block).state() == super::TransactionState::Open {
            return Err(SessionError::new("25001", "call cannot run inside a transaction block"));
        }
        let name = name_parts(&call.name).pop().unwrap_or_default();
        let arguments = texts(&call.args, parameters)?;
        let arguments: Vec<Option<&str>> = arguments.iter().map(Option::as_deref).collect();
        let actor = self.shared.principal.login.clone();
        match (name.as_str(), arguments.as_slice()) {
            ("close_period", [Some(period)]) => {
                self.may(Action::Close, "procedure close_period")?;
                let report = self.warehouse.close(period, &actor, false).await.map_err(crate::error::Error::shown)?;
                if !report.blockers.is_empty() {
                    let list: Vec<String> =
                        report.blockers.iter().map(|b| format!("{} {}: {}", b.blocker, b.scope, b.detail)).collect();
                    return Err(SessionError::new("55000", format!("period {period} cannot be closed"))
                        .detail(list.join("\n"))
                        .hint("ops.close_blockers has what to do about each"));
                }
                self.notice(format!("{} invoices drafted", report.invoices.len()));
                for changed in &report.proposed {
                    self.notice(format!(
                        "{} is issued and its charges changed: {} {} proposed",
                        changed.number, changed.difference, changed.currency
                    ));
                }
            }
            ("issue_invoices", [Some(period)]) => {
                self.may(Action::Issue, "procedure issue_invoices")?;
                let report = self.warehouse.issue(period, &actor).map_err(crate::error::Error::shown)?;
                self.notice(format!("{} invoices issued", report.numbers.len()));
            }
            ("refresh", [] | [None]) => {
                self.may(Action::Refresh, "procedure refresh")?;
                let refreshed = self.warehouse.refresh(None, &actor).await.map_err(crate::error::Error::shown)?;
                self.notice(format!("{refreshed} slices rated"));
            }
            ("refresh", [Some(slice)]) => {
                self.may(Action::Refresh, "procedure refresh")?;
                let slice = slice.parse().map_err(|_| {
                    SessionError::new("22023", "a slice is named by its number").hint("ops.slices lists them")
                })?;
                let refreshed =
                    self.warehouse.refresh(Some(slice), &actor).await.map_err(crate::error::Error::shown)?;
                self.notice(format!("{refreshed} slices rated"));
            }
            ("apply_credits", [Some(period)]) => {
                self.may(Action::Refresh, "procedure apply_credits")?;
                let refreshed =
                    self.warehouse.apply_credits(period, &actor).await.map_err(crate::error::Error::shown)?;
                self.notice(format!("{refreshed} slices rated"));
            }
            ("land", [Some(location)]) => self.run_land(location, None, &actor).await?,
            ("land", [Some(location), source]) => self.run_land(location, *source, &actor).await?,
            ("submit", [Some(ADJUSTMENT), Some(object), Some(why)]) => {
                self.may(Action::Adjust, "procedure submit")?;
                let text = self.submit_adjustment(object, why).await?;
                self.notice(text);
            }
            ("approve", [Some(ADJUSTMENT), Some(object), Some(why)]) => {
                self.may(Action::Approve, "procedure approve")?;
                let text = self.approve_adjustment(object, why).await?;
                self.notice(text);
            }
            ("reject", [Some(ADJUSTMENT), Some(object), Some(why)]) => {
                self.may(Action::Approve, "procedure reject")?;
                self.reject_adjustment(object, why)?;
            }
            ("credit_note", [Some(line), Some(amount), Some(reason)]) => {
                self.may(Action::Adjust, "procedure credit_note")?;
                let text = self.credit_note(line, amount, reason)?;
                self.notice(text);
            }
            ("acknowledge", [Some(alert), Some(why)]) => {
                self.may(Action::Answer, "procedure acknowledge")?;
                self.acknowledge(alert, why)?;
            }
            ("expect", [Some(alert), Some(why)]) => {
                self.may(Action::Answer, "procedure expect")?;
                self.expect(alert, why)?;
            }
            ("submit", [Some(kind), Some(object), Some(why)]) => {
                self.may(Action::Submit, "procedure submit")?;
                let text = self.submit(kind, object, why).await?;
                self.notice(text);
            }
            ("approve", [Some(kind), Some(object), Some(why)]) => {
                self.may(Action::Approve, "procedure approve")?;
                let text = self.approve(kind, object, why)?;
                self.notice(text);
            }
            ("reject", [Some(kind), Some(object), Some(why)]) => {
                self.may(Action::Approve, "procedure reject")?;
                self.reject(kind, object, why)?;
            }
            (known, _) if PROCEDURES.split(", ").any(|name| name == known) => {
                return Err(SessionError::new("42883", format!("procedure {known} takes other arguments")).hint(
                    "for example: call close_period('2026-10'); call submit('rate_card_version', 'CARD/1', 'why'); call submit('credit', 'ID', 'why'); call credit_note('NUMBER/1', 12.50, 'why')",
                ));
            }
            (unknown, _) => {
                return Err(SessionError::new("42883", format!("procedure {unknown} does not exist"))
                    .hint(format!("there are {PROCEDURES}")));
            }
        }
        Ok(Answer::Done { tag: "CALL".to_owned() })
    }

    async fn run_land(&self, location: &str, source: Option<&str>, actor: &str) -> Result<(), SessionError> {
        self.may(Action::Land, "procedure land")?;
        let landed = self
            .warehouse
            .land(&[location.to_owned()], source, actor, &|_| {})
            .await
            .map_err(crate::error::Error::shown)?;
        for delivery in landed {
            self.notice(delivery.to_string());
        }
        Ok(())
    }
}

fn texts(arguments: &FunctionArguments, parameters: &[ScalarValue]) -> Result<Vec<Option<String>>, SessionError> {
    let list = match arguments {
        FunctionArguments::None => return Ok(Vec::new()),
        FunctionArguments::List(list) => &list.args,
        FunctionArguments::Subquery(_) => return Err(SessionError::unsupported("a query as argument of call")),
    };
    list.iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
                Literal::Null => Ok(None),
                Literal::Number(text, _) => Ok(Some(text.clone())),
                Literal::Placeholder(name) => {
                    let at: usize = name.trim_start_matches('$').parse().unwrap_or(0);
                    let value = at
                        .checked_sub(1)
                        .and_then(|at| parameters.get(at))
                        .ok_or_else(|| SessionError::new("42P02", format!("there is no parameter {name}")))?;
                    Ok((!value.is_null()).then(|| value.to_string()))
                }
                other => Ok(other.clone().into_string()),
            },
            _ => Err(SessionError::new("42601", "arguments of call are literals or parameters")),
        })
        .collect()
}
