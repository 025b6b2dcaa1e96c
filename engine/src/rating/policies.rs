//! What a seller does with a category of charges where no rule says so.

use hashbrown::HashMap;

use super::facts::RefFacts;
use super::span::Span;
use super::tree::{NodeIndex, Tree};
use super::vocabulary::Category;

/// A charge policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Policy {
    /// The buyer pays what the seller pays.
    Pass,
    /// The seller keeps it.
    Retain,
    /// Shown to the buyer, not billed.
    Report,
    /// Priced by rules; what a commitment covered, at the list price.
    Rerate,
    /// A word that is none of these: nothing is priced by guess.
    Unknown,
}

impl Policy {
    fn parse(text: &str) -> Self {
        match text {
            "pass" => Self::Pass,
            "retain" => Self::Retain,
            "report" => Self::Report,
            "rerate" => Self::Rerate,
            _ => Self::Unknown,
        }
    }
}

/// The policies of one edge in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct EdgePolicies {
    /// By category; first what is no correction, then corrections.
    of: [[Option<Policy>; 2]; Category::NAMES.len()],
}

impl EdgePolicies {
    /// The policy for a category, none where only rules and defaults speak.
    #[inline]
    pub(crate) fn get(&self, category: Category, is_correction: bool) -> Option<Policy> {
        let place = category.place()?;
        self.of[place][usize::from(is_correction)]
    }
}

#[derive(Debug)]
struct Entry {
    buyer: Option<NodeIndex>,
    category: usize,
    for_corrections: bool,
    policy: Policy,
    valid: Span,
}

impl Entry {
    /// A buyer's own policy before the general one, then one for corrections before one for all, then the later.
    fn rank(&self) -> (bool, bool, i64) {
        (self.buyer.is_some(), self.for_corrections, self.valid.from)
    }
}

/// All charge policies.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    by_seller: HashMap<NodeIndex, Vec<Entry>>,
}

impl Policies {
    pub(crate) fn compile(facts: &RefFacts, tree: &Tree) -> Self {
        let mut by_seller: HashMap<NodeIndex, Vec<Entry>> = HashMap::new();
        for row in &facts.charge_policies {
            let Some(seller) = tree.node(&row.node_id) else { continue };
            let buyer = match &row.buyer_node_id {
                None => None,
                Some(name) => match tree.node(name) {
                    None => continue,
                    found => found,
                },
            };
            let named = Category::NAMES.iter().position(|name| *name == row.charge_category);
            let Some(category) = named else { continue };
            by_seller.entry(seller).or_default().push(Entry {
                buyer,
                category,
                for_corrections: row.charge_class.is_some(),
                policy: Policy::parse(&row.policy),
                valid: row.valid,
            });
        }
        for entries in by_seller.values_mut() {
            entries.sort_by_key(Entry::rank);
        }
        Self { by_seller }
    }

    /// The policies of an edge at an instant, and how long they hold.
    pub(crate) fn at(&self, seller: NodeIndex, buyer: NodeIndex, at: i64) -> (EdgePolicies, Span) {
        let mut policies = EdgePolicies::default();
        let mut span = Span::ALWAYS;
        let Some(entries) = self.by_seller.get(&seller) else { return (policies, span) };
        for entry in entries.iter().filter(|e| e.buyer.is_none_or(|own| own == buyer)) {
            span = span.intersect(entry.valid.around(at));
            if !entry.valid.contains(at) {
                continue;
            }
            // Entries come in rising rank: the last one written wins.
            policies.of[entry.category][1] = Some(entry.policy);
            if !entry.for_corrections {
                policies.of[entry.category][0] = Some(entry.policy);
            }
        }
        (policies, span)
    }
}
