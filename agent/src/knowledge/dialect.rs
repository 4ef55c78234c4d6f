//! Whose reading of policies is followed, and why.

use watchfire_model::Dialect;

use crate::config::DialectChoice;

/// A dialect, and what speaks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Followed {
    pub(crate) dialect: Dialect,
    pub(crate) why: Why,
}

/// What speaks for a dialect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// The configuration says so.
    Configured,
    /// The cluster's API has Cilium's kinds.
    Api,
    /// Files or manifests have objects of Cilium's kinds.
    Objects,
    /// Nothing is known of Cilium.
    NoCilium,
}

impl Why {
    /// The name in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Api => "api",
            Self::Objects => "objects",
            Self::NoCilium => "no-cilium",
        }
    }

    const fn phrase(self) -> &'static str {
        match self {
            Self::Configured => "the configuration says so",
            Self::Api => "the cluster's API has Cilium's kinds of policies",
            Self::Objects => "there are policies of Cilium's kinds",
            Self::NoCilium => "nothing is known of Cilium",
        }
    }
}

impl Followed {
    pub(super) const fn new(choice: DialectChoice, api_has_cilium: bool, has_objects: bool) -> Self {
        let (dialect, why) = match (choice, api_has_cilium, has_objects) {
            (DialectChoice::K8s, ..) => (Dialect::K8s, Why::Configured),
            (DialectChoice::Cilium, ..) => (Dialect::Cilium, Why::Configured),
            (DialectChoice::Auto, true, _) => (Dialect::Cilium, Why::Api),
            (DialectChoice::Auto, false, true) => (Dialect::Cilium, Why::Objects),
            (DialectChoice::Auto, false, false) => (Dialect::K8s, Why::NoCilium),
        };
        Self { dialect, why }
    }

    /// Says it in the log.
    pub(super) fn tell(self) {
        let dialect = name(self.dialect);
        tracing::info!(
            dialect,
            "policies are read as {} reads them: {}",
            reader(self.dialect),
            self.why.phrase()
        );
    }
}

/// The name in records and metrics.
pub(crate) const fn name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::K8s => "k8s",
        Dialect::Cilium => "cilium",
    }
}

const fn reader(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::K8s => "the Kubernetes API",
        Dialect::Cilium => "Cilium",
    }
}
