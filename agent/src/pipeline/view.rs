//! How records show what the stages know.

use std::net::SocketAddr;
use std::sync::Arc;

use watchfire_inventory::{Cgroup, Directory, Ends};
use watchfire_model::{
    ContainerView, EndpointView, Flow, Peer, Pod, PodView, Process, ProcessView, ServiceView, Side,
};

use super::open_flows::Led;

/// A process, with its cgroup, pod and container.
pub(super) fn process(
    process: &Process,
    cgroup: Option<&Cgroup>,
    pod: Option<&Pod>,
    container: Option<Arc<ContainerView>>,
) -> ProcessView {
    // Exhaustive, so that a new field of the table is not forgotten in records.
    let Process {
        exec_id,
        parent: _,
        binary,
        args,
        args_truncated,
        cwd,
        uid,
        euid,
        gid,
        egid: _,
        permitted: _,
        ns_pid,
        cgroup_id,
        namespaces,
        origin,
        state: _,
    } = process;
    ProcessView {
        exec_id: *exec_id,
        pid: exec_id.pid,
        ns_pid: *ns_pid,
        binary: binary.clone(),
        args: args.clone(),
        args_truncated: *args_truncated,
        cwd: cwd.clone(),
        uid: *uid,
        euid: *euid,
        gid: *gid,
        cgroup_id: *cgroup_id,
        cgroup: cgroup.map(|cgroup| Arc::clone(&cgroup.path)),
        namespaces: *namespaces,
        origin: *origin,
        pod: pod.map(PodView::from),
        container,
        unit: cgroup.and_then(|cgroup| cgroup.unit.clone()),
    }
}

/// Both ends of a flow, client first. `names` are those of the end that is not the observed one.
pub(super) fn endpoints(
    directory: &Directory,
    flow: &Flow,
    ends: &Ends,
    led: Option<&Led>,
    names: &[Arc<str>],
) -> (EndpointView, EndpointView) {
    let mut client = endpoint(directory, flow.client, &ends.client);
    let mut server = server(directory, flow.server, &ends.server, led);
    let remote = match flow.side {
        Side::Client => &mut server,
        Side::Server => &mut client,
    };
    remote.names = names.to_vec();
    (client, server)
}

/// One end of a flow.
fn endpoint(directory: &Directory, address: SocketAddr, peer: &Peer) -> EndpointView {
    let (kind, pod, detail) = match peer {
        Peer::Pod(pod) => ("pod", Some(PodView::from(&**pod)), None),
        Peer::Node { name } => ("node", None, Some(Arc::clone(name))),
        Peer::World => ("world", None, None),
        Peer::Unresolved(why) => ("unresolved", None, Some((*why).into())),
    };
    // Pods that answer for it are told as what they are.
    let api_server = !matches!(peer, Peer::Pod(_)) && directory.is_api_server(address.ip());
    EndpointView { address, pod, kind, detail, api_server, names: Vec::new(), service: None, backend: None }
}

/// The server of a flow, with where a service's address led.
fn server(directory: &Directory, address: SocketAddr, peer: &Peer, led: Option<&Led>) -> EndpointView {
    let service = led.and_then(|led| led.service.as_deref());
    let service = service.map(|service| ServiceView {
        namespace: Arc::clone(&service.namespace),
        name: Arc::clone(&service.name),
    });
    EndpointView { service, backend: led.map(|led| led.backend), ..endpoint(directory, address, peer) }
}
