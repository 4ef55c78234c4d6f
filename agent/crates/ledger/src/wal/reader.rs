//! Reads the frames of a log file, checks each, and tells a torn end from damage.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Position, WalHeader};
use crate::error::{At as _, LedgerError};
use crate::frame::{FrameHeader, HEADER_BYTES};
use crate::hash::{ChainHash, FrameFacts};

/// A frame that is as it was written and follows the one before.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) facts: FrameFacts,
    pub(crate) hash: ChainHash,
    /// The lines, each with its newline.
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The records of the frame with their numbers; lines have no newline.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let lines = self.payload.split_inclusive(|byte| *byte == b'\n');
        (self.facts.first_record..).zip(lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line)))
    }
}

/// Why the frames end before the file does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// Where the first bytes stand that are no frame, from the beginning of the file.
    pub(crate) at: u64,
    /// Bytes from there to the end.
    pub(crate) bytes: u64,
    /// Number that the frame should have.
    pub(crate) sequence: u64,
    /// What is wrong.
    pub(crate) why: &'static str,
    /// Nothing behind it is a frame, as a write leaves it that was cut off.
    pub(crate) is_tail: bool,
}

/// As it is said to whoever reads what there is.
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sequence, why, bytes, .. } = self;
        write!(f, "frame {sequence} of the log cannot be read ({why}): {bytes} bytes are left out")
    }
}

/// Where a frame begins, and what it follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FramePlace {
    position: Position,
    offset: u64,
}

/// Goes through the frames of one file.
#[derive(Debug)]
pub(crate) struct WalReader {
    path: PathBuf,
    reader: BufReader<File>,
    header: WalHeader,
    position: Position,
    offset: u64,
    bytes: u64,
}

impl WalReader {
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        let file = File::open(path).at("cannot open", path)?;
        Self::of(file, path)
    }

    /// Reads what the file holds by now; what is written later is not seen.
    pub(crate) fn of(file: File, path: &Path) -> Result<Self, LedgerError> {
        let bytes = file.metadata().at("cannot look at", path)?.len();
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        let mut header = [0; WalHeader::BYTES];
        if bytes < header.len() as u64 {
            return Err(LedgerError::malformed(path, "shorter than the head of a log file"));
        }
        reader.read_exact(&mut header).at("cannot read", path)?;
        let header = WalHeader::read(&header, path)?;
        let offset = WalHeader::BYTES as u64;
        Ok(Self { path: path.to_owned(), reader, header, position: header.position, offset, bytes })
    }

    /// Bytes of the file.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads no further than that, though the file may have grown.
    pub(crate) const fn until(mut self, bytes: u64) -> Self {
        if bytes < self.bytes {
            self.bytes = bytes;
        }
        self
    }

    pub(crate) const fn header(&self) -> &WalHeader {
        &self.header
    }

    /// What the next frame has to follow.
    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// Where the next frame begins, bytes from the beginning of the file.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the next frame begins.
    pub(crate) const fn place(&self) -> FramePlace {
        FramePlace { position: self.position, offset: self.offset }
    }

    /// Goes on with the frame at a place of this file.
    pub(crate) fn go_to(&mut self, place: FramePlace) -> Result<(), LedgerError> {
        let distance = place.offset.cast_signed() - self.offset.cast_signed();
        self.reader.seek_relative(distance).at("cannot read", &self.path)?;
        self.position = place.position;
        self.offset = place.offset;
        Ok(())
    }

    /// The next frame; none at the end of the file. After a fault there is no next.
    pub(crate) fn next(&mut self) -> Result<Option<Result<Frame, Fault>>, LedgerError> {
        let left = self.bytes - self.offset;
        if left == 0 {
            return Ok(None);
        }
        match self.read_frame(left).at("cannot read", &self.path)? {
            Ok((frame, bytes)) => {
                self.offset += bytes;
                self.position = Position {
                    next_sequence: frame.facts.sequence + 1,
                    next_record: frame.facts.first_record + u64::from(frame.facts.records),
                    previous: frame.hash,
                };
                Ok(Some(Ok(frame)))
            }
            Err(why) => {
                let is_tail = !self.has_frame_behind().at("cannot read", &self.path)?;
                let sequence = self.position.next_sequence;
                let fault = Fault { at: self.offset, bytes: left, sequence, why, is_tail };
                self.bytes = self.offset;
                Ok(Some(Err(fault)))
            }
        }
    }

    fn read_frame(&mut self, left: u64) -> std::io::Result<Result<(Frame, u64), &'static str>> {
        if left < HEADER_BYTES as u64 {
            return Ok(Err("it ends within the head of a frame"));
        }
        let mut head = [0; HEADER_BYTES];
        self.reader.read_exact(&mut head)?;
        let Some(header) = FrameHeader::read(&head) else {
            return Ok(Err("what stands there is no head of a frame"));
        };
        let bytes = HEADER_BYTES as u64 + u64::from(header.stored_bytes);
        if bytes > left {
            return Ok(Err("it ends within a frame"));
        }
        let mut stored = vec![0; header.stored_bytes as usize];
        self.reader.read_exact(&mut stored)?;
        if !header.checksum_is_right(&head, &stored) {
            return Ok(Err("its checksum is wrong"));
        }
        let facts = header.facts;
        if facts.sequence != self.position.next_sequence || facts.first_record != self.position.next_record {
            return Ok(Err("it does not have the number that follows"));
        }
        let Some(payload) = header.payload(&stored) else { return Ok(Err("it cannot be decompressed")) };
        if self.position.previous.next(&facts, &payload) != header.hash {
            return Ok(Err("its hash does not follow from the frame before and what it holds"));
        }
        let newlines = count_lines(&payload);
        if newlines != facts.records as usize {
            return Ok(Err("it does not hold as many records as it says"));
        }
        Ok(Ok((Frame { facts, hash: header.hash, payload }, bytes)))
    }

    /// Whether a frame with a right checksum stands anywhere behind the next byte.
    fn has_frame_behind(&mut self) -> std::io::Result<bool> {
        self.reader.seek(SeekFrom::Start(self.offset + 1))?;
        let mut rest = Vec::new();
        (&mut self.reader).take(self.bytes - self.offset - 1).read_to_end(&mut rest)?;
        Ok((0..rest.len().saturating_sub(HEADER_BYTES)).any(|at| {
            let head: &[u8; HEADER_BYTES] = rest[at..at + HEADER_BYTES].try_into().expect("of that length");
            let stored = FrameHeader::read(head).and_then(|header| {
                let begin = at + HEADER_BYTES;
                let stored = rest.get(begin..begin + header.stored_bytes as usize)?;
                Some((header, stored))
            });
            stored.is_some_and(|(header, stored)| header.checksum_is_right(head, stored))
        }))
    }
}

/// Newlines, counted in bytes as far as these go: many at once on processors that can.
fn count_lines(bytes: &[u8]) -> usize {
    let of_chunk = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>();
    bytes.chunks(u8::MAX.into()).map(|chunk| usize::from(of_chunk(chunk))).sum()
}
