//! Who may stop whose statement: the registry behind CancelRequest and `pg_cancel_backend`.
//!
//! A connection registers under a random process id and a random secret; a request that names both fires the token of the
//! statement that runs at that moment, and nothing when none does. Tokens are renewed per statement, so a late request never
//! hits the next one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

/// Bytes of a cancel key in protocol 3.0, where it is one number.
const KEY_BYTES_3_0: usize = 4;
/// Bytes of a cancel key from protocol 3.2 on.
const KEY_BYTES_3_2: usize = 32;

/// The running connections of a listener, by process id.
#[derive(Default)]
pub struct CancelRegistry {
    connections: Mutex<HashMap<i32, Entry>>,
}

struct Entry {
    secret: Bytes,
    slot: Arc<Slot>,
    closing: CancellationToken,
}

#[derive(Default)]
struct Slot {
    running: Mutex<Option<CancellationToken>>,
}

impl fmt::Debug for CancelRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelRegistry").field("connections", &lock(&self.connections).len()).finish()
    }
}

/// Which length of cancel key a connection's protocol version has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyLength {
    /// Protocol 3.0.
    Short,
    /// Protocol 3.2.
    Long,
}

impl CancelRegistry {
    /// Enters a connection; it leaves when the registration is dropped. `closing` is what `terminate` fires.
    pub(crate) fn register(self: &Arc<Self>, length: KeyLength, closing: CancellationToken) -> Registration {
        let secret: [u8; KEY_BYTES_3_2] = rand::random();
        let secret = Bytes::copy_from_slice(match length {
            KeyLength::Short => &secret[..KEY_BYTES_3_0],
            KeyLength::Long => &secret,
        });
        let slot = Arc::new(Slot::default());
        let mut connections = lock(&self.connections);
        let pid = loop {
            // Positive and never zero, as clients store it in whatever they please.
            let candidate = rand::random_range(1..i32::MAX);
            if !connections.contains_key(&candidate) {
                break candidate;
            }
        };
        connections.insert(pid, Entry { secret: secret.clone(), slot: Arc::clone(&slot), closing });
        Registration { pid, secret, slot, registry: Arc::clone(self) }
    }

    /// Cancels the running statement of a connection whose secret the caller knows; tells whether there was such a connection.
    pub fn cancel(&self, pid: i32, secret: &[u8]) -> bool {
        let slot = lock(&self.connections)
            .get(&pid)
            .filter(|entry| same_bytes(&entry.secret, secret))
            .map(|entry| Arc::clone(&entry.slot));
        slot.is_some_and(|slot| {
            slot.fire();
            true
        })
    }

    /// Cancels the running statement of a connection, for `pg_cancel_backend`; the caller checks the right to do so.
    pub fn cancel_pid(&self, pid: i32) -> bool {
        let slot = lock(&self.connections).get(&pid).map(|entry| Arc::clone(&entry.slot));
        slot.is_some_and(|slot| {
            slot.fire();
            true
        })
    }

    /// Whether a connection of that process id is open.
    pub fn is_open(&self, pid: i32) -> bool {
        lock(&self.connections).contains_key(&pid)
    }

    /// Ends a connection, for `pg_terminate_backend`; the caller checks the right to do so.
    pub fn terminate_pid(&self, pid: i32) -> bool {
        let closing = lock(&self.connections).get(&pid).map(|entry| entry.closing.clone());
        closing.is_some_and(|closing| {
            closing.cancel();
            true
        })
    }
}

impl Slot {
    fn fire(&self) {
        if let Some(token) = lock(&self.running).as_ref() {
            token.cancel();
        }
    }
}

/// A connection's place in the registry.
pub(crate) struct Registration {
    pub(crate) pid: i32,
    pub(crate) secret: Bytes,
    slot: Arc<Slot>,
    registry: Arc<CancelRegistry>,
}

impl Registration {
    /// Opens the window in which cancel requests count; it closes when the guard is dropped.
    pub(crate) fn begin_statement(&self) -> StatementWindow {
        let token = CancellationToken::new();
        *lock(&self.slot.running) = Some(token.clone());
        StatementWindow { token, slot: Arc::clone(&self.slot) }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.registry.connections).remove(&self.pid);
    }
}

/// The time during which a statement can be cancelled.
pub(crate) struct StatementWindow {
    pub(crate) token: CancellationToken,
    slot: Arc<Slot>,
}

impl Drop for StatementWindow {
    fn drop(&mut self) {
        *lock(&self.slot.running) = None;
    }
}

/// Compares without stopping at the first difference.
fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A map or an option is never left half-written by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
