//! Asking for one container, of which only the id is known.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time;

use crate::CriError;
use crate::client::Client;
use crate::info::Info;
use crate::known::Known;
use crate::options::Timing;
use crate::proto;

/// The messages that tell of it.
#[derive(Default, Debug)]
pub(crate) struct Found {
    /// The container, and the sandbox that it is in, if that is told.
    pub(crate) container: Option<(proto::ContainerStatus, Info, String)>,
    /// The sandbox: what was asked for, or that of the container if it was not known.
    pub(crate) sandbox: Option<(proto::PodSandboxStatus, Info)>,
}

/// What may be known of an id beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Either, and perhaps the runtime gets to know it only in a moment.
    Any,
    /// A container that a list named.
    Container,
    /// A sandbox that a list named.
    Sandbox,
}

/// Asks; `not_yet` is called once if the runtime does not know it and is asked again.
pub(crate) async fn ask(
    client: &Client,
    known: &Mutex<Known>,
    id: &str,
    kind: Kind,
    timing: &Timing,
    not_yet: impl FnOnce(),
) -> Result<Found, CriError> {
    match kind {
        Kind::Container => container(client, known, id).await,
        Kind::Sandbox => sandbox(client, id).await,
        Kind::Any => {
            let mut not_yet = Some(not_yet);
            for &pause in &timing.retries {
                match either(client, known, id).await {
                    Err(error) if error.is_not_found() => {
                        if let Some(not_yet) = not_yet.take() {
                            not_yet();
                        }
                        time::sleep(pause).await;
                    }
                    answer => return answer,
                }
            }
            either(client, known, id).await
        }
    }
}

async fn either(client: &Client, known: &Mutex<Known>, id: &str) -> Result<Found, CriError> {
    match container(client, known, id).await {
        Err(error) if error.is_not_found() => sandbox(client, id).await,
        answer => answer,
    }
}

async fn sandbox(client: &Client, id: &str) -> Result<Found, CriError> {
    Ok(Found { container: None, sandbox: Some(sandbox_status(client, id).await?) })
}

async fn sandbox_status(client: &Client, id: &str) -> Result<(proto::PodSandboxStatus, Info), CriError> {
    let response = client.sandbox_status(id).await?;
    // Runtimes take the beginning of an id for the id.
    let status = response.status.filter(|status| status.id == id);
    let status = status.ok_or_else(|| nothing("PodSandboxStatus"))?;
    Ok((status, Info::read(&response.info)))
}

async fn container(client: &Client, known: &Mutex<Known>, id: &str) -> Result<Found, CriError> {
    let response = client.container_status(id).await?;
    let status = response.status.filter(|status| status.id == id);
    let status = status.ok_or_else(|| nothing("ContainerStatus"))?;
    let info = Info::read(&response.info);
    let sandbox_id = match &info.sandbox_id {
        Some(sandbox_id) => sandbox_id.clone(),
        // Only lists name the sandbox of every runtime. Without it the labels may still name the pod.
        None => {
            client.container(id).await.ok().flatten().map(|listed| listed.pod_sandbox_id).unwrap_or_default()
        }
    };
    let is_known = || known.lock().unwrap_or_else(PoisonError::into_inner).is_complete(&sandbox_id);
    let sandbox = match sandbox_id.as_str() {
        "" => None,
        _ if is_known() => None,
        _ => sandbox_status(client, &sandbox_id).await.ok(),
    };
    Ok(Found { container: Some((status, info, sandbox_id)), sandbox })
}

fn nothing(method: &'static str) -> CriError {
    CriError::of_status(method, &tonic::Status::not_found("answered with another or none"))
}

/// Shared with the look-ups that are under way.
pub(crate) type SharedKnown = Arc<Mutex<Known>>;
