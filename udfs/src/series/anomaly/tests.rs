//! Series made by hand, where it is plain what must be flagged, and laws that hold for every series.

use super::{Accepted, Detector, DetectorOptions, Direction, Judgement, Kind, Method, Status};
use crate::series::{Calendar, Change, Frequency, PlannedChange, Recurrence};
use proptest::prelude::*;

/// 1 January 2025, a Wednesday, in days since 1970.
const NEW_YEAR: i32 = 20_089;
const DAYS: Calendar = Calendar { first: NEW_YEAR, frequency: Frequency::Day };
const HOURS: Calendar = Calendar { first: NEW_YEAR * 24, frequency: Frequency::Hour };

/// Noise between -1 and 1 that is the same on every run (a full-period generator of Knuth's).
/// No position is flagged.
const NONE: [usize; 0] = [];

fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    }
}

/// Days of 100 with noise of up to 6 %.
fn quiet(days: usize) -> Vec<f64> {
    let mut noise = noise(7);
    (0..days).map(|_| 100.0 + 6.0 * noise()).collect()
}

fn judge(values: &[f64]) -> Vec<Judgement> {
    judge_planned(values, &[])
}

fn judge_planned(values: &[f64], planned: &[PlannedChange]) -> Vec<Judgement> {
    let mut detector = Detector::new(&DetectorOptions::default(), DAYS);
    values.iter().map(|value| detector.advance(*value, planned, None)).collect()
}

fn flagged(judgements: &[Judgement]) -> Vec<usize> {
    (0..judgements.len()).filter(|at| judgements[*at].is_anomaly).collect()
}

#[test]
fn a_quiet_series_has_no_flags() {
    assert_eq!(flagged(&judge(&quiet(500))), NONE);
}

#[test]
fn a_spike_is_flagged_on_its_day_only() {
    let mut values = quiet(200);
    values[150] = 200.0;
    let judgements = judge(&values);
    assert_eq!(flagged(&judgements), [150]);
    let spike = judgements[150];
    assert_eq!((spike.kind, spike.direction), (Some(Kind::Spike), Direction::Up));
    assert!(spike.score > 5.0 && spike.probability > 0.999, "{spike:?}");
    assert!((94.0..106.0).contains(&spike.expected) && spike.upper < 200.0, "{spike:?}");
}

#[test]
fn a_day_of_nothing_is_missing_data_and_half_a_day_a_drop() {
    let mut values = quiet(220);
    values[150] = 0.0;
    values[190] = 50.0;
    let judgements = judge(&values);
    assert_eq!(flagged(&judgements), [150, 190]);
    assert_eq!((judgements[150].kind, judgements[150].direction), (Some(Kind::MissingData), Direction::Down));
    assert_eq!(judgements[190].kind, Some(Kind::Drop));
}

#[test]
fn a_level_shift_is_flagged_and_then_quiet() {
    let mut values = quiet(300);
    values[150..].iter_mut().for_each(|value| *value *= 1.6);
    let judgements = judge(&values);
    let flags = flagged(&judgements);
    assert_eq!(flags.first(), Some(&150));
    assert!(flags.iter().all(|at| *at < 157), "{flags:?}");
    assert!(flags.iter().any(|at| judgements[*at].kind == Some(Kind::LevelShift)), "{flags:?}");
    // Until it is usual, it is told beside the level before: for four weeks after the day on which it was seen to have moved.
    let moved = flags.iter().rfind(|at| judgements[**at].kind == Some(Kind::LevelShift)).expect("a shift");
    let lasting: Vec<usize> = (0..300).filter(|at| judgements[*at].is_lasting).collect();
    assert_eq!(lasting, (moved + 1..=moved + 28).collect::<Vec<_>>());
    for at in lasting {
        let Judgement { baseline, expected, .. } = judgements[at];
        assert!((94.0..106.0).contains(&baseline) && (120.0..172.0).contains(&expected), "{at}: {:?}", judgements[at]);
    }
    // The new level is expected two weeks later.
    assert!((150.0..170.0).contains(&judgements[170].expected), "{:?}", judgements[170]);
}

