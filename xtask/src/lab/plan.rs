//! What the lab consists of: names, addresses, ports and what policy intent says about them.

use std::fmt::Write as _;

/// Where the lab keeps its files, all of them root's.
pub(crate) const FOLDER: &str = "/var/lib/watchfire-lab";

/// The first three parts of every address of the lab. They are used in the lab's own network namespaces alone, so
/// that they can collide with nothing.
pub(crate) const NETWORK: &str = "10.244.7";

/// The network namespace that holds the bridge.
pub(crate) const BRIDGE_NAMESPACE: &str = "wf-lab-bridge";

/// Ports that something listens on.
pub(crate) const API_PORT: u16 = 8080;
pub(crate) const DB_PORT: u16 = 5432;
pub(crate) const OUTSIDER_PORT: u16 = 8443;

/// A port of the api that nothing listens on.
pub(crate) const CLOSED_PORT: u16 = 9;

/// Policies of the lab's namespace.
pub(super) const POLICIES: &str = include_str!("policies.yaml");

/// One end of the lab's traffic: a pod, or the outsider, which is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    /// The last part of its address.
    host: u8,
    /// `metadata.uid` and container id, for pods.
    pod: Option<(&'static str, &'static str)>,
}

pub(crate) const FRONTEND: Member = Member {
    name: "frontend",
    host: 10,
    pod: Some((
        "6f1f0c3e-52a5-4a0b-9d8e-0f3b8c1d7a10",
        "f10e7e4d5c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281",
    )),
};
pub(crate) const API: Member = Member {
    name: "api",
    host: 20,
    pod: Some((
        "0a2bb9f0-1c2d-4e5f-8a9b-0c1d2e3f4a20",
        "a20b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b",
    )),
};
pub(crate) const DB: Member = Member {
    name: "db",
    host: 30,
    pod: Some((
        "d30c5b7a-9e8f-4d6c-8b5a-4f3e2d1c0b30",
        "d30f0e1d2c3b4a5968778695a4b3c2d1e0f00e1d2c3b4a5968778695a4b3c2d1",
    )),
};
pub(crate) const OUTSIDER: Member = Member { name: "outsider", host: 66, pod: None };

pub(crate) const MEMBERS: [Member; 4] = [FRONTEND, API, DB, OUTSIDER];

impl Member {
    /// Its address.
    pub(crate) fn address(&self) -> String {
        format!("{NETWORK}.{}", self.host)
    }

    /// Its network namespace.
    pub(crate) fn namespace(&self) -> String {
        format!("wf-lab-{}", self.name)
    }

    /// Its cgroup below the v2 root; a pod's is named as kubelet's cgroupfs driver names it.
    pub(crate) fn cgroup(&self) -> String {
        self.pod.map_or_else(
            || format!("watchfire-lab/{}", self.name),
            |(uid, container)| format!("kubepods/burstable/pod{uid}/{container}"),
        )
    }
}

/// The inventory file that tells the agent who is who, of these members.
pub(super) fn inventory(is_there: impl Fn(Member) -> bool) -> String {
    let mut text = String::from(
        "# Written by `cargo xtask lab`: what Kubernetes would tell about the lab.\n\
         namespaces:\n  - name: shop\n    labels: {team: shop}\npods:\n",
    );
    for member in MEMBERS.into_iter().filter(|member| is_there(*member)) {
        let Some((uid, _)) = member.pod else { continue };
        let (name, address) = (member.name, member.address());
        let _ = write!(
            text,
            "  - namespace: shop\n    name: {name}\n    uid: {uid}\n    labels: {{app: {name}}}\n    ips: [{address}]\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_differ_in_everything_that_tells_them_apart() {
        for (at, one) in MEMBERS.iter().enumerate() {
            for other in &MEMBERS[at + 1..] {
                assert_ne!(one.address(), other.address());
                assert_ne!(one.namespace(), other.namespace());
                assert_ne!(one.cgroup(), other.cgroup());
            }
        }
        // A device name, and so what a namespace is named after, has at most 15 bytes.
        assert!(MEMBERS.iter().all(|member| member.name.len() <= 15));
    }

    #[test]
    fn the_inventory_names_every_pod_and_not_the_outsider() {
        let text = inventory(|_| true);
        assert_eq!(text.matches("namespace: shop").count(), 3);
        assert!(!text.contains(OUTSIDER.name) && text.contains("ips: [10.244.7.30]"));
        assert_eq!(inventory(|member| member != FRONTEND).matches("namespace: shop").count(), 2);
    }
}
