//! Slow arithmetic on decimal digit strings, as taught at school: what the property tests compare the kernels with.

use std::cmp::Ordering;

/// A non-negative integer as decimal digits, most significant first, without leading zeros (zero is empty).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digits(Vec<u8>);

impl Digits {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.bytes().map(|byte| byte - b'0').skip_while(|digit| *digit == 0).collect())
    }

    pub(crate) fn text(&self) -> String {
        if self.0.is_empty() {
            return "0".to_owned();
        }
        self.0.iter().map(|digit| char::from(b'0' + digit)).collect()
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        let mut columns = vec![0_u64; self.0.len() + other.0.len()];
        for (i, a) in self.0.iter().rev().enumerate() {
            for (j, b) in other.0.iter().rev().enumerate() {
                columns[i + j] += u64::from(*a) * u64::from(*b);
            }
        }
        let mut carry = 0;
        let mut text = String::new();
        for column in columns {
            let sum = column + carry;
            text.insert(0, char::from_digit(u32::try_from(sum % 10).expect("a digit"), 10).expect("a digit"));
            carry = sum / 10;
        }
        assert_eq!(carry, 0, "the columns hold the product");
        Self::new(&text)
    }

    pub(crate) fn plus_one(&self) -> Self {
        let mut digits = self.0.clone();
        for digit in digits.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                return Self(digits);
            }
            *digit = 0;
        }
        digits.insert(0, 1);
        Self(digits)
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }

    fn minus(&self, other: &Self) -> Self {
        let mut digits = self.0.clone();
        let mut borrow = 0;
        for back in 0..digits.len() {
            let place = digits.len() - 1 - back;
            let subtrahend = other.0.len().checked_sub(back + 1).map_or(0, |index| other.0[index]) + borrow;
            borrow = u8::from(digits[place] < subtrahend);
            digits[place] = digits[place] + 10 * borrow - subtrahend;
        }
        Self(digits.into_iter().skip_while(|digit| *digit == 0).collect())
    }

    /// Long division: one digit of the quotient at a time, by subtraction.
    pub(crate) fn divide(&self, divisor: &Self) -> (Self, Self) {
        let mut remainder = Self(Vec::new());
        let mut quotient = String::new();
        for digit in &self.0 {
            if !(remainder.0.is_empty() && *digit == 0) {
                remainder.0.push(*digit);
            }
            let mut count = 0_u8;
            while remainder.compare(divisor) != Ordering::Less {
                remainder = remainder.minus(divisor);
                count += 1;
            }
            quotient.push(char::from(b'0' + count));
        }
        (Self::new(&quotient), remainder)
    }

    /// Divides and rounds by the text of the mode's rule, not by its implementation.
    pub(crate) fn divide_rounded(&self, divisor: &Self, mode: &str) -> Self {
        let (quotient, remainder) = self.divide(divisor);
        let half = remainder.times(&Self::new("2")).compare(divisor);
        let is_odd = quotient.0.last().is_some_and(|digit| [1, 3, 5, 7, 9].contains(digit));
        let goes_up = match mode {
            "down" => false,
            "up" => !remainder.0.is_empty(),
            "half_up" => half == Ordering::Greater || half == Ordering::Equal,
            "half_even" => half == Ordering::Greater || (half == Ordering::Equal && is_odd),
            other => panic!("no rule {other}"),
        };
        if goes_up { quotient.plus_one() } else { quotient }
    }
}

#[test]
fn the_oracle_knows_school_arithmetic() {
    let n = Digits::new;
    assert_eq!(n("12").times(&n("12")).text(), "144");
    assert_eq!(n("1000").divide(&n("7")), (n("142"), n("6")));
    assert_eq!(n("999").plus_one().text(), "1000");
    assert_eq!(n("25").divide_rounded(&n("10"), "half_even").text(), "2");
    assert_eq!(n("25").divide_rounded(&n("10"), "half_up").text(), "3");
    assert_eq!(n("21").divide_rounded(&n("10"), "up").text(), "3");
}
