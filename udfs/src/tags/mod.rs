//! Tags against what a policy says of them.

mod policy;
mod violations;

pub use policy::TagPolicy;
pub use violations::TagViolations;
