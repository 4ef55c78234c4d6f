//! The JSON form of records, encoded once for every sink.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use watchfire_model::{Record, RecordBody};

/// First size of the scratch buffer in bytes; it grows to the longest line seen.
const SCRATCH_BYTES: usize = 4096;

macro_rules! record_types {
    ($($(#[$doc:meta])* $name:ident $text:literal,)+) => {
        /// The `type` of a line of the event log.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum RecordType {
            $($(#[$doc])* $name,)+
        }

        impl RecordType {
            /// All types.
            pub const ALL: [Self; 15] = [$(Self::$name,)+];

            /// The value of `type` in the line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            pub(crate) const fn of(body: &RecordBody) -> Self {
                match body { $(RecordBody::$name(_) => Self::$name,)+ }
            }
        }
    };
}

record_types! {
    /// A process started, changed its image or ended.
    Process "process",
    /// A connection opened, ended or failed.
    Flow "flow",
    /// A name was asked for.
    Dns "dns",
    /// Users, groups or capability sets changed.
    Credentials "credentials",
    /// A dangerous capability was used.
    Capability "capability",
    /// Something was done to a watched file.
    File "file",
    /// Namespaces or mounts were changed.
    Namespace "namespace",
    /// Code or an observer entered the kernel.
    Kernel "kernel",
    /// Code or control entered a process.
    Memory "memory",
    /// A socket was made, bound, put to listen or connected.
    Socket "socket",
    /// A signal went to another container, or to the agent.
    Signal "signal",
    /// A socket became standard input, output or error.
    Stdio "stdio",
    /// Something deserves attention.
    Finding "finding",
    /// Somebody asked the agent's API.
    ApiAccess "api-access",
    /// Records were lost.
    Loss "loss",
}

/// One record as one JSON line. Clones share the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncodedRecord {
    /// What the line tells of, so that filters need not parse it.
    pub record_type: RecordType,
    /// The JSON object and its closing newline.
    pub line: Bytes,
    /// The number that it has in the ledger once it is written there; none where there is none.
    pub number: Option<u64>,
}

/// Encodes records; keeps its buffer between them.
#[derive(Debug, Default)]
pub struct Encoder {
    scratch: Vec<u8>,
}

impl Encoder {
    /// An encoder with an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self { scratch: Vec::with_capacity(SCRATCH_BYTES) }
    }

    /// The record as one line.
    #[must_use]
    pub fn encode(&mut self, record: &Record) -> EncodedRecord {
        self.scratch.clear();
        serde_json::to_writer(&mut self.scratch, record)
            .expect("a record has string keys only and a Vec takes every write");
        self.scratch.push(b'\n');
        // Copied to its exact size: records wait in queues, and there the memory has to be what is counted.
        EncodedRecord {
            record_type: RecordType::of(&record.body),
            line: Bytes::copy_from_slice(&self.scratch),
            number: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use watchfire_model::{KindCounters, LossRecord, RecordKind, WallTime};

    use super::*;

    #[test]
    fn a_line_is_one_line_and_names_its_type() {
        let record = Record {
            time: WallTime(0),
            boot_ns: 7,
            cluster: None,
            enrichment: None,
            node: Arc::from("node\n1"),
            body: RecordBody::Loss(Box::new(LossRecord {
                kind: RecordKind::TcpOpen,
                cgroup_id: None,
                cgroup: None,
                pod: None,
                lost: 3,
                suppressed: 0,
                first: WallTime(0),
                last: WallTime(0),
                counters: KindCounters::default(),
            })),
        };
        let encoded = Encoder::new().encode(&record);
        let text = std::str::from_utf8(&encoded.line).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.ends_with("}\n"));
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(value["type"], encoded.record_type.as_str());
        assert_eq!(value["node"], "node\n1");
    }
}
