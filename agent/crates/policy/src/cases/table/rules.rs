//! `rules` of a mesh as ztunnel is given them, with connections that they match or do not: `conns` of the file by name, or
//! written in the probe.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::Value;
use watchfire_model::{Identity, Labels, Pod};

use super::{Row, list};
use crate::mesh::{AuthorizationRules, MeshConnection, MeshIdentity, StringMatch, Transport};
use crate::yaml::from_value;

#[derive(Deserialize)]
struct ProbeSource {
    conn: Value,
    matches: bool,
}

#[derive(Deserialize)]
struct ConnectionSource {
    identity: Option<IdentitySource>,
    src: SocketAddr,
    dst: SocketAddr,
}

#[derive(Deserialize)]
struct IdentitySource {
    trust_domain: String,
    namespace: String,
    service_account: String,
}

#[derive(Deserialize)]
struct StringSource {
    matcher: StringMatch,
    value: String,
    expect: bool,
}

pub(super) fn rows(case: &Value, file: &Value) -> Result<Vec<Row>, String> {
    let rules: AuthorizationRules = from_value(case["rules"].clone())?;
    let server = anyone();
    let mut rows = Vec::new();
    for probe in list(case, "probes")? {
        let source: ProbeSource = from_value(probe.clone())?;
        let connection = match &source.conn {
            Value::String(name) => {
                file["conns"].get(name).ok_or_else(|| format!("conns: no connection {name}"))?
            }
            written => written,
        };
        let ConnectionSource { identity, src, dst } = from_value(connection.clone())?;
        let transport = identity.as_ref().map_or(Transport::Plaintext, |identity| {
            Transport::Mutual(MeshIdentity {
                trust_domain: &identity.trust_domain,
                namespace: &identity.namespace,
                service_account: &identity.service_account,
            })
        });
        let connection = MeshConnection {
            server: &server,
            transport,
            source: src.ip(),
            destination: dst.ip(),
            port: Some(dst.port()),
        };
        let got = match rules.matches(&connection) {
            Ok(rule) => rule.is_some().to_string(),
            Err(reason) => format!("unknown: {reason:?}"),
        };
        rows.push(Row::new(source.conn, source.matches, got));
    }
    Ok(rows)
}

/// Single strings.
pub(super) fn strings(table: &Value) -> Result<Vec<Row>, String> {
    let sources: Vec<StringSource> = from_value(table.clone())?;
    let row = |source: StringSource| {
        let got = source.matcher.matches(&source.value);
        Row::new(format!("{:?} on {:?}", source.matcher, source.value), source.expect, got)
    };
    Ok(sources.into_iter().map(row).collect())
}

/// Whom the connections are to plays no part in the rules.
fn anyone() -> Pod {
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
