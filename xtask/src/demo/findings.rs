//! What the agent found, and one denied flow in all that is known of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::processes::{base_name, pod};
use super::table::Table;

/// What the records of one finding say together.
struct Found<'a> {
    first: &'a Value,
    count: u64,
}

/// The lab's findings, each once, with what they count so far.
pub(super) fn table(records: &[Value]) -> String {
    let mut table = Table::new(["KIND", "SEVERITY", "FLOWS", "WHAT"]);
    for found in findings(records) {
        let Found { first, count } = found;
        let cells = ["kind", "severity"].map(|field| text(&first[field]).to_owned());
        let [kind, severity] = cells;
        table.row(vec![kind, severity, count.to_string(), text(&first["title"]).to_owned()]);
    }
    table.finish()
}

/// Who was denied, to whom, by which policies, and which rule nearly allowed it; empty where nobody was.
pub(super) fn explained(records: &[Value]) -> String {
    let is_explained = |found: &Found<'_>| found.first["policy"]["nearest"].is_object();
    let Some(Found { first, count }) = findings(records).into_iter().find(is_explained) else {
        return String::new();
    };
    let (policy, example) = (&first["policy"], &first["example"]);
    let process = &example["process"];
    let place = pod(&process["pod"]).map(|pod| format!(" in {pod}")).unwrap_or_default();
    let nearest = &policy["nearest"];
    let isolating: Vec<_> = policy["isolating"].as_array().into_iter().flatten().map(name).collect();
    let mut table = Table::new(["", ""]);
    for (what, said) in [
        ("finding", format!("{} {}, {count} flows", text(&first["kind"]), text(&first["id"]))),
        ("who", format!("{}[{}] {}{place}", base_name(process), process["pid"], text(&process["binary"]))),
        ("flow", format!("{} → {}", text(&example["client"]), text(&example["server"]))),
        ("isolated by", format!("{} ({})", isolating.join(", "), text(&policy["direction"]))),
        (
            "nearest",
            format!("{} {}: {}", name(&nearest["policy"]), text(&nearest["path"]), text(&nearest["differs"])),
        ),
    ] {
        table.row(vec![what.to_owned(), said]);
    }
    let shown = table.finish();
    // The heads are empty.
    shown.split_once('\n').map(|(_, rows)| rows.to_owned()).unwrap_or_default()
}

/// How many flows of the lab's pods are counted in findings of a kind.
pub(super) fn count(records: &[Value], kind: &str) -> u64 {
    findings(records).iter().filter(|found| found.first["kind"] == kind).map(|found| found.count).sum()
}

/// Those about the lab's pods, in the order in which they began.
fn findings(records: &[Value]) -> Vec<Found<'_>> {
    let mut order = Vec::new();
    let mut by_id: BTreeMap<&str, Found<'_>> = BTreeMap::new();
    let is_lab =
        |record: &&Value| ["source", "destination"].iter().any(|end| record[end]["namespace"] == "shop");
    for record in records.iter().filter(|record| record["type"] == "finding").filter(is_lab) {
        let id = text(&record["id"]);
        let found = by_id.entry(id).or_insert_with(|| {
            order.push(id);
            Found { first: record, count: 0 }
        });
        found.count += record["count_new"].as_u64().unwrap_or_default();
    }
    order.into_iter().filter_map(|id| by_id.remove(id)).collect()
}

/// `NetworkPolicy/shop/db`
fn name(policy: &Value) -> String {
    format!("{}/{}/{}", text(&policy["kind"]), text(&policy["namespace"]), text(&policy["name"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_finding_is_a_row_and_a_denial_is_explained() {
        let policy = json!({"kind": "NetworkPolicy", "namespace": "shop", "name": "db"});
        let finding = |state: &str, count_new: u64| {
            json!({"type": "finding", "id": "a1", "kind": "policy-violation", "severity": "medium", "state": state,
                "count_new": count_new, "title": "x → y: denied by policy intent",
                "source": {"kind": "pod", "namespace": "shop", "name": "web"},
                "policy": {"direction": "ingress", "isolating": [policy],
                    "nearest": {"policy": policy, "path": "spec.ingress[0]", "differs": "port but not peer"}},
                "example": {"client": "10.0.0.1:7", "server": "10.0.0.2:80", "process": {"pid": 7, "binary": "/bin/nc",
                    "pod": {"namespace": "shop", "name": "web"}}}})
        };
        let mut elsewhere = finding("new", 9);
        elsewhere["source"] = Value::Null;
        let records = [finding("new", 1), finding("ongoing", 2), elsewhere];
        assert_eq!(count(&records, "policy-violation"), 3);
        let row: Vec<_> =
            table(&records).lines().nth(1).unwrap().split_whitespace().map(str::to_owned).collect();
        assert_eq!(row[..3], ["policy-violation", "medium", "3"]);
        let lines: Vec<_> = explained(&records).lines().map(|line| line.trim().to_owned()).collect();
        assert_eq!(lines[1], "who          nc[7] /bin/nc in shop/web");
        assert_eq!(lines[4], "nearest      NetworkPolicy/shop/db spec.ingress[0]: port but not peer");
        assert_eq!(explained(&[]), "");
    }
}
