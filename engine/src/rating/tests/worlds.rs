//! Random worlds and usage.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use ratehouse_udfs::decimal::Rounding;

use super::fixtures::{Line, World, span};
use crate::rating::{
    AttributionRow, AttributionTarget, Benefit, CommitmentRow, DriverRow, PoolMethod, PoolRow, Purchase, RuleRow,
    ShareRow, Span, Unused,
};

/// Up to 5 units cost 10 each, more cost 8.
const BANDS: &str = r#"[{"up_to": "5", "price": "10"}, {"up_to": null, "price": "8"}]"#;
const DAYS: [&str; 4] = ["2026-10-03", "2026-10-05T10:20:00", "2026-10-05T10:50:00", "2026-10-20"];
const CURRENCIES: [&str; 3] = ["USD", "USD", "EUR"];
const METHODS: [(&str, &str); 9] = [
    ("markup_pct", "15"),
    ("markup_pct", "-7.25"),
    ("margin_pct", "15"),
    ("discount_pct", "12.5"),
    ("unit_price", "0.333"),
    ("pass_through", ""),
    ("zero", ""),
    ("graduated", ""),
    ("nonsense", "1"),
];

struct Maker(StdRng);

impl Maker {
    fn chance(&mut self, one_in: u32) -> bool {
        self.0.random_range(0..one_in) == 0
    }

