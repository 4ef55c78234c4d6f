use watchfire_model::Dialect;

use super::*;

const MS: u64 = 1_000_000;

fn object(kind: ResourceKind, name: &str, spec: &str) -> Change {
    let api_version = kind.api_version(kind.versions()[0]);
    let text = format!(
        r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{{"name":"{name}","namespace":"shop"}},"spec":{spec}}}"#
    );
    Change::Apply(Box::new(Object::Policy(PolicyObject {
        kind,
        key: ObjectKey { namespace: "shop".to_owned(), name: name.to_owned(), uid: String::new() },
        value: serde_json::from_str(&text).unwrap(),
    })))
}

fn policy(name: &str, spec: &str) -> Change {
    object(ResourceKind::NetworkPolicy, name, spec)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey { namespace: "shop".to_owned(), name: name.to_owned(), uid: String::new() }
}

/// Policies and the time.
struct Bench(Policies, u64);

impl Bench {
    fn new(choice: DialectChoice) -> Self {
        let reading = Reading { choice, cilium: CiliumOptions::default() };
        Self(Policies::new(reading, PolicyFiles::default(), PolicyFiles::default()), 0)
    }

    fn take(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.0.take(Source::Api, &change);
        }
    }

    /// After long enough.
    fn settled(&mut self) -> (u64, Vec<String>) {
        self.1 = self.0.settle_after_ns.max(self.1 + 1);
        self.0.settle(self.1, false);
        let epoch = self.0.epochs().current();
        let names = epoch.set.policies().iter().map(|policy| policy.reference().name.clone());
        (epoch.number, names.collect())
    }
}

fn strings(all: &[&str]) -> Vec<String> {
    all.iter().map(|&one| one.to_owned()).collect()
}

