//! The production overlay on a real node, beside the workloads and policies of a platform: what passed and what policy says
//! of it is in the ledger, and stays there.

mod platform;
mod scraped;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::Value;

use crate::definitions::Defined;
use crate::deployment::{Deployment, LEDGER};
use crate::kube::until;
use platform::Platform;
use scraped::{Scraping, has_prometheus};

/// The ends of every connection that a ledger tells, with the outcome at the pod that opened it.
fn judged(deployment: &Deployment) -> Vec<Judged> {
    let filter = "stage in (open, failed) and dst.port in (443, 8080, 9090, 9464)";
    let text = deployment.watchfire(&["flows", "--ledger", LEDGER, "-o", "json", "--since", "1h", filter]);
    let records = text.lines().map(|line| serde_json::from_str(line).expect("a record"));
    records.filter_map(|record| Judged::of(&record)).collect()
}

/// What is said of a connection, as its client's end shows it.
#[derive(PartialEq, Eq, Debug)]
struct Judged {
    from: String,
    to: String,
    port: String,
    outcome: String,
    because: String,
}

impl Judged {
    fn of(record: &Value) -> Option<Self> {
        if record["side"] != "client" {
            return None;
        }
        let end = |name: &str| {
            let pod = &record[name]["pod"];
            Some(format!("{}/{}", pod["namespace"].as_str()?, pod["workload"]["name"].as_str()?))
        };
        let address = record["server"]["backend"].as_str().or(record["server"]["address"].as_str())?;
        Some(Self {
            from: end("client")?,
            to: end("server")?,
            port: address.rsplit(':').next()?.to_owned(),
            outcome: record["verdict"]["outcome"].as_str()?.to_owned(),
            because: record["because"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

pub(crate) fn overlay() {
    let _monitors = Defined::monitors();
    let deployment = Deployment::of("overlays/production", &[]);
    deployment.ready();
    let agent = deployment.pod();
    let address = agent["status"]["podIP"].as_str().unwrap();
    let scraping = has_prometheus().then(|| Scraping::of(address));
    let platform = Platform::new(&deployment.kube);
    platform.send(address);
    for expected in platform::EXPECTED {
        is_judged(&deployment, expected);
    }
    let denied = platform::EXPECTED.iter().filter(|(.., outcome, _)| *outcome == "denied").count();
    let findings =
        deployment.watchfire(&["findings", "-o", "json", "--since", "1h", "finding.kind = policy-violation"]);
    let news = findings.lines().filter(|line| line.contains("\"state\":\"new\"")).count();
    assert_eq!(news, denied, "{findings}");
    let metrics = scraped(address);
    let counted = |wanted: &[&str]| {
        let lines = metrics.lines().filter(|line| wanted.iter().all(|text| line.contains(text)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    let opened =
        counted(&["watchfire_flows_total{", "stage=\"open\"", "side=\"client\"", "verdict=\"denied\""]);
    assert!(opened >= denied as f64, "{opened} of {denied}");
    let by_policy = counted(&[
        "watchfire_workload_flow_verdicts_total{",
        "source_namespace=\"development\",source_workload_kind=\"Deployment\",source_workload=\"client\"",
        "destination_namespace=\"production\",destination_workload_kind=\"Deployment\",destination_workload=\"web\"",
        "policy_kind=\"NetworkPolicy\",policy_namespace=\"development\",policy=\"deny-all\"",
        "verdict=\"denied\",direction=\"egress\",side=\"client\"",
    ]);
    assert_eq!(by_policy, 1.0, "{metrics}");
    assert_eq!(counted(&["watchfire_ledger_events_total{", "seal-failed"]), 0.0);
    println!("{}", figures());
    match scraping {
        Some(scraping) => {
            // More than once, so that there is a rate.
            platform.send(address);
            println!("{} queries of the dashboards have data", scraping.dashboards_have_data());
        }
        None => println!("\nSKIP dashboards of the production overlay: no Prometheus"),
    }

    // What a pod did outlives it, and the agent's own pod.
    let web = platform.pod("production/web");
    let name = format!("production/{}", web["metadata"]["name"].as_str().unwrap());
    platform.delete("production/web");
    let flows = ["flows", "--ledger", LEDGER, "--since", "1h", "--pod", &name];
    let before = deployment.watchfire(&flows);
    assert!(before.contains(":443 allowed") && before.contains(":8080 denied"), "{before}");
    let restarts = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].clone();
    assert_eq!(restarts(&deployment.pod()), 0);
    deployment.run(&["delete", "pod", agent["metadata"]["name"].as_str().unwrap(), "--wait=true"]);
    deployment.ready();
    assert_ne!(deployment.pod()["metadata"]["uid"], agent["metadata"]["uid"]);
    let after = deployment.watchfire(&flows);
    // What was on its way may stand between.
    let mut lines = after.lines();
    let is_kept = |line: &str| lines.any(|later| later == line);
    assert!(before.lines().all(is_kept), "before:\n{before}\nafter:\n{after}");
    let tree = deployment.watchfire(&["tree", &name]);
    assert!(tree.contains("httpd") && tree.contains("wget"), "{tree}");
    let verified = deployment.watchfire(&["ledger", "verify"]);
    assert!(verified.contains("intact"), "{verified}");
}

/// Waits until a connection has been told, with this outcome at each of its tellings.
fn is_judged(deployment: &Deployment, (from, to, port, outcome, because): platform::Expected) {
    let mut seen = Vec::new();
    until(&format!("{from} to {to}:{port}"), || {
        seen = judged(deployment);
        seen.retain(|one| one.from == from && one.to == to && one.port == port);
        !seen.is_empty()
    });
    let is_so = |one: &Judged| one.outcome == outcome && one.because.contains(because);
    assert!(seen.iter().all(is_so), "{outcome} by {because}, not {seen:?}");
}

/// What whoever collects metrics is told.
pub(crate) fn scraped(address: &str) -> String {
    let mut stream = TcpStream::connect((address, 9464)).expect("the agent answers");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What the agent takes of the node.
fn figures() -> String {
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let is_agent = |path: &PathBuf| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        line.starts_with(b"/watchfire\0run\0--config\0/etc/watchfire/config.yaml\0")
    };
    let agent = processes.filter(|path| path.join("cmdline").is_file()).find(is_agent).expect("the agent");
    let read = |name: &str| std::fs::read_to_string(agent.join(name)).unwrap();
    let status = read("status");
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    };
    // proc(5): fields 14, 15 and 22, in ticks of 10 ms; the name, which is second, may have blanks.
    let stat = read("stat");
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|text| text.parse().unwrap_or(0.0))
        .collect();
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    let (used, age) = ((fields[10] + fields[11]) / 100.0, uptime - fields[18] / 100.0);
    format!(
        "the agent: {} resident, {} at most, {used:.2} s of a processor in {age:.0} s, its start included",
        kib("VmRSS"),
        kib("VmHWM")
    )
}
