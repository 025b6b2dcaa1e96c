//! What OpenCost measured of clusters, and whose use it is: quantities of pools beside those of `ref.drivers`.
//!
//! Measurements name a machine by the id that Kubernetes has of it, cost and usage by the provider's. Both are reduced to one
//! [`resource_key`].

use std::sync::Arc;

use hashbrown::HashMap;
use ratehouse_udfs::decimal::{ONE, Rounding, mul_div_round, parse_decimal};

use super::attribution::is_like;
use super::error::RatingError;
use super::facts::{DriverRuleRow, PoolMethod, RefFacts};
use super::quantities::{OfMachines, Whose};
use super::span::{Span, parse_instant};
use super::tags::value_of;
use super::tree::{NodeIndex, Tree};
use crate::catalog::{CatalogError, KUBERNETES_ALLOCATIONS, Row, SnapshotId, Tx};

/// What is measured, by the names of drivers. `cpu_core_hours` and `ram_byte_hours` are of what was requested or used, whichever
/// is more: OpenCost's rule. `allocation_cost` is what it reckons for cores, memory and GPUs together.
const DRIVERS: [&str; 6] = [
    "cpu_core_hours",
    "ram_byte_hours",
    "gpu_hours",
    "allocation_cost",
    "cpu_core_request_hours",
    "ram_byte_request_hours",
];

/// What OpenCost has in the names of rows that say what nobody used of a node.
const IDLE: &str = "__idle__";

/// Something on one machine in one window.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeasuredUse {
    /// The cluster.
    pub cluster: Arc<str>,
    /// The namespace.
    pub namespace: Option<Arc<str>>,
    /// The controller's name.
    pub controller: Option<Arc<str>>,
    /// Labels, as JSON.
    pub labels: Option<Arc<str>>,
    /// Whether it is what nobody used.
    pub is_idle: bool,
    /// The machine's [`resource_key`].
    pub resource: Arc<str>,
    /// The window.
    pub window: Span,
}

/// A measurement: what was used, and how much for each of the drivers, scale 18.
pub type Measured = (MeasuredUse, [i128; DRIVERS.len()]);

/// Whether a driver is one of what is measured.
pub(crate) fn is_measured(driver: &str) -> bool {
    DRIVERS.contains(&driver)
}

/// Whether some pool may be split by measurements, so that these have to be read.
pub fn needs_measurements(facts: &RefFacts) -> bool {
    facts.driver_rules.iter().any(|rule| uses_measurements(facts, &rule.owner_node_id))
}

/// Whether pools of a node may be split by measurements.
pub(super) fn uses_measurements(facts: &RefFacts, owner: &str) -> bool {
    let is_own = |pool: &&super::facts::PoolRow| pool.owner_node_id == owner && pool.method == PoolMethod::Usage;
    let mut drivers = facts.pools.iter().filter(is_own).filter_map(|pool| pool.driver.as_deref());
    drivers.any(is_measured) && facts.driver_rules.iter().any(|rule| rule.owner_node_id == owner)
}

/// The last snapshots in which measurements began and ended: the same pair is the same rows.
pub type StateOfMeasurements = (SnapshotId, SnapshotId);

/// The state of the measurements at a snapshot.
///
/// # Errors
/// When the catalog cannot be read.
pub fn state_of_measurements(tx: &dyn Tx, snapshot: SnapshotId) -> Result<StateOfMeasurements, CatalogError> {
    let last = |column: &str| {
        let table = KUBERNETES_ALLOCATIONS.name;
        let sql = format!("select coalesce(max({column}), 0) from {table} where {column} <= ?1");
        tx.row(&sql, &[snapshot.into()])?.ok_or(CatalogError::Malformed { what: "measurements" })?.int(0)
    };
    Ok((last("begin_snapshot")?, last("end_snapshot")?))
}

/// Reads the measurements as they were at a snapshot; those of the same use are added up.
///
/// # Errors
/// When the catalog cannot be read or a row of it is not what landing writes.
pub fn read_measurements(tx: &dyn Tx, snapshot: SnapshotId) -> Result<Arc<[Measured]>, RatingError> {
    let sql = format!(
        "select cluster, namespace, controller, labels, name, node, provider_id, window_start, window_end, cpu_core_hours, ram_byte_hours, \
         gpu_hours, cpu_cost, ram_cost, gpu_cost, minutes, cpu_core_request_average, ram_byte_request_average from {} \
         where begin_snapshot <= ?1 and (end_snapshot is null or end_snapshot > ?1)",
        KUBERNETES_ALLOCATIONS.name
    );
    let mut texts = Texts::default();
    let mut rows = Vec::new();
    tx.each(&sql, &[snapshot.into()], &mut |row| {
        rows.push(RawUse::of(&row, &mut texts)?);
        Ok(())
    })?;
    Ok(summed_up(rows))
}

/// Texts that many rows share.
#[derive(Default)]
struct Texts(HashMap<String, Arc<str>>);

impl Texts {
    fn kept(&mut self, text: &str) -> Arc<str> {
        Arc::clone(self.0.entry_ref(text).or_insert_with(|| text.into()))
    }
}

