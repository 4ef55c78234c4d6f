//! The form in which rules are matched: a rule holds if all its clauses do, a clause if one of its matches does, a match if all
//! its fields do. An empty clause holds, an empty match does not.

use ipnet::IpNet;
use serde::Deserialize;

use super::{MeshConnection, MeshIdentity, MeshUnknown, Transport};

/// Rules of one policy.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(transparent)]
pub struct AuthorizationRules(pub(super) Vec<Vec<Vec<Fields>>>);

/// A string as rules compare it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StringMatch {
    /// This very one.
    Exact(String),
    /// One that begins so.
    Prefix(String),
    /// One that ends so.
    Suffix(String),
    /// Any that is not empty; the value says nothing.
    Presence(bool),
}

/// Fields of a match. An empty list asks for nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Fields {
    pub(super) namespaces: Vec<StringMatch>,
    pub(super) not_namespaces: Vec<StringMatch>,
    pub(super) service_accounts: Vec<String>,
    pub(super) not_service_accounts: Vec<String>,
    pub(super) principals: Vec<StringMatch>,
    pub(super) not_principals: Vec<StringMatch>,
    pub(super) source_ips: Vec<IpNet>,
    pub(super) not_source_ips: Vec<IpNet>,
    pub(super) destination_ips: Vec<IpNet>,
    pub(super) not_destination_ips: Vec<IpNet>,
    pub(super) destination_ports: Vec<u16>,
    pub(super) not_destination_ports: Vec<u16>,
    /// Whether what is said over the connection matters too.
    #[serde(skip)]
    pub(super) needs_l7: bool,
}

/// Whether something holds, or why that cannot be told.
pub(super) type Holds = Result<bool, MeshUnknown>;

impl StringMatch {
    /// As policies write it: `*` at an end stands for anything.
    pub(super) fn of(text: &str) -> Self {
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(""), _) => Self::Presence(true),
            (Some(suffix), _) => Self::Suffix(suffix.to_owned()),
            (None, Some(prefix)) => Self::Prefix(prefix.to_owned()),
            (None, None) => Self::Exact(text.to_owned()),
        }
    }

    /// Whether the value is as wanted.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(wanted) => value == wanted,
            Self::Prefix(wanted) => value.starts_with(wanted.as_str()),
            Self::Suffix(wanted) => value.ends_with(wanted.as_str()),
            Self::Presence(_) => !value.is_empty(),
        }
    }
}

impl AuthorizationRules {
    /// Whether a rule holds for the connection, and the first that does.
    pub fn matches(&self, connection: &MeshConnection<'_>) -> Result<Option<usize>, MeshUnknown> {
        let mut undecided = None;
        for (index, clauses) in self.0.iter().enumerate() {
            match all(clauses.iter().map(|clause| clause_holds(clause, connection))) {
                Ok(true) => return Ok(Some(index)),
                Ok(false) => {}
                Err(reason) => undecided = undecided.or(Some(reason)),
            }
        }
        undecided.map_or(Ok(None), Err)
    }
}

fn clause_holds(clause: &[Fields], connection: &MeshConnection<'_>) -> Holds {
    if clause.is_empty() {
        return Ok(true);
    }
    let mut undecided = None;
    for fields in clause {
        match fields.hold(connection) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(reason) => undecided = undecided.or(Some(reason)),
        }
    }
    undecided.map_or(Ok(false), Err)
}

/// A certain no outweighs what cannot be told.
fn all(parts: impl Iterator<Item = Holds>) -> Holds {
    let mut undecided = None;
    for part in parts {
        match part {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(reason) => undecided = undecided.or(Some(reason)),
        }
    }
    undecided.map_or(Ok(true), Err)
}

impl Fields {
    fn hold(&self, connection: &MeshConnection<'_>) -> Holds {
        if *self == Self::default() {
            return Ok(false);
        }
        let of_identity = |wanted: bool, unwanted: bool, test: &dyn Fn(&MeshIdentity<'_>) -> (bool, bool)| {
            if !wanted && !unwanted {
                return Ok(true);
            }
            match connection.transport {
                Transport::Unknown => Err(MeshUnknown::Mtls),
                Transport::MutualUnknown => Err(MeshUnknown::Identity),
                // Nobody is none of those that are wanted, and none of those that are not.
                Transport::Plaintext => Ok(!wanted),
                Transport::Mutual(identity) => {
                    let (is_wanted, is_unwanted) = test(&identity);
                    Ok((!wanted || is_wanted) && (!unwanted || !is_unwanted))
                }
            }
        };
        let any = |patterns: &[StringMatch], value: &str| patterns.iter().any(|one| one.matches(value));
        let within = |blocks: &[IpNet], address: std::net::IpAddr| {
            blocks.iter().any(|block| block.contains(&address.to_canonical()))
        };
        let (source, destination) = (connection.source, connection.destination);
        let certain = [
            self.source_ips.is_empty() || within(&self.source_ips, source),
            !within(&self.not_source_ips, source),
            self.destination_ips.is_empty() || within(&self.destination_ips, destination),
            !within(&self.not_destination_ips, destination),
        ];
        let asks_for_port = !self.destination_ports.is_empty() || !self.not_destination_ports.is_empty();
        let port = match connection.port {
            _ if !asks_for_port => Ok(true),
            None => Err(MeshUnknown::Port),
            Some(port) => Ok((self.destination_ports.is_empty() || self.destination_ports.contains(&port))
                && !self.not_destination_ports.contains(&port)),
        };
        let identities = [
            of_identity(!self.namespaces.is_empty(), !self.not_namespaces.is_empty(), &|identity| {
                (any(&self.namespaces, identity.namespace), any(&self.not_namespaces, identity.namespace))
            }),
            of_identity(!self.principals.is_empty(), !self.not_principals.is_empty(), &|identity| {
                let MeshIdentity { trust_domain, namespace, service_account } = identity;
                let principal = format!("{trust_domain}/ns/{namespace}/sa/{service_account}");
                (any(&self.principals, &principal), any(&self.not_principals, &principal))
            }),
            of_identity(
                !self.service_accounts.is_empty(),
                !self.not_service_accounts.is_empty(),
                &|identity| {
                    let account = format!("{}/{}", identity.namespace, identity.service_account);
                    (self.service_accounts.contains(&account), self.not_service_accounts.contains(&account))
                },
            ),
        ];
        let l7 = if self.needs_l7 { Err(MeshUnknown::L7) } else { Ok(true) };
        all(certain.into_iter().map(Ok).chain(identities).chain([port, l7]))
    }
}
