//! What is remembered of series from one statement to the next: how far a detector had come, and what it had found.
//!
//! A detector learns value by value, so one that has seen the days until yesterday needs today's only. Its state counts only for
//! the very values, planned changes and holidays that it has seen: what was restated is judged anew from its first day. States lie
//! in `DIR/series/`, apart for every node and role, and can be deleted at any time.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hasher as _;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use datafusion::execution::memory_pool::MemoryReservation;
use ratehouse_udfs::series::anomaly::{Detector, Direction, Judgement, Kind, Status};
use ratehouse_udfs::series::forecast::Holiday;
use ratehouse_udfs::series::{Calendar, Change, PlannedChange, Recurrence};
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use uuid::Uuid;

use crate::security::Principal;
use crate::warehouse::private_directory;

const FOLDER: &str = "series";
/// Bytes of one file; series beyond are not remembered.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// Bytes of all files; the oldest go.
const FOLDER_BYTES_MAX: u64 = 2 << 30;
/// Statuses of values by their stored numbers.
const STATUSES: [Status; 8] = [
    Status::Judged,
    Status::ShortHistory,
    Status::AllZero,
    Status::MissingValue,
    Status::Credit,
    Status::Idle,
    Status::FirstHoliday,
    Status::Settling,
];
/// Kinds of anomalies by their stored numbers, from 1.
const KINDS: [Kind; 6] = [Kind::Spike, Kind::Drop, Kind::LevelShift, Kind::Growth, Kind::NewService, Kind::MissingData];

/// Where the states of one node and role are kept.
#[derive(Debug, Clone)]
pub(in crate::session) struct States {
    folder: PathBuf,
    owner: String,
}

impl States {
    pub(in crate::session) fn new(warehouse: &Path, principal: &Principal) -> Self {
        Self { folder: warehouse.join(FOLDER), owner: format!("{}/{:?}", principal.node_id, principal.role) }
    }

    /// The states of one question: the function with all that was asked, and a part of the series.
    pub(super) fn of(&self, question: &str, part: (usize, usize), memory: &MemoryReservation) -> Remembered {
        let mut hasher = SipHasher13::new();
        for text in [env!("CARGO_PKG_VERSION"), &self.owner, question, &format!("{part:?}")] {
            write_text(&mut hasher, text);
        }
        let path = self.folder.join(format!("{:032x}.states", hasher.finish128().as_u128()));
        let size = std::fs::metadata(&path).map_or(0, |file| file.len());
        let memory = memory.new_empty();
        let fits = usize::try_from(size).is_ok_and(|size| memory.try_grow(size).is_ok());
        let bytes = if fits { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
        Remembered { entries: entries(&bytes), bytes, next: NewStates::begin(&self.folder, path), _memory: memory }
    }
}

/// What a series was asked: its ids.
pub(super) fn key_of(ids: &[Option<String>]) -> u128 {
    let mut hasher = SipHasher13::new();
    for id in ids {
        hasher.write_u8(u8::from(id.is_some()));
        write_text(&mut hasher, id.as_deref().unwrap_or_default());
    }
    hasher.finish128().as_u128()
}

fn write_text(hasher: &mut SipHasher13, text: &str) {
    hasher.write_usize(text.len());
    hasher.write(text.as_bytes());
}

/// All that a detector sees of a series.
pub(super) struct Seen<'a> {
    pub(super) calendar: &'a Calendar,
    pub(super) values: &'a [f64],
    pub(super) planned: &'a [PlannedChange],
    pub(super) holidays: &'a [Holiday],
}

impl Seen<'_> {
    /// A fingerprint of the first so many values, with what is known of them.
    fn fingerprint(&self, count: usize) -> u128 {
        let mut hasher = SipHasher13::new();
        hasher.write_i32(self.calendar.first);
        write_text(&mut hasher, self.calendar.frequency.as_str());
        for value in &self.values[..count] {
            hasher.write_u64(value.to_bits());
        }
        self.known(count, &mut hasher);
        hasher.finish128().as_u128()
    }

    fn known(&self, count: usize, hasher: &mut SipHasher13) {
        let is_seen = |position: i64| usize::try_from(position).is_ok_and(|position| position < count);
        let mut note = |what: u8, position: i64, kind: u32, value: f64| {
            hasher.write_u8(what);
            hasher.write_i64(position);
            hasher.write_u32(kind);
            hasher.write_u64(value.to_bits());
        };
        for plan in self.planned {
            let (kind, value) = match plan.change {
                Change::Percent(value) => (0, value),
                Change::Amount(value) => (1, value),
                Change::Set(value) => (2, value),
            };
            let ending = match plan.recurs {
                None => 2,
                Some(Recurrence::Always) => 4,
                Some(Recurrence::SamePhase) => 5,
                Some(Recurrence::SameMonthDay) => 6,
            };
            for (what, position) in [(1, Some(plan.from)), (ending, plan.until)] {
                if let Some(position) = position.filter(|position| is_seen(*position)) {
                    note(what, position, kind, value);
                }
            }
        }
        for holiday in self.holidays.iter().filter(|holiday| holiday.position < count) {
            note(3, i64::try_from(holiday.position).unwrap_or(i64::MAX), holiday.kind, 0.0);
        }
    }
}

