//! Static tokens, of which the agent knows only the hash.
//!
//! One token a line: `NAME sha256 HEX`, where HEX is the SHA-256 of the token, 64 hexadecimal digits. A token is made by a
//! machine out of at least 128 random bits, so that one fast hash is enough: there is nothing to guess. Empty lines and those
//! that begin with # are passed over.

use std::collections::HashSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use crate::limits::{TOKEN_BYTES_MAX, TOKENS_MAX};

/// How tokens are hashed, as their file names it.
pub const TOKEN_ALGORITHM: &str = "sha256";

/// Longest name of a token, bytes.
const NAME_BYTES_MAX: usize = 128;

/// Who may ask.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tokens(Vec<Token>);

#[derive(Clone, Debug)]
struct Token {
    name: Arc<str>,
    hash: [u8; 32],
}

impl Tokens {
    /// Reads the text of a file. The error names the line.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut names = HashSet::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let failed = |why: String| format!("line {number}: {why}");
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [name, algorithm, hash] = words[..] else {
                // Not the line itself: somebody may have written a token there.
                return Err(failed(format!("{} words, expected NAME {TOKEN_ALGORITHM} HASH", words.len())));
            };
            if algorithm != TOKEN_ALGORITHM {
                return Err(failed(format!("expected {TOKEN_ALGORITHM} behind the name")));
            }
            if name.len() > NAME_BYTES_MAX || !names.insert(name) {
                let expected = format!("expected a name of its own of at most {NAME_BYTES_MAX} bytes");
                return Err(failed(expected));
            }
            let hash = hex(hash).ok_or_else(|| failed("expected a hash of 64 hexadecimal digits".into()))?;
            tokens.push(Token { name: name.into(), hash });
        }
        match tokens.len() {
            0 => Err("it has no token".to_owned()),
            1..=TOKENS_MAX => Ok(Self(tokens)),
            found => Err(format!("it has {found} tokens, expected at most {TOKENS_MAX}")),
        }
    }

    /// Whose token it is. How long that takes does not tell which, or how much of it is right.
    pub(crate) fn owner(&self, token: &str) -> Option<Arc<str>> {
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let hash = hash_of(token);
        let mut owner = 0_u32;
        for (at, known) in (1_u32..).zip(&self.0) {
            let is_it: Choice = known.hash.ct_eq(&hash);
            owner.conditional_assign(&at, is_it);
        }
        let at = (owner as usize).checked_sub(1)?;
        self.0.get(at).map(|token| Arc::clone(&token.name))
    }
}

fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s abc | sha256sum`
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_token_is_known_by_its_hash() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let tokens = Tokens::read(&format!("# who\n\nci sha256 {ABC}\n nobody  sha256 {empty}\n")).unwrap();
        assert_eq!(tokens.owner("abc").as_deref(), Some("ci"));
        for token in ["", "ab", "abcd", "ABC", ABC, &"a".repeat(TOKEN_BYTES_MAX + 1)] {
            assert_eq!(tokens.owner(token), None, "{token}");
        }
    }

    #[test]
    fn mistakes_are_named_by_line_and_without_what_may_be_secret() {
        for (text, expected) in [
            ("", "it has no token"),
            ("hunter2", "line 1: 1 words, expected NAME sha256 HASH"),
            ("\nci md5 abc", "line 2: expected sha256 behind the name"),
            ("ci sha256 abc", "line 1: expected a hash of 64 hexadecimal digits"),
            (&format!("a sha256 {ABC}\na sha256 {ABC}"), "line 2: expected a name of its own"),
        ] {
            let error = Tokens::read(text).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("hunter2"), "{error}");
        }
        let many: String = (0..=TOKENS_MAX).map(|n| format!("t{n} sha256 {ABC}\n")).collect();
        assert!(Tokens::read(&many).unwrap_err().contains("expected at most 1024"));
    }
}
