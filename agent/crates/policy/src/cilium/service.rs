//! `toServices` (pkg/policy/k8s/service.go).

use watchfire_model::UnknownReason;

use super::key::NAMESPACE;
use super::labels::LabelMatcher;
use crate::connection::Party;
use crate::selector::{Selector, Test};
use crate::side::Context;
use crate::{Match, Service};

/// One entry: services by name or by labels, in a namespace or in all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ServiceMatcher {
    pub(crate) namespace: Option<Box<str>>,
    pub(crate) which: Which,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    Named(Box<str>),
    /// Sources of the keys play no part.
    Labelled(Selector),
}

/// Lists beside `toServices` that are given and empty. Such a list means no one, unless Cilium puts into it what it has found of
/// the services.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EmptyLists {
    /// `toEndpoints`, for services with a selector.
    pub(crate) endpoints: bool,
    /// `toCIDRSet`, for those without.
    pub(crate) blocks: bool,
}

impl ServiceMatcher {
    fn selects(&self, service: &Service) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| **namespace == *service.namespace)
            && match &self.which {
                Which::Named(name) => **name == *service.name,
                Which::Labelled(selector) => selector.matches(&service.labels),
            }
    }

    /// Whether the peer is behind one of the services. Where there is none of them, a rule with ports is about anyone: Cilium
    /// translates it to one without peers.
    pub(crate) fn any(
        entries: &[Self],
        or_any: bool,
        beside: EmptyLists,
        context: &Context<'_>,
    ) -> (Match, Option<usize>, bool) {
        let Some(services) = context.world.services() else {
            return (Match::Unknown(UnknownReason::ServiceUnresolved), Some(0), false);
        };
        let (mut endpoints, mut blocks) = (false, false);
        let mut best = (Match::No, None, false);
        for (index, entry) in entries.iter().enumerate() {
            for service in services.iter().filter(|service| entry.selects(service)) {
                // One without a selector and without backends is translated to nothing.
                endpoints |= !service.selector.is_empty();
                blocks |= service.selector.is_empty() && !service.backends.is_empty();
                match is_behind(service, context) {
                    Match::Yes if best.0 != Match::Yes => best = (Match::Yes, Some(index), false),
                    unknown @ Match::Unknown(_) if best.0 == Match::No => {
                        best = (unknown, Some(index), false);
                    }
                    Match::Yes | Match::No | Match::Unknown(_) => {}
                }
            }
        }
        if (beside.endpoints && !endpoints) || (beside.blocks && !blocks) {
            return (Match::No, None, false);
        }
        if !(endpoints || blocks) && or_any { (Match::Yes, None, true) } else { best }
    }
}

/// Pods by the service's selector, or addresses outside by its endpoints.
fn is_behind(service: &Service, context: &Context<'_>) -> Match {
    if service.selector.is_empty() {
        let address = context.side.peer_ip;
        let is_backend = service.backends.iter().any(|backend| backend.to_canonical() == address);
        return match context.side.peer {
            Party::World => is_backend.into(),
            Party::Node(_) => (is_backend && context.options.cidr_matches_nodes).into(),
            Party::Pod(_) => (is_backend && context.options.cidr_matches_pods).into(),
            Party::Unresolved if is_backend => Match::Unknown(UnknownReason::PeerUnresolved),
            Party::Unresolved => Match::No,
        };
    }
    let Party::Pod(pod) = context.side.peer else {
        return match context.side.peer {
            Party::Unresolved => Match::Unknown(UnknownReason::PeerUnresolved),
            _ => Match::No,
        };
    };
    let labels = service
        .selector
        .iter()
        .map(|(key, value)| (format!("k8s:{key}"), Test::Equals(value.as_str().into())));
    let namespace = (format!("k8s:{NAMESPACE}"), Test::Equals(service.namespace.as_str().into()));
    LabelMatcher::new(labels.chain([namespace]), true).selects(&pod.identity, context)
}
