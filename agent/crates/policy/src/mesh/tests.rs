use std::sync::Arc;

use watchfire_model::{Identity, Labels};

use super::*;

fn pod() -> Pod {
    let identity = Identity {
        namespace: "shop".into(),
        labels: Labels::from([("app".to_owned(), "db".to_owned())]),
        ports: Vec::new(),
        host_network: false,
        service_account: None,
        workload: None,
    };
    Pod {
        name: "db".into(),
        uid: None,
        identity: Arc::new(identity),
        ips: std::iter::empty().collect(),
        node: None,
    }
}

/// Policies as `kind namespace spec`; the client is `plaintext`, `unknown` or `namespace/account`.
#[track_caller]
fn check(policies: &[&str], client: &str, port: u16, expected: &str) {
    let read = |(index, text): (usize, &&str)| {
        let mut words = text.splitn(3, ' ');
        let mut word = || words.next().unwrap_or("{}");
        let object = serde_json::json!({
            "apiVersion": "security.istio.io/v1", "kind": word(),
            "metadata": {"name": format!("p{index}"), "namespace": word()},
            "spec": serde_json::from_str::<Value>(word()).unwrap(),
        });
        parse_mesh_object(object).unwrap().unwrap()
    };
    let set = MeshSet::new(policies.iter().enumerate().map(read));
    let transport = match client.split_once('/') {
        Some((namespace, service_account)) => {
            Transport::Mutual(MeshIdentity { trust_domain: "td", namespace, service_account })
        }
        None if client == "plaintext" => Transport::Plaintext,
        None if client == "somebody" => Transport::MutualUnknown,
        None => Transport::Unknown,
    };
    let server = pod();
    let connection = MeshConnection {
        server: &server,
        transport,
        source: "10.0.0.9".parse().unwrap(),
        destination: "10.0.0.1".parse().unwrap(),
        port: (port != 15008).then_some(port),
    };
    let found = match set.judge(&connection) {
        MeshVerdict::Allow { policy, rule } => format!("allow {}[{rule}]", policy.name),
        MeshVerdict::DenyRule { policy, rule } => format!("deny {}[{rule}]", policy.name),
        MeshVerdict::DenyDefault { policies } => format!("default of {}", policies.len()),
        MeshVerdict::DenyPlaintext { policy } => format!("plaintext {}", policy.name),
        MeshVerdict::NotCovered => "not covered".to_owned(),
        MeshVerdict::Unknown { reason } => format!("{reason:?}"),
    };
    assert_eq!(found, expected, "{policies:?} for {client}");
}

const STRICT: &str = r#"PeerAuthentication istio-system {"mtls": {"mode": "STRICT"}}"#;

#[test]
fn the_narrowest_mode_counts() {
    check(&[], "plaintext", 80, "not covered");
    check(&[STRICT], "plaintext", 80, "plaintext p0");
    check(&[STRICT], "unknown", 80, "Mtls");
    check(&[STRICT], "shop/web", 80, "not covered");
    let permissive = r#"PeerAuthentication shop {"mtls": {"mode": "PERMISSIVE"}}"#;
    check(&[STRICT, permissive], "plaintext", 80, "not covered");
    let unset = r#"PeerAuthentication shop {"mtls": {"mode": "UNSET"}}"#;
    check(&[STRICT, unset], "plaintext", 80, "plaintext p0");
    let port = r#"PeerAuthentication shop {"selector": {"matchLabels": {"app": "db"}},
        "portLevelMtls": {"80": {"mode": "DISABLE"}}}"#;
    check(&[STRICT, port], "plaintext", 80, "not covered");
    check(&[STRICT, port], "plaintext", 81, "plaintext p0");
    // A selector in the root namespace selects there alone.
    let elsewhere = r#"PeerAuthentication istio-system {"selector": {"matchLabels": {"app": "db"}},
        "mtls": {"mode": "STRICT"}}"#;
    check(&[elsewhere], "plaintext", 80, "not covered");
}

#[test]
fn denials_come_first_and_permissions_isolate() {
    let nothing = "AuthorizationPolicy shop {}";
    check(&[nothing], "shop/web", 80, "default of 1");
    check(&[r#"AuthorizationPolicy shop {"rules": [{}]}"#], "plaintext", 80, "allow p0[0]");
    check(&[r#"AuthorizationPolicy shop {"action": "DENY"}"#], "shop/web", 80, "not covered");
    let from_shop = r#"AuthorizationPolicy istio-system {"rules": [
        {"from": [{"source": {"namespaces": ["shop"]}}], "to": [{"operation": {"ports": ["80"]}}]}]}"#;
    check(&[from_shop], "shop/web", 80, "allow p0[0]");
    check(&[from_shop], "shop/web", 81, "default of 1");
    check(&[from_shop], "ops/web", 80, "default of 1");
    check(&[from_shop], "plaintext", 80, "default of 1");
    check(&[from_shop], "unknown", 80, "Mtls");
    check(&[from_shop], "unknown", 81, "default of 1");
    let not_robots = r#"AuthorizationPolicy shop {"action": "DENY", "rules": [
        {"from": [{"source": {"notServiceAccounts": ["web"]}}]}]}"#;
    check(&[from_shop, not_robots], "shop/web", 80, "allow p0[0]");
    check(&[from_shop, not_robots], "shop/robot", 80, "deny p1[0]");
    check(&[from_shop, not_robots], "plaintext", 80, "deny p1[0]");
    check(&[r#"AuthorizationPolicy shop {"action": "AUDIT", "rules": [{}]}"#], "shop/web", 80, "not covered");
}

#[test]
fn a_tunnel_hides_the_port_and_may_hide_who_is_in_it() {
    let port = r#"AuthorizationPolicy shop {"rules": [{"to": [{"operation": {"ports": ["80"]}}]}]}"#;
    check(&[port], "shop/web", 15008, "Port");
    let account =
        r#"AuthorizationPolicy shop {"rules": [{"from": [{"source": {"serviceAccounts": ["web"]}}]}]}"#;
    check(&[account], "shop/web", 15008, "allow p0[0]");
    check(&[account], "somebody", 80, "Identity");
    check(&[STRICT], "somebody", 80, "not covered");
}

#[test]
fn what_is_said_is_not_judged() {
    let method = r#"AuthorizationPolicy shop {"rules": [
        {"to": [{"operation": {"ports": ["80"], "methods": ["GET"]}}]}]}"#;
    check(&[method], "shop/web", 80, "L7");
    check(&[method], "shop/web", 81, "default of 1");
    let header = r#"AuthorizationPolicy shop {"action": "DENY", "rules": [
        {"when": [{"key": "request.headers[x]", "values": ["y"]}]}]}"#;
    check(&[header], "shop/web", 80, "L7");
    let custom = r#"AuthorizationPolicy shop {"action": "CUSTOM", "provider": {"name": "x"}, "rules": [{}]}"#;
    check(&[custom], "shop/web", 80, "External");
    let when = r#"AuthorizationPolicy shop {"rules": [{"when": [
        {"key": "source.principal", "values": ["td/ns/shop/*"]}, {"key": "source.ip", "notValues": ["10.0.0.0/30"]}]}]}"#;
    check(&[when], "shop/web", 80, "allow p0[0]");
    check(&[when], "ops/web", 80, "default of 1");
}
