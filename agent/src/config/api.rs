//! The keys of the HTTP API.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Deserialize;
use watchfire_api::CredentialFiles;

use super::sources::Place;
use super::{AbsolutePath, AutoOr};

/// Name of the API's socket, beside the one of `watchfire observe`.
const SOCKET_NAME: &str = "api.sock";

/// The HTTP API.
#[derive(Clone, PartialEq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct ApiConfig {
    pub(super) socket: AutoOr<Place>,
    pub(super) listen: Option<SocketAddr>,
    certificate: Option<AbsolutePath>,
    key: Option<AbsolutePath>,
    tokens: Option<AbsolutePath>,
}

impl ApiConfig {
    /// The unix socket: unless told otherwise, beside the observe socket.
    pub(crate) fn socket(&self, observe: Option<&PathBuf>) -> Option<PathBuf> {
        match &self.socket {
            AutoOr::None => None,
            AutoOr::Auto => observe.map(|observe| observe.with_file_name(SOCKET_NAME)),
            AutoOr::At(Place(path)) => Some(path.clone()),
        }
    }

    /// Where to listen over TCP, and by what: an address without all of certificate, key and tokens is an error, since
    /// anybody could read along, or ask.
    pub(crate) fn tcp(&self) -> Result<Option<(SocketAddr, CredentialFiles)>> {
        let Some(address) = self.listen else { return Ok(None) };
        let file = |name, path: &Option<AbsolutePath>| match path {
            Some(path) => Ok(path.to_path_buf()),
            None => bail!(
                "api.listen is {address} and api.{name} is not set: over TCP the API wants TLS and tokens, by \
                 api.certificate, api.key and api.tokens"
            ),
        };
        let files = CredentialFiles {
            certificate: file("certificate", &self.certificate)?,
            key: file("key", &self.key)?,
            tokens: file("tokens", &self.tokens)?,
        };
        Ok(Some((address, files)))
    }
}
