//! The answer in lines for people: what it is, and below it what is known of it.

use std::fmt::Write as _;

use serde_json::Value;

/// Columns before the values.
const LABEL_COLUMNS: usize = 14;

pub(super) fn text(answer: &Value) -> String {
    let mut out = String::new();
    let matches = answer["matches"].as_array().map_or(&[][..], Vec::as_slice);
    for (index, found) in matches.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        match found["kind"].as_str() {
            Some("process") => process(&mut out, found),
            Some("container") => container(&mut out, found),
            Some("pod") => pod(&mut out, found),
            Some("address") => address(&mut out, found),
            _ => _ = writeln!(out, "{found}"),
        }
    }
    if matches.is_empty() {
        let (query, node) = (shown(&answer["query"]), shown(&answer["node"]));
        _ = writeln!(out, "{query}: nobody is known by that on node {node}");
    }
    if answer["truncated"] == true {
        _ = writeln!(out, "\nThere are more.");
    }
    out
}

fn process(out: &mut String, found: &Value) {
    let process = &found["process"];
    let state = if found["running"] == true { "running" } else { "ended" };
    _ = writeln!(out, "process {} {} ({state})", shown(&process["pid"]), shown(&process["binary"]));
    line(out, "exec id", &process["exec_id"]);
    if process["args"].as_array().is_some_and(|args| !args.is_empty()) {
        field(out, "arguments", &joined(&process["args"], " "));
    }
    line(out, "directory", &process["cwd"]);
    let (uid, euid, gid) = (shown(&process["uid"]), shown(&process["euid"]), shown(&process["gid"]));
    field(out, "user", &format!("uid {uid}, euid {euid}, gid {gid}"));
    line(out, "pod", &pod_name(&process["pod"]));
    line(out, "workload", &workload(&process["pod"]));
    line(out, "container", &container_name(&process["container"]));
    line(out, "image", &process["container"]["image"]);
    line(out, "unit", &process["unit"]);
    line(out, "cgroup", &process["cgroup"]);
    line(out, "known from", &found["from"]);
    for ancestor in found["ancestors"].as_array().into_iter().flatten() {
        field(out, "child of", &format!("{} {}", shown(&ancestor["pid"]), shown(&ancestor["binary"])));
    }
}

fn container(out: &mut String, found: &Value) {
    let container = &found["container"];
    _ = writeln!(out, "container {}", shown(&container["id"]));
    line(out, "name", &container["name"]);
    line(out, "image", &container["image"]);
    line(out, "digest", &container["image_digest"]);
    line(out, "runtime", &found["runtime"]);
    line(out, "privileged", &container["privileged"]);
    if container["sandbox"] == true {
        field(out, "role", "sandbox of its pod");
    }
    line(out, "pod", &pod_name(&found["pod"]));
    line(out, "workload", &workload(&found["pod"]));
    for mount in found["mounts"].as_array().into_iter().flatten() {
        field(out, "mount", &shown(mount));
    }
    line(out, "processes", &joined(&found["processes"], " ").into());
    line(out, "known from", &found["from"]);
}

fn pod(out: &mut String, found: &Value) {
    let gone = if found["gone"] == true { " (gone)" } else { "" };
    _ = writeln!(out, "pod {}{gone}", shown(&pod_name(&found["pod"])));
    line(out, "uid", &found["pod"]["uid"]);
    line(out, "workload", &workload(&found["pod"]));
    line(out, "account", &found["pod"]["service_account"]);
    line(out, "node", &found["node"]);
    if found["host_network"] == true {
        field(out, "network", "the node's own");
    }
    line(out, "addresses", &joined(&found["ips"], " ").into());
    for (key, value) in found["labels"].as_object().into_iter().flatten() {
        field(out, "label", &format!("{key}={}", shown(value)));
    }
    for container in found["containers"].as_array().into_iter().flatten() {
        field(out, "container", &shown(&container_name(container)));
    }
    line(out, "processes", &joined(&found["processes"], " ").into());
    line(out, "known from", &found["from"]);
}

