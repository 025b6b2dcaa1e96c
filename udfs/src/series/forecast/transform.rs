//! The scale on which a series is forecast.

use super::order::float;

/// Fewer blocks than this tell nothing about how spread and level go together.
const BLOCKS: f64 = 3.0;

/// The share of values that may be negative in a series that is positive otherwise: returns, corrections.
const RARELY: f64 = 0.02;

/// A monotone change of scale under which the spread of a series no longer grows with its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Transform {
    /// As it is, where values often have both signs.
    #[default]
    Identity,
    /// The root, for counts and for amounts with zeros among them; a mirror image below zero.
    Root,
    /// The logarithm, for amounts that are never zero.
    Log,
}

impl Transform {
    /// The scale on which spreads are most alike: Guerrero (1993), "Time-series analysis supported by power
    /// transformations", restricted to the powers 0 and 1/2.
    ///
    /// Of blocks of `block` values the spread divided by the mean to the power `1 - lambda` is to vary as little as can be.
    /// The root is taken also where the spread does not grow at all: it costs little there, and the median of what is
    /// skewed is better found on it.
    pub(super) fn choose(values: &[f64], block: usize) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let negative = values.iter().filter(|value| **value < 0.0).count();
        if float(negative) > RARELY * float(values.len()) {
            Self::Identity
        } else if least > 0.0 && variation(values, block, 1.0) < variation(values, block, 0.5) {
            Self::Log
        } else {
            Self::Root
        }
    }

    /// From amounts to the scale of the forecast; NaN stays NaN.
    pub(super) fn forward(self, amount: f64) -> f64 {
        match self {
            Self::Identity => amount,
            Self::Root => amount.abs().sqrt().copysign(amount),
            Self::Log => amount.ln(),
        }
    }

    /// From the scale of the forecast to amounts.
    pub(super) fn back(self, value: f64) -> f64 {
        match self {
            Self::Identity => value,
            Self::Root => value * value.abs(),
            Self::Log => value.exp(),
        }
    }
}

/// How much the ratio of spread to `mean^power` varies between blocks: its second moment over the square of its first.
fn variation(values: &[f64], block: usize, power: f64) -> f64 {
    let (mut sum, mut squares, mut blocks) = (0.0, 0.0, 0.0);
    for chunk in values.rchunks_exact(block) {
        let known = || chunk.iter().filter(|value| !value.is_nan());
        let (total, count) = known().fold((0.0, 0.0), |(total, count), value| (total + value, count + 1.0));
        let mean: f64 = total / count;
        // Fewer than two values have no spread.
        if count > 1.5 && mean > 0.0 {
            let spread = known().map(|value| (value - mean).abs()).sum::<f64>() / count;
            let level = if power < 1.0 { mean.sqrt() } else { mean };
            let ratio = spread / level;
            sum += ratio;
            squares += ratio * ratio;
            blocks += 1.0;
        }
    }
    if blocks >= BLOCKS && sum > 0.0 { squares * blocks / (sum * sum) } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of two around 1, 4, 16 and 64, apart by `spread` of the level.
    fn blocks(spread: impl Fn(f64) -> f64) -> Vec<f64> {
        [1.0, 4.0, 16.0, 64.0].into_iter().flat_map(|level| [level - spread(level), level + spread(level)]).collect()
    }

    #[test]
    fn the_scale_makes_spreads_alike() {
        assert_eq!(Transform::choose(&blocks(|level| 0.1 * level), 2), Transform::Log);
        assert_eq!(Transform::choose(&blocks(|level| 0.1 * level.sqrt()), 2), Transform::Root);
        assert_eq!(Transform::choose(&[0.0, 1.0, 0.0, 2.0, 3.0, 4.0], 2), Transform::Root);
        assert_eq!(Transform::choose(&[-1.0, 1.0, 0.0, 2.0, 3.0, 4.0], 2), Transform::Identity);
    }

    #[test]
    fn back_undoes_forward() {
        for transform in [Transform::Identity, Transform::Root, Transform::Log] {
            assert!((transform.back(transform.forward(6.25)) - 6.25).abs() < 1e-12);
        }
        assert_eq!(Transform::Root.back(Transform::Root.forward(-6.25)), -6.25);
    }
}
