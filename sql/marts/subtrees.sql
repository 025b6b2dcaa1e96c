-- object: public.subtrees
-- grain: one row per node that has others below it, and node of its subtree
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: Which nodes stand below which, where they have stood last, of those whose charges the caller sees: to sum up what a reseller's customers cost.
-- column subtree_id: the node that has others below it, the caller's own too
-- column node_id: a node with charges that stands below it, or the same
with places as (
  select node_id, last_value(node_path order by charge_date, node_path) as node_path
  from charges_daily
  group by node_id
), parts as (
  select node_id, unnest(string_to_array(node_path, '/')) as subtree_id
  from places
), final as (
  select p.subtree_id, p.node_id
  from (select distinct subtree_id from parts where subtree_id <> node_id) above
  inner join parts p on p.subtree_id = above.subtree_id
)
select * from final
