//! Who owns a usage row: its account at the instant, then what attribution rules say.

use hashbrown::HashMap;

use super::facts::{AccountRow, AttributionTarget, RefFacts};
use super::pools::{PoolIndex, Pools};
use super::span::{Span, holds_at};
use super::tree::{NodeIndex, Stretch, Tree};

type Owners = Vec<(Span, Option<NodeIndex>)>;

/// The sub accounts of one billing account, as places in the list of owners.
#[derive(Debug, Default)]
struct BillingAccount {
    default: Option<usize>,
    subs: HashMap<String, usize>,
}

/// One account, found once and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    own: Option<usize>,
    default: Option<usize>,
}

/// All accounts and their owners over time.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    owners: Vec<Owners>,
    billing: HashMap<String, HashMap<String, BillingAccount>>,
}

impl Accounts {
    pub(crate) fn compile(facts: &RefFacts, tree: &Tree) -> Self {
        let mut sorted: Vec<&AccountRow> = facts.accounts.iter().collect();
        sorted.sort_by_key(|row| row.valid.from);
        let mut own = Self::default();
        for row in sorted {
            let billing = own
                .billing
                .entry(row.provider_name.clone())
                .or_default()
                .entry(row.billing_account_id.clone())
                .or_default();
            let next = own.owners.len();
            let place = match &row.sub_account_id {
                None => *billing.default.get_or_insert(next),
                Some(sub) => *billing.subs.entry(sub.clone()).or_insert(next),
            };
            if place == next {
                own.owners.push(Vec::new());
            }
            // A row ends where the next one of the account begins.
            if let Some((span, _)) = own.owners[place].last_mut() {
                span.until = span.until.min(row.valid.from);
            }
            own.owners[place].push((row.valid, tree.node(&row.node_id)));
        }
        own
    }

    /// The account of a row; a sub account without a row of its own has its billing account's.
    pub(crate) fn find(&self, row: &RowTexts<'_>) -> Account {
        let billing =
            row.billing_account_id.and_then(|id| self.billing.get(row.provider_name).and_then(|all| all.get(id)));
        Account {
            own: billing.zip(row.sub_account_id).and_then(|(billing, sub)| billing.subs.get(sub).copied()),
            default: billing.and_then(|billing| billing.default),
        }
    }

    /// The owner at an instant, and how long that answer holds.
    #[inline]
    pub(crate) fn owner(&self, account: Account, at: i64) -> (Option<NodeIndex>, Span) {
        let (own, gap) = self.holds(account.own, at);
        if let Some(owner) = own {
            return (owner, gap);
        }
        let (found, span) = self.holds(account.default, at);
        (found.flatten(), span.intersect(gap))
    }

    fn holds(&self, place: Option<usize>, at: i64) -> (Option<Option<NodeIndex>>, Span) {
        let Some(place) = place else { return (None, Span::ALWAYS) };
        let (found, span) = holds_at(&self.owners[place], at, |(span, _)| *span);
        (found.map(|(_, owner)| *owner), span)
    }
}

/// What an attribution rule can look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowTexts<'a> {
    pub(crate) provider_name: &'a str,
    pub(crate) billing_account_id: Option<&'a str>,
    pub(crate) sub_account_id: Option<&'a str>,
    pub(crate) resource_id: Option<&'a str>,
    pub(crate) tags: Option<&'a str>,
    pub(crate) service_name: Option<&'a str>,
}

/// What became of a row.
#[derive(Debug)]
pub(crate) enum Assigned {
    /// This node owns it; none where nobody does.
    Node(Option<NodeIndex>),
    /// It is shared cost: the pool, and the path of its owner.
    Pool(PoolIndex, Vec<NodeIndex>),
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Node(NodeIndex),
    Pool(PoolIndex),
}

#[derive(Debug)]
struct Rule {
    priority: i64,
    rule_id: String,
    provider_name: Option<String>,
    billing_account_id: Option<String>,
    sub_account_id: Option<String>,
    tag: Option<(String, Option<String>)>,
    resource_pattern: Option<String>,
    service_name: Option<String>,
    target: Target,
    valid: Span,
}

fn is_met(wanted: Option<&str>, held: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| held == Some(wanted))
}

impl Rule {
    fn matches(&self, row: &RowTexts<'_>) -> bool {
        is_met(self.provider_name.as_deref(), Some(row.provider_name))
            && is_met(self.billing_account_id.as_deref(), row.billing_account_id)
            && is_met(self.sub_account_id.as_deref(), row.sub_account_id)
            && is_met(self.service_name.as_deref(), row.service_name)
            && self
                .resource_pattern
                .as_deref()
                .is_none_or(|pattern| row.resource_id.is_some_and(|resource| is_like(resource, pattern)))
            && self.tag.as_ref().is_none_or(|(key, wanted)| {
                let held = row.tags.and_then(|tags| super::tags::value_of(tags, key));
                match (wanted, held) {
                    (_, None) => false,
                    (None, Some(_)) => true,
                    (Some(wanted), Some(held)) => *wanted == held,
                }
            })
    }
}

