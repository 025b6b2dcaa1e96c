//! Behaviour of the forecaster as a whole.

use super::{Forecast, ForecastOptions, Forecaster, Holiday, Status};
use crate::series::{Calendar, Change, Frequency, PlannedChange};
use proptest::prelude::*;

/// 2025-01-01 is a Wednesday, 20,089 days after 1970-01-01.
const DAYS: Calendar = Calendar { first: 20_089, frequency: Frequency::Day };

const HORIZON: usize = 14;

fn options() -> ForecastOptions {
    ForecastOptions::new(HORIZON, Frequency::Day)
}

fn forecast(values: &[f64], planned: &[PlannedChange]) -> Forecast {
    Forecaster::new(&options()).forecast(&DAYS, values, planned, &[]).clone()
}

fn change(from: i64, until: Option<i64>, change: Change) -> PlannedChange {
    PlannedChange { from, until, change, recurs: None }
}

fn assert_close(actual: &[f64], expected: &[f64]) {
    assert_eq!(actual.len(), expected.len());
    for (lead, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let tolerance = 1e-9 * expected.abs().max(1e-9);
        assert!((actual - expected).abs() <= tolerance, "lead {}: {actual}, expected {expected}", lead + 1);
    }
}

/// A week of 8, 10, 12, 11, 9, 4, 2, repeated.
fn weeks(rows: usize) -> Vec<f64> {
    [8.0, 10.0, 12.0, 11.0, 9.0, 4.0, 2.0].into_iter().cycle().take(rows).collect()
}

#[test]
fn a_constant_series_stays() {
    let made = forecast(&[12.5; 60], &[]);
    assert_close(&made.value, &[12.5; HORIZON]);
    assert_close(&made.mean, &[12.5; HORIZON]);
    assert_close(&made.lower, &[12.5; HORIZON]);
    assert_close(&made.upper, &[12.5; HORIZON]);
    assert_eq!((made.method, made.status), ("combination", Status::Fine));
}

#[test]
fn a_weekly_pattern_repeats_from_where_it_stands() {
    // 200 rows are 28 weeks and 4 days: the horizon begins with the fifth day of the pattern.
    let made = forecast(&weeks(200), &[]);
    assert_close(&made.value, &weeks(200 + HORIZON)[200..]);
}

#[test]
fn few_values_give_their_mean_and_fewer_nothing() {
    let made = forecast(&[1.0, 2.0, f64::NAN, 6.0], &[]);
    assert_close(&made.value, &[3.0; HORIZON]);
    assert!(made.lower[0] < 1.0 && made.upper[0] > 6.0);
    assert_eq!((made.method, made.status), ("mean", Status::ShortHistory));
    let made = forecast(&[1.0, 2.0], &[]);
    assert!(made.value.iter().chain(&made.lower).chain(&made.upper).all(|value| value.is_nan()));
    assert_eq!((made.method, made.status), ("none", Status::ShortHistory));
}

#[test]
fn nothing_known_is_said_so() {
    for values in [&[][..], &[f64::NAN; 40], &[f64::INFINITY; 40]] {
        let made = forecast(values, &[]);
        assert_eq!(made.status.as_str(), "no_data");
        assert_eq!(made.value.len(), HORIZON);
        assert!(made.value.iter().all(|value| value.is_nan()));
    }
}

#[test]
fn all_zero_stays_zero_and_is_said_so() {
    for rows in [5, 100] {
        let made = forecast(&vec![0.0; rows], &[]);
        assert_eq!(made.status.as_str(), "all_zero");
        assert_eq!(made.value, [0.0; HORIZON]);
        assert_eq!(made.upper, [0.0; HORIZON]);
    }
}

#[test]
fn old_values_are_forecast_from_and_said_so() {
    let mut values = weeks(100);
    values[80..].fill(f64::NAN);
    let made = forecast(&values, &[]);
    assert_eq!(made.status.as_str(), "no_recent_data");
    assert_close(&made.value, &weeks(100 + HORIZON)[100..]);
}

#[test]
fn gaps_do_not_disturb_a_pattern() {
    let mut values = weeks(150);
    for gap in [20, 21, 22, 63, 64, 149] {
        values[gap] = f64::NAN;
    }
    assert_close(&forecast(&values, &[]).value, &weeks(150 + HORIZON)[150..]);
}

#[test]
fn a_closed_weekday_is_exactly_zero() {
    // Noise of a few per cent on every other day; the sixth of seven days is zero.
    let values: Vec<f64> =
        (0..210u32).map(|day| if day % 7 == 5 { 0.0 } else { 50.0 + f64::from(day * 7919 % 13) }).collect();
    let made = forecast(&values, &[]);
    for (lead, value) in made.value.iter().enumerate() {
        assert_eq!(*value == 0.0, lead % 7 == 5, "lead {}", lead + 1);
        assert_eq!(made.upper[lead] == 0.0, lead % 7 == 5);
    }
}

