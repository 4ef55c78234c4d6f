//! Records of one frame of a log file, in the order of time.

use std::vec;

use bytes::Bytes;
use serde_json::Value;
use watchfire_model::WallTime;

use super::explain::Explanation;
use super::log::LogFrames;
use super::stop::StopSign;
use super::{Found, SearchQuery};
use crate::error::LedgerError;
use crate::family::Family;
use crate::segment::Told;
use crate::wal::{FramePlace, WalReader};

pub(super) fn time_of(line: &[u8], wall_ns: i64) -> WallTime {
    WallTime(Told::by(line, wall_ns).time)
}

/// The times of the earliest and the latest record; none if there is no record.
pub(crate) fn time_range(
    reader: WalReader,
    explanation: &mut Explanation,
) -> Result<Option<(WallTime, WallTime)>, LedgerError> {
    let mut frames = LogFrames::default();
    frames.extend(reader, explanation, &StopSign::default())?;
    Ok(frames.range())
}

/// What is wanted of one frame.
#[derive(Debug)]
pub(super) struct WalCursor(vec::IntoIter<(WallTime, u64, Bytes)>);

impl WalCursor {
    /// Reads the frame; none where it cannot be read any more.
    pub(super) fn read(
        reader: &mut WalReader,
        place: FramePlace,
        query: &SearchQuery,
    ) -> Result<Option<Self>, LedgerError> {
        reader.go_to(place)?;
        let Some(Ok(frame)) = reader.next()? else { return Ok(None) };
        let payload = Bytes::from(frame.payload);
        let mut records = Vec::new();
        let mut begin = 0;
        let lines = payload.split_inclusive(|byte| *byte == b'\n');
        for (seq, line) in (frame.facts.first_record..).zip(lines) {
            let range = begin..begin + line.len() - usize::from(line.ends_with(b"\n"));
            begin += line.len();
            let time = time_of(&payload[range.clone()], frame.facts.wall_ns);
            if query.covers(time.0) && query.numbers.has(seq) {
                records.push((time, seq, payload.slice(range)));
            }
        }
        records.sort_by_key(|(time, seq, _)| (*time, *seq));
        Ok(Some(Self(records.into_iter())))
    }

    pub(super) fn next(&mut self, query: &SearchQuery) -> Option<Found> {
        let (time, seq, line) = self.0.find(|(time, _, line)| is_wanted(line, *time, query))?;
        // Whoever keeps a record does not keep the whole frame.
        Some(Found { time, seq, line: Bytes::copy_from_slice(&line) })
    }
}

fn is_wanted(line: &[u8], time: WallTime, query: &SearchQuery) -> bool {
    let record: Value = serde_json::from_slice(line).unwrap_or(Value::Null);
    let family = Family::of_type(record.get("type").and_then(Value::as_str).unwrap_or_default());
    query.families.contains(family) && query.filter.matches_in(family, &record, Some(time.0))
}
