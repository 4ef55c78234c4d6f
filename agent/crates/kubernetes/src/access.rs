//! Where the API is, and who asks.

use std::env;
use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};

use crate::api::with_causes;

/// Where kubelet puts a pod's service account.
const SERVICE_ACCOUNT_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where to look for the API.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Access {
    /// The cluster that this agent is a pod of, if it is one.
    #[default]
    Automatic,
    /// The cluster that this agent is a pod of.
    InCluster(InCluster),
    /// The cluster that a file leads to.
    Kubeconfig {
        /// Which file.
        file: PathBuf,
        /// Which of its contexts; its current one where none is named.
        context: Option<String>,
    },
    /// No API is asked.
    Off,
}

/// What a pod is told of its cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InCluster {
    /// Host of the API: a name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Folder with `token` and `ca.crt`. Both are read again every minute, since kubelet renews them.
    pub folder: PathBuf,
}

/// Why the API cannot be asked.
#[derive(thiserror::Error, Debug)]
pub enum AccessError {
    /// `KUBERNETES_SERVICE_PORT` is no port.
    #[error("KUBERNETES_SERVICE_PORT is `{0}`, expected a port from 1 to 65535")]
    Port(String),
    /// The host of the API is neither a name nor an address.
    #[error("the Kubernetes API's address `{0}` is not that of a host")]
    Host(String),
    /// The service account's token or certificate cannot be used.
    #[error("the service account in {} cannot be used: {why}", .folder.display())]
    ServiceAccount {
        /// Which folder.
        folder: PathBuf,
        /// Why.
        why: String,
    },
    /// A kubeconfig cannot be used.
    #[error("kubeconfig {}: {why}", .file.display())]
    Kubeconfig {
        /// Which file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// There is none to ask, where one is needed.
    #[error("there is no Kubernetes API: {0}")]
    Absent(String),
    /// What was found without being named cannot be used.
    #[error("the Kubernetes API cannot be asked: {0}")]
    Client(String),
    /// The kubelet's address or certificate cannot be used.
    #[error("the kubelet {url} cannot be asked: {why}")]
    Kubelet {
        /// Where it is.
        url: String,
        /// Why.
        why: String,
    },
}

/// A way to the API, or why there is none.
pub(crate) enum Found {
    Config { config: Box<Config>, what: String },
    Absent(String),
}

impl InCluster {
    /// What the environment tells; none outside of a cluster.
    pub fn from_environment() -> Result<Option<Self>, AccessError> {
        let variable = |name| env::var(name).ok().filter(|text: &String| !text.is_empty());
        let Some(host) = variable("KUBERNETES_SERVICE_HOST") else { return Ok(None) };
        let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
        let port = port.parse().map_err(|_| AccessError::Port(port))?;
        Ok(Some(Self { host, port, folder: PathBuf::from(SERVICE_ACCOUNT_FOLDER) }))
    }

    /// The service account's token.
    pub fn token(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// The certificate of the authority that signs for the API.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    fn config(&self) -> Result<Config, AccessError> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let url = format!("https://{host}:{}", self.port);
        let mut config = Config::new(url.parse().map_err(|_| AccessError::Host(self.host.clone()))?);
        with_files(&mut config, Some(&self.token()), Some(&self.authority()))
            .map_err(|why| AccessError::ServiceAccount { folder: self.folder.clone(), why })?;
        Ok(config)
    }
}

impl Access {
    pub(crate) async fn find(&self) -> Result<Found, AccessError> {
        let found = match self {
            Self::Off => return Ok(Found::Absent("it is not to be asked".to_owned())),
            Self::Kubeconfig { file, context } => {
                (kubeconfig(file, context.clone()).await?, format!("kubeconfig {}", file.display()))
            }
            Self::InCluster(cluster) => (cluster.config()?, "service account".to_owned()),
            Self::Automatic => match InCluster::from_environment()? {
                Some(cluster) => (cluster.config()?, "service account".to_owned()),
                None => {
                    let reason =
                        "not in a cluster (KUBERNETES_SERVICE_HOST is not set), and no kubeconfig is named";
                    return Ok(Found::Absent(reason.to_owned()));
                }
            },
        };
        let (mut config, what) = found;
        prepare(&mut config);
        Ok(Found::Config { what: format!("{} ({what})", config.cluster_url), config: Box::new(config) })
    }
}

async fn kubeconfig(file: &Path, context: Option<String>) -> Result<Config, AccessError> {
    let failed = |why: String| AccessError::Kubeconfig { file: file.to_owned(), why };
    let read = Kubeconfig::read_from(file).map_err(|error| failed(with_causes(&error)))?;
    if read.contexts.is_empty() && read.clusters.is_empty() {
        return Err(failed("it names no cluster".to_owned()));
    }
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(read, &options).await;
    let config = config.map_err(|error| failed(with_causes(&error)))?;
    match config.cluster_url.host() {
        Some(_) => Ok(config),
        None => Err(failed(format!("its server `{}` is no URL with a host", config.cluster_url))),
    }
}

/// Token and certificate, by files that are read again.
pub(crate) fn with_files(
    config: &mut Config,
    token: Option<&Path>,
    authority: Option<&Path>,
) -> Result<(), String> {
    for file in [token, authority].into_iter().flatten() {
        std::fs::metadata(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    }
    config.auth_info =
        AuthInfo { token_file: token.map(|file| file.to_string_lossy().into_owned()), ..AuthInfo::default() };
    config.root_cert_file = authority.map(Path::to_owned);
    Ok(())
}

pub(crate) fn prepare(config: &mut Config) {
    let is_verified = config.cluster_url.scheme_str() == Some("https") && !config.accept_invalid_certs;
    if (!is_verified || config.root_cert_file.is_some()) && config.root_cert.is_none() {
        // Where no certificate is looked at, or the authorities are those of a file (which stands over these), an image without
        // the system's authorities is no reason to give up.
        config.root_cert = Some(Vec::new());
    }
    let agent = http::HeaderValue::from_static(concat!("watchfire/", env!("CARGO_PKG_VERSION")));
    config.headers.push((http::header::USER_AGENT, agent));
}
