//! The tables of a ledger: each record is in the one of its family.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What records of a table tell of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Processes that started, changed their image or ended.
    Process,
    /// Connections.
    Flow,
    /// Questions to name servers.
    Dns,
    /// Everything else that processes did: files, credentials, capabilities, namespaces, memory, …
    Event,
    /// What somebody has to look at.
    Finding,
    /// Gaps.
    Loss,
}

impl Family {
    /// All tables.
    pub const ALL: [Self; 6] = [Self::Process, Self::Flow, Self::Dns, Self::Event, Self::Finding, Self::Loss];

    /// The table of records with this `type`. Types that this version does not know are events.
    #[must_use]
    pub fn of_type(record_type: &str) -> Self {
        match record_type {
            "process" => Self::Process,
            "flow" => Self::Flow,
            "dns" => Self::Dns,
            "finding" => Self::Finding,
            "loss" | "sink-loss" => Self::Loss,
            _ => Self::Event,
        }
    }

    /// Its name, in file names and manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Flow => "flow",
            Self::Dns => "dns",
            Self::Event => "event",
            Self::Finding => "finding",
            Self::Loss => "loss",
        }
    }

    /// The name of its file in a segment.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{}.parquet", self.as_str())
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Family {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|family| family.as_str() == text)
            .ok_or_else(|| "expected process, flow, dns, event, finding or loss".to_owned())
    }
}

/// A set of tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Families(u8);

impl Families {
    /// Every table.
    pub const ALL: Self = Self::of(&Family::ALL);

    /// The tables in the list.
    #[must_use]
    pub const fn of(families: &[Family]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < families.len() {
            bits |= 1 << families[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Whether the table is in the set.
    #[must_use]
    pub const fn contains(self, family: Family) -> bool {
        self.0 & 1 << family as u8 != 0
    }

    /// The tables of the set, in the order of their names in [`Family::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |family| self.contains(*family))
    }
}
