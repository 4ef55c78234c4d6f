//! The `ClientHello` with which a client opens TLS (RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2).

mod ja4;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use watchfire_model::TlsView;

use crate::cursor::{Cursor, Ended};
use crate::text::escaped_within;

/// Longest text of a server name that is kept, bytes: as long as a DNS name may be.
pub const SNI_BYTES_MAX: usize = 255;
/// Most application protocols that are kept.
pub const ALPN_PROTOCOLS_MAX: usize = 8;
/// Longest text of an application protocol that is kept, bytes. Registered ones have no more than 20.
pub const ALPN_BYTES_MAX: usize = 32;
/// Most versions that are kept.
pub const VERSIONS_MAX: usize = 8;

/// `ContentType` of a record with a piece of a handshake message (RFC 8446, section 5.1).
const RECORD_HANDSHAKE: u8 = 22;
/// The version of a record begins with it since SSL 3.0.
const RECORD_VERSION_MAJOR: u8 = 3;
/// Most bytes of one record (RFC 8446, section 5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;
/// `HandshakeType` of a `ClientHello`.
const CLIENT_HELLO: u8 = 1;
const SESSION_ID_BYTES_MAX: usize = 32;

const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_SIGNATURE_ALGORITHMS: u16 = 13;
const EXTENSION_ALPN: u16 = 16;
const EXTENSION_SUPPORTED_VERSIONS: u16 = 43;
/// `NameType` of a host name (RFC 6066, section 3).
const NAME_HOST: u8 = 0;

/// Why bytes are no `ClientHello`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TlsError {
    /// Another record, or none at all.
    #[error("no TLS record with a handshake message")]
    NotHandshake,
    /// Another handshake message.
    #[error("a handshake message of type {0}, not a ClientHello")]
    NotClientHello(u8),
    /// A piece is longer than what it is in, too short for its form, or has something after its end.
    #[error("a ClientHello whose lengths contradict each other")]
    Lengths,
    /// RFC 8446 (section 4.2) allows one of a type.
    #[error("a ClientHello with two extensions of type {0}")]
    Twice(u16),
}

/// A `ClientHello`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ClientHello {
    /// `legacy_version`.
    pub legacy_version: u16,
    /// Cipher suites in the client's order, GREASE (RFC 8701) left out.
    pub cipher_suites: Vec<u16>,
    /// Types of the extensions in the client's order, GREASE left out.
    pub extensions: Vec<u16>,
    /// Server name, as it was sent.
    pub server_name: Option<Vec<u8>>,
    /// Application protocols in the client's order.
    pub alpn: Vec<Vec<u8>>,
    /// The extension `supported_versions` in the client's order, GREASE left out; none where there is no such extension.
    pub supported_versions: Option<Vec<u16>>,
    /// The extension `signature_algorithms` in the client's order, GREASE left out.
    pub signature_algorithms: Vec<u16>,
    /// Not all of the message was there.
    pub cut: bool,
}

/// Why reading stopped.
enum Stop {
    /// No more bytes.
    Ended,
    Wrong(TlsError),
}

impl From<Ended> for Stop {
    fn from(Ended: Ended) -> Self {
        Self::Ended
    }
}

/// Within a piece that is there as a whole, an end that comes too early is wrong.
fn lengths(Ended: Ended) -> TlsError {
    TlsError::Lengths
}

impl ClientHello {
    /// Reads the first bytes that a client sent. A message that goes on after them gives what could be read.
    pub fn read(bytes: &[u8]) -> Result<Self, TlsError> {
        let handshake = handshake_bytes(bytes)?;
        let mut cursor = Cursor::new(&handshake);
        let mut hello = Self::default();
        match cursor.u8() {
            Ok(CLIENT_HELLO) => {}
            Ok(other) => return Err(TlsError::NotClientHello(other)),
            Err(Ended) => return Err(TlsError::NotHandshake),
        }
        let whole_bytes = cursor.u24().map_or(usize::MAX, |bytes| bytes as usize);
        let there = whole_bytes.min(cursor.rest().len());
        hello.cut = there < whole_bytes;
        let body = cursor.take(there).unwrap_or_default();
        match hello.body(Cursor::new(body)) {
            Ok(()) => Ok(hello),
            Err(Stop::Ended) if hello.cut => Ok(hello),
            Err(Stop::Ended) => Err(TlsError::Lengths),
            Err(Stop::Wrong(error)) => Err(error),
        }
    }

    fn body(&mut self, mut cursor: Cursor<'_>) -> Result<(), Stop> {
        self.legacy_version = cursor.u16()?;
        let _random: [u8; 32] = cursor.array()?;
        if cursor.piece_8()?.len() > SESSION_ID_BYTES_MAX {
            return Err(Stop::Wrong(TlsError::Lengths));
        }
        self.cipher_suites = numbers(cursor.piece_16()?).map_err(Stop::Wrong)?;
        let _compression_methods = cursor.piece_8()?;
        if cursor.is_empty() && !self.cut {
            // Before TLS 1.3 extensions may be absent.
            return Ok(());
        }
        let extensions_bytes = usize::from(cursor.u16()?);
        if extensions_bytes < cursor.rest().len() {
            return Err(Stop::Wrong(TlsError::Lengths));
        }
        if extensions_bytes > cursor.rest().len() && !self.cut {
            return Err(Stop::Wrong(TlsError::Lengths));
        }
        while !cursor.is_empty() {
            let (extension, data) = (cursor.u16()?, cursor.piece_16()?);
            self.extension(extension, data).map_err(Stop::Wrong)?;
        }
        Ok(())
    }

