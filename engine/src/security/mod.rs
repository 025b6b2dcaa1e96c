//! What a login may see and do.
//!
//! A session contains only what its principal may see: relations are made for it by
//! [`relations`] and read through [`scan`], statements pass [`guard`], errors pass [`errors`].
//! Only [`policy`] names a role.

pub mod errors;
pub mod guard;
pub mod policy;
pub mod principal;
pub mod relations;
pub mod scan;
pub mod scope;

pub use errors::SessionError;
pub use policy::Role;
pub use principal::Principal;
pub use scope::{Scope, Tree};
