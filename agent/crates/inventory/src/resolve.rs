//! Who stands at the ends of a flow.

use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{Flow, Peer, Side};

use crate::{Cgroup, CgroupOwner, Directory, HostNet};

/// Who stands at both ends of a flow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ends {
    /// The initiator.
    pub client: Peer,
    /// The responder.
    pub server: Peer,
}

/// All that is needed to tell who stands behind a cgroup or an address.
#[derive(Clone, Copy, Debug)]
pub struct Resolver<'a> {
    /// Pods, nodes and namespaces.
    pub directory: &'a Directory,
    /// The host's own addresses.
    pub host: &'a HostNet,
    /// Name of the node that the agent runs on.
    pub node: &'a Arc<str>,
}

impl Resolver<'_> {
    /// Both ends of a flow. `cgroup` is that of the observed end, where known.
    #[must_use]
    pub fn ends(&self, flow: &Flow, cgroup: Option<&Cgroup>) -> Ends {
        let (local, remote) = match flow.side {
            Side::Client => (flow.client.ip(), flow.server.ip()),
            Side::Server => (flow.server.ip(), flow.client.ip()),
        };
        let at_ns = flow.opened_boot_ns;
        let local = self.observed(local, cgroup, flow.netns, at_ns);
        // Loopback does not leave the network namespace.
        let remote =
            if remote.to_canonical().is_loopback() { local.clone() } else { self.address(remote, at_ns) };
        match flow.side {
            Side::Client => Ends { client: local, server: remote },
            Side::Server => Ends { client: remote, server: local },
        }
    }

    /// The end whose socket was seen: its cgroup tells exactly, its address is the second best.
    fn observed(&self, address: IpAddr, cgroup: Option<&Cgroup>, netns: u32, at_ns: u64) -> Peer {
        match cgroup.map(|cgroup| self.directory.cgroup_owner(cgroup)) {
            Some(CgroupOwner::Pod(pod)) if pod.identity.host_network => self.local_node(),
            Some(CgroupOwner::Pod(pod)) => Peer::Pod(pod),
            Some(CgroupOwner::UnknownPod { uid }) => match self.address(address, at_ns) {
                // Declared by its address and without a uid: nothing speaks against it.
                Peer::Pod(pod) if pod.uid.is_none_or(|own| own == uid) => Peer::Pod(pod),
                Peer::Node { .. } if self.is_host(netns) => self.local_node(),
                _ => Peer::Unresolved("the pod of this cgroup is not in the inventory"),
            },
            Some(CgroupOwner::NoPod) | None if self.is_host(netns) => self.local_node(),
            Some(CgroupOwner::NoPod) | None => self.address(address, at_ns),
        }
    }

    /// Who had an address at a time, nanoseconds of CLOCK_BOOTTIME.
    #[must_use]
    pub fn address(&self, address: IpAddr, at_ns: u64) -> Peer {
        let address = address.to_canonical();
        if let Some(peer) = self.directory.holder(address, at_ns) {
            return peer;
        }
        if address.is_loopback() {
            return Peer::Unresolved("loopback in a network namespace of no known pod");
        }
        if self.host.addresses.contains(&address) {
            return self.local_node();
        }
        if !self.directory.is_declared() {
            return Peer::Unresolved("no inventory is loaded");
        }
        if self.directory.is_service(address) {
            return Peer::Unresolved("a service has this address, which stands for its backends");
        }
        if self.directory.in_cluster(address) {
            return Peer::Unresolved("no pod or node of the inventory has this cluster address");
        }
        Peer::World
    }

    fn is_host(&self, netns: u32) -> bool {
        netns != 0 && netns == self.host.netns
    }

    fn local_node(&self) -> Peer {
        Peer::Node { name: Arc::clone(self.node) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::SocketAddr;
    use std::path::Path;

    use watchfire_model::{Origin, Owner, OwnerUnknown, Protocol};

    use super::*;

    const HOST_NETNS: u32 = 1;
    const POD_NETNS: u32 = 2;
    const UID: &str = "0aa1e9f0-1c2d-4e5f-8a9b-0c1d2e3f4a5b";

    fn directory() -> Directory {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "clusterCIDRs: [10.1.0.0/16]\n\
             nodes: [{{name: other, ips: [192.0.2.2]}}]\n\
             pods:\n\
             - {{namespace: a, name: x, uid: {UID}, ips: [10.1.0.1]}}\n\
             - {{namespace: a, name: y, ips: [10.1.0.2]}}\n\
             - {{namespace: a, name: h, hostNetwork: true, cgroup: kubepods/h}}\n"
        );
        std::fs::write(file.path(), text).unwrap();
        let inventory = crate::read_inventory(Path::new(file.path()), "here").unwrap();
        let mut directory = Directory::default();
        inventory.put_into(&mut directory, crate::directory::tests::moment(0));
        directory
    }

    fn name(peer: &Peer) -> String {
        match peer {
            Peer::Pod(pod) => format!("pod {}", pod.name),
            Peer::Node { name } => format!("node {name}"),
            Peer::World => "world".to_owned(),
            Peer::Unresolved(_) => "unresolved".to_owned(),
        }
    }

    fn flow(side: Side, client: &str, server: &str, netns: u32) -> Flow {
        let address = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 80);
        Flow {
            cookie: 1,
            protocol: Protocol::Tcp,
            client: address(client),
            server: address(server),
            side,
            direction_guessed: false,
            owner: Owner::Unknown(OwnerUnknown::NoStorage),
            cgroup_id: 0,
            netns,
            opened_boot_ns: 0,
            origin: Origin::Observed,
            handshake_ns: None,
            icmp: None,
        }
    }

    #[test]
    fn ends_of_flows() {
        let directory = directory();
        let addresses = HashSet::from(["192.0.2.1".parse().unwrap(), "10.1.0.254".parse().unwrap()]);
        let host = HostNet { netns: HOST_NETNS, addresses };
        let resolver = Resolver { directory: &directory, host: &host, node: &"here".into() };
        let pod_x = format!("/kubepods/pod{UID}/c");
        let unknown = "/kubepods/pod11111111-1c2d-4e5f-8a9b-0c1d2e3f4a5b/c";
        use Side::{Client, Server};
        for (side, client, server, netns, cgroup, expected) in [
            (Client, "10.1.0.1", "10.1.0.2", POD_NETNS, Some(pod_x.as_str()), "pod x → pod y"),
            (Server, "10.1.0.1", "10.1.0.2", POD_NETNS, Some(unknown), "pod x → pod y"),
            (Client, "10.1.0.1", "10.1.0.2", POD_NETNS, Some(unknown), "unresolved → pod y"),
            (Client, "10.1.0.1", "10.1.0.2", POD_NETNS, None, "pod x → pod y"),
            // The cgroup speaks louder than the address.
            (Client, "10.1.0.9", "198.51.100.1", POD_NETNS, Some(pod_x.as_str()), "pod x → world"),
            (Client, "192.0.2.1", "10.1.0.77", HOST_NETNS, Some("/system.slice/a"), "node here → unresolved"),
            (Client, "10.1.0.254", "10.1.0.1", HOST_NETNS, None, "node here → pod x"),
            (Client, "192.0.2.1", "192.0.2.2", HOST_NETNS, Some("/kubepods/h/c"), "node here → node other"),
            (Server, "10.1.0.254", "10.1.0.1", POD_NETNS, Some(pod_x.as_str()), "node here → pod x"),
            // A container of no pod, in a namespace of its own, is what its address is.
            (Client, "172.17.0.2", "10.1.0.1", 9, Some("/docker/4b"), "world → pod x"),
            (Client, "127.0.0.1", "127.0.0.1", POD_NETNS, Some(pod_x.as_str()), "pod x → pod x"),
            (Server, "::1", "::1", HOST_NETNS, Some("/"), "node here → node here"),
            (Client, "127.0.0.1", "127.0.0.1", 9, Some("/docker/4b"), "unresolved → unresolved"),
        ] {
            let flow = flow(side, client, server, netns);
            let at = cgroup.map(Cgroup::at);
            let ends = resolver.ends(&flow, at.as_ref());
            assert_eq!(
                format!("{} → {}", name(&ends.client), name(&ends.server)),
                expected,
                "{flow:?} {cgroup:?}"
            );
        }
    }

    #[test]
    fn without_an_inventory_remote_addresses_are_not_resolved() {
        let (directory, host) = (Directory::default(), HostNet { netns: HOST_NETNS, ..HostNet::default() });
        let resolver = Resolver { directory: &directory, host: &host, node: &"here".into() };
        let ends = resolver
            .ends(&flow(Side::Client, "192.0.2.1", "198.51.100.1", HOST_NETNS), Some(&Cgroup::at("/")));
        assert_eq!(
            (name(&ends.client), name(&ends.server)),
            ("node here".to_owned(), "unresolved".to_owned())
        );
    }
}
