//! Every right that the manifests ask for is used: without it the agent says what it may not do, and does the rest.

use serde_json::{Value, json};
use watchfire_tests::http_get;

use crate::deployment::deploy;
use crate::inventory::{agent_unsynced, state};
use crate::kube::{Kube, Namespace, until};

/// A kind: its group, version, name in rules, and name.
type Kind = (&'static str, &'static str, &'static str, &'static str);

/// What every API server has.
const BUILT_IN: [Kind; 6] = [
    ("", "v1", "pods", "Pod"),
    ("", "v1", "namespaces", "Namespace"),
    ("", "v1", "nodes", "Node"),
    ("", "v1", "services", "Service"),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
];

/// What others install.
const CUSTOM: [Kind; 8] = [
    ("cilium.io", "v2", "ciliumnetworkpolicies", "CiliumNetworkPolicy"),
    ("cilium.io", "v2", "ciliumclusterwidenetworkpolicies", "CiliumClusterwideNetworkPolicy"),
    ("cilium.io", "v2", "ciliumcidrgroups", "CiliumCIDRGroup"),
    ("policy.networking.k8s.io", "v1alpha1", "adminnetworkpolicies", "AdminNetworkPolicy"),
    ("policy.networking.k8s.io", "v1alpha1", "baselineadminnetworkpolicies", "BaselineAdminNetworkPolicy"),
    ("policy.networking.k8s.io", "v1alpha2", "clusternetworkpolicies", "ClusterNetworkPolicy"),
    ("security.istio.io", "v1", "peerauthentications", "PeerAuthentication"),
    ("security.istio.io", "v1", "authorizationpolicies", "AuthorizationPolicy"),
];

/// What the agent asks of a kind. An agent that lacks one of them for a third of the kinds, and the other for another third,
/// shows both at once, beside kinds for which it lacks nothing; three such agents show all of each.
const VERBS: [&str; 2] = ["list", "watch"];

/// Custom kinds without a schema, gone at the end.
struct Installed {
    kube: Kube,
    manifest: String,
}

impl Installed {
    fn new(kube: &Kube) -> Self {
        let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let items: Vec<Value> = CUSTOM
            .iter()
            .map(|(group, version, plural, kind)| {
                json!({
                    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                    "metadata": {
                        "name": format!("{plural}.{group}"),
                        // Without it, names below k8s.io are kept for those who own them.
                        "annotations": { "api-approved.kubernetes.io": "unapproved, a test" },
                    },
                    "spec": {
                        "group": group, "scope": "Namespaced",
                        "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
                        "versions": [{
                            "name": version, "served": true, "storage": true,
                            "schema": { "openAPIV3Schema": schema },
                        }],
                    },
                })
            })
            .collect();
        let manifest = json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string();
        let installed = Self { kube: kube.clone(), manifest };
        kube.apply(&installed.manifest);
        for (group, _, plural, _) in CUSTOM {
            let name = format!("crd/{plural}.{group}");
            let wait = ["wait", "--for=condition=Established", &name, "--timeout=30s"];
            // It fails on what has no status yet.
            until("a definition that is established", || kube.attempt(wait).is_ok());
        }
        installed
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        self.kube.delete(&self.manifest);
    }
}

/// A role as the manifests have it.
pub(crate) fn role(kube: &Kube, manifests: &str, name: &str) -> Value {
    let manifests = deploy().join(manifests).display().to_string();
    let file = kube.run(["create", "--dry-run=client", "-o", "json", "-f", &manifests]);
    // One object after the other.
    let objects = serde_json::Deserializer::from_str(&file).into_iter::<Value>().map(Result::unwrap);
    objects
        .into_iter()
        .find(|object| object["kind"] == "ClusterRole" && object["metadata"]["name"] == name)
        .expect("a role of this name")
}

/// The rules of such a role: group, resource and verb of each.
pub(crate) fn rules(kube: &Kube, manifests: &str, name: &str) -> Vec<(String, String, String)> {
    let role = role(kube, manifests, name);
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut rules = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                rules.extend(
                    texts(&rule["verbs"]).into_iter().map(|verb| (group.clone(), resource.clone(), verb)),
                );
            }
        }
    }
    rules
}

