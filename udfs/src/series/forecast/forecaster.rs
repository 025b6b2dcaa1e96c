//! The forecaster: one series in, its forecast out.

use super::basis::Basis;
use super::clean::{draw_in, find_usual};
use super::combine::{Combination, Fit};
use super::effects::History;
use super::holiday::{self, Holiday};
use super::interval::{Errors, Origins};
use super::month_end;
use super::options::{Forecast, ForecastOptions};
use super::profile::Profile;
use super::short::{SHORT, ShortHistory, TOO_SHORT};
use super::status::Status;
use super::transform::Transform;
use super::year::LastYear;
use super::zeros::Zeros;
use crate::series::{Calendar, Frequency, PlannedChange};

/// Cycles from which on a value is compared with the same phase of the cycles around it, not with the values next to it.
const CYCLES_TO_COMPARE: usize = 14;

/// Hours of a week, the season beyond that of a day.
const HOURS_OF_WEEK: usize = 168;

/// On a logarithmic scale, how far below the least cleaned value a zero is put.
const BELOW_LEAST: f64 = 3.0;

/// Forecasts one series after another with the same buffers: no allocation for a row, nor for a series once they have grown.
///
/// Everything is O(rows) but for sorting the errors. Nothing depends on chance, on the clock, or on the series before.
#[derive(Debug)]
pub struct Forecaster {
    options: ForecastOptions,
    forecast: Forecast,
    fit: Fitted,
    basis: Basis,
    zeros: Zeros,
    profile: Profile,
    week: Profile,
    combination: Combination,
    last_year: LastYear,
    errors: Errors,
    /// Factor of each position of history and horizon, for ends of months and holidays.
    factors: Vec<f64>,
    /// The history: divided by the scale, then freed of what is known, cleaned, on the scale of the forecast, without season.
    values: Vec<f64>,
    /// The same but not cleaned: what errors are measured on.
    actual: Vec<f64>,
    usual: Vec<f64>,
    scratch: Vec<f64>,
    /// The forecast without its median error, on its scale; shape: one for each lead.
    path: Vec<f64>,
}

/// What is known of the series that was forecast last.
#[derive(Debug, Clone, Copy, Default)]
struct Fitted {
    /// A power of two by which amounts are divided, so that none overflows and none is lost.
    scale: f64,
    rows: usize,
    is_floored: bool,
    transform: Transform,
    model: Model,
}

#[derive(Debug, Clone, Copy, Default)]
enum Model {
    #[default]
    None,
    Short(ShortHistory),
    Combination,
}

