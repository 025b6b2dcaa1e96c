//! `forecast(...)` and `detect_anomalies(...)`: many series in, what will come or what is unusual out.
//!
//! ```sql
//! select * from forecast(table daily_cost, data_col => 'cost', timestamp_col => 'day', id_cols => array['service'], horizon => 31);
//! select * from detect_anomalies((select charge_date, service_name, price from charges_daily), data_col => 'price',
//!   timestamp_col => 'charge_date', id_cols => array['service_name'], target_last_n_points => 7);
//! ```
//!
//! Names and columns are BigQuery's and AlloyDB's. The rows come from a relation or a query of the caller's own, planned as any other, so
//! the functions see what the caller sees. Rows of one series and time are added up. Amounts are decimals outside and floating-point
//! numbers inside: a forecast is no amount that anybody is billed.

mod arguments;
mod call;
mod exec;
mod gather;
mod known;
mod node;
mod results;
mod sets;
mod states;
mod sum;
mod work;

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;

pub(super) use node::SeriesPlanner;
pub(super) use states::States;

use crate::security::SessionError;

/// Which of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Function {
    Forecast,
    DetectAnomalies,
}

impl Function {
    const ALL: [Self; 2] = [Self::Forecast, Self::DetectAnomalies];

    fn name(self) -> &'static str {
        match self {
            Self::Forecast => "forecast",
            Self::DetectAnomalies => "detect_anomalies",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Forecast => {
                "forecast(table daily_cost, data_col => 'cost', timestamp_col => 'day', id_cols => array['service'], horizon => 31) is an example"
            }
            Self::DetectAnomalies => {
                "detect_anomalies(table daily_cost, data_col => 'cost', timestamp_col => 'day', id_cols => array['service']) is an example"
            }
        }
    }
}

/// Gives the session the functions; its builder needs a [`SeriesPlanner`], too.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    state.register_relation_planner(Arc::new(call::Planner))
}

fn refused(function: Function, sqlstate: &'static str, message: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(SessionError::new(sqlstate, message).hint(function.example())))
}