#[test]
fn a_level_that_returns_is_no_longer_told_beside_the_one_before() {
    let mut values = quiet(300);
    values[150..165].iter_mut().for_each(|value| *value *= 1.6);
    let judgements = judge(&values);
    assert!(judgements[164].is_lasting);
    assert!((170..300).all(|at| !judgements[at].is_lasting), "{:?}", &judgements[165..172]);
}

#[test]
fn a_leak_is_as_large_as_it_has_become() {
    // 1.5 % of the first level more each day, for fifty days: no day is far from the one before.
    let mut values = quiet(220);
    for (more, value) in (1..).zip(&mut values[150..200]) {
        *value += 1.5 * f64::from(more);
    }
    values[200..].iter_mut().for_each(|value| *value += 75.0);
    let options = DetectorOptions { min_impact: 10.0, min_impact_pct: 0.12, ..DetectorOptions::default() };
    let mut detector = Detector::new(&options, DAYS);
    let judgements: Vec<Judgement> = values.iter().map(|value| detector.advance(*value, &[], None)).collect();
    let flags = flagged(&judgements);
    let first = *flags.first().expect("a leak is found");
    assert!((150..200).contains(&first), "{flags:?}");
    assert!(matches!(judgements[first].kind, Some(Kind::Growth | Kind::LevelShift)), "{:?}", judgements[first]);
    // Told beside what was before the four weeks in which it was noticed, if not before all of it.
    let Judgement { baseline, expected, .. } = judgements[first];
    assert!((90.0..125.0).contains(&baseline) && baseline < expected, "{:?}", judgements[first]);
    assert!((first + 1..first + 14).all(|at| judgements[at].is_lasting || judgements[at].is_anomaly), "{flags:?}");
}

#[test]
fn a_new_service_is_told_beside_nothing() {
    let mut values = vec![0.0; 40];
    values.extend(quiet(60));
    let judgements = judge(&values);
    assert_eq!(flagged(&judgements).first(), Some(&40));
    assert_eq!(judgements[40].kind, Some(Kind::NewService));
    assert!((41..=68).all(|at| judgements[at].is_lasting && judgements[at].baseline == 0.0), "{:?}", judgements[68]);
    assert!(!judgements[69].is_lasting);
}

#[test]
fn a_spike_of_three_days_is_not_followed_by_a_drop() {
    let mut values = quiet(200);
    values[150..153].iter_mut().for_each(|value| *value = 250.0);
    let flags = flagged(&judge(&values));
    assert_eq!(flags.first(), Some(&150));
    assert!(flags.iter().all(|at| (150..153).contains(at)), "{flags:?}");
}

#[test]
fn a_weekday_pattern_is_no_anomaly_but_a_busy_weekend_is() {
    let mut values = quiet(300);
    // 1 January 2025 is a Wednesday: days 3 and 4 are the weekend.
    (0..300).filter(|day| matches!(day % 7, 3 | 4)).for_each(|day| values[day] *= 0.3);
    assert_eq!(flagged(&judge(&values)), NONE);
    values[150] = 100.0; // 150 = 21 * 7 + 3, a Saturday
    assert_eq!(flagged(&judge(&values)), [150]);
}

#[test]
fn a_month_end_run_is_expected_from_the_third_month_on() {
    let mut values = quiet(365);
    let is_last = |day: usize| DAYS.day_of_month(day).0 == 0;
    (0..365).filter(|day| is_last(*day)).for_each(|day| values[day] *= 2.5);
    let judgements = judge(&values);
    // The last days of January to April are days 30, 58, 89 and 119.
    assert!(flagged(&judgements).iter().all(|at| [30, 58].contains(at)), "{:?}", flagged(&judgements));
    assert!((200.0..300.0).contains(&judgements[119].expected), "{:?}", judgements[119]);
    // A run that does not come is no incident, one four times as large is.
    values[211] = 100.0;
    values[272] = 1_000.0;
    let flags: Vec<usize> = flagged(&judge(&values)).into_iter().filter(|at| *at > 119).collect();
    assert_eq!(flags, [272]);
}

