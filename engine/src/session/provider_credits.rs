//! Providers' credits that the root passes on by granting them: what is billed through is not granted as well.

use arrow::array::AsArray;
use arrow::datatypes::Decimal128Type;
use arrow::util::display::array_value_to_string;
use ratehouse_udfs::decimal::format_trimmed;

use super::Session;
use super::approvals::Proposal;
use crate::billing::BillingError;
use crate::error::Error;
use crate::security::SessionError;

impl Session {
    /// Checks that a credit which names a charge gives away no more than the provider did, and nothing that is billed through.
    pub(super) async fn opens_from_its_charge(&self, credit: &Proposal) -> Result<(), SessionError> {
        let Some(charge) = credit.text("charge_id") else { return Ok(()) };
        let sql = format!(
            "select status, amount, currency from ops.provider_credits where charge_id = '{}'",
            charge.replace('\'', "''")
        );
        // Whoever may submit the root's credits need not have the relation.
        let own = self.warehouse.own_query(self.shared.moment().snapshot);
        let batches = own.sql(&sql).await.map_err(|error| Error::from(BillingError::Query(error)).shown())?;
        let Some(found) = batches.iter().find(|batch| batch.num_rows() > 0) else {
            return Err(SessionError::new("42704", format!("charge \"{charge}\" is no credit of a provider"))
                .hint("ops.provider_credits lists them"));
        };
        let text = |column: usize| array_value_to_string(found.column(column), 0).unwrap_or_default();
        let amounts = found.column(1).as_primitive_opt::<Decimal128Type>();
        if text(0) != "retained" {
            return Err(SessionError::violates(format!(
                "charge \"{charge}\" is {}: what is billed through is not granted as well",
                text(0)
            ))
            .hint("a provider's credit is retained unless ref.charge_policies passes it; then call refresh()"));
        }
        if Some(text(2).as_str()) != credit.text("currency") {
            return Err(SessionError::violates(format!("charge \"{charge}\" is in {}", text(2))));
        }
        let available = amounts.map(|amounts| amounts.value(0)).unwrap_or_default();
        if credit.amount().is_none_or(|amount| amount > available) {
            return Err(SessionError::violates(format!(
                "charge \"{charge}\" gave {} only",
                format_trimmed(available, 18, 2)
            )));
        }
        Ok(())
    }
}
