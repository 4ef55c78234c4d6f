//! The overlays for clusters of developers and for staging on a real node: that the agent is Ready from the built image as they
//! configure it, and where they differ from production.

use serde_json::Value;

use crate::definitions::Defined;
use crate::deployment::Deployment;
use crate::kube::{Namespace, until};
use crate::production::scraped;

/// An overlay, and what it says.
struct Overlay {
    name: &'static str,
    /// Whether the agent's own log tells everything.
    is_chatty: bool,
    /// Whether there is an event log beside the ledger.
    has_event_log: bool,
    /// Whether flows that no policy covers are findings where there are no policies.
    tells_uncovered: bool,
    memory_limit: &'static str,
}

const DEV: Overlay = Overlay {
    name: "dev",
    is_chatty: true,
    has_event_log: true,
    tells_uncovered: true,
    memory_limit: "384Mi",
};

const STAGING: Overlay = Overlay {
    name: "staging",
    is_chatty: false,
    has_event_log: false,
    tells_uncovered: false,
    memory_limit: "512Mi",
};

/// By the runtime, which the overlay asks, containers are known by more than the API tells.
pub(crate) fn dev() {
    let deployment = Deployment::of("overlays/dev", &[]);
    let agent = DEV.is_as_it_says(&deployment);
    let runtime = "watchfire_inventory_source_state{";
    let is_told = |line: &str| {
        line.starts_with(runtime)
            && line.contains("source=\"container-runtime\"")
            && line.contains("state=\"synced\"")
            && line.ends_with(" 1")
    };
    until("the runtime tells its containers", || scraped(&agent).lines().any(is_told));
}

/// What scrapes it and what alerts is there, as in production.
pub(crate) fn staging() {
    let _monitors = Defined::monitors();
    let deployment = Deployment::of("overlays/staging", &[]);
    STAGING.is_as_it_says(&deployment);
    for kind in ["podmonitor", "prometheusrule", "networkpolicy"] {
        deployment.run(&["get", kind, "watchfire"]);
    }
    let dashboards = deployment.json(&["get", "configmaps", "-l", "grafana_dashboard=1"]);
    assert_eq!(dashboards["items"].as_array().unwrap().len(), 6);
}

impl Overlay {
    /// Waits for the agent and looks at what it does; its address.
    fn is_as_it_says(&self, deployment: &Deployment) -> String {
        deployment.ready();
        let agent = deployment.pod();
        let limits = &agent["spec"]["containers"][0]["resources"]["limits"];
        assert_eq!(limits["memory"], self.memory_limit);
        let address = agent["status"]["podIP"].as_str().unwrap().to_owned();
        let metrics = scraped(&address);
        let build = metrics.lines().find(|line| line.starts_with("watchfire_build_info{")).unwrap();
        assert!(build.contains(&format!("cluster=\"{}\"", self.name)), "{build}");

        let namespace = deployment.kube.namespace(self.name);
        self.judges(&address, &namespace);
        let log = deployment.run(&["logs", "daemonset/watchfire"]);
        let levels: Vec<_> = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a log in JSON")["level"].clone())
            .collect();
        assert_eq!(levels.contains(&"DEBUG".into()), self.is_chatty, "{log}");
        assert!(levels.contains(&"INFO".into()), "{log}");
        assert_eq!(deployment.event_log().is_file(), self.has_event_log);
        if self.has_event_log {
            let is_it = |record: &Value| record["client"]["pod"]["namespace"] == namespace.name.as_str();
            deployment.record("the flow in the event log", is_it);
        }
        assert_eq!(deployment.pod()["status"]["containerStatuses"][0]["restartCount"], 0);
        address
    }

    /// A flow that no policy covers is counted as one between its workloads, written to the ledger, and a finding or not.
    fn judges(&self, address: &str, namespace: &Namespace) {
        let serve =
            "mkdir -p /tmp/pages; echo hello >/tmp/pages/index.html; exec httpd -f -p 8080 -h /tmp/pages";
        let server = namespace.pod("server", &["sh", "-c", serve]).ready();
        let url = format!("http://{}:8080/", server["status"]["podIP"].as_str().unwrap());
        let get = format!("until wget -q -O /dev/null {url}; do sleep 0.2; done");
        namespace.pod("client", &["sh", "-c", &get]).ended();
        let name = &namespace.name;
        let flow = format!(
            "watchfire_workload_flow_verdicts_total{{cluster=\"{}\",source_namespace=\"{name}\",source_workload_kind=\"Pod\",\
             source_workload=\"client\",destination_namespace=\"{name}\",destination_workload_kind=\"Pod\",\
             destination_workload=\"server\",policy_kind=\"\",policy_namespace=\"\",policy=\"\",verdict=\"not-covered\"",
            self.name
        );
        until("the flow", || scraped(address).contains(&flow));
        let is_written = |line: &str| {
            line.starts_with("watchfire_ledger_written_bytes_total{")
                && line.contains("of=\"log\"")
                && !line.ends_with(" 0")
        };
        until("the ledger", || scraped(address).lines().any(is_written));
        let is_finding = |line: &str| {
            line.starts_with("watchfire_findings_total{")
                && line.contains("kind=\"uncovered-flow\"")
                && line.contains(&format!("namespace=\"{name}\""))
        };
        let is_found = || scraped(address).lines().any(is_finding);
        if self.tells_uncovered {
            until("the finding", is_found);
        } else {
            assert!(!is_found(), "a namespace without policies");
        }
    }
}
