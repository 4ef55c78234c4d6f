//! Series with names of workloads: what they count, and that there are never too many.

use watchfire_export::{Metrics, MetricsOptions};
use watchfire_model::{
    CloseReason, ExecDetail, FlowCounters, FlowRecord, FlowStage, Packets, PodView, ProcessAction, Record,
    RecordBody, SideVerdict, Verdict, WorkloadRef,
};

use crate::common;

const SERIES_MAX: usize = 1000;
const WORKLOADS: usize = 100_000;

fn metrics(series_max: usize, hubble: bool) -> Metrics {
    Metrics::with(MetricsOptions { version: "1", commit: "2", cluster: None, series_max, hubble })
}

/// Values of all series whose name and labels begin so.
fn values(text: &str, series: &str) -> Vec<f64> {
    let lines = text.lines().filter(|line| line.starts_with(series));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
}

fn value(text: &str, series: &str) -> f64 {
    let found = values(text, &format!("{series} "));
    assert_eq!(found.len(), 1, "{series} in\n{text}");
    found[0]
}

fn pod_of(n: usize) -> PodView {
    let workload = WorkloadRef { kind: "Deployment".into(), name: format!("workload-{n}").into() };
    PodView { workload: Some(workload), ..PodView::named("shop", &format!("pod-{n}")) }
}

fn ended(client: PodView) -> Record {
    let verdict = Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered);
    let mut flow = FlowRecord {
        close_reason: Some(CloseReason::Fin),
        counters: Some(FlowCounters {
            bytes_sent: 7,
            bytes_received: 11,
            packets: Packets::Segments {
                segments_sent: 5,
                segments_received: 4,
                retransmits: 2,
                srtt_us: 300,
                min_rtt_us: 200,
            },
        }),
        process: None,
        ..common::flow(FlowStage::Close, verdict)
    };
    flow.client.pod = Some(client);
    common::flow_record(flow)
}

#[test]
fn a_workload_is_named_and_never_its_pods() {
    let metrics = metrics(SERIES_MAX, false);
    for pod in ["api-7f9c-a", "api-7f9c-b"] {
        let workload = WorkloadRef { kind: "Deployment".into(), name: "api".into() };
        metrics.observe(&ended(PodView { workload: Some(workload), ..PodView::named("shop", pod) }));
    }
    metrics.observe(&ended(PodView::named("shop", "alone")));
    let text = metrics.render();
    let of = |kind: &str, name: &str| {
        format!("namespace=\"shop\",workload_kind=\"{kind}\",workload=\"{name}\",side=\"client\"")
    };
    let api = of("Deployment", "api");
    for (series, expected) in [
        (format!("watchfire_workload_flow_bytes_total{{{api},direction=\"sent\"}}"), 14.0),
        (format!("watchfire_workload_flow_bytes_total{{{api},direction=\"received\"}}"), 22.0),
        (format!("watchfire_workload_flows_ended_total{{{api},reason=\"fin\"}}"), 2.0),
        (format!("watchfire_workload_flows_ended_total{{{},reason=\"fin\"}}", of("Pod", "alone")), 1.0),
        (format!("watchfire_workload_rtt_seconds_bucket{{le=\"0.0001\",{api}}}"), 0.0),
        (format!("watchfire_workload_rtt_seconds_bucket{{le=\"0.0005\",{api}}}"), 2.0),
        (format!("watchfire_workload_retransmitted_segments_sum{{{api}}}"), 4.0),
        (format!("watchfire_workload_retransmitted_segments_bucket{{le=\"1.0\",{api}}}"), 0.0),
    ] {
        let told = value(&text, &series);
        assert!((told - expected).abs() < f64::EPSILON, "{series} is {told}");
    }
    assert!(!text.contains("7f9c"), "{text}");
}

#[test]
fn a_hundred_thousand_workloads_have_no_more_series_than_the_limit_and_lose_nothing() {
    let metrics = metrics(SERIES_MAX, false);
    let names = |text: &str| text.lines().filter(|line| line.contains("workload=\"workload-")).count();
    let (mut bytes, mut series) = (Vec::new(), Vec::new());
    for half in 0..2 {
        for n in 0..WORKLOADS / 2 {
            metrics.observe(&ended(pod_of(half * WORKLOADS / 2 + n)));
        }
        let text = metrics.render();
        series.push(names(&text));
        bytes.push(text.len());
    }
    let text = metrics.render();
    assert!(series[0] <= SERIES_MAX && series[0] > SERIES_MAX - 20, "{series:?}");
    assert_eq!(series[0], series[1], "the second half has found the limit reached");
    // Only figures have become longer.
    assert!(bytes[1] - bytes[0] < 200, "{bytes:?}");
    assert!(value(&text, "watchfire_workload_series") <= SERIES_MAX as f64);

    let sum = |series: &str| values(&text, series).iter().sum::<f64>() as usize;
    assert_eq!(sum("watchfire_workload_flows_ended_total{"), WORKLOADS);
    assert_eq!(sum("watchfire_workload_flow_bytes_total{"), WORKLOADS * 18);
    assert_eq!(sum("watchfire_workload_rtt_seconds_count{"), WORKLOADS);
    assert_eq!(sum("watchfire_workload_retransmitted_segments_sum{"), WORKLOADS * 2);
    let overflow = "watchfire_workload_flows_ended_total{namespace=\"overflow\",workload_kind=\"overflow\",\
                    workload=\"overflow\",side=\"client\",reason=\"fin\"}";
    let own = values(&text, "watchfire_workload_flows_ended_total{namespace=\"shop\"").len();
    assert_eq!(value(&text, overflow) as usize, WORKLOADS - own);
    let folded = value(&text, "watchfire_series_folded_total{family=\"workload_flows_ended\"}");
    assert_eq!(folded as usize, WORKLOADS - own);
}

