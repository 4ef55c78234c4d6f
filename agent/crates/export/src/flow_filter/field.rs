//! What can be asked of a record.

/// Which end of a flow is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ends {
    /// Any of the two.
    Either,
    /// Who opened it, or asked.
    Client,
    /// Who was called.
    Server,
}

/// One field of a filter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FlowField {
    /// Pod by namespace and beginning of its name.
    Pod(Ends),
    /// Namespace of pod or service.
    Namespace(Ends),
    /// Service by namespace and beginning of its name.
    Service(Ends),
    /// Address or block.
    Ip(Ends),
    /// Port.
    Port(Ends),
    /// Name in DNS or TLS.
    Fqdn(Ends),
    /// Transport protocol, or DNS or TLS.
    Protocol,
    /// Outcome of the verdict.
    Verdict,
    /// Path, command line or number of the process.
    Process,
    /// Moment of the flow.
    Stage,
    /// Why it ended, was dropped, or how DNS answered.
    Reason,
}

impl FlowField {
    /// All fields.
    pub const ALL: [Self; 23] = {
        use Ends::{Client, Either, Server};
        use FlowField as F;
        [
            F::Pod(Either),
            F::Pod(Client),
            F::Pod(Server),
            F::Namespace(Either),
            F::Namespace(Client),
            F::Namespace(Server),
            F::Service(Either),
            F::Service(Client),
            F::Service(Server),
            F::Ip(Either),
            F::Ip(Client),
            F::Ip(Server),
            F::Port(Either),
            F::Port(Client),
            F::Port(Server),
            F::Fqdn(Either),
            F::Fqdn(Client),
            F::Fqdn(Server),
            F::Protocol,
            F::Verdict,
            F::Process,
            F::Stage,
            F::Reason,
        ]
    };

    /// The name on command line and wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod(ends) => ends.pick(["pod", "from-pod", "to-pod"]),
            Self::Namespace(ends) => ends.pick(["namespace", "from-namespace", "to-namespace"]),
            Self::Service(ends) => ends.pick(["service", "from-service", "to-service"]),
            Self::Ip(ends) => ends.pick(["ip", "from-ip", "to-ip"]),
            Self::Port(ends) => ends.pick(["port", "from-port", "to-port"]),
            Self::Fqdn(ends) => ends.pick(["fqdn", "from-fqdn", "to-fqdn"]),
            Self::Protocol => "protocol",
            Self::Verdict => "verdict",
            Self::Process => "process",
            Self::Stage => "stage",
            Self::Reason => "reason",
        }
    }

    /// The field of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }
}

impl Ends {
    const fn pick(self, names: [&'static str; 3]) -> &'static str {
        match self {
            Self::Either => names[0],
            Self::Client => names[1],
            Self::Server => names[2],
        }
    }
}
