//! `toPorts` and `icmps` (pkg/policy/api/{l4,icmp,rule_validation}.go).

use watchfire_model::{Direction, Protocol};

use super::fqdn::NamePattern;
use super::object::{FqdnSelector, HeaderMatch, IcmpField, IcmpRule, L7Rules, PortProtocol, PortRule};
use crate::compile::{InvalidPolicy, invalid};
use crate::netpol::IntOrString;
use crate::port::{PortEntry, PortMatcher, PortTest, Ports, Protocols};

/// Most ports and ICMP types of one entry.
const PORTS_MAX: usize = 40;
const FIELDS_MAX: usize = 40;
/// Longest port name, in bytes (RFC 6335, 5.1).
const NAME_BYTES_MAX: usize = 15;

/// Which list a rule stands in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) direction: Direction,
    pub(crate) denies: bool,
    /// Whether the rule is about nodes.
    pub(crate) of_nodes: bool,
}

/// What a rule says of ports.
pub(crate) struct L4 {
    pub(crate) ports: Ports,
    /// Whether what they allow has to pass rules on what is said.
    pub(crate) needs_l7: bool,
    /// Whether a port is missing, which Cilium refuses unless `enable-extended-ip-protocols` is set.
    pub(crate) lacks_port: bool,
}

/// Reads ports and types.
pub(crate) fn read(
    path: &str,
    to_ports: Option<&[PortRule]>,
    icmps: Option<&[IcmpRule]>,
    list: List,
) -> Result<L4, InvalidPolicy> {
    let (to_ports, icmps) = (to_ports.unwrap_or_default(), icmps.unwrap_or_default());
    if !to_ports.is_empty() && !icmps.is_empty() {
        return Err(invalid(format!("{path}.icmps"), "must not be combined with toPorts"));
    }
    if to_ports.is_empty() && icmps.is_empty() {
        return Ok(L4 { ports: Ports::Any, needs_l7: false, lacks_port: false });
    }
    let mut entries = Vec::new();
    let (mut needs_l7, mut lacks_port) = (false, false);
    for (rule, index) in to_ports.iter().zip(0..) {
        let path = format!("{path}.toPorts[{index}]");
        needs_l7 |= check_rule(&path, rule, list)?;
        for (port, entry) in rule.ports.iter().flatten().zip(0..) {
            lacks_port |= port.port.as_deref().unwrap_or_default().is_empty();
            let matcher = port_matcher(&format!("{path}.ports[{entry}]"), port)?;
            entries.push(PortEntry { at: (index, Some(entry)), matcher });
        }
    }
    for (rule, index) in icmps.iter().zip(0..) {
        let path = format!("{path}.icmps[{index}]");
        let fields = rule.fields.as_deref().unwrap_or_default();
        at_most(&path, "fields", fields.len(), FIELDS_MAX)?;
        for (field, entry) in fields.iter().zip(0..) {
            let matcher = icmp_matcher(&format!("{path}.fields[{entry}]"), field)?;
            entries.push(PortEntry { at: (index, Some(entry)), matcher });
        }
    }
    let field = if icmps.is_empty() { "toPorts" } else { "icmps" };
    Ok(L4 { ports: Ports::Listed { field, entries: entries.into() }, needs_l7, lacks_port })
}

fn at_most(path: &str, field: &str, count: usize, most: usize) -> Result<(), InvalidPolicy> {
    if count > most {
        return Err(invalid(format!("{path}.{field}"), format!("expected at most {most}, found {count}")));
    }
    Ok(())
}

/// Whether a rule's ports are numbers that start a range or a single port, names, or everything.
fn port_matcher(path: &str, source: &PortProtocol) -> Result<PortMatcher, InvalidPolicy> {
    let PortProtocol { port, end_port, protocol } = source;
    let protocols = protocols(path, protocol.as_deref().unwrap_or_default())?;
    let port = port.as_deref().filter(|port| !port.is_empty()).unwrap_or("0");
    let last = match end_port.unwrap_or_default() {
        last @ 0..=65535 => last as u16,
        other => {
            return Err(invalid(
                format!("{path}.endPort"),
                format!("expected a port up to 65535, found {other}"),
            ));
        }
    };
    if is_port_name(port) {
        return Ok(PortMatcher::Ports {
            protocols,
            ports: PortTest::LastNamed(port.to_ascii_lowercase().into()),
        });
    }
    let first = number(port).ok_or_else(|| {
        invalid(format!("{path}.port"), format!("expected a port number or name, found \"{port}\""))
    })?;
    let has_ports = match protocols {
        Protocols::Transport | Protocols::One(Protocol::Tcp | Protocol::Udp | Protocol::Sctp) => true,
        Protocols::One(_) => false,
    };
    if !has_ports && port != "0" {
        return Err(invalid(format!("{path}.port"), "the protocol has no ports"));
    }
    let ports = match (first, last) {
        (0, _) => PortTest::Any,
        (first, last) => PortTest::Range(first..=last.max(first)),
    };
    Ok(PortMatcher::Ports { protocols, ports })
}

