//! The ledger: a record of everything that was told, on the node itself, that can be searched, checked and taken away.
//!
//! Frames of records go into a write-ahead log; full log files are sealed into segments of Parquet tables. Each frame is
//! chained to the one before by its hash, each segment's manifest is signed and names the one before.
#![forbid(unsafe_code)]

mod bloom;
mod bundle;
mod clock;
mod config;
mod error;
mod family;
mod field;
mod files;
mod filter;
mod frame;
mod hash;
mod identity;
mod key;
mod recovery;
mod retention;
mod scan;
mod sealed;
mod sealer;
mod search;
mod segment;
mod shipment;
mod signed_head;
mod snapshot;
mod stats;
mod store;
mod tree;
mod verify;
mod wal;

pub use bundle::{Bundle, BundleQuery, QUERY_FILE, RECORDS_FILE, close_bundle, export};
pub use clock::{Clock, SetClock};
pub use config::{Fsync, LedgerConfig, SegmentLimits};
pub use error::LedgerError;
pub use family::{Families, Family};
pub use field::{ALIASES, Alias, FIELDS, Field, Kind, Take};
pub use filter::{FILTER_BYTES_MAX, Filter, FilterError, Range, nearest};
pub use frame::{FRAME_BYTES_MAX, LINE_BYTES_MAX};
pub use hash::{ChainHash, FrameFacts};
pub use identity::{FORMAT, IDENTITY_FILE, Identity, LedgerId};
pub use key::{KEY_FILE, PUBLIC_KEY_FILE, PublicKey};
pub use recovery::{DAMAGED_DIR, Recovery};
pub use retention::Retention;
pub use scan::{LogTable, OpenPiece, Piece, Scan, SealedTable};
pub use sealed::{SealedSegment, SignedHorizon};
pub use search::{Explanation, Found, LogIndex, Numbers, Search, SearchQuery, Skipped};
pub use segment::{Column, ColumnValues, FileSum, FrameRange, Manifest, TableSum, TableWriter};
pub use shipment::{SHIP_FILE, Shipment};
pub use stats::{Count, Head, SealedHead, Stats};
pub use store::Ledger;
pub use tree::{Forest, PROCESS_RECORDS_MAX, TREE_PROCESSES_MAX, TreeProcess, TreeStart, gather};
pub use verify::{Fault, Intact, Verdict, verify, verify_after};
