//! One thing that is asked of a record.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use watchfire_model::{FlowStage, Outcome, Protocol};

use super::facts::{End, Facts, Named};
use super::{Ends, FlowField};

/// A field and what it has to be, or must not be. On the wire `field=value`, or `!field=value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowTerm {
    field: FlowField,
    text: String,
    pattern: Pattern,
    negated: bool,
}

/// A value that its field does not take.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected {expected}")]
pub struct FlowTermError {
    expected: &'static str,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Pattern {
    /// Namespace, where one is named, and the beginning of a name.
    Object {
        namespace: Option<String>,
        prefix: String,
    },
    Namespace(String),
    Net(IpNet),
    Port(u16),
    /// Lower-case, without the last dot.
    Glob(String),
    Protocol(Protocol),
    Dns,
    Tls,
    /// The name of an outcome or stage.
    Name(&'static str),
    Text(String),
    /// Lower-case with hyphens.
    Reason(String),
}

impl FlowTerm {
    /// Reads what the field has to be.
    pub fn new(field: FlowField, text: &str, negated: bool) -> Result<Self, FlowTermError> {
        let pattern = Pattern::parse(field, text)?;
        Ok(Self { field, text: text.to_owned(), pattern, negated })
    }

    /// The same, excluding or not.
    #[must_use]
    pub fn with_negation(self, negated: bool) -> Self {
        Self { negated, ..self }
    }

    /// Whether it excludes what meets it.
    #[must_use]
    pub const fn is_negated(&self) -> bool {
        self.negated
    }

    /// Terms of the same group are alternatives.
    pub(super) const fn group(&self) -> (bool, FlowField) {
        (self.negated, self.field)
    }

    /// Whether the record is as the text says, negated or not.
    pub(super) fn is_met_by(&self, facts: &Facts) -> bool {
        match self.field {
            FlowField::Pod(ends) => self.any(facts, ends, |end| self.names_object(end.pod.as_ref())),
            FlowField::Service(ends) => self.any(facts, ends, |end| self.names_object(end.service.as_ref())),
            FlowField::Namespace(ends) => self.any(facts, ends, |end| {
                let objects = [end.pod.as_ref(), end.service.as_ref()];
                objects.into_iter().flatten().any(|object| self.text_is(&object.namespace))
            }),
            FlowField::Ip(ends) => self.any(facts, ends, |end| end.addresses().any(|at| self.is_at(at.ip()))),
            FlowField::Port(ends) => self
                .any(facts, ends, |end| end.addresses().any(|at| self.pattern == Pattern::Port(at.port()))),
            FlowField::Fqdn(ends) => {
                self.any(facts, ends, |end| end.names.iter().any(|name| self.is_glob_of(name)))
                    || ends != Ends::Client && asked_names(facts).any(|name| self.is_glob_of(name))
            }
            FlowField::Protocol => self.is_protocol(facts),
            FlowField::Verdict => {
                facts.verdict.as_ref().is_some_and(|verdict| self.text_is(&verdict.outcome))
            }
            FlowField::Stage => facts.stage.as_ref().is_some_and(|stage| self.text_is(stage)),
            FlowField::Process => self.is_process(facts),
            FlowField::Reason => {
                let drop = facts.drop.as_ref().map(|drop| &drop.reason);
                let reasons = [facts.close_reason.as_ref(), drop, facts.rcode.as_ref()];
                reasons.into_iter().flatten().any(|reason| self.text_is(&hyphenated(reason)))
            }
        }
    }

    fn any(&self, facts: &Facts, ends: Ends, test: impl Fn(&End) -> bool) -> bool {
        facts.ends(ends).any(test)
    }

    fn names_object(&self, object: Option<&Named>) -> bool {
        let Pattern::Object { namespace, prefix } = &self.pattern else { return false };
        object.is_some_and(|object| {
            namespace.as_ref().is_none_or(|namespace| *namespace == object.namespace)
                && object.name.starts_with(prefix.as_str())
        })
    }

    fn text_is(&self, text: &str) -> bool {
        match &self.pattern {
            Pattern::Name(name) => *name == text,
            Pattern::Namespace(name) | Pattern::Reason(name) => name == text,
            _ => false,
        }
    }

    fn is_at(&self, ip: IpAddr) -> bool {
        matches!(&self.pattern, Pattern::Net(net) if net.contains(&ip))
    }

    fn is_glob_of(&self, name: &str) -> bool {
        matches!(&self.pattern, Pattern::Glob(glob) if glob_matches(glob, &name.to_ascii_lowercase()))
    }

    fn is_protocol(&self, facts: &Facts) -> bool {
        match self.pattern {
            Pattern::Dns => facts.record_type == "dns",
            Pattern::Tls => facts.tls.is_some(),
            Pattern::Protocol(protocol) => facts.protocol.parse() == Ok(protocol),
            _ => false,
        }
    }

