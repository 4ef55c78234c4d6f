//! Mistakes, most of them met in other engines.

use super::Mutant;

const ADDRESS: &str = "agent/crates/policy/src/address.rs";
const CACHE: &str = "agent/crates/policy/src/cache.rs";
const COMPILE: &str = "agent/crates/policy/src/cilium/compile.rs";
const DECISION: &str = "agent/crates/policy/src/decision.rs";
const EVALUATE: &str = "agent/crates/policy/src/evaluate.rs";
const FOLLOW: &str = "agent/crates/policy/src/cache/follow.rs";
const L3: &str = "agent/crates/policy/src/cilium/l3.rs";
const NETWORK: &str = "agent/crates/policy/src/network.rs";
const OPTIONS: &str = "agent/crates/policy/src/options.rs";
const PEER: &str = "agent/crates/policy/src/peer.rs";
const RULE: &str = "agent/crates/policy/src/rule.rs";
const SIDE: &str = "agent/crates/policy/src/side.rs";

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "except of a block is ignored",
        file: ADDRESS,
        from: "self.cidr.contains(&address) && !self.except.iter().any(|except| except.contains(&address))",
        to: "self.cidr.contains(&address)",
    },
    Mutant {
        name: "policyTypes is ignored",
        file: NETWORK,
        from: "listed => listed.contains(&direction),",
        to: "_ => direction == Direction::Ingress || !self.egress.is_empty(),",
    },
    Mutant {
        name: "names of ports are looked up at the subject",
        file: SIDE,
        from: "destination: server,",
        to: "destination: subject,",
    },
    Mutant {
        name: "a block that does not match falls through to the pods of the namespace",
        file: PEER,
        from: "Self::Block(block) => block.contains(side.peer_ip).into(),",
        to: "Self::Block(block) => (block.contains(side.peer_ip) || matches!((side.subject, side.peer), (Party::Pod(one), \
             Party::Pod(other)) if one.identity.namespace == other.identity.namespace)).into(),",
    },
    Mutant {
        name: "isolating policies without a rule are not listed",
        file: EVALUATE,
        from: "policies_of(entries.filter(|entry| entry.rule.isolates))",
        to: "policies_of(entries.filter(|entry| entry.rule.isolates && entry.rule.place.rule.is_some()))",
    },
    Mutant {
        name: "every policy has to allow, not any",
        file: DECISION,
        from: "if let Some(decided) = self.tier(context, &selecting[from..to], &mut progress) {",
        to: "let every = selecting[from..to].chunk_by(|(one, _), (other, _)| Arc::ptr_eq(&one.policy, &other.policy)).all(|one| \
             self.tier(context, one, &mut Progress { may_pass: None, may_stop: None }).is_some()); if let Some(decided) = \
             self.tier(context, &selecting[from..to], &mut progress).filter(|_| tier != Tier::Normal || every) {",
    },
    Mutant {
        name: "an empty list of rules allows everything",
        file: NETWORK,
        from: "peers: Peers::Nobody,",
        to: "peers: Peers::Any,",
    },
    Mutant {
        name: "a podSelector alone selects in every namespace",
        file: PEER,
        from: "Match::from(*pod_namespace == **namespace && pods.matches(labels))",
        to: "Match::from((*pod_namespace == **namespace || true) && pods.matches(labels))",
    },
    Mutant {
        name: "an empty rule of Cilium's allows everyone",
        file: L3,
        from: "if has_ports { Peers::Any } else { Peers::Nobody }",
        to: "if has_ports || true { Peers::Any } else { Peers::Nobody }",
    },
    Mutant {
        name: "a permission outweighs a denial",
        file: DECISION,
        from: "[self.deny, self.allow, self.pass]",
        to: "[self.allow, self.deny, self.pass]",
    },
    Mutant {
        name: "passing to the next tier ends the search",
        file: DECISION,
        from: "Action::Pass => return None,",
        to: "Action::Pass => Decided::Nothing,",
    },
    Mutant {
        name: "denials do not isolate",
        file: COMPILE,
        from: "isolates: switch.unwrap_or(true),",
        to: "isolates: switch.unwrap_or(!denies),",
    },
    Mutant {
        name: "selectors that name no cluster mean all of them",
        file: OPTIONS,
        from: "default_local_cluster: true,",
        to: "default_local_cluster: false,",
    },
    Mutant {
        name: "Cilium's blocks match pods",
        file: OPTIONS,
        from: "cidr_matches_pods: false,",
        to: "cidr_matches_pods: true,",
    },
    Mutant {
        name: "policies of nodes count without the host firewall",
        file: RULE,
        from: "Self::Nodes { labels } if context.options.host_firewall =>",
        to: "Self::Nodes { labels } =>",
    },
    Mutant {
        name: "memory outlives a change of the policies",
        file: FOLLOW,
        from: "if !selected.is_empty() {",
        to: "if selected.len() > 1_000_000 {",
    },
    Mutant {
        name: "memory does not tell ports apart",
        file: CACHE,
        from: "port: server_port,",
        to: "port: server_port.min(1),",
    },
];
