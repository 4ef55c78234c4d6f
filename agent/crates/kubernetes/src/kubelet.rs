//! The kubelet of this node, asked for its pods while the API does not tell them.

use std::path::PathBuf;
use std::time::Instant;

use tokio::time::sleep;
use watchfire_inventory::{Change, ResourceKind, object_of};

use crate::access::InCluster;
use crate::api::{Api, Failure};
use crate::batch::{Batches, Closed};
use crate::items::{ListReader, NotAList, Piece};
use crate::state::State;
use crate::timing::{Timing, jittered};

/// The port where kubelet serves its own API.
pub const KUBELET_PORT: u16 = 10_250;

/// What a kubelet wants whoever asks for its pods to have the right to, as Kubernetes' "Kubelet authentication/authorization"
/// lists it (`KubeletFineGrainedAuthz`, on since 1.33). One that holds `nodes/proxy` may run commands in every pod.
const RIGHT: &str = "get nodes/pods (before Kubernetes 1.33: get nodes/proxy)";

/// How the kubelet is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KubeletSettings {
    /// Its URL, without a path.
    pub url: String,
    /// A file with the token that is shown. Where it renews, it is read again.
    pub token: Option<PathBuf>,
    /// A file with the certificate of the authority that signs for the kubelet; the system's authorities without it.
    pub authority: Option<PathBuf>,
    /// Takes any certificate: that of most kubelets is signed by themselves. What is told by whoever holds the address
    /// of the kubelet is then believed, and he is shown the token.
    pub accept_any_certificate: bool,
}

impl KubeletSettings {
    /// The kubelet at an address of this node, asked with the service account.
    pub fn of_node(ip: std::net::IpAddr, cluster: &InCluster) -> Self {
        Self {
            url: format!("https://{}", std::net::SocketAddr::new(ip, KUBELET_PORT)),
            token: Some(cluster.token()),
            authority: Some(cluster.authority()),
            accept_any_certificate: false,
        }
    }
}

/// Asks the kubelet while it is needed.
pub(crate) struct Poller {
    api: Api,
    state: State,
    timing: Timing,
    batches: Batches,
    has_api: bool,
}

impl Poller {
    pub(crate) const fn new(api: Api, state: State, timing: Timing, batches: Batches, has_api: bool) -> Self {
        Self { api, state, timing, batches, has_api }
    }

    pub(crate) async fn run(mut self) {
        let mut is_told = false;
        loop {
            let is_needed = !self.has_api || self.state.needs_kubelet(self.timing.kubelet_after);
            self.state.kubelet(|kubelet| kubelet.is_asked = is_needed);
            let told = match (is_needed, is_told) {
                (true, _) => self.poll().await,
                // The API has taken over: what it does not know is gone.
                (false, true) => {
                    self.batches.push(Change::Absent(ResourceKind::Pod));
                    self.batches.send().await.map(|()| Ok(()))
                }
                (false, false) => Ok(Ok(())),
            };
            match told {
                Err(Closed) => return,
                Ok(Ok(())) => is_told = is_needed,
                Ok(Err(failure)) => self.failed(&failure),
            }
            sleep(jittered(self.timing.kubelet_interval)).await;
        }
    }

    fn failed(&self, failure: &Failure) {
        let text = match failure {
            Failure::Forbidden(message) => format!("forbidden: {RIGHT}: {message}"),
            other => format!("cannot ask the kubelet for its pods: {other}"),
        };
        let mut is_new = false;
        self.state.kubelet(|kubelet| {
            kubelet.errors += 1;
            is_new = kubelet.last_error.as_ref() != Some(&text);
            kubelet.last_error = Some(text.clone());
        });
        if is_new {
            tracing::warn!("{text}");
        }
    }

    async fn poll(&mut self) -> Result<Result<(), Failure>, Closed> {
        let mut changes = Vec::new();
        if let Err(failure) = self.read(&mut changes).await {
            return Ok(Err(failure));
        }
        let pods = changes.len() as u64;
        self.batches.push(Change::ListBegins(ResourceKind::Pod));
        for change in changes {
            self.batches.push(change);
            self.batches.send_full().await?;
        }
        self.batches.push(Change::ListEnds(ResourceKind::Pod));
        self.batches.send().await?;
        self.state.kubelet(|kubelet| {
            kubelet.pods = pods;
            kubelet.last_contact = Some(Instant::now());
        });
        Ok(Ok(()))
    }

    /// All pods of a node, of which there are some hundred at most: told at once or, if the answer breaks off, not at all.
    async fn read(&self, changes: &mut Vec<Change>) -> Result<(), Failure> {
        let mut answer = self.api.get("/pods", "application/json", self.timing.list_silence_max).await?;
        let mut reader = ListReader::new();
        let not_a_list = |error: NotAList| Failure::Malformed(error.to_string());
        while let Some(chunk) = answer.next().await? {
            let each = |piece: Piece<'_>| match piece {
                Piece::Item(json) => match object_of(ResourceKind::Pod, "v1", json) {
                    Ok(manifest) => changes.push(Change::Apply(Box::new(manifest.object))),
                    Err(error) => self.malformed(error.to_string()),
                },
                Piece::Unreadable(why) => self.malformed(format!("a pod of the kubelet is {why}")),
            };
            reader.feed(&chunk, each).map_err(not_a_list)?;
        }
        reader.end().map(|_| ()).map_err(not_a_list)
    }

    fn malformed(&self, text: String) {
        self.state.kubelet(|kubelet| {
            kubelet.malformed += 1;
            kubelet.last_error = Some(text);
        });
    }
}
