//! Who may have signed the certificate of the server: those that this host trusts, or those of a file.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};

/// What is read of the file, bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A file of authorities, as it was last read.
#[derive(Debug)]
pub(super) struct AuthorityFile {
    path: PathBuf,
    text: Vec<u8>,
}

impl AuthorityFile {
    pub(super) fn open(path: PathBuf) -> Result<Self, String> {
        let text = read(&path)?;
        Ok(Self { path, text })
    }

    /// Reads the file again; whether it is another. One that cannot be read leaves what there was.
    pub(super) fn look(&mut self) -> bool {
        let Ok(text) = read(&self.path) else { return false };
        let is_other = text != self.text;
        self.text = text;
        is_other
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let of_file = |why: String| format!("{}: {why}", self.path.display());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.text) {
            let certificate = certificate.map_err(|error| of_file(error.to_string()))?;
            roots.add(certificate).map_err(|error| of_file(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(of_file("found no certificate, expected those of authorities, PEM".to_owned()));
        }
        Ok(roots)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let of_file = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let mut text = Vec::new();
    let file = File::open(path).map_err(of_file)?;
    let length = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(of_file)?;
    if length as u64 > FILE_BYTES_MAX {
        return Err(format!("{} has more than {FILE_BYTES_MAX} bytes", path.display()));
    }
    Ok(text)
}

/// Connections over TLS, to servers whose certificate an authority of the file has signed; without a file, one that this
/// host trusts.
pub(super) fn connector(file: Option<&AuthorityFile>) -> Result<HttpsConnector<HttpConnector>, String> {
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match file {
        Some(file) => builder.with_root_certificates(file.roots()?),
        None => builder.with_native_roots().map_err(|error| {
            format!("cannot read the certificates that this host trusts, and no caFile is named: {error}")
        })?,
    };
    let config = builder.with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build())
}

/// What to do about a certificate that is not believed, where that is why a connection failed.
pub(super) fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let TlsError::InvalidCertificate(why) = tls_error(error)? else { return None };
    Some(match why {
        // By another key under the name of one that is trusted, or under another name.
        CertificateError::BadSignature | CertificateError::UnknownIssuer => {
            "no authority that is trusted has signed the server's certificate; metrics.remoteWrite.caFile names others"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another host than that of the URL"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired"
        }
        _ => "the server's certificate cannot be used",
    })
}

/// What rustls said, which comes in errors of the system, of which `source` tells what they wrap, but not that they do.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    match error.downcast_ref::<io::Error>() {
        Some(wrapping) => wrapping.get_ref().and_then(|wrapped| tls_error(wrapped)),
        None => error.downcast_ref().or_else(|| error.source().and_then(tls_error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_authorities_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let error = AuthorityFile::open(path.clone()).unwrap_err();
        assert!(error.starts_with("cannot read ") && error.contains("ca.pem"), "{error}");
        for (text, expected) in [
            ("", "found no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ca.pem: "),
            ("-----BEGIN CERTIFICATE-----\n", "ca.pem: "),
        ] {
            std::fs::write(&path, text).unwrap();
            let file = AuthorityFile::open(path.clone()).unwrap();
            let error = connector(Some(&file)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_file_is_another_when_it_says_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "one").unwrap();
        let mut file = AuthorityFile::open(path.clone()).unwrap();
        assert!(!file.look());
        std::fs::write(&path, "other").unwrap();
        assert!(file.look() && !file.look());
        std::fs::remove_file(&path).unwrap();
        assert!(!file.look());
        assert_eq!(file.text, b"other");
    }
}
