//! The series of every grouping set, made from those of all ids, and how they hang together.
//!
//! The first set is the finest: what is forecast of its series adds up to the series of *sums*, sets whose ids are all among its own
//! (services to their node, nodes to those above). A set that has other ids divides the same usage otherwise (accounts beside
//! services): its series are *shares* of what they have in common with the first set.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray, UInt32Array, new_null_array};
use arrow::compute::{can_cast_types, cast, concat, take};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::EmitTo;

use super::Function;
use super::gather::{POINT_BYTES, Points, SPAN_MAX, earlier, keys_of};
use super::known::Known;
use super::node::{Set, Shape};
use super::states::key_of;

/// Bytes of a series beside its ids and values, in all the lists that it is in.
const SERIES_BYTES: usize = 256;

/// A series and its number, which is its place among the keys.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) number: usize,
    pub(super) points: Points,
}

/// Series that are worked on together.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) series: Vec<Series>,
    /// What has its share of the series' forecasts.
    pub(super) shares: Vec<Series>,
}

/// All series of a statement.
#[derive(Debug)]
pub(super) struct AllSeries {
    /// The ids by the number of the series, a column each; then, where there are grouping sets, the number of the set.
    pub(super) keys: Vec<ArrayRef>,
    /// The ids as texts.
    pub(super) names: Vec<ArrayRef>,
    /// The sums to which a series of the first set counts, by numbers.
    pub(super) sums_of: Vec<Vec<usize>>,
    /// For each set of shares: the number of what a series of the first set, or of that set, has in common.
    pub(super) common_of: Vec<Vec<usize>>,
    /// Which set of shares a series is of, by number; 0 for others.
    pub(super) share_set: Vec<usize>,
    /// The first number of each grouping set, and the id in whose place parents stand.
    sets: Vec<(usize, Option<usize>)>,
    /// The last day that is known of every sum and share, in days since 1970.
    pub(super) known_until: i32,
}

/// What is to be done with all series.
#[derive(Debug)]
pub(super) struct Tasks {
    /// What each partition works on, in an order that does not depend on that of the rows.
    pub(super) parts: Vec<Vec<Unit>>,
    /// Sums of series of all partitions.
    pub(super) sums: Vec<Series>,
}

/// A grouping set: its series, and which of them each series of all ids is a part of.
struct Grouped {
    keys: Vec<ArrayRef>,
    /// Series of all ids and series of the set, by the first.
    parts: Vec<(usize, usize)>,
    count: usize,
}

