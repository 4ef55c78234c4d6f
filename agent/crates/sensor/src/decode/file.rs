//! File records.

use agent_common::{
    EVENT_UNREADABLE, FILE_BY_INODE, FILE_LENGTH_UNKNOWN, FILE_OTHER_TEXT, FILE_PATH_IN_FILESYSTEM,
    FILE_PATH_TEXT, FileRecord,
};
use watchfire_model::{Device, FileEvent, Operation};

use super::DecodeError;
use super::text::{absolute, path, text, until_nul};
use super::wire::fixed;

pub(super) fn file(operation: Operation, bytes: &[u8]) -> Result<FileEvent, DecodeError> {
    let (record, mut tail) = fixed::<FileRecord>(bytes)?;
    let first = tail.take(record.path_bytes)?;
    let base = tail.take(record.base_bytes)?;
    let other = tail.take(record.other_bytes)?;
    let other_base = tail.take(record.other_base_bytes)?;
    let name = tail.take(record.name_bytes)?;
    let flag = |flag: u16| record.path_flags & flag != 0;
    let path_textual = flag(FILE_PATH_TEXT);
    let other_path = match operation {
        // What a symbolic link says means something only where it is followed.
        Operation::Symlink => Some(text(until_nul(other))),
        Operation::Rename | Operation::Link if flag(FILE_OTHER_TEXT) => Some(absolute(other, other_base)),
        Operation::Rename | Operation::Link => Some(path(other)),
        _ => None,
    };
    Ok(FileEvent {
        path: match first {
            // Not the root, which has no components either.
            b"" if record.head.flags & EVENT_UNREADABLE != 0 => String::new(),
            first if path_textual => absolute(first, base),
            first => path(first),
        },
        path_textual,
        path_in_filesystem: flag(FILE_PATH_IN_FILESYSTEM),
        other_path,
        by_inode: flag(FILE_BY_INODE),
        inode: record.inode,
        device: Device(record.device),
        mode: record.mode,
        flags: record.flags,
        value: record.value,
        group: record.group,
        length: (record.length != FILE_LENGTH_UNKNOWN).then_some(record.length),
        attribute: text(until_nul(name)),
    })
}
