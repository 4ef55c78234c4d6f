//! What flows carried, as far as it is read.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::account::raise_to;
use super::labels::Fixed;

/// Totals of what flows carried.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PayloadTotals {
    /// `ClientHello`s that were read.
    pub client_hellos: u64,
    /// What was taken for a `ClientHello` and could not be read.
    pub malformed_client_hellos: u64,
    /// What was taken for a DNS message and could not be read.
    pub malformed_dns: u64,
}

#[derive(Debug)]
pub(super) struct PayloadMetrics {
    client_hellos: Counter,
    malformed_client_hellos: Counter,
    malformed_dns: Counter,
}

impl PayloadMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let malformed = Family::<Fixed<1>, Counter>::default();
        let of_kind = |kind| malformed.get_or_create_owned(&[("kind", kind)]);
        let metrics = Self {
            client_hellos: Counter::default(),
            malformed_client_hellos: of_kind("client-hello"),
            malformed_dns: of_kind("dns"),
        };
        registry.register(
            "tls_client_hellos",
            "TLS ClientHellos that were read. A connection between two pods of one node shows its own at both ends",
            metrics.client_hellos.clone(),
        );
        registry.register(
            "payload_malformed",
            "First bytes of flows that could not be read, by what they were taken for",
            malformed,
        );
        metrics
    }

    pub(super) fn set(&self, totals: PayloadTotals) {
        let PayloadTotals { client_hellos, malformed_client_hellos, malformed_dns } = totals;
        raise_to(&self.client_hellos, client_hellos);
        raise_to(&self.malformed_client_hellos, malformed_client_hellos);
        raise_to(&self.malformed_dns, malformed_dns);
    }
}
