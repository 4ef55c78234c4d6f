//! Secrets in arguments and environment.
//!
//! Only what is unambiguous by its name or form is replaced; `-p` is a password to one program and a port to the
//! next, so single letters are left alone. The name of the option stays: it tells what was run.

mod connection;
mod forms;
mod json;
mod names;
mod parts;
mod pattern;
#[cfg(test)]
mod tests;
mod urls;

use std::borrow::Cow;

use regex::Regex;

use forms::redact_forms;
use names::Names;
use parts::{is_secret_option, redact_named};

pub use names::SecretName;
pub use pattern::{PATTERNS_MAX, SecretPattern};

/// What stands in place of a secret.
pub const REDACTED: &str = "REDACTED";

/// One of these is in every text in which something is secret by its name: the words of secret names, or the marks of
/// headers and URLs.
const SUSPECT: &str = "passw|passphrase|pwd|secret|token|key|credential|authorization|bearer|sas|cookie|://";

/// Replaces secrets.
#[derive(Clone, Debug)]
pub struct Redactor {
    names: Names,
    patterns: Vec<SecretPattern>,
    suspect: Regex,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new(&[], Vec::new())
    }
}

impl Redactor {
    /// What is built in, and more names and patterns. At most [`PATTERNS_MAX`] patterns are meant to be given.
    #[must_use]
    pub fn new(names: &[SecretName], patterns: Vec<SecretPattern>) -> Self {
        let names = Names::new(names);
        // Words are of ASCII letters and digits, so there is nothing to escape.
        let suspect = names.marks().fold(SUSPECT.to_owned(), |all, mark| all + "|" + mark);
        let suspect = Regex::new(&format!("(?i-u:{suspect})")).expect("alternatives of plain words");
        Self { names, patterns, suspect }
    }

    /// Replaces the secrets in an argument vector, and says whether there were any.
    #[must_use]
    pub fn args(&self, args: Vec<String>) -> (Vec<String>, bool) {
        let mut found = false;
        let mut value_is_secret = false;
        let redact = |arg: String| {
            let is_value = std::mem::take(&mut value_is_secret);
            if is_value && !(arg.starts_with("--") && arg.len() > 2) {
                found = true;
                return REDACTED.to_owned();
            }
            value_is_secret = arg.starts_with('-') && is_secret_option(&arg, &self.names);
            let redacted = self.text(&arg).into_owned();
            found |= redacted != arg;
            redacted
        };
        (args.into_iter().map(redact).collect(), found)
    }

    /// Replaces the secrets in the value of a variable.
    #[must_use]
    pub fn variable<'a>(&self, name: &str, value: &'a str) -> Cow<'a, str> {
        if !value.is_empty() && self.names.is_secret(name) {
            return Cow::Borrowed(REDACTED);
        }
        self.text(value)
    }

    fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut redacted = redact_forms(text);
        if self.suspect.is_match(&redacted) {
            redacted = Cow::Owned(redact_named(redacted.into_owned(), &self.names));
        }
        for pattern in &self.patterns {
            if let Cow::Owned(replaced) = pattern.redact(&redacted) {
                redacted = Cow::Owned(replaced);
            }
        }
        redacted
    }
}
