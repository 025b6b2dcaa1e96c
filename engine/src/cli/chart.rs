//! `chart`: a picture of what a query answers.

use std::path::Path;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use ratehouse::Error;
use ratehouse::chart::{Picture, draw};
use ratehouse::session::{Answer, Session};

/// The last 90 complete days of all usage and the 31 days after them.
const FORECASTS: &str = "
    with daily as (
      select d.charge_date, d.cost_currency, c.all_complete_until as known_until, sum(d.cost) as cost
      from charges_daily d
      inner join completeness c on c.provider_name = d.provider_name
      where d.charge_category = 'Usage' and d.cost is not null and d.charge_date <= c.all_complete_until
      group by d.charge_date, d.cost_currency, c.all_complete_until
    )
    select charge_date as day, cost_currency, cost as actual, null as forecast, null as lower_80, null as upper_80, null as lower_95, null as upper_95
    from daily
    where charge_date > known_until - 90
    union all
    select forecast_timestamp, cost_currency, null, max(forecast_mean),
      max(case when confidence_level = 0.8 then prediction_interval_lower_bound end),
      max(case when confidence_level = 0.8 then prediction_interval_upper_bound end),
      max(case when confidence_level = 0.95 then prediction_interval_lower_bound end),
      max(case when confidence_level = 0.95 then prediction_interval_upper_bound end)
    from forecast(
      (select * from daily), data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['cost_currency'], as_of_col => 'known_until',
      missing => 'zero', horizon => 31, confidence_level => array[0.8, 0.95]
    )
    group by forecast_timestamp, cost_currency";

/// The last 90 complete days of all usage, with what was expected and what was unusual.
const ANOMALIES: &str = "
    select time_series_timestamp as day, cost_currency, time_series_data as actual, expected_value as expected, is_anomaly
    from detect_anomalies(
      (
        select d.charge_date, d.cost_currency, c.all_complete_until as known_until, sum(d.cost) as cost
        from charges_daily d
        inner join completeness c on c.provider_name = d.provider_name
        where d.charge_category = 'Usage' and d.cost is not null and d.charge_date <= c.all_complete_until
        group by d.charge_date, d.cost_currency, c.all_complete_until
      ),
      data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['cost_currency'], as_of_col => 'known_until', missing => 'zero',
      target_last_n_points => 90
    )";

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
