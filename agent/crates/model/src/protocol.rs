//! Transport protocols.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IP protocol, named where Kubernetes names it (core/v1 `Protocol`) and numbered otherwise (IANA).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Protocol {
    /// Transmission Control Protocol, 6.
    Tcp,
    /// User Datagram Protocol, 17.
    Udp,
    /// Stream Control Transmission Protocol, 132.
    Sctp,
    /// ICMP for IPv4, 1.
    Icmp,
    /// ICMP for IPv6, 58.
    Icmpv6,
    /// Any other, by its IANA number.
    Other(u8),
}

impl From<u8> for Protocol {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Icmp,
            6 => Self::Tcp,
            17 => Self::Udp,
            58 => Self::Icmpv6,
            132 => Self::Sctp,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("TCP"),
            Self::Udp => f.write_str("UDP"),
            Self::Sctp => f.write_str("SCTP"),
            Self::Icmp => f.write_str("ICMP"),
            Self::Icmpv6 => f.write_str("ICMPv6"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

/// A text that names no protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseProtocolError(String);

impl fmt::Display for ParseProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown protocol \"{}\", expected TCP, UDP, SCTP, ICMP, ICMPv6 or an IANA number", self.0)
    }
}

impl std::error::Error for ParseProtocolError {}

impl FromStr for Protocol {
    type Err = ParseProtocolError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_uppercase().as_str() {
            "TCP" => Ok(Self::Tcp),
            "UDP" => Ok(Self::Udp),
            "SCTP" => Ok(Self::Sctp),
            "ICMP" => Ok(Self::Icmp),
            "ICMPV6" => Ok(Self::Icmpv6),
            number => number.parse::<u8>().map(Self::from).map_err(|_| ParseProtocolError(text.to_owned())),
        }
    }
}

impl Serialize for Protocol {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for (number, name) in
            [(1, "ICMP"), (6, "TCP"), (17, "UDP"), (58, "ICMPv6"), (132, "SCTP"), (47, "47")]
        {
            let protocol = Protocol::from(number);
            assert_eq!(protocol.to_string(), name);
            assert_eq!(name.parse::<Protocol>().unwrap(), protocol);
        }
        assert!("TPC".parse::<Protocol>().unwrap_err().to_string().contains("\"TPC\""));
    }
}
