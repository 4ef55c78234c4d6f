use watchfire_model::Dialect;

use super::*;

fn compile(spec: &str) -> Result<Policy, InvalidPolicy> {
    let json = format!(r#"{{"metadata": {{"name": "p"}}, "spec": {spec}}}"#);
    Policy::try_from(&serde_json::from_str::<NetworkPolicy>(&json).unwrap())
}

#[test]
fn directions_default_as_the_api_says() {
    use Direction::{Egress, Ingress};
    for (spec, expect) in [
        ("{}", vec![Ingress]),
        (r#"{"policyTypes": []}"#, vec![Ingress]),
        (r#"{"policyTypes": null, "egress": null}"#, vec![Ingress]),
        (r#"{"egress": []}"#, vec![Ingress]),
        (r#"{"egress": [{}]}"#, vec![Ingress, Egress]),
        (r#"{"policyTypes": ["Egress"], "ingress": [{}]}"#, vec![Egress]),
        (r#"{"policyTypes": ["Ingress"], "egress": [{}]}"#, vec![Ingress]),
        (r#"{"policyTypes": ["Egress", "Ingress"]}"#, vec![Ingress, Egress]),
    ] {
        let policy = compile(spec).unwrap();
        let found: Vec<_> =
            [Ingress, Egress].into_iter().filter(|d| policy.isolates(Dialect::K8s, *d)).collect();
        assert_eq!(found, expect, "{spec}");
    }
}

#[test]
fn the_namespace_defaults() {
    assert_eq!(compile("{}").unwrap().reference().to_string(), "NetworkPolicy/default/p");
}

#[test]
fn what_the_api_refuses() {
    for (spec, expect) in [
        (
            r#"{"policyTypes": ["ingress"]}"#,
            "spec.policyTypes[0]: expected Ingress or Egress, found \"ingress\"",
        ),
        (
            r#"{"policyTypes": ["Ingress", "Egress", "Ingress"]}"#,
            "spec.policyTypes: expected at most two entries",
        ),
        (
            r#"{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}"#,
            "spec.podSelector.matchExpressions[0].values: In needs at least one value",
        ),
    ] {
        assert_eq!(compile(spec).unwrap_err().to_string(), expect, "{spec}");
    }
    for (peer, expect) in [
        ("{}", ": expected podSelector, namespaceSelector or ipBlock, found none"),
        (
            r#"{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}"#,
            ": ipBlock must not be combined with a selector in one entry",
        ),
        (r#"{"ipBlock": {}}"#, ".ipBlock.cidr: expected address/prefix length, found \"\""),
        (
            r#"{"ipBlock": {"cidr": "10.0.0.1"}}"#,
            ".ipBlock.cidr: expected address/prefix length, found \"10.0.0.1\"",
        ),
        (
            r#"{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}"#,
            ".ipBlock.except[0]: 11.0.0.0/16 does not lie strictly inside 10.0.0.0/8",
        ),
        (
            r#"{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.0.0.0/8"]}}"#,
            ".ipBlock.except[1]: 10.0.0.0/8 does not lie strictly inside 10.0.0.0/8",
        ),
        (
            r#"{"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}}"#,
            ".namespaceSelector.matchExpressions[0].operator: expected In, NotIn, Exists or DoesNotExist, found \
             \"Gt\"",
        ),
    ] {
        let error = compile(&format!(r#"{{"ingress": [{{}}, {{"from": [{peer}]}}]}}"#)).unwrap_err();
        assert_eq!(error.to_string(), format!("spec.ingress[1].from[0]{expect}"), "{peer}");
    }
    for (port, expect) in [
        (r#"{"protocol": "tcp"}"#, "protocol: expected TCP, UDP or SCTP, found \"tcp\""),
        (r#"{"protocol": "ICMP"}"#, "protocol: expected TCP, UDP or SCTP, found \"ICMP\""),
        (r#"{"port": 0}"#, "port: expected a port from 1 to 65535, found 0"),
        (r#"{"port": -1}"#, "port: expected a port from 1 to 65535, found -1"),
        (r#"{"port": 65536}"#, "port: expected a port from 1 to 65535, found 65536"),
        (r#"{"port": 80, "endPort": 65537}"#, "endPort: expected a port from 1 to 65535, found 65537"),
        (r#"{"port": 80, "endPort": 79}"#, "endPort: 79 is less than port 80"),
        (r#"{"endPort": 80}"#, "endPort: must not be set without port"),
        (r#"{"port": "http", "endPort": 80}"#, "endPort: must not be set where port is a name"),
    ] {
        let error = compile(&format!(r#"{{"egress": [{{"ports": [{port}]}}]}}"#)).unwrap_err();
        assert_eq!(error.to_string(), format!("spec.egress[0].ports[0].{expect}"), "{port}");
    }
}

#[test]
fn port_names() {
    for (name, expect) in [
        ("http", true),
        ("serve-80-tcp", true),
        ("a", true),
        ("0a", true),
        ("80", false),
        ("", false),
        ("Http", false),
        ("-a", false),
        ("a-", false),
        ("a--b", false),
        ("abcdefghijklmnop", false),
    ] {
        assert_eq!(is_port_name(name), expect, "{name:?}");
    }
}

#[test]
fn a_name_is_required() {
    for json in [r#"{"spec": {}}"#, r#"{"metadata": {"name": ""}, "spec": {}}"#, r#"{"metadata": null}"#] {
        let object: NetworkPolicy = serde_json::from_str(json).unwrap();
        assert_eq!(Policy::try_from(&object).unwrap_err().to_string(), "metadata.name: a name is required");
    }
}

#[test]
fn without_a_spec_all_ingress_is_isolated() {
    let object: NetworkPolicy = serde_json::from_str(r#"{"metadata": {"name": "p"}}"#).unwrap();
    let policy = Policy::try_from(&object).unwrap();
    assert!(policy.isolates(Dialect::K8s, Direction::Ingress));
    assert!(!policy.isolates(Dialect::K8s, Direction::Egress));
}
