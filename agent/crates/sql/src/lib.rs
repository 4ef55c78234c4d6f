//! SQL over the tables of a ledger or bundle: what is sealed and what is still in the log, as it was at one moment.
//!
//! DataFusion plans and computes; rows come through the ledger's own reader, so that there is one account of what a
//! ledger holds. Only questions are answered: nothing that SQL says changes, reads or makes a file.
#![forbid(unsafe_code)]

mod account;
mod arrays;
mod error;
mod parquet;
mod pieces;
mod plan;
mod prune;
mod record;
mod session;
mod statement;
mod table;

pub use datafusion::arrow;

pub use self::parquet::ParquetWriter;
pub use account::Account;
pub use error::SqlError;
pub use session::{
    Answer, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MIN, Options, SQL_BYTES_MAX, Session, THREADS_MAX,
};
pub use table::{TABLES, Table};
