//! Which frame it is that a changed table has no longer as it was written.

use std::collections::HashMap;

use bytes::Bytes;

use super::Fault;
use crate::hash::FrameHasher;
use crate::segment::{FRAMES_FILE, SEQ, Segment, TableReader, read_frames};

/// Names the first frame whose records are not as written, where its segment's hashes can be read still.
pub(super) fn blame(segment: &Segment, fault: Fault) -> Fault {
    let Ok(frames) = read_frames(&segment.dir.join(FRAMES_FILE)) else { return fault };
    let lines = readable_lines(segment);
    let mut previous = segment.manifest.frames.previous_hash;
    for frame in &frames {
        let mut hasher = FrameHasher::new(&previous, &frame.facts);
        let seqs = frame.facts.first_record..frame.facts.first_record + u64::from(frame.facts.records);
        let is_whole = seqs.map(|seq| lines.get(&seq)).all(|line| {
            let Some(line) = line else { return false };
            hasher.update(line);
            hasher.update(b"\n");
            true
        });
        if !is_whole || hasher.finish() != frame.hash {
            return fault.at_frame(frame.facts.sequence);
        }
        previous = frame.hash;
    }
    let why = format!("{}; its records have their hashes, what changed is beside them", fault.why);
    Fault { why, ..fault }
}

/// The lines that can be read, by their numbers. Up to where a table cannot be read further, it is read.
fn readable_lines(segment: &Segment) -> HashMap<u64, Bytes> {
    let mut found = HashMap::new();
    for (family, sum) in &segment.manifest.tables {
        let path = segment.dir.join(family.file_name());
        let Ok(table) = TableReader::open_damaged(&path, sum) else { continue };
        for group in 0..table.groups() {
            let (Ok(seqs), Ok(mut lines)) = (table.numbers(group, SEQ), table.lines(group)) else { continue };
            for (row, seq) in seqs.into_iter().enumerate() {
                let Ok(line) = lines.get(row) else { break };
                found.insert(seq.cast_unsigned(), line);
            }
        }
    }
    found
}