fn protocols(path: &str, name: &str) -> Result<Protocols, InvalidPolicy> {
    let protocol = match name.to_ascii_uppercase().as_str() {
        "" | "ANY" => return Ok(Protocols::Transport),
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        "VRRP" => Protocol::Other(112),
        "IGMP" => Protocol::Other(2),
        "GRE" => Protocol::Other(47),
        "IPIP" => Protocol::Other(4),
        "IPV6" => Protocol::Other(41),
        "ESP" => Protocol::Other(50),
        "AH" => Protocol::Other(51),
        _ => return Err(invalid(format!("{path}.protocol"), format!("unknown protocol \"{name}\""))),
    };
    Ok(Protocols::One(protocol))
}

/// A number as Go reads it with base 0: in octal after a leading 0, and with underscores between digits.
fn number(text: &str) -> Option<u16> {
    let is_plain = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
            && !text.starts_with('_')
            && !text.ends_with('_')
            && !text.contains("__")
    };
    if !is_plain(text) {
        return None;
    }
    let digits = text.replace('_', "");
    match digits.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u16::from_str_radix(octal, 8).ok(),
        _ => digits.parse().ok(),
    }
}

/// Whether it is an IANA service name, in whichever case (pkg/iana).
fn is_port_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !(name.starts_with('-') || name.ends_with('-') || name.contains("--"))
}

/// Checks what stands beside the ports; whether it asks for more than the ports.
fn check_rule(path: &str, rule: &PortRule, list: List) -> Result<bool, InvalidPolicy> {
    let PortRule { ports, rules, listener, server_names, terminating_tls, originating_tls } = rule;
    let ports = ports.as_deref().unwrap_or_default();
    let fail = |field: &str, reason: String| Err(invalid(format!("{path}.{field}"), reason));
    let beside = [
        ("rules", rules.is_some()),
        ("listener", listener.is_some()),
        ("serverNames", server_names.is_some()),
        ("terminatingTLS", terminating_tls.is_some()),
        ("originatingTLS", originating_tls.is_some()),
    ];
    if let Some((field, _)) = beside.iter().find(|(_, is_there)| *is_there && list.denies) {
        return fail(field, "unknown field in a rule that denies".to_owned());
    }
    at_most(path, "ports", ports.len(), PORTS_MAX)?;
    let (http, dns) = rules.as_ref().map_or((0, 0), |rules| {
        (rules.http.as_ref().map_or(0, Vec::len), rules.dns.as_ref().map_or(0, Vec::len))
    });
    let has_rules = http + dns > 0;
    let server_names = server_names.as_deref().unwrap_or_default();
    if !server_names.is_empty() && has_rules && terminating_tls.is_none() {
        return fail("serverNames", "must not be combined with rules without terminatingTLS".to_owned());
    }
    if server_names.iter().any(String::is_empty) {
        return fail("serverNames", "empty server name".to_owned());
    }
    if listener.is_some() && list.direction == Direction::Ingress {
        return fail("listener", "must not be set on ingress".to_owned());
    }
    if listener.is_some() && has_rules {
        return fail("listener", "must not be combined with rules".to_owned());
    }
    let Some(rules) = rules else {
        return Ok(!server_names.is_empty()
            || listener.is_some()
            || terminating_tls.is_some()
            || originating_tls.is_some());
    };
    if has_rules {
        check_l7(&format!("{path}.rules"), rules, ports, (http, dns), list)?;
    }
    let L7Rules { http: _, dns: _, kafka, l7proto, l7 } = rules;
    let has_others = kafka.as_ref().is_some_and(|rules| !rules.is_empty())
        || l7proto.as_ref().is_some_and(|name| !name.is_empty())
        || l7.is_some();
    Ok(has_rules || has_others || !server_names.is_empty() || listener.is_some() || terminating_tls.is_some())
}

