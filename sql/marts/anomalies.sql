-- object: public.anomalies
-- grain: one row per node, provider, service, currency and run of unusual days, at most two quiet ones apart
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: What was unusual in what the caller pays, by node and service: each day is judged by those before it; weekday cycles, month ends, growth and planned changes are usual; ref.thresholds leave out what is of little money. Usage only, no credits, refunds or tax. Days count as complete three days after they ended.
-- column node_id: whose usage it is
-- column provider_name: the provider
-- column service_name: the service
-- column currency: currency of the amounts, the caller's
-- column anomaly_start: the first unusual day
-- column anomaly_end: the last one
-- column days: how many unusual days there are
-- column kind: of the first: spike, drop, level_shift, growth, new_service or missing_data
-- column direction: of the first: up or down
-- column max_score: the highest score, comparable between services
-- column expected: what was expected on these days, rounded to the currency
-- column actual: what they cost, rounded to the currency
-- column impact: actual less expected
-- column impact_pct: impact as a part of expected, in percent; null where nothing was expected
-- column complete_until: the last day that was judged
with daily as (
  select
    d.charge_date,
    d.node_id,
    d.provider_name,
    d.service_name,
    d.cost_currency as currency,
    c.complete_until,
    sum(d.cost) as cost
  from charges_daily d
  inner join completeness c on c.provider_name = d.provider_name
  where d.charge_category = 'Usage' and d.charge_date <= c.complete_until and d.cost is not null
  group by d.charge_date, d.node_id, d.provider_name, d.service_name, d.cost_currency, c.complete_until
), judged as (
  select *
  from detect_anomalies(
    (select node_id, provider_name, service_name, currency, charge_date, cost, complete_until from daily),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'provider_name', 'service_name', 'currency'],
    as_of_col => 'complete_until', missing => 'zero', only_anomalies => true, min_impact => 1, min_impact_pct => 0.12, decimals => 9,
    planned => (select * from ref.planned_changes),
    holidays => (select * from days_off)
  )
), flagged as (
  select
    *,
    case
      when time_series_timestamp - 3 <= lag(time_series_timestamp) over (
        partition by node_id, provider_name, service_name, currency order by time_series_timestamp
      ) then 0
      else 1
    end as begins
  from judged
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
    episode,
    min(time_series_timestamp) as anomaly_start,
    max(time_series_timestamp) as anomaly_end,
    count(*) as days,
    max(anomaly_score) as max_score,
    sum(expected_value) as expected,
    sum(time_series_data) as actual
  from numbered
  group by node_id, provider_name, service_name, currency, episode
), final as (
  select
    e.node_id,
    e.provider_name,
    e.service_name,
    e.currency,
    e.anomaly_start,
    e.anomaly_end,
    e.days,
    f.kind,
    f.direction,
    e.max_score,
    round_money(e.expected, e.currency) as expected,
    round_money(e.actual, e.currency) as actual,
    round_money(e.actual - e.expected, e.currency) as impact,
    case when e.expected <> 0 then round(100 * (e.actual - e.expected) / abs(e.expected), 1) end as impact_pct,
    c.complete_until
  from episodes e
  inner join numbered f
    on f.node_id = e.node_id
    and f.provider_name = e.provider_name
    and coalesce(f.service_name, '') = coalesce(e.service_name, '')
    and f.currency = e.currency
    and f.time_series_timestamp = e.anomaly_start
  inner join completeness c on c.provider_name = e.provider_name
  inner join effective_thresholds t on t.node_id = e.node_id and t.rule = 'anomalies'
  where abs(e.actual - e.expected) >= t.min_impact
)
select * from final