#[test]
fn without_room_everything_is_in_one_series() {
    let metrics = metrics(0, false);
    for n in 0..3 {
        metrics.observe(&ended(pod_of(n)));
    }
    let text = metrics.render();
    assert_eq!(values(&text, "watchfire_workload_flows_ended_total{"), [3.0]);
}

#[test]
fn programs_are_counted_by_what_they_are() {
    let metrics = metrics(SERIES_MAX, false);
    let mut record = common::process(ProcessAction::Exec, None);
    let RecordBody::Process(process) = &mut record.body else { panic!("a process record") };
    process.process.binary = "/usr/bin/bash".into();
    process.process.pod = Some(pod_of(1));
    process.exec = Some(ExecDetail {
        drift: Some(true),
        secure_exec: true,
        shell_with_tty: true,
        ..ExecDetail::default()
    });
    metrics.observe(&record);
    let text = metrics.render();
    let api = "namespace=\"shop\",workload_kind=\"Deployment\",workload=\"workload-1\"";
    assert_eq!(values(&text, &format!("watchfire_workload_execs_total{{{api}}}")), [1.0]);
    for is in ["shell", "shell-with-terminal", "drift"] {
        let series = format!("watchfire_workload_execs_notable_total{{{api},trait=\"{is}\"}}");
        assert_eq!(values(&text, &series), [1.0], "{is}");
    }
    assert_eq!(values(&text, "watchfire_workload_execs_notable_total{").len(), 3);
    let gains = format!("watchfire_workload_privilege_gains_total{{{api},by=\"exec\"}}");
    assert_eq!(values(&text, &gains), [1.0]);
}

#[test]
fn hubbles_names_and_labels() {
    let with = metrics(SERIES_MAX, true);
    let without = metrics(SERIES_MAX, false);
    for (_, record) in common::every_shape() {
        with.observe(&record);
        without.observe(&record);
    }
    with.observe(&common::loss(3));
    assert!(!without.render().contains("hubble_"));
    let text = with.render();
    let shown: Vec<_> = text.lines().filter(|line| line.starts_with("hubble_")).collect();
    for (family, labels) in [
        ("hubble_flows_processed_total", &["protocol", "type", "subtype", "verdict"][..]),
        ("hubble_drop_total", &["reason", "protocol"]),
        ("hubble_policy_verdicts_total", &["direction", "match", "action"]),
        ("hubble_dns_queries_total", &["rcode", "qtypes", "ips_returned"]),
        ("hubble_dns_responses_total", &["rcode", "qtypes", "ips_returned"]),
        ("hubble_dns_response_types_total", &["type", "qtypes"]),
        ("hubble_port_distribution_total", &["protocol", "port"]),
        ("hubble_lost_events_total", &["source"]),
    ] {
        let of_family: Vec<_> =
            shown.iter().filter(|line| line.starts_with(&format!("{family}{{"))).collect();
        assert!(!of_family.is_empty(), "{family} in {shown:#?}");
        for line in of_family {
            let names = line.split(['{', ',']).skip(1).filter_map(|label| Some(label.split_once("=\"")?.0));
            assert_eq!(names.collect::<Vec<_>>(), labels, "{line}");
        }
    }
    for line in [
        "hubble_policy_verdicts_total{direction=\"ingress\",match=\"none\",action=\"audit\"} ",
        "hubble_flows_processed_total{protocol=\"DNS\",type=\"L7\",subtype=\"DNS\",verdict=\"FORWARDED\"} ",
        "hubble_flows_processed_total{protocol=\"TCP\",type=\"PolicyVerdict\",subtype=\"\",verdict=\"AUDIT\"} ",
        "hubble_lost_events_total{source=\"perf_event_ring_buffer\"} ",
    ] {
        assert!(shown.iter().any(|shown| shown.starts_with(line)), "{line} in {shown:#?}");
    }
}
