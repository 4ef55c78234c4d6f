//! The methods of CRI that are used, each with its timeout.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use prost::Message;
use tokio::sync::Semaphore;
use tokio::time;
use tonic::client::Grpc;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::CriError;
use crate::connection::Requests;
use crate::limits::{REQUESTS_IN_FLIGHT_MAX, RESPONSE_BYTES_MAX};
use crate::options::Timing;
use crate::proto;
use crate::state::Shared;

/// Asks a runtime. Clones share the connection and its limits.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    requests: Requests,
    permits: Arc<Semaphore>,
    timeouts_in_a_row: Arc<AtomicU32>,
    shared: Arc<Shared>,
    timing: Timing,
}

/// A method of `RuntimeService`.
#[derive(Clone, Copy, Debug)]
struct Method {
    name: &'static str,
    within: Duration,
}

impl Method {
    fn path(self) -> PathAndQuery {
        let path = format!("/{}/{}", proto::SERVICE, self.name);
        PathAndQuery::try_from(path).expect("names of methods are letters")
    }
}

impl Client {
    pub(crate) fn new(requests: Requests, shared: Arc<Shared>, timing: Timing) -> Self {
        let permits = Arc::new(Semaphore::new(REQUESTS_IN_FLIGHT_MAX));
        Self { requests, permits, timeouts_in_a_row: Arc::default(), shared, timing }
    }

    pub(crate) async fn version(&self) -> Result<proto::VersionResponse, CriError> {
        self.unary(self.quick("Version"), proto::VersionRequest {}).await
    }

    pub(crate) async fn ready_sandboxes(&self) -> Result<Vec<proto::PodSandbox>, CriError> {
        let state = Some(proto::PodSandboxStateValue { state: proto::SANDBOX_READY });
        let request = proto::ListPodSandboxRequest { filter: Some(proto::PodSandboxFilter { state }) };
        let response: proto::ListPodSandboxResponse =
            self.unary(self.slow("ListPodSandbox"), request).await?;
        Ok(response.items)
    }

    /// All containers, ended ones included: the filter takes one state alone.
    pub(crate) async fn containers(&self) -> Result<Vec<proto::Container>, CriError> {
        let request = proto::ListContainersRequest { filter: None };
        let response: proto::ListContainersResponse =
            self.unary(self.slow("ListContainers"), request).await?;
        Ok(response.containers)
    }

    /// The container as lists have it: only they name the sandbox.
    pub(crate) async fn container(&self, id: &str) -> Result<Option<proto::Container>, CriError> {
        let filter = Some(proto::ContainerFilter { id: id.to_owned() });
        let request = proto::ListContainersRequest { filter };
        let response: proto::ListContainersResponse =
            self.unary(self.quick("ListContainers"), request).await?;
        Ok(response.containers.into_iter().find(|container| container.id == id))
    }

    pub(crate) async fn container_status(
        &self,
        id: &str,
    ) -> Result<proto::ContainerStatusResponse, CriError> {
        let request = proto::ContainerStatusRequest { container_id: id.to_owned(), verbose: true };
        self.unary(self.quick("ContainerStatus"), request).await
    }

    pub(crate) async fn sandbox_status(&self, id: &str) -> Result<proto::PodSandboxStatusResponse, CriError> {
        let request = proto::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: true };
        self.unary(self.quick("PodSandboxStatus"), request).await
    }

    /// Opens the stream of events. grpc-go answers with the first event: this waits as long, without a timeout.
    pub(crate) async fn events(&self) -> Result<Streaming<proto::ContainerEventResponse>, Status> {
        let method = self.quick("GetContainerEvents");
        let codec = ProstCodec::<proto::GetEventsRequest, proto::ContainerEventResponse>::default();
        let request = Request::new(proto::GetEventsRequest {});
        let response = self.grpc().server_streaming(request, method.path(), codec).await?;
        Ok(response.into_inner())
    }

    /// How many requests in a row were not answered in time.
    pub(crate) fn timeouts_in_a_row(&self) -> u32 {
        self.timeouts_in_a_row.load(Ordering::Relaxed)
    }

    const fn quick(&self, name: &'static str) -> Method {
        Method { name, within: self.timing.request }
    }

    const fn slow(&self, name: &'static str) -> Method {
        Method { name, within: self.timing.list }
    }

    fn grpc(&self) -> Grpc<Requests> {
        let origin = Uri::from_static("http://localhost");
        Grpc::with_origin(self.requests.clone(), origin).max_decoding_message_size(RESPONSE_BYTES_MAX)
    }

    async fn unary<Q, R>(&self, method: Method, message: Q) -> Result<R, CriError>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.map_err(|_| CriError::Closed(None))?;
        self.shared.count(|counters| counters.requests += 1);
        let mut request = Request::new(message);
        // The runtime may give up when nobody waits any more.
        request.set_timeout(method.within);
        let mut grpc = self.grpc();
        let answer = grpc.unary(request, method.path(), ProstCodec::<Q, R>::default());
        let Ok(answer) = time::timeout(method.within, answer).await else {
            self.timeouts_in_a_row.fetch_add(1, Ordering::Relaxed);
            self.shared.count(|counters| counters.timeouts += 1);
            let error = CriError::Timeout { method: method.name, within_ms: method.within.as_millis() };
            self.shared.failed(&error);
            return Err(error);
        };
        self.timeouts_in_a_row.store(0, Ordering::Relaxed);
        let error = match answer {
            Ok(response) => return Ok(response.into_inner()),
            Err(_) if self.requests.is_closed() => CriError::Closed(None),
            Err(status) => CriError::of_status(method.name, &status),
        };
        if !error.is_not_found() {
            self.shared.count(|counters| counters.failures += 1);
            self.shared.failed(&error);
        }
        Err(error)
    }
}
