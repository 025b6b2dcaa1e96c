//! Slowing down guesses of passwords, per login and network.
//!
//! After five failures the pair is shut out for 1, 2, 4 ... 60 seconds. During that time the exchange runs as always and fails as
//! always, so neither the right password nor the existence of the login can be told from outside. Other networks are not affected.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that cost nothing.
const FREE_FAILURES: u32 = 5;
/// The longest time a pair is shut out.
const PENALTY_MAX: Duration = Duration::from_secs(60);
/// After this long without a failure a pair is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);
/// Pairs remembered; the oldest goes when another comes.
const PAIRS_MAX: usize = 4_096;

/// Failures of the recent past.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    pairs: Mutex<HashMap<(String, IpAddr), Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn shut_until(&self) -> Instant {
        let Some(over) = self.count.checked_sub(FREE_FAILURES) else {
            return self.last;
        };
        self.last + PENALTY_MAX.min(Duration::from_secs(1 << over.min(6)))
    }
}

impl Throttle {
    /// Whether a login from there is shut out at `now`.
    pub(crate) fn is_shut(&self, login: &str, peer: IpAddr, now: Instant) -> bool {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.get(&(login.to_owned(), network(peer))).is_some_and(|failures| now < failures.shut_until())
    }

    /// Notes a failure.
    pub(crate) fn failed(&self, login: &str, peer: IpAddr, now: Instant) {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.retain(|_, failures| now.saturating_duration_since(failures.last) < FORGET_AFTER);
        if pairs.len() >= PAIRS_MAX {
            let oldest = pairs.iter().min_by_key(|(_, failures)| failures.last).map(|(pair, _)| pair.clone());
            oldest.and_then(|pair| pairs.remove(&pair));
        }
        let failures = pairs.entry((login.to_owned(), network(peer))).or_insert(Failures { count: 0, last: now });
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// Forgets a login's failures after it succeeded.
    pub(crate) fn succeeded(&self, login: &str, peer: IpAddr) {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.remove(&(login.to_owned(), network(peer)));
    }
}

/// The network an address belongs to: /24 or /64, as one guesser has many addresses.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => network(IpAddr::V4(mapped)),
            None => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_failure_shuts_a_network_out_for_two_seconds() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let here = IpAddr::from([10, 0, 0, 1]);
        for _ in 0..4 {
            throttle.failed("ann", here, start);
        }
        assert!(!throttle.is_shut("ann", here, start));
        // The fifth costs 1 s, the sixth 2 s.
        throttle.failed("ann", here, start);
        assert!(throttle.is_shut("ann", IpAddr::from([10, 0, 0, 99]), start));
        assert!(!throttle.is_shut("ann", here, start + Duration::from_millis(1_001)));
        throttle.failed("ann", here, start);
        assert!(throttle.is_shut("ann", here, start + Duration::from_millis(1_999)));
        assert!(!throttle.is_shut("ann", IpAddr::from([10, 0, 1, 1]), start));
        assert!(!throttle.is_shut("bob", here, start));
        throttle.succeeded("ann", here);
        assert!(!throttle.is_shut("ann", here, start));
    }
}
