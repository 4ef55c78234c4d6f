//! What /metrics shows.

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use watchfire_export::{
    FindingTotals, JudgingTotals, Metrics, MetricsOptions, NAMESPACE_LABELS_MAX, POLICY_LABELS_MAX,
    PayloadTotals, PolicyObjects, ProbeInfo, ProgramStatistics, SourceState,
};
use watchfire_model::{
    Direction, Finding, FindingState, FlowCounters, FlowRecord, FlowStage, KindCounters, OwnerUnknown,
    ProcessAction, RecordKind, SideVerdict, Verdict,
};

use crate::{common, findings};

pub(crate) fn metrics() -> Metrics {
    let metrics = Metrics::new("0.1.0", "abc");
    for sink in ["file", "stdout", "observe"] {
        let _ = metrics.sink(sink);
    }
    metrics
}

/// Families with open label sets are not shown before their first series.
pub(crate) fn show_every_family(metrics: &Metrics) {
    metrics.set_probes(&[ProbeInfo {
        probe: "process-exec",
        hook: Some("tp_btf/sched_process_exec"),
        rung: 1,
    }]);
    metrics.set_programs(&[ProgramStatistics {
        probe: "process-exec",
        program: "process_exec",
        runs: 3,
        run_ns: 4500,
        missed: 1,
    }]);
    metrics.set_sources(&[SourceState {
        source: "kubernetes-api",
        kind: "Pod",
        state: "synced",
        objects: 3,
        age_seconds: Some(7),
        errors: 1,
        relists: 2,
    }]);
    metrics.set_judging(JudgingTotals {
        dialect: "cilium",
        dialect_why: "api",
        epoch: 7,
        ..JudgingTotals::default()
    });
    metrics.api().answered("/api/v1/events", 200, 3, 700);
    let verdict = Verdict::combine(SideVerdict::NotCovered, common::deny(&["default-deny"]));
    metrics.observe(&common::flow_record(common::flow(FlowStage::Open, verdict)));
    let finding = Finding { state: FindingState::New, ..findings::violation() };
    metrics.observe(&findings::finding_record(finding));
    for (_, record) in common::every_shape() {
        metrics.observe(&record);
    }
}

/// The value of the series, as in the text.
fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

#[test]
fn families_and_first_series_are_golden() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.txt");
    let metrics = metrics();
    show_every_family(&metrics);
    let text = metrics.render();
    assert!(text.ends_with("# EOF\n"));
    // What the process of the test takes is another each time.
    let own = ["process_", "watchfire_memory_limit_bytes "];
    let text = text.lines().filter(|line| !own.iter().any(|name| line.starts_with(name)));
    let text = text.fold(String::new(), |text, line| text + line + "\n");
    // Families in the order of their names, series of one in the order of their labels.
    let sorted: BTreeSet<_> = text.lines().collect();
    let now = sorted.into_iter().fold(String::new(), |text, line| text + line + "\n");
    if env::var_os("WATCHFIRE_BLESS").is_some() {
        fs::write(&path, &now).unwrap();
    }
    assert_eq!(now, fs::read_to_string(&path).unwrap());
}

#[test]
fn flows_count_by_stage_side_and_verdict() {
    let metrics = metrics();
    let denied = || {
        let egress = common::allow(Direction::Egress, "to-db");
        Verdict::combine(egress, common::deny(&["default-deny", "db"]))
    };
    metrics.observe(&common::flow_record(common::flow(FlowStage::Open, denied())));
    metrics.observe(&common::flow_record(FlowRecord {
        counters: Some(FlowCounters { bytes_sent: 7, bytes_received: 11, ..FlowCounters::default() }),
        process: None,
        process_unknown: Some(OwnerUnknown::NoStorage),
        ..common::flow(FlowStage::Close, denied())
    }));
    let text = metrics.render();
    let by_policy = |verdict: &str, direction: &str, policy: &str| {
        let series = format!(
            "watchfire_flow_verdicts_total{{verdict=\"{verdict}\",direction=\"{direction}\",side=\"client\",\
             policy_kind=\"NetworkPolicy\",policy_namespace=\"shop\",policy=\"{policy}\"}}"
        );
        value(&text, &series).map(str::to_owned)
    };
    let flows = "watchfire_flows_total";
    let labels = "side=\"client\",protocol=\"TCP\",verdict=\"denied\"";
    assert_eq!(value(&text, &format!("{flows}{{stage=\"open\",{labels}}}")), Some("1"));
    assert_eq!(value(&text, &format!("{flows}{{stage=\"close\",{labels}}}")), Some("1"));
    assert_eq!(value(&text, &format!("{flows}{{stage=\"failed\",{labels}}}")), Some("0"));
    assert_eq!(value(&text, "watchfire_flow_bytes_total{direction=\"sent\"}"), Some("7"));
    assert_eq!(value(&text, "watchfire_flow_bytes_total{direction=\"received\"}"), Some("11"));
    assert_eq!(value(&text, "watchfire_flow_owner_unknown_total{reason=\"no-storage\"}"), Some("1"));
    // Once each, although two records told it.
    assert_eq!(by_policy("allowed", "egress", "to-db").as_deref(), Some("1"));
    assert_eq!(by_policy("denied", "ingress", "default-deny").as_deref(), Some("1"));
    assert_eq!(by_policy("denied", "ingress", "db").as_deref(), Some("1"));
}

