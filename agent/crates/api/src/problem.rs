//! Errors as clients see them: problem details (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Media type of a problem.
pub const PROBLEM_TYPE: &str = "application/problem+json";

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $text:literal $status:ident $title:literal,)+) => {
        /// What went wrong. The end of a problem's `type`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum ProblemKind {
            $($(#[$doc])* $name,)+
        }

        impl ProblemKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The status that it is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

kinds! {
    /// The text of a filter is none.
    BadFilter "bad-filter" BAD_REQUEST "the filter cannot be read",
    /// A parameter is unknown, twice there, or has no such value.
    BadParameter "bad-parameter" BAD_REQUEST "a parameter cannot be used",
    /// The request has content.
    UnexpectedContent "unexpected-content" PAYLOAD_TOO_LARGE "requests have no content",
    /// Path and query are too long.
    UriTooLong "uri-too-long" URI_TOO_LONG "the address is too long",
    /// No token, or one that nobody knows.
    Unauthenticated "unauthenticated" UNAUTHORIZED "a token is needed",
    /// Whoever it is may not ask this.
    Forbidden "forbidden" FORBIDDEN "not permitted",
    /// There is nothing of that name.
    NotFound "not-found" NOT_FOUND "not found",
    /// Only GET and HEAD.
    Method "method-not-allowed" METHOD_NOT_ALLOWED "only GET and HEAD are answered",
    /// None of the media types that are asked for.
    NotAcceptable "not-acceptable" NOT_ACCEPTABLE "none of these media types can be had here",
    /// Too many wrong tokens.
    WrongTokens "too-many-wrong-tokens" TOO_MANY_REQUESTS "too many wrong tokens",
    /// Something that is needed is not configured.
    NoLedger "no-ledger" NOT_IMPLEMENTED "this agent keeps no ledger",
    /// Come again later.
    Busy "busy" SERVICE_UNAVAILABLE "the agent is busy",
    /// Nobody can tell whose token it is.
    Review "token-not-reviewed" SERVICE_UNAVAILABLE "nobody can tell now whose token this is",
    /// The agent ends.
    Ending "ending" SERVICE_UNAVAILABLE "the agent is shutting down",
    /// Not found in time.
    TooLong "took-too-long" GATEWAY_TIMEOUT "the answer was not found in time",
    /// The ledger cannot be read.
    Ledger "ledger-error" INTERNAL_SERVER_ERROR "the ledger cannot be read",
}

/// One problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
    parameter: Option<&'static str>,
    position: Option<usize>,
    suggestion: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<&'a str>,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), parameter: None, position: None, suggestion: None }
    }

    /// About this parameter of the query.
    pub(crate) fn of(mut self, parameter: &'static str) -> Self {
        self.parameter = Some(parameter);
        self
    }

    /// At this character of the parameter, from 1.
    pub(crate) const fn at(mut self, position: usize) -> Self {
        self.position = Some(position);
        self
    }

    /// What may have been meant.
    pub(crate) fn meant(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let document = Document {
            r#type: format!("urn:watchfire:problem:{}", self.kind.as_str()),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
            parameter: self.parameter,
            position: self.position,
            suggestion: self.suggestion.as_deref(),
        };
        let mut body = serde_json::to_vec(&document).expect("a problem has string keys only");
        body.push(b'\n');
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_TYPE)], body).into_response();
        let extra = match self.kind {
            ProblemKind::Unauthenticated => Some((header::WWW_AUTHENTICATE, "Bearer")),
            ProblemKind::Method => Some((header::ALLOW, "GET, HEAD")),
            ProblemKind::Busy | ProblemKind::Ending | ProblemKind::Review => Some((header::RETRY_AFTER, "1")),
            ProblemKind::WrongTokens => Some((header::RETRY_AFTER, "60")),
            _ => None,
        };
        response.extensions_mut().insert(self.kind);
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
