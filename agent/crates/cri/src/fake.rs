//! A runtime that does as tests want.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixListener;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::proto;

/// Containers of the fake, and how it misbehaves.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) version: &'static str,
    pub(crate) has_cri: bool,
    pub(crate) sandboxes: BTreeMap<String, proto::PodSandboxStatus>,
    /// With the sandbox, the status and the verbose information.
    pub(crate) containers: BTreeMap<String, (String, proto::ContainerStatus, String)>,
    /// Methods that are never answered.
    pub(crate) hangs: Vec<&'static str>,
    /// Time before each answer.
    pub(crate) delay: Duration,
    /// Calls by method.
    pub(crate) calls: BTreeMap<String, u64>,
    /// Most calls that were under way at once.
    pub(crate) in_flight: (usize, usize),
}

impl Default for World {
    fn default() -> Self {
        Self {
            version: "1.7.28",
            has_cri: true,
            sandboxes: BTreeMap::new(),
            containers: BTreeMap::new(),
            hangs: Vec::new(),
            delay: Duration::ZERO,
            calls: BTreeMap::new(),
            in_flight: (0, 0),
        }
    }
}

/// The runtime; its sockets end with it.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) events: broadcast::Sender<proto::ContainerEventResponse>,
}

/// Sockets that are served. Dropping it closes them.
pub(crate) type Served = JoinSet<()>;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Fake {
    pub(crate) fn new() -> Self {
        Self { world: Arc::default(), events: broadcast::channel(64).0 }
    }

    pub(crate) fn pod(&self, number: usize) -> String {
        let id = format!("{:064x}", 0x5000_0000 + number);
        let status = proto::PodSandboxStatus {
            id: id.clone(),
            metadata: Some(proto::PodSandboxMetadata {
                name: format!("pod-{number}"),
                uid: format!("uid-{number}"),
                namespace: "shop".to_owned(),
                attempt: 0,
            }),
            state: proto::SANDBOX_READY,
            created_at: 1_700_000_000_000_000_000,
            network: Some(proto::PodSandboxNetworkStatus {
                ip: "10.0.0.7".to_owned(),
                additional_ips: vec![proto::PodIp { ip: "fd00::7".to_owned() }],
            }),
            linux: None,
            labels: [("app", "web"), ("io.kubernetes.pod.name", "pod")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        };
        self.world.lock().unwrap().sandboxes.insert(id.clone(), status);
        id
    }

    pub(crate) fn container(&self, sandbox: &str, number: usize) -> String {
        let id = format!("{:064x}", 0xc000_0000 + number);
        let status = proto::ContainerStatus {
            id: id.clone(),
            metadata: Some(proto::ContainerMetadata { name: format!("c-{number}"), attempt: 0 }),
            state: proto::container_state::RUNNING,
            created_at: 1,
            started_at: 2,
            image: Some(proto::ImageSpec { image: "web:1".to_owned(), user_specified_image: String::new() }),
            image_ref: "repo/web@sha256:ab".to_owned(),
            labels: BTreeMap::new(),
            mounts: vec![proto::Mount {
                container_path: "/data".to_owned(),
                host_path: "/srv".to_owned(),
                readonly: true,
            }],
        };
        let info = format!(
            r#"{{"sandboxID":"{sandbox}","pid":{},"config":{{"linux":{{"security_context":{{"privileged":true}}}}}}}}"#,
            number + 1
        );
        self.world.lock().unwrap().containers.insert(id.clone(), (sandbox.to_owned(), status, info));
        id
    }

    pub(crate) fn calls(&self, method: &str) -> u64 {
        self.world.lock().unwrap().calls.get(method).copied().unwrap_or_default()
    }

    /// Like a containerd whose CRI plugin is turned off.
    pub(crate) fn serve_without_cri(&self, socket: &Path) -> Served {
        let without = Self::new();
        without.world.lock().unwrap().has_cri = false;
        without.serve(socket)
    }

    pub(crate) fn serve(&self, socket: &Path) -> Served {
        let listener = UnixListener::bind(socket).unwrap();
        let (mut served, fake) = (JoinSet::new(), self.clone());
        served.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let fake = fake.clone();
                let service = service_fn(move |request| {
                    let fake = fake.clone();
                    async move { Ok::<_, Infallible>(fake.answer(request).await) }
                });
                let connection =
                    http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move { _ = connection.await });
            }
        });
        served
    }

    async fn answer(self, request: hyper::Request<Incoming>) -> hyper::Response<tonic::body::Body> {
        let path = request.uri().path().to_owned();
        let has_cri = self.world.lock().unwrap().has_cri;
        let Some(method) = path.strip_prefix("/runtime.v1.RuntimeService/").filter(|_| has_cri) else {
            return Status::unimplemented("unknown service runtime.v1.RuntimeService").into_http();
        };
        let (delay, hangs) = {
            let mut world = self.world.lock().unwrap();
            *world.calls.entry(method.to_owned()).or_default() += 1;
            world.in_flight.0 += 1;
            world.in_flight.1 = world.in_flight.1.max(world.in_flight.0);
            (world.delay, world.hangs.contains(&method))
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(delay).await;
        self.world.lock().unwrap().in_flight.0 -= 1;
        match method {
            "Version" => unary(request, move |_: proto::VersionRequest| self.version()).await,
            "ListPodSandbox" => {
                unary(request, move |_: proto::ListPodSandboxRequest| self.list_sandboxes()).await
            }
            "ListContainers" => {
                unary(request, move |wanted: proto::ListContainersRequest| self.list_containers(&wanted))
                    .await
            }
            "PodSandboxStatus" => {
                unary(request, move |wanted: proto::PodSandboxStatusRequest| self.sandbox_status(&wanted))
                    .await
            }
            "ContainerStatus" => {
                unary(request, move |wanted: proto::ContainerStatusRequest| self.container_status(&wanted))
                    .await
            }
            "GetContainerEvents" => {
                let codec = ProstCodec::<proto::ContainerEventResponse, proto::GetEventsRequest>::default();
                Grpc::new(codec).server_streaming(Stream(self.events), request).await
            }
            _ => Status::unimplemented("unknown method").into_http(),
        }
    }

    fn version(&self) -> Result<proto::VersionResponse, Status> {
        let version = self.world.lock().unwrap().version.to_owned();
        Ok(proto::VersionResponse { runtime_name: "containerd".to_owned(), runtime_version: version })
    }

    fn list_sandboxes(&self) -> Result<proto::ListPodSandboxResponse, Status> {
        let listed = |status: &proto::PodSandboxStatus| proto::PodSandbox {
            id: status.id.clone(),
            metadata: status.metadata.clone(),
            state: status.state,
            created_at: status.created_at,
            labels: status.labels.clone(),
        };
        let items = self.world.lock().unwrap().sandboxes.values().map(listed).collect();
        Ok(proto::ListPodSandboxResponse { items })
    }

    fn list_containers(
        &self,
        request: &proto::ListContainersRequest,
    ) -> Result<proto::ListContainersResponse, Status> {
        let wanted = request.filter.as_ref().map(|filter| filter.id.as_str());
        let world = self.world.lock().unwrap();
        let listed = |(sandbox, status, _): &(String, proto::ContainerStatus, String)| proto::Container {
            id: status.id.clone(),
            pod_sandbox_id: sandbox.clone(),
            metadata: status.metadata.clone(),
            image: status.image.clone(),
            image_ref: status.image_ref.clone(),
            state: status.state,
            created_at: status.created_at,
            labels: status.labels.clone(),
        };
        let containers = world.containers.values().map(listed);
        let containers = containers.filter(|listed| wanted.is_none_or(|id| id == listed.id)).collect();
        Ok(proto::ListContainersResponse { containers })
    }

    fn sandbox_status(
        &self,
        request: &proto::PodSandboxStatusRequest,
    ) -> Result<proto::PodSandboxStatusResponse, Status> {
        let world = self.world.lock().unwrap();
        let status = world.sandboxes.get(&request.pod_sandbox_id).ok_or_else(|| Status::not_found("no"))?;
        let info = [("info".to_owned(), r#"{"pid":9,"config":{}}"#.to_owned())].into();
        Ok(proto::PodSandboxStatusResponse { status: Some(status.clone()), info })
    }

    fn container_status(
        &self,
        request: &proto::ContainerStatusRequest,
    ) -> Result<proto::ContainerStatusResponse, Status> {
        let world = self.world.lock().unwrap();
        let (_, status, info) =
            world.containers.get(&request.container_id).ok_or_else(|| Status::not_found("no"))?;
        let info = if info.is_empty() { None } else { Some(("info".to_owned(), info.clone())) };
        Ok(proto::ContainerStatusResponse { status: Some(status.clone()), info: info.into_iter().collect() })
    }
}

async fn unary<Q, R>(
    request: hyper::Request<Incoming>,
    answer: impl FnOnce(Q) -> Result<R, Status> + Send + 'static,
) -> hyper::Response<tonic::body::Body>
where
    Q: Message + Default + 'static,
    R: Message + 'static,
{
    Grpc::new(ProstCodec::<R, Q>::default()).unary(Unary(Some(answer)), request).await
}

struct Unary<F>(Option<F>);

impl<Q, R, F> UnaryService<Q> for Unary<F>
where
    F: FnOnce(Q) -> Result<R, Status>,
    R: Send + 'static,
{
    type Response = R;
    type Future = Boxed<Result<Response<R>, Status>>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let answer = self.0.take().map(|answer| answer(request.into_inner()));
        Box::pin(async move { answer.expect("a request is answered once").map(Response::new) })
    }
}

struct Stream(broadcast::Sender<proto::ContainerEventResponse>);

impl ServerStreamingService<proto::GetEventsRequest> for Stream {
    type Response = proto::ContainerEventResponse;
    type ResponseStream = Events;
    type Future = Boxed<Result<Response<Events>, Status>>;

    fn call(&mut self, _: Request<proto::GetEventsRequest>) -> Self::Future {
        let events = Events(Box::pin(next(self.0.subscribe())));
        Box::pin(async move { Ok(Response::new(events)) })
    }
}

type Next = (broadcast::Receiver<proto::ContainerEventResponse>, Option<proto::ContainerEventResponse>);

async fn next(mut receiver: broadcast::Receiver<proto::ContainerEventResponse>) -> Next {
    let event = receiver.recv().await.ok();
    (receiver, event)
}

pub(crate) struct Events(Boxed<Next>);

impl tokio_stream::Stream for Events {
    type Item = Result<proto::ContainerEventResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (receiver, event) = std::task::ready!(self.0.as_mut().poll(context));
        self.0 = Box::pin(next(receiver));
        Poll::Ready(event.map(Ok))
    }
}
