//! What dashboards and rules ask for is there, in Prometheus and in VictoriaMetrics, and an alert reaches whoever is to be
//! told.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfire_tests::scraping::{Query, Server, metrics, of_dashboards, of_rules};
use watchfire_tests::{Agent, http_address, until};

use super::attack;
use super::servers::{alertmanager, prometheus, victoria_metrics, vmalert};
use super::webhook::Webhook;
use crate::findings::{CANDIDATES, STRICT};
use crate::running::{FAMILIES, bare, http_get, only, ready};
use crate::verdict::{PODS, POLICIES, cgroups};

/// The pods of the shop as their cluster would describe them, each of a Deployment.
fn manifests() -> String {
    let namespaces = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: shop}}\n---\n\
                      apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n";
    PODS.iter().fold(namespaces.to_owned(), |text, (name, address, uid)| {
        let namespace = if *name == "outsider" { "other" } else { "shop" };
        let app = if *name == "outsider" { "x" } else { name };
        text + &format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}-{TEMPLATE}-x2x4z\n  namespace: {namespace}\n  \
             uid: 11111111-0000-4000-8000-00000000000{uid}\n  labels: {{app: {app}, pod-template-hash: {TEMPLATE}}}\n  \
             ownerReferences:\n  - {{apiVersion: apps/v1, kind: ReplicaSet, name: {name}-{TEMPLATE}, controller: true, \
             uid: 22222222-0000-4000-8000-00000000000{uid}}}\nspec: {{nodeName: lab, containers: []}}\n\
             status: {{phase: Running, podIP: {address}, podIPs: [{{ip: {address}}}]}}\n"
        )
    })
}

/// What a Deployment calls the set of its pods.
const TEMPLATE: &str = "6d5f7c9b8d";

/// Queries that cannot have data here, by a part of their expression, and why.
const WITHOUT_DATA: &[(&str, &str)] = &[
    ("absent(", "an agent is there"),
    ("watchfire_memory_limit_bytes > 0", "the test's cgroup has no limit"),
];

/// How long what was seen may take to be scraped, twice, and judged.
const DATA_WITHIN: Duration = Duration::from_secs(40);

/// An agent that watches everything.
fn agent(ledger: &Path) -> Agent {
    let config = json!({
        "clusterName": "lab",
        "sensor": { "families": only(&FAMILIES), "programStatistics": true },
        "findings": { "intervalSeconds": 1, "uncoveredFlowOf": { "other": "always" } },
        // What is not TLS there is plaintext where the mesh wants otherwise.
        "flows": { "updateIntervalSeconds": 1, "tlsPorts": [5432] },
        "policy": { "candidates": "candidates" },
        "clusterCIDRs": ["10.99.0.0/24"],
        "ledger": { "dir": ledger, "segmentSeconds": 1 },
    });
    let agent = bare(&["--config", "config.yaml", "--manifests", "manifests", "--policies", "policies"])
        .with_file("config.yaml", &config.to_string())
        .with_file("manifests/shop.yaml", &manifests())
        .with_file("policies/shop.yaml", POLICIES)
        .with_file("policies/mesh.yaml", STRICT)
        .with_file("candidates/shop.yaml", CANDIDATES);
    ready(agent.start())
}

/// Asks a server again and again, until it has had data for every query: not for all at once, since some ask for what
/// happened just now.
fn has_had_data_for_all(server: &Server, queries: &[Query]) {
    let is_asked = |query: &&Query| !WITHOUT_DATA.iter().any(|(part, _)| query.expression.contains(part));
    let mut lacking: Vec<&Query> = queries.iter().filter(is_asked).collect();
    let deadline = Instant::now() + DATA_WITHIN;
    loop {
        let mut errors = Vec::new();
        lacking.retain(|query| match server.query(&query.expression) {
            Ok(series) => series.is_empty(),
            Err(error) => {
                errors.push(error);
                true
            }
        });
        if lacking.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            let lines = lacking.iter().map(|query| format!("{}: no data: {}", query.from, query.expression));
            let lines: Vec<_> = lines.chain(errors).collect();
            panic!("{} of {} queries lack data:\n{}", lacking.len(), queries.len(), lines.join("\n"));
        }
        std::thread::park_timeout(Duration::from_secs(1));
    }
}

