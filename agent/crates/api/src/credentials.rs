//! Certificate, key and tokens of the TCP listener, read again when their files change.
//!
//! What the files hold is compared, not their times: a secret that Kubernetes mounts changes by a symbolic link that is
//! swapped, and its files need not be newer.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::limits::FILE_BYTES_MAX;
use crate::tokens::Tokens;

/// Where they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialFiles {
    /// Certificate with those that it was signed by, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Hashed tokens; none where all are asked of somebody else.
    pub tokens: Option<PathBuf>,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub struct CredentialError {
    path: PathBuf,
    why: String,
}

/// What is in force.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) tokens: Arc<Tokens>,
    texts: [Vec<u8>; 3],
}

/// What is in force now, and where it comes from.
#[derive(Debug)]
pub(crate) struct Credentials {
    files: CredentialFiles,
    current: RwLock<Current>,
}

impl Credentials {
    pub(crate) fn open(files: CredentialFiles) -> Result<Self, CredentialError> {
        let current = RwLock::new(files.load(files.read()?)?);
        Ok(Self { files, current })
    }

    pub(crate) fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again; what was in force stays so on any error. Says whether anything changed.
    pub(crate) fn look(&self) -> Result<bool, CredentialError> {
        let texts = self.files.read()?;
        if self.current().texts == texts {
            return Ok(false);
        }
        let loaded = self.files.load(texts)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }
}

impl CredentialFiles {
    fn read(&self) -> Result<[Vec<u8>; 3], CredentialError> {
        let tokens = self.tokens.as_deref().map(read).transpose()?.unwrap_or_default();
        Ok([read(&self.certificate)?, read(&self.key)?, tokens])
    }

    fn load(&self, texts: [Vec<u8>; 3]) -> Result<Current, CredentialError> {
        let failed = |path: &Path, why: String| CredentialError { path: path.to_owned(), why };
        let [certificate, key, tokens] = &texts;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| failed(&self.certificate, format!("no certificate in PEM: {error}")))?;
        if chain.is_empty() {
            return Err(failed(&self.certificate, "no certificate in PEM".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| failed(&self.key, format!("no private key in PEM: {error}")))?;
        let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| failed(&self.key, format!("it does not go with the certificate: {error}")))?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tokens = match &self.tokens {
            Some(file) => str::from_utf8(tokens)
                .map_err(|_| "it is no text".to_owned())
                .and_then(Tokens::read)
                .map_err(|why| failed(file, why))?,
            None => Tokens::default(),
        };
        Ok(Current { tls: Arc::new(tls), tokens: Arc::new(tokens), texts })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CredentialError> {
    let failed = |why: String| CredentialError { path: path.to_owned(), why };
    let file = File::open(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|error| failed(format!("cannot be read: {error}")))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(failed(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}
