//! The newest frame that the node's key has signed: what is not sealed yet is signed by it.
//!
//! `head.signed` has two lines: what is signed, as JSON, and its signature. It is replaced as a whole, and only ever names
//! frames that outlast a loss of power.

use std::path::Path;

use serde::{Deserialize, Serialize};
use watchfire_model::WallTime;

use crate::error::LedgerError;
use crate::files;
use crate::hash::ChainHash;
use crate::identity::LedgerId;
use crate::key::{NodeKey, PublicKey};
use crate::stats::Head;

/// The file within a ledger.
pub(crate) const SIGNED_HEAD_FILE: &str = "head.signed";

/// Sets this signature apart from any other of the key.
const WHAT: &str = "watchfire ledger head";

/// What is signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SignedHead {
    what: String,
    pub(crate) ledger: LedgerId,
    pub(crate) frame: u64,
    pub(crate) hash: ChainHash,
    pub(crate) signed_at: WallTime,
}

impl SignedHead {
    pub(crate) fn new(ledger: LedgerId, head: Head, signed_at: WallTime) -> Self {
        Self { what: WHAT.to_owned(), ledger, frame: head.sequence, hash: head.hash, signed_at }
    }

    pub(crate) fn write(&self, dir: &Path, key: &NodeKey) -> Result<(), LedgerError> {
        let mut line = serde_json::to_string(self).expect("it has string keys only");
        let signature = key.sign(line.as_bytes());
        line.push('\n');
        line.push_str(&signature);
        files::replace(&dir.join(SIGNED_HEAD_FILE), line.as_bytes())
    }

    /// Reads it and checks its signature; none where there is no such file.
    pub(crate) fn read(
        dir: &Path,
        ledger: LedgerId,
        key: &PublicKey,
    ) -> Result<Option<Result<Self, &'static str>>, LedgerError> {
        let path = dir.join(SIGNED_HEAD_FILE);
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            return Ok(Some(Err("expected a line of JSON and its signature")));
        };
        let (line, signature) = (&bytes[..end], &bytes[end + 1..]);
        if !key.verifies(line, signature) {
            return Ok(Some(Err("it is not signed by the node's key")));
        }
        Ok(Some(match serde_json::from_slice::<Self>(line) {
            Ok(signed) if signed.what == WHAT && signed.ledger == ledger => Ok(signed),
            _ => Err("it is of another ledger"),
        }))
    }
}
