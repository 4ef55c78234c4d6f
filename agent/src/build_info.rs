//! What was built, and from what.

/// Version of the release.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Git commit, or `unknown`.
pub(crate) const COMMIT: &str = env!("WATCHFIRE_COMMIT");
/// Target triple.
pub(crate) const TARGET: &str = env!("WATCHFIRE_TARGET");
