//! Prometheus, VictoriaMetrics, vmalert and Alertmanager, as these tests have them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use watchfire_tests::scraping::{Server, deploy};

use super::webhook::Webhook;

/// Prometheus, with the rules of `deploy/alerts`, which it tells an Alertmanager of.
pub(super) fn prometheus(folder: &Path, agent: &str, alertmanager: &str) -> Server {
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

/// Prometheus with TLS, which scrapes nobody.
pub(super) fn prometheus_with_tls(folder: &Path, certificate: &Path, key: &Path) -> Server {
    let web = json!({ "tls_server_config": { "cert_file": certificate, "key_file": key } });
    fs::write(folder.join("web.yaml"), web.to_string()).expect("write the configuration");
    fs::write(folder.join("prometheus.yaml"), "{}").expect("write the configuration");
    let authority = certificate.to_owned();
    let command = Command::new("prometheus");
    Server::start_tls("prometheus", command, folder, "/-/ready", authority, |address| {
        vec![
            "--config.file=prometheus.yaml".to_owned(),
            "--web.config.file=web.yaml".to_owned(),
            format!("--web.listen-address={address}"),
            "--web.enable-remote-write-receiver".to_owned(),
            "--storage.tsdb.path=prometheus".to_owned(),
        ]
    })
}

/// VictoriaMetrics, which scrapes too.
pub(super) fn victoria_metrics(folder: &Path, agent: &str) -> Server {
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

/// An Alertmanager that tells a webhook of everything.
pub(super) fn alertmanager(folder: &Path, webhook: &Webhook) -> Server {
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
pub(super) fn vmalert(folder: &Path, victoria: &Server, alertmanager: &Server) -> Server {
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
    deploy().join("alerts/rules.yaml")
}
