//! What a partition does: one series after the other, and last the sums of all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::metrics::Count;
use ratehouse_udfs::money::Currency;
use ratehouse_udfs::series::anomaly::{Detector, DetectorOptions};
use ratehouse_udfs::series::forecast::{ForecastOptions, Forecaster, Holiday};
use ratehouse_udfs::series::{Frequency, PlannedChange};

use super::Function;
use super::arguments::Asked;
use super::gather::{Laid, Points};
use super::known::{Known, position};
use super::node::Shape;
use super::results::Rows;
use super::sets::{AllSeries, Series, Tasks, Unit, names_at};
use super::states::{Flagged, Remembered, Seen, key_of};
use super::sum::Sum;

/// Rows of a batch: so many that a batch of forecasts takes some milliseconds.
const BATCH_ROWS: usize = 2_048;
/// What a forecast says of series that were not known at all.
const NO_HISTORY: &str = "no_history";

/// All that partitions share.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) known: Known,
    pub(super) all: AllSeries,
    /// What partitions still have to do, and what they have done for the sums.
    pub(super) left: Mutex<Left>,
    pub(super) _reservation: MemoryReservation,
}

/// What is left to do of a statement.
#[derive(Debug)]
pub(super) struct Left {
    /// None: taken.
    parts: Vec<Option<Vec<Unit>>>,
    sums: Vec<Series>,
    /// Of each partition that is done, by the number of the sum: they are added up in the order of partitions, to the last bit.
    done: Vec<Option<HashMap<usize, Sum>>>,
}

impl Left {
    pub(super) fn of(Tasks { parts, sums }: Tasks) -> Self {
        let done = parts.iter().map(|_| None).collect();
        Self { parts: parts.into_iter().map(Some).collect(), sums, done }
    }
}

/// The forecast of a series, as it becomes rows; NaN is null.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) value: Vec<f64>,
    pub(super) mean: Vec<f64>,
    pub(super) baseline: Vec<f64>,
    /// The interval of each confidence level.
    pub(super) bounds: Vec<(Vec<f64>, Vec<f64>)>,
    pub(super) method: &'static str,
    pub(super) status: &'static str,
}

impl Made {
    /// Moves a time to another mean, with its interval, which is as wide as before.
    fn move_to(&mut self, lead: usize, mean: f64) {
        let moved = mean - self.mean[lead];
        self.mean[lead] = mean;
        for value in [&mut self.value[lead], &mut self.baseline[lead]] {
            *value = if value.is_nan() { mean } else { *value + moved };
        }
        for (lower, upper) in &mut self.bounds {
            lower[lead] += moved;
            upper[lead] += moved;
        }
    }

    fn bytes(&self) -> usize {
        (3 + 2 * self.bounds.len()) * self.value.len() * size_of::<f64>()
    }
}

/// The series of a partition, from the first that is left; gives batches of results.
pub(super) struct Work {
    asked: Arc<Asked>,
    shape: Arc<Shape>,
    schema: SchemaRef,
    gathered: Arc<Gathered>,
    part: usize,
    units: VecDeque<Unit>,
    stage: Stage,
    /// What the series of this partition add to sums, by the number of the sum.
    sums: HashMap<usize, Sum>,
    rows: Rows,
    engine: Engine,
    laid: Laid,
    planned: Vec<PlannedChange>,
    holidays: Vec<Holiday>,
    memory: Memory,
}

/// What a partition holds beside its series.
pub(super) struct Memory {
    pub(super) remembered: Option<Remembered>,
    /// Values that a detector was shown.
    pub(super) judged: Count,
    /// Of shares.
    pub(super) reservation: MemoryReservation,
    /// Of sums.
    pub(super) sums: MemoryReservation,
}

/// What works on a series: one of each frequency, made when the first series has it.
enum Engine {
    Forecast { forecasters: Vec<(Frequency, Forecaster)>, made: Made },
    DetectAnomalies { detectors: Vec<(Frequency, Detector)> },
}

/// How far the work has come.
enum Stage {
    /// The series of a unit, then its shares.
    Unit { series: VecDeque<Series>, shares: Vec<Series>, commons: Sums },
    /// Shares that are forecast, and what they come to by themselves and how many they are.
    Shares { shares: VecDeque<Share>, commons: Sums, own: HashMap<(usize, usize), (Sum, f64)> },
    /// All units are done.
    Sums { series: VecDeque<Series>, sums: HashMap<usize, Sum> },
}

/// By set of shares and number of what is common.
type Sums = HashMap<(usize, usize), Sum>;