#[test]
fn dns_counts_by_answer_and_measures_what_was_answered() {
    let metrics = metrics();
    for rcode in [Some("NOERROR"), Some("NXDOMAIN"), Some("NXDOMAIN"), Some("BADVERS"), None] {
        metrics.observe(&common::dns_record(common::dns(rcode)));
    }
    let text = metrics.render();
    for (rcode, count) in
        [("NOERROR", "1"), ("NXDOMAIN", "2"), ("REFUSED", "0"), ("other", "1"), ("none", "1")]
    {
        let series = format!("watchfire_dns_queries_total{{rcode=\"{rcode}\"}}");
        assert_eq!(value(&text, &series), Some(count), "{rcode}");
    }
    for (series, expected) in [
        ("watchfire_dns_latency_seconds_count", "4"),
        ("watchfire_dns_latency_seconds_sum", "0.006"),
        ("watchfire_dns_latency_seconds_bucket{le=\"0.001\"}", "0"),
        ("watchfire_dns_latency_seconds_bucket{le=\"0.0025\"}", "4"),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}");
    }
}

#[test]
fn plaintext_counts_once_for_each_connection_end() {
    let metrics = metrics();
    let verdict = || Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered);
    for stage in [FlowStage::Update, FlowStage::Close] {
        metrics
            .observe(&common::flow_record(FlowRecord { plaintext: true, ..common::flow(stage, verdict()) }));
    }
    metrics.observe(&common::flow_record(common::flow(FlowStage::Close, verdict())));
    metrics.set_payloads(PayloadTotals { client_hellos: 5, malformed_client_hellos: 2, malformed_dns: 3 });
    let text = metrics.render();
    for (series, expected) in [
        ("watchfire_flow_plaintext_total", "1"),
        ("watchfire_tls_client_hellos_total", "5"),
        ("watchfire_payload_malformed_total{kind=\"client-hello\"}", "2"),
        ("watchfire_payload_malformed_total{kind=\"dns\"}", "3"),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}");
    }
}

#[test]
fn policies_beyond_the_limit_share_a_series_and_are_counted() {
    let metrics = metrics();
    let surplus = 3;
    for n in 0..POLICY_LABELS_MAX + surplus {
        let verdict = Verdict::combine(SideVerdict::NotCovered, common::deny(&[&format!("policy-{n}")]));
        metrics.observe(&common::flow_record(common::flow(FlowStage::Open, verdict)));
    }
    let text = metrics.render();
    let series = text.lines().filter(|line| line.starts_with("watchfire_flow_verdicts_total")).count();
    assert_eq!(series, POLICY_LABELS_MAX + 1);
    assert_eq!(value(&text, "watchfire_series_folded_total{family=\"flow_verdicts\"}"), Some("3"));
    let other = "watchfire_flow_verdicts_total{verdict=\"denied\",direction=\"ingress\",side=\"client\",\
                 policy_kind=\"overflow\",policy_namespace=\"overflow\",policy=\"overflow\"}";
    assert_eq!(value(&text, other), Some("3"));
}

#[test]
fn findings_count_once_and_what_they_stand_for_as_it_is_told() {
    let metrics = metrics();
    let violation = findings::violation();
    let told = |state, count_new| Finding { state, count_new, ..violation.clone() };
    for finding in
        [told(FindingState::New, 1), told(FindingState::Ongoing, 499), told(FindingState::Ended, 0)]
    {
        metrics.observe(&findings::finding_record(finding));
    }
    metrics.set_findings(&FindingTotals {
        open: 2,
        withheld_stale_window: 4,
        candidate_effects: [14, 3, 0, 0],
        candidate_unchanged: 5,
        ..FindingTotals::default()
    });
    let text = metrics.render();
    let labels = "{kind=\"policy-violation\",severity=\"medium\",namespace=\"shop\"}";
    for (series, expected) in [
        (format!("watchfire_findings_total{labels}"), "1"),
        (format!("watchfire_finding_occurrences_total{labels}"), "500"),
        ("watchfire_findings_open".to_owned(), "2"),
        ("watchfire_finding_flows_withheld_total{reason=\"stale-window\"}".to_owned(), "4"),
        ("watchfire_candidate_flows_total{effect=\"would-break\"}".to_owned(), "14"),
        ("watchfire_candidate_flows_total{effect=\"would-open\"}".to_owned(), "3"),
        ("watchfire_candidate_flows_total{effect=\"unchanged\"}".to_owned(), "5"),
    ] {
        assert_eq!(value(&text, &series), Some(expected), "{series}");
    }
}

