//! Namespace and mount records.

use agent_common::NamespaceRecord;
use watchfire_model::{NamespaceEvent, Operation};

use super::DecodeError;
use super::text::{absolute, text, until_nul};
use super::wire::fixed;

/// `MS_BIND` and `MS_MOVE` of mount(2), whose source is a path.
const SOURCE_IS_PATH: u64 = 0x1000 | 0x2000;

pub(super) fn namespace(operation: Operation, bytes: &[u8]) -> Result<NamespaceEvent, DecodeError> {
    let (NamespaceRecord { flags, source_bytes, target_bytes, base_bytes, fs_type_bytes, .. }, mut tail) =
        fixed(bytes)?;
    let source = until_nul(tail.take(source_bytes)?);
    let target = until_nul(tail.take(target_bytes)?);
    let base = tail.take(base_bytes)?;
    let fs_type = until_nul(tail.take(fs_type_bytes)?);
    let full = |given: &[u8]| if given.is_empty() { String::new() } else { absolute(given, base) };
    // The base is that of the target: of move_mount(2) the source may have another.
    let source_is_path = match operation {
        Operation::PivotRoot => true,
        Operation::Mount => flags & SOURCE_IS_PATH != 0,
        _ => false,
    };
    Ok(NamespaceEvent {
        flags,
        source: if source_is_path { full(source) } else { text(source) },
        target: full(target),
        fs_type: text(fs_type),
    })
}
