//! Servers that scrape an agent, and what dashboards and rules ask them.

mod queries;
mod server;

pub use queries::{Query, deploy, metrics, of_dashboards, of_rules};
pub use server::{Server, free_address};
