//! Keys for S3 that are mounted as files, read anew for each request so that they can be replaced.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

/// Names of the files.
pub(crate) const KEY_ID_FILE: &str = "access-key-id";
pub(crate) const SECRET_FILE: &str = "secret-access-key";
pub(crate) const TOKEN_FILE: &str = "session-token";

/// Longest content of such a file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A folder with the files.
#[derive(Debug)]
pub(crate) struct MountedKeys(pub(crate) PathBuf);

impl MountedKeys {
    /// What the files say; the error names the file and never what is in it.
    pub(crate) fn read(&self) -> Result<AwsCredential, String> {
        Ok(AwsCredential {
            key_id: self.file(KEY_ID_FILE)?,
            secret_key: self.file(SECRET_FILE)?,
            token: self.0.join(TOKEN_FILE).exists().then(|| self.file(TOKEN_FILE)).transpose()?,
        })
    }

    fn file(&self, name: &str) -> Result<String, String> {
        let path = self.0.join(name);
        let shown = path.display();
        let bytes = std::fs::metadata(&path).map_err(|error| format!("{shown}: {error}"))?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(format!("{shown}: it has {bytes} bytes, expected at most {FILE_BYTES_MAX}"));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{shown}: {error}"))?;
        let text = text.trim();
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(format!("{shown}: expected one word"));
        }
        Ok(text.to_owned())
    }
}

#[async_trait]
impl CredentialProvider for MountedKeys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.read()
            .map(Arc::new)
            .map_err(|why| object_store::Error::Generic { store: "S3", source: why.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn keys_are_read_as_they_are_now_and_errors_show_none() {
        let dir = tempfile::tempdir().unwrap();
        let keys = MountedKeys(dir.path().to_owned());
        assert!(keys.read().unwrap_err().contains(KEY_ID_FILE));
        fs::write(dir.path().join(KEY_ID_FILE), "id\n").unwrap();
        fs::write(dir.path().join(SECRET_FILE), "hush hush").unwrap();
        let error = keys.read().unwrap_err();
        assert!(error.contains(SECRET_FILE) && !error.contains("hush"), "{error}");
        for secret in ["first", "second"] {
            fs::write(dir.path().join(SECRET_FILE), secret).unwrap();
            assert_eq!(keys.read().unwrap().secret_key, secret);
        }
        fs::write(dir.path().join(TOKEN_FILE), "token").unwrap();
        assert_eq!(keys.read().unwrap().token.as_deref(), Some("token"));
    }
}
