//! DNS queries and how they were answered.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use watchfire_model::DnsRecord;

use super::labels::Fixed;

/// Answers that have a series of their own.
const RCODES: [&str; 6] = ["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"];
/// All other answers.
const OTHER: &str = "other";
/// No answer came.
const NONE: &str = "none";
/// Upper bounds of the latency's buckets, seconds. From a cache on the node to the give-up of a resolver.
const LATENCY_SECONDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const US_PER_SECOND: f64 = 1_000_000.0;

#[derive(Debug)]
pub(super) struct DnsMetrics {
    queries: Family<Fixed<1>, Counter>,
    latency: Histogram,
}

impl DnsMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { queries: Family::default(), latency: Histogram::new(LATENCY_SECONDS) };
        registry.register(
            "dns_queries",
            "DNS queries by how they were answered; none: no answer was seen",
            metrics.queries.clone(),
        );
        registry.register_with_unit(
            "dns_latency",
            "From a DNS query to its answer, as the socket that asked saw it",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        for rcode in RCODES.into_iter().chain([OTHER, NONE]) {
            drop(metrics.queries.get_or_create(&[("rcode", rcode)]));
        }
        metrics
    }

    pub(super) fn observe(&self, dns: &DnsRecord) {
        self.queries.get_or_create(&[("rcode", rcode(dns))]).inc();
        if let Some(latency_us) = dns.latency_us {
            self.latency.observe(latency_us as f64 / US_PER_SECOND);
        }
    }
}

/// How a query was answered: a closed set, whatever servers invent.
pub(super) fn rcode(dns: &DnsRecord) -> &'static str {
    match &dns.rcode {
        Some(rcode) => RCODES.into_iter().find(|known| known == rcode).unwrap_or(OTHER),
        None => NONE,
    }
}
