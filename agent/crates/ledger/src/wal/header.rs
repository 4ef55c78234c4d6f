//! The beginning of a log file: whose it is, and what its first frame follows.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `WFLEDGER` |
//! | 4 | format |
//! | 4 | CRC-32C of everything behind it |
//! | 16 | id of the ledger |
//! | 8 | number of the first frame |
//! | 8 | number of its first record |
//! | 32 | hash of the frame before it |

use std::path::Path;

use super::Position;
use crate::error::LedgerError;
use crate::hash::ChainHash;
use crate::identity::{FORMAT, LedgerId};

const MAGIC: [u8; 8] = *b"WFLEDGER";

/// What stands before the frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WalHeader {
    pub(crate) ledger: LedgerId,
    pub(crate) position: Position,
}

impl WalHeader {
    pub(crate) const BYTES: usize = 80;

    pub(crate) fn write(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let Position { next_sequence, next_record, previous } = &self.position;
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.ledger.0);
        bytes[32..40].copy_from_slice(&next_sequence.to_le_bytes());
        bytes[40..48].copy_from_slice(&next_record.to_le_bytes());
        bytes[48..].copy_from_slice(&previous.0);
        let crc = crc32c::crc32c(&bytes[16..]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn read(bytes: &[u8; Self::BYTES], path: &Path) -> Result<Self, LedgerError> {
        let malformed = |why: &str| LedgerError::malformed(path, why);
        if bytes[..8] != MAGIC {
            return Err(malformed("expected the beginning of a log file"));
        }
        let format = u32::from_le_bytes(part(bytes, 8));
        if format > FORMAT {
            return Err(LedgerError::Newer { path: path.to_owned(), found: format, expected: FORMAT });
        }
        if crc32c::crc32c(&bytes[16..]) != u32::from_le_bytes(part(bytes, 12)) || format != FORMAT {
            return Err(malformed("the head of the file is damaged"));
        }
        Ok(Self {
            ledger: LedgerId(part(bytes, 16)),
            position: Position {
                next_sequence: u64::from_le_bytes(part(bytes, 32)),
                next_record: u64::from_le_bytes(part(bytes, 40)),
                previous: ChainHash(part(bytes, 48)),
            },
        })
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}
