//! A list of everything.

use watchfire_inventory::ContainerChange;

use crate::CriError;
use crate::client::Client;
use crate::convert::Convert;
use crate::known::Known;
use crate::lookup::Kind;
use crate::proto::{self, container_state};

/// What the runtime lists.
#[derive(Debug)]
pub(crate) struct Listing {
    /// As [`Known::begin_list`] numbered it.
    pub(crate) number: u64,
    sandboxes: Vec<proto::PodSandbox>,
    containers: Vec<proto::Container>,
}

/// A list, taken in.
#[derive(Debug)]
pub(crate) struct Taken {
    /// What is to be told, from [`ContainerChange::ListBegins`] to [`ContainerChange::ListEnds`].
    pub(crate) changes: Vec<ContainerChange>,
    /// Of what more is to be asked for.
    pub(crate) incomplete: Vec<(String, Kind)>,
}

pub(crate) async fn fetch(client: &Client, number: u64) -> Result<Listing, CriError> {
    let sandboxes = client.ready_sandboxes().await?;
    let containers = client.containers().await?;
    Ok(Listing { number, sandboxes, containers })
}

/// Takes a list in. Ended containers are left out: nothing runs in them any more.
pub(crate) fn take(known: &mut Known, convert: &mut Convert, listing: Listing) -> Taken {
    let mut incomplete = Vec::new();
    for sandbox in listing.sandboxes {
        let id = sandbox.id.clone();
        if known.take_listed(convert.listed_sandbox(sandbox)) && !known.is_complete(&id) {
            incomplete.push((id, Kind::Sandbox));
        }
    }
    for container in listing.containers {
        if !matches!(container.state, container_state::CREATED | container_state::RUNNING) {
            continue;
        }
        let id = container.id.clone();
        let pod = known.pod_ref(&container.pod_sandbox_id);
        if known.take_listed(convert.listed_container(container, pod)) && !known.is_complete(&id) {
            incomplete.push((id, Kind::Container));
        }
    }
    known.end_list(listing.number);
    let mut changes = vec![ContainerChange::ListBegins];
    for (object, pod) in known.all() {
        changes.extend(pod.map(ContainerChange::ApplyPod));
        changes.push(ContainerChange::Apply(object));
    }
    changes.push(ContainerChange::ListEnds);
    Taken { changes, incomplete }
}
