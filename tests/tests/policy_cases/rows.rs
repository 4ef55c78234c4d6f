//! Rows of kube-network-policies' unit tests: one IP block or one list of ports each.

use libtest_mimic::Completion;
use serde_json::{Value, json};
use watchfire_model::Dialect;
use watchfire_policy::cases::CaseFile;
use watchfire_policy::parse_documents;

/// One row, and what is to be made of it.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) check: Box<dyn FnOnce(&str) -> Completion + Send>,
}

#[derive(Clone, Copy)]
enum Reading {
    /// The engine has to agree.
    Agree,
    /// The API server refuses the object, with this reason, and so do we.
    Refuse(&'static str),
    /// Cannot be asked of this engine, for this reason.
    Skip(&'static str),
}

/// Rows by position, since names repeat across the lists.
const BLOCKS: [(&str, Reading); 5] = [
    ("empty", Reading::Skip("neither a block nor an address: the API refuses an entry with nothing in it")),
    ("match cidr", Reading::Agree),
    ("no match cidr", Reading::Agree),
    ("match cidr and not except", Reading::Refuse("does not lie strictly inside")),
    ("match cidr and  except", Reading::Refuse("does not lie strictly inside")),
];
const OUT_OF_RANGE: Reading = Reading::Refuse("expected a port from 1 to 65535, found 65537");
const PORTS: [(&str, Reading); 11] = [
    ("empty", Reading::Agree),
    ("match TCP", Reading::Agree),
    ("match UDP", Reading::Agree),
    ("no match TCP", Reading::Agree),
    ("no match UDP", Reading::Agree),
    ("match TCP range", OUT_OF_RANGE),
    ("match UDP range", OUT_OF_RANGE),
    ("no match TCP range", OUT_OF_RANGE),
    ("no match UDP range", OUT_OF_RANGE),
    ("match TCP named port", Reading::Agree),
    (
        "no match UDP named port",
        Reading::Skip(
            "the row asks the same as the one before it and expects the opposite; upstream's rule says UDP",
        ),
    ),
];

/// All rows, by the lists they stand in.
pub(crate) fn rows() -> Vec<Row> {
    let list = |list: &'static str, rows: &'static [(&str, Reading)]| {
        rows.iter().enumerate().map(move |(index, &(name, reading))| Row {
            name: format!("upstream_{list}_{}", name.split_whitespace().collect::<Vec<_>>().join("_")),
            check: Box::new(move |text| check(text, list, rows.len(), index, name, reading)),
        })
    };
    list("ipblock", &BLOCKS).chain(list("ports", &PORTS)).collect()
}

fn check(text: &str, list: &str, rows: usize, index: usize, name: &str, reading: Reading) -> Completion {
    let file: Value = serde_json::from_str(text).expect("the file is JSON");
    assert_eq!(file[list].as_array().expect("the file holds the list").len(), rows, "rows of {list}");
    let row = &file[list][index];
    assert_eq!(row["name"], name);
    let rule = match list {
        "ipblock" => json!({"from": [{"ipBlock": row["ipBlock"]}]}),
        _ => json!({"ports": row["networkPolicyPorts"]}),
    };
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "row", "namespace": "b"},
        "spec": {"ingress": [rule]},
    });
    match reading {
        Reading::Skip(reason) => return Completion::ignored_with(reason),
        Reading::Refuse(reason) => {
            let parsed = parse_documents(name, &policy.to_string());
            assert!(parsed.policies.is_empty());
            assert!(parsed.rejected[0].reason.contains(reason), "{}", parsed.rejected[0]);
        }
        Reading::Agree => {
            let server = match &row["pod"] {
                Value::Null => json!({"namespace": "b", "name": "a", "ip": "203.0.113.1"}),
                pod => pod.clone(),
            };
            let case = json!({"cases": [{
                "id": name,
                "pods": [server],
                "policies": [policy],
                "probes": [{
                    "from": {"ip": row["ip"].as_str().unwrap_or("198.51.100.1")},
                    "to": "b/a",
                    "proto": row["protocol"].as_str().unwrap_or("TCP"),
                    "port": row["port"].as_u64().unwrap_or(1),
                    "expect": if row["want"] == true { "allow" } else { "deny" },
                }],
            }]});
            let report = CaseFile::parse(&case.to_string()).expect("the row makes a case").run(Dialect::K8s);
            assert!(report.mismatches.is_empty(), "{}", report.mismatches[0]);
            assert_eq!(report.probes, 1);
        }
    }
    Completion::Completed
}
