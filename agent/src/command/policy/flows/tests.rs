use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use watchfire_ledger::{Ledger, LedgerConfig};
use watchfire_model::Dialect;
use watchfire_policy::World as _;

use super::*;

fn state() -> State {
    let pod = |name: &str, ip: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "namespace": "shop", "name": name,
                "ownerReferences": [{ "kind": "StatefulSet", "name": &name[..3], "controller": true }],
            },
            "status": { "podIP": ip },
        })
    };
    State::of_objects(vec![pod("web-1", "10.0.0.1"), pod("api-1", "10.0.0.2")], Dialect::K8s)
}

fn end(address: &str, kind: &str, pod: Option<&str>) -> Value {
    let mut end = json!({ "address": address, "kind": kind });
    if let Some(name) = pod {
        let workload = json!({ "kind": "StatefulSet", "name": &name[..3] });
        end["pod"] = json!({ "namespace": "shop", "name": name, "workload": workload });
    }
    end
}

fn record(stage: &str, cookie: u64, client: Value, server: Value) -> Value {
    json!({
        "time": "2026-01-02T03:04:06Z", "boot_ns": 1, "node": "a", "type": "flow", "stage": stage, "cookie": cookie,
        "protocol": "TCP", "client": client, "server": server, "opened": format!("2026-01-02T03:04:{cookie:02}Z"),
    })
}

fn read(state: &mut State, records: &[Value]) -> Result<Flows> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    fs::write(&file, lines).unwrap();
    FlowArgs { flow_files: vec![file], ..FlowArgs::default() }.read(state)
}

#[test]
fn records_of_one_flow_count_once_and_flows_of_the_same_ends_are_one_connection() {
    let (web, api) = (end("10.0.0.1:4000", "pod", Some("web-1")), end("10.0.0.2:80", "pod", Some("api-1")));
    let other_port = end("10.0.0.1:4001", "pod", Some("web-1"));
    let records = [
        record("open", 1, web.clone(), api.clone()),
        record("close", 1, web.clone(), api.clone()),
        record("failed", 2, other_port, api),
        record("failed", 3, web, end("10.0.0.2:81", "pod", Some("api-1"))),
    ];
    let mut state = state();
    let flows = read(&mut state, &records).unwrap();
    let told: Vec<_> = flows.seen.iter().map(|seen| (seen.talk.port, seen.flows, seen.established)).collect();
    assert_eq!((flows.records, told), (4, vec![(80, 2, true), (81, 1, false)]));
    let first = &flows.seen[0];
    assert_eq!(
        (first.first.to_string(), first.last.to_string()),
        ("2026-01-02T03:04:01.000000000Z".to_owned(), "2026-01-02T03:04:02.000000000Z".to_owned(),)
    );
}

#[test]
fn ends_are_who_they_are_now() {
    let mut api = end("10.96.0.9:80", "pod", Some("api-1"));
    api["backend"] = json!({ "address": "10.0.0.2:8080", "by": "conntrack" });
    let mut named = end("203.0.113.7:443", "world", None);
    named["names"] = json!(["a.example.com"]);
    let records = [
        // The pod is gone, and another of its workload has another address.
        record("close", 1, end("10.0.0.77:4000", "pod", Some("web-7")), api),
        record("close", 2, end("10.0.0.78:4000", "pod", Some("old-1")), named),
        record("close", 3, end("192.168.0.1:4000", "node", None), end("10.0.0.2:80", "unresolved", None)),
    ];
    let mut state = state();
    let flows = read(&mut state, &records).unwrap();
    let talk = |index: usize| &flows.seen[index].talk;
    let title = |party: &Party| party.peer.pod().map(|pod| pod.title());
    assert_eq!(title(&talk(0).client).as_deref(), Some("shop/web-1"));
    assert_eq!(
        (talk(0).client.ip, talk(0).server.ip, talk(0).port),
        ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), 8080,)
    );
    assert!(matches!(talk(1).client.peer, Peer::Unresolved(_)) && talk(1).server.peer == Peer::World);
    assert!(
        matches!(talk(2).client.peer, Peer::Node { .. })
            && matches!(talk(2).server.peer, Peer::Unresolved(_))
    );
    let names = state.names("203.0.113.7".parse().unwrap()).unwrap();
    assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["a.example.com"]);
}

#[test]
fn a_log_that_is_none_is_refused() {
    let mut state = state();
    let said = |records: &[Value], state: &mut State| match read(state, records) {
        Ok(_) => panic!("{records:?}"),
        Err(error) => error.to_string(),
    };
    assert!(said(&[], &mut state).contains("no flow record is in it"));
    let mut wrong = record("close", 1, end("10.0.0.1:1", "pod", None), end("10.0.0.2:1", "pod", None));
    wrong["opened"] = "yesterday".into();
    assert!(
        said(&[wrong], &mut state)
            .contains("a flow record is not as an agent writes it: expected an RFC 3339 time")
    );
    let error =
        FlowArgs { flow_files: vec!["/nowhere/events.jsonl".into()], ..FlowArgs::default() }.read(&mut state);
    assert!(
        error.is_err_and(
            |error| format!("{error:#}").starts_with("--flows: cannot open /nowhere/events.jsonl")
        )
    );
}

#[test]
fn a_ledger_tells_what_a_log_tells() {
    let (web, api) = (end("10.0.0.1:4000", "pod", Some("web-1")), end("10.0.0.2:80", "pod", Some("api-1")));
    let mut records = [record("close", 1, web.clone(), api.clone()), record("failed", 2, web, api)];
    records[1]["time"] = "2026-01-02T03:04:09Z".into();
    let lines = records.each_ref().map(Value::to_string);
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = Ledger::open(LedgerConfig::new(dir.path(), "a", "test")).unwrap();
    ledger.append(&lines).1.unwrap();
    ledger.close(Duration::ZERO).unwrap();
    let args = |since: &str, until: Option<&str>| FlowArgs {
        since: Some(since.parse().unwrap()),
        until: until.map(|until| until.parse().unwrap()),
        ledger: dir.path().to_owned(),
        ..FlowArgs::default()
    };
    let (early, late) = ("2026-01-02T03:04:06Z", "2026-01-02T03:04:09Z");
    for (args, expected) in [(args(early, None), 2), (args(late, None), 1), (args(early, Some(early)), 1)] {
        assert!(args.is_given());
        let flows = args.read(&mut state()).unwrap();
        assert_eq!((flows.records, flows.seen.len()), (expected, 1), "{args:?}");
    }
    let refused = |args: FlowArgs| match args.read(&mut state()) {
        Ok(_) => panic!("{args:?}"),
        Err(error) => error.to_string(),
    };
    let nothing = refused(args("2026-01-03T00:00:00Z", None));
    assert!(nothing.starts_with("--ledger ") && nothing.ends_with(": no flow record is in it"), "{nothing}");
    assert!(refused(args(late, Some(early))).contains("is after --until"));
    assert!(refused(FlowArgs::default()).starts_with("give --flows PATH"));
}
