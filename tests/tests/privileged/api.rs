//! The HTTP API of a running agent: by its own client, and under the load of a hundred users.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use watchfire_tests::{Agent, Need, make_certificate, until, watchfire};

use crate::running::{command, has_argument, metric, nonce, ready};

/// What a load over TLS needs.
pub(crate) const LOADED: &[Need] =
    &[Need::Root, Need::Btf, Need::CgroupV2, Need::Program("openssl"), Need::Program("k6")];

/// The load.
const PROFILE: &str = include_str!("../../k6/api.js");

/// Programs that run beside the load, one after the other, as fast as they come.
const STORM: &str = "i=0; while [ $i -lt 1000000 ]; do /bin/true; i=$((i+1)); done";

/// How long the load grows, and then stays, seconds.
const LOAD_SECONDS: &str = "10";

fn run(agent: &Agent, arguments: &[&str]) -> Output {
    let mut command = Command::new(watchfire());
    command.current_dir(agent.folder()).args(arguments).output().expect("start a command")
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("a record a line")).collect()
}

pub(crate) fn socket() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger").display().to_string();
    let agent = ready(command(&["--ledger", &ledger]).start());
    let nonce = nonce("api");
    assert!(Command::new("/bin/sh").args(["-c", "exit 0", &nonce]).status().unwrap().success());
    let _ = agent.record("the exec", |record| record["action"] == "exec" && has_argument(record, &nonce));
    let filter = format!("process.args contains \"{nonce}\" and action = exec");
    let events = || lines(&run(&agent, &["events", "-o", "jsonl", "--agent=unix:api.sock", &filter]));
    // The ledger gathers records for a moment.
    let found = until("the exec by the API", || Some(events()).filter(|found| !found.is_empty()));
    let exec_id = found[0]["process"]["exec_id"].as_str().unwrap();
    let tree = run(&agent, &["tree", "--agent=unix:api.sock", exec_id]);
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    let ended = tree.lines().find(|line| line.contains("  exit  ")).unwrap_or_default();
    assert!(ended.contains(&nonce), "{tree}");

    let wrong = run(&agent, &["flows", "--agent=unix:api.sock", "dst.prt = 1"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("perhaps `dst.port`"));
    // Each of these requests is a record itself.
    let access = agent.record("the access", |record| {
        record["type"] == "api-access" && record["request"]["query"].to_string().contains("parent.exec_id")
    });
    assert_eq!((&access["caller"]["uid"], &access["answer"]["status"]), (&json!(0), &json!(200)));
    let mode = fs::metadata(agent.folder().join("api.sock")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
}

/// A certificate of its own for the load, and one token.
fn make_credentials(folder: &Path) -> Value {
    make_certificate(folder);
    // printf %s abc | sha256sum
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    fs::write(folder.join("tokens"), format!("k6 sha256 {hash}\n")).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    json!({
        "listen": "127.0.0.1:0", "certificate": path("cert.pem"), "key": path("key.pem"), "tokens": path("tokens"),
    })
}

pub(crate) fn load() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "api": make_credentials(folder.path()),
        "ledger": { "dir": folder.path().join("ledger") },
        "output": { "to": "none" },
    });
    let arguments =
        ["run", "--metrics-listen", "127.0.0.1:0", "--socket", "observe.sock", "--config", "api.yaml"];
    let agent = watchfire_tests::AgentCommand::new(arguments).with_file("api.yaml", &config.to_string());
    let agent = ready(agent.start());
    let line = agent.logged("API at https://");
    let (_, port) = line.rsplit_once(':').expect("the log names the port");
    let url = format!("https://localhost:{}", port.trim());
    let script = folder.path().join("api.js");
    fs::write(&script, PROFILE).unwrap();
    let mut storm = Command::new("/bin/sh").args(["-c", STORM]).spawn().unwrap();
    // Every page has to have records, and the ledger gathers the first for a moment.
    fs::write(folder.path().join("token"), "abc").unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let asked = [&format!("--agent={url}"), "--ca-file", &path("cert.pem"), "--token-file", &path("token")];
    until("a record by the API", || {
        let found = lines(&run(&agent, &[&["events", "-o", "jsonl", "--first", "1"], &asked[..]].concat()));
        (!found.is_empty()).then_some(())
    });
    let summary = folder.path().join("summary.json");
    let output = Command::new("k6")
        .args(["run", "--quiet", "--no-usage-report", "--summary-export"])
        .arg(&summary)
        .arg(&script)
        .env("URL", &url)
        .env("TOKEN", "abc")
        .env("SECONDS", std::env::var("WATCHFIRE_LOAD_SECONDS").as_deref().unwrap_or(LOAD_SECONDS))
        .env("SSL_CERT_FILE", folder.path().join("cert.pem"))
        .output();
    storm.kill().unwrap();
    storm.wait().unwrap();
    let output = output.unwrap();
    let shown =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{shown}");
    let summary: Value = serde_json::from_slice(&fs::read(summary).expect("k6 wrote a summary")).unwrap();
    let metrics = &summary["metrics"];
    assert!(metrics["http_reqs"]["count"].as_u64().unwrap() > 0, "{shown}");
    assert_eq!(metrics["checks"]["fails"], 0, "{shown}");
    assert!(metrics["http_req_failed"]["value"].as_f64().unwrap() < 0.01, "{shown}");
    // The agent recorded meanwhile, and every request.
    assert_eq!(metric(&agent, "watchfire_sink_dropped_total{sink=\"ledger\"}"), 0);
    assert!(metric(&agent, "watchfire_processes_total{action=\"exec\"}") > 0);
}
