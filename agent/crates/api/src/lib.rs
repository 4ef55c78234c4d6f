//! The HTTP API: what the agent has recorded and what it goes by, for people and programs that may ask.
//!
//! Records come out of the ledger, searched beside its writer on threads of their own. Each access is itself a record.
#![forbid(unsafe_code)]

mod access;
mod answers;
mod client;
mod credentials;
mod cursor;
mod event_id;
mod follow;
pub mod limits;
mod missed;
pub mod moment;
mod openapi;
mod pacing;
mod pages;
mod parameters;
mod peer;
mod problem;
mod reviews;
mod router;
mod search;
mod server;
mod setup;
mod status;
mod streams;
mod tcp;
mod tokens;
mod tree;
mod wrong_tokens;

pub use client::{Client, ClientError, Lines, Target};
pub use credentials::{CredentialError, CredentialFiles};
pub use cursor::Cursor;
pub use openapi::openapi;
pub use parameters::PARAMETERS;
pub use peer::Peer;
pub use problem::{PROBLEM_TYPE, Problem, ProblemKind};
pub use reviews::{REVIEW_PATH_PREFIX, Review, Reviewer, Reviewing};
pub use router::{ROUTES, router};
pub use server::UnixServer;
pub use setup::{Build, Setup};
pub use tcp::{TcpError, TcpServer};
pub use tokens::TOKEN_ALGORITHM;
