//! A clock that the test moves; who waits on it moves it too.

use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use ratehouse::collect::Clock;

#[derive(Debug)]
pub(crate) struct ManualClock {
    now: Mutex<DateTime<Utc>>,
    waits: Mutex<Vec<Duration>>,
}

impl ManualClock {
    pub(crate) fn ahead_by(time: TimeDelta) -> Self {
        // The catalog keeps microseconds.
        Self { now: Mutex::new(Utc::now().trunc_subsecs(6) + time), waits: Mutex::default() }
    }

    pub(crate) fn at(text: &str) -> Self {
        let now = DateTime::parse_from_rfc3339(text).expect("an instant").to_utc();
        Self { now: Mutex::new(now), waits: Mutex::default() }
    }

    /// What was waited for, in order.
    pub(crate) fn waited(&self) -> Vec<Duration> {
        self.waits.lock().expect("no panic").clone()
    }

    pub(crate) fn advance(&self, time: TimeDelta) {
        *self.now.lock().expect("no panic") += time;
    }
}

#[async_trait::async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().expect("no panic")
    }

    async fn sleep(&self, time: Duration) {
        self.waits.lock().expect("no panic").push(time);
        self.advance(TimeDelta::from_std(time).expect("not for ever"));
    }
}