pub(crate) fn every_query_has_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = folder.path().join("ledger");
    let cgroups = cgroups();
    let agent = agent(&ledger);
    let target = http_address(&agent);
    let webhook = Webhook::start();
    let alertmanager = alertmanager(folder.path(), &webhook);
    let prometheus = prometheus(folder.path(), &target, &alertmanager.address.to_string());
    let victoria = victoria_metrics(folder.path(), &target);
    let _vmalert = vmalert(folder.path(), &victoria, &alertmanager);
    // Before the attack, so that what it adds is seen as an increase.
    for server in [&prometheus, &victoria] {
        until("a scrape", || server.query("watchfire_build_info").ok().filter(|series| !series.is_empty()));
    }
    let _peers = attack::run(&cgroups);

    let mut queries = of_dashboards();
    let of_dashboards = queries.len();
    queries.extend(of_rules(&prometheus.get("/api/v1/rules")));
    assert!(of_dashboards > 0 && queries.len() > of_dashboards);
    for server in [&prometheus, &victoria] {
        has_had_data_for_all(server, &queries);
    }
    every_metric_has_a_panel(&agent, &queries[..of_dashboards]);
    // Both ends of each are here.
    let denied = "watchfire_workload_flows_total{source_namespace=\"shop\",source_workload_kind=\"Deployment\",\
                  source_workload=\"frontend\",destination_workload=\"db\",verdict=\"denied\"}";
    // As panels count what is new.
    let denied = format!("sum(({denied} unless {denied} offset 5m) or increase({denied}[5m]))");
    for server in [&prometheus, &victoria] {
        let expected = (2 * attack::DENIED).to_string();
        until("every denied flow", || {
            (server.query(&denied).ok()?.first()?["value"][1] == expected).then_some(())
        });
    }
    let (_, body) = http_get(&agent, "/metrics");
    for hidden in [TEMPLATE, "10.99.0."] {
        assert!(!body.contains(hidden), "{hidden} names a pod");
    }

    // Both judge the rules; here it is Prometheus' word that counts.
    let by_prometheus = format!("http://{}", prometheus.address);
    let deadline = Instant::now() + DATA_WITHIN;
    let alert = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let told = webhook.told.recv_timeout(left).expect("Alertmanager tells of an alert of Prometheus");
        let alerts = told["alerts"].as_array().cloned().unwrap_or_default();
        let is_it = |alert: &Value| {
            alert["labels"]["alertname"] == "WatchfirePolicyViolations"
                && (alert["generatorURL"].as_str()).is_some_and(|url| url.contains(&by_prometheus[7..]))
        };
        if let Some(alert) = alerts.into_iter().find(is_it) {
            break alert;
        }
    };
    assert_eq!(alert["status"], "firing", "{alert}");
    assert_eq!(alert["labels"]["cluster"], "lab", "{alert}");
    assert!(
        alert["annotations"]["runbook_url"].as_str().is_some_and(|url| url.starts_with("docs/runbooks/"))
    );
}

fn every_metric_has_a_panel(agent: &Agent, panels: &[Query]) {
    let asked: BTreeSet<&str> = panels.iter().flat_map(|query| metrics(&query.expression)).collect();
    let (_, body) = http_get(agent, "/metrics");
    // The parts of histograms are one family.
    let families = body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let shown = |family: &str| {
        ["", "_bucket", "_sum", "_count"]
            .iter()
            .any(|part| asked.contains(format!("{family}{part}").as_str()))
    };
    let without: Vec<_> = families.filter(|family| !shown(family)).collect();
    assert!(without.is_empty(), "no panel shows {without:?}");
}
