//! Pods with addresses of their own behind a node: network namespaces on veth pairs.

use std::process::Command;

use serde_json::Value;
use watchfire_tests::Agent;

use crate::peer::Peer;
use crate::running::TestCgroup;

/// Port of every server.
pub(super) const PORT: u16 = 8080;

/// The node's network namespace. Pod `n` of it has the address 10.96.0.n.
pub(super) struct Wire {
    holder: Peer,
}

impl Wire {
    pub(super) fn new(pods: usize) -> Self {
        let mut script = String::from(
            "set -e\n\
             mount -t tmpfs tmpfs /run\n\
             ip link set lo up\n\
             ip addr add 10.96.0.254/32 dev lo\n\
             echo 1 > /proc/sys/net/ipv4/ip_forward\n",
        );
        for pod in 1..=pods {
            script += &format!(
                "ip netns add pod{pod}\n\
                 ip link add v{pod} type veth peer name eth0 netns pod{pod}\n\
                 ip link set v{pod} up\n\
                 ip -n pod{pod} link set lo up\n\
                 ip -n pod{pod} link set eth0 up\n\
                 ip -n pod{pod} addr add 10.96.0.{pod}/32 dev eth0\n\
                 ip -n pod{pod} route add 10.96.0.254 dev eth0\n\
                 ip -n pod{pod} route add default via 10.96.0.254\n\
                 ip route add 10.96.0.{pod} dev v{pod}\n"
            );
        }
        script += "echo ready\nread line\n";
        let mut namespace = Command::new("unshare");
        namespace.args(["--net", "--mount", "/bin/sh", "-c", &script]);
        let mut holder = Peer::start_by(namespace, "");
        assert_eq!(holder.line(), "ready", "the node's network could not be made");
        Self { holder }
    }

    /// Gives a pod one more address, which is a service's.
    pub(super) fn lead(&self, address: &str, pod: usize) {
        let script =
            format!("ip -n pod{pod} addr add {address}/32 dev eth0 && ip route add {address} dev v{pod}");
        let status = self.inside().args(["/bin/sh", "-c", &script]).status().unwrap();
        assert!(status.success(), "{script}: {status}");
    }

    /// A peer in a pod's network namespace, and in a cgroup if one is given.
    pub(super) fn peer(&self, pod: usize, cgroup: Option<&TestCgroup>, role: &str) -> Peer {
        let holder = self.holder.pid();
        let enter = format!(
            "exec nsenter --target {holder} --net --mount nsenter --net=/run/netns/pod{pod} \"$PEER\""
        );
        let command = match cgroup {
            Some(cgroup) => cgroup.shell(&enter),
            None => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &enter]);
                shell
            }
        };
        Peer::start_by(command, role)
    }

    /// A server in a pod, which answers lines.
    pub(super) fn server(&self, pod: usize) -> Peer {
        let mut server = self.peer(pod, None, &format!("answer 0.0.0.0:{PORT} 5"));
        assert_eq!(server.port(), PORT);
        server
    }

    /// A client in a pod, which is connected and has been answered.
    pub(super) fn client(&self, pod: usize, server: usize) -> Client {
        self.client_of(pod, &format!("10.96.0.{server}:{PORT}"))
    }

    /// The same, of an address.
    pub(super) fn client_of(&self, pod: usize, address: &str) -> Client {
        let mut peer = self.peer(pod, None, &format!("talk {address}"));
        let port = peer.port();
        assert_eq!(peer.ask("10"), "5");
        Client { peer, address: format!("10.96.0.{pod}:{port}") }
    }

    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.pid().to_string(), "--net", "--mount"]);
        command
    }
}

/// A connected client.
pub(super) struct Client {
    pub(super) peer: Peer,
    /// Where it is connected from.
    pub(super) address: String,
}

impl Client {
    /// What is told of an end of its connection.
    pub(super) fn flow(&self, agent: &Agent, stage: &str, side: &str) -> Value {
        agent.record(&format!("{stage} of {} at the {side}", self.address), |record| {
            record["type"] == "flow"
                && record["stage"] == stage
                && record["side"] == side
                && record["client"]["address"] == self.address
        })
    }

    /// Checks that both ends have the client's pod.
    pub(super) fn assert_is(&self, agent: &Agent, stage: &str, pod: &str) {
        for side in ["client", "server"] {
            let record = self.flow(agent, stage, side);
            assert_eq!(record["client"]["pod"]["name"], pod, "{stage} at the {side}: {record}");
        }
    }

    /// Ends the connection; what is told of its end has that pod.
    pub(super) fn end_as(self, agent: &Agent, pod: &str) {
        let Self { peer, address } = self;
        peer.end();
        for side in ["client", "server"] {
            let record = agent.record(&format!("close of {address} at the {side}"), |record| {
                record["stage"] == "close" && record["side"] == side && record["client"]["address"] == address
            });
            assert_eq!(record["client"]["pod"]["name"], pod, "close at the {side}: {record}");
        }
    }
}
