//! Names, which may point back to where a part of them stands already.

use super::{DnsError, Stop};
use crate::cursor::{Cursor, Ended};
use crate::text::push_escaped;

/// Longest name in bytes of a message (RFC 1035, section 2.3.4). As text, each byte takes up to four.
pub const NAME_BYTES_MAX: usize = 255;
/// Most compression pointers that a name is followed through. Each could only leave out one label of the name.
pub const NAME_POINTERS_MAX: usize = NAME_BYTES_MAX / 2;

/// What has a meaning of its own in master files, and so a backslash before it in names.
const SPECIAL: &[u8] = b".\\\"();@$";

/// The name that begins at `at` in `message`, and where in the message reading goes on after it.
pub(super) fn read(message: &[u8], at: usize) -> Result<(String, usize), Stop> {
    let from = |at: usize| message.get(at..).map(Cursor::new).ok_or(Ended);
    let mut cursor = from(at)?;
    let mut text = String::new();
    // Of labels and their lengths, and the empty label at the end.
    let mut name_bytes = 1;
    let mut pointers = 0;
    // Where the present run of labels begins: a pointer goes before it, so no way leads round in circles.
    let mut run_at = at;
    let mut end = None;
    loop {
        let length = usize::from(cursor.u8()?);
        match length >> 6 {
            0b00 if length == 0 => break,
            0b00 => {
                let label = cursor.take(length)?;
                name_bytes += 1 + length;
                if name_bytes > NAME_BYTES_MAX {
                    return Err(DnsError::NameTooLong.into());
                }
                if !text.is_empty() {
                    text.push('.');
                }
                push_escaped(&mut text, label, SPECIAL);
            }
            0b11 => {
                let target = (length & 0x3F) << 8 | usize::from(cursor.u8()?);
                pointers += 1;
                if target >= run_at || pointers > NAME_POINTERS_MAX {
                    return Err(DnsError::Pointer.into());
                }
                end.get_or_insert(message.len() - cursor.rest().len());
                run_at = target;
                cursor = from(target)?;
            }
            _ => return Err(DnsError::Label.into()),
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    Ok((text, end.unwrap_or(message.len() - cursor.rest().len())))
}
