//! Ledgers that are shipped into stores that fail, are full of other things, or lack what was removed, and fetched again.
#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

mod common;
mod faults;
mod fetched;
#[path = "../../../ledger/tests/ledger/made.rs"]
mod made;
mod removed;
mod waiting;