fn check_l7(
    path: &str,
    rules: &L7Rules,
    ports: &[PortProtocol],
    (http, dns): (usize, usize),
    list: List,
) -> Result<(), InvalidPolicy> {
    let fail = |reason: &str| Err(invalid(path, reason));
    match (list.direction, list.of_nodes) {
        (Direction::Ingress, true) => {
            return fail("rules on what is said are not supported on ingress of nodes");
        }
        (Direction::Egress, true) if http > 0 => return fail("http is not supported on egress of nodes"),
        (Direction::Ingress, _) if dns > 0 => return fail("dns is not supported on ingress"),
        _ => {}
    }
    for port in ports {
        let first = number(port.port.as_deref().unwrap_or_default());
        let last = port.end_port.unwrap_or_default();
        if dns > 0 && first.is_some_and(|first| last > i64::from(first)) {
            return fail("dns does not support ranges of ports");
        }
        let is_tcp = port.protocol.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("TCP"));
        if dns == 0 && !is_tcp {
            return fail("rules other than dns need the protocol TCP");
        }
        if first == Some(0) {
            return fail("must not be combined with port 0");
        }
    }
    if rules.http.is_some() && rules.dns.is_some() {
        return fail("expected rules of one kind, found several");
    }
    if rules.dns.is_some() && ports.is_empty() {
        return fail("dns needs a port");
    }
    for rule in rules.http.iter().flatten().flat_map(|rule| rule.header_matches.iter().flatten()) {
        let HeaderMatch { name, mismatch, .. } = rule;
        if name.as_deref().unwrap_or_default().is_empty() {
            return fail("a header match needs a name");
        }
        if !matches!(mismatch.as_deref(), None | Some("" | "LOG" | "ADD" | "DELETE" | "REPLACE")) {
            return fail("expected LOG, ADD, DELETE or REPLACE as mismatch");
        }
    }
    for (name, index) in rules.dns.iter().flatten().zip(0..) {
        names(&format!("{path}.dns[{index}]"), name)?;
    }
    Ok(())
}

/// The names that an entry of `toFQDNs` or of `rules.dns` means.
pub(crate) fn names(path: &str, source: &FqdnSelector) -> Result<NamePattern, InvalidPolicy> {
    let pattern = source.match_pattern.as_deref().unwrap_or_default();
    let checked =
        NamePattern::pattern(pattern).map_err(|reason| invalid(format!("{path}.matchPattern"), reason))?;
    match source.match_name.as_deref() {
        None | Some("") => Ok(checked),
        Some(name) => NamePattern::name(name).map_err(|reason| invalid(format!("{path}.matchName"), reason)),
    }
}

fn icmp_matcher(path: &str, source: &IcmpField) -> Result<PortMatcher, InvalidPolicy> {
    let protocol = match source.family.as_deref() {
        None | Some("" | "IPv4") => Protocol::Icmp,
        Some("IPv6") => Protocol::Icmpv6,
        Some(other) => {
            return Err(invalid(
                format!("{path}.family"),
                format!("expected IPv4 or IPv6, found \"{other}\""),
            ));
        }
    };
    let names = if protocol == Protocol::Icmp { ICMP_TYPES } else { ICMPV6_TYPES };
    let expected =
        || invalid(format!("{path}.type"), "expected a number from 0 to 255 or the name of a type");
    let number = match source.icmp_type.as_ref().ok_or_else(expected)? {
        IntOrString::Int(number) => u8::try_from(*number).map_err(|_| expected())?,
        IntOrString::String(text) => match names.iter().find(|(name, _)| name == text) {
            Some((_, number)) => *number,
            None => text.parse().map_err(|_| expected())?,
        },
    };
    // Cilium keeps the type where ports are kept, and there 0 stands for all.
    let icmp_type = (number != 0).then_some(u16::from(number));
    Ok(PortMatcher::Icmp { protocol, icmp_type })
}

type Types = &'static [(&'static str, u8)];

const ICMP_TYPES: Types = &[
    ("EchoReply", 0),
    ("DestinationUnreachable", 3),
    ("Redirect", 5),
    ("Echo", 8),
    ("EchoRequest", 8),
    ("RouterAdvertisement", 9),
    ("RouterSelection", 10),
    ("TimeExceeded", 11),
    ("ParameterProblem", 12),
    ("Timestamp", 13),
    ("TimestampReply", 14),
    ("Photuris", 40),
    ("ExtendedEchoRequest", 42),
    ("ExtendedEchoReply", 43),
];

const ICMPV6_TYPES: Types = &[
    ("DestinationUnreachable", 1),
    ("PacketTooBig", 2),
    ("TimeExceeded", 3),
    ("ParameterProblem", 4),
    ("EchoRequest", 128),
    ("EchoReply", 129),
    ("MulticastListenerQuery", 130),
    ("MulticastListenerReport", 131),
    ("MulticastListenerDone", 132),
    ("RouterSolicitation", 133),
    ("RouterAdvertisement", 134),
    ("NeighborSolicitation", 135),
    ("NeighborAdvertisement", 136),
    ("RedirectMessage", 137),
    ("RouterRenumbering", 138),
    ("ICMPNodeInformationQuery", 139),
    ("ICMPNodeInformationResponse", 140),
    ("InverseNeighborDiscoverySolicitation", 141),
    ("InverseNeighborDiscoveryAdvertisement", 142),
    ("HomeAgentAddressDiscoveryRequest", 144),
    ("HomeAgentAddressDiscoveryReply", 145),
    ("MobilePrefixSolicitation", 146),
    ("MobilePrefixAdvertisement", 147),
    ("DuplicateAddressRequestCodeSuffix", 157),
    ("DuplicateAddressConfirmationCodeSuffix", 158),
    ("ExtendedEchoRequest", 160),
    ("ExtendedEchoReply", 161),
];
