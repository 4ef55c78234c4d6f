//! Observations that came before it was known who they are about. They wait, in their order, each cgroup's apart from the
//! others', until it is known or their time is over.

mod given_up;

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::time::{Duration, Instant};

use watchfire_inventory::{Cgroup, CgroupOwner};
use watchfire_model::{
    Body, Enrichment, EnrichmentOutcome, Flow, Missing, Observation, Owner, Peer, Record, Side,
};

use super::Stages;
use given_up::{GivenUp, Unknown};

/// Most observations that wait.
pub(crate) const WAITING_MAX: usize = 16_384;
/// How often what waits is looked at again.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// What somebody is there to tell.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Expected {
    /// Pods of this node, by the API, kubelet or the container runtime.
    pub(crate) pods: bool,
    /// Containers, by the container runtime.
    pub(crate) containers: bool,
    /// Who has an address of the cluster.
    pub(crate) peers: bool,
    /// The policies of the cluster. Nothing waits for them: without them verdicts are unknown.
    pub(crate) policies: bool,
}

/// Observations that wait.
#[derive(Debug)]
pub(crate) struct Waiting {
    limit: Duration,
    expected: Expected,
    /// By cgroup.
    queues: BTreeMap<u64, VecDeque<Held>>,
    len: usize,
    given_up: GivenUp,
    looked: Option<Instant>,
    counts: [[u64; Missing::ALL.len()]; EnrichmentOutcome::ALL.len()],
}

#[derive(Debug)]
struct Held {
    observation: Observation,
    since: Instant,
    missing: Missing,
}

impl Waiting {
    /// Nobody is expected to tell anything, so nothing waits.
    pub(super) fn new(limit: Duration, expected: Expected) -> Self {
        Self {
            limit,
            expected,
            queues: BTreeMap::new(),
            len: 0,
            given_up: GivenUp::default(),
            looked: None,
            counts: Default::default(),
        }
    }

    /// A container runtime is there to tell, also where none was known of at the start.
    pub(super) const fn expect_runtime(&mut self) {
        (self.expected.pods, self.expected.containers) = (true, true);
    }

    /// How many observations wait.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many observations were taken in after it became known whom they are about, or without.
    pub(crate) const fn count(&self, outcome: EnrichmentOutcome, missing: Missing) -> u64 {
        self.counts[outcome as usize][missing as usize]
    }