#[test]
fn namespaces_beyond_the_limit_share_a_series_and_are_counted() {
    let metrics = metrics();
    let surplus = 3;
    for n in 0..NAMESPACE_LABELS_MAX + surplus {
        let mut finding = Finding { state: FindingState::New, ..findings::violation() };
        finding.destination.as_mut().unwrap().namespace = Some(format!("ns-{n}").into());
        metrics.observe(&findings::finding_record(finding));
    }
    let text = metrics.render();
    let series = text.lines().filter(|line| line.starts_with("watchfire_findings_total{")).count();
    assert_eq!(series, NAMESPACE_LABELS_MAX + 1);
    assert_eq!(value(&text, "watchfire_series_folded_total{family=\"findings\"}"), Some("3"));
}

#[test]
fn totals_counted_elsewhere_are_shown_and_never_step_back() {
    let metrics = metrics();
    let totals = |seen| KindCounters {
        seen,
        filtered: 1,
        suppressed: 5,
        emitted: 2,
        dropped: 3,
        received: 4,
        lost_at_restart: 6,
    };
    metrics.set_records(RecordKind::TcpOpen, totals(20));
    metrics.set_records(RecordKind::TcpOpen, totals(10));
    let evicted = metrics.register_counter("inventory_evicted", "Entries evicted");
    evicted.set_total(5);
    evicted.add(1);
    metrics.register_gauge("inventory_pods", "Pods known").set(12);
    metrics.set_processes(99);
    metrics.set_policy_objects(PolicyObjects { loaded: 3, last_good: 2, rejected: 1, ignored: 0 });
    metrics.observe(&common::process(ProcessAction::Exec, None));
    metrics.observe(&common::loss(1));
    for (_, record) in common::every_shape() {
        metrics.observe(&record);
    }
    let text = metrics.render();
    for (series, expected) in [
        ("watchfire_records_seen_total{kind=\"tcp-open\"}", "20"),
        ("watchfire_records_received_total{kind=\"tcp-open\"}", "4"),
        ("watchfire_records_lost_at_restart_total{kind=\"tcp-open\"}", "6"),
        ("watchfire_records_seen_total{kind=\"tcp-fail\"}", "0"),
        ("watchfire_records_suppressed_total{kind=\"tcp-open\"}", "5"),
        ("watchfire_records_unbalanced{kind=\"tcp-open\"}", "-1"),
        ("watchfire_inventory_evicted_total", "6"),
        ("watchfire_inventory_pods", "12"),
        ("watchfire_process_table_entries", "99"),
        ("watchfire_policy_objects{state=\"last-good\"}", "2"),
        ("watchfire_policy_objects{state=\"rejected\"}", "1"),
        ("watchfire_processes_total{action=\"exec\"}", "2"),
        ("watchfire_events_total{type=\"file\",operation=\"open\"}", "1"),
        ("watchfire_events_total{type=\"stdio\",operation=\"dup\"}", "1"),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}");
    }
}

#[test]
fn probes_show_their_rung_and_are_replaced() {
    let metrics = metrics();
    let probe = |hook, rung| ProbeInfo { probe: "listen", hook, rung };
    metrics.set_probes(&[probe(Some("lsm/socket_listen"), 1)]);
    metrics
        .set_probes(&[probe(Some("fexit/__sys_listen"), 2), ProbeInfo { probe: "x", hook: None, rung: 0 }]);
    let text = metrics.render();
    let lines: BTreeSet<_> = text.lines().filter(|line| line.starts_with("watchfire_probe_info{")).collect();
    let expected = [
        "watchfire_probe_info{probe=\"listen\",hook=\"fexit/__sys_listen\",rung=\"2\"} 1",
        "watchfire_probe_info{probe=\"x\",hook=\"\",rung=\"0\"} 0",
    ];
    assert_eq!(lines, BTreeSet::from(expected));
}

#[test]
fn a_source_is_in_one_state_at_a_time() {
    let metrics = metrics();
    show_every_family(&metrics);
    metrics.set_sources(&[SourceState {
        source: "kubernetes-api",
        kind: "Pod",
        state: "unreachable",
        objects: 3,
        age_seconds: Some(60),
        errors: 2,
        relists: 2,
    }]);
    let text = metrics.render();
    let state = |state: &str| {
        let labels = format!("{{source=\"kubernetes-api\",kind=\"Pod\",state=\"{state}\"}}");
        value(&text, &format!("watchfire_inventory_source_state{labels}")).map(str::to_owned)
    };
    assert_eq!((state("unreachable").as_deref(), state("synced")), (Some("1"), None));
}

#[test]
fn the_clusters_name_is_on_every_series() {
    let text = Metrics::with(MetricsOptions {
        version: "1",
        commit: "2",
        cluster: Some("prod"),
        series_max: 100,
        hubble: true,
    })
    .render();
    let mut series = text.lines().filter(|line| !line.starts_with('#'));
    assert!(series.clone().count() > 10 && series.all(|line| line.contains("cluster=\"prod\"")));
}
