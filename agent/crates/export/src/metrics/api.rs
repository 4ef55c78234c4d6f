//! What the HTTP API answers and refuses.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::Fixed;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $text:literal,)+) => {
        /// Why the API did not do what a client wanted.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum ApiRefusal {
            $($(#[$doc])* $name,)+
        }

        impl ApiRefusal {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The value of the label `why`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

refusals! {
    /// All connections are taken.
    Connections "connections",
    /// This client has all the connections that one may have.
    ClientConnections "client-connections",
    /// No TLS was agreed on, or not in time.
    Handshake "handshake",
    /// The connection carried no HTTP, a head beyond the limits, or none in time.
    BadHead "bad-head",
    /// The request itself is wrong.
    BadRequest "bad-request",
    /// No token, or one that nobody knows.
    Unauthenticated "unauthenticated",
    /// Whoever it is may not ask this.
    Forbidden "forbidden",
    /// Nobody could tell whose token it was.
    Review "review",
    /// Too many wrong tokens from one address.
    WrongTokens "wrong-tokens",
    /// Searches wait already, for as long as they may.
    Busy "busy",
    /// All places of clients that follow are taken.
    Followers "followers",
    /// The audit cannot take more.
    Audit "audit",
    /// The answer was not found in time.
    TooLong "too-long",
    /// The client did not read.
    SlowReader "slow-reader",
}

/// Series of the API; at 0 where there is none. Clones count into the same.
#[derive(Clone, Debug)]
pub struct ApiMetrics(Arc<Series>);

#[derive(Debug)]
struct Series {
    requests: Family<Fixed<2>, Counter>,
    refused: Family<Fixed<1>, Counter>,
    records: Counter,
    bytes: Counter,
    lost: Counter,
    unaudited: Counter,
    connections: Gauge,
    followers: Gauge,
}

impl ApiMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let series = Series {
            requests: Family::default(),
            refused: Family::default(),
            records: Counter::default(),
            bytes: Counter::default(),
            lost: Counter::default(),
            unaudited: Counter::default(),
            connections: Gauge::default(),
            followers: Gauge::default(),
        };
        for why in ApiRefusal::ALL {
            drop(series.refused.get_or_create(&[("why", why.as_str())]));
        }
        registry.register(
            "api_requests",
            "Requests to the HTTP API by route and class of the status",
            series.requests.clone(),
        );
        registry.register("api_refused", "What the HTTP API refused, by reason", series.refused.clone());
        registry.register("api_records", "Records in answers of the HTTP API", series.records.clone());
        registry.register("api_bytes", "Bytes of content that the HTTP API answered", series.bytes.clone());
        registry.register(
            "api_followed_lost",
            "Records that clients of the HTTP API who follow were too slow for; each is told of its gap",
            series.lost.clone(),
        );
        registry.register(
            "api_unaudited",
            "Requests to the HTTP API whose record came too late for the event log: the agent was ending",
            series.unaudited.clone(),
        );
        registry.register("api_connections", "Connections to the HTTP API", series.connections.clone());
        registry.register(
            "api_followers",
            "Clients of the HTTP API that follow records as they come",
            series.followers.clone(),
        );
        Self(Arc::new(series))
    }

    /// These routes are there: their requests are counted from 0.
    pub fn serves(&self, routes: &[&'static str]) {
        for route in routes {
            drop(self.0.requests.get_or_create(&[("route", route), ("class", "2xx")]));
        }
    }

    /// A request was answered.
    pub fn answered(&self, route: &'static str, status: u16, records: u64, bytes: u64) {
        let class = match status {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.0.requests.get_or_create(&[("route", route), ("class", class)]).inc();
        self.0.records.inc_by(records);
        self.0.bytes.inc_by(bytes);
    }

    /// Something was refused.
    pub fn refused(&self, why: ApiRefusal) {
        self.0.refused.get_or_create(&[("why", why.as_str())]).inc();
    }

    /// How often that was refused so far.
    #[must_use]
    pub fn refusals(&self, why: ApiRefusal) -> u64 {
        self.0.refused.get_or_create(&[("why", why.as_str())]).get()
    }

    /// Records that a client who follows did not get.
    pub fn lost(&self, records: u64) {
        self.0.lost.inc_by(records);
    }

    /// A request that is in no event log.
    pub fn unaudited(&self) {
        self.0.unaudited.inc();
    }

    /// A connection came (1) or went (-1).
    pub fn connections(&self, change: i64) {
        self.0.connections.inc_by(change);
    }

    /// A client that follows came (1) or went (-1).
    pub fn followers(&self, change: i64) {
        self.0.followers.inc_by(change);
    }
}
