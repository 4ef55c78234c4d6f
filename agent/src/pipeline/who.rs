//! What the stages know of somebody, and from where.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use watchfire_inventory::{Cgroup, Source};
use watchfire_model::{
    AncestorView, ContainerView, ExecId, Labels, Peer, Pod, PodView, ProcessOrigin, ProcessState, ProcessView,
};

use super::Stages;
use super::lineages::ancestors;

/// Most that one answer tells of.
pub(super) const WHO_MATCHES_MAX: usize = 32;
/// Shortest beginning of a container's id that is looked up.
const CONTAINER_ID_MIN: usize = 4;
/// Most processes that are told of a container or pod.
const PROCESSES_TOLD_MAX: usize = 64;

/// The answer.
#[derive(Serialize)]
pub(super) struct Answer {
    query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<Arc<str>>,
    node: Arc<str>,
    matches: Vec<Match>,
    /// There are more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Match {
    Process(Box<ProcessMatch>),
    Container(Box<ContainerMatch>),
    Pod(Box<PodMatch>),
    Address(Box<AddressMatch>),
}

#[derive(Serialize)]
struct ProcessMatch {
    process: ProcessView,
    running: bool,
    /// How it came to be known.
    from: &'static str,
    ancestors: Vec<AncestorView>,
}

#[derive(Serialize)]
struct ContainerMatch {
    container: ContainerView,
    /// By whom it is told.
    from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<PodView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mounts: Vec<String>,
    processes: Vec<u32>,
}

#[derive(Serialize)]
struct PodMatch {
    pod: PodView,
    from: &'static str,
    /// It is gone since a short while.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
    labels: Labels,
    ips: Vec<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Arc<String>>,
    host_network: bool,
    containers: Vec<Arc<ContainerView>>,
    processes: Vec<u32>,
}

#[derive(Serialize)]
struct AddressMatch {
    address: IpAddr,
    /// `pod`, `node`, `world` or `unresolved`, as for the ends of a flow that begins now.
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<PodView>,
    /// Services that have it.
    services: Vec<String>,
    /// Names that lately stood for it in answers of DNS.
    names: Vec<Arc<str>>,
    in_cluster_range: bool,
    api_server: bool,
}

impl Stages {
    /// Answers who somebody is: a pid, an address, a container id or its beginning, or the name of a pod. `now_boot_ns` may be
    /// long after the latest record.
    pub(super) fn who(&mut self, query: &str, now_boot_ns: u64) -> Answer {
        let mut matches = Vec::new();
        if let Ok(address) = query.parse::<IpAddr>() {
            matches.push(self.who_has(address, now_boot_ns.max(self.latest_boot_ns)));
        } else {
            matches.extend(query.parse().ok().and_then(|pid| self.who_runs(pid)));
            matches.extend(query.parse::<ExecId>().ok().and_then(|id| self.process_match(id)));
            let ids: Vec<Arc<str>> =
                if query.len() >= CONTAINER_ID_MIN { self.container_ids(query) } else { Vec::new() };
            matches.extend(ids.into_iter().map(|id| self.container_match(&id)));
            matches.extend(self.pods_named(query).into_iter().map(|pod| self.pod_match(&pod)));
        }
        let truncated = matches.len() > WHO_MATCHES_MAX;
        matches.truncate(WHO_MATCHES_MAX);
        Answer {
            query: query.to_owned(),
            cluster: self.knowledge.cluster.clone(),
            node: Arc::clone(&self.knowledge.node),
            matches,
            truncated,
        }
    }

    fn who_runs(&mut self, pid: u32) -> Option<Match> {
        let id = self.processes.running_pid(pid)?.exec_id;
        self.process_match(id)
    }

    fn process_match(&mut self, id: ExecId) -> Option<Match> {
        let process = self.process_view(id)?;
        let known = self.processes.get(id)?;
        let from = match known.origin {
            ProcessOrigin::Observed => "kernel: it was seen to begin",
            ProcessOrigin::BeforeStart => "procfs: it ran before the agent",
            ProcessOrigin::Unseen => "kernel: its beginning was not seen",
        };
        let running = known.state == ProcessState::Running;
        let ancestors = ancestors(id, &self.processes);
        Some(Match::Process(Box::new(ProcessMatch { process, running, from, ancestors })))
    }

    /// Of containers that are told, and of those of which there is but a cgroup.
    fn container_ids(&self, beginning: &str) -> Vec<Arc<str>> {
        let of_cgroups = self.host.cgroups().iter().filter_map(|(_, cgroup)| cgroup.container_id.as_ref());
        let of_cgroups = of_cgroups.filter(|id| id.starts_with(beginning));
        let mut ids: Vec<_> = self.knowledge.containers.ids(beginning).chain(of_cgroups).cloned().collect();
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(WHO_MATCHES_MAX + 1);
        ids
    }

