//! The crate as the agent uses it.

mod common;
mod dashboard;
mod http;
mod jsonl;
mod metrics;
mod observe;
mod records;
