//! A second pricing, as slow and as plain as the rules read: strings, lists and 256-bit fractions.
//!
//! It shares nothing with the module but the reference rows. Every instant at which anything
//! changes cuts a row; pieces whose situation is the same in words are put together again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::fixtures::{Line, dec};
use super::plain::times;
use super::runs::Runs;
use crate::rating::{AttributionRow, AttributionTarget, CommitmentRow, NodeRow, PoolRow, RefFacts, Span, VersionRow};

/// What a piece of a row looks like in the end: path, then one text for each position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Expected {
    pub(crate) row: usize,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) path: String,
    pub(crate) fate: String,
    pub(crate) steps: Vec<String>,
}

/// What a pool had to share out of a stretch of a row.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) row: usize,
    pub(crate) start: i64,
    /// What the names of its shares begin with.
    pub(crate) chain: String,
    /// What everybody from the root down to the pool's owner pays for it.
    pub(crate) prices: Vec<i128>,
}

/// All that the oracle says of some lines.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) charges: Vec<Expected>,
    /// Which share of which pools each charge is.
    pub(crate) chains: Vec<String>,
    pub(crate) shared: Vec<Shared>,
    /// How often something was met that a price hinges on.
    pub(crate) met: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Piece<'a> {
    pub(super) row: usize,
    pub(super) line: &'a Line,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) path: Vec<&'a NodeRow>,
    /// The pool that shares it out, owned by the last node of the path.
    pub(super) pool: Option<&'a PoolRow>,
    pub(super) fate: &'static str,
    /// Who shares in it, in words, all pools together; and which of the shares it is.
    pub(super) sharing: String,
    pub(super) chain: String,
    pub(super) billed: i128,
    pub(super) contracted: Option<i128>,
    pub(super) effective: i128,
    pub(super) list: Option<i128>,
    pub(super) quantity: Option<i128>,
    /// What the seller of the next edge pays, and in what; none once the piece has ended.
    pub(super) cost: Option<(i128, String)>,
    /// Whether the root sold it at its on-demand price although a commitment covered it.
    pub(super) is_on_demand: bool,
    pub(super) steps: Vec<String>,
}

pub(super) fn holds(span: Span, at: i64) -> bool {
    span.from <= at && at < span.until
}

