//! The keys of the HTTP API.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::Deserialize;
use watchfire_api::CredentialFiles;
use watchfire_kubernetes::Access;

use super::sources::{KubernetesConfig, Place};
use super::{AbsolutePath, AutoOr, Limited};

/// Name of the API's socket, beside the one of `watchfire observe`.
const SOCKET_NAME: &str = "api.sock";

/// Audiences that a token may be for.
const AUDIENCES_MAX: usize = 16;
/// Longest name of an audience, bytes.
const AUDIENCE_BYTES_MAX: usize = 256;

/// The HTTP API.
#[derive(Clone, PartialEq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(crate) struct ApiConfig {
    pub(super) socket: AutoOr<Place>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) certificate: Option<AbsolutePath>,
    pub(super) key: Option<AbsolutePath>,
    pub(super) tokens: Option<AbsolutePath>,
    pub(super) token_review: bool,
    pub(super) token_audiences: Audiences,
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

    /// Where to listen over TCP, and by what: an address without certificate, key and a way to know tokens is an error, since
    /// anybody could read along, or ask.
    pub(crate) fn tcp(&self) -> Result<Option<(SocketAddr, CredentialFiles)>> {
        let Some(address) = self.listen else { return Ok(None) };
        let file = |name, path: &Option<AbsolutePath>| match path {
            Some(path) => Ok(path.to_path_buf()),
            None => bail!(
                "api.listen is {address} and api.{name} is not set: over TCP the API wants TLS and tokens, by \
                 api.certificate, api.key, and api.tokens or api.tokenReview"
            ),
        };
        let files = CredentialFiles {
            certificate: file("certificate", &self.certificate)?,
            key: file("key", &self.key)?,
            tokens: match &self.tokens {
                None if self.token_review => None,
                tokens => Some(file("tokens", tokens)?),
            },
        };
        Ok(Some((address, files)))
    }

    /// Where tokens are asked of the Kubernetes API, and for which audiences; none where they are not.
    pub(crate) fn token_review(
        &self,
        kubernetes: &KubernetesConfig,
    ) -> Result<Option<(Access, Vec<String>)>> {
        if !self.token_review {
            if !self.token_audiences.0.as_slice().is_empty() {
                bail!(
                    "api.tokenAudiences is set without api.tokenReview, expected both: only Kubernetes' tokens have any"
                );
            }
            return Ok(None);
        }
        let access = match &kubernetes.api {
            AutoOr::None => {
                bail!(
                    "api.tokenReview is true and kubernetes.api is none, expected auto or a kubeconfig: it is asked"
                )
            }
            AutoOr::Auto => Access::Automatic,
            AutoOr::At(Place(file)) => Access::Kubeconfig { file: file.clone(), context: None },
        };
        let audiences = self.token_audiences.0.iter().map(|Audience(name)| name.clone()).collect();
        Ok(Some((access, audiences)))
    }
}

/// Whom tokens may be for; on the command line with commas between.
#[derive(Clone, PartialEq, Default, Debug, Deserialize)]
pub(crate) struct Audiences(Limited<Audience, AUDIENCES_MAX>);

impl FromStr for Audiences {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.split(',').filter(|_| !text.is_empty());
        let names: Vec<_> = names.map(|name| name.to_owned().try_into()).collect::<Result<_, _>>()?;
        names.try_into().map(Self)
    }
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Audience(String);

impl TryFrom<String> for Audience {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if name.is_empty() || name.len() > AUDIENCE_BYTES_MAX {
            return Err(format!("found `{name}`, expected an audience of 1 to {AUDIENCE_BYTES_MAX} bytes"));
        }
        Ok(Self(name))
    }
}
