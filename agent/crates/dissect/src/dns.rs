//! DNS messages (RFC 1035), as far as the answer section.

mod code;
mod name;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use watchfire_model::DnsAnswer;

use self::code::{CLASS_IN, CLASS_IN_NAME, class_name, rcode_name, type_name};
pub use self::name::{NAME_BYTES_MAX, NAME_POINTERS_MAX};
use crate::cursor::{Cursor, Ended};

/// Most resource records of an answer section that are kept.
pub const ANSWERS_MAX: usize = 64;
/// Bytes of a message's header.
const HEADER_BYTES: usize = 12;
/// Bits of the second word of the header.
const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_TRUNCATED: u16 = 0x0200;

const TYPE_A: u16 = 1;
const TYPE_NS: u16 = 2;
const TYPE_CNAME: u16 = 5;
const TYPE_PTR: u16 = 12;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;

/// A message as far as it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Joins an answer with its query.
    pub id: u16,
    /// An answer, and not a query (QR).
    pub response: bool,
    /// Kind of query; 0 is the usual one.
    pub opcode: u8,
    /// How it was answered, as `NOERROR`. Without meaning in a query.
    pub rcode: Cow<'static, str>,
    /// What was asked. Some answers leave it out, and it may be cut off.
    pub question: Option<Question>,
    /// The answer section.
    pub answers: Vec<DnsAnswer>,
    /// The server cut the message (TC), not all of it was there to be read, or it has more than [`ANSWERS_MAX`] answers.
    pub truncated: bool,
}

/// What was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Name, as it was sent, without its last dot; `.` for the root. Case has no meaning in it.
    pub name: String,
    /// Type, as `A`.
    pub query_type: Cow<'static, str>,
    /// Class, as `IN`.
    pub class: Cow<'static, str>,
}

/// Why bytes are not a DNS message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DnsError {
    /// It ends within its header, or before what it announces although nothing was cut off.
    #[error("the message ends too early")]
    Short,
    /// RFC 9619 allows one question and no more.
    #[error("{0} questions in one message")]
    Questions(u16),
    /// A label's length has one of the two unused forms (RFC 1035, section 4.1.4).
    #[error("a label of an unknown form")]
    Label,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("a name of more than {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    /// A compression pointer that does not point backwards, or more than [`NAME_POINTERS_MAX`] in a name.
    #[error("a name with a compression pointer that leads nowhere")]
    Pointer,
    /// The data of a resource record is not of its type's form.
    #[error("resource data that does not fit its type")]
    Data,
}

/// Why reading stopped.
enum Stop {
    /// No more bytes.
    Ended,
    Wrong(DnsError),
}

impl From<Ended> for Stop {
    fn from(Ended: Ended) -> Self {
        Self::Ended
    }
}

impl From<DnsError> for Stop {
    fn from(error: DnsError) -> Self {
        Self::Wrong(error)
    }
}

/// Reads a message of `whole_bytes`, of which `bytes` are there. One that is cut gives what could be read, once its header
/// is there.
pub fn message(bytes: &[u8], whole_bytes: usize) -> Result<Message, DnsError> {
    let cut = bytes.len() < whole_bytes;
    let mut cursor = Cursor::new(bytes);
    let header: [u8; HEADER_BYTES] = cursor.array().map_err(|Ended| DnsError::Short)?;
    let word = |at: usize| u16::from_be_bytes([header[2 * at], header[2 * at + 1]]);
    let [id, flags, questions, answers, authorities, additionals] = [0, 1, 2, 3, 4, 5].map(word);
    if questions > 1 {
        return Err(DnsError::Questions(questions));
    }
    let response = flags & FLAG_RESPONSE != 0;
    let low_rcode = flags & 0xF;
    let mut message = Message {
        id,
        response,
        opcode: (flags >> 11 & 0xF) as u8,
        rcode: rcode_name(low_rcode),
        question: None,
        answers: Vec::new(),
        truncated: cut || flags & FLAG_TRUNCATED != 0,
    };
    let mut reader = Reader { message: bytes, cursor };
    match reader.body(&mut message, questions, answers) {
        Ok(()) => {}
        Err(Stop::Ended) if cut => return Ok(message),
        Err(Stop::Ended) => return Err(DnsError::Short),
        Err(Stop::Wrong(error)) => return Err(error),
    }
    // Nothing else is read from there: what is wrong with it concerns nobody.
    if response && usize::from(answers) <= ANSWERS_MAX {
        let others = usize::from(authorities) + usize::from(additionals);
        if let Some(high_rcode) = reader.extended_rcode(others) {
            message.rcode = rcode_name(high_rcode << 4 | low_rcode);
        }
    }
    Ok(message)
}

