//! Bytes of the network as text.

use std::fmt::Write as _;

/// Appends bytes: printable ASCII as it is, what is in `special` after a backslash, everything else as `\DDD`, as in master
/// files of DNS (RFC 1035, section 5.1).
pub(crate) fn push_escaped(text: &mut String, bytes: &[u8], special: &[u8]) {
    for &byte in bytes {
        push_byte(text, byte, special);
    }
}

/// The same as a text of up to `bytes_max`, and whether something was left out.
pub(crate) fn escaped_within(bytes: &[u8], special: &[u8], bytes_max: usize) -> (String, bool) {
    let mut text = String::with_capacity(bytes.len().min(bytes_max));
    for &byte in bytes {
        let before = text.len();
        push_byte(&mut text, byte, special);
        if text.len() > bytes_max {
            text.truncate(before);
            return (text, true);
        }
    }
    (text, false)
}

fn push_byte(text: &mut String, byte: u8, special: &[u8]) {
    if special.contains(&byte) {
        text.push('\\');
        text.push(char::from(byte));
    } else if byte.is_ascii_graphic() {
        text.push(char::from(byte));
    } else {
        write!(text, "\\{byte:03}").expect("a String takes every write");
    }
}
