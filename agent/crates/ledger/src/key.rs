//! The node's Ed25519 key, which signs manifests.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::error::LedgerError;
use crate::files;
use crate::hash::parse_hex;

/// The private key, where the agent makes one: PKCS#8 as PEM, mode 0600.
pub const KEY_FILE: &str = "node.key";
/// The public key beside it: 64 hexadecimal digits and a newline.
pub const PUBLIC_KEY_FILE: &str = "node.pub";

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
const PEM_LINE_CHARS: usize = 64;

/// Signs.
#[derive(Debug)]
pub(crate) struct NodeKey(Ed25519KeyPair);

impl NodeKey {
    /// Reads the key, or makes one where there is none. A key that was mounted is never made.
    pub(crate) fn read_or_create(dir: &Path, mounted: Option<&Path>) -> Result<Self, LedgerError> {
        let path = mounted.map_or_else(|| dir.join(KEY_FILE), Path::to_owned);
        let key = match files::read_if_there(&path)? {
            Some(bytes) => Self::parse(&bytes, &path)?,
            None if mounted.is_some() => {
                return Err(LedgerError::Key { path, why: "there is no such file" });
            }
            None => Self::create(&path)?,
        };
        let (public, text) = (dir.join(PUBLIC_KEY_FILE), format!("{}\n", key.public()));
        // Nothing is written where nothing changes, so that a ledger which is there opens on a full disk.
        if files::read_if_there(&public)?.as_deref() != Some(text.as_bytes()) {
            files::replace(&public, text.as_bytes())?;
        }
        Ok(key)
    }

    /// Reads a key; none where there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, LedgerError> {
        files::read_if_there(path)?.map(|bytes| Self::parse(&bytes, path)).transpose()
    }

    fn create(path: &Path) -> Result<Self, LedgerError> {
        let why = "the system has no random numbers";
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| LedgerError::Key { path: path.to_owned(), why })?;
        let body = STANDARD.encode(document.as_ref());
        let lines: Vec<&str> =
            body.as_bytes().chunks(PEM_LINE_CHARS).filter_map(|line| str::from_utf8(line).ok()).collect();
        files::replace(path, format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", lines.join("\n")).as_bytes())?;
        Self::parse_der(document.as_ref(), path)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, LedgerError> {
        let why = "expected a PKCS#8 private key for Ed25519 as PEM or DER";
        let Some(text) = str::from_utf8(bytes).ok().filter(|text| text.contains(PEM_BEGIN)) else {
            return Self::parse_der(bytes, path);
        };
        let body = text.split_once(PEM_BEGIN).and_then(|(_, rest)| rest.split_once(PEM_END));
        let body: Option<String> = body.map(|(body, _)| body.split_whitespace().collect());
        let der = body.and_then(|body| STANDARD.decode(body).ok());
        Self::parse_der(&der.ok_or_else(|| LedgerError::Key { path: path.to_owned(), why })?, path)
    }

    fn parse_der(der: &[u8], path: &Path) -> Result<Self, LedgerError> {
        // Without the public key inside, as OpenSSL writes it, it is computed.
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self).map_err(|_| LedgerError::Key {
            path: path.to_owned(),
            why: "expected a PKCS#8 private key for Ed25519 as PEM or DER",
        })
    }

    pub(crate) fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// The signature as 128 hexadecimal digits and a newline.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        let signature = self.0.sign(message);
        let mut text: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        text.push('\n');
        text
    }
}

/// Checks signatures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads the key of a directory.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        let why = "expected 64 hexadecimal digits of an Ed25519 public key";
        let bytes = files::read_if_there(path)?;
        let bytes =
            bytes.ok_or_else(|| LedgerError::Key { path: path.to_owned(), why: "there is no such file" })?;
        let key = str::from_utf8(&bytes).ok().and_then(|text| parse_hex(text.trim_end()));
        key.map(Self).ok_or_else(|| LedgerError::Key { path: path.to_owned(), why })
    }

    /// Whether the signature is of this key and message.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature: Option<[u8; 64]> =
            str::from_utf8(signature).ok().and_then(|text| parse_hex(text.strip_suffix('\n')?));
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        signature.is_some_and(|signature| key.verify(message, &signature).is_ok())
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn made_once_kept_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let key = NodeKey::read_or_create(dir.path(), None).unwrap();
        let again = NodeKey::read_or_create(dir.path(), None).unwrap();
        assert_eq!(key.public(), again.public());
        assert_eq!(PublicKey::read(&dir.path().join(PUBLIC_KEY_FILE)).unwrap(), key.public());
        let mode = fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let signature = key.sign(b"message");
        assert!(key.public().verifies(b"message", signature.as_bytes()));
        assert!(!key.public().verifies(b"massage", signature.as_bytes()));
        assert!(!key.public().verifies(b"message", b"00"));
    }

    /// RFC 8410, 10.3: a private key without its public key.
    #[test]
    fn a_key_that_openssl_made_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mounted.pem");
        let body = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
        fs::write(&path, format!("{PEM_BEGIN}\n{body}\n{PEM_END}\n")).unwrap();
        let key = NodeKey::read_or_create(dir.path(), Some(&path)).unwrap();
        let public = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(key.public().to_string(), public);
    }

    #[test]
    fn what_is_no_key_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let error = NodeKey::read_or_create(dir.path(), Some(&path)).unwrap_err();
        assert!(error.to_string().ends_with("there is no such file"), "{error}");
        fs::write(&path, "hello").unwrap();
        let error = NodeKey::read_or_create(dir.path(), Some(&path)).unwrap_err();
        assert!(error.to_string().contains("expected a PKCS#8 private key"), "{error}");
    }
}
