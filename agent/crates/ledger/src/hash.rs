//! The chain: each frame's hash covers the hash before it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Sets these hashes apart from any others of the same bytes.
const FRAME_CONTEXT: &str = "watchfire ledger 2026 frame";
const GENESIS_CONTEXT: &str = "watchfire ledger 2026 genesis";

/// A BLAKE3 hash, shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub [u8; 32]);

/// What a frame's hash covers besides its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameFacts {
    /// Number of the frame; the first of a ledger is 1.
    pub sequence: u64,
    /// Number of its first record; the first of a ledger is 1.
    pub first_record: u64,
    /// Records in it.
    pub records: u32,
    /// Bytes of their lines together.
    pub payload_bytes: u32,
    /// When it was written, nanoseconds of the wall clock since 1970.
    pub wall_ns: i64,
}

impl ChainHash {
    /// What stands before the first frame of the ledger with this id.
    #[must_use]
    pub fn genesis(ledger_id: &[u8; 16]) -> Self {
        Self(blake3::derive_key(GENESIS_CONTEXT, ledger_id))
    }

    /// The hash of a frame that follows `self`. `payload` is the lines of its records, each with its newline.
    #[must_use]
    pub fn next(&self, facts: &FrameFacts, payload: &[u8]) -> Self {
        let mut hasher = FrameHasher::new(self, facts);
        hasher.update(payload);
        hasher.finish()
    }

    /// The hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The hash of a file and its length.
    pub(crate) fn of_file(path: &Path) -> io::Result<(Self, u64)> {
        let mut file = File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 128 * 1024];
        let mut bytes = 0;
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok((Self(*hasher.finalize().as_bytes()), bytes)),
                n => {
                    hasher.update(&buffer[..n]);
                    bytes += n as u64;
                }
            }
        }
    }
}

/// Takes the payload of a frame in pieces.
pub(crate) struct FrameHasher(blake3::Hasher);

impl FrameHasher {
    pub(crate) fn new(previous: &ChainHash, facts: &FrameFacts) -> Self {
        let FrameFacts { sequence, first_record, records, payload_bytes, wall_ns } = facts;
        let mut hasher = blake3::Hasher::new_derive_key(FRAME_CONTEXT);
        hasher.update(&previous.0);
        hasher.update(&sequence.to_le_bytes());
        hasher.update(&first_record.to_le_bytes());
        hasher.update(&records.to_le_bytes());
        hasher.update(&payload_bytes.to_le_bytes());
        hasher.update(&wall_ns.to_le_bytes());
        Self(hasher)
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub(crate) fn finish(&self) -> ChainHash {
        ChainHash(*self.0.finalize().as_bytes())
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ChainHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex(text).map(Self).ok_or("expected 64 hexadecimal digits in lower case")
    }
}

/// Exactly as many bytes, in lower case: so that no two texts say the same.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: FrameFacts =
        FrameFacts { sequence: 1, first_record: 1, records: 2, payload_bytes: 4, wall_ns: 7 };

    #[test]
    fn every_part_of_a_frame_changes_its_hash() {
        let start = ChainHash::genesis(&[1; 16]);
        let hash = start.next(&FACTS, b"a\nb\n");
        for other in [
            ChainHash::genesis(&[2; 16]).next(&FACTS, b"a\nb\n"),
            start.next(&FrameFacts { sequence: 2, ..FACTS }, b"a\nb\n"),
            start.next(&FrameFacts { first_record: 2, ..FACTS }, b"a\nb\n"),
            start.next(&FrameFacts { records: 1, ..FACTS }, b"a\nb\n"),
            start.next(&FrameFacts { payload_bytes: 5, ..FACTS }, b"a\nb\n"),
            start.next(&FrameFacts { wall_ns: 8, ..FACTS }, b"a\nb\n"),
            start.next(&FACTS, b"a\nc\n"),
        ] {
            assert_ne!(hash, other);
        }
        let mut pieces = FrameHasher::new(&start, &FACTS);
        pieces.update(b"a\n");
        pieces.update(b"b\n");
        assert_eq!(pieces.finish(), hash);
    }

    #[test]
    fn shown_and_read_back() {
        let hash = ChainHash::of(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert!(bad.parse::<ChainHash>().is_err(), "{bad}");
        }
    }
}
