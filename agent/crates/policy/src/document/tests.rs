use super::*;

/// `policies / ignored / rejected`, each by name or by its message.
#[track_caller]
fn check(text: &str, policies: &[&str], ignored: &[&str], rejected: &[&str]) {
    let parsed = parse_documents("f.yaml", text);
    let found: Vec<_> = parsed.policies.iter().map(|policy| policy.reference().to_string()).collect();
    assert_eq!(found, policies, "policies of {text}");
    let found: Vec<_> = parsed
        .ignored
        .iter()
        .map(|ignored| format!("{} {}", ignored.line, ignored.object.kind.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(found, ignored, "ignored of {text}");
    let found: Vec<_> = parsed.rejected.iter().map(ToString::to_string).collect();
    assert_eq!(found, rejected, "rejected of {text}");
}

#[test]
fn one_bad_document_costs_only_itself() {
    check(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a, namespace: prod}
spec: {}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: prod}
spec:
  ingress:
  - from:
    - podSelector: {}
    prots: []
---
kind: [NetworkPolicy
---
# A Service may stand between.
apiVersion: v1
kind: Service
metadata: {name: s}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: c}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
",
        &["NetworkPolicy/prod/a", "NetworkPolicy/default/c"],
        &["18 Service"],
        &[
            "f.yaml:13: NetworkPolicy prod/b: spec.ingress[0].prots: unknown field `prots`, expected one of from, ports",
            "f.yaml:15: kind: unclosed bracket '['",
        ],
    );
}

#[test]
fn lists_keep_their_good_items() {
    check(
        "apiVersion: v1
kind: List
items:
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: a}
  spec: {ingress: [{ports: [{port: 70000}]}]}
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: b}
- apiVersion: v1
  kind: Pod
  metadata: {name: p}
- {}
",
        &["NetworkPolicy/default/b"],
        &["11 Pod"],
        &[
            "f.yaml:4: NetworkPolicy default/a: spec.ingress[0].ports[0].port: expected a port from 1 to 65535, \
             found 70000",
            "f.yaml:14: kind is required",
        ],
    );
}

#[test]
fn json_is_read_as_well() {
    check(
        "{\n\t\"apiVersion\": \"networking.k8s.io/v1\",\n\t\"kind\": \"NetworkPolicyList\",\n\t\"items\": [\n\t\t\
         {\"metadata\": {\"name\": \"a\", \"uid\": \"1\", \"managedFields\": [{\"fieldsV1\": {\"f:spec\": {}}}]},\n\t\t \
         \"spec\": {\"ingress\": [{\"ports\": [{\"port\": \"http\"}, {\"port\": 80}]}]}},\n\t\t\
         {\"metadata\": {\"name\": \"b\"}, \"spec\": {\"ingress\": [null]}}\n\t]\n}\n",
        &["NetworkPolicy/default/a"],
        &[],
        &["f.yaml:7: NetworkPolicy default/b: spec.ingress[0]: invalid type: null, expected struct \
           NetworkPolicyIngressRule"],
    );
}

#[test]
fn what_the_api_server_would_not_take_as_a_string() {
    let head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n";
    check(
        &format!("{head}metadata: {{name: a, namespace: y}}\n"),
        &[],
        &[],
        &["f.yaml:3: NetworkPolicy default/a: metadata.namespace: value requires quoting"],
    );
    check(
        &format!("{head}metadata: {{name: a}}\nspec:\n  podSelector:\n    matchLabels:\n      v: 1\n"),
        &[],
        &[],
        &["f.yaml:7: NetworkPolicy default/a: spec.podSelector.matchLabels.v: value requires quoting"],
    );
}

#[test]
fn kinds_of_other_groups_are_ignored() {
    check("apiVersion: crd.projectcalico.org/v1\nkind: NetworkPolicy\n", &[], &["1 NetworkPolicy"], &[]);
    check(
        "kind: NetworkPolicy\nmetadata: {name: a}\n",
        &[],
        &[],
        &["f.yaml:1: NetworkPolicy default/a: apiVersion is required"],
    );
    check("just text", &[], &[], &["f.yaml:1: kind is required"]);
}

/// Every cut and many single-byte changes of a valid file.
#[test]
fn damaged_input_never_panics() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n  \
                metadata: {name: a}\n  spec:\n    ingress:\n    - from: [{ipBlock: {cidr: 10.0.0.0/8}}]\n      \
                ports: [{port: 80, endPort: 90}]\n---\nkind: \"x\"\n";
    for end in 0..text.len() {
        let _ = parse_documents("f", &text[..end]);
        for byte in *b"\0\n\t:-{}[]\"'&*!|>%@#\xc3" {
            let mut damaged = text.as_bytes().to_vec();
            damaged[end] = byte;
            let _ = parse_documents("f", &String::from_utf8_lossy(&damaged));
        }
    }
    let _ = parse_documents("f", &"[".repeat(100_000));
    let _ = parse_documents("f", &"- ".repeat(100_000));
}

#[test]
fn any_object_is_read_as_a_value_and_lists_are_taken_apart() {
    let text = "# a\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nkind: PodList\napiVersion: v1\nitems:\n\
                - metadata: {name: b}\n- metadata: {name: c}\n---\n{\n---\nkind: List\nitems:\n- {kind: Service}\n";
    let (values, rejected) = parse_values("f.yaml", text);
    let shown: Vec<_> = values
        .iter()
        .map(|(line, value)| {
            let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            format!("{line} {} {}", text("/kind"), text("/metadata/name"))
        })
        .collect();
    assert_eq!(shown, ["2 Pod a", "9 Pod b", "10 Pod c", "16 Service "]);
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].file, "f.yaml");
}
