//! The months that a location is asked for.

use chrono::{DateTime, Months, NaiveDate, Utc};

use super::settings::SourceSettings;
use crate::period::BillingPeriod;

const PLACES: [&str; 3] = ["{period}", "{period_start}", "{period_end}"];

/// A text with the places of a month filled in; `{period_end}` is the first day of the month after.
pub(super) fn fill(text: &str, period: BillingPeriod) -> String {
    let first = period.first_day();
    let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
    text.replace("{period}", &period.to_string())
        .replace("{period_start}", &first.to_string())
        .replace("{period_end}", &next.to_string())
}

/// Whether a text has a place for a month.
pub(super) fn names_month(text: &str) -> bool {
    PLACES.iter().any(|place| text.contains(place))
}

/// The months that a source is asked for at an instant, the oldest first: what comes last is the newest delivery.
pub(super) fn months(source: &SourceSettings, now: DateTime<Utc>) -> Vec<BillingPeriod> {
    let count = u32::from(source.options.periods.unwrap_or(2));
    (0..count).rev().filter_map(|back| month_of(now.date_naive().checked_sub_months(Months::new(back))?)).collect()
}

/// The month of a day.
pub(super) fn month_of(day: NaiveDate) -> Option<BillingPeriod> {
    day.format("%Y-%m").to_string().parse().ok()
}

/// The places to look at: the location itself, or one for each month if it names one.
pub(super) fn places(source: &SourceSettings, now: DateTime<Utc>) -> Vec<String> {
    if !names_month(&source.location) {
        return vec![source.location.clone()];
    }
    months(source, now).into_iter().map(|period| fill(&source.location, period)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_a_month() {
        let period = "2025-12".parse().expect("a month");
        let filled = fill("/x/{period}?from={period_start}&to={period_end}", period);
        assert_eq!(filled, "/x/2025-12?from=2025-12-01&to=2026-01-01");
        assert!(names_month("a{period_end}") && !names_month("{month}"));
    }
}
