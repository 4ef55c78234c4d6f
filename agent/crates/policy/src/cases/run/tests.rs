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
  ask: []
- id: three
  ask: []
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
fn a_case_is_judged_without_the_policies_that_are_refused() {
    check(
        "  probes: [{from: a/b, to: a/x, proto: TCP, port: 80, expect: deny}]
- id: refused
  policies: [{kind: NetworkPolicy}]
  probes:
  - {from: a/b, to: a/x, proto: TCP, port: 80, expect: allow}
  - {from: a/b, to: a/x, proto: TCP, port: 81, expect: deny}
",
        "2 cases, 2 probes, 0 mismatches, 1 skipped, 1 objects refused",
        &[
            "refused: a/b -> a/x TCP/81: what is expected may rest on an object that is refused: policies[0]: \
           apiVersion is required",
        ],
    );
}

#[test]
fn tables_ask_for_one_part_of_the_engine() {
    let text = "
conns: {plain: {src: '192.0.2.1:9', dst: '192.0.2.2:80'}}
string_match: [{matcher: {prefix: a}, value: ab, expect: true}]
cases:
- {id: names, pattern: '*.example.com', accept: [a.example.com.], reject: [example.com., b.example.com.]}
- {id: rules, rules: [[[{destination_ports: [80]}]]], probes: [{conn: plain, matches: false}]}
- id: tiers
  pods: [{namespace: a, name: x, ip: 10.0.0.1}, {namespace: a, name: b, ip: 10.0.0.2}]
  policies:
  - apiVersion: policy.networking.k8s.io/v1alpha2
    kind: ClusterNetworkPolicy
    metadata: {name: p}
    spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}]}]}
  tier_probes: [{from: a/x, to: a/b, expect_admin_tier: accept, expect_baseline_tier: next}]
- id: entries
  default_deny: true
  entries: [{tier: 0, priority: 0, direction: egress, verdict: allow, peer: 'label:a'}]
  probes:
  - {direction: egress, peer: 'label:a', proto: TCP, port: 80, expect: deny}
  - {direction: egress, peer: 'label:b', proto: TCP, port: 80, expect: deny}
";
    let report = CaseFile::parse(text).unwrap().run(Dialect::K8s);
    assert_eq!(report.to_string(), "5 cases, 9 probes, 4 mismatches, 0 skipped");
    let found: Vec<_> = report.mismatches.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "names: *.example.com on \"b.example.com.\": expected false, got true",
            "rules: \"plain\": expected false, got true",
            "tiers: a/x -> a/b in tier Admin: expected accept, got deny",
            "entries: default/subject -> default/a TCP/80: expected deny, got allow",
        ]
    );
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
    let kind = "{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: p, namespace: a}, spec: \
                {endpointSelector: {}, ingress: [{}]}}";
    let text = format!(
        "pods: [{{namespace: a, name: x, ip: 10.0.0.1}}]\ncases:\n- policies: [{kind}]\n  probes: [{{from: {{ip: \
         192.0.2.1}}, to: a/x, proto: TCP, port: 80, expect: deny}}]\n"
    );
    let report = CaseFile::parse(&text).unwrap().run(Dialect::K8s);
    assert_eq!((report.probes, report.mismatches.len()), (1, 0), "{report} {:?}", report.mismatches);
    let error = CaseFile::parse("dialect: other\ncases: []").unwrap_err();
    assert_eq!(error.to_string(), "not a case file: its \"dialect\" is neither k8s nor cilium");
}
