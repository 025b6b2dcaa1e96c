//! How one rule turns a base or a quantity into a price.

use ratehouse_udfs::decimal::{ArithmeticError, ONE, Rounding, mul_div_round};

use super::bands::{BandMethod, Bands, Scope};
use super::facts::RuleRow;

/// What a percentage applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Base {
    /// What the seller pays; at the root's edges the effective cost.
    Cost,
    /// The provider's list price.
    List,
    /// The root's billed cost.
    Billed,
    /// The root's contracted cost.
    Contracted,
    /// The root's effective cost.
    Effective,
    /// The root's cost without commitments, which is the list price.
    OnDemand,
}

impl Base {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "cost" => Self::Cost,
            "list" => Self::List,
            "billed" => Self::Billed,
            "contracted" => Self::Contracted,
            "effective" => Self::Effective,
            "on_demand" => Self::OnDemand,
            _ => return None,
        })
    }
}

impl Base {
    /// Its name in `ref.rate_rules`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::List => "list",
            Self::Billed => "billed",
            Self::Contracted => "contracted",
            Self::Effective => "effective",
            Self::OnDemand => "on_demand",
        }
    }
}

/// An exact fraction by which a base is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Factor {
    multiply: i128,
    divide: i128,
}

impl Factor {
    /// One.
    pub(crate) const ONE: Self = Self { multiply: 1, divide: 1 };

    /// A fraction in lowest terms, so that most products fit 128 bits; none unless the divisor is positive.
    fn new(multiply: i128, divide: i128) -> Option<Self> {
        if divide <= 0 {
            return None;
        }
        let shared = greatest_common_divisor(multiply.unsigned_abs(), divide.unsigned_abs());
        let shared = i128::try_from(shared).ok()?;
        Some(Self { multiply: multiply / shared, divide: divide / shared })
    }

    /// Applies it, rounding half-even.
    #[inline]
    pub(crate) fn apply(self, base: i128) -> Result<i128, ArithmeticError> {
        if self == Self::ONE {
            return Ok(base);
        }
        mul_div_round(base, self.multiply, self.divide, Rounding::HalfEven)
    }
}

/// Of nothing and a number, that number.
pub(crate) fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    let (mut large, mut small) = (a, b);
    while small != 0 {
        (large, small) = (small, large % small);
    }
    large
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Method {
    /// Base times a factor: markup, margin, discount, pass through.
    Factor {
        /// The factor.
        factor: Factor,
        /// Of what.
        base: Base,
    },
    /// So much for a unit.
    UnitPrice(i128),
    /// By the period's total.
    Bands {
        /// The bands.
        bands: Bands,
        /// Whose total.
        scope: Scope,
    },
    /// Nothing to pay.
    Zero,
    /// The rule cannot be understood: what it matches is unrated.
    Broken,
}

impl Method {
    /// Whether its value is an amount of the card's currency, not a share.
    pub(crate) fn is_in_money(&self) -> bool {
        match self {
            Self::UnitPrice(_) | Self::Bands { .. } => true,
            Self::Factor { .. } | Self::Zero | Self::Broken => false,
        }
    }

    /// Compiles a rule's method, value, base, bands and scope.
    pub(crate) fn of(rule: &RuleRow) -> Self {
        Self::parse(rule).unwrap_or(Self::Broken)
    }

    fn parse(rule: &RuleRow) -> Option<Self> {
        let base = |default: Base| match rule.base.as_deref() {
            None | Some("") => Some(default),
            Some(text) => Base::parse(text),
        };
        let hundred = 100 * ONE;
        Some(match rule.method.as_str() {
            "markup_pct" => Self::Factor {
                factor: Factor::new(hundred.checked_add(rule.value?)?, hundred)?,
                base: base(Base::Cost)?,
            },
            "margin_pct" => Self::Factor {
                factor: Factor::new(hundred, hundred.checked_sub(rule.value?)?)?,
                base: base(Base::Cost)?,
            },
            "discount_pct" => Self::Factor {
                factor: Factor::new(hundred.checked_sub(rule.value?)?, hundred)?,
                base: base(Base::List)?,
            },
            "pass_through" => Self::Factor { factor: Factor::ONE, base: base(Base::Cost)? },
            "unit_price" => Self::UnitPrice(rule.value?),
            "zero" => Self::Zero,
            "graduated" => Self::bands(rule, BandMethod::Graduated)?,
            "volume" => Self::bands(rule, BandMethod::Volume)?,
            "package" => Self::bands(rule, BandMethod::Package)?,
            _ => return None,
        })
    }

    fn bands(rule: &RuleRow, method: BandMethod) -> Option<Self> {
        Some(Self::Bands {
            bands: Bands::parse(method, rule.bands.as_deref()?, rule.value)?,
            scope: Scope::parse(&rule.scope)?,
        })
    }
}