/// A value that was flagged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flagged {
    pub(super) position: usize,
    pub(super) judgement: Judgement,
}

/// One stored series: where in the file what lies.
#[derive(Debug)]
struct Entry {
    fingerprint: u128,
    count: usize,
    /// All of it but its checksum, which is before.
    all: Range<usize>,
    state: Range<usize>,
    flagged: Range<usize>,
}

/// The states of one question, as the last statement left them, and as this one will.
pub(super) struct Remembered {
    bytes: Vec<u8>,
    entries: HashMap<u128, Entry>,
    next: NewStates,
    /// Of the bytes.
    _memory: MemoryReservation,
}

impl Remembered {
    /// Puts a detector where it was when the series was judged last, if what the series was then is still its beginning; gives how
    /// many values that were, and what was flagged.
    pub(super) fn resume(&self, key: u128, seen: &Seen<'_>, detector: &mut Detector) -> Option<(usize, Vec<Flagged>)> {
        let entry = self.entries.get(&key).filter(|entry| entry.count <= seen.values.len())?;
        let stored = self.bytes[entry.all.start - CHECK_BYTES..].first_chunk()?;
        if seen.fingerprint(entry.count) != entry.fingerprint || *stored != check_of(&self.bytes[entry.all.clone()]) {
            return None;
        }
        let flagged = self.bytes[entry.flagged.clone()].chunks_exact(FLAGGED_BYTES).map(read_flagged);
        let flagged = flagged.collect::<Option<_>>()?;
        *detector = Detector::from_bytes(&self.bytes[entry.state.clone()])?;
        Some((entry.count, flagged))
    }

