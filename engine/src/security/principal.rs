//! Who a session belongs to.

use super::policy::Role;

/// An authenticated login: where it belongs and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The login.
    pub login: String,
    /// Its node.
    pub node_id: String,
    /// Its role.
    pub role: Role,
}