impl AllSeries {
    /// Makes the series of all sets.
    ///
    /// # Errors
    /// `53200` when they do not fit in the memory of the statement.
    pub(super) fn of(
        (keys, points): (Vec<ArrayRef>, Vec<Points>),
        (shape, known): (&Shape, &Known),
        (function, partitions): (Function, usize),
        reservation: &MemoryReservation,
    ) -> Result<(Self, Tasks)> {
        let (keys, mut points) = in_order(&keys, points)?;
        reservation.try_grow(points.len() * SERIES_BYTES)?;
        let all = Set { ids: (0..shape.ids.len()).collect(), parents_of: None };
        let sets = if shape.sets.is_empty() { vec![all] } else { shape.sets.clone() };
        let fine = Fine { keys: &keys, names: texts(&keys)?, count: points.len(), shape, known };
        let grouped = sets.iter().map(|set| fine.grouped(set)).collect::<Result<Vec<_>>>()?;
        let mut starts = Vec::with_capacity(sets.len());
        let mut total = 0;
        for set in &grouped {
            starts.push(total);
            total += set.count;
        }
        if !shape.sets.is_empty() {
            sort(&mut points, partitions);
        }
        let mut series: Vec<Option<Series>> = Vec::new();
        series.resize_with(total, || None);
        // The first set is the largest: it takes what the others have read.
        for (set, start) in grouped.iter().zip(&starts).rev() {
            let takes = *start == 0;
            for (points, number) in merged(&mut points, set, takes).into_iter().zip(*start..) {
                if !takes {
                    reservation.try_grow(points.at.len() * POINT_BYTES)?;
                }
                series[number] = Some(Series { number, points });
            }
        }

        // What holds a series of all ids in the first set.
        let mut base_of = vec![0; fine.count];
        grouped[0].parts.iter().for_each(|(one, base)| base_of[*one] = *base);
        let first = &sets[0].ids;
        // Only forecasts add up: what is unusual of a sum is another question.
        let others = (1..sets.len()).filter(|_| function == Function::Forecast);
        let (sum_sets, share_sets): (Vec<usize>, Vec<usize>) = others.partition(|set| sets[*set].is_sum_of(&sets[0]));
        let mut sums_of: Vec<Vec<usize>> = vec![Vec::new(); grouped[0].count];
        let mut sums = Vec::new();
        for set in sum_sets {
            for (one, sum) in &grouped[set].parts {
                let (of, number) = (&mut sums_of[base_of[*one]], starts[set] + sum);
                if !of.contains(&number) {
                    of.push(number);
                }
            }
            sums.extend((starts[set]..starts[set] + grouped[set].count).filter_map(|number| series[number].take()));
        }

        let mut common_of = Vec::new();
        let mut share_set = vec![0; total];
        let mut together = first.clone();
        for (at, set) in share_sets.iter().enumerate() {
            let ids: Vec<usize> = sets[*set].ids.iter().copied().filter(|id| first.contains(id)).collect();
            together.retain(|id| ids.contains(id));
            let common = fine.grouped(&Set { ids, parents_of: None })?;
            let mut of = vec![0; total];
            for ((one, group), (_, share)) in common.parts.iter().zip(&grouped[*set].parts) {
                of[base_of[*one]] = *group;
                of[starts[*set] + share] = *group;
                share_set[starts[*set] + share] = at;
            }
            common_of.push(of);
        }
        let mut units: Vec<Unit> = Vec::new();
        if share_sets.is_empty() {
            units.extend(series.into_iter().flatten().map(|one| Unit { series: vec![one], shares: Vec::new() }));
        } else {
            let unit = fine.grouped(&Set { ids: together, parents_of: None })?;
            units.resize_with(unit.count, Unit::default);
            for (one, unit) in &unit.parts {
                units[*unit].series.extend(series[base_of[*one]].take());
                for set in &share_sets {
                    let share = grouped[*set].parts[*one].1;
                    units[*unit].shares.extend(series[starts[*set] + share].take());
                }
            }
        }
        let keys = together_keys(&grouped, shape)?;
        let names = texts(&keys[..shape.ids.len()])?;
        let bytes: usize = keys.iter().chain(&names).map(|column| column.get_array_memory_size()).sum();
        reservation.try_grow(bytes + total * SERIES_BYTES)?;
        let until = |series: &Series| {
            let ids = names_at(&names, series.number);
            earlier(series.points.as_of, known.complete_until(&ids)).or(series
                .points
                .at
                .last()
                .map(|at| shape.day_of(*at)))
        };
        let adapted = units.iter().flat_map(|unit| &unit.shares).chain(&sums);
        let known_until = adapted.filter_map(until).min().unwrap_or(i32::MAX);
        let sets = starts.iter().zip(&sets).map(|(start, set)| (*start, set.parents_of)).collect();
        let parts = match function {
            Function::Forecast => by_size(units, partitions),
            // What is remembered of a series lies in the file of its part.
            Function::DetectAnomalies => by_key(units, &names, partitions),
        };
        let all = Self { keys, names, sums_of, common_of, share_set, sets, known_until };
        Ok((all, Tasks { parts, sums }))
    }

    /// The number of the grouping set of a series, from 0, and the id of it that is a parent's.
    pub(super) fn set_of(&self, number: usize) -> (usize, Option<usize>) {
        let set = self.sets.partition_point(|(start, _)| *start <= number).saturating_sub(1);
        (set, self.sets.get(set).and_then(|(_, parents_of)| *parents_of))
    }
}