#[test]
fn an_order_now_and_then_has_median_zero_and_a_mean_above() {
    // 30 every third day: 10 a day. On a season of 7 every weekday is zero two times of three.
    let values: Vec<f64> = (0..210).map(|day| if day % 3 == 0 { 30.0 } else { 0.0 }).collect();
    let made = forecast(&values, &[]);
    assert_eq!(made.value, [0.0; HORIZON]);
    let total: f64 = made.mean.iter().sum();
    assert!((100.0..180.0).contains(&total), "about 140, not {total}");
}

#[test]
fn one_credit_does_not_become_the_forecast() {
    let mut values = weeks(150);
    values[140] = -400.0;
    assert_close(&forecast(&values, &[]).value[..1], &weeks(151)[150..]);
}

#[test]
fn a_planned_rise_raises_the_forecast_by_that() {
    let values = weeks(150);
    let plain = forecast(&values, &[]);
    let made = forecast(&values, &[change(153, None, Change::Percent(0.2))]);
    let expected: Vec<f64> =
        plain.value.iter().enumerate().map(|(lead, value)| if lead < 3 { *value } else { value * 1.2 }).collect();
    assert_close(&made.value, &expected);
    assert_close(&made.baseline, &plain.value);
}

#[test]
fn a_planned_amount_is_added_while_it_lasts() {
    let values = weeks(150);
    let plain = forecast(&values, &[]);
    let made = forecast(&values, &[change(151, Some(153), Change::Amount(5.0))]);
    let expected: Vec<f64> = plain
        .value
        .iter()
        .enumerate()
        .map(|(lead, value)| value + if lead == 1 || lead == 2 { 5.0 } else { 0.0 })
        .collect();
    assert_close(&made.value, &expected);
}

#[test]
fn a_planned_level_is_the_forecast() {
    let made = forecast(&weeks(150), &[change(152, None, Change::Set(7.25))]);
    assert_close(&made.value[2..], &[7.25; HORIZON - 2]);
    assert!(made.baseline[2..].iter().all(|value| (value - 7.25).abs() > 0.1));
}

#[test]
fn a_planned_end_is_zero_for_certain() {
    let values: Vec<f64> = (0..150u32).map(|day| 50.0 + f64::from(day * 7919 % 13)).collect();
    let made = forecast(&values, &[change(150, None, Change::Percent(-1.0))]);
    assert_eq!((&made.value[..], &made.lower[..], &made.upper[..]), (&[0.0; 14][..], &[0.0; 14][..], &[0.0; 14][..]));
}

#[test]
fn a_known_step_in_the_history_is_no_trend() {
    // 10 until day 140, then 15 as planned: forecast at once as 15, as if it had always been.
    let mut values = vec![10.0; 150];
    values[140..].fill(15.0);
    for step in [Change::Percent(0.5), Change::Amount(5.0), Change::Set(15.0)] {
        assert_close(&forecast(&values, &[change(140, None, step)]).value, &[15.0; HORIZON]);
    }
}

#[test]
fn a_change_for_a_time_ends_in_the_horizon() {
    // A campaign doubles days 140 to 154: the first 5 of the forecast, then the level is 10 again.
    let mut values = vec![10.0; 150];
    values[140..].fill(20.0);
    let made = forecast(&values, &[change(140, Some(155), Change::Percent(1.0))]);
    assert_close(&made.value[..5], &[20.0; 5]);
    assert_close(&made.value[5..], &[10.0; HORIZON - 5]);
}

#[test]
fn a_month_end_run_returns() {
    // 2025-01-01 + 150 days is 31 May, the first row of the horizon; 31 January to 30 April lie at 30, 58, 89, 119.
    let mut values = vec![10.0; 150];
    for last_day in [30, 58, 89, 119] {
        values[last_day] = 40.0;
    }
    let made = forecast(&values, &[]);
    assert_close(&made.value[..1], &[40.0]);
    assert_close(&made.value[1..], &[10.0; HORIZON - 1]);
}

#[test]
fn a_holiday_is_known_from_the_one_before() {
    let mut values = weeks(150);
    values[100] = 0.0;
    let holidays = [Holiday { position: 100, kind: 7 }, Holiday { position: 155, kind: 7 }];
    let made = Forecaster::new(&options()).forecast(&DAYS, &values, &[], &holidays).clone();
    let mut expected = weeks(150 + HORIZON)[150..].to_vec();
    expected[5] = 0.0;
    assert_close(&made.value, &expected);
}

#[test]
fn too_large_numbers_are_said_so() {
    let made = forecast(&[f64::MAX; 40], &[change(40, None, Change::Percent(1.0))]);
    assert_eq!(made.status.as_str(), "out_of_range");
    assert!(made.value.iter().all(|value| value.is_nan()));
}

