//! SQL over ledgers as their users have them: it agrees with searches, is bounded, and changes nothing.
#![expect(clippy::unwrap_used, reason = "a test panics; the message says where")]

mod agrees;
mod answers;
mod common;
mod limits;
#[path = "../../../ledger/tests/ledger/made.rs"]
mod made;
mod refused;