/// The slow oracle over one world.
pub(crate) struct Oracle<'a> {
    pub(crate) facts: &'a RefFacts,
    pub(super) runs: Runs,
    pub(super) shared: RefCell<Vec<Shared>>,
    pub(super) met: RefCell<BTreeMap<&'static str, usize>>,
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(facts: &'a RefFacts) -> Self {
        Self { facts, runs: Runs::default(), shared: RefCell::default(), met: RefCell::default() }
    }

    /// Rates twice: what pieces look like, all but their prices, decides which of them are priced as one.
    pub(crate) fn rate(&self, lines: &[Line]) -> Answer {
        self.rate_once(lines);
        self.runs.begin_again();
        self.shared.take();
        self.met.take();
        let (charges, chains) = self.rate_once(lines);
        Answer { charges, chains, shared: self.shared.take(), met: self.met.take() }
    }

    /// Counts something that a price hinges on.
    pub(super) fn meet(&self, what: &'static str) {
        *self.met.borrow_mut().entry(what).or_default() += 1;
    }

    fn rate_once(&self, lines: &[Line]) -> (Vec<Expected>, Vec<String>) {
        let mut pieces: Vec<Piece<'_>> =
            lines.iter().enumerate().flat_map(|(row, line)| self.pieces(row, line)).collect();
        for k in 1..9 {
            pieces = self.share_out(pieces, k - 1);
            self.price_level(&mut pieces, k);
        }
        pieces = self.share_out(pieces, 8);
        pieces.iter().for_each(|piece| self.runs.see(piece));
        let text = |node: &&NodeRow| node.node_id.clone();
        pieces
            .into_iter()
            .map(|piece| {
                let expected = Expected {
                    row: piece.row,
                    start: piece.start,
                    end: piece.end,
                    path: piece.path.iter().map(text).collect::<Vec<_>>().join("/"),
                    fate: piece.fate.to_owned(),
                    steps: piece.steps,
                };
                (expected, piece.chain)
            })
            .unzip()
    }

    fn node_at(&self, name: &str, at: i64) -> Option<&'a NodeRow> {
        self.facts.nodes.iter().find(|n| n.node_id == name && holds(n.valid, at))
    }

    pub(super) fn path_at(&self, name: &str, at: i64) -> Option<Vec<&'a NodeRow>> {
        let mut path = vec![self.node_at(name, at)?];
        while let Some(parent) = &path[0].parent_id {
            path.insert(0, self.node_at(parent, at)?);
        }
        Some(path)
    }

    fn account_at(&self, line: &Line, at: i64) -> Option<Vec<&'a NodeRow>> {
        let of = |sub: Option<&str>| {
            self.facts.accounts.iter().find(|account| {
                Some(account.provider_name.as_str()) == line.get("provider_name")
                    && Some(account.billing_account_id.as_str()) == line.get("billing_account_id")
                    && account.sub_account_id.as_deref() == sub
                    && holds(account.valid, at)
            })
        };
        let sub = line.get("sub_account_id");
        let found = sub.and_then(|_| of(sub)).or_else(|| of(None));
        found.and_then(|account| self.path_at(&account.node_id, at))
    }

    /// Where rules put a row that stands at the end of a path; the rules of the nodes from a position down are asked.
    pub(super) fn owner_at(
        &self,
        line: &Line,
        at: i64,
        path: Option<Vec<&'a NodeRow>>,
        first: usize,
    ) -> (Option<Vec<&'a NodeRow>>, Option<&'a PoolRow>) {
        let mut path = path;
        let root = self.facts.nodes.iter().find(|n| n.parent_id.is_none()).expect("a root");
        let mut position = first;
        loop {
            let current = path.clone().unwrap_or_else(|| vec![root]);
            let Some(node) = current.get(position) else { return (path, None) };
            let mut rules: Vec<&AttributionRow> = self
                .facts
                .attribution_rules
                .iter()
                .filter(|r| r.owner_node_id == node.node_id && holds(r.valid, at))
                .collect();
            rules.sort_by_key(|r| (-r.priority, r.rule_id.clone()));
            for rule in rules {
                let tags = line.get("tags").unwrap_or("");
                let is_tagged = rule.tag_key.as_ref().is_none_or(|key| {
                    let value = rule.tag_value.as_deref().map(|v| format!("{v}\"")).unwrap_or_default();
                    tags.contains(&format!("\"{key}\":\"{value}"))
                });
                let is_service =
                    rule.service_name.is_none() || rule.service_name.as_deref() == line.get("service_name");
                if !is_tagged || !is_service {
                    continue;
                }
                match &rule.target {
                    AttributionTarget::Node(wanted) => {
                        let target = self.path_at(wanted, at);
                        let target = target.filter(|t| t.get(position).is_some_and(|n| n.node_id == node.node_id));
                        if let Some(target) = target {
                            path = Some(target);
                            break;
                        }
                    }
                    AttributionTarget::Pool(wanted) => {
                        let pool = self.facts.pools.iter().find(|pool| {
                            pool.owner_node_id == node.node_id && pool.pool_id == *wanted && holds(pool.valid, at)
                        });
                        if pool.is_some() {
                            return (Some(current[..=position].to_vec()), pool);
                        }
                    }
                }
            }
            position += 1;
        }
    }

    /// Every instant at which anything changes.
    pub(super) fn instants(&self) -> BTreeSet<i64> {
        let facts = self.facts;
        let spans = facts.nodes.iter().map(|n| n.valid);
        let spans = spans.chain(facts.accounts.iter().map(|a| a.valid));
        let spans = spans.chain(facts.attribution_rules.iter().map(|r| r.valid));
        let spans = spans.chain(facts.rate_card_versions.iter().map(|v| v.valid));
        let spans = spans.chain(facts.charge_policies.iter().map(|p| p.valid));
        let spans = spans.chain(facts.commitment_policies.iter().map(|p| p.valid));
        let spans = spans.chain(facts.pools.iter().map(|p| p.valid));
        let spans = spans.chain(facts.pool_shares.iter().map(|p| p.valid));
        spans.flat_map(|span| [span.from, span.until]).collect()
    }

    fn pieces<'l>(&'l self, row: usize, line: &'l Line) -> Vec<Piece<'l>> {
        let mut cuts: Vec<(i64, i64)> = vec![(line.start, line.end)];
        if line.get("charge_category") == Some("Usage") {
            let mut edges = vec![line.start];
            edges.extend(self.instants().into_iter().filter(|i| line.start < *i && *i < line.end));
            edges.push(line.end);
            cuts = edges.windows(2).map(|pair| (pair[0], pair[1])).collect();
        }
        let mut joined: Vec<(i64, i64, String)> = Vec::new();
        for (start, end) in cuts {
            let situation = self.situation(line, start);
            match joined.last_mut() {
                Some(last) if last.2 == situation => last.1 = end,
                _ => joined.push((start, end, situation)),
            }
        }
        let columns = ["billed_cost", "effective_cost", "list_cost", "contracted_cost", "pricing_quantity"];
        let whole = columns.map(|name| line.get(name).map(dec));
        let mut before = [None; 5];
        let last = joined.len() - 1;
        let mut pieces = Vec::new();
        for (number, (start, end, _)) in joined.into_iter().enumerate() {
            // A piece has what the row comes to until its end, less what came before it.
            let share = |amount: i128| times(amount, i128::from(end - line.start), i128::from(line.end - line.start));
            let until = if number == last { whole } else { whole.map(|amount| amount.map(share)) };
            let mut part = until;
            for (part, before) in part.iter_mut().zip(before) {
                *part = part.map(|part| part - before.unwrap_or(0));
            }
            let [billed, effective] = [part[0], part[1]].map(|amount| amount.expect("every line of a world has it"));
            before = until;
            let (owner, pool) = self.owner_at(line, start, self.account_at(line, start), 0);
            let fate = if owner.is_some() { "direct" } else { "unallocated" };
            let root = self.facts.nodes.iter().find(|n| n.parent_id.is_none()).expect("a root");
            let currency = line.get("billing_currency").expect("a currency").to_owned();
            pieces.push(Piece {
                row,
                line,
                start,
                end,
                path: owner.unwrap_or_else(|| vec![root]),
                sharing: pool.map(|pool| self.sharing(pool, line, start)).unwrap_or_default(),
                chain: String::new(),
                pool,
                fate,
                billed,
                contracted: part[3],
                effective,
                list: part[2],
                quantity: part[4],
                cost: Some((effective, currency.clone())),
                is_on_demand: false,
                steps: vec![format!("{billed} {currency} billed - -")],
            });
        }
        pieces
    }

    /// All that decides prices at an instant, in words.
    fn situation(&self, line: &Line, at: i64) -> String {
        let (path, pool) = self.owner_at(line, at, self.account_at(line, at), 0);
        let Some(path) = path else { return format!("nobody {:?}", self.commitment_words(None, at)) };
        self.situation_of(line, at, &path, pool)
    }

    fn situation_of(&self, line: &Line, at: i64, path: &[&NodeRow], pool: Option<&PoolRow>) -> String {
        let child = path.get(1).map(|node| node.node_id.as_str());
        let mut words = format!("{:?}", self.commitment_words(child, at));
        if let Some(pool) = pool {
            let (parts, total) = self.parts(pool, line, at);
            words += &format!("{} {:?} {total} {:?}", pool.pool_id, pool.driver, pool.disclose);
            for (node, weight) in parts {
                let (path, pool) = self.owner_at(line, at, self.path_at(&node, at), path.len());
                let taken = self.situation_of(line, at, &path.expect("a node below"), pool);
                words += &format!("[{node} {weight} {taken}]");
            }
        }
        for (k, node) in path.iter().enumerate() {
            words += &format!("/{} {} {} {:?}", node.node_id, node.currency, node.fx_policy, node.kind);
            if k > 0 {
                let (seller, buyer) = (&path[k - 1].node_id, &node.node_id);
                for own in [Some(buyer.as_str()), None] {
                    let held = self.versions(seller, own, at);
                    let names: Vec<_> = held.iter().map(|v| (&v.card_id, v.version)).collect();
                    words += &if names.len() > 1 { "several".to_owned() } else { format!("{names:?}") };
                }
                for category in ["Usage", "Purchase", "Tax", "Credit", "Adjustment"] {
                    for is_correction in [false, true] {
                        let policy = self.policy(seller, buyer, category, is_correction, at);
                        words += &format!("{policy:?}");
                    }
                }
            }
        }
        words
    }

    /// The commitment policies that hold for a child of the root.
    pub(super) fn commitment_policies(&self, child: Option<&str>, at: i64) -> Vec<&'a CommitmentRow> {
        let all = self.facts.commitment_policies.iter().filter(|p| holds(p.valid, at));
        all.filter(|p| p.buyer_node_id.is_none() || p.buyer_node_id.as_deref() == child).collect()
    }

    fn commitment_words(&self, child: Option<&str>, at: i64) -> Vec<String> {
        let policies = self.commitment_policies(child, at).into_iter();
        let mut words: Vec<String> =
            policies.map(|policy| format!("{:?}", CommitmentRow { valid: Span::ALWAYS, ..policy.clone() })).collect();
        words.sort();
        words
    }

    pub(super) fn versions(&self, seller: &str, buyer: Option<&str>, at: i64) -> Vec<&'a VersionRow> {
        self.facts
            .rate_card_versions
            .iter()
            .filter(|v| v.is_active && holds(v.valid, at))
            .filter(|v| {
                self.facts.rate_cards.iter().any(|c| {
                    c.card_id == v.card_id && c.seller_node_id == seller && c.buyer_node_id.as_deref() == buyer
                })
            })
            .collect()
    }

    pub(super) fn policy(
        &self,
        seller: &str,
        buyer: &str,
        category: &str,
        is_correction: bool,
        at: i64,
    ) -> Option<&'a str> {
        let mut found: Vec<_> = self
            .facts
            .charge_policies
            .iter()
            .filter(|p| p.node_id == seller && p.charge_category == category && holds(p.valid, at))
            .filter(|p| p.buyer_node_id.as_deref().is_none_or(|own| own == buyer))
            .filter(|p| is_correction || p.charge_class.is_none())
            .collect();
        found.sort_by_key(|p| (p.buyer_node_id.is_some(), p.charge_class.is_some(), p.valid.from));
        found.last().map(|p| p.policy.as_str())
    }
}