/// The message, for names that point back into it, and what is left of it.
struct Reader<'a> {
    message: &'a [u8],
    cursor: Cursor<'a>,
}

/// A resource record before its data is looked at.
struct Resource<'a> {
    name: String,
    record_type: u16,
    class: u16,
    ttl: u32,
    data: &'a [u8],
    data_at: usize,
}

impl<'a> Reader<'a> {
    fn body(&mut self, message: &mut Message, questions: u16, answers: u16) -> Result<(), Stop> {
        if questions == 1 {
            let name = self.name()?;
            let (query_type, class) = (self.cursor.u16()?, self.cursor.u16()?);
            message.question =
                Some(Question { name, query_type: type_name(query_type), class: class_name(class) });
        }
        let kept = usize::from(answers).min(ANSWERS_MAX);
        for _ in 0..kept {
            let answer = self.answer()?;
            message.answers.push(answer);
        }
        message.truncated |= kept < usize::from(answers);
        Ok(())
    }

    fn answer(&mut self) -> Result<DnsAnswer, Stop> {
        let Resource { name, record_type, class, ttl, data, data_at } = self.resource()?;
        let wrong = |_| Stop::Wrong(DnsError::Data);
        let data = match record_type {
            TYPE_A if class == CLASS_IN => {
                let octets: [u8; 4] = data.try_into().map_err(wrong)?;
                Some(Ipv4Addr::from(octets).to_string())
            }
            TYPE_AAAA if class == CLASS_IN => {
                let octets: [u8; 16] = data.try_into().map_err(wrong)?;
                Some(Ipv6Addr::from(octets).to_string())
            }
            TYPE_CNAME | TYPE_PTR | TYPE_NS => {
                // The record is there as a whole: a name that ends outside of it is wrong and not cut.
                let (target, end) = name::read(self.message, data_at).map_err(|stop| match stop {
                    Stop::Ended => Stop::Wrong(DnsError::Data),
                    wrong @ Stop::Wrong(_) => wrong,
                })?;
                if end != data_at + data.len() {
                    return Err(Stop::Wrong(DnsError::Data));
                }
                Some(target)
            }
            _ => None,
        };
        // A time to live with the first bit set counts as 0 (RFC 2181, section 8).
        let ttl = if ttl > u32::MAX / 2 { 0 } else { ttl };
        Ok(DnsAnswer { name, record_type: type_name(record_type), ttl, data })
    }

    fn resource(&mut self) -> Result<Resource<'a>, Stop> {
        let name = self.name()?;
        let (record_type, class) = (self.cursor.u16()?, self.cursor.u16()?);
        let ttl = self.cursor.u32()?;
        let data_bytes = self.cursor.u16()?;
        let data_at = self.at();
        let data = self.cursor.take(usize::from(data_bytes))?;
        Ok(Resource { name, record_type, class, ttl, data, data_at })
    }

    /// The upper bits of the rcode, which stand in the OPT record where there is one (RFC 6891, section 6.1.3).
    fn extended_rcode(&mut self, records: usize) -> Option<u16> {
        for _ in 0..records {
            let resource = self.resource().ok()?;
            if resource.record_type == TYPE_OPT {
                return Some((resource.ttl >> 24) as u16);
            }
        }
        None
    }

    fn name(&mut self) -> Result<String, Stop> {
        let (name, end) = name::read(self.message, self.at())?;
        self.cursor = Cursor::new(self.message.get(end..).unwrap_or_default());
        Ok(name)
    }

    /// Where in the message reading goes on.
    const fn at(&self) -> usize {
        self.message.len() - self.cursor.rest().len()
    }
}

impl Question {
    /// Whether this is a question of the usual class.
    #[must_use]
    pub fn is_internet(&self) -> bool {
        self.class == CLASS_IN_NAME
    }
}
