//! The API's component on a real node: its certificate comes by a Secret, which the test makes as cert-manager would, and its
//! clients are pods with tokens of their service accounts.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use watchfire_tests::make_certificate_for;

use crate::definitions::Defined;
use crate::deployment::{Deployment, NAMESPACE};
use crate::kube::{Kube, Namespace, told, until};

/// What clients call the agents, as the component's certificate does.
const NAME: &str = "watchfire.watchfire.svc";
const PORT: u16 = 9465;

/// A certificate that signs itself, and its key.
struct Issued(TempDir);

impl Issued {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_certificate_for(folder.path(), &[NAME]);
        Self(folder)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// The Secret, as cert-manager writes it.
    fn secret(&self) -> String {
        let data = json!({ "tls.crt": self.text("cert.pem"), "tls.key": self.text("key.pem") });
        let metadata = json!({ "name": "watchfire-api", "namespace": NAMESPACE });
        json!({ "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "stringData": data })
            .to_string()
    }

    /// Whether this is what a server shows.
    fn is_served_at(&self, address: &str) -> bool {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-verify_return_error", "-servername", NAME, "-verify_hostname", NAME]);
        let target = format!("{address}:{PORT}");
        let authority = self.0.path().join("cert.pem");
        openssl.args(["-connect", &target, "-CAfile"]).arg(authority).env("OPENSSL_CONF", "/dev/null");
        let status = openssl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.expect("start openssl").success()
    }
}

/// Namespace and binding of whoever asks, gone at the end.
struct Clients {
    namespace: Namespace,
    binding: String,
    agent: String,
}

impl Clients {
    /// Two accounts, of which one may read.
    fn new(kube: &Kube, agent: &str) -> Self {
        let namespace = kube.namespace("api-clients");
        kube.run(["label", "namespace", &namespace.name, "watchfire.dev/api-client=true"]);
        for account in ["reader", "other"] {
            namespace.run(&["create", "serviceaccount", account]);
        }
        let binding = namespace.name.clone();
        let account = format!("--serviceaccount={}:reader", namespace.name);
        kube.run(["create", "clusterrolebinding", &binding, "--clusterrole=watchfire-api-reader", &account]);
        Self { namespace, binding, agent: agent.to_owned() }
    }

    /// What a pod of this account is told that asks for flows and believes this certificate; where it fails, with what it
    /// says about that.
    fn ask(&self, name: &str, account: &str, issued: &Issued) -> Result<String, String> {
        let authority = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name },
            "data": { "ca.crt": issued.text("cert.pem") },
        });
        self.namespace.apply(&authority.to_string());
        let agent = format!("--agent=https://{NAME}:{PORT}");
        let files = ["--token-file", "/client/token", "--ca-file", "/client/ca.crt"];
        let command =
            [&["/watchfire", "events", "-o", "jsonl", "--since", "1h", &agent][..], &files].concat();
        let pod = self.namespace.pod_with(name, &command, |pod| {
            let spec = &mut pod["spec"];
            spec["serviceAccountName"] = account.into();
            // There is no name server in this cluster.
            spec["hostAliases"] = json!([{ "ip": self.agent, "hostnames": [NAME] }]);
            spec["containers"][0]["image"] = told("WATCHFIRE_AGENT_IMAGE").into();
            spec["containers"][0]["volumeMounts"] = json!([{ "name": "client", "mountPath": "/client" }]);
            spec["volumes"] = json!([{ "name": "client", "projected": { "sources": [
                { "serviceAccountToken": { "audience": "watchfire", "path": "token" } },
                { "configMap": { "name": name } },
            ] } }]);
        });
        let ended = pod.until("a client that has ended", |pod| {
            ["Succeeded", "Failed"].iter().any(|phase| pod["status"]["phase"] == *phase)
        });
        if ended["status"]["phase"] == "Succeeded" { Ok(pod.logs()) } else { Err(pod.logs()) }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        _ = self.namespace.kube.attempt([
            "delete",
            "clusterrolebinding",
            &self.binding,
            "--ignore-not-found",
        ]);
    }
}

pub(crate) fn serves_what_the_secret_has() {
    let kube = Kube::admin();
    let _definitions = Defined::certificates();
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }).to_string();
    kube.apply(&namespace);
    let (first, second) = (Issued::new(), Issued::new());
    kube.apply(&first.secret());
    let deployment = Deployment::base(&["api-cert-manager"]);
    deployment.ready();
    let agent = deployment.pod();
    let address = agent["status"]["podIP"].as_str().unwrap().to_owned();
    until("the first certificate", || first.is_served_at(&address));
    let clients = Clients::new(&kube, &address);

    let told = clients.ask("reader", "reader", &first).expect("who may read is answered");
    let records: Vec<Value> =
        told.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    assert!(!records.is_empty());
    let refused = clients.ask("other", "other", &first).expect_err("without a binding");
    assert!(refused.contains("403"), "{refused}");
    let user = format!("system:serviceaccount:{}:other", clients.namespace.name);
    deployment.record("the request that was refused", |record| {
        record["type"] == "api-access"
            && record["caller"]["user"] == user.as_str()
            && record["answer"]["status"] == 403
    });

    // As when cert-manager renews it. A change of the pod makes the kubelet look at its volumes now, and not in a minute.
    kube.apply(&second.secret());
    let name = agent["metadata"]["name"].as_str().unwrap();
    deployment.run(&["annotate", "pod", name, "test.watchfire.invalid/looked-at=1"]);
    until("the second certificate", || second.is_served_at(&address));
    assert!(!first.is_served_at(&address));
    clients.ask("renewed", "reader", &second).expect("who believes the second is answered");
    let refused = clients.ask("late", "reader", &first).expect_err("the first is no longer served");
    assert!(refused.contains("certificate"), "{refused}");
    let now = deployment.pod();
    assert_eq!(now["metadata"]["uid"], agent["metadata"]["uid"]);
    assert_eq!(now["status"]["containerStatuses"][0]["restartCount"], 0, "it was not started again");
}
