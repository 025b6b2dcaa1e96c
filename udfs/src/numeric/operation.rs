//! The five arithmetic operators.

use datafusion::sql::sqlparser::ast::BinaryOperator;

/// An arithmetic operator over decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl Operation {
    /// Every operator.
    pub const ALL: [Self; 5] = [Self::Add, Self::Subtract, Self::Multiply, Self::Divide, Self::Remainder];

    /// Returns the operator that SQL writes as `operator`, if it is one of these.
    #[must_use]
    pub const fn of(operator: &BinaryOperator) -> Option<Self> {
        Some(match operator {
            BinaryOperator::Plus => Self::Add,
            BinaryOperator::Minus => Self::Subtract,
            BinaryOperator::Multiply => Self::Multiply,
            BinaryOperator::Divide => Self::Divide,
            BinaryOperator::Modulo => Self::Remainder,
            _ => return None,
        })
    }

    /// Returns the operator's sign.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    /// Returns the name of the function that computes it, as PostgreSQL calls it.
    #[must_use]
    pub const fn function_name(self) -> &'static str {
        match self {
            Self::Add => "numeric_add",
            Self::Subtract => "numeric_sub",
            Self::Multiply => "numeric_mul",
            Self::Divide => "numeric_div",
            Self::Remainder => "numeric_mod",
        }
    }
}
