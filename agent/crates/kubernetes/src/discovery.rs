//! Which kinds the API has, asked once for all that are absent.
//!
//! The answer is the aggregated discovery document of all groups (Kubernetes 1.26 and newer), and mostly that it has not
//! changed. Older servers answer with groups alone: then each kind is asked for by itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::sleep;
use watchfire_inventory::ResourceKind;

use crate::api::{Answer, Api, Failure};
use crate::items::{ListReader, Piece};
use crate::timing::{Timing, jittered};

const PATH: &str = "/apis";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// What the API has.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Served {
    /// Not asked yet.
    Waiting,
    /// Not known: whoever wants to know asks for the kind itself.
    Unknown,
    /// Kinds in some version that is understood.
    Kinds(Arc<BTreeSet<ResourceKind>>),
}

#[derive(Deserialize)]
struct Group {
    metadata: GroupMetadata,
    #[serde(default)]
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupMetadata {
    name: String,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
    #[serde(default)]
    resources: Vec<GroupResource>,
}

#[derive(Deserialize)]
struct GroupResource {
    resource: String,
}

/// Asks on behalf of all kinds.
pub(crate) struct Discovery {
    api: Api,
    timing: Timing,
    served: watch::Sender<Served>,
    tag: Option<String>,
}

/// Waits for a kind to come.
#[derive(Clone)]
pub(crate) struct Arrivals(watch::Receiver<Served>);

impl Arrivals {
    /// Waits for the next answer. False if by it the kind is not there.
    pub(crate) async fn may_be_there(&mut self, kind: ResourceKind) -> bool {
        // What was told before this wait is no news.
        self.0.mark_unchanged();
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        match &*self.0.borrow_and_update() {
            Served::Waiting | Served::Unknown => true,
            Served::Kinds(kinds) => kinds.contains(&kind),
        }
    }

    /// Whether the API is known not to have a kind, by its last answer or, at the beginning, its first.
    pub(crate) async fn is_absent(&mut self, kind: ResourceKind) -> bool {
        match self.0.wait_for(|served| *served != Served::Waiting).await.as_deref() {
            Ok(Served::Kinds(kinds)) => !kind.group().is_empty() && !kinds.contains(&kind),
            _ => false,
        }
    }
}

impl Discovery {
    pub(crate) fn new(api: Api, timing: Timing) -> (Self, Arrivals) {
        let (served, arrivals) = watch::channel(Served::Waiting);
        (Self { api, timing, served, tag: None }, Arrivals(arrivals))
    }

    pub(crate) async fn run(mut self) {
        loop {
            match self.ask().await {
                Ok(Some(kinds)) => _ = self.served.send_replace(Served::Kinds(Arc::new(kinds))),
                // The same as before is news as well: somebody waits for it.
                Ok(None) => self.served.send_modify(|_| {}),
                Err(failure) => {
                    tracing::debug!(%failure, "the API does not tell its kinds");
                    self.tag = None;
                    self.served.send_replace(Served::Unknown);
                }
            }
            sleep(jittered(self.timing.absent_interval)).await;
        }
    }

    /// None if nothing has changed.
    async fn ask(&mut self) -> Result<Option<BTreeSet<ResourceKind>>, Failure> {
        let silence_max = self.timing.list_silence_max;
        let answer = self.api.get_if_changed(PATH, AGGREGATED, silence_max, self.tag.as_deref()).await?;
        let Some(mut answer) = answer else { return Ok(None) };
        let kinds = read(&mut answer).await?;
        self.tag = answer.tag().map(ToOwned::to_owned);
        Ok(Some(kinds))
    }
}

async fn read(answer: &mut Answer) -> Result<BTreeSet<ResourceKind>, Failure> {
    let (mut reader, mut kinds) = (ListReader::new(), BTreeSet::new());
    while let Some(chunk) = answer.next().await? {
        let each = |piece: Piece<'_>| {
            if let Piece::Item(json) = piece
                && let Ok(group) = serde_json::from_str::<Group>(json)
            {
                kinds.extend(ResourceKind::ALL.into_iter().filter(|kind| group.has(*kind)));
            }
        };
        reader.feed(&chunk, each).map_err(|error| Failure::Malformed(error.to_string()))?;
    }
    reader.end().map_err(|error| Failure::Malformed(error.to_string()))?;
    Ok(kinds)
}

impl Group {
    fn has(&self, kind: ResourceKind) -> bool {
        let mut versions = self.versions.iter();
        self.metadata.name == kind.group()
            && versions.any(|version| {
                kind.versions().contains(&version.version.as_str())
                    && version.resources.iter().any(|resource| resource.resource == kind.plural())
            })
    }
}
