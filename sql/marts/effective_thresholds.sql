-- object: public.effective_thresholds
-- grain: one row per node that has charges, or others below it that have, and rule
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: From where on views show what is unusual or wasted, node by node: the caller's threshold at the node or at the nearest one above it, else what is usual.
-- column rule: the view: spend_over_forecast, anomalies, deployment_velocity, underutilised or licence_waste
-- column node_id: the node
-- column threshold_id: the row of ref.thresholds; null where there is none
-- column warning_pct: part of what was expected, in percent, above which spend is shown; of the usual rate above which deployment_velocity is; of its capacity below which a resource is; anomalies of a smaller part of what was expected are not
-- column critical_pct: part of what was expected, in percent, above which it is critical
-- column min_impact: anomalies, and seats that are not used, of less money are not shown
with stood as (
  select node_id, last_value(node_path order by charge_date, node_path) as node_path
  from charges_daily
  group by node_id
), places as (
  select node_id, node_path
  from stood
  union all
  select subtree_id as node_id, max(left(node_path, strpos(concat('/', node_path, '/'), concat('/', subtree_id, '/')) + length(subtree_id) - 1)) as node_path
  from (select s.subtree_id, t.node_path from subtrees s inner join stood t on t.node_id = s.node_id) b
  where subtree_id not in (select node_id from stood)
  group by subtree_id
), rules as (
  select * from (
    values ('spend_over_forecast'), ('anomalies'), ('deployment_velocity'), ('underutilised'), ('licence_waste')
  ) v(rule)
), in_force as (
  select rule, node_id, threshold_id, warning_pct, critical_pct, min_impact
  from ref.thresholds
  where owner_node_id = current_node()
    and cast(valid_from as date) <= current_date
    and (valid_to is null or cast(valid_to as date) > current_date)
), ranked as (
  select
    r.rule,
    p.node_id,
    t.threshold_id,
    t.warning_pct,
    t.critical_pct,
    t.min_impact,
    row_number() over (
      partition by r.rule, p.node_id
      order by case when t.node_id is null then 0 else strpos(concat('/', p.node_path, '/'), concat('/', t.node_id, '/')) end desc
    ) as nearness
  from places p
  cross join rules r
  left join in_force t
    on t.rule = r.rule
    and (t.node_id is null or strpos(concat('/', p.node_path, '/'), concat('/', t.node_id, '/')) > 0)
), final as (
  select
    rule,
    node_id,
    threshold_id,
    case rule
      when 'spend_over_forecast' then coalesce(warning_pct, 110)
      when 'deployment_velocity' then coalesce(warning_pct, 500)
      when 'underutilised' then coalesce(warning_pct, 10)
      when 'anomalies' then coalesce(warning_pct, 12)
    end as warning_pct,
    case when rule = 'spend_over_forecast' then coalesce(critical_pct, 120) end as critical_pct,
    case rule when 'anomalies' then coalesce(min_impact, 1) when 'licence_waste' then coalesce(min_impact, 0) end as min_impact
  from ranked
  where nearness = 1
)
select * from final
