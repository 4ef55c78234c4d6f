//! The world of a case as a state: what it says, told as objects of the Kubernetes API.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use watchfire_model::Dialect;
use watchfire_policy::{CiliumOptions, Rejection, Service, parse_object, parse_values};

use super::State;
use super::read::Objects;
use crate::yaml_files;

/// What a case takes from its file where it has none of its own.
const SHARED: [&str; 7] = ["namespaces", "pods", "nodes", "services", "names", "api_server", "options"];

impl State {
    /// The world of a case of a file: `FILE`, or `FILE#ID` where it has several.
    pub(in super::super) fn of_case(which: &str, dialect: Option<Dialect>) -> Result<Self> {
        let (path, id) = match which.split_once('#') {
            Some((path, id)) => (path, Some(id)),
            None => (which, None),
        };
        let text = yaml_files::read(path.as_ref())?;
        let (values, rejected) = parse_values(path, &text);
        if let Some(rejection) = rejected.first() {
            bail!("{rejection}");
        }
        let [(_, file)] = values.as_slice() else { bail!("{path}: not a case file: expected one document") };
        let case = case(file, id).with_context(|| path.to_owned())?;
        let name = format!("{path}#{}", title(&case));
        let written = match file.get("dialect").and_then(Value::as_str) {
            Some("cilium") => Some(Dialect::Cilium),
            Some("k8s") => Some(Dialect::K8s),
            _ => None,
        };
        let mut objects = Objects::default();
        for (index, object) in list(&case, "policies").enumerate() {
            match parse_object(object.clone()) {
                Ok(Some(policy)) => {
                    objects.policies.push((policy, Some(format!("{name} policies[{index}]"))));
                }
                Ok(None) => {}
                Err(reason) => objects.mistakes.push(Rejection {
                    file: format!("{name} policies[{index}]"),
                    line: 1,
                    object: watchfire_policy::ObjectId::default(),
                    reason,
                }),
            }
        }
        for object in world(&case) {
            objects.other(object).map_err(|reason| anyhow::anyhow!("{name}: {reason}"))?;
        }
        facts(&case, &mut objects).with_context(|| name.clone())?;
        let options = options(&case).with_context(|| name.clone())?;
        Ok(objects.into_state(dialect.or(written), options))
    }
}

fn title(case: &Value) -> String {
    ["id", "name"].iter().find_map(|key| case.get(*key)?.as_str()).unwrap_or("0").to_owned()
}

fn case(file: &Value, id: Option<&str>) -> Result<Value> {
    let Some(cases) = file.get("cases").and_then(Value::as_array) else {
        bail!("not a case file: it has no \"cases\"");
    };
    let mut case = match (id, cases.as_slice()) {
        (None, [only]) => only.clone(),
        (None, cases) => bail!("it has {} cases; name one as FILE#ID", cases.len()),
        (Some(id), cases) => {
            let found = cases.iter().find(|case| title(case) == id);
            found.cloned().with_context(|| format!("no case has the id {id}"))?
        }
    };
    let Some(fields) = case.as_object_mut() else { bail!("case {}: expected a map", id.unwrap_or("0")) };
    for key in SHARED {
        if let (Some(shared), false) = (file.get(key), fields.contains_key(key)) {
            fields.insert(key.to_owned(), shared.clone());
        }
    }
    Ok(case)
}

fn list<'a>(case: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    case.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Its pods, namespaces and nodes.
fn world(case: &Value) -> Vec<Value> {
    let mut objects = Vec::new();
    let mut described = BTreeSet::new();
    for namespace in list(case, "namespaces") {
        described.insert(namespace["name"].to_string());
        let metadata = json!({ "name": namespace["name"], "labels": namespace["labels"] });
        objects.push(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }));
    }
    for pod in list(case, "pods") {
        // Namespaces that no entry describes have no labels of their own.
        if described.insert(pod["namespace"].to_string()) {
            let metadata = json!({ "name": pod["namespace"] });
            objects.push(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }));
        }
        let ports: Vec<_> = list(pod, "ports")
            .map(|port| json!({ "name": port["name"], "containerPort": port["port"], "protocol": port["protocol"] }))
            .collect();
        let ips = pod.get("ip").into_iter().chain(list(pod, "ips"));
        let ips: Vec<_> = ips.map(|ip| json!({ "ip": ip })).collect();
        objects.push(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "namespace": pod["namespace"], "name": pod["name"], "labels": pod["labels"] },
            "spec": {
                "nodeName": pod["node"], "hostNetwork": pod["hostNetwork"],
                "serviceAccountName": pod["serviceAccount"], "containers": [{ "name": "all", "ports": ports }],
            },
            "status": { "podIPs": ips },
        }));
    }
    for node in list(case, "nodes") {
        let ips = node.get("ip").into_iter().chain(list(node, "ips"));
        let addresses: Vec<_> = ips.map(|ip| json!({ "type": "InternalIP", "address": ip })).collect();
        objects.push(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": node["name"], "labels": node["labels"] },
            "status": { "addresses": addresses },
        }));
    }
    objects
}

fn address(value: &Value) -> Result<IpAddr> {
    let text = value.as_str().with_context(|| format!("expected an address, found {value}"))?;
    text.parse().with_context(|| format!("expected an address, found \"{text}\""))
}

fn facts(case: &Value, objects: &mut Objects) -> Result<()> {
    let facts = &mut objects.facts;
    if case.get("services").is_some() {
        let text = |service: &Value, key: &str| service[key].as_str().unwrap_or_default().to_owned();
        let mut services = Vec::new();
        for service in list(case, "services") {
            services.push(Service {
                namespace: text(service, "namespace"),
                name: text(service, "name"),
                labels: serde_json::from_value(service["labels"].clone()).unwrap_or_default(),
                selector: serde_json::from_value(service["selector"].clone()).unwrap_or_default(),
                backends: list(service, "backends").map(address).collect::<Result<_>>()?,
            });
        }
        facts.services = Some(services);
    }
    if let Some(names) = case.get("names").and_then(Value::as_object) {
        facts.names_are_complete = true;
        for (ip, names) in names {
            let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
            facts.names.insert(address(&Value::from(ip.as_str()))?, names.map(Arc::from).collect());
        }
    }
    if case.get("api_server").is_some() {
        facts.api_server = Some(list(case, "api_server").map(address).collect::<Result<_>>()?);
    }
    Ok(())
}

fn options(case: &Value) -> Result<CiliumOptions> {
    let mut options = CiliumOptions::default();
    for (key, value) in case.get("options").and_then(Value::as_object).into_iter().flatten() {
        let is_on = value.as_bool().with_context(|| format!("options.{key}: expected true or false"))?;
        match key.as_str() {
            "ipv6" => options.ipv6 = is_on,
            "node_selector_labels" => options.node_selector_labels = is_on,
            "extended_protocols" => options.extended_protocols = is_on,
            "deny_localhost" => options.allow_localhost = !is_on,
            _ => bail!("options.{key}: no such option"),
        }
    }
    Ok(options)
}
