//! Which ledger a directory is, and of which format.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::LedgerError;
use crate::files;
use crate::hash::parse_hex;

/// The format of everything in the directory. A version refuses what is newer than itself.
pub const FORMAT: u32 = 1;

/// The file that says whose the directory is.
pub const IDENTITY_FILE: &str = "ledger.json";

/// Random name of a ledger: what two ledgers hold can never be mixed up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LedgerId(pub [u8; 16]);

/// What `ledger.json` says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// Format of the directory.
    pub format: u32,
    /// Random name.
    pub id: LedgerId,
    /// Node that wrote it.
    pub node: String,
}

impl Identity {
    /// Reads what a directory says of itself; none if it has no ledger.
    pub fn read(dir: &Path) -> Result<Option<Self>, LedgerError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let path = dir.join(IDENTITY_FILE);
        let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
        let malformed = |error: serde_json::Error| LedgerError::malformed(&path, error.to_string());
        let Head { format } = serde_json::from_slice(&bytes).map_err(malformed)?;
        if format > FORMAT {
            return Err(LedgerError::Newer { path, found: format, expected: FORMAT });
        }
        serde_json::from_slice(&bytes).map(Some).map_err(malformed)
    }

    /// Reads it, or begins a new ledger.
    pub(crate) fn read_or_create(dir: &Path, node: &str) -> Result<Self, LedgerError> {
        if let Some(identity) = Self::read(dir)? {
            return Ok(identity);
        }
        let mut id = [0; 16];
        let path = dir.join(IDENTITY_FILE);
        let refused = |_| LedgerError::Key { path: path.clone(), why: "the system has no random numbers" };
        SystemRandom::new().fill(&mut id).map_err(refused)?;
        let identity = Self { format: FORMAT, id: LedgerId(id), node: node.to_owned() };
        identity.write(dir)?;
        Ok(identity)
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<(), LedgerError> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("it has string keys only");
        bytes.push(b'\n');
        files::replace(&dir.join(IDENTITY_FILE), &bytes)
    }
}

impl Serialize for LedgerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for LedgerId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex(text).map(Self).ok_or("expected 32 hexadecimal digits")
    }
}

impl<'de> Deserialize<'de> for LedgerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
