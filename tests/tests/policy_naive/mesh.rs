//! The mesh's policies against an evaluator of their own, written from Istio's reference, straight on the objects.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};
use watchfire_model::{Identity, Labels, Pod};
use watchfire_policy::mesh::{
    MeshConnection, MeshIdentity, MeshSet, MeshUnknown, MeshVerdict, ROOT_NAMESPACE, Transport,
    parse_mesh_object,
};
use watchfire_tests::policy::Random;

const CASES: u64 = 20_000;
const PROBES: usize = 5;
const NAMESPACES: [&str; 3] = ["shop", "ops", ROOT_NAMESPACE];
const APPS: [&str; 2] = ["db", "web"];
const ACCOUNTS: [&str; 2] = ["default", "robot"];
const PORTS: [u16; 3] = [80, 443, 5432];
const MODES: [&str; 4] = ["UNSET", "DISABLE", "PERMISSIVE", "STRICT"];

/// Who connects: none where in plaintext.
type Client = Option<(&'static str, &'static str)>;

pub(crate) fn agree() {
    let mut found = BTreeMap::<&str, usize>::new();
    for seed in 0..CASES {
        let random = &mut Random::new(seed);
        let objects = random.some(6, object);
        let read = |(index, object): (usize, &Value)| {
            let mut named = object.clone();
            named["metadata"]["name"] = format!("p{index}").into();
            parse_mesh_object(named).unwrap_or_else(|error| panic!("seed {seed}: {error}: {object}")).unwrap()
        };
        let set = MeshSet::new(objects.iter().enumerate().map(read));
        for _ in 0..PROBES {
            let client = (!random.one_in(3)).then(|| (random.pick(&NAMESPACES), random.pick(&ACCOUNTS)));
            let (namespace, app, port) =
                (random.pick(&NAMESPACES[..2]), random.pick(&APPS), random.pick(&PORTS));
            let source = random.pick(&["10.0.0.1", "10.1.0.1", "192.0.2.1"]);
            let connection = MeshConnection {
                server: &pod(namespace, app),
                transport: client.map_or(Transport::Plaintext, |(namespace, service_account)| {
                    Transport::Mutual(MeshIdentity { trust_domain: "td", namespace, service_account })
                }),
                source: source.parse().unwrap(),
                destination: "10.9.9.9".parse().unwrap(),
                port: Some(port),
            };
            let flow = Flow { client, namespace, app, port, source: connection.source };
            let (ours, expected) = (word(&set.judge(&connection)), flow.judge(&objects));
            assert_eq!(ours, expected, "seed {seed}: {flow:?} in {objects:?}");
            *found.entry(ours).or_default() += 1;
        }
    }
    println!("\n{CASES} cases, directions judged {found:?}, 0 differences");
    assert_eq!(found.len(), WORDS, "the cases do not ask for everything");
}

/// How many words there are for a verdict of these objects.
const WORDS: usize = 6;

const fn word(verdict: &MeshVerdict) -> &'static str {
    match verdict {
        MeshVerdict::Allow { .. } => "allow",
        MeshVerdict::DenyRule { .. } => "deny-rule",
        MeshVerdict::DenyDefault { .. } => "deny-default",
        MeshVerdict::DenyPlaintext { .. } => "deny-plaintext",
        MeshVerdict::NotCovered => "not-covered",
        MeshVerdict::Unknown { reason: MeshUnknown::External } => "external",
        MeshVerdict::Unknown { .. } => "unknown",
    }
}

fn pod(namespace: &str, app: &str) -> Pod {
    let identity = Identity {
        namespace: namespace.into(),
        labels: Labels::from([("app".to_owned(), app.to_owned())]),
        ports: Vec::new(),
        host_network: false,
        service_account: None,
        workload: None,
    };
    Pod { name: "p".into(), uid: None, identity: identity.into(), ips: [].into_iter().collect(), node: None }
}

