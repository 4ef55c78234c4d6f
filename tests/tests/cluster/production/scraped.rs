//! A real Prometheus that scrapes the agent as it is deployed, and what the dashboards ask it about policies and the API.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use watchfire_tests::scraping::{Query, Server, of_dashboards};

use crate::kube::{told, until};

/// Prometheus, and the folder that it works in.
pub(super) struct Scraping {
    server: Server,
    _folder: TempDir,
}

impl Scraping {
    /// Begins to scrape an agent.
    pub(super) fn of(agent: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s" },
            "scrape_configs": [{ "job_name": "watchfire", "static_configs": [{ "targets": [format!("{agent}:9464")] }] }],
        });
        // JSON is YAML.
        std::fs::write(folder.path().join("prometheus.yaml"), config.to_string()).unwrap();
        let server = start(folder.path());
        until("a scrape", || has_data(&server, "watchfire_build_info"));
        Self { server, _folder: folder }
    }

    /// Waits until what is asked about policies and about the API has an answer; how many queries that are.
    pub(super) fn dashboards_have_data(&self) -> usize {
        let is_asked = |query: &Query| {
            let text = &query.expression;
            let is_about = ["watchfire_policy", "verdict", "watchfire_finding", "watchfire_inventory_source"];
            is_about.iter().any(|about| text.contains(about))
        };
        let asked: Vec<_> = of_dashboards().into_iter().filter(is_asked).collect();
        let mut lacking = Vec::new();
        let mut look = || {
            lacking = asked.iter().filter(|query| !has_data(&self.server, &query.expression)).collect();
            lacking.is_empty()
        };
        let deadline = std::time::Instant::now() + crate::kube::PATIENCE;
        while !look() {
            if std::time::Instant::now() > deadline {
                let lines: Vec<_> =
                    lacking.iter().map(|query| format!("{}: {}", query.from, query.expression)).collect();
                panic!("{} of {} queries lack data:\n{}", lines.len(), asked.len(), lines.join("\n"));
            }
            std::thread::park_timeout(std::time::Duration::from_secs(1));
        }
        asked.len()
    }
}

fn start(folder: &Path) -> Server {
    Server::start("prometheus", Command::new(told("WATCHFIRE_PROMETHEUS")), folder, "/-/ready", |address| {
        vec![
            "--config.file=prometheus.yaml".to_owned(),
            format!("--web.listen-address={address}"),
            "--storage.tsdb.path=prometheus".to_owned(),
        ]
    })
}

fn has_data(server: &Server, expression: &str) -> bool {
    server.query(expression).is_ok_and(|series| !series.is_empty())
}

/// Whether there is Prometheus.
pub(crate) fn has_prometheus() -> bool {
    std::env::var_os("WATCHFIRE_PROMETHEUS").is_some()
}
