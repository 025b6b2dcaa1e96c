//! All integration tests, in one binary.

mod collection;
mod crash;
mod data_sets;
mod demo;
mod ducklake;
mod explain_charge;
mod fixture;
mod hostile;
mod interference;
mod invoices;
mod landing;
mod landing_samples;
mod opencost;
mod own_charges;
mod pains;
mod pools;
mod python_checks;
mod quarantine;
mod rate_lookup;
mod reference;
mod scope;
mod slt;
mod tag_compliance;
mod verify;
mod wire;
mod worked_examples;