    fn is_process(&self, facts: &Facts) -> bool {
        let (Pattern::Text(text), Some(process)) = (&self.pattern, &facts.process) else { return false };
        process.binary.contains(text)
            || process.args.join(" ").contains(text)
            || text.parse() == Ok(process.pid)
    }
}

/// What the client wanted to reach, by name.
fn asked_names(facts: &Facts) -> impl Iterator<Item = &String> {
    let sni = facts.tls.as_ref().and_then(|tls| tls.sni.as_ref());
    [facts.query.as_ref(), sni].into_iter().flatten()
}

impl Pattern {
    fn parse(field: FlowField, text: &str) -> Result<Self, FlowTermError> {
        let pattern = match field {
            FlowField::Pod(_) | FlowField::Service(_) => object(text),
            FlowField::Namespace(_) => is_word(text).then(|| Self::Namespace(text.to_owned())),
            FlowField::Ip(_) => net(text).map(Self::Net),
            FlowField::Port(_) => text.parse().ok().map(Self::Port),
            FlowField::Fqdn(_) => {
                let name = text.strip_suffix('.').unwrap_or(text);
                is_word(name).then(|| Self::Glob(name.to_ascii_lowercase()))
            }
            FlowField::Protocol => match text.to_ascii_lowercase().as_str() {
                "dns" => Some(Self::Dns),
                "tls" => Some(Self::Tls),
                name => name.parse().ok().map(Self::Protocol),
            },
            FlowField::Verdict => one_of(text, Outcome::ALL.map(Outcome::as_str)),
            FlowField::Stage => one_of(text, FlowStage::ALL.map(FlowStage::as_str)),
            FlowField::Process => (!text.is_empty()).then(|| Self::Text(text.to_owned())),
            FlowField::Reason => is_word(text).then(|| Self::Reason(hyphenated(text))),
        };
        pattern.ok_or(FlowTermError { expected: expected(field) })
    }
}

const fn expected(field: FlowField) -> &'static str {
    match field {
        FlowField::Pod(_) | FlowField::Service(_) => {
            "NAMESPACE/NAME, NAMESPACE/ or NAME, of which NAME may be cut short"
        }
        FlowField::Namespace(_) => "the name of a namespace",
        FlowField::Ip(_) => "an address or CIDR, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8",
        FlowField::Port(_) => "a port from 0 to 65535",
        FlowField::Fqdn(_) => "a name, in which * stands for any characters, such as *.example.org",
        FlowField::Protocol => "tcp, udp, icmp, icmpv6, sctp, dns, tls or an IANA number",
        FlowField::Verdict => "allowed, denied, not-covered or unknown",
        FlowField::Process => "a part of the path or command line, or a process id",
        FlowField::Stage => "open, close, failed, found, update or dropped",
        FlowField::Reason => {
            "a reason of an end such as refused, of a drop such as NO_SOCKET, or a DNS answer such as NXDOMAIN"
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|char: char| char.is_whitespace() || char == '/')
}

fn object(text: &str) -> Option<Pattern> {
    let (namespace, prefix) = match text.split_once('/') {
        Some((namespace, prefix)) => (Some(namespace).filter(|namespace| !namespace.is_empty()), prefix),
        None => (None, text),
    };
    let is_bare = namespace.is_none() && prefix.is_empty();
    let is_name = |part: &str| part.is_empty() || is_word(part);
    let is_valid = !is_bare && namespace.is_none_or(is_name) && is_name(prefix);
    is_valid.then(|| Pattern::Object { namespace: namespace.map(str::to_owned), prefix: prefix.to_owned() })
}

/// Records have v4-mapped addresses as IPv4.
fn net(text: &str) -> Option<IpNet> {
    let address = text.parse().map(|ip: IpAddr| IpNet::from(ip.to_canonical()));
    address.ok().or_else(|| text.parse().ok().map(|net: IpNet| net.trunc()))
}

fn one_of<const N: usize>(text: &str, names: [&'static str; N]) -> Option<Pattern> {
    let text = hyphenated(text);
    names.into_iter().find(|name| *name == text).map(Pattern::Name)
}

fn hyphenated(text: &str) -> String {
    text.to_ascii_lowercase().replace('_', "-")
}

/// Whether the whole text is the pattern, with `*` for any characters. Linear: each part is taken where it first
/// stands, and what follows may stand anywhere behind it.
fn glob_matches(glob: &str, text: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else { return glob == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(tail)
}

impl fmt::Display for FlowTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}={}", if self.negated { "!" } else { "" }, self.field.as_str(), self.text)
    }
}

impl Serialize for FlowTerm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FlowTerm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let term = String::deserialize(deserializer)?;
        let (negated, plain) = term.strip_prefix('!').map_or((false, term.as_str()), |plain| (true, plain));
        let (name, text) = plain.split_once('=').unwrap_or((plain, ""));
        let field = FlowField::named(name)
            .ok_or_else(|| D::Error::custom(format_args!("unknown filter \"{name}\"")))?;
        Self::new(field, text, negated)
            .map_err(|error| D::Error::custom(format_args!("filter \"{term}\": {error}")))
    }
}