    /// Takes in an extension that is there as a whole.
    fn extension(&mut self, extension: u16, data: &[u8]) -> Result<(), TlsError> {
        if is_grease(extension) {
            return Ok(());
        }
        if self.extensions.contains(&extension) {
            return Err(TlsError::Twice(extension));
        }
        self.extensions.push(extension);
        let mut data = Cursor::new(data);
        match extension {
            EXTENSION_SERVER_NAME if !data.is_empty() => {
                let mut list = Cursor::new(data.piece_16().map_err(lengths)?);
                while !list.is_empty() {
                    let name_type = list.u8().map_err(lengths)?;
                    let name = list.piece_16().map_err(lengths)?;
                    if name_type == NAME_HOST && self.server_name.is_none() {
                        self.server_name = Some(name.to_vec());
                    }
                }
            }
            EXTENSION_ALPN => {
                let mut list = Cursor::new(data.piece_16().map_err(lengths)?);
                while !list.is_empty() {
                    self.alpn.push(list.piece_8().map_err(lengths)?.to_vec());
                }
            }
            EXTENSION_SUPPORTED_VERSIONS => {
                self.supported_versions = Some(numbers(data.piece_8().map_err(lengths)?)?);
            }
            EXTENSION_SIGNATURE_ALGORITHMS => {
                self.signature_algorithms = numbers(data.piece_16().map_err(lengths)?)?;
            }
            // Of a form that is not looked at.
            _ => return Ok(()),
        }
        if data.is_empty() { Ok(()) } else { Err(TlsError::Lengths) }
    }

    /// Versions that the client offers. Of a message that was cut before they were told, none: the legacy version would be
    /// a guess.
    #[must_use]
    pub fn versions(&self) -> Vec<u16> {
        match &self.supported_versions {
            Some(versions) => versions.clone(),
            None if self.cut => Vec::new(),
            None => vec![self.legacy_version],
        }
    }

    /// The JA4 fingerprint; none of a message that is not there as a whole.
    #[must_use]
    pub fn ja4(&self) -> Option<String> {
        (!self.cut).then(|| ja4::fingerprint(self))
    }

    /// What records show of it, texts within their limits.
    #[must_use]
    pub fn view(&self) -> TlsView {
        let versions = self.versions();
        let mut truncated = self.cut || self.alpn.len() > ALPN_PROTOCOLS_MAX || versions.len() > VERSIONS_MAX;
        let mut text = |bytes: &[u8], bytes_max: usize| {
            let (text, cut) = escaped_within(bytes, b"\\", bytes_max);
            truncated |= cut;
            text
        };
        let sni = self.server_name.as_ref().map(|name| text(name, SNI_BYTES_MAX));
        let protocols = self.alpn.iter().take(ALPN_PROTOCOLS_MAX);
        let alpn = protocols.map(|protocol| text(protocol, ALPN_BYTES_MAX)).collect();
        let versions = versions.into_iter().take(VERSIONS_MAX).map(version_name).collect();
        TlsView { sni, alpn, versions, ja4: self.ja4(), truncated }
    }
}

/// The bytes of handshake messages, out of the records that carry them. A message may be spread over several.
fn handshake_bytes(bytes: &[u8]) -> Result<Vec<u8>, TlsError> {
    let mut cursor = Cursor::new(bytes);
    let mut handshake = Vec::with_capacity(bytes.len());
    while let Ok([content_type, major, _minor, high, low]) = cursor.array() {
        let record_bytes = usize::from(u16::from_be_bytes([high, low]));
        let is_handshake = content_type == RECORD_HANDSHAKE
            && major == RECORD_VERSION_MAJOR
            && (1..=RECORD_BYTES_MAX).contains(&record_bytes);
        if !is_handshake {
            // After the first message other records may follow, such as early data.
            if handshake.is_empty() {
                return Err(TlsError::NotHandshake);
            }
            break;
        }
        let there = record_bytes.min(cursor.rest().len());
        handshake.extend_from_slice(cursor.take(there).unwrap_or_default());
    }
    Ok(handshake)
}

/// A list of 16-bit numbers, GREASE left out.
fn numbers(bytes: &[u8]) -> Result<Vec<u16>, TlsError> {
    let (pairs, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(TlsError::Lengths);
    }
    Ok(pairs.iter().copied().map(u16::from_be_bytes).filter(|&number| !is_grease(number)).collect())
}

/// Numbers that mean nothing, sent so that servers do not stumble over what they do not know (RFC 8701).
const fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0x0F == 0x0A
}

fn version_name(version: u16) -> Cow<'static, str> {
    Cow::Borrowed(match version {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        _ => return Cow::Owned(format!("0x{version:04x}")),
    })
}