/// A client with some of these rights, by an account of its own.
pub(crate) fn client(
    namespace: &Namespace,
    account: &str,
    rules: &[&(String, String, String)],
) -> (Kube, String) {
    let role = format!("{}-{account}", namespace.name);
    namespace.run(&["create", "serviceaccount", account]);
    let rules: Vec<Value> = rules
        .iter()
        .map(|(group, resource, verb)| json!({ "apiGroups": [group], "resources": [resource], "verbs": [verb] }))
        .collect();
    let metadata = json!({ "name": role });
    let reference = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role });
    let subject = json!({ "kind": "ServiceAccount", "name": account, "namespace": namespace.name });
    let version = "rbac.authorization.k8s.io/v1";
    let objects = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": version, "kind": "ClusterRole", "metadata": metadata, "rules": rules },
        { "apiVersion": version, "kind": "ClusterRoleBinding", "metadata": metadata, "roleRef": reference,
          "subjects": [subject] },
    ]});
    namespace.kube.apply(&objects.to_string());
    (namespace.account(account), role)
}

pub(crate) fn each_is_used() {
    let kube = Kube::admin();
    let _installed = Installed::new(&kube);
    let all = rules(&kube, "base/rbac.yaml", "watchfire");
    let kinds: Vec<Kind> = BUILT_IN.into_iter().chain(CUSTOM).collect();
    // Nothing is asked for that is not looked at below.
    let mut expected: Vec<_> = kinds
        .iter()
        .flat_map(|(group, _, plural, _)| {
            VERBS.map(|verb| ((*group).to_owned(), (*plural).to_owned(), verb.to_owned()))
        })
        .collect();
    let mut asked = all.clone();
    expected.sort_unstable();
    asked.sort_unstable();
    assert_eq!(asked, expected);
    let namespace = kube.namespace("rights");
    for turn in 0..=VERBS.len() {
        // Which verb a kind lacks; none where there is no such.
        let lacking = |at: usize| VERBS.get((at + turn) % (VERBS.len() + 1)).copied();
        let granted: Vec<_> = all
            .iter()
            .filter(|(group, resource, verb)| {
                let at = kinds.iter().position(|kind| kind.0 == group && kind.2 == resource).unwrap();
                lacking(at) != Some(verb)
            })
            .collect();
        let (client, role) = client(&namespace, &format!("turn-{turn}"), &granted);
        let agent = agent_unsynced(&client, &[]);
        for (at, (group, _, plural, kind)) in kinds.iter().enumerate() {
            let name = if group.is_empty() { (*plural).to_owned() } else { format!("{plural}.{group}") };
            match lacking(at) {
                Some(verb) => {
                    agent.logged(&format!("forbidden: {verb} {name}"));
                    state(&agent, kind, "forbidden");
                }
                None => state(&agent, kind, "synced"),
            }
        }
        assert!(http_get(&agent, "/readyz").0.contains("200"), "the rest works");
        kube.run(["delete", "clusterrole,clusterrolebinding", &role]);
    }
}

pub(crate) fn of_the_kubelet_is_used() {
    let kube = Kube::admin();
    let all = rules(&kube, "components/kubelet/rbac.yaml", "watchfire-kubelet");
    let [right] = &all[..] else { panic!("{all:?}") };
    let node = kube.json(&["get", "nodes"])["items"][0]["status"]["addresses"][0]["address"].clone();
    let url = format!("https://{}:10250", node.as_str().unwrap());
    let namespace = kube.namespace("rights-kubelet");
    namespace.pod("long", &["sleep", "3600"]).ready();
    for granted in [vec![], vec![right]] {
        let account = if granted.is_empty() { "without" } else { "with" };
        let (client, role) = client(&namespace, account, &granted);
        let agent = agent_unsynced(&client, &["--kubelet", &url, "--kubelet-insecure-tls", "true"]);
        if granted.is_empty() {
            let (_, resource, verb) = right;
            let told = agent.logged(&format!("forbidden: {verb} {resource} "));
            assert!(told.contains("WARN"), "{told}");
        } else {
            // All lists of the API are forbidden, so that the kubelet is asked.
            until("pods by the kubelet", || {
                let metrics = http_get(&agent, "/metrics").1;
                metrics
                    .lines()
                    .any(|line| line.starts_with("watchfire_inventory_pods ") && !line.ends_with(" 0"))
            });
        }
        assert!(http_get(&agent, "/readyz").0.contains("200"), "the rest works");
        kube.run(["delete", "clusterrole,clusterrolebinding", &role]);
    }
}
