//! The table of processes.

use serde_json::Value;

use super::table::Table;

/// More are counted, not shown.
const ROWS_MAX: usize = 20;

/// The programs that were started in pods.
pub(super) fn table(records: &[Value]) -> String {
    let is_exec = |record: &&Value| record["type"] == "process" && record["action"] == "exec";
    let in_pods = records.iter().filter(is_exec).filter(|record| record["process"]["pod"].is_object());
    let rows: Vec<Vec<String>> = in_pods.map(|record| row(&record["process"], &record["parent"])).collect();
    let mut table = Table::new(["POD", "PID", "PROGRAM", "ARGUMENTS", "PARENT"]);
    for row in rows.iter().take(ROWS_MAX) {
        table.row(row.clone());
    }
    let mut text = table.finish();
    if rows.len() > ROWS_MAX {
        text.push_str(&format!("  … and {} more\n", rows.len() - ROWS_MAX));
    }
    text
}

fn row(process: &Value, parent: &Value) -> Vec<String> {
    let arguments = process["args"].as_array().into_iter().flatten().skip(1).filter_map(Value::as_str);
    vec![
        pod(&process["pod"]).unwrap_or_default(),
        process["pid"].to_string(),
        base_name(process),
        shortened(&arguments.collect::<Vec<_>>().join(" ")),
        base_name(parent),
    ]
}

/// `namespace/name`, for what is in a pod.
pub(super) fn pod(view: &Value) -> Option<String> {
    Some(format!("{}/{}", view["namespace"].as_str()?, view["name"].as_str()?))
}

/// The program's name without its folder; `-` where it is not known.
pub(super) fn base_name(process: &Value) -> String {
    let path = process["binary"].as_str().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() { "-".to_owned() } else { name.to_owned() }
}

fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARACTERS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn programs_in_pods_are_shown_and_others_are_not() {
        let process = |pod: Value| {
            json!({"type": "process", "action": "exec", "parent": {"binary": "/bin/sh"},
                "process": {"pid": 7, "binary": "/usr/bin/redis-cli", "args": ["redis-cli", "PING"], "pod": pod}})
        };
        let text = table(&[process(json!({"namespace": "shop", "name": "api"})), process(Value::Null)]);
        assert_eq!(text.lines().count(), 2);
        let cells: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(cells, ["shop/api", "7", "redis-cli", "PING", "sh"]);
    }
}
