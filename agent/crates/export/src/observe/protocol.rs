//! What client and agent say to each other over the observe socket: one JSON object a line.

use serde::{Deserialize, Serialize};

use crate::{EncodedRecord, FlowFilter, RecordType};

use super::RECENT_RECORDS_MAX;
use super::question::Ask;

/// Longest request line in bytes, newline included.
pub const REQUEST_BYTES_MAX: usize = 4096;

/// A client that has not sent its request after this long is sent away.
pub const REQUEST_SECONDS_MAX: u64 = 5;

const EXAMPLE: &str = r#"{"last":20,"types":["flow"],"follow":true}"#;
const ASK_EXAMPLE: &str = r#"{"who":"10.0.0.1"} or {"state":"candidates"}"#;

/// The one line that a client sends.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObserveRequest {
    /// So many of the most recent matching records first, at most [`RECENT_RECORDS_MAX`].
    #[serde(default)]
    pub last: usize,
    /// Only records of these types; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<RecordType>>,
    /// Whether to go on with records as they come.
    #[serde(default)]
    pub follow: bool,
    /// Only flow and DNS records that match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flows: Option<FlowFilter>,
}

/// What a client may say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Request {
    Observe(ObserveRequest),
    Ask(Ask),
}

impl Request {
    /// Reads a request line. The error is what the client is told.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let is_question = serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(line)
            .is_ok_and(|object| Ask::KEYS.iter().any(|key| object.contains_key(*key)));
        if !is_question {
            return ObserveRequest::parse(line).map(Self::Observe);
        }
        let bad = |error| format!("bad request: {error}; expected e.g. {ASK_EXAMPLE}");
        let object: serde_json::Map<_, _> = serde_json::from_slice(line).map_err(bad)?;
        Ask::read(object).map(Self::Ask).map_err(bad)
    }
}

impl ObserveRequest {
    /// Reads a request line. The error is what the client is told.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        // By way of a map, since serde would take an array for a struct as well.
        let request: Self = serde_json::from_slice::<serde_json::Map<_, _>>(line)
            .and_then(|object| serde_json::from_value(object.into()))
            .map_err(|error| format!("bad request: {error}; expected e.g. {EXAMPLE}"))?;
        if request.last > RECENT_RECORDS_MAX {
            return Err(format!(
                "bad request: last is {}, the agent keeps {RECENT_RECORDS_MAX} records",
                request.last
            ));
        }
        if request.types.as_ref().is_some_and(Vec::is_empty) {
            return Err("bad request: types is empty; leave it out for all types".to_owned());
        }
        Ok(request)
    }

    /// Whether records of this type are wanted at all. Cheap: the pipeline asks.
    pub(super) fn wants(&self, record_type: RecordType) -> bool {
        let is_of_filter = matches!(record_type, RecordType::Flow | RecordType::Dns);
        self.types.as_ref().is_none_or(|types| types.contains(&record_type))
            && (self.flows.is_none() || is_of_filter)
    }

    /// Whether this record, of a type that is wanted, is wanted itself. Reads the line where there is a filter.
    pub(super) fn admits(&self, record: &EncodedRecord) -> bool {
        // What the agent wrote is a record; if it were not, the client had better see it.
        self.flows.as_ref().is_none_or(|filter| filter.matches(&record.line).unwrap_or(true))
    }
}

/// What the agent says beside records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Notice {
    /// The client reads too slowly: so many records were dropped for it at this place.
    ObserverLoss { lost: u64 },
    /// The connection ends because of this.
    Error { error: String },
    /// An answer is complete, with so many lines before this one.
    End { lines: u64 },
}

impl Notice {
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("a notice has string keys only");
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::StateOf;

    #[test]
    fn requests_are_read_strictly() {
        let ok = |text: &str| ObserveRequest::parse(text.as_bytes()).unwrap();
        assert_eq!(ok("{}"), ObserveRequest::default());
        let request = ok(r#"{"last":20,"types":["flow","loss"],"follow":true}"#);
        assert!(request.wants(RecordType::Flow) && !request.wants(RecordType::Process));
        assert_eq!(ok(&serde_json::to_string(&request).unwrap()), request);
        let filtered = r#"{"last":0,"follow":false,"flows":{"since":"2026-01-02T03:04:05.000000000Z","terms":["to-port=443","!verdict=allowed"]}}"#;
        let request = ok(filtered);
        assert_eq!(serde_json::to_string(&request).unwrap(), filtered);
        assert!(request.wants(RecordType::Flow) && request.wants(RecordType::Dns));
        assert!(!request.wants(RecordType::Process));

        for (text, expected) in [
            ("", "EOF"),
            ("[]", "expected"),
            (r#"{"last":-1}"#, "invalid value: integer `-1`"),
            (r#"{"last":5000}"#, "last is 5000, the agent keeps 4096 records"),
            (r#"{"types":[]}"#, "types is empty"),
            (
                r#"{"types":["names"]}"#,
                "unknown variant `names`, expected one of `process`, `flow`, `dns`, `credentials`",
            ),
            (r#"{"tail":1}"#, "unknown field `tail`"),
            (r#"{"flows":{"term":[]}}"#, "unknown field `term`"),
            (r#"{"flows":{"since":"now"}}"#, "expected an RFC 3339 time"),
            (r#"{"flows":{"terms":["color=red"]}}"#, "unknown filter \"color\""),
            (r#"{"flows":{"terms":["port=http"]}}"#, "filter \"port=http\": expected a port from 0 to 65535"),
            (r#"{} {}"#, "trailing characters"),
            ("\u{7f}", "expected value"),
        ] {
            let error = ObserveRequest::parse(text.as_bytes()).unwrap_err();
            assert!(error.starts_with("bad request: ") && error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn questions_are_told_from_requests_for_records() {
        let parse = |text: &str| Request::parse(text.as_bytes());
        assert_eq!(parse(r#"{"who":"7"}"#), Ok(Request::Ask(Ask::Who("7".to_owned()))));
        assert_eq!(parse(r#"{"state":"candidates"}"#), Ok(Request::Ask(Ask::State(StateOf::Candidates))));
        assert!(parse(r#"{"state":"weather"}"#).unwrap_err().contains("unknown variant `weather`"));
        assert!(parse(r#"{"state":"candidates","who":"7"}"#).unwrap_err().contains("unknown field `who`"));
        assert_eq!(parse("{}"), Ok(Request::Observe(ObserveRequest::default())));
        assert!(parse(r#"{"who":7}"#).unwrap_err().contains("expected a string"));
        assert!(parse(r#"{"who":"7","last":1}"#).unwrap_err().contains("unknown field `last`"));
    }

    #[test]
    fn notices_are_lines() {
        let line = |notice: Notice| String::from_utf8(notice.line()).unwrap();
        assert_eq!(line(Notice::ObserverLoss { lost: 3 }), "{\"type\":\"observer-loss\",\"lost\":3}\n");
        assert_eq!(line(Notice::Error { error: "no".into() }), "{\"type\":\"error\",\"error\":\"no\"}\n");
    }
}
