//! Stored password verifiers, in the form PostgreSQL keeps in `pg_authid`.
//!
//! `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, all base64. From it a login can be checked, but not made: a stolen
//! catalog does not let anyone in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{ScramSecret, gen_salted_password};

/// Iterations for new verifiers: what PostgreSQL uses, and clients expect to compute at each login.
pub const ITERATIONS: usize = 4096;
/// Most iterations a stored verifier may ask clients for.
const ITERATIONS_MAX: usize = 1_000_000;
/// Bytes of a SHA-256.
const HASH_BYTES: usize = 32;
/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// Makes the verifier of a new password, with a random salt. For `user add`.
pub fn new_verifier(password: &str) -> String {
    let salt: [u8; SALT_BYTES] = rand::random();
    make_verifier(password, &salt, ITERATIONS)
}

/// Makes a verifier; the password is normalized by SASLprep, or taken as it is where that fails, as clients do.
pub fn make_verifier(password: &str, salt: &[u8], iterations: usize) -> String {
    let salted = gen_salted_password(password, salt, iterations);
    let secret = ScramSecret::verifier_from_salted_password(salt.to_vec(), salted, iterations);
    match secret {
        ScramSecret::Verifier { salt, iterations, stored_key, server_key } => format!(
            "SCRAM-SHA-256${iterations}:{}${}:{}",
            STANDARD.encode(salt),
            STANDARD.encode(stored_key),
            STANDARD.encode(server_key)
        ),
        ScramSecret::SaltedPassword { .. } => String::new(),
    }
}

/// Reads a verifier; `None` when the text is not one.
pub(crate) fn parse_verifier(text: &str) -> Option<ScramSecret> {
    let mut parts = text.strip_prefix("SCRAM-SHA-256$")?.split('$');
    let (iterations, salt) = parts.next()?.split_once(':')?;
    let (stored_key, server_key) = parts.next()?.split_once(':')?;
    let key = |text: &str| STANDARD.decode(text).ok().filter(|key| key.len() == HASH_BYTES);
    let iterations = iterations.parse().ok().filter(|count| (1..=ITERATIONS_MAX).contains(count))?;
    let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?;
    parts.next().is_none().then_some(())?;
    Some(ScramSecret::Verifier { salt, iterations, stored_key: key(stored_key)?, server_key: key(server_key)? })
}

/// The iterations of a verifier; none when the text is something else.
pub(crate) fn iterations_of(text: &str) -> Option<usize> {
    match parse_verifier(text)? {
        ScramSecret::Verifier { iterations, .. } => Some(iterations),
        ScramSecret::SaltedPassword { .. } => None,
    }
}

/// The verifier of a login that does not exist: its salt never changes, and no password fits.
pub(crate) fn mock_secret(warehouse_secret: &[u8; 32], login: &str) -> ScramSecret {
    // PBKDF2 of one round is an HMAC keyed with its password.
    let digest = gen_salted_password(&STANDARD.encode(warehouse_secret), login.as_bytes(), 1);
    let random: [u8; HASH_BYTES] = rand::random();
    ScramSecret::Verifier {
        salt: digest[..SALT_BYTES].to_vec(),
        iterations: ITERATIONS,
        stored_key: random.to_vec(),
        server_key: random.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Python: k = hashlib.pbkdf2_hmac('sha256', b'pencil', b'0123456789abcdef', 4096); StoredKey =
    // sha256(hmac(k, b'Client Key')), ServerKey = hmac(k, b'Server Key').
    #[test]
    fn verifier_of_a_known_password_and_salt() {
        let verifier = make_verifier("pencil", b"0123456789abcdef", 4096);
        assert_eq!(
            verifier,
            "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$nQpbZ77WudtqufPwikHXGRt6g2QJ4zns8bZLw273DRM=:jn2amWP1q1h+jgjy0YTO14S6/F02SV7taipOeB7ef20="
        );
        assert_eq!(iterations_of(&verifier), Some(4096));
    }

    #[test]
    fn texts_that_are_no_verifier_are_refused() {
        for text in ["", "md5abc", "SCRAM-SHA-256$4096:AA==$AA==:AA==", "SCRAM-SHA-256$0:AA==$AA==:AA=="] {
            assert!(parse_verifier(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_unknown_login_always_shows_the_same_salt() {
        let salt = |login: &str| match mock_secret(&[7; 32], login) {
            ScramSecret::Verifier { salt, .. } | ScramSecret::SaltedPassword { salt, .. } => salt,
        };
        assert_eq!(salt("nobody"), salt("nobody"));
        assert_ne!(salt("nobody"), salt("somebody"));
    }
}