impl Forecaster {
    /// Returns a forecaster.
    #[must_use]
    pub fn new(options: &ForecastOptions) -> Self {
        Self {
            options: ForecastOptions { season: options.season.max(1), ..*options },
            forecast: Forecast::default(),
            fit: Fitted::default(),
            basis: Basis::default(),
            zeros: Zeros::default(),
            profile: Profile::default(),
            week: Profile::default(),
            combination: Combination::default(),
            last_year: LastYear::default(),
            errors: Errors::default(),
            factors: Vec::new(),
            values: Vec::new(),
            actual: Vec::new(),
            usual: Vec::new(),
            scratch: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Forecasts the rows after the last of `values`, which lie on the grid of `calendar` and are NaN where missing.
    ///
    /// There is always an answer: what cannot be forecast is NaN, and the status says why. Positions of planned changes and
    /// of holidays count from the first value; the horizon begins at `values.len()`.
    pub fn forecast(
        &mut self,
        calendar: &Calendar,
        values: &[f64],
        planned: &[PlannedChange],
        holidays: &[Holiday],
    ) -> &Forecast {
        let known = self.take_in(values, planned);
        self.forecast.status = self.status(calendar.frequency, known);
        self.fit.model = match known {
            0..TOO_SHORT => Model::None,
            TOO_SHORT..SHORT => Model::Short(ShortHistory::learn(&self.values)),
            _ => Model::Combination,
        };
        self.forecast.method = match self.fit.model {
            Model::None => "none",
            Model::Short(_) => "mean",
            Model::Combination => "combination",
        };
        if matches!(self.fit.model, Model::Combination) {
            self.learn(calendar, holidays);
        }
        self.write();
        &self.forecast
    }

    /// The forecast of the series that was forecast last.
    #[must_use]
    pub fn last(&self) -> &Forecast {
        &self.forecast
    }

    /// The interval at another confidence level for the series that was forecast last; one entry for each row of the horizon.
    ///
    /// It holds the forecast value, and the interval of a lower level lies within that of a higher one.
    pub fn interval(&self, confidence_level: f64, lower: &mut Vec<f64>, upper: &mut Vec<f64>) {
        let level = if confidence_level.is_nan() { 0.0 } else { confidence_level.clamp(0.0, 1.0) };
        lower.clear();
        upper.clear();
        for lead in 1..=self.forecast.value.len() {
            let value = self.forecast.value[lead - 1];
            let middle = self.middle(lead);
            let [low, high] = [0.5 - 0.5 * level, 0.5 + 0.5 * level].map(|share| {
                let bound = self.basis.bound(self.position(lead), middle, self.quantile(lead, share));
                // Where the value fits, what is far beyond may not.
                self.amount(bound).clamp(f64::MIN, f64::MAX)
            });
            lower.push(if value.is_nan() { value } else { low.min(value) });
            upper.push(if value.is_nan() { value } else { high.max(value) });
        }
    }

    /// Takes in a history: scaled, without planned changes, without the zeros before it began. Returns how many values it has.
    fn take_in(&mut self, values: &[f64], planned: &[PlannedChange]) -> usize {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let largest = finite().fold(0.0f64, |most, value| most.max(value.abs()));
        let scale = power_of_two(largest);
        self.values.clear();
        self.values.extend(values.iter().map(|value| if value.is_finite() { value / scale } else { f64::NAN }));
        let is_floored = self.options.non_negative.unwrap_or_else(|| finite().all(|value| value >= 0.0));
        self.fit = Fitted { scale, rows: values.len(), is_floored, ..Fitted::default() };
        self.basis.remove(&mut self.values, planned, scale);
        self.factors.clear();
        self.factors.resize(values.len() + self.options.horizon, 1.0);
        self.forget_before_launch();
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// Makes the zeros before a service was launched missing: nothing is to be learned from them.
    ///
    /// Where what follows is zero more often than not, it is no launch but one of a few single days.
    fn forget_before_launch(&mut self) {
        let zeros = self.values.iter().take_while(|value| value.is_nan() || **value == 0.0).count();
        let (before, after) = self.values.split_at_mut(zeros);
        let idle = after.iter().filter(|value| **value == 0.0).count();
        let known = after.iter().filter(|value| !value.is_nan()).count();
        if before.len() >= 2 * self.options.season && known >= TOO_SHORT && 2 * idle < known {
            before.fill(f64::NAN);
        }
    }

    fn status(&self, frequency: Frequency, known: usize) -> Status {
        let missing = self.values.iter().rev().take_while(|value| value.is_nan()).count();
        let recent = match frequency {
            Frequency::Hour => 48,
            Frequency::Day => 14,
            Frequency::Week => 4,
            Frequency::Month => 3,
        };
        match known {
            0 => Status::NoData,
            1..TOO_SHORT => Status::ShortHistory,
            _ if self.values.iter().all(|value| value.is_nan() || *value == 0.0) => Status::AllZero,
            TOO_SHORT..SHORT => Status::ShortHistory,
            _ if missing >= recent => Status::NoRecentData,
            _ => Status::Fine,
        }
    }

    fn learn(&mut self, calendar: &Calendar, holidays: &[Holiday]) {
        let (season, rows) = (self.options.season, self.fit.rows);
        self.zeros.find(&self.values, season);
        for (value, closed) in self.values.iter_mut().zip(self.zeros.closed.iter().cycle()) {
            if *closed {
                *value = f64::NAN;
            }
        }
        // A few years of months or weeks are too few and too far apart to compare with each other.
        let is_compared_by_phase = rows >= CYCLES_TO_COMPARE * season || season <= 7;
        find_usual(&self.values, if is_compared_by_phase { season } else { 1 }, &mut self.usual);
        self.take_out_known_days(calendar, holidays);
        self.actual.clone_from(&self.values);
        if is_compared_by_phase {
            draw_in(&mut self.values, &self.usual, &mut self.scratch);
        }
        self.change_scale();
        self.take_out_season(calendar.frequency);
        if !is_compared_by_phase {
            find_usual(&self.values, 1, &mut self.usual);
            draw_in(&mut self.values, &self.usual, &mut self.scratch);
        }
        self.combine(calendar.frequency);
    }

    /// Divides by the factors of ends of months and holidays; days that were zero for one of them are missing.
    fn take_out_known_days(&mut self, calendar: &Calendar, holidays: &[Holiday]) {
        let history = History { values: &self.values, usual: &self.usual };
        let noise = history.noise(&mut self.scratch);
        month_end::apply(calendar, history, noise, &mut self.factors);
        holiday::apply(holidays, history, noise, &mut self.factors);
        for (value, factor) in self.values.iter_mut().zip(&self.factors) {
            if *factor != 1.0 {
                *value = if *factor > 0.0 { *value / factor } else { f64::NAN };
            }
        }
    }

    fn change_scale(&mut self) {
        let transform = Transform::choose(&self.values, self.options.season.clamp(7, 13));
        self.fit.transform = transform;
        self.values.iter_mut().for_each(|value| *value = transform.forward(*value));
        let least = match transform {
            Transform::Log => self.values.iter().copied().fold(f64::INFINITY, f64::min) - BELOW_LEAST,
            Transform::Identity | Transform::Root => f64::NEG_INFINITY,
        };
        for value in self.actual.iter_mut().filter(|value| !value.is_nan()) {
            // Where cleaning made a credit positive the logarithm of the credit itself is NaN, which max() passes over.
            *value = transform.forward(*value).max(least);
        }
    }

    fn take_out_season(&mut self, frequency: Frequency) {
        self.profile.learn(&self.values, self.options.season);
        subtract(&mut self.values, &self.profile.taken);
        subtract(&mut self.actual, &self.profile.taken);
        let has_weeks = frequency == Frequency::Hour && self.options.season < HOURS_OF_WEEK;
        if has_weeks {
            self.week.learn(&self.values, HOURS_OF_WEEK);
            subtract(&mut self.values, &self.week.taken);
            subtract(&mut self.actual, &self.week.taken);
        } else {
            self.week.phases.clear();
        }
    }

    /// Fits the combination, learns from its errors and makes the path of the forecast.
    fn combine(&mut self, frequency: Frequency) {
        let (season, horizon, rows) = (self.options.season, self.options.horizon, self.fit.rows);
        let start = self.values.iter().take_while(|value| value.is_nan()).count();
        let warm_up = start + (2 * season).clamp(10, (rows - start).div_ceil(3).max(10));
        // Errors of short daily series were seen to be too small by more than those of short monthly ones.
        let (recent, widening_if_short) = match frequency {
            Frequency::Hour => (HOURS_OF_WEEK, 0.45),
            Frequency::Day => (28, 0.45),
            Frequency::Week => (4, 0.2),
            Frequency::Month => (3, 0.2),
        };
        self.combination.fit(Fit { values: &self.values, recent, warm_up, horizon });
        let (combination, last_year) = (&self.combination, &mut self.last_year);
        last_year.learn(frequency, &self.actual, start, horizon, combination);
        let at = |origin, lead| combination.at(origin, lead) + last_year.correction(origin, lead, combination);
        self.errors.collect(Origins { values: &self.actual, start, warm_up, horizon, widening_if_short }, at);
        self.path.clear();
        self.path.extend((1..=horizon).map(|lead| {
            let position = rows - 1 + lead;
            let week = if self.week.phases.is_empty() { 0.0 } else { self.week.phases[position % HOURS_OF_WEEK] };
            at(rows - 1, lead) + self.profile.phases[position % season] + week
        }));
    }

    fn position(&self, lead: usize) -> usize {
        self.fit.rows + lead - 1
    }

    /// The factor of a row of the horizon; none where it is known to be zero.
    fn factor(&self, lead: usize) -> Option<f64> {
        let position = self.position(lead);
        let factor = self.factors[position];
        (factor > 0.0 && !self.zeros.closed[position % self.options.season]).then_some(factor)
    }

    /// The baseline at a lead that is as likely too high as too low, divided by the scale.
    fn middle(&self, lead: usize) -> f64 {
        match self.fit.model {
            Model::None => f64::NAN,
            Model::Short(history) => history.middle(),
            Model::Combination if self.is_idle(lead) => 0.0,
            Model::Combination => self.baseline(lead, self.errors.centre(lead)),
        }
    }

    /// The baseline at a lead below which it lies with a chance of `share`, divided by the scale.
    fn quantile(&self, lead: usize, share: f64) -> f64 {
        match self.fit.model {
            Model::None => f64::NAN,
            Model::Short(history) => history.at(share),
            Model::Combination => self.baseline(lead, self.errors.at(lead, share)),
        }
    }

    /// Whether zero is the median at a lead.
    fn is_idle(&self, lead: usize) -> bool {
        matches!(self.fit.model, Model::Combination) && self.zeros.idle[self.position(lead) % self.options.season]
    }

    /// The mean of the baseline at a lead, divided by the scale.
    fn mean(&self, lead: usize) -> f64 {
        match self.fit.model {
            Model::Combination => self.errors.mean(lead, |error| self.baseline(lead, error)),
            Model::None | Model::Short(_) => self.middle(lead),
        }
    }

    fn baseline(&self, lead: usize, error: f64) -> f64 {
        self.factor(lead).map_or(0.0, |factor| self.fit.transform.back(self.path[lead - 1] + error) * factor)
    }

    /// An amount in the units of the series.
    fn amount(&self, scaled: f64) -> f64 {
        let amount = scaled * self.fit.scale;
        // Not max(), which makes zero of NaN.
        if self.fit.is_floored && amount < 0.0 { 0.0 } else { amount }
    }

    fn write(&mut self) {
        self.forecast.value.clear();
        self.forecast.mean.clear();
        self.forecast.baseline.clear();
        for lead in 1..=self.options.horizon {
            let (middle, position) = (self.middle(lead), self.position(lead));
            let value = self.amount(self.basis.value(position, middle));
            let mean = self.amount(self.basis.value(position, self.mean(lead)));
            let baseline = self.amount(self.basis.unchanged(position, middle));
            let fits = value.is_finite() && mean.is_finite() && baseline.is_finite();
            if !fits && !matches!(self.fit.model, Model::None) {
                self.forecast.status = Status::OutOfRange;
            }
            for (list, amount) in [
                (&mut self.forecast.value, value),
                (&mut self.forecast.mean, mean),
                (&mut self.forecast.baseline, baseline),
            ] {
                list.push(if fits { amount } else { f64::NAN });
            }
        }
        let mut lower = std::mem::take(&mut self.forecast.lower);
        let mut upper = std::mem::take(&mut self.forecast.upper);
        self.interval(self.options.confidence_level, &mut lower, &mut upper);
        (self.forecast.lower, self.forecast.upper) = (lower, upper);
    }
}

fn subtract(values: &mut [f64], less: &[f64]) {
    values.iter_mut().zip(less).for_each(|(value, less)| *value -= less);
}

/// The power of two at or below a number, exactly; 1 for zero and for what is smaller than any normal number.
fn power_of_two(number: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    if number < f64::MIN_POSITIVE { 1.0 } else { f64::from_bits(number.to_bits() & EXPONENT) }
}
