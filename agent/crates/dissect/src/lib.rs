//! What the first bytes of a flow say: DNS messages, TLS `ClientHello`s; and the flow's Community ID.
//!
//! Whoever sends the bytes may be hostile: nothing is believed that was not there, every loop and every text has a limit,
//! and what cannot be read is an error and no record. Pure: no IO, no clock.
#![forbid(unsafe_code)]

mod community_id;
mod cursor;
pub mod dns;
mod text;
pub mod tls;

pub use self::community_id::community_id;
