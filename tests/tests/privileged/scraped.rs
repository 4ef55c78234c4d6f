//! A real Prometheus and a real VictoriaMetrics scrape a real agent during an attack; what dashboards and rules ask for is
//! there in both, and an alert reaches whoever is to be told.

mod attack;
mod queries;
mod server;
mod webhook;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfire_tests::{Agent, AgentCommand, Need, http_address, until};

use self::queries::Query;
use self::server::{Server, free_address};
use self::webhook::Webhook;
use crate::findings::{CANDIDATES, STRICT};
use crate::running::{FAMILIES, bare, http_get, only, ready};
use crate::verdict::{INVENTORY, PODS, POLICIES, cgroups};

/// What the servers need.
pub(crate) const SERVERS: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Program("unshare"),
    Need::Program("ip"),
    Need::Program("setpriv"),
    Need::Program("openssl"),
    Need::Program("prometheus"),
    Need::Program("prometheus-alertmanager"),
    Need::Program("victoria-metrics"),
    Need::Program("vmalert"),
];

/// What sending to them takes.
pub(crate) const RECEIVERS: &[Need] =
    &[Need::Root, Need::Btf, Need::CgroupV2, Need::Program("prometheus"), Need::Program("victoria-metrics")];

/// What checking takes that a scrape is clean.
pub(crate) const CHECKED: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Program("unshare"),
    Need::Program("ip"),
    Need::Program("setpriv"),
    Need::Program("openssl"),
    Need::Program("promtool"),
];

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

/// Prometheus, with the rules of `deploy/alerts`, which it tells an Alertmanager of.
fn prometheus(folder: &Path, agent: &str, alertmanager: &str) -> Server {
    let config = json!({
        "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
        "scrape_configs": [{ "job_name": "watchfire", "static_configs": [{ "targets": [agent] }] }],
        "rule_files": [rules()],
        "alerting": { "alertmanagers": [{ "static_configs": [{ "targets": [alertmanager] }] }] },
    });
    // JSON is YAML.
    fs::write(folder.join("prometheus.yaml"), config.to_string()).expect("write the configuration");
    Server::start("prometheus", Command::new("prometheus"), folder, "/-/ready", |address| {
        vec![
            "--config.file=prometheus.yaml".to_owned(),
            format!("--web.listen-address={address}"),
            format!("--web.external-url=http://{address}/"),
            "--web.enable-remote-write-receiver".to_owned(),
            "--storage.tsdb.path=prometheus".to_owned(),
        ]
    })
}

fn victoria_metrics(folder: &Path, agent: &str) -> Server {
    let config = json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": [{ "job_name": "watchfire", "static_configs": [{ "targets": [agent] }] }],
    });
    fs::write(folder.join("scrape.yaml"), config.to_string()).expect("write the configuration");
    Server::start("victoria-metrics", Command::new("victoria-metrics"), folder, "/health", |address| {
        vec![
            "-promscrape.config=scrape.yaml".to_owned(),
            format!("-httpListenAddr={address}"),
            "-storageDataPath=victoria".to_owned(),
            "-search.latencyOffset=1s".to_owned(),
        ]
    })
}

fn alertmanager(folder: &Path, webhook: &Webhook) -> Server {
    let config = json!({
        "route": { "receiver": "test", "group_wait": "1s", "group_interval": "1s", "group_by": ["alertname"] },
        "receivers": [{
            "name": "test",
            "webhook_configs": [{ "url": format!("http://{}/", webhook.address) }],
        }],
    });
    fs::write(folder.join("alertmanager.yaml"), config.to_string()).expect("write the configuration");
    let templates = folder.join("templates");
    fs::create_dir(&templates).expect("make a folder");
    for template in
        fs::read_dir(of_package("prometheus-alertmanager", "share/prometheus/alertmanager")).unwrap()
    {
        let path = template.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "tmpl") {
            fs::copy(&path, templates.join(path.file_name().expect("a name"))).expect("copy a template");
        }
    }
    // Debian's reads its templates at a place of its own, where they are not unless it is installed.
    let script = "mount -t tmpfs alertmanager /usr/share && mkdir -p /usr/share/prometheus/alertmanager && \
                  cp templates/* /usr/share/prometheus/alertmanager && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "/bin/sh", "-c", script, "prometheus-alertmanager"]);
    Server::start("alertmanager", command, folder, "/-/ready", |address| {
        vec![
            "--config.file=alertmanager.yaml".to_owned(),
            format!("--web.listen-address={address}"),
            "--storage.path=alertmanager".to_owned(),
            "--cluster.listen-address=".to_owned(),
        ]
    })
}

/// Evaluates the rules for VictoriaMetrics, which does not do so itself.
fn vmalert(folder: &Path, victoria: &Server, alertmanager: &Server) -> Server {
    let (data, alerts) = (format!("http://{}", victoria.address), format!("http://{}", alertmanager.address));
    Server::start("vmalert", Command::new("vmalert"), folder, "/health", |address| {
        vec![
            format!("-rule={}", rules().display()),
            format!("-httpListenAddr={address}"),
            format!("-datasource.url={data}"),
            format!("-remoteWrite.url={data}"),
            format!("-notifier.url={alerts}"),
            "-evaluationInterval=1s".to_owned(),
            "-remoteWrite.flushInterval=1s".to_owned(),
        ]
    })
}