/// The series of all ids.
struct Fine<'a> {
    keys: &'a [ArrayRef],
    names: Vec<ArrayRef>,
    count: usize,
    shape: &'a Shape,
    known: &'a Known,
}

impl Fine<'_> {
    /// Groups them by some of their ids.
    fn grouped(&self, set: &Set) -> Result<Grouped> {
        let Some(mut values) = keys_of(&self.shape.ids)? else {
            let parts = (0..self.count).map(|one| (one, 0)).collect();
            return Ok(Grouped { keys: Vec::new(), parts, count: self.count.min(1) });
        };
        if set.ids.len() == self.keys.len() && set.parents_of.is_none() {
            let parts = (0..self.count).map(|one| (one, one)).collect();
            return Ok(Grouped { keys: self.keys.to_vec(), parts, count: self.count });
        }
        let column = |(id, key): (usize, &ArrayRef)| match set.ids.contains(&id) {
            true => Arc::clone(key),
            false => new_null_array(key.data_type(), key.len()),
        };
        let mut columns: Vec<ArrayRef> = self.keys.iter().enumerate().map(column).collect();
        let mut ones: Vec<usize> = (0..self.count).collect();
        if let Some(id) = set.parents_of {
            let names = self.names[id].as_string_view();
            let parents = ones.iter().flat_map(|one| {
                let name = names.is_valid(*one).then(|| names.value(*one));
                self.known.parents_of(id, name).iter().map(move |parent| (*one, parent.as_str()))
            });
            let (of, parents): (Vec<usize>, Vec<&str>) = parents.unzip();
            let places = of.iter().map(|one| u32::try_from(*one).unwrap_or(u32::MAX));
            let places = UInt32Array::from_iter_values(places);
            columns = columns.iter().map(|column| take(column, &places, None)).collect::<Result<_, _>>()?;
            columns[id] = cast(&StringViewArray::from_iter_values(parents), self.keys[id].data_type())?;
            ones = of;
        }
        let mut groups = Vec::new();
        values.intern(&columns, &mut groups)?;
        let count = values.len();
        Ok(Grouped { keys: values.emit(EmitTo::All)?, parts: ones.into_iter().zip(groups).collect(), count })
    }
}

/// The ids as texts; what cannot be one is null.
fn texts(keys: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let text = |key: &ArrayRef| match can_cast_types(key.data_type(), &DataType::Utf8View) {
        true => cast(key, &DataType::Utf8View),
        false => Ok(new_null_array(&DataType::Utf8View, key.len())),
    };
    Ok(keys.iter().map(text).collect::<Result<_, _>>()?)
}

/// The ids of a series.
pub(super) fn names_at(names: &[ArrayRef], number: usize) -> Vec<Option<String>> {
    let text = |column: &ArrayRef| {
        let column = column.as_string_view();
        column.is_valid(number).then(|| column.value(number).to_owned())
    };
    names.iter().map(text).collect()
}

/// The series in an order that does not depend on that of the rows.
fn in_order(keys: &[ArrayRef], points: Vec<Points>) -> Result<(Vec<ArrayRef>, Vec<Points>)> {
    let names = texts(keys)?;
    let hashed =
        points.into_iter().enumerate().map(|(number, points)| (key_of(&names_at(&names, number)), number, points));
    let mut sorted: Vec<(u128, usize, Points)> = hashed.collect();
    sorted.sort_by_key(|(hash, number, _)| (*hash, *number));
    let order = sorted.iter().map(|(_, number, _)| u32::try_from(*number).unwrap_or(u32::MAX));
    let order = UInt32Array::from_iter_values(order);
    let keys = keys.iter().map(|key| take(key, &order, None)).collect::<Result<_, _>>()?;
    Ok((keys, sorted.into_iter().map(|(_, _, points)| points).collect()))
}

/// Sorts series on several threads.
fn sort(points: &mut [Points], threads: usize) {
    let each = points.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        for part in points.chunks_mut(each) {
            scope.spawn(|| part.iter_mut().for_each(Points::sort));
        }
    });
}

