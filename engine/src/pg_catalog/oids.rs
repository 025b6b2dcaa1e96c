//! Object ids: PostgreSQL's own for what is built in, a hash of the name for what is the warehouse's.

use std::collections::HashSet;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// `pg_catalog`.
pub(super) const PG_CATALOG: u32 = 11;
/// `pg_toast`.
pub(super) const PG_TOAST: u32 = 99;
/// `public`.
pub(super) const PUBLIC: u32 = 2200;
/// `information_schema`, as initdb of PostgreSQL 15 numbers it.
pub(super) const INFORMATION_SCHEMA: u32 = 13207;
/// The owner of everything.
pub(super) const OWNER: u32 = 10;
/// `pg_class` as a catalog (`classoid` of comments on relations and columns).
pub(super) const CLASS_RELATION: u32 = 1259;
/// `pg_proc` as a catalog.
pub(super) const CLASS_PROC: u32 = 1255;
/// `pg_authid` as a catalog.
pub(super) const CLASS_AUTHID: u32 = 1260;
/// `pg_database` as a catalog.
pub(super) const CLASS_DATABASE: u32 = 1262;
/// `pg_namespace` as a catalog.
pub(super) const CLASS_NAMESPACE: u32 = 2615;
/// `pg_constraint` as a catalog.
pub(super) const CLASS_CONSTRAINT: u32 = 2606;
/// The B-tree access method.
pub(super) const BTREE: u32 = 403;
/// The heap access method.
pub(super) const HEAP: u32 = 2;

const FIRST: u32 = 16_384;
const LAST: u32 = i32::MAX as u32;

/// Hands out oids of the warehouse's objects.
///
/// The same name gets the same oid in every session and after every restart, because it is a hash of the name and of
/// nothing else. Two names that hash alike are told apart by their order, so names must be given in sorted order.
#[derive(Default)]
pub(super) struct OidSource {
    taken: HashSet<u32>,
}

impl OidSource {
    /// The oid of an object of a kind (`relation`, `role` ...) with a qualified name.
    pub(super) fn assign(&mut self, kind: &str, schema: &str, name: &str) -> u32 {
        let mut oid = hashed(kind, schema, name);
        while !self.taken.insert(oid) {
            oid = if oid == LAST { FIRST } else { oid + 1 };
        }
        oid
    }
}

/// The oid of a relation, where no two of the warehouse's relations hash alike.
pub fn relation_oid(schema: &str, name: &str) -> u32 {
    hashed(RELATION, schema, name)
}

/// The kind of object that relations and indexes are.
pub(super) const RELATION: &str = "relation";

fn hashed(kind: &str, schema: &str, name: &str) -> u32 {
    // fixed keys: the hash is part of the contract with drivers that cache oids
    let mut hasher = SipHasher13::new_with_keys(0x7261_7465_686f_7573, 0x652e_7067_2e6f_6964);
    for part in [kind, schema, name] {
        hasher.write(part.as_bytes());
        hasher.write_u8(0);
    }
    let span = u64::from(LAST - FIRST);
    FIRST + u32::try_from(hasher.finish() % span).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::policy::RELATIONS;

    #[test]
    fn no_two_relations_hash_alike() {
        let oids: HashSet<u32> = RELATIONS.iter().map(|r| relation_oid(r.schema, r.name)).collect();
        assert_eq!(oids.len(), RELATIONS.len());
    }
}