    fn pick<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices.choose(&mut self.0).copied().unwrap_or_default()
    }

    fn maybe(&mut self, one_in: u32, choices: &[&str]) -> Option<String> {
        self.chance(one_in).then(|| self.pick(choices).to_owned())
    }

    fn span(&mut self) -> Span {
        match self.0.random_range(0..4) {
            0 => span("", self.pick(&DAYS)),
            1 => span(self.pick(&DAYS), ""),
            _ => Span::ALWAYS,
        }
    }

    /// Two spans that meet at a random instant.
    fn halves(&mut self) -> [Span; 2] {
        let day = self.pick(&DAYS);
        [span("", day), span(day, "")]
    }

    fn tree(&mut self) -> World {
        let mut world = World::default().node("dist", "distributor", "USD");
        for name in ["a", "b"] {
            world = world.node(&format!("dist/{name}"), "reseller", self.pick(&CURRENCIES));
        }
        for name in ["c", "d"] {
            let currency = self.pick(&CURRENCIES);
            if self.chance(2) {
                let [before, after] = self.halves();
                world = world.node(&format!("a/{name}"), "customer", currency).with_node(|n| n.valid = before);
                let currency = self.pick(&CURRENCIES);
                world = world.node(&format!("b/{name}"), "customer", currency).with_node(|n| n.valid = after);
            } else {
                let valid = if self.chance(6) { self.span() } else { Span::ALWAYS };
                world = world.node(&format!("b/{name}"), "customer", currency).with_node(|n| n.valid = valid);
            }
        }
        world.node("c/unit", "business_unit", self.pick(&CURRENCIES)).node("unit/team", "team", "EUR")
    }

    fn accounts(&mut self, mut world: World) -> World {
        let owners = ["a", "c", "d", "unit", "team", "dist", "nowhere"];
        for account in ["aws/payer/one", "aws/payer/two", "azure/payer", "aws/payer"] {
            let owner = self.pick(&owners);
            if self.chance(2) {
                let [before, after] = self.halves();
                world = world.account(account, owner, before);
                world = world.account(account, self.pick(&owners), after);
            } else {
                world = world.account(account, owner, self.span());
            }
        }
        if self.chance(3) {
            for (rule_id, owner) in [("x", "dist"), ("y", "a"), ("z", "c")] {
                world.0.attribution_rules.push(AttributionRow {
                    rule_id: rule_id.to_owned(),
                    owner_node_id: owner.to_owned(),
                    priority: self.0.random_range(0..2),
                    provider_name: None,
                    billing_account_id: None,
                    sub_account_id: None,
                    tag_key: Some("env".to_owned()),
                    tag_value: self.maybe(2, &["prod", "test"]),
                    resource_pattern: None,
                    service_name: None,
                    target: AttributionTarget::Node(self.pick(&["c", "d", "team", "b"]).to_owned()),
                    valid: self.span(),
                });
            }
        }
        world
    }

    /// Pools of the root, a reseller and a customer, and rules that fill them.
    fn pools(&mut self, mut world: World) -> World {
        let below = [("dist", &["a", "b", "c", "dist"][..]), ("b", &["c", "d", "unit"]), ("c", &["unit", "team", "c"])];
        for (owner, nodes) in below {
            if self.chance(3) {
                continue;
            }
            let spans = if self.chance(3) { self.halves().to_vec() } else { vec![Span::ALWAYS] };
            let method = *[PoolMethod::Percentage, PoolMethod::Even, PoolMethod::Usage, PoolMethod::Fixed]
                .choose(&mut self.0)
                .unwrap_or(&PoolMethod::Even);
            for valid in spans {
                world.0.pools.push(PoolRow {
                    owner_node_id: owner.to_owned(),
                    pool_id: "shared".to_owned(),
                    method,
                    driver: (method == PoolMethod::Usage).then(|| "cores".to_owned()),
                    fallback_node_id: self.chance(2).then(|| self.pick(nodes).to_owned()),
                    disclose: self.chance(2),
                    spread_idle: false,
                    valid,
                });
            }
            self.shares(&mut world, owner, nodes, method);
            world.0.attribution_rules.push(AttributionRow {
                rule_id: "shared".to_owned(),
                owner_node_id: owner.to_owned(),
                priority: self.0.random_range(0..2),
                provider_name: None,
                billing_account_id: None,
                sub_account_id: None,
                tag_key: self.maybe(2, &["env", "team"]),
                tag_value: None,
                resource_pattern: None,
                service_name: self.maybe(2, &["VM", "Disk"]),
                target: AttributionTarget::Pool("shared".to_owned()),
                valid: self.span(),
            });
        }
        world
    }

    fn shares(&mut self, world: &mut World, owner: &str, nodes: &[&str], method: PoolMethod) {
        let share = |node: &str, share: Option<&str>, valid: Span| ShareRow {
            owner_node_id: owner.to_owned(),
            pool_id: "shared".to_owned(),
            node_id: node.to_owned(),
            share: share.map(super::fixtures::dec),
            valid,
        };
        match method {
            PoolMethod::Percentage => {
                let percents = [["33.333333", "33.333333", "33.333334"], ["10", "0", "90"], ["25", "25", "50"]];
                let halves = self.halves();
                for valid in halves {
                    let percents = percents.choose(&mut self.0).copied().unwrap_or_default();
                    let rows = nodes.iter().zip(percents).map(|(node, percent)| share(node, Some(percent), valid));
                    world.0.pool_shares.extend(rows);
                }
            }
            PoolMethod::Fixed => {
                let amounts = [["100", "0.01", "33.333333333333333333"], ["0", "0", "7"], ["0", "0", "0"]];
                let amounts = amounts.choose(&mut self.0).copied().unwrap_or_default();
                let valid = self.span();
                world.0.pool_shares.extend(nodes.iter().zip(amounts).map(|(node, own)| share(node, Some(own), valid)));
            }
            PoolMethod::Even if self.chance(2) => {
                let valid = self.span();
                world.0.pool_shares.extend(nodes.iter().skip(1).map(|node| share(node, None, valid)));
            }
            _ => {}
        }
        let windows =
            [("2026-10-01", "2026-11-01"), ("2026-10-05", "2026-10-06"), ("2026-10-05T10:30:00", "2026-10-20")];
        for node in nodes {
            for resource in [None, Some("r1")] {
                if self.chance(2) {
                    let (from, until) = windows.choose(&mut self.0).copied().unwrap_or_default();
                    world.0.drivers.push(DriverRow {
                        owner_node_id: owner.to_owned(),
                        driver: "cores".to_owned(),
                        node_id: (*node).to_owned(),
                        resource_id: resource.map(str::to_owned),
                        quantity: super::fixtures::dec(self.pick(&["0", "1", "7.3", "0.000000000000000001"])),
                        valid: span(from, until),
                    });
                }
            }
        }
    }

    fn rule(&mut self, rule: &mut RuleRow) {
        rule.priority = if self.chance(4) { 1 } else { 0 };
        rule.provider_name = self.maybe(5, &["aws", "azure"]);
        rule.service_category = self.maybe(5, &["Compute", "Storage"]);
        rule.service_name = self.maybe(5, &["VM", "Disk"]);
        rule.sku_id = self.maybe(5, &["s1", "s2"]);
        rule.region_id = self.maybe(6, &["eu", "us"]);
        rule.charge_category = self.maybe(5, &["Usage", "Tax", "Credit", "Purchase"]);
        rule.pricing_category = self.maybe(8, &["Standard", "Committed"]);
        rule.resource_type = self.maybe(8, &["Instance"]);
        rule.marketplace = self.chance(8).then_some(true);
        rule.tag_key = self.maybe(6, &["env", "team"]);
        rule.tag_value = rule.tag_key.is_some().then(|| self.maybe(2, &["prod", "x"])).flatten();
        rule.unit = self.maybe(8, &["Hours", "GB"]);
        rule.base = self.maybe(4, &["cost", "list", "billed", "effective", "on_demand"]);
        rule.scope = self.pick(&["node", "account", "subtree"]).to_owned();
        if rule.method == "graduated" {
            rule.bands = Some(BANDS.to_owned());
        }
    }

    fn cards(&mut self, mut world: World) -> World {
        for edge in ["dist>*", "dist>a", "a>*", "b>*", "b>d", "a>c", "c>*", "unit>team"] {
            if self.chance(5) {
                continue;
            }
            world = world.card_only(edge, self.pick(&CURRENCIES));
            let spans = match self.0.random_range(0..8) {
                0 => vec![Span::ALWAYS, self.span()],
                1..4 => self.halves().to_vec(),
                _ => vec![Span::ALWAYS],
            };
            for (at, valid) in spans.into_iter().enumerate() {
                let version = if at == 0 { 1 } else { 2 };
                world = world.version(edge, version, valid);
                if self.chance(4) {
                    let modes = [Rounding::HalfEven, Rounding::HalfUp, Rounding::Down, Rounding::Up];
                    let mode = modes.choose(&mut self.0).copied().unwrap_or_default();
                    let rounding = (mode, *[0, 2, 4].choose(&mut self.0).unwrap_or(&2));
                    world.0.rate_card_versions.last_mut().expect("a version").rounding = Some(rounding);
                }
                if version == 2 && self.chance(2) {
                    let last = world.0.rate_card_versions.last_mut();
                    last.expect("a version").base = Some((edge.to_owned(), 1));
                }
                for rule in 0..self.0.random_range(1..7) {
                    let (method, value) = METHODS.choose(&mut self.0).copied().unwrap_or_default();
                    let card = format!("{edge}#{version}");
                    world = world.rule_with(&card, &format!("r{rule}"), method, value, |r| self.rule(r));
                }
            }
        }
        for _ in 0..self.0.random_range(0..5) {
            let edge = self.pick(&["dist>*", "dist>a", "a>*", "b>*", "b>d", "c>*"]);
            let category = self.pick(&["Usage", "Tax", "Credit", "Adjustment", "Usage/Correction"]);
            world = world.policy(edge, category, self.pick(&["pass", "retain", "report", "rerate"]));
            world.0.charge_policies.last_mut().expect("a policy").valid = self.span();
        }
        world = self.commitments(world);
        let rates =
            [("USD/EUR", "0.91"), ("EUR/USD", "1.1037"), ("USD/EUR", "0.8765"), ("USD/EUR", "0.5"), ("EUR/USD", "3")];
        for (pair, rate) in rates {
            if !self.chance(3) {
                world = world.fx(pair, self.pick(&["2026-09-30", "2026-10-05", "2026-10-06"]), rate);
            }
        }
        for at in 0..world.0.fx_rates.len() {
            let source = self.pick(&["market", "market", "fixed", "fixed/c", "fixed/d", "provider", "provider/aws"]);
            let rate = &mut world.0.fx_rates[at];
            rate.fx_rate_id = format!("{source} {}", rate.fx_rate_id);
            rate.source = source.to_owned();
        }
        for node in &mut world.0.nodes {
            node.fx_policy = self.pick(&["market", "market", "fixed", "provider"]).to_owned();
        }
        // Two rates of one source, pair and day would be refused.
        world.0.fx_rates.sort_by_key(|r| (r.source.clone(), r.base_currency.clone(), r.valid_from));
        world.0.fx_rates.dedup_by_key(|r| (r.source.clone(), r.base_currency.clone(), r.valid_from));
        world
    }

    /// Commitment policies, each of which speaks of something else.
    fn commitments(&mut self, mut world: World) -> World {
        for provider in [None, Some("aws")] {
            for commitment in [None, Some("ri")] {
                for buyer in [None, Some("a"), Some("b")] {
                    if !self.chance(8) {
                        continue;
                    }
                    let benefits = [Benefit::User, Benefit::Purchaser, Benefit::Seller];
                    for valid in self.halves() {
                        world.0.commitment_policies.push(CommitmentRow {
                            provider_name: provider.map(str::to_owned),
                            commitment_id: commitment.map(str::to_owned),
                            buyer_node_id: buyer.map(str::to_owned),
                            benefit: *benefits.choose(&mut self.0).unwrap_or(&Benefit::User),
                            purchase: Purchase::Retain,
                            unused: Unused::Retain,
                            owner_node_id: buyer.is_none().then(|| self.pick(&["a", "c"]).to_owned()),
                            valid,
                        });
                    }
                }
            }
        }
        world
    }

    fn line(&mut self) -> Line {
        let cents = self.0.random_range(-5000..50_000_i64);
        let mut line = Line::new(&format!("{}.{:02}", cents / 100, cents.abs() % 100))
            .set("provider_name", self.pick(&["aws", "aws", "azure"]))
            .set("sub_account_id", self.pick(&["one", "two", "other", ""]))
            .set("billing_currency", self.pick(&CURRENCIES))
            .set("list_cost", self.pick(&["120", "0.000000000000000007", "33.3333"]))
            .set("effective_cost", self.pick(&["77.77", "0.000000000000000001", "100"]))
            .set("service_category", self.pick(&["Compute", "Storage", ""]))
            .set("service_name", self.pick(&["VM", "Disk", ""]))
            .set("sku_id", self.pick(&["s1", "s2", "s3"]))
            .set("region_id", self.pick(&["eu", "us", ""]))
            .set("charge_category", self.pick(&["Usage", "Usage", "Usage", "Purchase", "Tax", "Credit", "Adjustment"]))
            .set("charge_class", self.pick(&["", "", "Correction"]))
            .set("pricing_category", self.pick(&["Standard", "Committed", ""]))
            .set("resource_id", self.pick(&["r1", "r2", ""]))
            .set("resource_type", self.pick(&["Instance", ""]))
            .set("pricing_unit", self.pick(&["Hours", "GB", ""]))
            .set("pricing_quantity", self.pick(&["1", "3.5", "-2", ""]))
            .set("commitment_discount_id", self.pick(&["", "", "", "ri"]))
            .set("commitment_discount_status", self.pick(&["", "", "Unused", "Used"]))
            .set("tags", self.pick(&["", r#"{"env":"prod"}"#, r#"{"env":"test","team":"x"}"#]));
        line.marketplace = *[Some(true), Some(false), None].choose(&mut self.0).unwrap_or(&None);
        if self.chance(3) {
            line = line.during("2026-10-01", "2026-11-01");
        }
        line
    }
}

/// A random world, and lines for it.
pub(super) fn random(seed: u64, lines: usize) -> (World, Vec<Line>) {
    let mut maker = Maker(StdRng::seed_from_u64(seed));
    let world = maker.tree();
    let world = maker.accounts(world);
    let world = maker.cards(world);
    let world = if maker.chance(2) { maker.pools(world) } else { world };
    let lines = (0..lines).map(|_| maker.line()).collect();
    (world, lines)
}