/// The values of the series of a set, added up time by time. Those of all ids are sorted; where they are not needed any more, they
/// are taken.
fn merged(points: &mut [Points], set: &Grouped, takes: bool) -> Vec<Points> {
    let mut parts = set.parts.clone();
    parts.sort_by_key(|(one, group)| (*group, *one));
    let mut sum = Vec::new();
    let of_group = |parts: &[(usize, usize)]| match parts {
        [(only, _)] if takes => std::mem::take(&mut points[*only]),
        several => {
            let added = added_up(several.iter().map(|(one, _)| &points[*one]), &mut sum);
            if takes {
                several.iter().for_each(|(one, _)| points[*one] = Points::default());
            }
            added
        }
    };
    parts.chunk_by(|(_, one), (_, other)| one == other).map(of_group).collect()
}

/// Series added up time by time.
fn added_up<'a>(series: impl Iterator<Item = &'a Points> + Clone, sum: &mut Vec<f64>) -> Points {
    let length_max = i32::try_from(SPAN_MAX).unwrap_or(i32::MAX);
    let last = series.clone().filter_map(|one| one.at.last()).max().copied();
    let first = series.clone().filter_map(|one| one.at.first()).min().copied();
    let as_of = series.clone().filter_map(|one| one.as_of).min();
    let (Some(first), Some(last)) = (first, last) else { return Points { as_of, ..Points::default() } };
    let first = first.max(last.saturating_sub(length_max - 1));
    sum.clear();
    sum.resize(usize::try_from(i64::from(last) - i64::from(first) + 1).unwrap_or_default(), f64::NAN);
    for one in series {
        for (at, value) in one.at.iter().zip(&one.value) {
            let place = usize::try_from(i64::from(*at) - i64::from(first)).ok();
            if let Some(held) = place.and_then(|place| sum.get_mut(place)) {
                *held = if held.is_nan() { *value } else { *held + value };
            }
        }
    }
    let known = (first..).zip(sum.iter().copied()).filter(|(_, value)| !value.is_nan());
    let (at, value) = known.unzip();
    Points { at, value, as_of }
}

/// The keys of all sets' series, one set after the other, then the number of the set.
fn together_keys(grouped: &[Grouped], shape: &Shape) -> Result<Vec<ArrayRef>> {
    let column = |id: usize| {
        let columns: Vec<&dyn Array> = grouped.iter().map(|set| set.keys[id].as_ref()).collect();
        concat(&columns)
    };
    let mut keys = (0..shape.ids.len()).map(column).collect::<Result<Vec<_>, _>>()?;
    if !shape.sets.is_empty() {
        let numbers = grouped.iter().zip(1..).flat_map(|(set, number)| std::iter::repeat_n(number, set.count));
        keys.push(Arc::new(Int64Array::from_iter_values(numbers)));
    }
    Ok(keys)
}

/// Units for partitions: the largest first, to the one that has least.
fn by_size(mut units: Vec<Unit>, partitions: usize) -> Vec<Vec<Unit>> {
    let size = |unit: &Unit| unit.series.len() + unit.shares.len();
    units.sort_by_key(|unit| Reverse(size(unit)));
    let mut parts: Vec<Vec<Unit>> = (0..partitions).map(|_| Vec::new()).collect();
    let mut loads: BinaryHeap<_> = (0..partitions).map(|part| Reverse((0, part))).collect();
    for unit in units {
        let Some(Reverse((load, part))) = loads.pop() else { break };
        loads.push(Reverse((load + size(&unit), part)));
        parts[part].push(unit);
    }
    parts
}

/// Units of one series for partitions, each always for the same.
fn by_key(units: Vec<Unit>, names: &[ArrayRef], partitions: usize) -> Vec<Vec<Unit>> {
    let mut parts: Vec<Vec<Unit>> = (0..partitions).map(|_| Vec::new()).collect();
    let count = u128::try_from(partitions).unwrap_or(1);
    for unit in units {
        let number = unit.series.first().map_or(0, |series| series.number);
        let part = usize::try_from(key_of(&names_at(names, number)) % count).unwrap_or_default();
        parts[part].push(unit);
    }
    parts
}
