//! A record with the place that it has in a table.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
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
pub(crate) struct Told {
    pub(crate) family: Family,
    pub(crate) time: i64,
    /// Records that it says are lost.
    pub(crate) lost: u64,
}

/// The beginning of a record, as far as its place goes.
#[derive(Default)]
struct Head {
    time: Option<WallTime>,
    record_type: Option<Family>,
    lost: u64,
}

impl Head {
    /// Nothing more is asked of the rest.
    fn is_enough(&self) -> bool {
        self.time.is_some() && self.record_type.is_some_and(|family| family != Family::Loss)
    }
}

impl<'de> Visitor<'de> for &mut Head {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "time" => self.time = map.next_value()?,
                "type" => self.record_type = Some(Family::of_type(&map.next_value::<Cow<'de, str>>()?)),
                "lost" | "suppressed" => {
                    let lost = map.next_value::<Option<u64>>()?.unwrap_or(0);
                    self.lost = self.lost.saturating_add(lost);
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
            if self.is_enough() {
                return Err(M::Error::custom("the rest is not read"));
            }
        }
        Ok(())
    }
}

impl Told {
    /// By a line without newline. Without a time of its own, it happened when it was written.
    pub(crate) fn by(line: &[u8], written_ns: i64) -> Self {
        let mut head = Head::default();
        let read = serde_json::Deserializer::from_slice(line).deserialize_map(&mut head);
        if read.is_err() && !head.is_enough() {
            // What is no record of ours is kept as an event without fields.
            head = Head::default();
        }
        let family = head.record_type.unwrap_or(Family::Event);
        let lost = if family == Family::Loss { head.lost } else { 0 };
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