/// A folder of the package that a program is of, below its `usr`.
fn of_package(program: &str, folder: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    let bin = found.expect("the program is in PATH");
    // Installed, or a script beside the folder that the package was unpacked into.
    let folders = [PathBuf::from("/usr"), bin.parent().expect("a folder").join("../root/usr")];
    folders.iter().map(|root| root.join(folder)).find(|path| path.is_dir()).expect("the package has it")
}

fn rules() -> PathBuf {
    queries::deploy().join("alerts/rules.yaml")
}

/// What a server has no data for.
fn lacking(server: &Server, queries: &[Query]) -> Vec<String> {
    let asked =
        queries.iter().filter(|query| !WITHOUT_DATA.iter().any(|(part, _)| query.expression.contains(part)));
    asked
        .filter_map(|Query { from, expression }| match server.query(expression) {
            Ok(series) if !series.is_empty() => None,
            Ok(_) => Some(format!("{from}: no data: {expression}")),
            Err(error) => Some(format!("{from}: {error}: {expression}")),
        })
        .collect()
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

    let mut queries = queries::of_dashboards();
    let of_dashboards = queries.len();
    queries.extend(queries::of_rules(&prometheus.get("/api/v1/rules")));
    assert!(of_dashboards > 0 && queries.len() > of_dashboards);
    for server in [&prometheus, &victoria] {
        let deadline = Instant::now() + DATA_WITHIN;
        loop {
            let lacking = lacking(server, &queries);
            if lacking.is_empty() {
                break;
            }
            let (count, all) = (lacking.len(), queries.len());
            assert!(Instant::now() < deadline, "{count} of {all} queries lack data:\n{}", lacking.join("\n"));
            std::thread::park_timeout(Duration::from_secs(1));
        }
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
    let asked: BTreeSet<&str> = panels.iter().flat_map(|query| queries::metrics(&query.expression)).collect();
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

/// An agent without a port sends its metrics to both, and to one that is not there, which it survives.
pub(crate) fn remote_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let nobody = free_address().to_string();
    let prometheus = prometheus(folder.path(), &nobody, &nobody);
    let victoria = victoria_metrics(folder.path(), &nobody);
    let token = folder.path().join("token");
    fs::write(&token, "of no use here\n").expect("write a token");
    let config = |url: String| {
        let remote = json!({ "url": url, "intervalSeconds": 1, "bearerTokenFile": token });
        json!({ "nodeName": "lonely", "metrics": { "listen": null, "remoteWrite": remote } }).to_string()
    };
    for server in [&prometheus, &victoria] {
        let url = format!("http://{}/api/v1/write", server.address);
        let mut agent = AgentCommand::new(["run", "--config", "config.yaml", "--socket", "observe.sock"])
            .with_file("config.yaml", &config(url))
            .start();
        let asked =
            "watchfire_records_seen_total{job=\"watchfire\",instance=\"lonely\",kind=\"process-exec\"}";
        let counted = |expression: &str| server.query(expression).ok().filter(|series| !series.is_empty());
        until("samples of the agent", || counted(&format!("{asked} > 0")));
        until("samples that were sent", || {
            counted("watchfire_remote_write_samples_total{instance=\"lonely\",outcome=\"sent\"} > 0")
        });
        agent.signal("TERM");
        assert!(agent.ended().success(), "{:?}", agent.log());
    }
    let agent = AgentCommand::new(["run", "--config", "config.yaml", "--socket", "observe.sock"])
        .with_file("config.yaml", &config(format!("http://{nobody}/api/v1/write")))
        .start();
    agent.logged("remote write fails");
}

/// `promtool check metrics` finds nothing to say about what an agent shows, with and without Hubble's names.
pub(crate) fn metrics_are_clean() {
    let config = json!({ "sensor": { "families": only(&FAMILIES) }, "metrics": { "hubble": true } });
    let agent = bare(&["--config", "config.yaml", "--inventory", "inventory.yaml", "--policies", "policies"])
        .with_file("config.yaml", &config.to_string())
        .with_file("inventory.yaml", INVENTORY)
        .with_file("policies/shop.yaml", POLICIES);
    let agent = ready(agent.start());
    let cgroups = cgroups();
    drop(attack::run(&cgroups));
    let body = until("Hubble's names", || {
        let (_, body) = http_get(&agent, "/metrics");
        let names =
            ["flows_processed", "policy_verdicts", "dns_queries", "dns_responses", "port_distribution"];
        let is_there = |name: &&str| body.contains(&format!("\nhubble_{name}_total{{"));
        names.iter().all(is_there).then_some(body)
    });
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start promtool");
    check.stdin.take().expect("stdin is piped").write_all(body.as_bytes()).expect("tell promtool");
    let output = check.wait_with_output().expect("wait for promtool");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// The rules are well-formed and fire when they should.
pub(crate) fn rules_are_right() {
    let run = |arguments: &[&str]| {
        let mut promtool = Command::new("promtool");
        let output = promtool.args(arguments).current_dir(queries::deploy().join("alerts")).output();
        let output = output.expect("start promtool");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    };
    run(&["check", "rules", "rules.yaml"]);
    run(&["test", "rules", "rules_test.yaml"]);
}
