//! The latest values of something, in constant space.

use super::codec::Fields;

/// A number with 21 significant bits (about six digits) and the range of `f64`, in half its space.
///
/// Unlike `f32` it keeps every power of two, so a series in cents is judged exactly like the same in another unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Brief(u32);

impl Brief {
    /// Keeps the leading bits.
    pub(super) fn new(number: f64) -> Self {
        let [.., a, b, c, d] = number.to_le_bytes();
        Self(u32::from_le_bytes([a, b, c, d]))
    }

    /// The number kept.
    pub(super) fn get(self) -> f64 {
        let [a, b, c, d] = self.0.to_le_bytes();
        f64::from_le_bytes([0, 0, 0, 0, a, b, c, d])
    }

    /// Stores or restores it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        fields.word(&mut self.0);
    }
}

/// The latest `N` numbers, oldest overwritten first.
#[derive(Debug, Clone)]
pub(super) struct Ring<const N: usize> {
    numbers: [Brief; N],
    next: u32,
    count: u32,
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self { numbers: [Brief::default(); N], next: 0, count: 0 }
    }
}

impl<const N: usize> Ring<N> {
    /// Adds a number, in place of the oldest where the ring is full, which it returns.
    pub(super) fn push(&mut self, number: f64) -> Option<f64> {
        let at = self.next as usize;
        let oldest = (self.len() == N).then(|| self.numbers[at].get());
        self.numbers[at] = Brief::new(number);
        self.next = if at + 1 == N { 0 } else { self.next + 1 };
        self.count += u32::from(self.len() < N);
        oldest
    }

    /// How many numbers are in it.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// Empties it.
    pub(super) fn clear(&mut self) {
        (self.next, self.count) = (0, 0);
    }

    /// The number pushed `age` pushes ago, 0 for the latest.
    pub(super) fn ago(&self, age: usize) -> Option<f64> {
        (age < self.len()).then(|| self.numbers[(self.next as usize + N - 1 - age) % N].get())
    }

    /// All numbers, in no order.
    pub(super) fn unordered(&self) -> impl Iterator<Item = f64> {
        self.numbers[..self.len()].iter().map(|number| number.get())
    }

    /// Changes every number.
    pub(super) fn map(&mut self, change: impl Fn(f64) -> f64) {
        self.numbers.iter_mut().for_each(|number| *number = Brief::new(change(number.get())));
    }

    /// Stores or restores it. Positions outside the ring, as in damaged bytes, are brought back into it.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        self.numbers.iter_mut().for_each(|number| number.fields(fields));
        fields.word(&mut self.next);
        fields.word(&mut self.count);
        if self.len() > N || self.next as usize >= N {
            self.clear();
        }
    }
}

/// The median of up to `N` numbers, none where there are none or one is NaN.
pub(super) fn median<const N: usize>(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted = [0.0; N];
    let mut count = 0;
    for number in numbers.take(N) {
        // Insertion: the windows here are of 7 to 14 numbers.
        let mut at = count;
        while at > 0 && sorted[at - 1] > number {
            sorted[at] = sorted[at - 1];
            at -= 1;
        }
        sorted[at] = number;
        count += 1;
    }
    match count {
        0 => None,
        _ if count % 2 == 1 => Some(sorted[count / 2]),
        _ => Some((sorted[count / 2 - 1] + sorted[count / 2]) / 2.0),
    }
}
