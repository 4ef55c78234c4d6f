//! Names of objects. Tables lie by cluster, node, date and family, as Hive has partitions; what proves them lies apart,
//! below a name that readers of partitions pass over, and never ends in `.parquet`.

use object_store::path::{Path, PathPart};
use watchfire_ledger::{Family, LedgerId, Manifest, PublicKey, SealedSegment, SignedHorizon};
use watchfire_model::WallTime;

/// Above everything that is no table.
pub(crate) const PROOF: &str = "_manifests";
/// Keys of partitions, which begin their values.
pub(crate) const CLUSTER: &str = "cluster";
pub(crate) const NODE: &str = "node";
const DATE: &str = "date";
const FAMILY: &str = "family";

/// Digits of a public key in the name of its object.
const KEY_DIGITS: usize = 16;

/// Whose ledger it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the node.
    pub node: String,
    /// Id of the ledger.
    pub ledger: LedgerId,
}

impl Source {
    /// The object of a table.
    pub(crate) fn table(&self, root: &Path, manifest: &Manifest, family: Family) -> Path {
        let file = format!("{}-{:012}.parquet", self.ledger, manifest.segment);
        let parts = [
            partition(CLUSTER, &self.cluster),
            partition(NODE, &self.node),
            partition(DATE, &date(manifest.latest())),
            partition(FAMILY, family.as_str()),
            file,
        ];
        below(root, &parts)
    }

    /// What proves this ledger.
    pub(crate) fn proof(&self, root: &Path) -> Path {
        let parts = [
            PROOF.to_owned(),
            partition(CLUSTER, &self.cluster),
            partition(NODE, &self.node),
            self.ledger.to_string(),
        ];
        below(root, &parts)
    }

    /// What the ledger says of itself.
    pub(crate) fn identity(&self, root: &Path, format: u32) -> Path {
        self.proof(root).join(format!("ledger-{format}.json"))
    }

    /// The key that signs.
    pub(crate) fn key(&self, root: &Path, key: &PublicKey) -> Path {
        self.proof(root).join(format!("node-{}.pub", &key.to_string()[..KEY_DIGITS]))
    }

    /// The folder of what proves a segment.
    pub(crate) fn segment(&self, root: &Path, segment: u64) -> Path {
        extend(self.proof(root), &SealedSegment::folder(segment))
    }

    /// What says that segments before the next one were removed.
    pub(crate) fn removed(&self, root: &Path, segment: u64) -> Path {
        extend(self.proof(root), &SignedHorizon::file_in_bundle(segment))
    }
}

/// A name with its slashes.
pub(crate) fn extend(path: Path, more: &str) -> Path {
    more.split('/').fold(path, Path::join)
}

/// Characters that are no part of a name are encoded by percent signs, as Hive has it.
fn below(root: &Path, parts: &[String]) -> Path {
    parts.iter().fold(root.clone(), |path, part| path.join(PathPart::from(part.as_str())))
}

fn partition(key: &str, value: &str) -> String {
    format!("{key}={value}")
}

/// The value of a partition in a name.
pub(crate) fn value_of(part: &str, key: &str) -> Option<String> {
    let value = part.strip_prefix(key)?.strip_prefix('=')?;
    Some(decode(value))
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|code| u8::from_str_radix(str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The day, in UTC.
fn date(time: WallTime) -> String {
    time.to_string().split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_stay_one_part_and_are_read_back() {
        for name in ["node-1", "a/b", "..", "50%", "ü=ß", "a b", "x*?", ""] {
            let source = Source { cluster: name.to_owned(), node: "n".to_owned(), ledger: LedgerId([1; 16]) };
            let proof = source.proof(&Path::from("prefix")).to_string();
            let parts: Vec<&str> = proof.split('/').collect();
            assert_eq!(parts.len(), 5, "{proof}");
            assert_eq!(value_of(parts[2], CLUSTER).as_deref(), Some(name), "{proof}");
        }
        assert_eq!(value_of("node=a", CLUSTER), None);
    }

    #[test]
    fn days_are_those_of_utc() {
        assert_eq!(date(WallTime(1_700_000_001_500_000_007)), "2023-11-14");
        assert_eq!(date(WallTime(-1)), "1969-12-31");
    }
}