fn object(random: &mut Random) -> Value {
    let mut spec = json!({});
    let has_selector = random.one_in(2);
    if has_selector {
        spec["selector"] = json!({"matchLabels": {"app": random.pick(&APPS)}});
    }
    let kind = random.pick(&["PeerAuthentication", "AuthorizationPolicy", "AuthorizationPolicy"]);
    let mut metadata = json!({"namespace": random.pick(&NAMESPACES)});
    if kind == "PeerAuthentication" {
        spec["mtls"] = json!({"mode": random.pick(&MODES)});
        if has_selector && random.one_in(2) {
            let port = random.pick(&PORTS).to_string();
            spec["portLevelMtls"] = json!({ port: {"mode": random.pick(&MODES)} });
        }
    } else {
        let action = random.pick(&["ALLOW", "ALLOW", "DENY", "AUDIT", "CUSTOM"]);
        spec["action"] = action.into();
        if action == "CUSTOM" {
            spec["provider"] = json!({"name": "other"});
        }
        spec["rules"] = json!(random.some(2, rule));
        if random.one_in(8) {
            metadata["annotations"] = json!({"istio.io/dry-run": "true"});
        }
    }
    json!({"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec})
}

fn rule(random: &mut Random) -> Value {
    let mut rule = json!({});
    if random.one_in(2) {
        rule["from"] = json!([{"source": source(random)}, {"source": source(random)}]);
    }
    if random.one_in(2) {
        let field = random.pick(&["ports", "notPorts"]);
        rule["to"] = json!([{"operation": {field: [random.pick(&PORTS).to_string()]}}]);
    }
    if random.one_in(4) {
        let field = random.pick(&["values", "notValues"]);
        rule["when"] = json!([{"key": "source.namespace", field: [random.pick(&NAMESPACES)]}]);
    }
    rule
}

fn source(random: &mut Random) -> Value {
    let mut source = json!({});
    for _ in 0..1 + random.below(2) {
        let (field, value) = match random.below(4) {
            0 => ("namespaces", random.pick(&["shop", "o*", "*s", "*"])),
            1 => ("principals", random.pick(&["td/ns/shop/sa/robot", "td/ns/ops/*", "*/robot", "*"])),
            2 => ("serviceAccounts", random.pick(&["robot", "shop/default"])),
            _ => ("ipBlocks", random.pick(&["10.0.0.0/8", "10.0.0.0/16", "192.0.2.1"])),
        };
        let negated = format!("not{}{}", field[..1].to_uppercase(), &field[1..]);
        source[if random.one_in(3) { &negated } else { field }] = json!([value]);
    }
    source
}

#[derive(Debug)]
struct Flow {
    client: Client,
    namespace: &'static str,
    app: &'static str,
    port: u16,
    source: IpAddr,
}

impl Flow {
    fn judge(&self, objects: &[Value]) -> &'static str {
        if self.is_strict(objects) && self.client.is_none() {
            return "deny-plaintext";
        }
        let of = |action: &str| -> Vec<&Value> {
            objects
                .iter()
                .filter(|object| {
                    object["kind"] == "AuthorizationPolicy" && object["spec"]["action"] == action
                })
                .filter(|object| object["metadata"]["annotations"].is_null() && self.is_covered(object))
                .collect()
        };
        let any = |policies: &[&Value]| policies.iter().any(|policy| self.matches(policy));
        let (custom, deny, allow) = (of("CUSTOM"), of("DENY"), of("ALLOW"));
        match () {
            () if any(&custom) => "external",
            () if any(&deny) => "deny-rule",
            () if allow.is_empty() => "not-covered",
            () if any(&allow) => "allow",
            () => "deny-default",
        }
    }

    fn has_labels(&self, object: &Value) -> bool {
        let wanted = &object["spec"]["selector"]["matchLabels"]["app"];
        wanted.is_null() || *wanted == self.app
    }

    /// Without a selector, policies of the root namespace are about every workload.
    fn is_covered(&self, object: &Value) -> bool {
        let namespace = &object["metadata"]["namespace"];
        let is_for_all = object["spec"]["selector"].is_null() && *namespace == ROOT_NAMESPACE;
        is_for_all || (*namespace == self.namespace && self.has_labels(object))
    }

    /// From the workload's port up to the mesh, the first mode that is set.
    fn is_strict(&self, objects: &[Value]) -> bool {
        let of = |namespace: &str, has_selector: bool| {
            objects.iter().find(|object| {
                object["kind"] == "PeerAuthentication"
                    && object["metadata"]["namespace"] == namespace
                    && object["spec"]["selector"].is_object() == has_selector
                    && self.has_labels(object)
            })
        };
        let own = of(self.namespace, true);
        let port = self.port.to_string();
        let modes = [
            own.map(|object| &object["spec"]["portLevelMtls"][&port]["mode"]),
            own.map(|object| &object["spec"]["mtls"]["mode"]),
            of(self.namespace, false).map(|object| &object["spec"]["mtls"]["mode"]),
            of(ROOT_NAMESPACE, false).map(|object| &object["spec"]["mtls"]["mode"]),
        ];
        let set = modes.into_iter().flatten().filter_map(Value::as_str).find(|mode| *mode != "UNSET");
        set == Some("STRICT")
    }

    fn matches(&self, policy: &Value) -> bool {
        let rules = policy["spec"]["rules"].as_array().into_iter().flatten();
        let own = policy["metadata"]["namespace"].as_str().unwrap_or_default();
        let any = |rule: &Value, list: &str, inner: &str| {
            rule[list].as_array().is_none_or(|entries| {
                entries.iter().any(|entry| {
                    let fields = entry[inner].as_object().into_iter().flatten();
                    fields.into_iter().all(|(field, values)| self.holds(field, values, own))
                })
            })
        };
        rules.into_iter().any(|rule| {
            let when = rule["when"].as_array().into_iter().flatten().all(|condition| {
                let is_empty = |field: &str| condition[field].is_null();
                (is_empty("values") || self.holds("namespaces", &condition["values"], own))
                    && (is_empty("notValues") || self.holds("notNamespaces", &condition["notValues"], own))
            });
            any(rule, "from", "source") && any(rule, "to", "operation") && when
        })
    }

    fn holds(&self, field: &str, values: &Value, own_namespace: &str) -> bool {
        let values = || values.as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(rest) = field.strip_prefix("not") {
            let positive = format!("{}{}", rest[..1].to_lowercase(), &rest[1..]);
            return !values().any(|value| self.is(&positive, value, own_namespace));
        }
        values().any(|value| self.is(field, value, own_namespace))
    }

    fn is(&self, field: &str, value: &str, own_namespace: &str) -> bool {
        let like = |text: &str| match (value.strip_prefix('*'), value.strip_suffix('*')) {
            (Some(end), _) => !text.is_empty() && text.ends_with(end),
            (_, Some(start)) => text.starts_with(start),
            _ => text == value,
        };
        match field {
            "ports" => value == self.port.to_string(),
            "ipBlocks" => match value {
                "10.0.0.0/8" => self.source.to_string().starts_with("10."),
                "10.0.0.0/16" => self.source.to_string().starts_with("10.0."),
                address => self.source.to_string() == address,
            },
            _ => self.client.is_some_and(|(namespace, account)| match field {
                "namespaces" => like(namespace),
                "principals" => like(&format!("td/ns/{namespace}/sa/{account}")),
                _ if value.contains('/') => value == format!("{namespace}/{account}"),
                _ => value == account && namespace == own_namespace,
            }),
        }
    }
}