#[test]
fn a_credit_is_neither_flagged_nor_learned() {
    let mut values = quiet(200);
    let plain = judge(&values);
    values[150] = -400.0;
    let judgements = judge(&values);
    assert_eq!(flagged(&judgements), NONE);
    assert_eq!(judgements[150].status, Status::Credit);
    assert!((judgements[151].expected - plain[151].expected).abs() < 2.0);
}

#[test]
fn a_planned_step_is_not_flagged_and_one_that_does_not_come_is() {
    let plan = |from| PlannedChange { from, until: None, change: Change::Percent(0.8), recurs: None };
    let mut values = quiet(300);
    values[150..].iter_mut().for_each(|value| *value *= 1.8);
    assert_eq!(flagged(&judge_planned(&values, &[plan(150)])), NONE);
    assert_eq!(flagged(&judge(&values)).first(), Some(&150));

    let did_not_come = judge_planned(&quiet(300), &[plan(150)]);
    let flags = flagged(&did_not_come);
    assert_eq!(flags.first(), Some(&150));
    assert_eq!(did_not_come[150].direction, Direction::Down);
    assert!(flags.iter().all(|at| *at < 160), "{flags:?}");

    // It comes ten days late: said once, not twice.
    values[150..160].iter_mut().for_each(|value| *value /= 1.8);
    assert!(flagged(&judge_planned(&values, &[plan(150)])).iter().all(|at| *at < 160));
}

#[test]
fn planned_changes_of_every_kind_begin_and_end() {
    let changes = [(Change::Percent(0.5), 150.0), (Change::Amount(70.0), 170.0), (Change::Set(40.0), 40.0)];
    for (change, level) in changes {
        let mut values = quiet(300);
        values[150..220].iter_mut().for_each(|value| *value *= level / 100.0);
        let plan = PlannedChange { from: 150, until: Some(220), change, recurs: None };
        let judgements = judge_planned(&values, &[plan]);
        assert_eq!(flagged(&judgements), NONE, "{change:?}");
        assert!((judgements[150].expected / level - 1.0).abs() < 0.06, "{change:?} {:?}", judgements[150]);
        assert!((judgements[220].expected / 100.0 - 1.0).abs() < 0.06, "{change:?} {:?}", judgements[220]);
    }
}

#[test]
fn the_like_of_what_was_planned_and_recurs_is_not_flagged() {
    // A batch of 80 % more on 10 June 2025 (day 160), on 10 July (190) and on 20 August (231): it was planned for the first.
    let mut values = quiet(300);
    for at in [160, 190, 231] {
        values[at] *= 1.8;
    }
    let after = |change, recurs| {
        let plan = PlannedChange { from: 160, until: Some(161), change, recurs };
        flagged(&judge_planned(&values, &[plan]))
    };
    for change in [Change::Amount(80.0), Change::Percent(0.8), Change::Set(180.0)] {
        assert_eq!(after(change, None), [190, 231], "{change:?}");
        assert_eq!(after(change, Some(Recurrence::SameMonthDay)), [231], "{change:?}");
        assert_eq!(after(change, Some(Recurrence::Always)), NONE, "{change:?}");
    }
}

#[test]
fn a_slow_leak_is_flagged_while_it_leaks() {
    let mut values = quiet(300);
    // 1.5 % of the level more every day: no day is 20 % above the day before.
    (150..200).for_each(|day| values[day] *= 1.0 + 0.015 * (day - 149) as f64);
    (200..300).for_each(|day| values[day] *= 1.75);
    let flags = flagged(&judge(&values));
    assert!(flags.first().is_some_and(|first| (151..185).contains(first)), "{flags:?}");
}

#[test]
fn a_service_that_appears_is_new_without_a_scale() {
    let mut values = vec![0.0; 60];
    values.extend(quiet(100));
    let judgements = judge(&values);
    assert!(judgements[..60].iter().all(|judged| judged.status == Status::AllZero && judged.expected == 0.0));
    assert_eq!(flagged(&judgements), [60]);
    assert_eq!(judgements[60].kind, Some(Kind::NewService));
    // The first value sets no scale: the score is the same however large it is.
    values[60] = 1e6;
    assert_eq!(judge(&values)[60].score, judgements[60].score);
}