/// A series that shares a sum with others, forecast by itself.
struct Share {
    number: usize,
    laid: Laid,
    made: Made,
}

impl Share {
    /// Moves it so that the shares add up to what they have in common: in proportion to what they come to by themselves, evenly where
    /// that is nothing.
    fn fit(&mut self, all: &AllSeries, commons: &Sums, own: &HashMap<(usize, usize), (Sum, f64)>) {
        let set = all.share_set[self.number];
        let common = (set, all.common_of[set][self.number]);
        let (Some(whole), Some((sum, count))) = (commons.get(&common), own.get(&common)) else { return };
        let Laid { calendar, values, .. } = &self.laid;
        for lead in 0..self.made.mean.len() {
            let at = |sum: &Sum| sum.at(calendar, values.len() + lead).map(|(mean, _)| mean);
            let (Some(whole), Some(sum)) = (at(whole), at(sum)) else { continue };
            let mean = if sum == 0.0 { whole / count } else { self.made.mean[lead] * whole / sum };
            if !mean.is_nan() {
                self.made.move_to(lead, mean);
            }
        }
    }
}

impl Work {
    pub(super) fn new(
        (asked, shape, schema): (Arc<Asked>, Arc<Shape>, SchemaRef),
        gathered: Arc<Gathered>,
        part: usize,
        memory: Memory,
    ) -> Result<Self> {
        let engine = match asked.function {
            Function::Forecast => Engine::Forecast { forecasters: Vec::new(), made: Made::default() },
            Function::DetectAnomalies => Engine::DetectAnomalies { detectors: Vec::new() },
        };
        let units = {
            let mut left = gathered.left.lock().map_err(|_| broken())?;
            left.parts.get_mut(part).and_then(Option::take).ok_or_else(broken)?
        };
        let rows = Rows::new(&asked);
        Ok(Self {
            asked,
            shape,
            schema,
            gathered,
            part,
            units: units.into(),
            stage: Stage::Shares { shares: VecDeque::new(), commons: Sums::new(), own: HashMap::new() },
            sums: HashMap::new(),
            rows,
            engine,
            laid: Laid::default(),
            planned: Vec::new(),
            holidays: Vec::new(),
            memory,
        })
    }

