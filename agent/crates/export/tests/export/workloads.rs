//! Series with names of workloads: what they count, and that there are never too many.

use std::time::Duration;

use watchfire_export::{Metrics, MetricsOptions, NAME_SILENT_SECONDS_MAX};
use watchfire_model::{
    CloseReason, Direction, ExecDetail, FlowCounters, FlowRecord, FlowStage, Packets, PodView, ProcessAction,
    Record, RecordBody, SideVerdict, Verdict, WorkloadRef,
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

/// A flow of a workload that begins.
fn begun(client: PodView, verdict: Verdict) -> Record {
    let mut flow = FlowRecord { process: None, ..common::flow(FlowStage::Open, verdict) };
    flow.client.pod = Some(client);
    flow.server.pod = Some(PodView::named("shop", "db"));
    common::flow_record(flow)
}

#[test]
fn verdicts_name_both_workloads_and_the_policies_that_decide() {
    let metrics = metrics(SERIES_MAX, false);
    let allow = || common::allow(Direction::Egress, "to-db");
    for verdict in [
        Verdict::combine(allow(), common::deny(&["default-deny", "db"])),
        Verdict::combine(allow(), SideVerdict::NotCovered),
        Verdict::combine(SideVerdict::NotCovered, SideVerdict::NotCovered),
    ] {
        metrics.observe(&begun(pod_of(1), verdict));
    }
    // Told by its end once more.
    let verdict = Verdict::combine(allow(), common::deny(&["db"]));
    metrics.observe(&common::flow_record(common::flow(FlowStage::Close, verdict)));
    let text = metrics.render();
    let mut told: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("watchfire_workload_flow_verdicts_total{"))
        .map(|line| line.split_once("destination_workload=\"db\",").expect("a pod that belongs to nothing"))
        .collect();
    told.sort_unstable();
    let ends = "source_namespace=\"shop\",source_workload_kind=\"Deployment\",source_workload=\"workload-1\",\
                destination_namespace=\"shop\",destination_workload_kind=\"Pod\",";
    let by =
        |name: &str| format!("policy_kind=\"NetworkPolicy\",policy_namespace=\"shop\",policy=\"{name}\"");
    let none = "policy_kind=\"\",policy_namespace=\"\",policy=\"\"".to_owned();
    let expected: Vec<_> = [
        (none.clone(), "not-covered", "egress", 1),
        (none, "not-covered", "ingress", 2),
        (by("db"), "denied", "ingress", 1),
        (by("default-deny"), "denied", "ingress", 1),
        (by("to-db"), "allowed", "egress", 2),
    ]
    .into_iter()
    .map(|(policy, verdict, direction, count)| {
        let closed = format!("verdict=\"{verdict}\",direction=\"{direction}\",side=\"client\"");
        format!("{policy},{closed}}} {count}")
    })
    .collect();
    assert!(told.iter().all(|line| line.0 == ends), "{told:#?}");
    assert_eq!(told.iter().map(|line| line.1).collect::<Vec<_>>(), expected);
}

#[test]
fn verdicts_without_room_are_in_one_series_each() {
    let metrics = metrics(0, false);
    for n in 0..3 {
        let verdict = Verdict::combine(SideVerdict::NotCovered, common::deny(&[&format!("policy-{n}")]));
        metrics.observe(&begun(pod_of(n), verdict));
    }
    let text = metrics.render();
    let denied = "watchfire_workload_flow_verdicts_total{source_namespace=\"overflow\",\
                  source_workload_kind=\"overflow\",source_workload=\"overflow\",destination_namespace=\"overflow\",\
                  destination_workload_kind=\"overflow\",destination_workload=\"overflow\",";
    // That there is no policy is no name, and takes no room.
    for policy in ["", "overflow"] {
        let policy = format!("policy_kind=\"{policy}\",policy_namespace=\"{policy}\",policy=\"{policy}\"");
        assert_eq!(values(&text, &format!("{denied}{policy}")), [3.0]);
    }
    assert_eq!(values(&text, "watchfire_workload_flow_verdicts_total{").len(), 2);
    assert_eq!(values(&text, "watchfire_series_folded_total{family=\"workload_flow_verdicts\"}"), [6.0]);
}

#[test]
fn series_of_silent_workloads_make_room_for_others() {
    const ROOM: usize = 55;
    let metrics = metrics(ROOM, false);
    let silent = Duration::from_secs(NAME_SILENT_SECONDS_MAX);
    let denied = || Verdict::combine(SideVerdict::NotCovered, common::deny(&["default-deny"]));
    let tell = |n: usize| {
        metrics.observe(&begun(pod_of(n), denied()));
        metrics.observe(&ended(pod_of(n)));
    };
    let ends = |text: &str, n: usize| {
        let named = format!(
            "watchfire_workload_flows_ended_total{{namespace=\"shop\",workload_kind=\"Deployment\",\
             workload=\"workload-{n}\",side=\"client\",reason=\"fin\"}}"
        );
        values(text, &named)
    };
    let named = |text: &str, n: usize| text.contains(&format!("workload=\"workload-{n}\""));
    let folded = |text: &str| values(text, "watchfire_series_folded_total{").iter().sum::<f64>() as usize;
    // There is room for all series of the first two, and for none of the last.
    (0..4).for_each(tell);
    let text = metrics.render();
    assert_eq!(ends(&text, 0), [1.0]);
    assert!(!named(&text, 3) && folded(&text) > 0, "{text}");
    let used = value(&text, "watchfire_workload_series");

    // The first goes on; of the others nothing is told.
    let mut now = silent / 2;
    metrics.forget_silent(now);
    tell(0);
    now = silent + Duration::from_secs(120);
    metrics.forget_silent(now);
    let text = metrics.render();
    assert_eq!(ends(&text, 0), [2.0], "it was never away");
    assert!(!named(&text, 1), "{text}");
    assert!(value(&text, "watchfire_workload_series") < used);

    // What was folded has series of its own when it is told of again.
    let before = folded(&text);
    tell(3);
    let text = metrics.render();
    assert_eq!(ends(&text, 3), [1.0]);
    assert!(named(&text, 3) && folded(&text) == before, "{text}");
    let verdicts = "watchfire_workload_flow_verdicts_total{source_namespace=\"shop\",\
                    source_workload_kind=\"Deployment\",source_workload=\"workload-3\"";
    assert_eq!(values(&text, verdicts), [1.0, 1.0], "denied by a policy, and not covered where it leaves");

    // All gone, all room is there again, and who comes back begins at 0.
    now += silent + Duration::from_secs(120);
    metrics.forget_silent(now);
    let text = metrics.render();
    assert_eq!(value(&text, "watchfire_workload_series") as usize, 0, "{text}");
    tell(0);
    assert_eq!(ends(&metrics.render(), 0), [1.0]);
    // An update of an open flow tells that both ends are there.
    now += silent;
    metrics.forget_silent(now);
    metrics.observe(&{
        let mut flow = FlowRecord { process: None, ..common::flow(FlowStage::Update, denied()) };
        flow.client.pod = Some(pod_of(0));
        common::flow_record(flow)
    });
    now += Duration::from_secs(120);
    metrics.forget_silent(now);
    assert_eq!(ends(&metrics.render(), 0), [1.0], "it was never away");
}