#[test]
fn a_sparse_series_is_judged_on_its_busy_days() {
    let mut noise = noise(3);
    let mut values: Vec<f64> = (0..400).map(|_| if noise() > 0.3 { 50.0 + 10.0 * noise() } else { 0.0 }).collect();
    assert_eq!(flagged(&judge(&values)), NONE);
    values[300] = 400.0;
    assert_eq!(flagged(&judge(&values)), [300]);
}

#[test]
fn a_series_of_credits_is_judged_in_the_mirror() {
    let mut values: Vec<f64> = quiet(200).iter().map(|value| -value).collect();
    values[150] = -200.0;
    let judgements = judge(&values);
    assert_eq!(flagged(&judgements), [150]);
    let judged = judgements[150];
    assert_eq!((judged.kind, judged.direction), (Some(Kind::Drop), Direction::Down));
    assert!(judged.lower < judged.expected && judged.expected < judged.upper && judged.upper <= 0.0, "{judged:?}");
}

#[test]
fn missing_values_are_told_and_leave_the_rest_as_it_was() {
    let mut values = quiet(200);
    for gap in [20, 100, 101, 102, 150] {
        values[gap] = f64::NAN;
    }
    values[160] = f64::INFINITY;
    let judgements = judge(&values);
    assert_eq!(flagged(&judgements), NONE);
    assert!([100, 150, 160].iter().all(|at| judgements[*at].status == Status::MissingValue));
    assert_eq!(judgements[10].status, Status::ShortHistory);
    assert!(judgements[10].expected.is_nan());
}

#[test]
fn the_first_holiday_of_a_kind_is_learned_and_the_second_expected() {
    let mut values = quiet(500);
    (values[100], values[300], values[400]) = (20.0, 20.0, 20.0);
    let mut detector = Detector::new(&DetectorOptions::default(), DAYS);
    let holiday = |day: usize| (day == 100 || day == 300).then_some(4);
    let judgements: Vec<Judgement> = (0..500).map(|day| detector.advance(values[day], &[], holiday(day))).collect();
    assert_eq!(judgements[100].status, Status::FirstHoliday);
    assert!((judgements[300].expected - 20.0).abs() < 5.0, "{:?}", judgements[300]);
    assert_eq!(flagged(&judgements), [400]);
}

#[test]
fn what_users_expect_is_not_flagged_again() {
    let mut values = quiet(400);
    // 4 June, 4 July and 5 September; then more than a quarter larger; then a drop.
    (values[154], values[184], values[247]) = (200.0, 200.0, 210.0);
    (values[300], values[350]) = (400.0, 20.0);
    assert_eq!(flagged(&judge(&values)), [154, 184, 247, 300, 350]);
    let after = |recurrence| {
        let mut detector = Detector::new(&DetectorOptions::default(), DAYS);
        let mut judgements = Vec::new();
        for (day, value) in values.iter().enumerate() {
            judgements.push(detector.advance(*value, &[], None));
            if day == 154 {
                let (kind, direction, magnitude) = (Kind::Spike, Direction::Up, 1.0);
                detector.learn_expected(&Accepted { position: 154, kind, direction, magnitude, recurrence });
            }
        }
        flagged(&judgements)
    };
    assert_eq!(after(Recurrence::Always), [154, 300, 350]);
    assert_eq!(after(Recurrence::SameMonthDay), [154, 247, 300, 350]);
    // 4 June 2025 is a Wednesday, the others are Fridays.
    assert_eq!(after(Recurrence::SamePhase), [154, 184, 247, 300, 350]);
}

