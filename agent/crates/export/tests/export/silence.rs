//! Names of which nothing is told any more: policies, namespaces and ports leave their room to others.

use std::time::Duration;

use watchfire_export::{
    Metrics, MetricsOptions, NAME_SILENT_SECONDS_MAX, NAMESPACE_LABELS_MAX, POLICY_LABELS_MAX,
    PORT_LABELS_MAX,
};
use watchfire_model::{Finding, FindingState, FlowRecord, FlowStage, SideVerdict, Verdict};

use crate::{common, findings};

/// Longer than silence may last, and than it takes to notice.
const SILENCE: Duration = Duration::from_secs(NAME_SILENT_SECONDS_MAX + 60);

fn metrics() -> Metrics {
    let (version, commit) = ("1", "2");
    Metrics::with(MetricsOptions { version, commit, cluster: None, series_max: 100, hubble: true })
}

/// Series of a family, but for the one that others share; and what that has counted.
fn series(metrics: &Metrics, family: &str) -> (usize, u64) {
    let text = metrics.render();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(&format!("{family}{{"))).collect();
    let (shared, named): (Vec<&str>, Vec<&str>) =
        lines.iter().partition(|line| line.contains("=\"overflow\""));
    let count = |line: &str| -> u64 {
        let (_, count) = line.rsplit_once(' ').expect("a value stands behind the labels");
        count.parse().expect("a count")
    };
    (named.len(), shared.into_iter().map(count).sum())
}

fn denied_by(policy: usize) -> Verdict {
    Verdict::combine(SideVerdict::NotCovered, common::deny(&[&format!("policy-{policy}")]))
}

#[test]
fn policies_that_are_silent_make_room() {
    const FAMILY: &str = "watchfire_flow_verdicts_total";
    let metrics = metrics();
    let tell = |n: usize| metrics.observe(&common::flow_record(common::flow(FlowStage::Open, denied_by(n))));
    (0..=POLICY_LABELS_MAX).for_each(tell);
    assert_eq!(series(&metrics, FAMILY), (POLICY_LABELS_MAX, 1));
    metrics.forget_silent(SILENCE / 2);
    tell(0);
    metrics.forget_silent(SILENCE);
    assert_eq!(series(&metrics, FAMILY), (1, 1), "the one that was told of again is still there");
    tell(POLICY_LABELS_MAX);
    assert_eq!(series(&metrics, FAMILY), (2, 1), "what was folded has a series of its own");
    let by_workload = "watchfire_workload_flow_verdicts_total";
    let of_first = format!("{by_workload}{{");
    let text = metrics.render();
    let first = text.lines().filter(|line| line.starts_with(&of_first) && line.contains("policy-0\""));
    assert_eq!(first.map(|line| line.rsplit_once(' ').unwrap().1).collect::<Vec<_>>(), ["2"], "{text}");
}

#[test]
fn namespaces_of_findings_that_are_silent_make_room() {
    let metrics = metrics();
    let tell = |n: usize| {
        let mut finding = Finding { state: FindingState::New, ..findings::violation() };
        finding.destination.as_mut().unwrap().namespace = Some(format!("ns-{n}").into());
        metrics.observe(&findings::finding_record(finding));
    };
    (0..=NAMESPACE_LABELS_MAX).for_each(tell);
    for family in ["watchfire_findings_total", "watchfire_finding_occurrences_total"] {
        assert_eq!(series(&metrics, family).0, NAMESPACE_LABELS_MAX, "{family}");
    }
    metrics.forget_silent(SILENCE);
    assert_eq!(series(&metrics, "watchfire_findings_total"), (0, 1));
    tell(NAMESPACE_LABELS_MAX);
    for family in ["watchfire_findings_total", "watchfire_finding_occurrences_total"] {
        assert_eq!(series(&metrics, family).0, 1, "{family}");
    }
}

#[test]
fn a_scan_of_ports_takes_no_room_from_workloads_and_is_forgotten() {
    const FAMILY: &str = "hubble_port_distribution_total";
    let metrics = metrics();
    let tell = |port: u16| {
        let verdict = Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered);
        let mut flow = FlowRecord { process: None, ..common::flow(FlowStage::Open, verdict) };
        flow.server.address.set_port(port);
        metrics.observe(&common::flow_record(flow));
    };
    tell(1);
    let used = |metrics: &Metrics| series(metrics, "watchfire_workload_flows_total");
    let before = used(&metrics);
    let last = u16::try_from(PORT_LABELS_MAX).unwrap() + 5;
    (2..=last).for_each(tell);
    assert_eq!(series(&metrics, FAMILY), (PORT_LABELS_MAX, 5));
    assert_eq!(used(&metrics), before);
    assert!(metrics.render().contains("\nwatchfire_workload_series 2\n"), "{}", metrics.render());
    metrics.forget_silent(SILENCE);
    tell(last);
    assert_eq!(series(&metrics, FAMILY), (1, 5));
}
