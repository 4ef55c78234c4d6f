//! Security events in one line: what, on what, with which result, by whom.

use serde_json::Value;

use super::field::{binary_name, number, process, text};

/// The operation with what it was done to.
pub(in crate::command) fn subject(record: &Value) -> String {
    let parts = match text(record, "/type") {
        "file" => file(record),
        "credentials" => credentials(record),
        "capability" => vec![text(record, "/capability").to_owned()],
        "namespace" => namespace(record),
        "kernel" => kernel(record),
        "memory" => memory(record),
        "socket" => socket(record),
        "signal" => vec![
            match text(record, "/name") {
                "" => number(record, "/signal").to_string(),
                name => name.to_owned(),
            },
            target(record),
            text(record, "/outcome").to_owned(),
        ],
        "api-access" => vec![
            text(record, "/request/method").to_owned(),
            text(record, "/request/path").to_owned(),
            text(record, "/request/query").to_owned(),
        ],
        "stdio" => vec![
            format!(
                "{} {} → {}",
                text(record, "/family"),
                integer(record, "/from_fd"),
                integer(record, "/to_fd")
            ),
            arrow(text(record, "/remote")),
        ],
        _ => Vec::new(),
    };
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// The error's name, the result where it says something, nothing where all went well or nothing is known.
pub(in crate::command) fn result(record: &Value) -> String {
    match (text(record, "/error"), record.pointer("/result").and_then(Value::as_i64)) {
        ("", Some(0) | None) => String::new(),
        ("", Some(result)) if result > 0 => String::new(),
        ("", Some(result)) => result.to_string(),
        (error, _) => error.to_owned(),
    }
}

/// `sshd › bash › cat[123]`: the oldest ancestor first, the actor last.
pub(super) fn ancestry(record: &Value) -> String {
    let ancestors = record.pointer("/ancestors").and_then(Value::as_array);
    let names = ancestors.into_iter().flatten().rev().map(|ancestor| binary_name(ancestor).to_owned());
    let mut line: Vec<_> = names.collect();
    line.push(process(record.pointer("/process")));
    line.join(" › ")
}

fn file(record: &Value) -> Vec<String> {
    let owner = |pointer| record.pointer(pointer).map(Value::to_string).unwrap_or_default();
    let change = match text(record, "/operation") {
        "chmod" => text(record, "/new_mode").to_owned(),
        "chown" => format!("{}:{}", owner("/new_uid"), owner("/new_gid")),
        "setxattr" => text(record, "/attribute").to_owned(),
        "truncate" => format!("{} bytes", number(record, "/length")),
        "open" => list(record, "/access", ","),
        "mmap-exec" => list(record, "/protection", ","),
        "symlink" => arrow(text(record, "/target")),
        _ => arrow(text(record, "/new_path")),
    };
    vec![text(record, "/path").to_owned(), change]
}

fn credentials(record: &Value) -> Vec<String> {
    let change = |name: &str| {
        let new = record.pointer(&format!("/new/{name}"));
        let old = record.pointer(&format!("/old/{name}"));
        match (old, new) {
            (Some(old), Some(new)) if old != new => format!("{name} {old} → {new}"),
            (None, Some(new)) if matches!(name, "uid" | "euid") => format!("{name} {new}"),
            _ => String::new(),
        }
    };
    let mut parts: Vec<_> =
        ["uid", "euid", "suid", "fsuid", "gid", "egid", "sgid", "fsgid"].map(change).into();
    let gained = list(record, "/gained", ",");
    if !gained.is_empty() {
        parts.push(format!("+{gained}"));
    }
    parts
}

fn namespace(record: &Value) -> Vec<String> {
    vec![
        text(record, "/fs_type").to_owned(),
        text(record, "/source").to_owned(),
        arrow(text(record, "/target")),
        list(record, "/flags", "|"),
    ]
}

fn kernel(record: &Value) -> Vec<String> {
    let kind = ["/program_type", "/map_type", "/event_type"].into_iter().find_map(|pointer| {
        let kind = record.pointer(pointer)?;
        Some(match text(kind, "/name") {
            "" => number(kind, "/number").to_string(),
            name => name.to_owned(),
        })
    });
    let named = |label: &str, pointer: &str| {
        record.pointer(pointer).map(|number| format!("{label} {number}")).unwrap_or_default()
    };
    let command = if kind.is_some() { String::new() } else { named("command", "/command") };
    vec![
        kind.unwrap_or_default(),
        text(record, "/name").to_owned(),
        command,
        named("pid", "/target_pid"),
        named("cpu", "/cpu"),
    ]
}

fn memory(record: &Value) -> Vec<String> {
    let was_writable = match record.pointer("/was_writable").and_then(Value::as_bool) {
        Some(true) => "was writable",
        _ => "",
    };
    vec![
        text(record, "/request").to_owned(),
        text(record, "/name").to_owned(),
        target(record),
        list(record, "/protection", ","),
        was_writable.to_owned(),
        list(record, "/flags", "|"),
        text(record, "/address").to_owned(),
    ]
}

fn socket(record: &Value) -> Vec<String> {
    let address = match (text(record, "/address"), record.pointer("/port")) {
        ("", _) | (_, None) => String::new(),
        (ip, Some(port)) if ip.contains(':') => format!("[{ip}]:{port}"),
        (ip, Some(port)) => format!("{ip}:{port}"),
    };
    vec![
        format!("{}/{}", text(record, "/family"), text(record, "/socket_type")),
        address,
        text(record, "/path").to_owned(),
    ]
}

fn target(record: &Value) -> String {
    match (record.pointer("/target"), record.pointer("/target_ns_pid")) {
        (Some(target), _) => {
            let pod = super::field::pod(target.pointer("/pod")).map(|pod| format!(" in {pod}"));
            format!("→ {}{}", process(Some(target)), pod.unwrap_or_default())
        }
        (None, Some(ns_pid)) => format!("→ ?[{ns_pid} in its namespace]"),
        (None, None) => String::new(),
    }
}

fn arrow(to: &str) -> String {
    if to.is_empty() { String::new() } else { format!("→ {to}") }
}

fn list(record: &Value, pointer: &str, separator: &str) -> String {
    let texts = record.pointer(pointer).and_then(Value::as_array);
    texts.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(separator)
}

fn integer(record: &Value, pointer: &str) -> i64 {
    record.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn subjects_are_short() {
        for (record, expected) in [
            (
                json!({"type": "file", "operation": "open", "path": "/etc/shadow", "access": ["read"]}),
                "/etc/shadow read",
            ),
            (json!({"type": "file", "operation": "rename", "path": "/a", "new_path": "/b"}), "/a → /b"),
            (json!({"type": "file", "operation": "chmod", "path": "/a", "new_mode": "4755"}), "/a 4755"),
            (json!({"type": "file", "operation": "chown", "path": "/a", "new_uid": 0}), "/a 0:"),
            (json!({"type": "file", "operation": "unlink", "path": "/a"}), "/a"),
            (
                json!({"type": "credentials", "old": {"uid": 1000, "euid": 0}, "new": {"uid": 0, "euid": 0},
                       "gained": ["CAP_SYS_ADMIN"]}),
                "uid 1000 → 0 +CAP_SYS_ADMIN",
            ),
            (json!({"type": "credentials", "new": {"uid": 0, "euid": 0}}), "uid 0 euid 0"),
            (json!({"type": "capability", "capability": "CAP_BPF"}), "CAP_BPF"),
            (
                json!({"type": "namespace", "source": "/a", "target": "/b", "flags": ["MS_BIND", "MS_REC"]}),
                "/a → /b MS_BIND|MS_REC",
            ),
            (
                json!({"type": "kernel", "program_type": {"number": 2, "name": "kprobe"}, "name": "x", "command": 5}),
                "kprobe x",
            ),
            (
                json!({"type": "memory", "request": "PTRACE_ATTACH",
                       "target": {"pid": 5, "binary": "/usr/sbin/nginx", "pod": {"namespace": "a", "name": "b"}}}),
                "PTRACE_ATTACH → nginx[5] in a/b",
            ),
            (
                json!({"type": "memory", "request": "PTRACE_SEIZE", "target_ns_pid": 5}),
                "PTRACE_SEIZE → ?[5 in its namespace]",
            ),
            (
                json!({"type": "socket", "family": "inet6", "socket_type": "stream", "address": "::", "port": 80}),
                "inet6/stream [::]:80",
            ),
            (
                json!({"type": "signal", "name": "SIGKILL", "outcome": "delivered", "target": {"pid": 5}}),
                "SIGKILL → ?[5] delivered",
            ),
            (
                json!({"type": "stdio", "family": "inet", "from_fd": 3, "to_fd": 0, "remote": "203.0.113.9:4444"}),
                "inet 3 → 0 → 203.0.113.9:4444",
            ),
        ] {
            assert_eq!(subject(&record), expected);
        }
    }

    #[test]
    fn results_are_told_where_they_say_something() {
        for (record, expected) in [
            (json!({"result": -13, "error": "EACCES"}), "EACCES"),
            (json!({"result": 0}), ""),
            (json!({"result": 7}), ""),
            (json!({"result": -9999}), "-9999"),
            (json!({}), ""),
        ] {
            assert_eq!(result(&record), expected);
        }
    }

    #[test]
    fn the_line_of_ancestors_ends_with_the_actor() {
        let record = json!({
            "process": {"pid": 123, "binary": "/bin/cat"},
            "ancestors": [{"pid": 2, "binary": "/bin/bash"}, {"pid": 1, "binary": "/usr/sbin/sshd"}],
        });
        assert_eq!(ancestry(&record), "sshd › bash › cat[123]");
    }
}
