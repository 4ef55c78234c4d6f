//! Requests: one answer, piece by piece, or why there is none.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use tokio::time::timeout;

/// Largest error that is read of a server, bytes.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Largest answer that is read whole, bytes.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;
const JSON: &str = "application/json";
/// Longest error of a server that is repeated, bytes.
const ERROR_TEXT_BYTES_MAX: usize = 512;

/// Why there is no answer, or no more of it.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// 401 or 403.
    #[error("{0}")]
    Forbidden(String),
    /// 404: no such kind.
    #[error("not found: {0}")]
    NotFound(String),
    /// 410: what was asked for is too old.
    #[error("expired: {0}")]
    Expired(String),
    /// Any other status that is no success.
    #[error("status {status}: {message}")]
    Refused { status: u16, message: String },
    /// No answer has begun.
    #[error("{0}")]
    Unreachable(String),
    /// An answer has begun and broken off.
    #[error("the answer broke off: {0}")]
    Cut(String),
    /// The answer is not what was asked for.
    #[error("{0}")]
    Malformed(String),
}

impl Failure {
    pub(crate) fn of(status: u16, message: String) -> Self {
        match status {
            401 | 403 => Self::Forbidden(message),
            404 => Self::NotFound(message),
            410 => Self::Expired(message),
            _ => Self::Refused { status, message },
        }
    }
}

/// What is asked.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    answer_timeout: Duration,
}

impl Api {
    pub(crate) const fn new(client: Client, answer_timeout: Duration) -> Self {
        Self { client, answer_timeout }
    }

    /// Asks, and waits for the beginning of the answer. No part of it may be longer in coming than `silence_max`.
    pub(crate) async fn get(
        &self,
        path: &str,
        accept: &str,
        silence_max: Duration,
    ) -> Result<Answer, Failure> {
        let answer = self.get_if_changed(path, accept, silence_max, None).await?;
        answer.ok_or_else(|| {
            Failure::Malformed("the server says `not modified` of what it was not told".to_owned())
        })
    }

    /// As [`get`](Self::get); none if the answer is still the one that bore this tag.
    pub(crate) async fn get_if_changed(
        &self,
        path: &str,
        accept: &str,
        silence_max: Duration,
        tag: Option<&str>,
    ) -> Result<Option<Answer>, Failure> {
        let request = Request::get(path).header(header::ACCEPT, accept);
        let request =
            tag.into_iter().fold(request, |request, tag| request.header(header::IF_NONE_MATCH, tag));
        let (status, mut answer) = self.send(request.body(Body::empty()), silence_max).await?;
        match status {
            StatusCode::OK => return Ok(Some(answer)),
            StatusCode::NOT_MODIFIED => return Ok(None),
            _ => {}
        }
        Err(Failure::of(status.as_u16(), answer.error_text(status).await))
    }

    /// Sends a document in JSON; the whole answer.
    pub(crate) async fn post(&self, path: &str, document: String) -> Result<Vec<u8>, Failure> {
        let request = Request::post(path)
            .header(header::ACCEPT, JSON)
            .header(header::CONTENT_TYPE, JSON)
            .body(Body::from(document.into_bytes()));
        let (status, mut answer) = self.send(request, self.answer_timeout).await?;
        if !status.is_success() {
            return Err(Failure::of(status.as_u16(), answer.error_text(status).await));
        }
        let mut whole = Vec::new();
        while let Some(piece) = answer.next().await? {
            whole.extend_from_slice(&piece);
            if whole.len() > DOCUMENT_BYTES_MAX {
                return Err(Failure::Malformed(format!("an answer of more than {DOCUMENT_BYTES_MAX} bytes")));
            }
        }
        Ok(whole)
    }

    async fn send(
        &self,
        request: http::Result<Request<Body>>,
        silence_max: Duration,
    ) -> Result<(StatusCode, Answer), Failure> {
        let request = request.map_err(|error| Failure::Malformed(error.to_string()))?;
        let sent = self.client.send(request);
        let response = match timeout(self.answer_timeout, sent).await {
            Err(_) => {
                return Err(Failure::Unreachable(format!("no answer within {:?}", self.answer_timeout)));
            }
            // What kube calls it says nothing.
            Ok(Err(kube::Error::Service(error))) => {
                return Err(Failure::Unreachable(with_causes(error.as_ref())));
            }
            Ok(Err(error)) => return Err(Failure::Unreachable(with_causes(&error))),
            Ok(Ok(response)) => response,
        };
        let tag =
            response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(ToOwned::to_owned);
        Ok((response.status(), Answer { body: response.into_body(), silence_max, tag }))
    }
}

/// An answer that comes in pieces.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Body,
    silence_max: Duration,
    tag: Option<String>,
}

impl Answer {
    /// `ETag`
    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The next piece; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = self.body.frame();
            match timeout(self.silence_max, frame).await {
                Err(_) => return Err(Failure::Cut(format!("nothing more within {:?}", self.silence_max))),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(Failure::Cut(with_causes(&error))),
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// What the server says of its refusal: the message of a `Status`, or else the beginning of the text.
    async fn error_text(&mut self, status: StatusCode) -> String {
        #[derive(Deserialize)]
        struct Status {
            message: String,
        }
        let mut text = Vec::new();
        while let Ok(Some(piece)) = self.next().await {
            text.extend_from_slice(&piece);
            if text.len() > ERROR_BYTES_MAX {
                break;
            }
        }
        let message = match serde_json::from_slice::<Status>(&text) {
            Ok(Status { message }) => message,
            Err(_) => String::from_utf8_lossy(&text).trim().to_owned(),
        };
        let message = message[..message.floor_char_boundary(ERROR_TEXT_BYTES_MAX)].to_owned();
        if message.is_empty() { status.to_string() } else { message }
    }
}

/// An error and what caused it; many repeat their cause, which then is said once.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