    /// Takes one step: false where there is none any more.
    fn step(&mut self) -> Result<bool> {
        let gathered = Arc::clone(&self.gathered);
        match &mut self.stage {
            Stage::Unit { series, shares, commons } => match series.pop_front() {
                Some(series) => self.add(series)?,
                None => {
                    let (shares, commons) = (std::mem::take(shares), std::mem::take(commons));
                    self.share(shares, commons)?;
                }
            },
            Stage::Shares { shares, commons, own } => match shares.pop_front() {
                Some(mut share) => {
                    share.fit(&gathered.all, commons, own);
                    self.laid = share.laid;
                    if let Engine::Forecast { made, .. } = &mut self.engine {
                        *made = share.made;
                    }
                    self.show(share.number);
                }
                None => {
                    self.memory.reservation.free();
                    self.stage = match self.units.pop_front() {
                        Some(Unit { series, shares }) => {
                            Stage::Unit { series: series.into(), shares, commons: Sums::new() }
                        }
                        None => self.end()?,
                    };
                }
            },
            Stage::Sums { series, sums } => match series.pop_front() {
                Some(series) => {
                    let sum = sums.remove(&series.number);
                    self.add_sum(series, sum);
                }
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    /// Works on a series of the first set.
    fn add(&mut self, Series { number, points }: Series) -> Result<()> {
        let gathered = Arc::clone(&self.gathered);
        let Some(ids) = self.lay(number, points) else { return Ok(()) };
        if self.asked.function == Function::DetectAnomalies {
            self.judge(number, &ids);
            return Ok(());
        }
        self.forecast(&ids);
        let (Engine::Forecast { made, .. }, Laid { calendar, values, .. }) = (&self.engine, &self.laid) else {
            return Ok(());
        };
        // A sum may be known for less time than its series: there it is what they have cost.
        let from = self.known_from();
        for sum in gathered.all.sums_of.get(number).into_iter().flatten() {
            let sum = self.sums.entry(*sum).or_default();
            let before = sum.bytes();
            sum.add(calendar, values, made, from);
            self.memory.sums.try_grow(sum.bytes() - before)?;
        }
        if let Stage::Unit { commons, .. } = &mut self.stage {
            for (set, common_of) in gathered.all.common_of.iter().enumerate() {
                commons.entry((set, common_of[number])).or_default().add(calendar, values, made, from);
            }
        }
        self.show(number);
        Ok(())
    }

    /// The first position that is later than the last known day of every sum.
    fn known_from(&self) -> usize {
        let known_until = self.gathered.all.known_until;
        let end = position(&self.laid.calendar, known_until.saturating_add(1));
        usize::try_from(end).unwrap_or_default().min(self.laid.values.len())
    }

    /// Forecasts what has its share of sums.
    fn share(&mut self, series: Vec<Series>, commons: Sums) -> Result<()> {
        let gathered = Arc::clone(&self.gathered);
        let all = &gathered.all;
        let mut own: HashMap<(usize, usize), (Sum, f64)> = HashMap::new();
        let mut shares = VecDeque::new();
        for Series { number, points } in series {
            let Some(ids) = self.lay(number, points) else { continue };
            self.forecast(&ids);
            let from = self.known_from();
            let Engine::Forecast { made, .. } = &mut self.engine else { continue };
            let (laid, made) = (std::mem::take(&mut self.laid), std::mem::take(made));
            self.memory.reservation.try_grow(made.bytes() + laid.values.len() * size_of::<f64>())?;
            let set = all.share_set[number];
            let (sum, count) = own.entry((set, all.common_of[set][number])).or_default();
            sum.add(&laid.calendar, &laid.values, &made, from);
            *count += 1.0;
            shares.push_back(Share { number, laid, made });
        }
        self.stage = Stage::Shares { shares, commons, own };
        Ok(())
    }

    /// Hands in what this partition knows of the sums; the last one works on them.
    fn end(&mut self) -> Result<Stage> {
        if let Some(remembered) = self.memory.remembered.take() {
            remembered.finish();
        }
        let mut left = self.gathered.left.lock().map_err(|_| broken())?;
        left.done[self.part] = Some(std::mem::take(&mut self.sums));
        let mut sums: HashMap<usize, Sum> = HashMap::new();
        let mut series = VecDeque::new();
        if left.done.iter().all(Option::is_some) {
            for (number, sum) in std::mem::take(&mut left.done).into_iter().flatten().flatten() {
                sums.entry(number).or_default().merge(&sum);
            }
            series = std::mem::take(&mut left.sums).into();
        }
        Ok(Stage::Sums { series, sums })
    }

    /// Forecasts a sum by itself, and moves it to what its series come to.
    fn add_sum(&mut self, Series { number, points }: Series, sum: Option<Sum>) {
        let Some(ids) = self.lay(number, points) else { return };
        self.forecast(&ids);
        if let (Engine::Forecast { made, .. }, Some(sum)) = (&mut self.engine, sum) {
            for lead in 0..made.mean.len() {
                if let Some((mean, planned)) = sum.at(&self.laid.calendar, self.laid.values.len() + lead) {
                    made.move_to(lead, mean);
                    made.baseline[lead] = made.value[lead] - planned;
                }
            }
        }
        self.show(number);
    }

    /// Lays out a series, with what is known of it; none where there is nothing. Gives the ids by which plans and holidays are found:
    /// those of a parent's own usage are not those of all below it.
    fn lay(&mut self, number: usize, points: Points) -> Option<Vec<Option<String>>> {
        let Gathered { known, all, .. } = self.gathered.as_ref();
        let mut ids = names_at(&all.names, number);
        let later = if self.asked.is_backtest { self.asked.horizon } else { 0 };
        self.laid.lay(points, known.complete_until(&ids), later, (&self.asked, &self.shape));
        if self.laid.values.is_empty() {
            return None;
        }
        if let (_, Some(parent)) = all.set_of(number) {
            ids[parent] = None;
        }
        known.planned_of(&ids, &self.laid.calendar, &mut self.planned);
        Some(ids)
    }

    fn forecast(&mut self, ids: &[Option<String>]) {
        let Engine::Forecast { forecasters, made } = &mut self.engine else { return };
        let Laid { calendar, values, .. } = &self.laid;
        let horizon = self.asked.horizon;
        self.gathered.known.holidays_of(ids, calendar, values.len() + horizon, &mut self.holidays);
        let forecaster = of(forecasters, calendar.frequency, || {
            let options = ForecastOptions {
                non_negative: self.asked.non_negative,
                ..ForecastOptions::new(horizon, calendar.frequency)
            };
            Forecaster::new(&options)
        });
        let forecast = forecaster.forecast(calendar, values, &self.planned, &self.holidays);
        made.value.clone_from(&forecast.value);
        made.mean.clone_from(&forecast.mean);
        made.baseline.clone_from(&forecast.baseline);
        (made.method, made.status) = (forecast.method, forecast.status.as_str());
        if self.laid.is_unknown {
            made.status = NO_HISTORY;
        }
        made.bounds.resize_with(self.asked.confidence_levels.len(), Default::default);
        for (level, (lower, upper)) in self.asked.confidence_levels.iter().zip(&mut made.bounds) {
            forecaster.interval(level.0, lower, upper);
        }
    }

    /// Makes the rows of the forecast that was made last.
    fn show(&mut self, number: usize) {
        let Engine::Forecast { made, .. } = &self.engine else { return };
        let digits = self.digits(number);
        self.rows.forecast((number, digits), &self.laid, made, &self.asked);
    }

    /// Digits of the currency of a series, where that is known.
    fn digits(&self, number: usize) -> Option<i8> {
        let names = self.gathered.all.names.get(self.shape.currency?)?;
        let names = names_at(std::slice::from_ref(names), number);
        Currency::of(names.first()?.as_deref()?).ok().map(Currency::minor_unit)
    }

    fn judge(&mut self, number: usize, ids: &[Option<String>]) {
        let digits = self.digits(number);
        let Engine::DetectAnomalies { detectors } = &mut self.engine else { return };
        let Laid { calendar, values, .. } = &self.laid;
        self.gathered.known.holidays_of(ids, calendar, values.len(), &mut self.holidays);
        let detector = of(detectors, calendar.frequency, || {
            let options = DetectorOptions {
                anomaly_prob_threshold: self.asked.anomaly_prob_threshold.0,
                min_impact: self.asked.min_impact.0,
                min_impact_pct: self.asked.min_impact_pct.0,
                ..DetectorOptions::default()
            };
            Detector::new(&options, *calendar)
        });
        let seen = Seen { calendar, values, planned: &self.planned, holidays: &self.holidays };
        let (set, _) = self.gathered.all.set_of(number);
        let key = key_of(ids).wrapping_add(u128::try_from(set).unwrap_or_default());
        detector.reset(*calendar);
        let remembered = self.memory.remembered.as_ref();
        let resumed = remembered.and_then(|remembered| remembered.resume(key, &seen, detector));
        let (first, mut flagged) = resumed.unwrap_or_default();
        self.memory.judged.add(values.len() - first);
        let shown_from = self.asked.last_points.map_or(0, |points| values.len().saturating_sub(points));
        let is_shown = |position: usize| {
            let start = self.asked.target_start;
            position >= shown_from && start.is_none_or(|start| calendar.date(position).to_epoch_days() >= start)
        };
        for one in flagged.iter().filter(|one| is_shown(one.position)) {
            let place = (calendar, one.position);
            self.rows.judgement((number, digits), place, (values[one.position], &one.judgement));
        }
        let mut holidays = self.holidays.iter().skip_while(|holiday| holiday.position < first).peekable();
        for (position, value) in values.iter().enumerate().skip(first) {
            let holiday = holidays.next_if(|holiday| holiday.position == position).map(|holiday| holiday.kind);
            let judgement = detector.advance(*value, &self.planned, holiday);
            let is_part = judgement.is_anomaly || judgement.is_lasting;
            if is_part && self.memory.remembered.is_some() {
                flagged.push(Flagged { position, judgement });
            }
            if is_shown(position) && (is_part || !self.asked.only_anomalies) {
                self.rows.judgement((number, digits), (calendar, position), (*value, &judgement));
            }
        }
        if let Some(remembered) = &mut self.memory.remembered {
            remembered.keep(key, &seen, detector, &flagged);
        }
    }
}

fn broken() -> DataFusionError {
    DataFusionError::Internal("the series of a partition were taken before".to_owned())
}

/// The engine of a frequency.
fn of<T>(engines: &mut Vec<(Frequency, T)>, frequency: Frequency, new: impl FnOnce() -> T) -> &mut T {
    let at = engines.iter().position(|(of, _)| *of == frequency).unwrap_or_else(|| {
        engines.push((frequency, new()));
        engines.len() - 1
    });
    &mut engines[at].1
}

impl Iterator for Work {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.rows.len() < BATCH_ROWS {
            match self.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.stage = Stage::Sums { series: VecDeque::new(), sums: HashMap::new() };
                    return Some(Err(error));
                }
            }
        }
        let keys = &self.gathered.all.keys;
        (self.rows.len() > 0).then(|| self.rows.take(&self.schema, keys, (&self.asked, &self.shape)))
    }
}