    fn container_match(&mut self, id: &Arc<str>) -> Match {
        let is_of = |cgroup: &Cgroup| cgroup.container_id.as_ref() == Some(id);
        let (_, cgroup) = self.cgroups_that(is_of).into_iter().next().unzip();
        let pod = cgroup.as_deref().and_then(|cgroup| self.knowledge.pod_of(cgroup));
        let container = self.knowledge.containers.get(id).cloned();
        let object = self.knowledge.containers.object(id);
        let from = match (&container, object) {
            (_, Some(_)) => Source::Runtime.as_str(),
            (Some(_), None) => "status of the pod",
            (None, None) => "path of the cgroup",
        };
        let runtime = object.map(|object| object.runtime.clone()).or_else(|| {
            let runtime = cgroup.as_deref().and_then(|cgroup| cgroup.runtime)?;
            Some(runtime.name().to_owned())
        });
        let mounts = object.map(|object| object.mounts.iter()).into_iter().flatten();
        let mounts = mounts.map(|mount| {
            let mode = if mount.is_read_only { "ro" } else { "rw" };
            format!("{} at {} ({mode})", mount.host_path, mount.container_path)
        });
        Match::Container(Box::new(ContainerMatch {
            mounts: mounts.collect(),
            container: container.map_or_else(
                || ContainerView { id: Arc::clone(id), ..ContainerView::default() },
                Arc::unwrap_or_clone,
            ),
            from,
            runtime,
            pod: pod.as_deref().map(PodView::from),
            processes: self.processes_in(is_of),
        }))
    }

    fn pods_named(&self, query: &str) -> Vec<Arc<Pod>> {
        let (namespace, name) = match query.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, query),
        };
        let is_asked = |pod: &&Arc<Pod>| {
            let by_name = &*pod.name == name && namespace.is_none_or(|of| *pod.identity.namespace == *of);
            by_name || pod.uid.is_some_and(|uid| uid.to_string() == query)
        };
        self.knowledge.directory.pods_and_gone().filter(is_asked).cloned().collect()
    }

    fn pod_match(&mut self, pod: &Arc<Pod>) -> Match {
        let is_of = |cgroup: &Cgroup| self.knowledge.pod_of(cgroup).is_some_and(|of| Arc::ptr_eq(&of, pod));
        let cgroups = self.cgroups_that(is_of);
        let mut containers: Vec<_> =
            cgroups.iter().filter_map(|(_, cgroup)| self.knowledge.container_of(cgroup)).collect();
        containers.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        containers.dedup_by(|one, other| one.id == other.id);
        let (source, gone) = self.knowledge.directory.pod_source(pod).unwrap_or((Source::File, true));
        Match::Pod(Box::new(PodMatch {
            pod: PodView::from(&**pod),
            from: source.as_str(),
            gone,
            labels: pod.identity.labels.clone(),
            ips: pod.ips.iter().collect(),
            node: pod.node.clone(),
            host_network: pod.identity.host_network,
            containers,
            processes: self.processes_in(is_of),
        }))
    }

    fn cgroups_that(&self, is_wanted: impl Fn(&Cgroup) -> bool) -> Vec<(u64, Arc<Cgroup>)> {
        let cgroups = self.host.cgroups().iter().filter(|(_, cgroup)| is_wanted(cgroup));
        cgroups.map(|(id, cgroup)| (id, Arc::clone(cgroup))).collect()
    }

    /// Pids of those that run.
    fn processes_in(&self, is_wanted: impl Fn(&Cgroup) -> bool) -> Vec<u32> {
        let ids: Vec<u64> = self.cgroups_that(is_wanted).into_iter().map(|(id, _)| id).collect();
        let mut pids: Vec<u32> = self
            .processes
            .iter_running()
            .filter(|process| ids.contains(&process.cgroup_id))
            .map(|process| process.exec_id.pid)
            .collect();
        pids.sort_unstable();
        pids.truncate(PROCESSES_TOLD_MAX);
        pids
    }

    fn who_has(&self, address: IpAddr, now_boot_ns: u64) -> Match {
        let address = address.to_canonical();
        let directory = &self.knowledge.directory;
        let (end, detail, pod) = match self.resolver().address(address, now_boot_ns) {
            Peer::Pod(pod) => ("pod", None, Some(PodView::from(&*pod))),
            Peer::Node { name } => ("node", Some(name.to_string()), None),
            Peer::World => ("world", None, None),
            Peer::Unresolved(why) => ("unresolved", Some(why.to_owned()), None),
        };
        Match::Address(Box::new(AddressMatch {
            address,
            end,
            detail,
            pod,
            services: directory.services_of(address),
            names: self.names.of(address, now_boot_ns),
            in_cluster_range: directory.in_cluster(address),
            api_server: directory.is_api_server(address),
        }))
    }
}
