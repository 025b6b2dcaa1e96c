//! How far a value is from what was expected, on a scale on which noise looks alike above and below.

/// Below this share of the level an expectation no longer serves as the unit of a deviation.
///
/// Two days a week at a fiftieth of the others must not make one more cent a huge deviation.
pub(super) const UNIT_FLOOR: f64 = 0.2;

/// The unit in which deviations from an expectation are counted: the expectation itself, but not less than a fifth of the
/// level. Both in the unit of the series.
pub(super) fn unit(expected: f64, level: f64) -> f64 {
    expected.max(UNIT_FLOOR * level)
}

/// The deviation of a value: 0 where as expected, about the relative error where small.
///
/// Above it is the square-root transform of Box & Cox (1964, λ = 1/2), `2 (√ratio - 1)`: cost varies in proportion to itself, but a
/// linear scale calls the long upper tail of such noise a spike, and a logarithm hides real ones. Below it is linear, as there is
/// no lower tail to speak of: nothing at all is -1, and closed shops and idle days are common.
pub(super) fn deviation(value: f64, expected: f64, unit: f64) -> f64 {
    let relative = (value - expected) / unit;
    if relative > 0.0 { 2.0 * ((1.0 + relative).sqrt() - 1.0) } else { relative }
}

/// The value that has a deviation: the inverse of [`deviation`].
pub(super) fn value_at(deviation: f64, expected: f64, unit: f64) -> f64 {
    let relative = if deviation > 0.0 { deviation + deviation * deviation / 4.0 } else { deviation };
    expected + relative * unit
}
