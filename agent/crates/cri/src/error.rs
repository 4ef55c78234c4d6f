//! What can go wrong with a runtime.

use std::io;

use tonic::{Code, Status};
use watchfire_inventory::UnknownReason;

/// Why a runtime could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    /// None of the sockets exists.
    #[error("no container runtime has a socket here")]
    NoSocket,
    /// The socket exists and does not take connections.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// The connection was not made in time.
    #[error("no connection within {0} ms")]
    ConnectTimeout(u128),
    /// What answers does not speak HTTP/2, or the connection broke.
    #[error("the connection has ended")]
    Closed(#[source] Option<hyper::Error>),
    /// What answers has no `runtime.v1.RuntimeService`: CRI is turned off, or too old.
    #[error("it does not speak CRI v1: {0}")]
    NotCri(String),
    /// No answer in time.
    #[error("no answer to {method} within {within_ms} ms")]
    Timeout {
        /// The method that was called.
        method: &'static str,
        /// Time that it had, milliseconds.
        within_ms: u128,
    },
    /// The runtime answered with an error, or its answer is not readable.
    #[error("{method} failed: {code:?}: {message}")]
    Failed {
        /// The method that was called.
        method: &'static str,
        /// Status code of gRPC.
        code: Code,
        /// What the runtime says, cut.
        message: String,
    },
    /// Requests are not answered any more.
    #[error("{0} requests in a row were not answered")]
    Hung(u32),
}

/// Longest message of a runtime that is repeated, bytes.
const MESSAGE_BYTES_MAX: usize = 256;

impl CriError {
    pub(crate) fn of_status(method: &'static str, status: &Status) -> Self {
        let message = status.message();
        let message = message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)].to_owned();
        Self::Failed { method, code: status.code(), message }
    }

    pub(crate) const fn is_not_found(&self) -> bool {
        matches!(self, Self::Failed { code: Code::NotFound, .. })
    }

    pub(crate) const fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Failed { code: Code::Unimplemented, .. })
    }

    pub(crate) const fn reason(&self) -> UnknownReason {
        match self {
            Self::NoSocket
            | Self::Connect(_)
            | Self::ConnectTimeout(_)
            | Self::Closed(_)
            | Self::NotCri(_) => UnknownReason::NotConnected,
            Self::Timeout { .. } | Self::Hung(_) => UnknownReason::Timeout,
            Self::Failed { code: Code::NotFound, .. } => UnknownReason::NotFound,
            Self::Failed { .. } => UnknownReason::Failed,
        }
    }

    /// The error with what caused it.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}
