//! Policies, kept whole.

use std::io;

use serde_json::Value;

use super::Wrong;
use super::meta::Meta;
use crate::{PolicyObject, ResourceKind};

/// Largest policy that is kept, bytes of JSON. The store behind the API takes no request above 1.5 MiB.
pub const MANIFEST_POLICY_BYTES_MAX: usize = 2 << 20;

/// Takes away what no policy engine reads, and adds what lists leave out.
pub(super) fn read(
    kind: ResourceKind,
    api_version: &str,
    mut value: Value,
) -> Result<(PolicyObject, Meta), Wrong> {
    let object = value.as_object_mut().ok_or_else(|| Wrong::top("expected a map"))?;
    object.remove("status");
    object.entry("apiVersion").or_insert_with(|| api_version.into());
    object.entry("kind").or_insert_with(|| kind.name().into());
    let metadata = object.get_mut("metadata").ok_or_else(|| Wrong::top("missing field `metadata`"))?;
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("managedFields");
    }
    let metadata: Meta = serde_path_to_error::deserialize(&*metadata).map_err(|error| {
        let inner = error.path().to_string();
        let path = if inner == "." { "metadata".to_owned() } else { format!("metadata.{inner}") };
        Wrong { path, message: error.into_inner().to_string() }
    })?;
    let mut size = Size(0);
    if serde_json::to_writer(&mut size, &value).is_err() {
        return Err(Wrong::top(&format!("larger than {MANIFEST_POLICY_BYTES_MAX} bytes of JSON")));
    }
    Ok((PolicyObject { kind, key: metadata.key(), value }, metadata))
}

/// Bytes written so far; more than [`MANIFEST_POLICY_BYTES_MAX`] are refused.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > MANIFEST_POLICY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
