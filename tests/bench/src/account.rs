//! What was to be told of the work, and what became of it.

use serde::Serialize;

use crate::subject::Subject;
use crate::workload::{CONNECTIONS_PORT, Workload};

/// What an agent is to tell of the work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    /// Records of one operation.
    pub(crate) each: u64,
    /// Kinds of kernel records that these come from.
    pub(crate) kinds: &'static [&'static str],
    /// What each of their lines contains.
    pub(crate) texts: Box<[String]>,
}

impl Wanted {
    /// Of a workload beside an agent or a peer; none where nothing is to be told.
    pub(crate) fn of(workload: Workload, subject: Subject, tag: &str, watched: &str) -> Option<Self> {
        if let Some(peer) = subject.peer() {
            return peer.wanted(workload, tag, watched);
        }
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        if !matches!(subject, Subject::Idle | Subject::Default | Subject::All) {
            return None;
        }
        match workload {
            Workload::Exec => Some(Self {
                each: 1,
                kinds: &["process-exec"],
                texts: texts(&[r#""type":"process","action":"exec""#, &format!(r#"nothing","{tag}""#)]),
            }),
            Workload::Open if subject == Subject::All => Some(Self {
                each: 1,
                kinds: &["file"],
                texts: texts(&[r#""type":"file","operation":"open""#, watched]),
            }),
            // Both ends are on this machine.
            Workload::Connect => Some(Self {
                each: 2,
                kinds: &["tcp-open", "tcp-close"],
                texts: texts(&[
                    r#""type":"flow","stage":"close""#,
                    &format!(r#""server":{{"address":"127.0.0.1:{CONNECTIONS_PORT}""#),
                ]),
            }),
            Workload::Getppid | Workload::Open | Workload::Stream | Workload::Datagram => None,
        }
    }
}

/// What became of what was to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Account {
    /// To be told.
    pub(crate) expected: u64,
    /// Told: lines of the agent's log, records that a design has read.
    pub(crate) told: u64,
    /// Over a limit of rate, and counted as such.
    pub(crate) suppressed: u64,
    /// Lost in the kernel, and counted as such.
    pub(crate) dropped: u64,
    /// Dropped by outputs that were too slow, of whatever kind, and counted as such.
    pub(crate) sinks_dropped: u64,
}

impl Account {
    /// Both together.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            expected: self.expected + other.expected,
            told: self.told + other.told,
            suppressed: self.suppressed + other.suppressed,
            dropped: self.dropped + other.dropped,
            sinks_dropped: self.sinks_dropped + other.sinks_dropped,
        }
    }

    /// Lost without a word; other work of the machine may make more told than was expected.
    pub(crate) const fn unexplained(self) -> u64 {
        self.expected.saturating_sub(self.told + self.suppressed + self.dropped + self.sinks_dropped)
    }
}
