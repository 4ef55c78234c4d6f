//! What can be found, with a stable name for each.

use std::fmt;

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look.
    Hint,
    /// Probably not what was meant.
    Warning,
    /// It has no effect, or one that nobody can have meant.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A kind of finding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LintCode {
    /// The object cannot be used.
    Rejected,
    /// An entity that does not exist.
    UnknownEntity,
    /// A rule of Cilium's with nothing in its lists.
    NoRules,
    /// An exception that does not lie inside its block.
    ExceptOutside,
    /// A rule of Cilium's that names neither peers nor ports.
    EmptyRule,
    /// Denials alone, which isolate as well.
    DenyIsolates,
    /// Names, and nothing that lets DNS be seen.
    NamesWithoutDns,
    /// Nobody is selected.
    SelectsNobody,
    /// A peer that nobody is.
    PeerIsNobody,
    /// A service that is not found, so that anyone is meant.
    ServiceNotFound,
    /// A label that Cilium does not look at.
    FilteredLabel,
    /// Rules of a direction that `policyTypes` does not list.
    UnlistedDirection,
    /// Two entries where one may have been meant.
    SplitPeer,
    /// Admin policies of one priority about the same pods.
    EqualPriority,
    /// A baseline rule that opens, in Cilium, what others close.
    BaselineOpens,
    /// A block that pods or nodes have addresses in.
    BlockCoversCluster,
    /// A name of a port that no pod has.
    PortNameUnknown,
    /// A kind that is not read in this dialect.
    KindNotRead,
    /// A policy that Cilium as configured refuses.
    Refused,
    /// A connection of which the dialects say different things.
    DialectsDiffer,
    /// Rules that nothing enforces as Cilium is configured.
    Idle,
}

impl LintCode {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 21] = [
        Self::Rejected,
        Self::UnknownEntity,
        Self::NoRules,
        Self::ExceptOutside,
        Self::EmptyRule,
        Self::DenyIsolates,
        Self::NamesWithoutDns,
        Self::SelectsNobody,
        Self::PeerIsNobody,
        Self::ServiceNotFound,
        Self::FilteredLabel,
        Self::UnlistedDirection,
        Self::SplitPeer,
        Self::EqualPriority,
        Self::BaselineOpens,
        Self::BlockCoversCluster,
        Self::PortNameUnknown,
        Self::KindNotRead,
        Self::Refused,
        Self::DialectsDiffer,
        Self::Idle,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.facts().0
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.facts().1
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.facts().2
    }

    /// How to mend it.
    #[must_use]
    pub const fn mending(self) -> &'static str {
        self.facts().3
    }

    const fn facts(self) -> (&'static str, Severity, &'static str, &'static str) {
        use Severity::{Error, Hint, Warning};
        match self {
            Self::Rejected => (
                "WF-P001",
                Error,
                "the API server or the data plane refuses the object, so that it has no effect",
                "correct what the message names",
            ),
            Self::UnknownEntity => (
                "WF-P002",
                Error,
                "Cilium refuses the object, so that none of its rules has an effect",
                "use all, world, host, remote-node, kube-apiserver, cluster, ingress, health, init, unmanaged or none",
            ),
            Self::NoRules => (
                "WF-P003",
                Error,
                "Cilium refuses a rule whose lists are all empty: `ingress: []` denies nothing",
                "to deny everything write `ingress: [{}]`",
            ),
            Self::ExceptOutside => (
                "WF-P004",
                Error,
                "an exception outside of its block has no meaning, and the object is refused",
                "give blocks that lie inside `cidr`",
            ),
            Self::EmptyRule => (
                "WF-P005",
                Warning,
                "with Cilium such a rule matches nothing and isolates: it denies everything, where in a NetworkPolicy it \
                 would allow everything",
                "to allow everything write `fromEntities: [all]` or `toEntities: [all]`; to deny, say so in a comment",
            ),
            Self::DenyIsolates => (
                "WF-P006",
                Warning,
                "denials isolate like other rules: what nothing allows is denied as well, not only what the rule names",
                "set `enableDefaultDeny` of the direction to false, or add the rules that allow the rest",
            ),
            Self::NamesWithoutDns => (
                "WF-P007",
                Warning,
                "Cilium learns addresses of names from DNS that passes its proxy; without a rule for that `toFQDNs` never \
                 matches",
                "add an egress rule to the DNS servers on port 53 with `rules: {dns: [{matchPattern: \"*\"}]}`",
            ),
            Self::SelectsNobody => (
                "WF-P008",
                Warning,
                "the policy is about no pod that is known",
                "compare the selector with the labels of the pods, and the namespace with theirs",
            ),
            Self::PeerIsNobody => (
                "WF-P009",
                Warning,
                "the entry matches nobody who is known",
                "compare the selectors with the labels of pods and namespaces; without a namespaceSelector only pods of \
                 the policy's own namespace are meant",
            ),
            Self::ServiceNotFound => (
                "WF-P010",
                Error,
                "Cilium drops a service that it does not find, and a rule with ports and without peers allows anyone",
                "name a service that exists, or name its pods with toEndpoints",
            ),
            Self::FilteredLabel => (
                "WF-P011",
                Warning,
                "Cilium leaves the label out of identities, so that the selector never sees it",
                "select by another label, or include it by Cilium's setting `labels`",
            ),
            Self::UnlistedDirection => (
                "WF-P012",
                Warning,
                "by the API the rules have no effect; Cilium follows them all the same",
                "list the direction in policyTypes, or remove the rules",
            ),
            Self::SplitPeer => (
                "WF-P013",
                Hint,
                "two entries mean one or the other: all pods of those namespaces, and pods of these labels in the policy's \
                 own namespace",
                "if pods of these labels in those namespaces are meant, make it one entry: remove the second `-`",
            ),
            Self::EqualPriority => (
                "WF-P014",
                Warning,
                "the API leaves undefined which of two policies of one priority counts where they disagree",
                "give them different priorities",
            ),
            Self::BaselineOpens => (
                "WF-P015",
                Warning,
                "with Cilium the baseline is asked before a pod's isolation takes effect: what it accepts is open though \
                 no NetworkPolicy allows it",
                "deny in the baseline what isolated pods must not get, or leave the rule out",
            ),
            Self::BlockCoversCluster => (
                "WF-P016",
                Warning,
                "by the API's tests a block means pods and nodes in it as well, with Cilium it means addresses outside of \
                 the cluster alone",
                "leave cluster ranges out by `except`, and name pods by their labels",
            ),
            Self::PortNameUnknown => (
                "WF-P017",
                Warning,
                "no container port of this name is known at those who would answer, so that the entry matches nothing",
                "use the name that the containers declare, or the number",
            ),
            Self::KindNotRead => (
                "WF-P018",
                Hint,
                "the object plays no part in this dialect",
                "lint with --dialect cilium if Cilium enforces policy in the cluster",
            ),
            Self::Refused => (
                "WF-P019",
                Error,
                "Cilium refuses the object until the feature is switched on",
                "set enable-node-selector-labels or enable-extended-ip-protocols, or do without",
            ),
            Self::DialectsDiffer => (
                "WF-P020",
                Hint,
                "the text of the API and Cilium read these policies in different ways",
                "write the rule so that both agree, if either may enforce it",
            ),
            Self::Idle => (
                "WF-P021",
                Warning,
                "the rules have no effect as Cilium is configured",
                "set enable-host-firewall, or leave the policy out",
            ),
        }
    }
}

impl fmt::Display for LintCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for LintCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
