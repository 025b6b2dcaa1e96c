//! Powers of ten that fit an `i128`.

/// `POWERS_OF_TEN[n]` is 10 to the n, for n up to 38.
pub const POWERS_OF_TEN: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut exponent = 1;
    while exponent < 39 {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// Returns 10 to the `exponent`, or `None` where it does not fit an `i128` (above 38).
#[must_use]
pub fn power_of_ten(exponent: u32) -> Option<i128> {
    POWERS_OF_TEN.get(usize::try_from(exponent).ok()?).copied()
}
