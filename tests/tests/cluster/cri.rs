//! The container runtime as kubelet uses it, with the few methods that tests need: no client of it is a Debian package.
//! Numbers and types are those of kubernetes `staging/src/k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;
use tower_service::Service;

use crate::kube::told;

/// `NamespaceMode.NODE`
const NAMESPACE_OF_NODE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PodMetadata {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) uid: String,
    #[prost(string, tag = "3")]
    pub(crate) namespace: String,
}

#[derive(Clone, PartialEq, Message)]
struct NamespaceOption {
    #[prost(int32, tag = "1")]
    network: i32,
}

#[derive(Clone, PartialEq, Message)]
struct SandboxSecurity {
    #[prost(message, optional, tag = "1")]
    namespaces: Option<NamespaceOption>,
    #[prost(bool, tag = "6")]
    privileged: bool,
}

#[derive(Clone, PartialEq, Message)]
struct LinuxSandbox {
    #[prost(string, tag = "1")]
    cgroup_parent: String,
    #[prost(message, optional, tag = "2")]
    security: Option<SandboxSecurity>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sandbox {
    #[prost(message, optional, tag = "1")]
    pub(crate) metadata: Option<PodMetadata>,
    #[prost(btree_map = "string, string", tag = "6")]
    pub(crate) labels: BTreeMap<String, String>,
    #[prost(message, optional, tag = "8")]
    linux: Option<LinuxSandbox>,
}

impl Sandbox {
    /// With the node's network.
    pub(crate) fn new(metadata: PodMetadata, cgroup_parent: &str) -> Self {
        // Whether containers may be privileged; each says on its own whether it is.
        let namespaces = Some(NamespaceOption { network: NAMESPACE_OF_NODE });
        let security = Some(SandboxSecurity { namespaces, privileged: true });
        let linux = Some(LinuxSandbox { cgroup_parent: cgroup_parent.to_owned(), security });
        Self { metadata: Some(metadata), labels: BTreeMap::new(), linux }
    }
}

#[derive(Clone, PartialEq, Message)]
struct ContainerMetadata {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(string, tag = "1")]
    image: String,
    #[prost(string, tag = "18")]
    user_specified_image: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Mount {
    #[prost(string, tag = "1")]
    pub(crate) container_path: String,
    #[prost(string, tag = "2")]
    pub(crate) host_path: String,
    #[prost(bool, tag = "3")]
    pub(crate) readonly: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerSecurity {
    #[prost(bool, tag = "2")]
    privileged: bool,
    #[prost(message, optional, tag = "3")]
    namespaces: Option<NamespaceOption>,
}

#[derive(Clone, PartialEq, Message)]
struct LinuxContainer {
    #[prost(message, optional, tag = "2")]
    security: Option<ContainerSecurity>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Container {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ContainerMetadata>,
    #[prost(message, optional, tag = "2")]
    image: Option<Image>,
    #[prost(string, repeated, tag = "3")]
    command: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) mounts: Vec<Mount>,
    #[prost(message, optional, tag = "15")]
    linux: Option<LinuxContainer>,
}

impl Container {
    pub(crate) fn new(name: &str, image: &str, command: &[&str]) -> Self {
        let (image, user_specified_image) = (image.to_owned(), image.to_owned());
        Self {
            metadata: Some(ContainerMetadata { name: name.to_owned() }),
            image: Some(Image { image, user_specified_image }),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            mounts: Vec::new(),
            linux: None,
        }
        .with_privileges(false)
    }

    pub(crate) fn with_privileges(mut self, privileged: bool) -> Self {
        let namespaces = Some(NamespaceOption { network: NAMESPACE_OF_NODE });
        self.linux = Some(LinuxContainer { security: Some(ContainerSecurity { privileged, namespaces }) });
        self
    }
}

#[derive(Clone, PartialEq, Message)]
struct RunSandbox {
    #[prost(message, optional, tag = "1")]
    config: Option<Sandbox>,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainer {
    #[prost(string, tag = "1")]
    sandbox_id: String,
    #[prost(message, optional, tag = "2")]
    config: Option<Container>,
    #[prost(message, optional, tag = "3")]
    sandbox_config: Option<Sandbox>,
}

/// A request or an answer that has an id alone.
#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

/// A client of the cluster's containerd.
pub(crate) struct Cri {
    runtime: Runtime,
    requests: Requests,
}

impl Cri {
    pub(crate) fn connect() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let requests = runtime.block_on(async {
            let stream = UnixStream::connect(told("WATCHFIRE_CRI_SOCKET")).await.unwrap();
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            // It ends with its sender.
            drop(tokio::spawn(connection));
            Requests(sender)
        });
        Self { runtime, requests }
    }

    /// Makes and starts a sandbox; its id.
    pub(crate) fn run_sandbox(&self, config: &Sandbox) -> String {
        self.call::<_, Id>("RunPodSandbox", RunSandbox { config: Some(config.clone()) }).id
    }

    /// Makes a container and starts it; its id.
    pub(crate) fn run_container(&self, sandbox_id: &str, sandbox: &Sandbox, config: Container) -> String {
        let request = CreateContainer {
            sandbox_id: sandbox_id.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox.clone()),
        };
        let Id { id } = self.call("CreateContainer", request);
        let Nothing {} = self.call("StartContainer", Id { id: id.clone() });
        id
    }

    /// Ends and removes a sandbox with its containers.
    pub(crate) fn remove_sandbox(&self, id: &str) -> Result<(), tonic::Status> {
        let id = Id { id: id.to_owned() };
        let Nothing {} = self.attempt("StopPodSandbox", id.clone())?;
        let Nothing {} = self.attempt("RemovePodSandbox", id)?;
        Ok(())
    }

    fn call<Q: Message + 'static, R: Message + Default + 'static>(&self, method: &str, request: Q) -> R {
        self.attempt(method, request).unwrap_or_else(|status| panic!("{method}: {status}"))
    }

    fn attempt<Q, R>(&self, method: &str, request: Q) -> Result<R, tonic::Status>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        let path = PathAndQuery::try_from(format!("/runtime.v1.RuntimeService/{method}")).unwrap();
        let mut grpc = Grpc::with_origin(self.requests.clone(), Uri::from_static("http://localhost"));
        let answer = grpc.unary(tonic::Request::new(request), path, ProstCodec::<Q, R>::default());
        Ok(self.runtime.block_on(answer)?.into_inner())
    }
}

/// Sends requests over a connection, as tonic wants it.
#[derive(Clone)]
struct Requests(SendRequest<Body>);

impl Service<Request<Body>> for Requests {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
