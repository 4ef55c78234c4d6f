//! Tokens of service accounts at the agent's HTTP API: whose they are, and what these may, is for the API server.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use watchfire_tests::{Agent, make_certificate, nonce, watchfire};

use crate::inventory::agent_unsynced;
use crate::kube::{Kube, Namespace, until};
use crate::rights::{client, role, rules};

const MANIFESTS: &str = "components/api-cert-manager/rbac.yaml";
const AUDIENCE: &str = "watchfire";

/// Cluster-wide objects of the test, gone at the end.
struct Granted {
    kube: Kube,
    names: Vec<String>,
}

impl Drop for Granted {
    fn drop(&mut self) {
        let kinds = ["delete", "clusterrole,clusterrolebinding", "--ignore-not-found"];
        _ = self.kube.attempt(kinds.into_iter().chain(self.names.iter().map(String::as_str)));
    }
}

/// An agent behind TLS, and what its clients are given.
struct Served<'a> {
    agent: Agent,
    folder: &'a Path,
    target: String,
}

impl Served<'_> {
    /// Asks for events with this token; the status of the record that the request leaves, with who it says asked.
    fn ask(&self, token: &str) -> (u64, String) {
        let nonce = nonce("asked");
        fs::write(self.folder.join("token"), token).unwrap();
        let output = Command::new(watchfire())
            .args(["events", "-o", "jsonl", &format!("--agent={}", self.target), "--ca-file", "cert.pem"])
            .args(["--token-file", "token", &format!("process.args contains \"{nonce}\"")])
            .current_dir(self.folder)
            .output()
            .expect("start the client");
        println!("{}", String::from_utf8_lossy(&output.stderr));
        let record = self.agent.record_with(&nonce, |record| record["type"] == "api-access");
        let status = record["answer"]["status"].as_u64().unwrap();
        assert!(status == 200 || !output.status.success(), "{record}");
        (status, record["caller"]["user"].as_str().unwrap_or_default().to_owned())
    }
}

fn token(namespace: &Namespace, account: &str, audience: &str) -> String {
    namespace.run(&["create", "token", account, "--audience", audience]).trim().to_owned()
}

pub(crate) fn of_service_accounts() {
    let kube = Kube::admin();
    let namespace = kube.namespace("api-tokens");
    // The agent may ask what its component lets it ask, and nothing else.
    let rules = rules(&kube, MANIFESTS, "watchfire-token-review");
    let (of_agent, agents_role) = client(&namespace, "agent", &rules.iter().collect::<Vec<_>>());
    let reader_role = format!("{}-reader", namespace.name);
    let names = vec![agents_role, reader_role.clone()];
    let _granted = Granted { kube: kube.clone(), names };
    let mut readers: Value = role(&kube, MANIFESTS, "watchfire-api-reader");
    readers["metadata"]["name"] = reader_role.as_str().into();
    kube.apply(&readers.to_string());
    for account in ["reader", "other"] {
        namespace.run(&["create", "serviceaccount", account]);
    }
    let account = format!("--serviceaccount={}:reader", namespace.name);
    let of_reader = format!("--clusterrole={reader_role}");
    kube.run(["create", "clusterrolebinding", &reader_role, &of_reader, &account]);
    let user = |account: &str| format!("system:serviceaccount:{}:{account}", namespace.name);

    let folder = tempfile::tempdir().unwrap();
    make_certificate(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let agent = agent_unsynced(
        &of_agent,
        &[
            ["--ledger", &path("ledger")],
            ["--api-listen", "127.0.0.1:0"],
            ["--api-certificate", &path("cert.pem")],
            ["--api-key", &path("key.pem")],
            ["--api-token-review", "true"],
            ["--api-token-audiences", AUDIENCE],
        ]
        .concat(),
    );
    // Not that of Kubernetes, of which the log tells too.
    let line = agent.logged("control_plane: API at https://");
    let (_, port) = line.rsplit_once(':').expect("the log names the port");
    let target = format!("https://localhost:{}", port.trim());
    let served = Served { agent, folder: folder.path(), target };

    let (readers, others) = (token(&namespace, "reader", AUDIENCE), token(&namespace, "other", AUDIENCE));
    assert_eq!(served.ask(&readers), (200, user("reader")));
    assert_eq!(served.ask(&others), (403, user("other")));
    // Everybody has that right, which is none to records.
    let may = namespace.account("other").run(["auth", "can-i", "get", "/api/v1/events"]);
    assert_eq!(may.trim(), "yes");
    // For another audience: that of the API server.
    assert_eq!(served.ask(&namespace.token("reader")), (401, String::new()));
    assert_eq!(served.ask("nobodys"), (401, String::new()));

    kube.run(["delete", "clusterrolebinding", &reader_role]);
    namespace.run(&["delete", "serviceaccount", "other"]);
    until("the right has ended", || served.ask(&readers) == (403, user("reader")));
    until("the token has ended", || served.ask(&others) == (401, String::new()));
}
