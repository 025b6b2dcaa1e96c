//! `chart`: a picture of what a query answers.

use std::path::Path;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use ratehouse::Error;
use ratehouse::chart::{Picture, draw};
use ratehouse::session::{Answer, Session};

/// The last 90 complete days of all usage and the 31 days after them, as `forecasts` has them.
const FORECASTS: &str = "
    select d.charge_date as day, d.cost_currency, sum(d.cost) as actual,
      null as forecast, null as lower_80, null as upper_80, null as lower_95, null as upper_95
    from completeness c
    inner join charges_daily d on d.provider_name = c.provider_name
    where d.charge_category = 'Usage' and d.charge_class is distinct from 'Correction' and d.cost is not null
      and d.charge_date <= c.all_complete_until and d.charge_date > c.all_complete_until - 90
    group by d.charge_date, d.cost_currency
    union all
    select forecast_date, currency, null, forecast_value, lower_80, upper_80, lower_95, upper_95
    from forecasts
    where period = 'day' and level = 'total'";

/// The last 90 complete days of all usage, with the sum of what was expected of services, and the days of `anomalies`.
const ANOMALIES: &str = "
    with judged as (
      select time_series_timestamp as day, cost_currency, sum(time_series_data) as actual,
        sum(coalesce(baseline_value, time_series_data)) as expected
      from detect_anomalies(
        charges_daily, data_col => 'cost', timestamp_col => 'charge_date',
        id_cols => array['node_id', 'provider_name', 'service_name', 'cost_currency'], missing => 'zero', decimals => 9,
        target_last_n_points => 90, planned => (select * from ref.planned_changes), holidays => (select * from days_off)
      )
      group by time_series_timestamp, cost_currency
    )
    select j.day, j.cost_currency, j.actual, j.expected, count(a.node_id) > 0 as is_anomaly
    from judged j
    left join anomalies a on a.currency = j.cost_currency and j.day between a.anomaly_start and a.anomaly_end
    group by j.day, j.cost_currency, j.actual, j.expected";

/// Draws a view, relation or query.
pub(super) async fn chart(session: &Session, what: &str, title: Option<&str>, output: &Path) -> Result<(), Error> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let (query, named) = match what {
        "forecasts" => (FORECASTS.to_owned(), "Usage a day and its forecast, 80 and 95 %"),
        "anomalies" => (ANOMALIES.to_owned(), "Usage a day, and what was unusual"),
        _ if what.chars().all(is_name) => (format!("select * from {what}"), what),
        query => (query.to_owned(), ""),
    };
    let Answer::Rows { schema, stream } = session.sql(&query).await? else {
        return Err(Error::Refused("a chart needs a query: select a day and a number".to_owned()));
    };
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    let picture =
        Picture::of(title.unwrap_or(named), &schema, &batches).map_err(|error| Error::Refused(error.to_string()))?;
    draw(&picture, output).map_err(|error| Error::Refused(error.to_string()))?;
    println!("{}", output.display());
    Ok(())
}