#[test]
fn policies_come_and_go_as_the_cluster_says() {
    const KIND: ResourceKind = ResourceKind::NetworkPolicy;
    let mut bench = Bench::new(DialectChoice::Auto);
    bench.take([Change::ListBegins(KIND), policy("a", r#"{"podSelector":{}}"#)]);
    assert_eq!(bench.settled(), (1, strings(&[])), "a part of the first list is no set to judge by");
    bench.take([
        policy("b", r#"{"podSelector":{}}"#),
        policy("c", r#"{"podSelector":7}"#),
        Change::ListEnds(KIND),
    ]);
    assert_eq!(bench.settled(), (2, strings(&["a", "b"])));
    let expected = PolicyObjects { loaded: 2, rejected: 1, ..PolicyObjects::default() };
    assert_eq!(bench.0.objects(), expected);
    bench.take([Change::Delete(KIND, key("a"))]);
    assert_eq!(bench.settled(), (3, strings(&["b"])));
    bench.take([Change::ListBegins(KIND), policy("d", r#"{"podSelector":{}}"#), Change::ListEnds(KIND)]);
    assert_eq!(bench.settled(), (4, strings(&["d"])));
    bench.take([Change::ListBegins(KIND), policy("d", r#"{"podSelector":{}}"#), Change::ListEnds(KIND)]);
    assert_eq!(bench.settled(), (4, strings(&["d"])), "the same once more is no change");
    bench.take([Change::Absent(KIND)]);
    assert_eq!(bench.settled(), (5, strings(&[])));
}

#[test]
fn an_object_stays_in_force_as_it_last_was_valid() {
    let mut bench = Bench::new(DialectChoice::Auto);
    bench.take([policy("a", r#"{"podSelector":{}}"#)]);
    assert_eq!(bench.settled(), (2, strings(&["a"])));
    bench.take([policy("a", r#"{"podSelector":7}"#)]);
    assert_eq!(bench.settled(), (2, strings(&["a"])));
    assert_eq!(bench.0.objects(), PolicyObjects { last_good: 1, ..PolicyObjects::default() });
    bench.take([policy("a", r#"{"podSelector":{},"policyTypes":["Egress"]}"#)]);
    assert_eq!(bench.settled(), (3, strings(&["a"])));
    assert_eq!(bench.0.objects(), PolicyObjects { loaded: 1, ..PolicyObjects::default() });
    bench.take([policy("a", r#"{"podSelector":7}"#), Change::Delete(ResourceKind::NetworkPolicy, key("a"))]);
    assert_eq!(bench.settled(), (4, strings(&[])));
}

#[test]
fn an_annotation_takes_an_object_out_of_what_is_in_force() {
    let annotated = |kind, name: &str, spec: &str, value: &str| {
        let Change::Apply(mut object) = object(kind, name, spec) else { panic!() };
        if let Object::Policy(policy) = &mut *object {
            policy.value["metadata"]["annotations"] = serde_json::json!({ "watchfire.dev/candidate": value });
        }
        Change::Apply(object)
    };
    const KIND: ResourceKind = ResourceKind::NetworkPolicy;
    const SPEC: &str = r#"{"podSelector":{}}"#;
    let candidates = |bench: &Bench| -> (u64, Vec<String>, usize) {
        let candidates = bench.0.candidates();
        let names = candidates.references().iter().map(|policy| policy.name.clone()).collect();
        (candidates.version(), names, candidates.set().map_or(0, |set| set.policies().len()))
    };
    let mut bench = Bench::new(DialectChoice::Auto);
    bench.take([policy("a", SPEC), policy("b", SPEC)]);
    assert_eq!(bench.settled(), (2, strings(&["a", "b"])));
    assert_eq!(candidates(&bench), (0, Vec::new(), 0));
    bench.take([annotated(KIND, "b", SPEC, "true"), annotated(KIND, "a", SPEC, "false")]);
    assert_eq!(bench.settled(), (3, strings(&["a"])));
    assert_eq!(candidates(&bench), (1, strings(&["b"]), 2));
    assert_eq!(bench.0.objects(), PolicyObjects { loaded: 1, ..PolicyObjects::default() });
    // What is in force changes and the candidates do not.
    bench.take([policy("c", SPEC)]);
    assert_eq!(bench.settled(), (4, strings(&["a", "c"])));
    assert_eq!(candidates(&bench), (1, strings(&["b"]), 3));
    // The candidates change and what is in force does not.
    bench.take([annotated(KIND, "b", r#"{"podSelector":{},"policyTypes":["Egress"]}"#, "true")]);
    assert_eq!(bench.settled().0, 4);
    assert_eq!(candidates(&bench), (2, strings(&["b"]), 3));
    let strict = r#"{"mtls":{"mode":"STRICT"}}"#;
    bench.take([
        annotated(KIND, "typo", SPEC, "yes"),
        annotated(ResourceKind::PeerAuthentication, "mesh", strict, "true"),
    ]);
    assert_eq!(bench.settled().0, 4);
    assert_eq!(bench.0.objects(), PolicyObjects { loaded: 2, rejected: 2, ..PolicyObjects::default() });
    bench.take([Change::Absent(KIND)]);
    bench.settled();
    assert_eq!(candidates(&bench), (3, Vec::new(), 0));
}

#[test]
fn changes_at_once_are_one_change_and_the_next_waits() {
    let mut bench = Bench::new(DialectChoice::Auto);
    bench.take([policy("a", r#"{"podSelector":{}}"#), policy("b", r#"{"podSelector":{}}"#)]);
    assert_eq!(bench.settled().0, 2);
    let settled_ns = bench.1;
    for edit in 0..1000 {
        let spec = format!(r#"{{"podSelector":{{"matchLabels":{{"edit":"{edit}"}}}}}}"#);
        bench.take([policy("a", &spec)]);
        bench.0.settle(settled_ns + SETTLE_INTERVAL_NS - 1, false);
    }
    assert_eq!(bench.0.epochs().current().number, 2);
    assert!(bench.0.is_stale());
    assert_eq!(bench.settled().0, 3);
    assert!(bench.0.settle_after_ns >= bench.1 + 10 * MS);
}

#[test]
fn cilium_is_followed_where_anything_is_known_of_it() {
    const KIND: ResourceKind = ResourceKind::CiliumNetworkPolicy;
    let spec = r#"{"endpointSelector":{},"ingress":[{}]}"#;
    let dialect = |bench: &mut Bench| {
        bench.settled();
        assert_eq!(bench.0.epochs().current().dialect, bench.0.followed().dialect);
        (bench.0.followed().dialect, bench.0.followed().why.as_str())
    };
    let mut bench = Bench::new(DialectChoice::Auto);
    assert_eq!(dialect(&mut bench), (Dialect::K8s, "no-cilium"));
    bench.take([Change::ListBegins(KIND), Change::ListEnds(KIND)]);
    assert_eq!(dialect(&mut bench), (Dialect::Cilium, "api"));
    bench.take([Change::Absent(KIND)]);
    assert_eq!(dialect(&mut bench), (Dialect::K8s, "no-cilium"));
    bench.take([object(KIND, "c", spec)]);
    assert_eq!(dialect(&mut bench), (Dialect::Cilium, "objects"));
    assert_eq!(bench.0.objects(), PolicyObjects { loaded: 1, ..PolicyObjects::default() });
    bench.take([Change::Delete(KIND, key("c"))]);
    assert_eq!(dialect(&mut bench), (Dialect::K8s, "no-cilium"));

    let mut bench = Bench::new(DialectChoice::K8s);
    bench.take([object(KIND, "c", spec)]);
    assert_eq!(dialect(&mut bench), (Dialect::K8s, "configured"));
    assert_eq!(bench.0.objects(), PolicyObjects { ignored: 1, ..PolicyObjects::default() });
}

#[test]
fn what_cilium_is_not_configured_for_is_rejected() {
    let mut bench = Bench::new(DialectChoice::Cilium);
    let spec = r#"{"endpointSelector":{},"ingress":[{"fromNodes":[{"matchLabels":{"a":"b"}}]}]}"#;
    bench.take([object(ResourceKind::CiliumNetworkPolicy, "c", spec)]);
    assert_eq!(bench.settled().1, strings(&[]));
    assert_eq!(bench.0.objects(), PolicyObjects { rejected: 1, ..PolicyObjects::default() });
}

#[test]
fn policies_of_the_mesh_are_a_set_of_their_own() {
    let mut bench = Bench::new(DialectChoice::Auto);
    let strict = |name| object(ResourceKind::PeerAuthentication, name, r#"{"mtls":{"mode":"STRICT"}}"#);
    assert!(bench.0.epochs().current().mesh.is_none());
    bench.take([strict("m")]);
    assert_eq!(bench.settled(), (2, strings(&[])));
    assert!(bench.0.epochs().current().mesh.is_some());
    bench.take([object(ResourceKind::PeerAuthentication, "m", r#"{"mtls":{"mode":"NO"}}"#)]);
    assert_eq!(bench.settled().0, 2);
    assert_eq!(bench.0.objects(), PolicyObjects { last_good: 1, ..PolicyObjects::default() });
    bench.take([Change::Absent(ResourceKind::PeerAuthentication)]);
    assert_eq!(bench.settled().0, 3);
    assert!(bench.0.epochs().current().mesh.is_none());
}
