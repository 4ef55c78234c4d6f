//! What can go wrong with an object store.

use std::path::{Path, PathBuf};

use watchfire_ledger::LedgerError;

/// Longest message; stores answer with whole documents.
const CHAIN_CHARS_MAX: usize = 1024;

/// Why something could not be shipped or fetched.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The address of the store or what goes with it is wrong.
    #[error("{0}")]
    Settings(String),
    /// The store did not do what was asked; it may the next time.
    #[error("{what} {name}")]
    Store {
        /// What was tried.
        what: &'static str,
        /// On which object or prefix.
        name: String,
        /// The store's answer.
        source: object_store::Error,
    },
    /// After it was written, the object is not what was written.
    #[error("{name} is not as it was written: {why}")]
    NotAsWritten {
        /// The object.
        name: String,
        /// How it differs.
        why: String,
    },
    /// The store has another object of this name, which stays as it is.
    #[error("{name} is in the store already with another content; it is left as it is")]
    Conflict {
        /// The object.
        name: String,
    },
    /// A file of the ledger is not what its manifest says.
    #[error("{path} is not as the manifest says: it is not shipped")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A file went while it was read: retention took it.
    #[error("{path} is gone")]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The system refused something of a file.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The ledger refused something.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store does not have what was asked for, or not only that.
    #[error("{0}")]
    Choice(String),
}

impl ShipError {
    pub(crate) fn store(
        what: &'static str,
        name: &object_store::path::Path,
    ) -> impl FnOnce(object_store::Error) -> Self {
        let name = name.to_string();
        move |source| Self::Store { what, name, source }
    }

    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => Self::Gone { path },
            _ => Self::File { what, path, source },
        }
    }

    /// The error and what is behind it, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            let more = error.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            source = error.source();
        }
        let text = without_document(&text).replace('\n', " ");
        text.chars().take(CHAIN_CHARS_MAX).collect()
    }
}

/// An S3 server that refuses a signature answers with all that was signed, a session's token too: of such a document only
/// code and message are told.
fn without_document(text: &str) -> String {
    let Some(at) = text.find("<?xml").or_else(|| text.find("<Error")) else { return text.to_owned() };
    let (before, document) = text.split_at(at);
    let element = |name: &str| {
        let (_, rest) = document.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    };
    let told: Vec<&str> = ["Code", "Message"].into_iter().filter_map(element).collect();
    format!("{before}{}", told.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_servers_are_told_without_what_was_signed() {
        let answer = "403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code>\
                      <Message>Check your key.</Message><CanonicalRequest>x-amz-security-token:hush</CanonicalRequest></Error>";
        let source = object_store::Error::Generic { store: "S3", source: answer.into() };
        let error = ShipError::Store { what: "cannot write", name: "a".to_owned(), source };
        let told = error.chain();
        assert!(told.ends_with("403 Forbidden: SignatureDoesNotMatch: Check your key."), "{told}");
        assert_eq!(without_document("plain"), "plain");
        assert_eq!(without_document("x <Error>"), "x ");
    }
}
