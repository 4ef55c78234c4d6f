//! Names of options and variables whose values are secrets.

use serde::Deserialize;

/// Words that make the name of an option or variable the name of a secret, as whole words: `--db-password`,
/// `AWS_SECRET_ACCESS_KEY`, `apiKey`.
pub(super) const SECRET_WORDS: [&str; 14] = [
    "password",
    "pgpassword",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secrets",
    "token",
    "apikey",
    "credential",
    "credentials",
    "authorization",
    "bearer",
    "sas",
];

/// Pairs of words that do the same.
const SECRET_PAIRS: [(&str, &str); 5] =
    [("api", "key"), ("access", "key"), ("private", "key"), ("auth", "key"), ("account", "key")];

/// Last words that make the value a reference to a secret and no secret: `--password-file`, `TOKEN_TTL`.
const REFERENCE_WORDS: [&str; 14] = [
    "file",
    "path",
    "dir",
    "name",
    "ttl",
    "expiry",
    "expiration",
    "url",
    "uri",
    "endpoint",
    "id",
    "type",
    "length",
    "stdin",
];

/// Longest text that is taken for a name, bytes.
const NAME_BYTES_MAX: usize = 128;

/// The names that count as secret: those built in, and those of the configuration.
#[derive(Clone, Default, Debug)]
pub(super) struct Names {
    /// Words of each configured name.
    configured: Vec<Vec<String>>,
}

impl Names {
    pub(super) fn new(configured: &[SecretName]) -> Self {
        Self { configured: configured.iter().map(|name| words(&name.0)).collect() }
    }

    /// A word that every text with a configured name holds, for each of them.
    pub(super) fn marks(&self) -> impl Iterator<Item = &str> {
        self.configured.iter().filter_map(|words| words.first()).map(String::as_str)
    }

    pub(super) fn is_secret(&self, name: &str) -> bool {
        // A program text such as `sh -c '…'` has separators; what follows its first `=` is no value of one name.
        if name.len() > NAME_BYTES_MAX || name.contains(is_separator) {
            return false;
        }
        let words = words(name);
        let Some(last) = words.last() else { return false };
        if self.configured.iter().any(|secret| words.windows(secret.len()).any(|window| window == secret)) {
            return true;
        }
        if REFERENCE_WORDS.contains(&last.as_str()) {
            return false;
        }
        let is_word = |word: &String| SECRET_WORDS.contains(&word.as_str());
        let is_pair = |pair: &[String]| SECRET_PAIRS.contains(&(pair[0].as_str(), pair[1].as_str()));
        words.iter().any(is_word) || words.windows(2).any(is_pair)
    }
}

/// A name of the configuration: it counts wherever its words stand in a row, `vault-pin` in `--vault-pin` and in
/// `MY_VAULT_PIN_2`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretName(String);

impl TryFrom<String> for SecretName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if name.len() > NAME_BYTES_MAX || name.contains(is_separator) || words(&name).is_empty() {
            return Err(format!(
                "found `{name}`, expected the name of an option or variable of at most {NAME_BYTES_MAX} bytes"
            ));
        }
        Ok(Self(name))
    }
}

/// Lower-case words of a name in kebab, snake, dotted or camel case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for char in name.chars() {
        if !char.is_ascii_alphanumeric() || (char.is_ascii_uppercase() && lower_before) {
            words.push(String::new());
        }
        if char.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(char.to_ascii_lowercase());
        }
        lower_before = char.is_ascii_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

pub(super) fn is_separator(char: char) -> bool {
    char.is_whitespace() || matches!(char, '&' | ';' | '?' | '|')
}
