//! What the Kubernetes API and the kubelet of this node tell of the cluster, as changes for the inventory.
//!
//! Every kind is listed once and then watched, over kube's client. The watcher of kube's own runtime is not used: it
//! drops a whole page for one object that it cannot read, and holds pages in memory.
//!
//! The API is asked about the tokens of those, too, who ask the agent.
#![forbid(unsafe_code)]

mod access;
mod api;
mod batch;
mod client;
mod discovery;
mod items;
mod kubelet;
mod kubernetes;
mod lines;
mod resource;
mod reviews;
mod state;
mod timing;
mod watcher;

// kube demands that whoever builds it chooses a Kubernetes version, by a feature of this crate.
use k8s_openapi as _;

pub use access::{Access, AccessError, InCluster};
pub use batch::BATCH_CHANGES_MAX;
pub use client::{CONNECT_TIMEOUT, KEEPALIVE_AFTER, KEEPALIVE_INTERVAL, KEEPALIVE_RETRIES};
pub use items::OBJECT_BYTES_MAX;
pub use kubelet::{KUBELET_PORT, KubeletSettings};
pub use kubernetes::{Kubernetes, Settings};
pub use resource::PAGE_OBJECTS;
pub use reviews::{TokenAccess, TokenReviews, USER_NAME_BYTES_MAX};
pub use state::{KindState, KubeletState, Phase, Snapshot, State};
pub use timing::{
    ABSENT_INTERVAL, ANSWER_TIMEOUT, BACKOFF_FIRST, BACKOFF_MAX, KUBELET_AFTER, KUBELET_INTERVAL,
    LIST_SILENCE_MAX, Timing, WATCH_S, WATCH_SETTLED, WATCH_SILENCE_MAX,
};
