//! Policies that have passed validation.

use std::sync::{Arc, OnceLock};

use watchfire_model::{Dialect, Direction, PolicyRef, RuleRef};

use crate::admin::Admin;
use crate::groups::Group;
use crate::network::Network;
use crate::rule::Rule;

/// One policy that has passed validation, ready to be judged by. What it says depends on whose reading is followed.
#[derive(Clone, Debug)]
pub struct Policy {
    reference: Arc<PolicyRef>,
    /// The object as written, as far as it plays a part; none where it was made otherwise.
    source: Option<Box<str>>,
    /// The list of just this policy, so that the commonest denial costs no allocation.
    alone: Arc<[Arc<PolicyRef>]>,
    body: Body,
    /// Its rules by dialect, made when first asked for.
    k8s: OnceLock<Arc<[Arc<Rule>]>>,
    cilium: OnceLock<Arc<[Arc<Rule>]>>,
}

/// What the object says, by kind.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Body {
    Network(Network),
    Admin(Admin),
    /// Cilium's own kinds mean nothing to others.
    Cilium(Arc<[Arc<Rule>]>),
    Group(Group),
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.reference == other.reference && self.body == other.body
    }
}

impl Policy {
    pub(crate) fn new(kind: &'static str, namespace: String, name: String, body: Body) -> Self {
        let reference = Arc::new(PolicyRef { kind, namespace, name });
        Self {
            alone: Arc::from([Arc::clone(&reference)]),
            reference,
            source: None,
            body,
            k8s: OnceLock::new(),
            cilium: OnceLock::new(),
        }
    }

    /// With the object that it was read from.
    pub(crate) fn with_source(mut self, source: Box<str>) -> Self {
        self.source = Some(source);
        self
    }

    /// The object as written, in JSON: kind, name, namespace, labels and what it wants, without what plays no part.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// All its rules as the dialect reads them, in the order in which they are written, each direction by itself.
    #[must_use]
    pub fn rule_refs(&self, dialect: Dialect) -> Vec<RuleRef> {
        let written = self.rules(dialect).iter().filter(|rule| rule.place.rule.is_some());
        let mut refs: Vec<RuleRef> = written.map(|rule| rule.reference(dialect, &self.reference)).collect();
        // Cilium makes two of some.
        refs.dedup();
        refs
    }

    /// Which object this is.
    #[must_use]
    pub const fn reference(&self) -> &Arc<PolicyRef> {
        &self.reference
    }

    /// Whether the policy isolates the pods it selects in this direction, as the dialect reads it.
    #[must_use]
    pub fn isolates(&self, dialect: Dialect, direction: Direction) -> bool {
        self.rules(dialect).iter().any(|rule| rule.isolates && rule.direction == direction)
    }

    /// Whether objects of its kind mean anything to the dialect: others are never judged by.
    #[must_use]
    pub const fn is_known_to(&self, dialect: Dialect) -> bool {
        match (&self.body, dialect) {
            (Body::Network(_) | Body::Admin(_), _) | (_, Dialect::Cilium) => true,
            (Body::Cilium(_) | Body::Group(_), Dialect::K8s) => false,
        }
    }

    pub(crate) const fn alone(&self) -> &Arc<[Arc<PolicyRef>]> {
        &self.alone
    }

    pub(crate) const fn body(&self) -> &Body {
        &self.body
    }

    pub(crate) const fn admin(&self) -> Option<&Admin> {
        match &self.body {
            Body::Admin(admin) => Some(admin),
            Body::Network(_) | Body::Cilium(_) | Body::Group(_) => None,
        }
    }

    pub(crate) const fn group(&self) -> Option<&Group> {
        match &self.body {
            Body::Group(group) => Some(group),
            Body::Network(_) | Body::Admin(_) | Body::Cilium(_) => None,
        }
    }

    /// Its rules as the dialect reads them; none where it means nothing to it.
    pub(crate) fn rules(&self, dialect: Dialect) -> &Arc<[Arc<Rule>]> {
        match dialect {
            Dialect::K8s => self.k8s.get_or_init(|| match &self.body {
                Body::Network(network) => network.as_the_api_says(&self.reference.namespace).collect(),
                Body::Admin(admin) => admin.as_the_api_says().collect(),
                Body::Cilium(_) | Body::Group(_) => Arc::from([]),
            }),
            Dialect::Cilium => self.cilium.get_or_init(|| match &self.body {
                Body::Network(network) => network.as_cilium_reads_it(&self.reference.namespace).collect(),
                Body::Admin(admin) => admin.as_cilium_reads_it().collect(),
                Body::Cilium(rules) => Arc::clone(rules),
                Body::Group(_) => Arc::from([]),
            }),
        }
    }
}