    fn enrichment(&mut self, outcome: EnrichmentOutcome, missing: Missing, waited: Duration) -> Enrichment {
        self.counts[outcome as usize][missing as usize] += 1;
        Enrichment { outcome, missing, waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// Whom an observation is about.
struct Subject<'a> {
    cgroup_id: u64,
    flow: Option<&'a Flow>,
}

impl Stages {
    /// Takes in one observation, now or when it is known who it is about.
    pub(crate) fn admit(&mut self, observation: Observation, now: Instant, records: &mut Vec<Record>) {
        let Some(Subject { cgroup_id, flow }) = self.subject(&observation.body) else {
            return self.take(observation, records);
        };
        let follows = self.waiting.queues.contains_key(&cgroup_id);
        let lack = self.lack(cgroup_id, flow);
        let Some((missing, unknown)) = lack else {
            if follows {
                // Behind those of its cgroup that wait: their order is kept.
                let missing =
                    self.waiting.queues[&cgroup_id].back().map_or(Missing::Pod, |held| held.missing);
                return self.hold(cgroup_id, observation, missing, now, records);
            }
            return self.take(observation, records);
        };
        if !follows && self.waiting.given_up.contains(&unknown, now) {
            let enrichment = self.waiting.enrichment(EnrichmentOutcome::Failed, missing, Duration::ZERO);
            return self.take_with(observation, enrichment, records);
        }
        self.hold(cgroup_id, observation, missing, now, records);
    }

    fn hold(
        &mut self,
        cgroup_id: u64,
        observation: Observation,
        missing: Missing,
        now: Instant,
        records: &mut Vec<Record>,
    ) {
        if self.waiting.len >= WAITING_MAX {
            // In the order of their coming, so those that wait go first.
            self.release_all(now, Some(Missing::Room), records);
            let enrichment =
                self.waiting.enrichment(EnrichmentOutcome::Failed, Missing::Room, Duration::ZERO);
            return self.take_with(observation, enrichment, records);
        }
        if missing == Missing::Container && !self.waiting.queues.contains_key(&cgroup_id) {
            // It was not told as it was made, or the agent is younger.
            self.look_up(cgroup_id);
        }
        self.waiting.len += 1;
        let held = Held { observation, since: now, missing };
        self.waiting.queues.entry(cgroup_id).or_default().push_back(held);
    }

    /// Takes in what has waited for long enough, or is known by now whom it is about.
    pub(crate) fn release(&mut self, now: Instant, records: &mut Vec<Record>) {
        if self.waiting.queues.is_empty() {
            return;
        }
        if self.waiting.looked.is_some_and(|looked| now.duration_since(looked) < LOOK_INTERVAL) {
            return;
        }
        self.waiting.looked = Some(now);
        let cgroups: Vec<u64> = self.waiting.queues.keys().copied().collect();
        for cgroup_id in cgroups {
            self.release_from(cgroup_id, now, records);
        }
    }

    fn release_from(&mut self, cgroup_id: u64, now: Instant, records: &mut Vec<Record>) {
        while let Some(mut queue) = self.waiting.queues.remove(&cgroup_id) {
            let Some(held) = queue.pop_front() else { return };
            let lack = self
                .subject(&held.observation.body)
                .and_then(|Subject { cgroup_id, flow }| self.lack(cgroup_id, flow));
            let waited = now.saturating_duration_since(held.since);
            let is_over = waited >= self.waiting.limit;
            let outcome = match &lack {
                None => EnrichmentOutcome::Late,
                Some((_, unknown)) if self.waiting.given_up.contains(unknown, now) => {
                    EnrichmentOutcome::Failed
                }
                Some((_, unknown)) if is_over => {
                    self.waiting.given_up.insert(*unknown, now);
                    EnrichmentOutcome::Failed
                }
                Some(_) => {
                    queue.push_front(held);
                    self.waiting.queues.insert(cgroup_id, queue);
                    return;
                }
            };
            if !queue.is_empty() {
                self.waiting.queues.insert(cgroup_id, queue);
            }
            self.waiting.len -= 1;
            let missing = lack.map_or(held.missing, |(missing, _)| missing);
            let enrichment = self.waiting.enrichment(outcome, missing, waited);
            self.take_with(held.observation, enrichment, records);
        }
    }

    /// Takes in all that waits, as it is; for want of what it waits for, unless something else is missing.
    pub(super) fn release_all(&mut self, now: Instant, missing: Option<Missing>, records: &mut Vec<Record>) {
        for held in mem::take(&mut self.waiting.queues).into_values().flatten() {
            let waited = now.saturating_duration_since(held.since);
            let missing = missing.unwrap_or(held.missing);
            let enrichment = self.waiting.enrichment(EnrichmentOutcome::Failed, missing, waited);
            self.take_with(held.observation, enrichment, records);
        }
        self.waiting.len = 0;
    }

    fn take_with(&mut self, observation: Observation, enrichment: Enrichment, records: &mut Vec<Record>) {
        let before = records.len();
        self.take(observation, records);
        for record in &mut records[before..] {
            record.enrichment = Some(enrichment);
        }
    }

    /// Whom an observation is about; none of what is about nobody in particular.
    fn subject<'a>(&self, body: &'a Body) -> Option<Subject<'a>> {
        let of_cgroup = |cgroup_id| Subject { cgroup_id, flow: None };
        let subject = match body {
            Body::Fork(fork) => of_cgroup(fork.cgroup_id),
            Body::Exec(exec) => of_cgroup(exec.cgroup_id),
            Body::Exit(exit) => of_cgroup(exit.cgroup_id),
            Body::Event(event) => of_cgroup(event.cgroup_id),
            Body::FlowOpen(flow)
            | Body::FlowClose(flow, _)
            | Body::FlowUpdate(flow, _)
            | Body::FlowDropped(flow, _) => self.subject_of_flow(flow),
            Body::Payload(payload) => self.subject_of_flow(&payload.flow),
            Body::CgroupMade { .. } | Body::CgroupRemoved { .. } | Body::Gap(_) => return None,
        };
        (subject.cgroup_id != 0).then_some(subject)
    }

    fn subject_of_flow<'a>(&self, flow: &'a Flow) -> Subject<'a> {
        let cgroup_id = match flow.owner {
            Owner::Known(id) if flow.cgroup_id == 0 => {
                self.processes.get(id).map_or(0, |owner| owner.cgroup_id)
            }
            _ => flow.cgroup_id,
        };
        Subject { cgroup_id, flow: Some(flow) }
    }

    /// What is not known of whom an observation is about, though somebody may be about to tell.
    fn lack(&mut self, cgroup_id: u64, flow: Option<&Flow>) -> Option<(Missing, Unknown)> {
        let Expected { pods, containers, peers, policies: _ } = self.waiting.expected;
        if !(pods || containers || peers) {
            return None;
        }
        let Some(cgroup) = self.host.cgroup(cgroup_id) else {
            return self.host.sees_cgroups().then_some((Missing::Cgroup, Unknown::Cgroup(cgroup_id)));
        };
        if pods && let CgroupOwner::UnknownPod { uid } = self.knowledge.directory.cgroup_owner(&cgroup) {
            return Some((Missing::Pod, Unknown::Pod(uid)));
        }
        if containers
            && let Cgroup { container_id: Some(id), .. } = &*cgroup
            && self.knowledge.containers.get(id).is_none()
        {
            return Some((Missing::Container, Unknown::Container(cgroup_id)));
        }
        let flow = flow.filter(|_| peers)?;
        let remote = match flow.side {
            Side::Client => flow.server,
            Side::Server => flow.client,
        };
        let directory = &self.knowledge.directory;
        let is_unknown = directory.in_cluster(remote.ip())
            && directory.service(remote, flow.protocol).is_none()
            && matches!(self.resolver().address(remote.ip(), flow.opened_boot_ns), Peer::Unresolved(_));
        is_unknown.then_some((Missing::Peer, Unknown::Address(remote.ip().to_canonical())))
    }
}
