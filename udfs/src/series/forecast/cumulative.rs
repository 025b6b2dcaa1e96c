//! Sums up to each position, so that the mean of any range costs the same.

/// Running sums and counts of values, NaN left out; one more entry than there are values.
#[derive(Debug, Default)]
pub(super) struct Cumulative {
    sums: Vec<f64>,
    counts: Vec<f64>,
}

impl Cumulative {
    /// Sums up other values.
    pub(super) fn fill(&mut self, values: &[f64]) {
        self.sums.clear();
        self.counts.clear();
        let (mut sum, mut count) = (0.0, 0.0);
        self.sums.push(sum);
        self.counts.push(count);
        for value in values {
            if !value.is_nan() {
                sum += value;
                count += 1.0;
            }
            self.sums.push(sum);
            self.counts.push(count);
        }
    }

    /// How many values there are.
    pub(super) fn rows(&self) -> usize {
        self.sums.len().saturating_sub(1)
    }

    /// The sum and the count of the positions `from..to`, which lie within the values.
    pub(super) fn between(&self, from: usize, to: usize) -> (f64, f64) {
        (self.sums[to] - self.sums[from], self.counts[to] - self.counts[from])
    }
}
