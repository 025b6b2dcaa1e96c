//! Ratehouse: an embedded billing warehouse for cloud resellers.
//!
//! Provider usage is landed as Parquet, priced through every tier of the resale chain and served
//! as SQL, to each login only what is its own.
//!
//! ```no_run
//! # async fn run() -> Result<(), ratehouse::Error> {
//! let warehouse = ratehouse::Warehouse::open(std::path::Path::new("warehouse"))?;
//! let principal = warehouse.principal("finance@reseller-1")?.expect("a login");
//! let session = warehouse.session(principal);
//! let answer = session.sql("select service_name, sum(cost) from charges group by 1").await?;
//! # let _ = answer;
//! # Ok(())
//! # }
//! ```

pub mod alerts;
pub mod billing;
pub mod catalog;
pub mod chart;
pub mod collect;
pub mod config;
pub mod error;
pub mod lake;
pub mod landing;
pub mod period;
pub mod pg_catalog;
pub mod rating;
pub mod reference;
pub mod security;
pub mod serve;
pub mod session;
pub mod warehouse;
pub mod wire;

pub use config::Config;
pub use error::Error;
pub use security::{Principal, Role, SessionError};
pub use session::{Answer, Notice, Prepared, Session, Statement};
pub use warehouse::{NewWarehouse, Warehouse};
