//! Patterns of the configuration.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};
use serde::Deserialize;

use super::REDACTED;

/// Most patterns that may be configured.
pub const PATTERNS_MAX: usize = 64;
/// Largest compiled pattern, bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A pattern of secrets: what it matches is replaced, or its first group where it has one. It is looked for in every
/// argument and variable by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretPattern(Regex);

impl SecretPattern {
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.replace_all(text, |found: &Captures<'_>| {
            let whole = found.get_match();
            match found.get(1) {
                Some(group) => {
                    let before = &text[whole.start()..group.start()];
                    let after = &text[group.end()..whole.end()];
                    format!("{before}{REDACTED}{after}")
                }
                None => REDACTED.to_owned(),
            }
        })
    }
}

impl PartialEq for SecretPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl TryFrom<String> for SecretPattern {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        let compiled = RegexBuilder::new(&pattern).size_limit(PATTERN_BYTES_MAX).build();
        let regex = compiled.map_err(|error| {
            format!("found `{pattern}`, expected a regular expression ({})", last_line(&error.to_string()))
        })?;
        if regex.is_match("") {
            return Err(format!(
                "found `{pattern}`, expected a regular expression that does not match the empty text"
            ));
        }
        Ok(Self(regex))
    }
}

/// The last line says what is wrong; those before draw the place.
fn last_line(error: &str) -> &str {
    let line = error.lines().next_back().unwrap_or(error);
    line.strip_prefix("error: ").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<SecretPattern, String> {
        text.to_owned().try_into()
    }

    #[test]
    fn the_first_group_or_the_whole_is_replaced() {
        for (text, expected) in
            [("pin-[0-9]+", "x REDACTED y pin=22"), ("pin=([0-9]+)", "x pin-11 y pin=REDACTED")]
        {
            assert_eq!(pattern(text).unwrap().redact("x pin-11 y pin=22"), expected);
        }
        assert_eq!(pattern("a(b)?").unwrap().redact("ab a"), "aREDACTED REDACTED");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!(pattern("a(").unwrap_err(), "found `a(`, expected a regular expression (unclosed group)");
        assert!(pattern("x*").unwrap_err().contains("does not match the empty text"));
        assert!(pattern(r"\w{5000}{50}").unwrap_err().contains("size limit"));
    }
}