#[test]
fn small_impacts_are_not_flagged_where_the_caller_says_so() {
    let mut values = quiet(200);
    values[150] = 160.0;
    let flags = |options: DetectorOptions| {
        let mut detector = Detector::new(&options, DAYS);
        let judgements: Vec<Judgement> = values.iter().map(|value| detector.advance(*value, &[], None)).collect();
        flagged(&judgements)
    };
    let default = DetectorOptions::default();
    assert_eq!(flags(default), [150]);
    assert_eq!(flags(DetectorOptions { min_impact: 50.0, ..default }), [150]);
    assert_eq!(flags(DetectorOptions { min_impact: 80.0, ..default }), NONE);
    assert_eq!(flags(DetectorOptions { min_impact_pct: 0.8, ..default }), NONE);
    assert_eq!(flags(DetectorOptions { anomaly_prob_threshold: 1.0, ..default }), NONE);
}

#[test]
fn hours_are_judged_by_three_scores() {
    let mut noise = noise(11);
    let day = |hour: usize| if (8..18).contains(&(hour % 24)) { 50.0 } else { 20.0 };
    let mut values: Vec<f64> = (0..24 * 30).map(|hour| day(hour) + 4.0 * noise()).collect();
    values[500] = 200.0;
    let mut detector = Detector::new(&DetectorOptions::default(), HOURS);
    let judgements: Vec<Judgement> = values.iter().map(|value| detector.advance(*value, &[], None)).collect();
    assert_eq!(flagged(&judgements), [500]);
    assert!(judgements[500].upper < 200.0, "{:?}", judgements[500]);
    assert_eq!(judgements[5].status, Status::ShortHistory);
}

#[test]
fn a_detector_can_be_used_for_the_next_series() {
    let (first, second) = (quiet(120), quiet(90));
    let mut used = Detector::new(&DetectorOptions::default(), HOURS);
    first.iter().for_each(|value| assert!(!used.advance(*value, &[], None).is_anomaly));
    used.reset(DAYS);
    let again: Vec<Judgement> = second.iter().map(|value| used.advance(*value, &[], None)).collect();
    assert_eq!(format!("{again:?}"), format!("{:?}", judge(&second)));
}

#[test]
fn the_stored_form_is_small_and_refuses_what_it_does_not_know() {
    for calendar in [DAYS, HOURS] {
        let mut bytes = Vec::new();
        Detector::new(&DetectorOptions::default(), calendar).to_bytes(&mut bytes);
        assert!(bytes.len() <= 2_048, "{}", bytes.len());
        assert!(Detector::from_bytes(&bytes).is_some());
        assert!(Detector::from_bytes(&bytes[..bytes.len() - 1]).is_none());
        bytes[0] += 1;
        assert!(Detector::from_bytes(&bytes).is_none());
    }
}

/// Series that look like cost: a level, a weekend, noise, and now and then something else.
fn series() -> impl Strategy<Value = Vec<f64>> {
    let other = prop_oneof![Just(0.0), Just(f64::NAN), 0.0..5_000.0_f64, -500.0..0.0_f64];
    let day = prop_oneof![12 => (80.0..120.0_f64).boxed(), 1 => other.boxed()];
    (proptest::collection::vec(day, 1..400), 0.0..1.0_f64).prop_map(|(mut values, weekend)| {
        values
            .iter_mut()
            .enumerate()
            .filter(|(day, _)| matches!(day % 7, 3 | 4))
            .for_each(|(_, value)| *value *= weekend);
        values
    })
}

fn methods() -> impl Strategy<Value = Method> {
    prop_oneof![Just(Method::Cost), Just(Method::Gm3)]
}

fn run(detector: &mut Detector, values: &[f64]) -> Vec<Judgement> {
    run_from(detector, 0, values)
}

fn run_from(detector: &mut Detector, first: usize, values: &[f64]) -> Vec<Judgement> {
    let planned = [PlannedChange { from: 60, until: Some(200), change: Change::Percent(0.4), recurs: None }];
    let holiday = |at: usize| (at % 90 == 89).then_some(1);
    (first..).zip(values).map(|(at, value)| detector.advance(*value, &planned, holiday(at))).collect()
}

