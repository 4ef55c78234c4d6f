//! A frame as it stands in the log: a header of fixed size, then the lines of its records, compressed.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `WFR1` |
//! | 4 | CRC-32C of everything behind it |
//! | 4 | bytes of the payload as stored |
//! | 4 | bytes of the lines |
//! | 4 | records |
//! | 4 | how the payload is stored: 0 as it is, 1 as one Zstandard frame |
//! | 8 | sequence number |
//! | 8 | number of the first record |
//! | 8 | wall clock, nanoseconds since 1970, signed |
//! | 32 | BLAKE3 over the hash before, the numbers above and the lines |
//!
//! All numbers are little-endian.

use crate::hash::{ChainHash, FrameFacts};

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 80;

/// Most bytes that the lines of one frame may have together. One record above it gets a frame of its own.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;

/// Longest line of one record, bytes.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most bytes of a stored payload: Zstandard adds a little to what cannot be compressed.
const STORED_BYTES_MAX: usize = LINE_BYTES_MAX + LINE_BYTES_MAX / 128 + 1024;

/// Fast, and small enough: lines of one node repeat one another.
const ZSTD_LEVEL: i32 = 1;

const MAGIC: [u8; 4] = *b"WFR1";
const STORED_PLAIN: u32 = 0;
const STORED_ZSTD: u32 = 1;

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FrameHeader {
    pub(crate) facts: FrameFacts,
    pub(crate) stored_bytes: u32,
    pub(crate) hash: ChainHash,
    crc: u32,
    stored_as: u32,
}

impl FrameHeader {
    /// Reads a header; none if these bytes cannot be one.
    pub(crate) fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let u32_at = |at: usize| u32::from_le_bytes(array(bytes, at));
        let u64_at = |at: usize| u64::from_le_bytes(array(bytes, at));
        let facts = FrameFacts {
            payload_bytes: u32_at(12),
            records: u32_at(16),
            sequence: u64_at(24),
            first_record: u64_at(32),
            wall_ns: i64::from_le_bytes(array(bytes, 40)),
        };
        let header = Self {
            facts,
            stored_bytes: u32_at(8),
            hash: ChainHash(array(bytes, 48)),
            crc: u32_at(4),
            stored_as: u32_at(20),
        };
        let is_possible = bytes[..4] == MAGIC
            && facts.payload_bytes as usize <= LINE_BYTES_MAX
            && header.stored_bytes as usize <= STORED_BYTES_MAX
            && header.stored_as <= STORED_ZSTD;
        is_possible.then_some(header)
    }

    /// Whether header and payload are as they were written.
    pub(crate) fn checksum_is_right(&self, header: &[u8; HEADER_BYTES], stored: &[u8]) -> bool {
        crc32c::crc32c_append(crc32c::crc32c(&header[8..]), stored) == self.crc
    }

    /// The lines; none if they cannot be made of these bytes.
    pub(crate) fn payload(&self, stored: &[u8]) -> Option<Vec<u8>> {
        let bytes = self.facts.payload_bytes as usize;
        let payload = match self.stored_as {
            STORED_PLAIN => stored.to_vec(),
            _ => zstd::bulk::decompress(stored, bytes).ok()?,
        };
        (payload.len() == bytes).then_some(payload)
    }
}

/// Makes frames; keeps its compressor between them.
pub(crate) struct FrameWriter {
    compressor: Option<zstd::bulk::Compressor<'static>>,
    buffer: Vec<u8>,
}

impl FrameWriter {
    pub(crate) fn new() -> Self {
        // Without a compressor, which only lacks where memory does, frames are stored as they are.
        Self { compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL).ok(), buffer: Vec::new() }
    }

    /// The bytes of the frame of these lines that follows `previous`, and its hash.
    pub(crate) fn write(
        &mut self,
        facts: &FrameFacts,
        previous: &ChainHash,
        payload: &[u8],
    ) -> (&[u8], ChainHash) {
        let hash = previous.next(facts, payload);
        let compressed = self.compressor.as_mut().and_then(|compressor| compressor.compress(payload).ok());
        let (stored_as, stored) = match &compressed {
            Some(compressed) if compressed.len() < payload.len() => (STORED_ZSTD, compressed.as_slice()),
            _ => (STORED_PLAIN, payload),
        };
        let stored_bytes = u32::try_from(stored.len()).expect("a payload is at most 16 MiB");
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.extend_from_slice(&MAGIC);
        buffer.extend_from_slice(&[0; 4]);
        for number in [stored_bytes, facts.payload_bytes, facts.records, stored_as] {
            buffer.extend_from_slice(&number.to_le_bytes());
        }
        buffer.extend_from_slice(&facts.sequence.to_le_bytes());
        buffer.extend_from_slice(&facts.first_record.to_le_bytes());
        buffer.extend_from_slice(&facts.wall_ns.to_le_bytes());
        buffer.extend_from_slice(&hash.0);
        buffer.extend_from_slice(stored);
        let crc = crc32c::crc32c(&buffer[8..]);
        buffer[4..8].copy_from_slice(&crc.to_le_bytes());
        (buffer, hash)
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

impl std::fmt::Debug for FrameWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameWriter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &[u8]) {
        let facts = FrameFacts {
            sequence: 3,
            first_record: 9,
            records: 1,
            payload_bytes: payload.len() as u32,
            wall_ns: -5,
        };
        let previous = ChainHash::of(b"before");
        let mut writer = FrameWriter::new();
        let (bytes, hash) = writer.write(&facts, &previous, payload);
        let header_bytes: [u8; HEADER_BYTES] = array(bytes, 0);
        let header = FrameHeader::read(&header_bytes).unwrap();
        let stored = &bytes[HEADER_BYTES..];
        assert_eq!((header.facts, header.hash), (facts, hash));
        assert_eq!(header.stored_bytes as usize, stored.len());
        assert!(header.checksum_is_right(&header_bytes, stored));
        assert_eq!(header.payload(stored).unwrap(), payload);
        assert_eq!(previous.next(&facts, payload), hash);
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        check(b"");
        check(b"{}\n");
        check("{\"type\":\"flow\"}\n".repeat(1000).as_bytes());
    }

    #[test]
    fn what_is_no_header_is_none() {
        assert_eq!(FrameHeader::read(&[0; HEADER_BYTES]), None);
        let mut bytes = [0xff; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        assert_eq!(FrameHeader::read(&bytes), None, "lengths beyond the limits");
    }
}
