//! Who has the benefit of reservations and savings plans, and who bears what they cost.
//!
//! The root buys commitments, so these are terms of the root's edges: whether usage that a commitment covered is sold at what it
//! effectively cost or at what it would have cost on demand, and to whom what was bought or left unused is billed. Pricing applies
//! the first; the rest are rows that the root bills by itself (`own`), made of what charges say of their terms.

use super::facts::RefFacts;
use super::portion::Portion;
use super::span::Span;
use super::texts::{NULL, Texts};
use super::tree::{NodeIndex, Tree};
use super::vocabulary::{Dimension, Vocabulary};

/// Who has the difference between on-demand and effective cost of covered usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Benefit {
    /// Whoever used it: it is sold by its effective cost.
    User,
    /// Whoever owns the commitment: users pay the on-demand price, and the owner gets the difference.
    Purchaser,
    /// The root: users pay the on-demand price.
    Seller,
}

impl Benefit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::User, Self::Purchaser, Self::Seller];

    /// Its name in `ref.commitment_policies`.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Purchaser => "purchaser",
            Self::Seller => "seller",
        }
    }
}

/// What becomes of a commitment's purchases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purchase {
    /// The root pays them.
    Retain,
    /// The owner pays them when the provider bills them, and gets back what they amortise to.
    Pass,
}

impl Purchase {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Retain, Self::Pass];

    /// Its name in `ref.commitment_policies`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retain => "retain",
            Self::Pass => "pass",
        }
    }
}

/// Who bears what a commitment left unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unused {
    /// The root.
    Retain,
    /// The owner.
    Purchaser,
    /// Those who used the commitment in the billing period, in proportion to what their usage effectively cost.
    Share,
}

impl Unused {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Retain, Self::Purchaser, Self::Share];

    /// Its name in `ref.commitment_policies`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retain => "retain",
            Self::Purchaser => "purchaser",
            Self::Share => "share",
        }
    }
}

/// A row of `ref.commitment_policies`.
#[derive(Debug, Clone)]
pub struct CommitmentRow {
    /// Condition; none means any.
    pub provider_name: Option<String>,
    /// The commitment; none means any.
    pub commitment_id: Option<String>,
    /// Whose usage; none means everybody's.
    pub buyer_node_id: Option<String>,
    /// Who has the benefit.
    pub benefit: Benefit,
    /// What becomes of purchases.
    pub purchase: Purchase,
    /// Who bears what is unused.
    pub unused: Unused,
    /// Who owns the commitment; none where its own lines say so.
    pub owner_node_id: Option<String>,
    /// When it applies.
    pub valid: Span,
}

/// What holds for a line of a commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) benefit: Benefit,
    purchase: Purchase,
    unused: Unused,
    /// Number of the text of the owner's name; null where the policies name none.
    owner: u32,
}

/// What holds where no policy speaks.
const DEFAULT: Terms =
    Terms { benefit: Benefit::User, purchase: Purchase::Retain, unused: Unused::Retain, owner: NULL };

/// A policy that holds on a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// Numbers of the vocabulary; 0 means any.
    provider: u32,
    commitment: u32,
    is_of_buyer: bool,
    terms: Terms,
}

#[derive(Debug)]
struct Entry {
    held: Held,
    buyer: Option<NodeIndex>,
    owner: Option<NodeIndex>,
    valid: Span,
}

impl Entry {
    /// A policy of the commitment before one of all, then one for a buyer, then one of a provider.
    fn rank(&self) -> (bool, bool, bool) {
        (self.held.commitment != 0, self.buyer.is_some(), self.held.provider != 0)
    }
}

/// All commitment policies, the most specific first.
#[derive(Debug, Default)]
pub(crate) struct Commitments(Vec<Entry>);

