//! Texts of the kernel: bytes that are UTF-8 as a rule.

/// The text of kernel bytes. What is UTF-8 stays as it is, backslashes included. What is not is escaped as a whole:
/// each byte that belongs to no character becomes `\xNN`, and each backslash `\\`, so that the bytes can be told.
pub(crate) fn text(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if char == '\\' {
                escaped.push('\\');
            }
            escaped.push(char);
        }
        for byte in chunk.invalid() {
            escaped.push_str(&format!("\\x{byte:02x}"));
        }
    }
    escaped
}

/// Texts that are each closed by NUL; a last one that was cut counts as well.
pub(crate) fn strings(bytes: &[u8]) -> impl Iterator<Item = String> {
    pieces(bytes).map(text)
}

fn pieces(bytes: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    let list = (!bytes.is_empty()).then(|| bytes.split(|&byte| byte == 0));
    list.into_iter().flatten()
}

/// A text that ends at its first NUL, if it has one.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The path whose components come from the file upwards.
pub(super) fn path(components: &[u8]) -> String {
    text(&path_bytes(components))
}

fn path_bytes(components: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(components.len() + 1);
    // The root of a filesystem whose mount is not known is a component of its own, by the name of `/`.
    for name in pieces(components).rev().filter(|name| *name != b"/") {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// The absolute path of a text that a caller gave, relative to `base` (components from the folder upwards) unless it
/// begins at the root. `.` and `..` are folded, symbolic links not followed. An empty text means the base itself.
pub(super) fn absolute(given: &[u8], base: &[u8]) -> String {
    let given = until_nul(given);
    let start = if given.first() == Some(&b'/') { Vec::new() } else { path_bytes(base) };
    let mut folded: Vec<&[u8]> = Vec::new();
    for name in start.split(|&byte| byte == b'/').chain(given.split(|&byte| byte == b'/')) {
        match name {
            b"" | b"." => {}
            b".." => _ = folded.pop(),
            name => folded.push(name),
        }
    }
    let mut path = Vec::with_capacity(start.len() + given.len() + 1);
    for name in folded {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    text(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_can_be_told() {
        for (bytes, expected) in [
            (&b"plain \\x41"[..], "plain \\x41"),
            ("ü\n".as_bytes(), "ü\n"),
            (b"a\xffb\\c", "a\\xffb\\\\c"),
            (b"\xc3", "\\xc3"),
            (b"", ""),
        ] {
            assert_eq!(text(bytes), expected);
        }
    }

    #[test]
    fn paths() {
        for (components, expected) in [
            (&b"sh\0bin\0usr\0"[..], "/usr/bin/sh"),
            (b"", "/"),
            (b"x\xfe\0", "/x\\xfe"),
            (b"a\0b", "/b/a"),
            (b"x\0/\0", "/x"),
        ] {
            assert_eq!(path(components), expected);
        }
    }

    #[test]
    fn texts_are_joined_and_folded() {
        let base = b"b\0a\0";
        for (given, base, expected) in [
            (&b"x"[..], &base[..], "/a/b/x"),
            (b"./x/../y", base, "/a/b/y"),
            (b"../../../x", base, "/x"),
            (b"/x//y/.", base, "/x/y"),
            (b"", base, "/a/b"),
            (b"x\0rest", b"", "/x"),
            (b"..", b"", "/"),
            (b"\xff", base, "/a/b/\\xff"),
        ] {
            assert_eq!(absolute(given, base), expected);
        }
    }
}
