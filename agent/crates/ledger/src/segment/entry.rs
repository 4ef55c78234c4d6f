//! A record with the place that it has in a table.

use bytes::Bytes;
use serde::Deserialize;
use watchfire_model::WallTime;

use crate::family::Family;
use crate::wal::Frame;

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) family: Family,
    pub(crate) time: i64,
    pub(crate) seq: u64,
    pub(crate) line: Bytes,
}

/// What a record says of itself, as far as its place goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) family: Family,
    pub(super) time: i64,
    /// Records that it says are lost.
    pub(super) lost: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Head<'a> {
    time: Option<WallTime>,
    #[serde(rename = "type", borrow)]
    record_type: std::borrow::Cow<'a, str>,
    lost: Option<u64>,
    suppressed: Option<u64>,
}

impl Told {
    /// By a line without newline. Without a time of its own, it happened when it was written.
    pub(super) fn by(line: &[u8], written_ns: i64) -> Self {
        // What is no record of ours is kept as an event without fields.
        let head: Head<'_> = serde_json::from_slice(line).unwrap_or_default();
        let family = Family::of_type(&head.record_type);
        let lost = head.lost.unwrap_or(0).saturating_add(head.suppressed.unwrap_or(0));
        let lost = if family == Family::Loss { lost } else { 0 };
        Self { family, time: head.time.map_or(written_ns, |WallTime(ns)| ns), lost }
    }
}

impl Entry {
    /// The record of a line without newline.
    pub(crate) fn of(line: Bytes, seq: u64, written_ns: i64) -> Self {
        let Told { family, time, lost: _ } = Told::by(&line, written_ns);
        Self { family, time, seq, line }
    }

    /// The records of a frame, in its order. They share its memory.
    pub(crate) fn of_frame(frame: Frame) -> Vec<Self> {
        let payload = Bytes::from(frame.payload);
        let mut entries = Vec::with_capacity(frame.facts.records as usize);
        let mut seq = frame.facts.first_record;
        let mut begin = 0;
        while let Some(length) = payload[begin..].iter().position(|byte| *byte == b'\n') {
            entries.push(Self::of(payload.slice(begin..begin + length), seq, frame.facts.wall_ns));
            seq += 1;
            begin += length + 1;
        }
        entries
    }

    /// Whether a text is a part of the line, and not only equal to one.
    pub(crate) fn has(&self, text: &str) -> bool {
        let (line, text) = (self.line.as_ptr_range(), text.as_bytes().as_ptr_range());
        line.start <= text.start && text.end <= line.end
    }
}
