//! Whether a group of rows may have a value at all.

use parquet::bloom_filter::Sbbf;

/// The Bloom filter of one column in a group of rows.
#[derive(Clone, Debug)]
pub(crate) struct Bloom(pub(crate) Sbbf);

impl Bloom {
    /// False if no row has this text.
    pub(crate) fn may_have(&self, text: &str) -> bool {
        self.0.check(text)
    }
}
