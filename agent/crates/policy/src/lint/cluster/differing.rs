//! Connections of which the dialects say different things.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use watchfire_model::{Dialect, Outcome, Peer, Pod, Verdict};

use super::super::{LintCluster, LintCode, LintFinding, LintInput};
use crate::{Connection, Endpoint, Policy, PolicySet};

/// Most connections that are judged. Those above are not looked at, and a finding says so.
const JUDGED_MAX: usize = 500_000;
/// Most that are told of one by one.
const TOLD_MAX: usize = 50;

/// Every kind of pod, an address outside and each node to every port that pods declare, by the policies that both read.
pub(super) fn lint(
    input: &LintInput<'_>,
    kinds: &[&Arc<Pod>],
    cluster: &LintCluster<'_>,
    findings: &mut Vec<LintFinding>,
) {
    let is_shared =
        |policy: &&Arc<Policy>| policy.is_known_to(Dialect::K8s) && !policy.rules(Dialect::Cilium).is_empty();
    let shared: Vec<_> = input.policies.iter().filter(is_shared).cloned().collect();
    if shared.is_empty() {
        return;
    }
    let k8s = PolicySet::with_options(Dialect::K8s, input.options.clone(), shared.clone());
    let cilium = PolicySet::with_options(Dialect::Cilium, input.options.clone(), shared);
    let mut clients: Vec<(String, Peer, IpAddr)> = kinds.iter().map(|pod| end(pod)).collect();
    clients.push(("world".to_owned(), Peer::World, IpAddr::from([192, 0, 2, 1])));
    for (name, ips) in cluster.nodes {
        let peer = Peer::Node { name: name.as_str().into() };
        clients.extend(ips.first().map(|ip| (format!("node {name}"), peer, *ip)));
    }
    let (mut judged, mut told) = (0, 0);
    // Where the API's text says nothing, and one example.
    let mut undefined: Option<(usize, LintFinding)> = None;
    let mut known = BTreeSet::new();
    for server in kinds {
        let (title, peer, ip) = end(server);
        for port in &server.identity.ports {
            for (client_title, client, client_ip) in &clients {
                if judged >= JUDGED_MAX {
                    break;
                }
                judged += 1;
                let connection = Connection {
                    protocol: port.protocol,
                    client: Endpoint { peer: client, ip: *client_ip },
                    server: Endpoint { peer: &peer, ip },
                    server_port: port.port,
                    icmp_type: None,
                    direction_guessed: false,
                };
                let one = k8s.judge(cluster.world, &connection);
                let other = cilium.judge(cluster.world, &connection);
                if passes(&one) == passes(&other)
                    || !known.insert((client_title.clone(), title.clone(), port.port))
                {
                    continue;
                }
                let message = format!(
                    "{client_title} → {title} {} {}: {} by the API ({}), {} with Cilium ({})",
                    port.protocol,
                    port.port,
                    one.outcome,
                    because(&one),
                    other.outcome,
                    because(&other)
                );
                let Some(found) = finding(&one, &other, input.policies, message) else { continue };
                if passes(&one).is_none() || passes(&other).is_none() {
                    undefined.get_or_insert((0, found)).0 += 1;
                    continue;
                }
                told += 1;
                if told <= TOLD_MAX {
                    findings.push(found);
                }
            }
        }
    }
    if let Some((count, example)) = undefined {
        let message = format!("{count} connections are defined in one dialect alone, as {}", example.message);
        findings.push(LintFinding { message, ..example });
    }
    let more = [
        (told > TOLD_MAX)
            .then(|| format!("{} more connections on which the dialects differ", told - TOLD_MAX)),
        (judged >= JUDGED_MAX).then(|| format!("only {JUDGED_MAX} connections were looked at")),
    ];
    for message in more.into_iter().flatten() {
        findings.extend(
            input
                .policies
                .first()
                .map(|policy| LintFinding::new(LintCode::DialectsDiffer, policy, "", message)),
        );
    }
}

fn end(pod: &Arc<Pod>) -> (String, Peer, IpAddr) {
    let ip = pod.ips.iter().next().unwrap_or(IpAddr::from([0, 0, 0, 0]));
    (pod.title(), Peer::Pod(Arc::clone(pod)), ip)
}

/// Whether it passes; none where that is not known.
const fn passes(verdict: &Verdict) -> Option<bool> {
    match verdict.outcome {
        Outcome::Allowed | Outcome::NotCovered => Some(true),
        Outcome::Denied => Some(false),
        Outcome::Unknown => None,
    }
}

fn because(verdict: &Verdict) -> String {
    let because = verdict.because();
    if because.is_empty() { "no policy".to_owned() } else { because }
}

/// Under the policy that one of the verdicts names.
fn finding(one: &Verdict, other: &Verdict, policies: &[Arc<Policy>], message: String) -> Option<LintFinding> {
    let named = |verdict: &Verdict| {
        let because = verdict.because();
        policies.iter().find(|policy| because.contains(&policy.reference().to_string())).cloned()
    };
    let policy = named(one).or_else(|| named(other)).or_else(|| policies.first().cloned())?;
    Some(LintFinding::new(LintCode::DialectsDiffer, &policy, "", message))
}