fn address(out: &mut String, found: &Value) {
    let what = match found["end"].as_str() {
        Some("world") => "outside of the cluster".to_owned(),
        Some("pod") => format!("pod {}", shown(&pod_name(&found["pod"]))),
        Some(end) => format!("{end}: {}", shown(&found["detail"])),
        None => String::new(),
    };
    _ = writeln!(out, "address {}: {what}", shown(&found["address"]));
    line(out, "workload", &workload(&found["pod"]));
    for service in found["services"].as_array().into_iter().flatten() {
        field(out, "service", &shown(service));
    }
    for name in found["names"].as_array().into_iter().flatten() {
        field(out, "name", &shown(name));
    }
    if found["api_server"] == true {
        field(out, "role", "API server of the cluster");
    }
    if found["in_cluster_range"] == true {
        field(out, "range", "of the cluster's pods");
    }
}

fn pod_name(pod: &Value) -> Value {
    match (pod["namespace"].as_str(), pod["name"].as_str()) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}").into(),
        _ => Value::Null,
    }
}

fn workload(pod: &Value) -> Value {
    match (pod["workload"]["kind"].as_str(), pod["workload"]["name"].as_str()) {
        (Some(kind), Some(name)) => format!("{kind} {name}").into(),
        _ => Value::Null,
    }
}

fn container_name(container: &Value) -> Value {
    const ID_COLUMNS: usize = 12;
    let Some(id) = container["id"].as_str() else { return Value::Null };
    let id: String = id.chars().take(ID_COLUMNS).collect();
    let name = match container["name"].as_str() {
        _ if container["sandbox"] == true => "sandbox",
        Some(name) => name,
        None => "",
    };
    format!("{name} {id}").trim().into()
}

/// Leaves out what is not known.
fn line(out: &mut String, label: &str, value: &Value) {
    let value = shown(value);
    if !value.is_empty() {
        field(out, label, &value);
    }
}

fn field(out: &mut String, label: &str, value: &str) {
    _ = writeln!(out, "  {label:LABEL_COLUMNS$}{value}");
}

fn joined(values: &Value, by: &str) -> String {
    let values = values.as_array().map_or(&[][..], Vec::as_slice);
    values.iter().map(shown).collect::<Vec<_>>().join(by)
}

/// As text, without what terminals take for commands.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_stands_below_what_it_is() {
        let answer = json!({
            "query": "7", "node": "a",
            "matches": [
                {"kind": "process", "running": true, "from": "kernel", "ancestors": [{"pid": 1, "binary": "/init"}],
                 "process": {"pid": 7, "binary": "/bin/sh", "exec_id": "x", "args": ["sh", "-c", "a\u{1b}[31m"], "cwd": "/",
                             "uid": 0, "euid": 0, "gid": 0, "pod": {"namespace": "shop", "name": "web",
                             "workload": {"kind": "Deployment", "name": "web"}},
                             "container": {"id": "0123456789abcdef", "name": "app", "image": "busybox"}}},
                {"kind": "address", "address": "10.0.0.1", "end": "unresolved", "detail": "nobody has it",
                 "services": ["shop/web:80 TCP"], "names": [], "in_cluster_range": true, "api_server": false},
            ],
        });
        let text = text(&answer);
        for expected in [
            "process 7 /bin/sh (running)\n",
            "  pod           shop/web\n",
            "  workload      Deployment web\n",
            "  container     app 0123456789ab\n",
            "  arguments     sh -c a\u{fffd}[31m\n",
            "  child of      1 /init\n",
            "\n\naddress 10.0.0.1: unresolved: nobody has it\n",
            "  service       shop/web:80 TCP\n",
        ] {
            assert!(text.contains(expected), "{expected:?} in:\n{text}");
        }
    }

    #[test]
    fn nobody_is_said_to_be_nobody() {
        let text = text(&json!({"query": "10", "node": "a", "matches": []}));
        assert_eq!(text, "10: nobody is known by that on node a\n");
    }
}
