//! Connection strings: `Server=db;User Id=app;Password=two words;` of ADO.NET, ODBC and Azure.

use super::REDACTED;
use super::names::Names;

/// Replaces the values of secret keys up to the next semicolon, spaces included. The text is a connection string, or a
/// name that has one as its value; else it comes back as it is.
pub(super) fn redact_connection(text: String, names: &Names) -> String {
    if !text.contains(';') {
        return text;
    }
    let value_at = text.find('=').map_or(0, |at| at + 1);
    let at = if is_connection(&text[value_at..]) {
        value_at
    } else if is_connection(&text) {
        0
    } else {
        return text;
    };
    let (name, connection) = text.split_at(at);
    let segments: Vec<String> = connection.split(';').map(|segment| redact_segment(segment, names)).collect();
    format!("{name}{}", segments.join(";"))
}

/// At least two keys with values, and nothing else.
fn is_connection(text: &str) -> bool {
    let segments = || text.split(';').filter(|segment| !segment.trim().is_empty());
    segments().count() >= 2
        && segments().all(|segment| {
            segment.split_once('=').is_some_and(|(key, _)| {
                let is_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'.');
                !key.trim().is_empty() && key.bytes().all(is_key)
            })
        })
}

fn redact_segment(segment: &str, names: &Names) -> String {
    match segment.split_once('=') {
        Some((key, value)) if !value.is_empty() && names.is_secret(&key.trim().replace(' ', "-")) => {
            format!("{key}={REDACTED}")
        }
        _ => segment.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_at_semicolons() {
        for (text, expected) in [
            ("Server=db;User Id=sa;Password=two words;", "Server=db;User Id=sa;Password=REDACTED;"),
            ("Server=db;Pwd={a b};Encrypt=yes", "Server=db;Pwd=REDACTED;Encrypt=yes"),
            (
                "AccountName=a;AccountKey=abc==;EndpointSuffix=core",
                "AccountName=a;AccountKey=REDACTED;EndpointSuffix=core",
            ),
            ("DB=Server=db;Password=a b", "DB=Server=db;Password=REDACTED"),
            ("Endpoint=sb://x/;Shared Access Key=k", "Endpoint=sb://x/;Shared Access Key=REDACTED"),
            ("a=1; ls", "a=1; ls"),
            ("while true; do x=1; done", "while true; do x=1; done"),
        ] {
            assert_eq!(redact_connection(text.to_owned(), &Names::default()), expected);
        }
    }
}
