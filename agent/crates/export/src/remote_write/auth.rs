//! Who sends: a token, or a name with a password, out of files that may be replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// How to say who sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RemoteWriteAuth {
    /// A file with a bearer token (RFC 6750).
    BearerTokenFile(PathBuf),
    /// A name, and a file with its password (RFC 7617).
    Basic {
        /// The name.
        username: String,
        /// The file.
        password_file: PathBuf,
    },
}

impl RemoteWriteAuth {
    /// The value of `Authorization`. Read each time, so that a new token is used as soon as it is there.
    pub(super) fn header(&self) -> Result<HeaderValue, String> {
        let text = match self {
            Self::BearerTokenFile(path) => format!("Bearer {}", secret(path)?),
            Self::Basic { username, password_file } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", secret(password_file)?)))
            }
        };
        let mut value =
            HeaderValue::try_from(text).map_err(|_| "the secret has a character that no header may have")?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn secret(path: &Path) -> Result<String, String> {
    let read = |error: io::Error| format!("cannot read {}: {error}", path.display());
    Ok(fs::read_to_string(path).map_err(read)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "open sesame\n").unwrap();
        let bearer = RemoteWriteAuth::BearerTokenFile(path.clone());
        assert_eq!(bearer.header().unwrap(), "Bearer open sesame");
        // RFC 7617, section 2: `Aladdin:open sesame`.
        let basic = RemoteWriteAuth::Basic { username: "Aladdin".to_owned(), password_file: path.clone() };
        assert_eq!(basic.header().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(basic.header().unwrap().is_sensitive());
        fs::remove_file(&path).unwrap();
        assert!(bearer.header().unwrap_err().contains("secret"), "the file is named");
    }
}
