//! What can be told of policies where the pods are known.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{Dialect, Direction, Pod, Protocol, Tier};

use super::{LintCluster, LintCode, LintFinding, LintInput};
use crate::address::Block;
use crate::connection::Party;
use crate::groups::Groups;
use crate::peer::{PeerMatcher, Peers};
use crate::policy::Body;
use crate::port::Ports;
use crate::rule::{Action, Rule};
use crate::side::{Context, Side};
use crate::{CiliumOptions, Match, Policy, PolicySet};

mod differing;

/// Most things of one kind that a message names.
const NAMED_MAX: usize = 3;

/// What findings need.
struct Look<'a> {
    dialect: Dialect,
    options: &'a CiliumOptions,
    groups: &'a Groups,
    cluster: &'a LintCluster<'a>,
    /// One pod of each identity.
    kinds: Vec<&'a Arc<Pod>>,
}

pub(super) fn lint(input: &LintInput<'_>, set: &PolicySet, findings: &mut Vec<LintFinding>) {
    let kinds = input.cluster.as_ref().map(|cluster| kinds(cluster.pods)).unwrap_or_default();
    let nobody = LintCluster { pods: &[], nodes: &std::collections::BTreeMap::new(), world: &NoWorld };
    let is_known = input.cluster.as_ref().is_some_and(|cluster| !cluster.pods.is_empty());
    let cluster = input.cluster.as_ref().unwrap_or(&nobody);
    let look = Look { dialect: input.dialect, options: input.options, groups: &set.groups, cluster, kinds };
    look.priorities(input.policies, is_known, findings);
    look.baseline(input.policies, is_known, findings);
    look.services(input.policies, findings);
    if is_known {
        for policy in input.policies.iter().filter(|policy| policy.is_known_to(input.dialect)) {
            look.policy(policy, findings);
        }
        differing::lint(input, &look.kinds, cluster, findings);
    }
}

struct NoWorld;

impl crate::World for NoWorld {
    fn namespace_labels(&self, _namespace: &str) -> Option<&watchfire_model::Labels> {
        None
    }
}

fn kinds(pods: &[Arc<Pod>]) -> Vec<&Arc<Pod>> {
    let mut known = HashSet::new();
    pods.iter().filter(|pod| !pod.identity.host_network && known.insert(Arc::as_ptr(&pod.identity))).collect()
}

