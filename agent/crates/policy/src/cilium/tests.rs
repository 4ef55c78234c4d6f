use crate::parse_object;

/// Reads a namespaced policy with this spec; why it is refused, or nothing.
#[track_caller]
fn check(spec: &str, expected: &str) {
    check_kind("CiliumNetworkPolicy", spec, expected);
}

#[track_caller]
fn check_kind(kind: &str, spec: &str, expected: &str) {
    let json = format!(
        r#"{{"apiVersion": "cilium.io/v2", "kind": "{kind}", "metadata": {{"name": "p", "namespace": "a"}}, "spec": {spec}}}"#
    );
    let object = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let found = parse_object(object).err().unwrap_or_default();
    assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{json}: {found}");
}

#[track_caller]
fn ingress(element: &str, expected: &str) {
    check(&format!(r#"{{"endpointSelector": {{}}, "ingress": [{element}]}}"#), expected);
}

#[track_caller]
fn egress(element: &str, expected: &str) {
    check(&format!(r#"{{"endpointSelector": {{}}, "egress": [{element}]}}"#), expected);
}

#[test]
fn what_cilium_refuses_of_a_rule() {
    check(r#"{"ingress": [{}]}"#, "spec: expected endpointSelector or nodeSelector");
    check(
        r#"{"endpointSelector": {}, "nodeSelector": {}, "ingress": [{}]}"#,
        "spec: endpointSelector must not be combined",
    );
    check(r#"{"nodeSelector": {}, "ingress": [{}]}"#, "spec.nodeSelector: only clusterwide policies");
    check_kind("CiliumClusterwideNetworkPolicy", r#"{"nodeSelector": {}, "ingress": [{}]}"#, "");
    check(r#"{"endpointSelector": {}}"#, "spec: expected an entry in ingress");
    check(r#"{"endpointSelector": {}, "ingress": []}"#, "spec: expected an entry in ingress");
    check(r#"{"endpointSelector": {}, "ingress": [{}], "other": 1}"#, "spec.other: unknown field");
    check(
        r#"{"endpointSelector": {"matchLabels": {"$host": ""}}, "ingress": [{}]}"#,
        "spec.endpointSelector: expected a label key",
    );
    check("null", "spec: expected spec or specs");
}

#[test]
fn what_cilium_refuses_of_peers() {
    ingress(
        r#"{"fromEndpoints": [{}], "fromCIDR": ["10.0.0.0/8"]}"#,
        "spec.ingress[0]: fromEndpoints must not be combined with fromCIDR",
    );
    ingress(r#"{"fromEndpoints": [], "fromCIDR": ["10.0.0.0/8"]}"#, "");
    ingress(r#"{"fromEntities": ["everyone"]}"#, "spec.ingress[0].fromEntities[0]: unknown entity");
    ingress(r#"{"fromCIDR": ["10.0.0.0/33"]}"#, "spec.ingress[0].fromCIDR[0]: expected address");
    ingress(
        r#"{"fromCIDRSet": [{"cidr": "10.0.0.1"}]}"#,
        "spec.ingress[0].fromCIDRSet[0].cidr: expected address",
    );
    ingress(
        r#"{"fromCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["192.0.2.0/24"]}]}"#,
        "spec.ingress[0].fromCIDRSet[0].except[0]: 192.0.2.0/24 does not lie inside",
    );
    ingress(
        r#"{"fromCIDRSet": [{"cidr": "10.0.0.0/8", "cidrGroupRef": "g"}]}"#,
        "spec.ingress[0].fromCIDRSet[0]: expected one of",
    );
    ingress(r#"{"fromRequires": [{}]}"#, "spec.ingress[0].fromRequires: no longer served");
    ingress(r#"{"toEndpoints": [{}]}"#, "spec.ingress[0].toEndpoints: unknown field in this list");
    egress(
        r#"{"toFQDNs": [{"matchName": "a", "matchPattern": "b"}]}"#,
        "spec.egress[0].toFQDNs[0]: matchName must not",
    );
    egress(
        r#"{"toFQDNs": [{"matchPattern": "a/b"}]}"#,
        "spec.egress[0].toFQDNs[0].matchPattern: expected letters",
    );
    check(
        r#"{"endpointSelector": {}, "egressDeny": [{"toFQDNs": [{"matchName": "a"}]}]}"#,
        "spec.egressDeny[0].toFQDNs: unknown field in this list",
    );
}

#[test]
fn what_cilium_refuses_of_ports() {
    let many = vec![r#"{"port": "1"}"#; 41].join(",");
    ingress(
        &format!(r#"{{"toPorts": [{{"ports": [{many}]}}]}}"#),
        "spec.ingress[0].toPorts[0].ports: expected at most 40",
    );
    for (port, expected) in [
        (r#"{"port": "70000"}"#, ".port: expected a port number or name"),
        (r#"{"port": "a--b"}"#, ".port: expected a port number or name"),
        (r#"{"port": "80", "protocol": "ICMP"}"#, ".protocol: unknown protocol"),
        (r#"{"port": "80", "protocol": "GRE"}"#, ".port: the protocol has no ports"),
        (r#"{"port": "80", "endPort": 70000}"#, ".endPort: expected a port up to 65535"),
    ] {
        let expected = format!("spec.ingress[0].toPorts[0].ports[0]{expected}");
        ingress(&format!(r#"{{"toPorts": [{{"ports": [{port}]}}]}}"#), &expected);
    }
    ingress(r#"{"icmps": [{}], "toPorts": [{}]}"#, "spec.ingress[0].icmps: must not be combined");
    ingress(
        r#"{"icmps": [{"fields": [{"type": 256}]}]}"#,
        "spec.ingress[0].icmps[0].fields[0].type: expected",
    );
    ingress(
        r#"{"icmps": [{"fields": [{"type": "Nothing"}]}]}"#,
        "spec.ingress[0].icmps[0].fields[0].type: expected",
    );
    let dns = r#"{"dns": [{"matchPattern": "*"}]}"#;
    let http = r#"{"http": [{"path": "/"}]}"#;
    for (rule, ingress_too) in [
        (format!(r#"{{"ports": [{{"port": "53", "protocol": "UDP"}}], "rules": {dns}}}"#), false),
        (format!(r#"{{"ports": [{{"port": "80", "protocol": "TCP"}}], "rules": {http}}}"#), true),
    ] {
        egress(&format!(r#"{{"toPorts": [{rule}]}}"#), "");
        let expected =
            if ingress_too { "" } else { "spec.ingress[0].toPorts[0].rules: dns is not supported" };
        ingress(&format!(r#"{{"toPorts": [{rule}]}}"#), expected);
    }
    for rule in [
        format!(r#"{{"ports": [{{"port": "80", "protocol": "UDP"}}], "rules": {http}}}"#),
        format!(r#"{{"ports": [{{"port": "80"}}], "rules": {http}}}"#),
        format!(r#"{{"ports": [{{"port": "0", "protocol": "TCP"}}], "rules": {http}}}"#),
        format!(r#"{{"ports": [{{"port": "53", "endPort": 54}}], "rules": {dns}}}"#),
        format!(r#"{{"rules": {dns}}}"#),
    ] {
        egress(&format!(r#"{{"toPorts": [{rule}]}}"#), "spec.egress[0].toPorts[0].rules: ");
    }
    ingress(r#"{"toPorts": [{"serverNames": [""]}]}"#, "spec.ingress[0].toPorts[0].serverNames: empty");
}

#[test]
fn hostile_objects_are_read_in_time() {
    let blocks: Vec<_> = (0..20_000).map(|n| format!(r#""10.{}.{}.0/24""#, n / 250, n % 250)).collect();
    ingress(&format!(r#"{{"fromCIDR": [{}]}}"#, blocks.join(",")), "");
    let ports = vec![r#"{"ports": [{"port": "1"}]}"#; 10_000].join(",");
    ingress(&format!(r#"{{"toPorts": [{ports}]}}"#), "");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let text =
        format!("apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: p}}\nspec: {deep}\n");
    assert_eq!(crate::parse_documents("deep", &text).policies.len(), 0);
}