#[test]
fn one_series_tells_nothing_about_the_next() {
    let mut forecaster = Forecaster::new(&options());
    let noise: Vec<f64> = (0..500u32).map(|day| f64::from(day * 7919 % 1009)).collect();
    let first = forecaster.forecast(&DAYS, &weeks(90), &[], &[]).clone();
    forecaster.forecast(&DAYS, &noise, &[change(3, None, Change::Set(4.0))], &[Holiday { position: 9, kind: 1 }]);
    assert_eq!(*forecaster.forecast(&DAYS, &weeks(90), &[], &[]), first);
}

/// Amounts as they come, and as they should not.
fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -1e3..1e3f64,
        2 => Just(0.0),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -1e300, 1e300, f64::MAX, f64::MIN_POSITIVE, 5e-324]),
    ]
}

fn any_change() -> impl Strategy<Value = PlannedChange> {
    let kind = (0..3u8, any_value()).prop_map(|(kind, size)| match kind {
        0 => Change::Percent(size),
        1 => Change::Amount(size),
        _ => Change::Set(size),
    });
    (any::<i8>(), prop::option::of(any::<i16>()), kind).prop_map(|(from, until, kind)| PlannedChange {
        from: i64::from(from),
        until: until.map(i64::from),
        change: kind,
        recurs: None,
    })
}

/// Positive amounts with a week and noise, 20 to 420 of them.
fn usual_series() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.5..2.0f64, 20..420)
        .prop_map(|noise| noise.iter().zip(weeks(420)).map(|(noise, level)| noise * level).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_comes_is_answered(
        values in prop::collection::vec(any_value(), 0..460),
        planned in prop::collection::vec(any_change(), 0..4),
        holidays in prop::collection::vec((0..500usize, 0..3u32), 0..5),
        frequency in prop::sample::select(vec![Frequency::Hour, Frequency::Day, Frequency::Week, Frequency::Month]),
        season in 0..60usize,
        horizon in 0..40usize,
    ) {
        let options = ForecastOptions { season, ..ForecastOptions::new(horizon, frequency) };
        let holidays: Vec<Holiday> =
            holidays.iter().map(|(position, kind)| Holiday { position: *position, kind: *kind }).collect();
        let mut forecaster = Forecaster::new(&options);
        let made = forecaster.forecast(&Calendar { first: 20_089, frequency }, &values, &planned, &holidays).clone();
        for list in [&made.value, &made.mean, &made.baseline, &made.lower, &made.upper] {
            prop_assert_eq!(list.len(), horizon);
            prop_assert!(list.iter().all(|value| !value.is_infinite()));
        }
        for lead in 0..horizon {
            if made.value[lead].is_nan() {
                prop_assert!(made.status != Status::Fine);
            } else {
                prop_assert!(made.lower[lead] <= made.value[lead] && made.value[lead] <= made.upper[lead]);
            }
        }
    }

    #[test]
    fn a_wider_interval_holds_the_narrower(values in usual_series(), levels in (0.0..1.0f64, 0.0..1.0f64)) {
        let mut forecaster = Forecaster::new(&options());
        forecaster.forecast(&DAYS, &values, &[], &[]);
        let [mut low, mut high, mut lower, mut higher] = [const { Vec::new() }; 4];
        forecaster.interval(levels.0.min(levels.1), &mut low, &mut high);
        forecaster.interval(levels.0.max(levels.1), &mut lower, &mut higher);
        for lead in 0..HORIZON {
            prop_assert!(lower[lead] <= low[lead] && low[lead] <= high[lead] && high[lead] <= higher[lead]);
        }
    }

    #[test]
    fn another_currency_gives_the_same_forecast(values in usual_series(), power in -30..30i32, factor in 0.01..100.0f64) {
        let made = forecast(&values, &[]);
        let scaled = |by: f64| forecast(&values.iter().map(|value| value * by).collect::<Vec<_>>(), &[]);
        let exact = 2f64.powi(power);
        let doubled = scaled(exact);
        prop_assert_eq!(doubled.value, made.value.iter().map(|value| value * exact).collect::<Vec<_>>());
        prop_assert_eq!(doubled.upper, made.upper.iter().map(|value| value * exact).collect::<Vec<_>>());
        for (value, other) in made.value.iter().zip(&scaled(factor).value) {
            prop_assert!((value * factor - other).abs() <= 1e-6 * (value * factor).abs());
        }
    }

    #[test]
    fn never_negative_stays_so(values in prop::collection::vec(0.0..5.0f64, 0..200)) {
        let made = forecast(&values, &[]);
        prop_assert!(made.value.iter().chain(&made.lower).all(|value| value.is_nan() || *value >= 0.0));
    }

    #[test]
    fn a_percentage_is_that_much_more(values in usual_series(), share in -0.9..3.0f64) {
        let from = i64::try_from(values.len()).expect("short");
        let (plain, made) = (forecast(&values, &[]), forecast(&values, &[change(from, None, Change::Percent(share))]));
        for (value, planned) in plain.value.iter().zip(&made.value) {
            prop_assert!((value * (1.0 + share) - planned).abs() <= 1e-9 * planned.abs());
        }
        prop_assert_eq!(plain.value, made.baseline);
    }
}
