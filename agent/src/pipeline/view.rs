//! How records show what the stages know.

use std::net::SocketAddr;
use std::sync::Arc;

use watchfire_inventory::Ends;
use watchfire_model::{EndpointView, Flow, Peer, Pod, PodView, Process, ProcessView, ServiceView, Side};

use super::open_flows::Led;

/// A process, with its cgroup and pod.
pub(super) fn process(process: &Process, cgroup: Option<&Arc<str>>, pod: Option<&Pod>) -> ProcessView {
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
        cgroup: cgroup.cloned(),
        namespaces: *namespaces,
        origin: *origin,
        pod: pod.map(self::pod),
    }
}

/// A pod.
pub(super) fn pod(pod: &Pod) -> PodView {
    PodView { namespace: pod.namespace.clone(), name: pod.name.clone(), uid: pod.uid.clone() }
}

/// Both ends of a flow, client first. `names` are those of the end that is not the observed one.
pub(super) fn endpoints(
    flow: &Flow,
    ends: &Ends,
    led: Option<&Led>,
    names: &[Arc<str>],
) -> (EndpointView, EndpointView) {
    let mut client = endpoint(flow.client, &ends.client);
    let mut server = server(flow.server, &ends.server, led);
    let remote = match flow.side {
        Side::Client => &mut server,
        Side::Server => &mut client,
    };
    remote.names = names.to_vec();
    (client, server)
}

/// One end of a flow.
fn endpoint(address: SocketAddr, peer: &Peer) -> EndpointView {
    let (kind, pod, detail) = match peer {
        Peer::Pod(pod) => ("pod", Some(self::pod(pod)), None),
        Peer::Node { name } => ("node", None, Some(name.clone())),
        Peer::World => ("world", None, None),
        Peer::Unresolved(why) => ("unresolved", None, Some((*why).to_owned())),
    };
    EndpointView { address, pod, kind, detail, names: Vec::new(), service: None, backend: None }
}

/// The server of a flow, with where a service's address led.
fn server(address: SocketAddr, peer: &Peer, led: Option<&Led>) -> EndpointView {
    let service = led.and_then(|led| led.service.as_deref());
    let service = service
        .map(|service| ServiceView { namespace: service.namespace.clone(), name: service.name.clone() });
    EndpointView { service, backend: led.map(|led| led.backend), ..endpoint(address, peer) }
}
