//! The overlays for clusters of developers and for staging on a real node: that the agent is Ready from the built image as they
//! configure it, and where they differ from production.

use serde_json::Value;

use crate::definitions::Defined;
use crate::deployment::{Deployment, LEDGER};
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
        self.judges(deployment, &namespace);
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

    /// A flow that no policy covers is in the ledger, and is a finding or not.
    fn judges(&self, deployment: &Deployment, namespace: &Namespace) {
        let serve =
            "mkdir -p /tmp/pages; echo hello >/tmp/pages/index.html; exec httpd -f -p 8080 -h /tmp/pages";
        let server = namespace.pod("server", &["sh", "-c", serve]).ready();
        let url = format!("http://{}:8080/", server["status"]["podIP"].as_str().unwrap());
        let get = format!("until wget -q -O /dev/null {url}; do sleep 0.2; done");
        namespace.pod("client", &["sh", "-c", &get]).ended();
        let within = ["--ledger", LEDGER, "--since", "1h"];
        let search = |what: &str, filter: &str| {
            let arguments: Vec<&str> =
                [what].iter().chain(&within).chain(&["-o", "json", filter]).copied().collect();
            deployment.watchfire(&arguments)
        };
        let of_server = format!("dst.namespace = \"{}\" and dst.port = 8080", namespace.name);
        let mut flows = String::new();
        until("the flow in the ledger", || {
            flows = search("flows", &format!("stage = open and {of_server}"));
            !flows.is_empty()
        });
        assert!(flows.lines().all(|line| line.contains("\"outcome\":\"not-covered\"")), "{flows}");
        let is_found = || search("findings", "finding.kind = uncovered-flow").contains(&namespace.name);
        if self.tells_uncovered {
            until("the finding", is_found);
        } else {
            assert!(!is_found(), "a namespace without policies");
        }
    }
}
