//! Where the records of a log file stand, in the order of tables: so a segment is made without all its lines in memory.

use std::path::Path;

use bytes::Bytes;

use super::entry::{Entry, Told};
use super::frames::SealedFrame;
use crate::error::LedgerError;
use crate::family::Family;
use crate::wal::{Fault, FramePlace, WalReader};

/// A record, and where its line is. In the order of tables, and in each of time and number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Indexed {
    pub(super) family: Family,
    pub(super) time: i64,
    seq: u64,
    frame: u32,
    begin: u32,
    length: u32,
}

/// All frames and records of a log file.
#[derive(Debug)]
pub(super) struct Index {
    reader: WalReader,
    pub(super) frames: Vec<SealedFrame>,
    places: Vec<FramePlace>,
    /// In their order.
    pub(super) records: Vec<Indexed>,
    /// Records that these say are lost.
    pub(super) lost: u64,
}

impl Index {
    /// Reads the whole file. After a fault in it there is none.
    pub(super) fn of(mut reader: WalReader, path: &Path) -> Result<Self, LedgerError> {
        let (mut frames, mut places, mut records, mut lost) = (Vec::new(), Vec::new(), Vec::new(), 0);
        loop {
            let place = reader.place();
            let Some(frame) = reader.next()? else { break };
            let frame = frame.map_err(|fault| damaged(path, &fault))?;
            let mut begin = 0;
            for (seq, line) in frame.records() {
                let Told { family, time, lost: told } = Told::by(line, frame.facts.wall_ns);
                let length = line.len() as u32;
                records.push(Indexed { family, time, seq, frame: frames.len() as u32, begin, length });
                // The newline is no part of it.
                begin += length + 1;
                lost += told;
            }
            places.push(place);
            frames.push(SealedFrame { facts: frame.facts, hash: frame.hash });
        }
        records.sort_unstable();
        Ok(Self { reader, frames, places, records, lost })
    }

    /// Some records with their lines, which share memory.
    pub(super) fn read(&mut self, path: &Path, records: &[Indexed]) -> Result<Vec<Entry>, LedgerError> {
        let mut by_place: Vec<usize> = (0..records.len()).collect();
        by_place.sort_unstable_by_key(|at| (records[*at].frame, records[*at].begin));
        let mut lines = Vec::with_capacity(records.iter().map(|record| record.length as usize).sum());
        let mut begins = vec![0; records.len()];
        for of_frame in by_place.chunk_by(|one, other| records[*one].frame == records[*other].frame) {
            let place = self.places[records[of_frame[0]].frame as usize];
            self.reader.go_to(place)?;
            let gone = || LedgerError::malformed(path, "it became shorter while it was sealed");
            let frame = self.reader.next()?.ok_or_else(gone)?.map_err(|fault| damaged(path, &fault))?;
            for at in of_frame {
                begins[*at] = lines.len();
                let Indexed { begin, length, .. } = records[*at];
                let line = begin as usize..(begin + length) as usize;
                lines.extend_from_slice(frame.payload.get(line).ok_or_else(gone)?);
            }
        }
        let lines = Bytes::from(lines);
        let entry = |(record, begin): (&Indexed, usize)| {
            let line = lines.slice(begin..begin + record.length as usize);
            Entry { family: record.family, time: record.time, seq: record.seq, line }
        };
        Ok(records.iter().zip(begins).map(entry).collect())
    }
}

fn damaged(wal: &Path, fault: &Fault) -> LedgerError {
    LedgerError::malformed(wal, format!("frame {} at byte {}: {}", fault.sequence, fault.at, fault.why))
}
