-- object: public.metrics
-- variant: root
-- grain: one row per owner, driver, node, resource and time
-- owner: marts
-- roles: admin, finance, engineering, auditor; the root only
-- comment: The quantities of drivers that count: the rows of ref.drivers, and those of ops.metrics whose node is there and below the owner, but where a row of ref.drivers of the same owner, driver, node and resource overlaps their time.
-- column owner_node_id: whose pools and views use it
-- column driver: what is measured
-- column node_id: whose use it is: the owner or a node below it
-- column resource_id: the one resource that was used; null: whatever has no quantities of its own
-- column quantity: how much was used from valid_from to valid_to
-- column valid_from: measured from this instant (inclusive)
-- column valid_to: measured until this instant (exclusive)
-- column source: ref.drivers or ops.metrics
-- column delivery_id: the delivery that it came with; null for ref.drivers
with final as (
  select owner_node_id, driver, node_id, resource_id, quantity, valid_from, valid_to, 'ref.drivers' as source, cast(null as bigint) as delivery_id
  from ref.drivers
  union all
  select owner_node_id, driver, node_id, resource_id, quantity, valid_from, valid_to, 'ops.metrics' as source, delivery_id
  from ops.metrics m
  where is_known
    and not exists (
      select 1
      from ref.drivers d
      where d.owner_node_id = m.owner_node_id
        and d.driver = m.driver
        and d.node_id = m.node_id
        and coalesce(d.resource_id, '') = coalesce(m.resource_id, '')
        and d.valid_from < m.valid_to
        and d.valid_to > m.valid_from
    )
)
select * from final
