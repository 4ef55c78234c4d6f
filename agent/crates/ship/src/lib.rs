//! Sealed segments of the ledger in an object store: shipped there, and fetched from there when the node is gone.
//!
//! Tables lie where readers of Parquet look for them, by cluster, node, date and family; what proves them lies beside.
#![forbid(unsafe_code)]

mod backoff;
mod credentials;
mod error;
mod fetch;
mod layout;
mod segment;
mod shipper;
mod stats;
mod store;
mod target;
mod throttle;

pub use error::ShipError;
pub use fetch::{FetchQuery, Fetched, fetch};
pub use layout::Source;
pub use shipper::{Limits, Shipper};
pub use stats::ShipStats;
pub use store::Store;
pub use target::{StoreOptions, Target};
