//! An agent sends its metrics by remote write.

use std::fs;
use std::time::SystemTime;

use serde_json::json;
use watchfire_tests::scraping::{Server, free_address};
use watchfire_tests::{Agent, AgentCommand, make_certificate_for, metric, metric_until, until};

use super::servers::{prometheus, prometheus_with_tls, victoria_metrics};
use crate::running::{bare, only, ready};

/// To both servers, and to one that is not there, which it survives.
pub(crate) fn to_both() {
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

const ERRORS: &str = "watchfire_remote_write_errors_total";

/// To a server with TLS: as long as nobody whom the agent trusts has signed its certificate, what is to be sent waits; then
/// all of it arrives.
pub(crate) fn to_one_with_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    for (folder, name) in [("server", "localhost"), ("other", "other.example")] {
        fs::create_dir(path(folder)).expect("make a folder");
        make_certificate_for(&path(folder), &[name]);
    }
    let (signer, other) = (path("server/cert.pem"), path("other/cert.pem"));
    let server = prometheus_with_tls(folder.path(), &signer, &path("server/key.pem"));

    // The host trusts somebody else.
    let none = path("none");
    fs::create_dir(&none).expect("make a folder");
    let unaware = sender(&server, json!({}))
        .with_env("SSL_CERT_FILE", &other.to_string_lossy())
        .with_env("SSL_CERT_DIR", &none.to_string_lossy());
    let unaware = ready(unaware.start());
    is_told_once(&unaware);
    drop(unaware);
    assert!(server.query("watchfire_build_info").expect("an answer").is_empty());

    // So does the file, until it is another.
    let authorities = path("ca.pem");
    fs::copy(&other, &authorities).expect("copy a certificate");
    let agent = ready(sender(&server, json!({ "caFile": authorities })).start());
    is_told_once(&agent);
    let renewed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    fs::copy(&signer, &authorities).expect("copy a certificate");
    agent.logged("remote write goes on");
    metric_until(&agent, "watchfire_remote_write_queued_bytes", |bytes| bytes == 0);
    for outcome in ["dropped", "refused"] {
        let series = format!("watchfire_remote_write_samples_total{{outcome=\"{outcome}\"}}");
        assert_eq!(metric(&agent, &series), 0, "{outcome}");
    }
    let first = "min_over_time(timestamp(watchfire_build_info{instance=\"lonely\"})[5m:1s])";
    let first = until("the samples that waited", || {
        let series = server.query(first).expect("an answer");
        series.first()?["value"][1].as_str()?.parse::<f64>().ok()
    });
    assert!(first < renewed.as_secs_f64(), "{first} is of after {renewed:?}");
}

/// An agent that sends to a server with TLS, with more keys.
fn sender(server: &Server, more: serde_json::Value) -> AgentCommand {
    let mut remote = json!({
        "url": format!("https://localhost:{}/api/v1/write", server.address.port()),
        "intervalSeconds": 1,
    });
    remote.as_object_mut().expect("keys").extend(more.as_object().expect("keys").clone());
    let config = json!({
        "nodeName": "lonely",
        "sensor": { "families": only(&[]) },
        "metrics": { "remoteWrite": remote },
    });
    bare(&["--config", "config.yaml"]).with_file("config.yaml", &config.to_string())
}

/// However often it is tried, the log says once what is wrong and what would help; each time is counted.
fn is_told_once(agent: &Agent) {
    let told = agent.logged("remote write fails");
    for part in ["no authority that is trusted has signed", "metrics.remoteWrite.caFile", "UnknownIssuer"] {
        assert!(told.contains(part), "{told}");
    }
    metric_until(agent, ERRORS, |errors| errors >= 3);
    let lines = agent.log();
    assert_eq!(lines.iter().filter(|line| line.contains("remote write fails")).count(), 1, "{lines:#?}");
    assert!(metric(agent, "watchfire_remote_write_queued_bytes") > 0);
}