/// A row of the catalog.
struct RawUse {
    used: MeasuredUse,
    node: Option<Arc<str>>,
    has_provider_id: bool,
    /// Of cores, memory and GPUs.
    hours: [i128; 3],
    costs: [i128; 3],
    /// Of cores and memory.
    request_hours: [i128; 2],
}

impl RawUse {
    fn of(row: &Row, texts: &mut Texts) -> Result<Self, CatalogError> {
        let malformed = || CatalogError::Malformed { what: "measurement" };
        let instant = |at: usize| parse_instant(row.text(at)?).ok_or_else(malformed);
        let mut optional = |at: usize| -> Result<Option<Arc<str>>, CatalogError> {
            Ok(row.opt_text(at)?.map(|text| texts.kept(text)))
        };
        let (namespace, controller, labels, node) = (optional(1)?, optional(2)?, optional(3)?, optional(5)?);
        let provider_id = row.opt_text(6)?;
        let mut numbers = [0; 9];
        for (number, at) in numbers.iter_mut().zip(9..) {
            if let Some(text) = row.opt_text(at)? {
                *number = parse_decimal(text).map_err(|_| malformed())?.value;
            }
        }
        let [cpu, ram, gpu, cpu_cost, ram_cost, gpu_cost, minutes, cpu_requested, ram_requested] = numbers;
        let hours = |average| mul_div_round(average, minutes, 60 * ONE, Rounding::HalfEven).map_err(|_| malformed());
        Ok(Self {
            used: MeasuredUse {
                cluster: texts.kept(row.text(0)?),
                namespace,
                controller,
                labels,
                is_idle: row.text(4)?.contains(IDLE),
                resource: texts.kept(&resource_key(provider_id.unwrap_or_default())),
                window: Span { from: instant(7)?, until: instant(8)? },
            },
            node,
            has_provider_id: provider_id.is_some(),
            hours: [cpu, ram, gpu],
            costs: [cpu_cost, ram_cost, gpu_cost],
            request_hours: [hours(cpu_requested)?, hours(ram_requested)?],
        })
    }
}

/// Of cores, memory and GPUs.
type HoursAndCosts = ([i128; 3], [i128; 3]);

fn summed_up(rows: Vec<RawUse>) -> Arc<[Measured]> {
    let (idle, rows): (Vec<RawUse>, Vec<RawUse>) = rows.into_iter().partition(|row| row.used.is_idle);
    let mut idle_rows = with_machines(&rows, idle);
    let mut used: HashMap<(Arc<str>, Span), HoursAndCosts> = HashMap::new();
    for row in &rows {
        let (hours, costs) = used.entry((Arc::clone(&row.used.resource), row.used.window)).or_default();
        let sums = hours.iter_mut().chain(costs.iter_mut());
        for (sum, more) in sums.zip(row.hours.iter().chain(&row.costs)) {
            *sum = sum.saturating_add(*more);
        }
    }
    for row in &mut idle_rows {
        let (hours, costs) = used.get(&(Arc::clone(&row.used.resource), row.used.window)).copied().unwrap_or_default();
        let of_others = hours.into_iter().zip(costs);
        for ((held, cost), (hours, costs)) in row.hours.iter_mut().zip(row.costs).zip(of_others) {
            if *held == 0 && cost > 0 {
                *held = idle_hours(cost, hours, costs);
            }
        }
    }
    let mut places: HashMap<MeasuredUse, usize> = HashMap::new();
    let mut found: Vec<Measured> = Vec::new();
    for row in rows.into_iter().chain(idle_rows).filter(|row| row.has_provider_id) {
        let ([cpu, ram, gpu], [cpu_requests, ram_requests]) = (row.hours, row.request_hours);
        let cost = row.costs.iter().fold(0_i128, |sum, cost| sum.saturating_add(*cost));
        let quantities = [cpu, ram, gpu, cost, cpu_requests, ram_requests];
        if let Some(at) = places.get(&row.used)
            && let Some(sums) = added(&found[*at].1, &quantities)
        {
            found[*at].1 = sums;
            continue;
        }
        places.insert(row.used.clone(), found.len());
        found.push((row.used, quantities));
    }
    found.into()
}

/// Idle rows with the machines of their nodes: some versions name the node in place of the machine.
fn with_machines(rows: &[RawUse], idle: Vec<RawUse>) -> Vec<RawUse> {
    let machines: HashMap<(&str, &str), &Arc<str>> = rows
        .iter()
        .filter(|row| row.has_provider_id)
        .filter_map(|row| Some(((&*row.used.cluster, row.node.as_deref()?), &row.used.resource)))
        .collect();
    let mut found = Vec::with_capacity(idle.len());
    for mut row in idle {
        let known = row.node.as_deref().and_then(|node| machines.get(&(&*row.used.cluster, node)).copied());
        if let Some(resource) = known {
            row.used.resource = Arc::clone(resource);
            row.has_provider_id = true;
        }
        found.push(row);
    }
    found
}