/// The bits of a judgement, as NaN is not equal to itself.
fn bits(judgements: &[Judgement]) -> Vec<String> {
    judgements.iter().map(|judged| format!("{judged:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_comes_later_changes_nothing(values in series(), cut in 0.0..1.0_f64, method in methods()) {
        let options = DetectorOptions { method, ..DetectorOptions::default() };
        let kept = values.iter().enumerate().filter(|(at, _)| (*at as f64) < cut * values.len() as f64).count();
        let whole = run(&mut Detector::new(&options, DAYS), &values);
        let part = run(&mut Detector::new(&options, DAYS), &values[..kept]);
        prop_assert_eq!(bits(&whole[..kept]), bits(&part));
    }

    #[test]
    fn a_stored_state_goes_on_as_if_never_stored(values in series(), cut in 0.0..1.0_f64, method in methods()) {
        let options = DetectorOptions { method, ..DetectorOptions::default() };
        let kept = values.iter().enumerate().filter(|(at, _)| (*at as f64) < cut * values.len() as f64).count();
        let mut whole = Detector::new(&options, DAYS);
        let mut before = Detector::new(&options, DAYS);
        let expected = run(&mut whole, &values);
        run(&mut before, &values[..kept]);
        let mut bytes = Vec::new();
        before.to_bytes(&mut bytes);
        let mut after = Detector::from_bytes(&bytes).expect("it was just stored");
        prop_assert_eq!(bits(&expected[kept..]), bits(&run_from(&mut after, kept, &values[kept..])));
    }

    #[test]
    fn the_unit_of_money_changes_no_flag(values in series(), power in -20..20_i32, method in methods()) {
        let options = DetectorOptions { method, ..DetectorOptions::default() };
        let unit = 2.0_f64.powi(power);
        let scaled: Vec<f64> = values.iter().map(|value| value * unit).collect();
        let plain = run(&mut Detector::new(&options, DAYS), &values);
        let other = run(&mut Detector::new(&options, DAYS), &scaled);
        let back: Vec<Judgement> = other
            .iter()
            .map(|judged| Judgement {
                expected: judged.expected / unit,
                baseline: judged.baseline / unit,
                lower: judged.lower / unit,
                upper: judged.upper / unit,
                ..*judged
            })
            .collect();
        prop_assert_eq!(bits(&plain), bits(&back));
    }

    #[test]
    fn a_lower_threshold_flags_no_less(values in series(), method in methods()) {
        let flags = |anomaly_prob_threshold| {
            let options = DetectorOptions { method, anomaly_prob_threshold, ..DetectorOptions::default() };
            flagged(&run(&mut Detector::new(&options, DAYS), &values))
        };
        let (many, few) = (flags(0.99), flags(0.9999));
        prop_assert!(few.iter().all(|at| many.contains(at)), "{:?} {:?}", many, few);
    }

    #[test]
    fn no_numbers_break_it(values in proptest::collection::vec(any::<f64>(), 0..200), share in any::<f64>(), method in methods()) {
        let options = DetectorOptions { method, ..DetectorOptions::default() };
        let mut detector = Detector::new(&options, DAYS);
        let changes = [Change::Percent(share), Change::Amount(share), Change::Set(share)];
        for (at, value) in values.iter().enumerate() {
            let change = changes[at % 3];
            let from = i64::try_from(at).expect("a small number");
            let planned = [PlannedChange { from, until: Some(from + 5), change, recurs: None }];
            let judged = detector.advance(*value, &planned, None);
            prop_assert!(judged.score >= 0.0 && (0.0..=1.0).contains(&judged.probability), "{:?}", judged);
        }
    }

    #[test]
    fn no_bytes_break_it(mut noise in proptest::collection::vec(any::<u8>(), 64), at in 0..2_000_usize, values in series()) {
        let mut bytes = Vec::new();
        let mut detector = Detector::new(&DetectorOptions::default(), DAYS);
        run(&mut detector, &values);
        detector.to_bytes(&mut bytes);
        let at = at.min(bytes.len() - noise.len());
        bytes[at..at + noise.len()].swap_with_slice(&mut noise);
        if let Some(mut damaged) = Detector::from_bytes(&bytes) {
            run(&mut damaged, &values);
        }
    }
}
