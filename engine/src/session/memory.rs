//! Memory of sessions: bounded for each login, and for all of them together.
//!
//! A login's statements share its limit, fairly among operators that can spill. Beyond a small part that
//! every login always has, they also share what the warehouse may use: a login that sorts millions of
//! rows spills, and a small query of another one runs all the same.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use datafusion::common::resources_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// What a login has whatever the others use.
const OWN_BYTES: usize = 16 << 20;

/// The memory of all sessions of a warehouse.
#[derive(Debug)]
pub(crate) struct SessionMemory {
    common: Arc<Common>,
    login_bytes: usize,
    logins: Mutex<HashMap<String, Weak<LoginPool>>>,
}

impl SessionMemory {
    /// `all_bytes` for all logins together, `login_bytes` for each.
    pub(crate) fn new(all_bytes: usize, login_bytes: usize) -> Self {
        let common = Arc::new(Common { used: AtomicUsize::new(0), limit: all_bytes });
        Self { common, login_bytes, logins: Mutex::default() }
    }

    /// The pool of a login, the same for all its sessions.
    pub(crate) fn of_login(&self, login: &str) -> Arc<dyn MemoryPool> {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = logins.get(login).and_then(Weak::upgrade) {
            return pool;
        }
        logins.retain(|_, pool| pool.strong_count() > 0);
        let pool = Arc::new(LoginPool {
            own: FairSpillPool::new(self.login_bytes),
            common: Arc::clone(&self.common),
            taken: Mutex::new(0),
        });
        logins.insert(login.to_owned(), Arc::downgrade(&pool));
        pool
    }
}

/// What logins use beyond their own part.
#[derive(Debug)]
struct Common {
    used: AtomicUsize,
    limit: usize,
}

impl Common {
    fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

#[derive(Debug)]
struct LoginPool {
    own: FairSpillPool,
    common: Arc<Common>,
    /// Bytes taken from the common part.
    taken: Mutex<usize>,
}

impl LoginPool {
    /// Takes from the common part what the login now uses beyond its own, or gives it back; false when there is not enough.
    fn settle(&self, must: bool) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = self.own.reserved().saturating_sub(OWN_BYTES);
        if needed <= *taken {
            self.common.used.fetch_sub(*taken - needed, Ordering::Relaxed);
        } else if must {
            self.common.used.fetch_add(needed - *taken, Ordering::Relaxed);
        } else if !self.common.take(needed - *taken) {
            return false;
        }
        *taken = needed;
        true
    }
}

impl fmt::Display for LoginPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory of a login")
    }
}

impl MemoryPool for LoginPool {
    fn name(&self) -> &str {
        "login"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.settle(true);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.settle(true);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional)?;
        if self.settle(false) {
            return Ok(());
        }
        self.own.shrink(reservation, additional);
        Err(resources_datafusion_err!("the memory of all sessions is in use"))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn reservation(pool: &Arc<dyn MemoryPool>) -> MemoryReservation {
        MemoryConsumer::new("test").register(pool)
    }

    #[test]
    fn a_login_has_its_own_part_whatever_the_others_use() {
        let memory = SessionMemory::new(100 * MIB, 200 * MIB);
        let (greedy, modest) = (memory.of_login("greedy"), memory.of_login("modest"));
        let (first, second) = (reservation(&greedy), reservation(&modest));
        // 16 of its own and 100 of the common part.
        first.try_grow(116 * MIB).expect("all that there is");
        assert!(first.try_grow(MIB).is_err(), "beyond the common part");
        second.try_grow(16 * MIB).expect("its own part");
        assert!(second.try_grow(1).is_err(), "the common part is in use");
        first.shrink(50 * MIB);
        second.try_grow(50 * MIB).expect("what was given back");
        drop((first, second));
        assert_eq!(memory.common.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn sessions_of_a_login_share_its_limit() {
        let memory = SessionMemory::new(1_000 * MIB, 100 * MIB);
        let (one, other) = (memory.of_login("a"), memory.of_login("a"));
        let (first, second) = (reservation(&one), reservation(&other));
        first.try_grow(80 * MIB).expect("below the limit");
        assert!(second.try_grow(30 * MIB).is_err(), "110 of 100");
        second.try_grow(20 * MIB).expect("100 of 100");
    }
}