/// Of what is idle OpenCost says what it costs and not how much it is: as much as others have for that cost. What is alone on its
/// machine weighs anything.
fn idle_hours(cost: i128, hours_of_others: i128, cost_of_others: i128) -> i128 {
    match (hours_of_others, cost_of_others) {
        (0, _) => cost,
        (_, 0) => 0,
        // Out of range it is no measurement.
        (hours, others) => mul_div_round(cost, hours, others, Rounding::HalfEven).unwrap_or_default(),
    }
}

fn added(a: &[i128; DRIVERS.len()], b: &[i128; DRIVERS.len()]) -> Option<[i128; DRIVERS.len()]> {
    let mut sums = *a;
    for (sum, more) in sums.iter_mut().zip(b) {
        *sum = sum.checked_add(*more)?;
    }
    Some(sums)
}

/// What a machine is called alike in measurements and in cost and usage.
///
/// `aws:///eu-west-1a/i-0ab`, `arn:aws:ec2:eu-west-1:1:instance/i-0ab` and `i-0ab` are `i-0ab`; an Azure id is without `azure://` and in
/// lower case, and a machine of a scale set is the scale set, which is what is billed; `gce://project/zone/name` and
/// `//compute.googleapis.com/.../instances/name` are `name`. Anything else is itself in lower case.
pub(crate) fn resource_key(id: &str) -> String {
    let id = id.trim().to_lowercase();
    let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
    if id.starts_with("aws://") || id.starts_with("gce://") {
        return last(&id);
    }
    if id.starts_with("arn:") && id.contains(":instance/") || id.starts_with("//compute.googleapis.com/") {
        return last(&id);
    }
    let id = id.strip_prefix("azure://").unwrap_or(&id);
    match id.split_once("/virtualmachinescalesets/") {
        Some((group, machine)) => {
            let set = machine.split('/').next().unwrap_or_default();
            format!("{group}/virtualmachinescalesets/{set}")
        }
        None => id.to_owned(),
    }
}

/// The measurements as quantities of one owner's driver, by [`resource_key`], by the rules of `ref.driver_rules`.
pub(super) fn quantities_of(facts: &RefFacts, tree: &Tree, (owner, driver): (NodeIndex, &str)) -> OfMachines {
    let mut found = OfMachines::new();
    let Some(at) = DRIVERS.iter().position(|name| *name == driver) else { return found };
    let mut rules: Vec<&DriverRuleRow> =
        facts.driver_rules.iter().filter(|rule| tree.node(&rule.owner_node_id) == Some(owner)).collect();
    if rules.is_empty() {
        return found;
    }
    rules.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.rule_id.cmp(&b.rule_id)));
    for (used, quantities) in facts.measured.iter().filter(|(_, quantities)| quantities[at] > 0) {
        let rule = rules.iter().find(|rule| matches(rule, used));
        let whose = match rule.and_then(|rule| tree.node(&rule.node_id)) {
            _ if used.is_idle => Whose::Idle,
            Some(node) => Whose::Ruled(node),
            None => Whose::Nobody,
        };
        found.entry(Arc::clone(&used.resource)).or_default().push((used.window, (whose, quantities[at])));
    }
    found
}

fn matches(rule: &DriverRuleRow, used: &MeasuredUse) -> bool {
    let is_of = |pattern: Option<&str>, held: Option<&str>| {
        pattern.is_none_or(|pattern| held.is_some_and(|held| is_like(held, pattern)))
    };
    rule.valid.contains(used.window.from)
        && rule.cluster.as_deref().is_none_or(|cluster| *used.cluster == *cluster)
        && is_of(rule.namespace.as_deref(), used.namespace.as_deref())
        && is_of(rule.controller.as_deref(), used.controller.as_deref())
        && rule.label_key.as_deref().is_none_or(|key| {
            let held = used.labels.as_deref().and_then(|labels| value_of(labels, key));
            held.is_some_and(|held| rule.label_value.as_deref().is_none_or(|wanted| held == wanted))
        })
}

#[cfg(test)]
mod tests {
    use super::resource_key;

    #[test]
    fn a_machine_has_one_key_however_it_is_called() {
        let subscription = "/subscriptions/1/resourcegroups/mc_g/providers/microsoft.compute";
        let scale_set =
            "/subscriptions/1/resourceGroups/MC_g/providers/Microsoft.Compute/virtualMachineScaleSets/aks-pool";
        for (id, key) in [
            ("aws:///eu-west-1a/i-0ab", "i-0ab"),
            ("arn:aws:ec2:eu-west-1:123:instance/i-0ab", "i-0ab"),
            ("i-0ab", "i-0ab"),
            ("gce://shop/europe-west1-b/gke-pool-1", "gke-pool-1"),
            ("//compute.googleapis.com/projects/shop/zones/europe-west1-b/instances/gke-pool-1", "gke-pool-1"),
            (
                &format!("azure://{scale_set}/virtualMachines/0"),
                &format!("{subscription}/virtualmachinescalesets/aks-pool"),
            ),
            (scale_set, &format!("{subscription}/virtualmachinescalesets/aks-pool")),
            ("arn:aws:s3:::bucket/instance", "arn:aws:s3:::bucket/instance"),
        ] {
            assert_eq!(resource_key(id), key, "{id}");
        }
    }
}