impl Commitments {
    pub(crate) fn compile(facts: &RefFacts, tree: &Tree, vocabulary: &Vocabulary) -> Self {
        let mut entries = Vec::new();
        for row in &facts.commitment_policies {
            let node = |name: &Option<String>| name.as_ref().map(|name| tree.node(name));
            // A policy for a buyer that is not there speaks of nobody.
            let (Some(buyer), Some(owner)) = (absent_or(node(&row.buyer_node_id)), absent_or(node(&row.owner_node_id)))
            else {
                continue;
            };
            let CommitmentRow { benefit, purchase, unused, .. } = *row;
            let providers = vocabulary.words(Dimension::Provider);
            entries.push(Entry {
                held: Held {
                    provider: row.provider_name.as_ref().map_or(0, |name| providers.number(name)),
                    commitment: row.commitment_id.as_ref().map_or(0, |id| vocabulary.commitments.number(id)),
                    is_of_buyer: buyer.is_some(),
                    terms: Terms { benefit, purchase, unused, owner: NULL },
                },
                buyer,
                owner,
                valid: row.valid,
            });
        }
        entries.sort_by_key(|entry| {
            (std::cmp::Reverse(entry.rank()), entry.held.commitment, entry.held.provider, entry.buyer)
        });
        Self(entries)
    }

    /// The policies that hold at an instant for what goes to a child of the root, or stays there, and how long they do.
    pub(crate) fn at(&self, child: Option<NodeIndex>, at: i64, tree: &Tree, texts: &Texts) -> (Vec<Held>, Span) {
        let mut span = Span::ALWAYS;
        let mut found = Vec::new();
        for entry in self.0.iter().filter(|entry| entry.buyer.is_none() || entry.buyer == child) {
            span = span.intersect(entry.valid.around(at));
            if entry.valid.contains(at) {
                let owner = entry.owner.map_or(NULL, |node| texts.number(tree.name(node)));
                found.push(Held { terms: Terms { owner, ..entry.held.terms }, ..entry.held });
            }
        }
        (found, span)
    }

    /// Whether some policy holds within a time.
    pub(crate) fn overlap(&self, time: Span) -> bool {
        self.0.iter().any(|entry| entry.valid.overlaps(time))
    }
}

/// The node of a name, if there is a name; none where the name is nobody's.
fn absent_or(named: Option<Option<NodeIndex>>) -> Option<Option<NodeIndex>> {
    match named {
        None => Some(None),
        Some(found) => found.map(Some),
    }
}

/// The terms of a portion by the policies that hold on its lane: the first that speaks of it says who has the benefit, the first that
/// speaks of all buyers says the rest.
pub(crate) fn terms_of(held: &[Held], portion: &Portion<'_>) -> Terms {
    let provider = portion.values.numbers[Dimension::Provider.at()];
    let speaks = |policy: &&Held| {
        let is_met = |wanted: u32, found: u32| wanted == 0 || wanted == found;
        is_met(policy.provider, provider) && is_met(policy.commitment, portion.commitment_id)
    };
    let benefit = held.iter().find(speaks).map_or(DEFAULT.benefit, |policy| policy.terms.benefit);
    let rest = held.iter().filter(speaks).find(|policy| !policy.is_of_buyer);
    Terms { benefit, ..rest.map_or(DEFAULT, |policy| policy.terms) }
}

/// The numbers of the texts that say a line's terms in `charges`: `benefit/purchase/unused`.
#[derive(Debug)]
pub(crate) struct TermsTexts([[[u32; Unused::ALL.len()]; Purchase::ALL.len()]; Benefit::ALL.len()]);

impl TermsTexts {
    pub(crate) fn new(texts: &Texts) -> Self {
        Self(Benefit::ALL.map(|benefit| {
            Purchase::ALL.map(|purchase| {
                Unused::ALL
                    .map(|unused| texts.number(&format!("{}/{}/{}", benefit.name(), purchase.name(), unused.name())))
            })
        }))
    }

    /// The text of terms, and the name of the owner that they say.
    pub(crate) fn of(&self, terms: &Terms) -> (u32, u32) {
        (self.0[terms.benefit as usize][terms.purchase as usize][terms.unused as usize], terms.owner)
    }
}
