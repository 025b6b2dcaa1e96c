-- object: public.anomalies
-- grain: one row per node, provider, service, currency and run of unusual days, at most two quiet ones apart
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: What was unusual in what the caller pays, by node and service: each day is judged by those before it; weekday cycles, month ends, holidays, growth and planned changes are usual; ref.thresholds leave out what is of little money. A level that has moved counts until it is back, for four weeks at most: after that it is what is usual. Usage only, no credits, refunds or tax. Days count as complete three days after they ended.
-- column node_id: whose usage it is
-- column provider_name: the provider
-- column service_name: the service
-- column currency: currency of the amounts, the caller's
-- column anomaly_start: the first unusual day
-- column anomaly_end: the last one
-- column days: how many unusual days there are, with those on which what was flagged goes on
-- column kind: level_shift, growth or new_service where there is one, else of the strongest day: spike, drop or missing_data
-- column direction: up or down, of all days together
-- column max_score: the highest score, comparable between services
-- column expected: what was expected on these days, in an anomaly that goes on by the level before it, rounded to the currency
-- column actual: what they cost, rounded to the currency
-- column impact: actual less expected
-- column impact_pct: impact as a part of expected, in percent; null where nothing was expected
-- column complete_until: the last day that was judged
with judged as (
  select *
  from detect_anomalies(
    (select *, cost_currency as currency from charges_daily),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'provider_name', 'service_name', 'currency'],
    as_of => (select provider_name, complete_until from completeness),
    missing => 'zero', only_anomalies => true, decimals => 9,
    planned => (select * from ref.planned_changes),
    holidays => (select * from days_off)
  )
), large as (
  select j.*, t.min_impact
  from effective_thresholds t
  inner join judged j on j.node_id = t.node_id
  where t.rule = 'anomalies' and (j.is_lasting or 100 * abs(j.impact) >= t.warning_pct * abs(j.baseline_value))
), flagged as (
  select
    *,
    case
      when time_series_timestamp - 3 <= lag(time_series_timestamp) over (
        partition by node_id, provider_name, service_name, currency order by time_series_timestamp
      ) then 0
      else 1
    end as begins
  from large
), numbered as (
  select
    *,
    sum(begins) over (
      partition by node_id, provider_name, service_name, currency order by time_series_timestamp
    ) as episode
  from flagged
), episodes as (
  select
    node_id,
    provider_name,
    service_name,
    currency,
    min(time_series_timestamp) as anomaly_start,
    max(time_series_timestamp) as anomaly_end,
    count(*) as days,
    first_value(
      kind
      order by
        case when kind in ('level_shift', 'growth', 'new_service') then 0 when is_anomaly then 1 else 2 end,
        anomaly_score desc,
        time_series_timestamp
    ) as kind,
    max(case when is_anomaly then anomaly_score end) as max_score,
    sum(baseline_value) as expected,
    sum(time_series_data) as actual,
    min_impact
  from numbered
  group by node_id, provider_name, service_name, currency, episode, min_impact
), final as (
  select
    e.node_id,
    e.provider_name,
    e.service_name,
    e.currency,
    e.anomaly_start,
    e.anomaly_end,
    e.days,
    e.kind,
    case when e.actual < e.expected then 'down' else 'up' end as direction,
    e.max_score,
    round_money(e.expected, e.currency) as expected,
    round_money(e.actual, e.currency) as actual,
    round_money(e.actual - e.expected, e.currency) as impact,
    case when e.expected <> 0 then round(100 * (e.actual - e.expected) / abs(e.expected), 1) end as impact_pct,
    c.complete_until
  from episodes e
  inner join completeness c on c.provider_name = e.provider_name
  where abs(e.actual - e.expected) >= e.min_impact and e.max_score is not null
)
select * from final