impl<'a> Look<'a> {
    fn context(
        &self,
        direction: Direction,
        subject: Party<'a>,
        peer: Party<'a>,
        peer_ip: IpAddr,
    ) -> Context<'_> {
        let destination = if direction == Direction::Ingress { subject } else { peer };
        let side = Side {
            direction,
            subject,
            peer,
            peer_ip,
            destination,
            protocol: Protocol::Tcp,
            port: 0,
            icmp_type: None,
            port_by_name: false,
        };
        Context { side, world: self.cluster.world, options: self.options, groups: self.groups }
    }

    /// Kinds of pods that a rule selects.
    fn subjects(&self, rule: &Rule) -> Vec<&'a Arc<Pod>> {
        let nowhere = IpAddr::from([0, 0, 0, 0]);
        let selects = |pod: &&&'a Arc<Pod>| {
            let context = self.context(rule.direction, Party::Pod(pod), Party::World, nowhere);
            rule.subject.selects(&pod.identity, &context).is_possible()
        };
        self.kinds.iter().filter(selects).copied().collect()
    }

    fn policy(&self, policy: &Policy, findings: &mut Vec<LintFinding>) {
        let rules = policy.rules(self.dialect);
        let Some(first) = rules.first() else { return };
        let subjects = self.subjects(first);
        let mut subject_of = (&first.subject, subjects.clone());
        let is_about_nobody = rules.iter().all(|rule| {
            !matches!(*rule.subject, crate::rule::Subject::Nodes { .. }) && self.subjects(rule).is_empty()
        });
        if is_about_nobody {
            let message = match policy.reference().namespace.as_str() {
                "" => "no pod is selected".to_owned(),
                name => format!("no pod of namespace {name} is selected"),
            };
            return findings.push(LintFinding::new(LintCode::SelectsNobody, policy, "", message));
        }
        for rule in rules.iter().filter(|rule| rule.place.rule.is_some()) {
            if !Arc::ptr_eq(subject_of.0, &rule.subject) {
                subject_of = (&rule.subject, self.subjects(rule));
            }
            let path = rule_path(rule);
            self.peers(policy, rule, &path, &subject_of.1, findings);
            self.port_names(policy, rule, &path, &subject_of.1, findings);
        }
    }

    fn peers(
        &self,
        policy: &Policy,
        rule: &Rule,
        path: &str,
        subjects: &[&'a Arc<Pod>],
        findings: &mut Vec<LintFinding>,
    ) {
        let (Peers::Listed { field, entries }, Some(subject)) = (&rule.peers, subjects.first()) else {
            return;
        };
        for (index, entry) in entries.iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            let found = match entry {
                PeerMatcher::PodsIn { .. } | PeerMatcher::PodsOf { .. } | PeerMatcher::Labels(_) => {
                    let message = "no pod that is known matches";
                    self.is_nobody(rule.direction, subject, entry)
                        .then(|| (LintCode::PeerIsNobody, message.to_owned()))
                }
                PeerMatcher::Block(block) | PeerMatcher::Outside(block) => {
                    self.covered([block]).map(|message| (LintCode::BlockCoversCluster, message))
                }
                PeerMatcher::Blocks(blocks) | PeerMatcher::OutsideBlocks(blocks) => {
                    self.covered(&**blocks).map(|message| (LintCode::BlockCoversCluster, message))
                }
                _ => None,
            };
            findings.extend(found.map(|(code, message)| LintFinding::new(code, policy, path, message)));
        }
    }

    fn is_nobody(&self, direction: Direction, subject: &'a Arc<Pod>, entry: &PeerMatcher) -> bool {
        let nowhere = IpAddr::from([192, 0, 2, 1]);
        let node = self.cluster.nodes.keys().next().map(String::as_str);
        let others = [Party::World, Party::Node(node)];
        let pods = self.kinds.iter().map(|pod| Party::Pod(pod));
        let is_of_pods = matches!(entry, PeerMatcher::PodsIn { .. } | PeerMatcher::PodsOf { .. });
        pods.chain(others.into_iter().filter(|_| !is_of_pods)).all(|peer| {
            let context = self.context(direction, Party::Pod(subject), peer, nowhere);
            entry.matches(&context) == Match::No
        })
    }

    /// Which pods and nodes are in blocks.
    fn covered<'b>(&self, blocks: impl IntoIterator<Item = &'b Block>) -> Option<String> {
        let blocks: Vec<_> = blocks.into_iter().collect();
        let is_in = |ip: IpAddr| blocks.iter().any(|block| block.contains(ip));
        let pods = self.cluster.pods.iter().filter(|pod| !pod.identity.host_network);
        let pods: Vec<_> = pods.filter(|pod| pod.ips.iter().any(is_in)).map(|pod| pod.title()).collect();
        let nodes = self.cluster.nodes.iter().filter(|(_, ips)| ips.iter().any(|ip| is_in(*ip)));
        let nodes: Vec<_> = nodes.map(|(name, _)| format!("node {name}")).collect();
        let all = [pods, nodes].concat();
        let told = all.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = all.len().checked_sub(NAMED_MAX).filter(|more| *more > 0);
        let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
        (!all.is_empty()).then(|| format!("{told}{more} are in it"))
    }

    fn port_names(
        &self,
        policy: &Policy,
        rule: &Rule,
        path: &str,
        subjects: &[&'a Arc<Pod>],
        findings: &mut Vec<LintFinding>,
    ) {
        let Ports::Listed { field, entries } = &rule.ports else { return };
        // Those who answer: the subjects, or whoever they connect to.
        let servers = if rule.direction == Direction::Ingress { subjects } else { &self.kinds };
        for entry in entries {
            let Some(name) = entry.matcher.port_name() else { continue };
            let has = |pod: &&Arc<Pod>| {
                let mut names = pod.identity.ports.iter().filter_map(|port| port.name.as_deref());
                names.any(|known| known.eq_ignore_ascii_case(name))
            };
            if !servers.iter().any(has) {
                let message = format!("no pod has a port {name}");
                let path = format!("{path}.{field}[{}]", entry.at.0);
                findings.push(LintFinding::new(LintCode::PortNameUnknown, policy, path, message));
            }
        }
    }

    /// Admin policies of one priority about the same pods.
    fn priorities(&self, policies: &[Arc<Policy>], is_known: bool, findings: &mut Vec<LintFinding>) {
        let admin: Vec<_> = policies.iter().filter_map(|policy| Some((policy, policy.admin()?))).collect();
        for (index, (policy, one)) in admin.iter().enumerate() {
            for (other_policy, other) in &admin[index + 1..] {
                if (one.tier, one.priority) != (other.tier, other.priority) {
                    continue;
                }
                let subjects = |policy: &Policy| {
                    policy.rules(self.dialect).first().map(|rule| self.subjects(rule)).unwrap_or_default()
                };
                let own = subjects(policy);
                let shared =
                    subjects(other_policy).into_iter().find(|pod| own.iter().any(|o| Arc::ptr_eq(o, pod)));
                let about = match (shared, is_known) {
                    (Some(pod), _) => format!(", and both are about {}", pod.title()),
                    (None, true) => continue,
                    (None, false) => String::new(),
                };
                let message =
                    format!("{} has priority {} as well{about}", other_policy.reference(), one.priority);
                findings.push(LintFinding::new(LintCode::EqualPriority, policy, "spec.priority", message));
            }
        }
    }

    /// Baseline rules that accept, where Cilium asks them before isolation takes effect.
    fn baseline(&self, policies: &[Arc<Policy>], is_known: bool, findings: &mut Vec<LintFinding>) {
        if self.dialect != Dialect::Cilium {
            return;
        }
        let isolating = |direction| {
            let rules = policies.iter().flat_map(|policy| policy.rules(self.dialect).iter());
            rules
                .filter(move |rule| rule.isolates && rule.tier == Tier::Normal && rule.direction == direction)
        };
        for policy in policies {
            for rule in policy.rules(self.dialect).iter() {
                if rule.tier != Tier::Baseline || rule.action != Action::Allow {
                    continue;
                }
                let own = self.subjects(rule);
                let opened = isolating(rule.direction)
                    .flat_map(|rule| self.subjects(rule))
                    .find(|pod| own.iter().any(|own| Arc::ptr_eq(own, pod)));
                let message = match (opened, is_known) {
                    (Some(pod), _) => format!("{} is isolated and would be opened", pod.title()),
                    (None, false) if isolating(rule.direction).next().is_some() => {
                        "other policies isolate pods in this direction".to_owned()
                    }
                    (None, _) => continue,
                };
                findings.push(LintFinding::new(LintCode::BaselineOpens, policy, rule_path(rule), message));
            }
        }
    }

    /// Services that are not found.
    fn services(&self, policies: &[Arc<Policy>], findings: &mut Vec<LintFinding>) {
        let Some(services) = self.cluster.world.services() else { return };
        for policy in policies.iter().filter(|policy| matches!(policy.body(), Body::Cilium(_))) {
            for rule in policy.rules(Dialect::Cilium).iter() {
                let Peers::Services { entries, or_any: true, beside } = &rule.peers else { continue };
                // With an empty list beside them nobody is meant where none is found.
                if beside.endpoints || beside.blocks {
                    continue;
                }
                if !entries.iter().any(|entry| entry.is_found(services)) {
                    let message = "none of the services is known";
                    let path = format!("{}.toServices", rule_path(rule));
                    findings.push(LintFinding::new(LintCode::ServiceNotFound, policy, path, message));
                }
            }
        }
    }
}

/// The path of a rule in its object.
fn rule_path(rule: &Rule) -> String {
    let list = match (rule.direction, rule.place.deny_list) {
        (Direction::Ingress, false) => "ingress",
        (Direction::Ingress, true) => "ingressDeny",
        (Direction::Egress, false) => "egress",
        (Direction::Egress, true) => "egressDeny",
    };
    let index = rule.place.rule.unwrap_or_default();
    match rule.place.spec {
        Some(spec) => format!("specs[{spec}].{list}[{index}]"),
        None => format!("spec.{list}[{index}]"),
    }
}
