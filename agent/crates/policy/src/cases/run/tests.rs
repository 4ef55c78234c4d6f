use watchfire_model::Dialect;

use super::super::CaseFileError;
use super::*;

const HEAD: &str = "
pods:
- {namespace: a, name: x, ip: 10.0.0.1, labels: {app: x}}
- {namespace: a, name: b, ip: 10.0.0.2, ports: [{name: web, port: 80}]}
nodes:
- {name: n1, ip: 172.16.0.1}
cases:
- id: one
  policies:
  - apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: p, namespace: a}
    spec: {podSelector: {matchLabels: {app: x}}}
";

#[track_caller]
fn check(rest: &str, expect: &str, details: &[&str]) {
    let report = CaseFile::parse(&format!("{HEAD}{rest}")).unwrap().run(Dialect::K8s);
    let found: Vec<_> = report
        .mismatches
        .iter()
        .map(ToString::to_string)
        .chain(report.skipped.iter().map(ToString::to_string))
        .collect();
    assert_eq!(
        (report.to_string().as_str(), found),
        (expect, details.iter().map(|d| (*d).to_owned()).collect())
    );
}

#[test]
fn expectations_are_compared() {
    check(
        "  probes:
  - {from: a/b, to: a/x, proto: TCP, port: 80, expect: deny, expect_ingress: default-deny}
  - {from: a/x, to: a/b, proto: TCP, port: 80, expect: allow, expect_egress: allow, expect_ingress: not-covered}
  - {from: {ip: 172.16.0.1}, to: a/x, proto: TCP, port: 80, expect: unknown}
  - {from: {ip: 10.0.0.2}, to: a/x, proto: TCP, port: 80, expect: deny, because: isolated by NetworkPolicy/a/p}
  - {from: {ip: 192.0.2.1, unresolved: true}, to: a/x, proto: TCP, port: 80, expect: unknown}
",
        "1 cases, 5 probes, 0 mismatches, 0 skipped",
        &[],
    );
}

#[test]
fn mismatches_name_the_deciding_policies() {
    check(
        "  probes:
  - {from: a/b, to: a/x, proto: TCP, port: 80, expect: allow}
  - {from: a/b, to: a/x, proto: TCP, port: 80, expect: deny, expect_ingress: policy-deny}
  - {from: a/b, to: a/x, proto: TCP, port: 80, expect: deny, because: x}
",
        "1 cases, 3 probes, 3 mismatches, 0 skipped",
        &[
            "one: a/b -> a/x TCP/80: expected allow, got denied (isolated by NetworkPolicy/a/p)",
            "one: a/b -> a/x TCP/80: expected ingress policy-deny, got ingress default-deny (isolated by \
             NetworkPolicy/a/p)",
            "one: a/b -> a/x TCP/80: expected x, got isolated by NetworkPolicy/a/p",
        ],
    );
}

#[test]
fn what_cannot_be_judged_is_skipped_by_name() {
    check(
        "  probes:
  - {from: a/x, to: a/x, proto: TCP, port: 80, expect: deny, loopback: true}
- id: two
  known_wrong: upstream says so
  probes: []
- id: four
  tier_probes: []
- id: three
  tier_probes: []
  policies: [{apiVersion: example.com/v1, kind: OtherPolicy}]
",
        "1 cases, 0 probes, 0 mismatches, 4 skipped",
        &[
            "one: a/x -> a/x TCP/80: a pod that talks to itself is exempt, the case judges it by policy",
            "two: known to be wrong: upstream says so",
            "four: it has no probes",
            "three: kind OtherPolicy is not evaluated",
        ],
    );
}

#[test]
fn bad_files_say_what_is_wrong() {
    for (text, expect) in [
        ("kind: Pod", "not a case file: it has no \"cases\""),
        ("- 1", "not a case file: it has no \"cases\""),
        ("cases: 1", "not a case file: its \"cases\" is no list"),
        ("a: 1\n---\nb: 2", "not a case file: it holds several documents"),
        ("cases:\n- {", "line 2: cases: unclosed bracket '{'"),
        ("cases: [{probes: 1}]", "case #0: probes: invalid type: integer `1`, expected a sequence"),
        (
            "cases: [{id: x, probes: [{from: a/q, to: a/q, proto: TCP, expect: deny}]}]",
            "case x: probe a/q -> a/q TCP/0: no pod a/q in this case",
        ),
        (
            "cases: [{id: x, probes: [{from: a/b, to: a/b, proto: TPC, expect: deny}]}]",
            "case x: probes[0].proto: unknown protocol \"TPC\", expected TCP, UDP, SCTP, ICMP, ICMPv6 or an IANA \
             number",
        ),
    ] {
        let error: CaseFileError = CaseFile::parse(text).unwrap_err();
        assert_eq!(error.to_string(), expect, "{text}");
    }
}

#[test]
fn a_refused_policy_costs_its_case_alone() {
    let text = "cases: [{id: x, probes: [], policies: [{kind: NetworkPolicy}]}, {id: \"y\", probes: []}]";
    let report = CaseFile::parse(text).unwrap().run(Dialect::K8s);
    assert_eq!(report.to_string(), "1 cases, 0 probes, 0 mismatches, 0 skipped, 1 refused");
    assert_eq!(report.refused[0].to_string(), "x: policies[0]: apiVersion is required");
}

#[test]
fn a_file_may_say_whose_reading_it_is_written_for() {
    let text = "dialect: cilium
pods: [{namespace: a, name: x, ip: 10.0.0.1}]
cases:
- id: node-by-address
  nodes: [{name: node, ip: 192.0.2.1}]
  policies:
  - apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: p, namespace: a}
    spec: {ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}
  probes: [{from: {ip: 192.0.2.1}, to: a/x, proto: TCP, port: 80, expect: unknown}]
";
    let report = CaseFile::parse(text).unwrap().run(Dialect::K8s);
    assert_eq!((report.probes, report.mismatches.len()), (1, 0), "{report} {:?}", report.mismatches);
    let error = CaseFile::parse("dialect: other\ncases: []").unwrap_err();
    assert_eq!(error.to_string(), "not a case file: its \"dialect\" is neither k8s nor cilium");
}
