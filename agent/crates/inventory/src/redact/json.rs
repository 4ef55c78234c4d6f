//! Secrets in JSON text, such as the body that an HTTP client is given.

use super::REDACTED;
use super::names::Names;

/// Replaces the values of members with a secret's name. The text need not be whole: an argument may be cut, or hold
/// JSON among other things.
pub(super) fn redact_json(text: String, names: &Names) -> String {
    if !text.contains("\":") && !text.contains("\" :") {
        return text;
    }
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(quote) = rest.find('"') {
        let (before, quoted) = rest.split_at(quote);
        redacted.push_str(before);
        let (name, after) = quoted.split_at(string_end(quoted));
        redacted.push_str(name);
        rest = after;
        let Some(value) = after.trim_start().strip_prefix(':').map(str::trim_start) else { continue };
        if !names.is_secret(name.trim_matches('"')) {
            continue;
        }
        let Some(end) = value_end(value) else { continue };
        redacted.push_str(&after[..after.len() - value.len()]);
        rest = &value[end..];
        redacted.push('"');
        redacted.push_str(REDACTED);
        redacted.push('"');
    }
    redacted + rest
}

/// Where the string ends that `text` begins with, its closing quote included; the end where it is cut.
fn string_end(text: &str) -> usize {
    let mut escaped = true; // the opening quote closes nothing
    for (at, char) in text.char_indices() {
        match char {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Where the value ends that `text` begins with; none for an object, whose members are judged by their own names.
fn value_end(text: &str) -> Option<usize> {
    Some(match text.chars().next()? {
        '{' => return None,
        '"' => string_end(text),
        '[' => text.find(']').map_or(text.len(), |at| at + 1),
        _ => text.find([',', '}', ']', ' ', '\n']).unwrap_or(text.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_members_lose_their_values() {
        for (text, expected) in [
            (r#"{"user":"ann","password":"a\"b","n":1}"#, r#"{"user":"ann","password":"REDACTED","n":1}"#),
            (r#"{"api_key" : "k"}"#, r#"{"api_key" : "REDACTED"}"#),
            (r#"{"token":12345,"x":2}"#, r#"{"token":"REDACTED","x":2}"#),
            (r#"{"password":"cut"#, r#"{"password":"REDACTED""#),
            (r#"{"user":"password"}"#, r#"{"user":"password"}"#),
            (r#"say "hello": now"#, r#"say "hello": now"#),
            (r#"{"auth":{"token":"t"}}"#, r#"{"auth":{"token":"REDACTED"}}"#),
            (r#"{"secrets":["a","b"],"n":1}"#, r#"{"secrets":"REDACTED","n":1}"#),
            (r#"{"secret":{"name":"x"}}"#, r#"{"secret":{"name":"x"}}"#),
            (r#"{"token_ttl":5}"#, r#"{"token_ttl":5}"#),
        ] {
            assert_eq!(redact_json(text.to_owned(), &Names::default()), expected);
        }
    }
}
