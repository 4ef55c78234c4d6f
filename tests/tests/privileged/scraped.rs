//! A real Prometheus and a real VictoriaMetrics scrape a real agent during an attack, or are sent its metrics.

mod attack;
mod data;
mod promtool;
mod remote_write;
mod servers;
mod webhook;

use watchfire_tests::Need;

pub(crate) use self::data::every_query_has_data;
pub(crate) use self::promtool::{metrics_are_clean, rules_are_right};
pub(crate) use self::remote_write::{to_both, to_one_with_tls};

/// What an agent needs.
const AGENT: Need = Need::All(&[Need::Root, Need::Btf, Need::CgroupV2]);
/// What the attack needs besides.
const ATTACK: Need = Need::All(&[
    Need::Program("unshare"),
    Need::Program("ip"),
    Need::Program("setpriv"),
    Need::Program("openssl"),
]);

/// What all servers need.
pub(crate) const SERVERS: &[Need] = &[
    AGENT,
    ATTACK,
    Need::Program("prometheus"),
    Need::Program("prometheus-alertmanager"),
    Need::Program("victoria-metrics"),
    Need::Program("vmalert"),
];
/// What sending to them takes.
pub(crate) const RECEIVERS: &[Need] =
    &[AGENT, Need::Program("prometheus"), Need::Program("victoria-metrics")];
/// What sending over TLS takes.
pub(crate) const TLS_RECEIVER: &[Need] = &[AGENT, Need::Program("prometheus"), Need::Program("openssl")];
/// What checking takes that a scrape is clean.
pub(crate) const CHECKED: &[Need] = &[AGENT, ATTACK, Need::Program("promtool")];
