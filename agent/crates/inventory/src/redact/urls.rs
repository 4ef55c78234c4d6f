//! Passwords in URLs.

use super::REDACTED;

/// The password in the authority of URLs (`scheme://user:password@host`, RFC 3986 3.2.1), wherever they stand.
pub(super) fn redact_urls(arg: String) -> String {
    if !arg.contains("://") {
        return arg;
    }
    let mut redacted = String::with_capacity(arg.len());
    let mut rest = arg.as_str();
    while let Some((before, after)) = rest.split_once("://") {
        redacted.push_str(before);
        redacted.push_str("://");
        let end =
            after.find(|char: char| matches!(char, '/' | '?' | '#' | '"' | '\'') || char.is_whitespace());
        let (authority, tail) = after.split_at(end.unwrap_or(after.len()));
        match authority.rsplit_once('@').and_then(|(info, host)| Some((info.split_once(':')?.0, host))) {
            Some((user, host)) => redacted.push_str(&format!("{user}:{REDACTED}@{host}")),
            None => redacted.push_str(authority),
        }
        rest = tail;
    }
    redacted.push_str(rest);
    redacted
}