    /// Keeps how far the series has come.
    pub(super) fn keep(&mut self, key: u128, seen: &Seen<'_>, detector: &Detector, flagged: &[Flagged]) {
        let mut state = Vec::new();
        detector.to_bytes(&mut state);
        let mut entry = Vec::with_capacity(HEAD_BYTES + state.len() + flagged.len() * FLAGGED_BYTES);
        entry.extend_from_slice(&key.to_le_bytes());
        entry.extend_from_slice(&seen.fingerprint(seen.values.len()).to_le_bytes());
        for count in [seen.values.len(), state.len(), flagged.len()] {
            entry.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        entry.extend_from_slice(&state);
        flagged.iter().for_each(|one| write_flagged(one, &mut entry));
        self.next.write(&check_of(&entry), &entry);
    }

    /// Puts the new states in the place of the old ones. A failure costs time the next time and nothing else.
    pub(super) fn finish(self) {
        self.next.finish();
    }
}

/// Bytes of an entry's checksum, and then before its state.
const CHECK_BYTES: usize = size_of::<u64>();
const HEAD_BYTES: usize = 16 + 16 + 3 * size_of::<u32>();
const FLAGGED_BYTES: usize = size_of::<u32>() + 4 + 6 * size_of::<f64>();

/// What a file holds; nothing beyond the first byte that is not as it should be.
fn entries(bytes: &[u8]) -> HashMap<u128, Entry> {
    let mut entries = HashMap::new();
    let mut at = 0;
    while let Some((key, entry)) = entry_at(bytes, at) {
        at = entry.flagged.end;
        entries.insert(key, entry);
    }
    entries
}

/// A disk may have changed what was written, and a damaged state would judge wrongly.
fn check_of(entry: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(entry);
    hasher.finish().to_le_bytes()
}

fn entry_at(bytes: &[u8], at: usize) -> Option<(u128, Entry)> {
    let at = at.checked_add(CHECK_BYTES)?;
    let head = bytes.get(at..at.checked_add(HEAD_BYTES)?)?;
    let wide = |from: usize| Some(u128::from_le_bytes(*head.get(from..)?.first_chunk()?));
    let count = |from: usize| usize::try_from(u32::from_le_bytes(*head.get(from..)?.first_chunk()?)).ok();
    let state = at + HEAD_BYTES..(at + HEAD_BYTES).checked_add(count(36)?)?;
    let flagged = state.end..state.end.checked_add(count(40)?.checked_mul(FLAGGED_BYTES)?)?;
    bytes.get(flagged.clone())?;
    let all = at..flagged.end;
    Some((wide(0)?, Entry { fingerprint: wide(16)?, count: count(32)?, all, state, flagged }))
}

fn write_flagged(one: &Flagged, bytes: &mut Vec<u8>) {
    let Judgement { expected, baseline, lower, upper, score, probability, direction, kind, status, .. } = one.judgement;
    bytes.extend_from_slice(&u32::try_from(one.position).unwrap_or(u32::MAX).to_le_bytes());
    let kind = kind.and_then(|kind| KINDS.iter().position(|known| *known == kind)).map_or(0, |at| at + 1);
    bytes.push(u8::try_from(kind).unwrap_or_default());
    bytes.push(u8::from(direction == Direction::Up));
    let status = STATUSES.iter().position(|known| *known == status).unwrap_or_default();
    bytes.push(u8::try_from(status).unwrap_or_default());
    bytes.push(u8::from(one.judgement.is_anomaly) | u8::from(one.judgement.is_lasting) << 1);
    for number in [expected, baseline, lower, upper, score, probability] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

fn read_flagged(bytes: &[u8]) -> Option<Flagged> {
    let (position, rest) = bytes.split_first_chunk()?;
    let [kind, direction, status, flags, numbers @ ..] = rest else { return None };
    let mut numbers = numbers.chunks_exact(size_of::<f64>()).map(|number| number.try_into().map(f64::from_le_bytes));
    let mut next = || numbers.next()?.ok();
    let judgement = Judgement {
        expected: next()?,
        baseline: next()?,
        lower: next()?,
        upper: next()?,
        score: next()?,
        probability: next()?,
        is_anomaly: flags & 1 == 1,
        is_lasting: flags & 2 == 2,
        direction: if *direction == 1 { Direction::Up } else { Direction::Down },
        kind: usize::from(*kind).checked_sub(1).and_then(|at| KINDS.get(at).copied()),
        status: *STATUSES.get(usize::from(*status))?,
    };
    Some(Flagged { position: usize::try_from(u32::from_le_bytes(*position)).ok()?, judgement })
}

/// A file that is being written; it has its name only when it is whole.
struct NewStates {
    file: Option<BufWriter<File>>,
    unfinished: PathBuf,
    path: PathBuf,
    bytes: u64,
}

impl NewStates {
    fn begin(folder: &Path, path: PathBuf) -> Self {
        let unfinished = folder.join(format!("{}.tmp", Uuid::new_v4()));
        // What customers spend is nobody's to read but the owner's of the warehouse.
        let made = private_directory(folder).and_then(|()| File::create_new(&unfinished));
        Self { file: made.ok().map(BufWriter::new), unfinished, path, bytes: 0 }
    }

    fn write(&mut self, check: &[u8], entry: &[u8]) {
        let bytes = self.bytes + (check.len() + entry.len()) as u64;
        if bytes > FILE_BYTES_MAX {
            return;
        }
        self.bytes = bytes;
        if self.file.as_mut().is_some_and(|file| file.write_all(check).and_then(|()| file.write_all(entry)).is_err()) {
            self.file = None;
        }
    }

    fn finish(mut self) {
        let Some(file) = self.file.take() else { return };
        if file.into_inner().is_ok() && std::fs::rename(&self.unfinished, &self.path).is_ok() {
            make_room(&self.path);
        }
    }
}

impl Drop for NewStates {
    fn drop(&mut self) {
        // Gone where it was renamed.
        let _ = std::fs::remove_file(&self.unfinished);
    }
}

/// Removes the oldest files while there are too many bytes beside a new one.
fn make_room(new: &Path) {
    let Some(files) = new.parent().and_then(|folder| std::fs::read_dir(folder).ok()) else { return };
    let mut files: Vec<_> = files
        .flatten()
        .filter_map(|file| {
            let metadata = file.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), file.path()))
        })
        .collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    let mut kept = 0;
    for (_, bytes, path) in files {
        kept += bytes;
        if kept > FOLDER_BYTES_MAX && path != new {
            let _ = std::fs::remove_file(path);
        }
    }
}