/// All attribution rules.
#[derive(Debug, Default)]
pub(crate) struct Attribution {
    by_owner: HashMap<NodeIndex, Vec<Rule>>,
}

impl Attribution {
    pub(crate) fn compile(facts: &RefFacts, tree: &Tree, pools: &Pools) -> Self {
        let mut by_owner: HashMap<NodeIndex, Vec<Rule>> = HashMap::new();
        for row in &facts.attribution_rules {
            let Some(owner) = tree.node(&row.owner_node_id) else { continue };
            let target = match &row.target {
                AttributionTarget::Node(name) => tree.node(name).map(Target::Node),
                AttributionTarget::Pool(pool_id) => pools.find(owner, pool_id).map(Target::Pool),
            };
            let Some(target) = target else { continue };
            by_owner.entry(owner).or_default().push(Rule {
                priority: row.priority,
                rule_id: row.rule_id.clone(),
                provider_name: row.provider_name.clone(),
                billing_account_id: row.billing_account_id.clone(),
                sub_account_id: row.sub_account_id.clone(),
                tag: row.tag_key.clone().map(|key| (key, row.tag_value.clone())),
                resource_pattern: row.resource_pattern.clone(),
                service_name: row.service_name.clone(),
                target,
                valid: row.valid,
            });
        }
        for rules in by_owner.values_mut() {
            rules.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.rule_id.cmp(&b.rule_id)));
        }
        Self { by_owner }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_owner.is_empty()
    }

    /// Lets the rules of each node on the owner's path, from a position down, re-assign a row within that node's subtree.
    ///
    /// Gives what becomes of the row and how long that holds at most. A row that nobody owns stands at the root, whose rules
    /// may give it an owner. A pool ends the search: the rules of nodes below its owner see its shares.
    #[inline]
    pub(crate) fn assign(
        &self,
        sources: (&Pools, &Tree),
        owner: Option<NodeIndex>,
        row: &RowTexts<'_>,
        when: (i64, usize),
    ) -> (Assigned, Span) {
        self.assign_noting(sources, owner, row, when, &mut |_, _, _| {})
    }

    /// The same; `note` is told of every rule that applies: its owner, its name, and the node that it names unless that is a pool.
    pub(crate) fn assign_noting(
        &self,
        (pools, tree): (&Pools, &Tree),
        owner: Option<NodeIndex>,
        row: &RowTexts<'_>,
        (at, first): (i64, usize),
        note: &mut impl FnMut(NodeIndex, &str, Option<NodeIndex>),
    ) -> (Assigned, Span) {
        let nodes =
            |stretch: &Stretch| -> Vec<NodeIndex> { stretch.rows.iter().map(|held| tree.node_of_row(*held)).collect() };
        let held = owner.map(|node| tree.stretch(node, at));
        let mut span = held.map_or(Span::ALWAYS, |(_, span)| span);
        let (mut current, mut path) = match held {
            Some((Some(stretch), _)) => (owner, nodes(stretch)),
            // An owner that hangs nowhere is nobody.
            Some((None, _)) | None => {
                let (root, root_span) = tree.stretch(tree.root(), at);
                span = span.intersect(root_span);
                (None, root.map(nodes).unwrap_or_default())
            }
        };
        let mut position = first;
        while let Some(node) = path.get(position).copied() {
            for rule in self.by_owner.get(&node).into_iter().flatten() {
                span = span.intersect(rule.valid.around(at));
                if !rule.valid.contains(at) || !rule.matches(row) {
                    continue;
                }
                match rule.target {
                    Target::Node(target) => {
                        let (stretch, stays) = tree.stretch(target, at);
                        span = span.intersect(stays);
                        // Only within the subtree of the rule's owner.
                        let below = stretch.map(nodes).filter(|found| found.get(position) == Some(&node));
                        if let Some(below) = below {
                            note(node, &rule.rule_id, Some(target));
                            current = Some(target);
                            path = below;
                            break;
                        }
                    }
                    Target::Pool(pool) => {
                        let (terms, stays) = pools.terms(pool, at);
                        span = span.intersect(stays);
                        if terms.is_some() {
                            note(node, &rule.rule_id, None);
                            path.truncate(position + 1);
                            return (Assigned::Pool(pool, path), span);
                        }
                    }
                }
            }
            position += 1;
        }
        (Assigned::Node(current), span)
    }
}

/// SQL `LIKE` without escapes: `%` is any text, `_` any character.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut at, mut wanted) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(wanted) {
            Some('%') => {
                retry = Some((wanted, at));
                wanted += 1;
            }
            Some(c) if *c == '_' || *c == text[at] => {
                at += 1;
                wanted += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    wanted = star + 1;
                    at = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[wanted..].iter().all(|c| *c == '%')
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns_match_as_like_does() {
        assert!(is_like("vm-prod-01", "vm-%"));
        assert!(is_like("vm-prod-01", "%prod%"));
        assert!(is_like("vm-prod-01", "vm-____-01"));
        assert!(!is_like("vm-prod-01", "vm-___-01"));
        assert!(is_like("aXbXc", "a%X%c"));
        assert!(!is_like("abc", "ab"));
        assert!(is_like("", "%"));
    }
}
