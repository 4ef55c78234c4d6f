//! ztunnel's table of rules and connections.

use libtest_mimic::Completion;
use serde_json::Value;
use watchfire_model::{Identity, Labels, Pod};
use watchfire_policy::mesh::{AuthorizationRules, MeshConnection, MeshIdentity, StringMatch, Transport};

/// Connections and strings in the table.
const PROBES: usize = 51;
const STRINGS: usize = 11;

pub(crate) fn check(text: &str) -> Completion {
    let file: Value = serde_json::from_str(text).expect("the file is JSON");
    let server = pod();
    let mut probes = 0;
    for case in file["cases"].as_array().expect("the file holds cases") {
        let rules: AuthorizationRules =
            serde_json::from_value(case["rules"].clone()).expect("the rules can be read");
        for probe in case["probes"].as_array().into_iter().flatten() {
            let connection = match &probe["conn"] {
                Value::String(name) => &file["conns"][name],
                connection => connection,
            };
            let text = |field: &str| connection["identity"][field].as_str().unwrap_or_default();
            let transport = if connection["identity"].is_null() {
                Transport::Plaintext
            } else {
                Transport::Mutual(MeshIdentity {
                    trust_domain: text("trust_domain"),
                    namespace: text("namespace"),
                    service_account: text("service_account"),
                })
            };
            let end = |field: &str| -> std::net::SocketAddr {
                connection[field]
                    .as_str()
                    .unwrap_or_default()
                    .parse()
                    .expect("an end is an address and a port")
            };
            let (source, destination) = (end("src"), end("dst"));
            let connection = MeshConnection {
                server: &server,
                transport,
                source: source.ip(),
                destination: destination.ip(),
                port: Some(destination.port()),
            };
            let found = rules.matches(&connection).map(|rule| rule.is_some());
            assert_eq!(found, Ok(probe["matches"] == true), "{probe} of {case}");
            probes += 1;
        }
    }
    let rows = file["string_match"].as_array().expect("the file holds strings");
    for row in rows {
        let matcher: StringMatch = serde_json::from_value(row["matcher"].clone()).expect("a matcher");
        assert_eq!(
            matcher.matches(row["value"].as_str().unwrap_or_default()),
            row["expect"] == true,
            "{row}"
        );
    }
    assert_eq!((probes, rows.len()), (PROBES, STRINGS));
    Completion::Completed
}

/// Whom the connections are to plays no part in the table.
fn pod() -> Pod {
    let identity = Identity {
        namespace: "default".into(),
        labels: Labels::new(),
        ports: Vec::new(),
        host_network: false,
        service_account: None,
        workload: None,
    };
    Pod {
        name: "server".into(),
        uid: None,
        identity: identity.into(),
        ips: [].into_iter().collect(),
        node: None,
    }
}
