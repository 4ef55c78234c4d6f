//! A way to end a search that nobody waits for any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::LedgerError;

/// Looked at between the pieces that a search reads.
#[derive(Clone, Default, Debug)]
pub(crate) struct StopSign(Option<Arc<AtomicBool>>);

impl StopSign {
    pub(super) const fn new(sign: Arc<AtomicBool>) -> Self {
        Self(Some(sign))
    }

    pub(super) fn check(&self) -> Result<(), LedgerError> {
        let is_told = self.0.as_ref().is_some_and(|sign| sign.load(Ordering::Relaxed));
        if is_told { Err(LedgerError::Stopped) } else { Ok(()) }
    }
}
