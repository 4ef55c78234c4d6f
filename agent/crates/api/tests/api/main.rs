//! The API as its clients see it.
#![expect(clippy::unwrap_used, reason = "a test panics; the message says where")]

mod fixture;
mod hostile;
mod openapi;
mod records;
mod tcp;
