//! Forecasts of one series: a combination of simple methods around what is known beforehand.
//!
//! Planned changes are taken out (`basis`), closed weekdays left out (`zeros`), ends of months and holidays divided out
//! (`month_end`, `holiday`), outliers drawn in (`clean`), the scale changed (`transform`), the season subtracted (`profile`).
//! What remains is forecast by a combination of smoothing methods (`combine`) and corrected by last year's errors (`year`);
//! its errors at earlier origins give the interval (`interval`). Then all of it backwards (`forecaster`).
//!
//! Nothing here reads what lies after the last value: the horizon is known by planned changes and holidays only.

mod basis;
mod clean;
mod combine;
mod cumulative;
mod effects;
mod forecaster;
mod holiday;
mod interval;
mod month_end;
mod options;
mod order;
mod profile;
mod short;
mod smoothing;
mod status;
mod theta;
mod transform;
mod year;
mod zeros;

#[cfg(test)]
mod tests;

pub use forecaster::Forecaster;
pub use holiday::Holiday;
pub use options::{Forecast, ForecastOptions};
pub use status::Status;
