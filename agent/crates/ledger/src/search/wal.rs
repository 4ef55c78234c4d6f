//! Records of one log file, in the order of time.

use std::vec;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use watchfire_model::WallTime;

use super::explain::Explanation;
use super::{Found, SearchQuery};
use crate::error::LedgerError;
use crate::family::Family;
use crate::snapshot::Log;
use crate::wal::WalReader;

#[derive(Deserialize, Default)]
struct Head {
    #[serde(default)]
    time: Option<WallTime>,
}

fn time_of(line: &[u8], wall_ns: i64) -> WallTime {
    let head: Head = serde_json::from_slice(line).unwrap_or_default();
    head.time.unwrap_or(WallTime(wall_ns))
}

/// The times of the earliest and the latest record; none if there is no record.
pub(crate) fn time_range(
    mut reader: WalReader,
    explanation: &mut Explanation,
) -> Result<Option<(WallTime, WallTime)>, LedgerError> {
    let mut range: Option<(WallTime, WallTime)> = None;
    while let Some(frame) = reader.next()? {
        let frame = match frame {
            Ok(frame) => frame,
            Err(fault) => {
                explanation.unreadable.push(fault.to_string());
                break;
            }
        };
        explanation.log_records += u64::from(frame.facts.records);
        for (_, line) in frame.records() {
            let time = time_of(line, frame.facts.wall_ns);
            let (earliest, latest) = range.unwrap_or((time, time));
            range = Some((earliest.min(time), latest.max(time)));
        }
    }
    Ok(range)
}

/// What is wanted of one log file.
#[derive(Debug)]
pub(super) struct WalCursor(vec::IntoIter<Found>);

impl WalCursor {
    /// Reads the file through: a log file is no longer than a segment may be.
    pub(super) fn read(log: &Log, query: &SearchQuery) -> Result<Self, LedgerError> {
        let mut reader = log.reader()?;
        let mut wanted = Vec::new();
        while let Some(Ok(frame)) = reader.next()? {
            for (seq, line) in frame.records() {
                let time = time_of(line, frame.facts.wall_ns);
                if query.covers(time.0) && is_wanted(line, time, query) {
                    wanted.push(Found { time, seq, line: Bytes::copy_from_slice(line) });
                }
            }
        }
        wanted.sort_by_key(|found| (found.time, found.seq));
        Ok(Self(wanted.into_iter()))
    }

    pub(super) fn next(&mut self) -> Option<Found> {
        self.0.next()
    }
}

fn is_wanted(line: &[u8], time: WallTime, query: &SearchQuery) -> bool {
    let record: Value = serde_json::from_slice(line).unwrap_or(Value::Null);
    let family = Family::of_type(record.get("type").and_then(Value::as_str).unwrap_or_default());
    query.families.contains(family) && query.filter.matches_in(family, &record, Some(time.0))
}
