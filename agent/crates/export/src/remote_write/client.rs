//! One request and what became of it.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use super::auth::RemoteWriteAuth;
use super::authorities::{AuthorityFile, advice, connector};
use super::{REMOTE_WRITE_REQUEST_SECONDS_MAX, RemoteWriteError};

/// What is read of the reason that a server gives, bytes.
const REASON_BYTES_MAX: usize = 1024;
/// Longest pause that a server may ask for, seconds.
const RETRY_AFTER_SECONDS_MAX: u64 = 600;

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// The server has it.
    Taken,
    /// It never will be taken.
    Refused(String),
    /// It is to be tried again, after the time that the server asks for.
    Later { why: String, after: Option<Duration> },
}

#[derive(Debug)]
pub(super) struct Client {
    url: Uri,
    user_agent: String,
    auth: Option<RemoteWriteAuth>,
    authorities: Option<AuthorityFile>,
    http: Http,
}

#[derive(Debug)]
enum Http {
    Plain(HttpClient<HttpConnector, Full<Bytes>>),
    Tls(HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Http {
    fn tls(authorities: Option<&AuthorityFile>) -> Result<Self, String> {
        let connector = connector(authorities)?;
        Ok(Self::Tls(HttpClient::builder(TokioExecutor::new()).build(connector)))
    }
}

impl Client {
    pub(super) fn new(
        url: Uri,
        version: &str,
        auth: Option<RemoteWriteAuth>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, RemoteWriteError> {
        let authorities = |why| RemoteWriteError::Authorities { url: url.clone(), why };
        let file = ca_file.map(AuthorityFile::open).transpose().map_err(authorities)?;
        let http = match (url.scheme_str(), url.host()) {
            (Some("http"), Some(_)) => Http::Plain(HttpClient::builder(TokioExecutor::new()).build_http()),
            (Some("https"), Some(_)) => Http::tls(file.as_ref()).map_err(authorities)?,
            _ => return Err(RemoteWriteError::Url { url }),
        };
        Ok(Self { url, user_agent: format!("watchfire/{version}"), auth, authorities: file, http })
    }

    /// Takes in another file of authorities, after a failure. One that says nothing of use leaves what there was.
    pub(super) fn renew(&mut self) {
        if let Some(file) = &mut self.authorities
            && file.look()
        {
            match Http::tls(Some(file)) {
                Ok(http) => self.http = http,
                Err(error) => tracing::warn!(error, "the changed file of authorities is not used"),
            }
        }
    }

    pub(super) async fn send(&self, body: Bytes) -> Answer {
        let later = |why: String| Answer::Later { why, after: None };
        let request = match self.request(body) {
            Ok(request) => request,
            Err(why) => return later(why),
        };
        let answered = async {
            let response = match &self.http {
                Http::Plain(client) => client.request(request).await,
                Http::Tls(client) => client.request(request).await,
            };
            let (head, body) = response.map_err(|error| why(&error))?.into_parts();
            let body =
                Limited::new(body, REASON_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes);
            Ok::<_, String>((head.status, head.headers, body.unwrap_or_default()))
        };
        match timeout(Duration::from_secs(REMOTE_WRITE_REQUEST_SECONDS_MAX), answered).await {
            Err(_) => later(format!("no answer within {REMOTE_WRITE_REQUEST_SECONDS_MAX} s")),
            Ok(Err(why)) => later(why),
            Ok(Ok((status, headers, reason))) => judge(status, &headers, &reason),
        }
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(CONTENT_ENCODING, "snappy")
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .header(USER_AGENT, &self.user_agent);
        if let Some(auth) = &self.auth {
            request = request.header(AUTHORIZATION, auth.header()?);
        }
        request.body(Full::new(body)).map_err(|error| error.to_string())
    }
}

/// "Remote-Write 1.0", "Retries & Backoff": again on 5xx, on 429 as well, and on no other 4xx.
fn judge(status: StatusCode, headers: &HeaderMap, reason: &[u8]) -> Answer {
    if status.is_success() {
        return Answer::Taken;
    }
    let why = format!("{status}: {}", String::from_utf8_lossy(reason).trim());
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let after = after.map(|seconds| Duration::from_secs(seconds.min(RETRY_AFTER_SECONDS_MAX)));
        return Answer::Later { why, after };
    }
    Answer::Refused(why)
}

/// Why a request failed, from the outside in, and what to do about it.
fn why(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    advice(error).map_or_else(|| text.clone(), |advice| format!("{advice} ({text})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let later = |why: &str, after| Answer::Later { why: why.to_owned(), after };
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let none = HeaderMap::new();
        for (status, headers, expected) in [
            (204, &none, Answer::Taken),
            (400, &none, Answer::Refused("400 Bad Request: old".to_owned())),
            (401, &headers, Answer::Refused("401 Unauthorized: old".to_owned())),
            (429, &headers, later("429 Too Many Requests: old", Some(Duration::from_secs(7)))),
            (503, &none, later("503 Service Unavailable: old", None)),
        ] {
            assert_eq!(judge(StatusCode::from_u16(status).unwrap(), headers, b"old\n"), expected);
        }
    }

    #[test]
    fn urls_name_a_scheme_and_a_host() {
        for (url, is_good) in [
            ("http://h/api/v1/write", true),
            ("ftp://h/", false),
            ("/api/v1/write", false),
            ("h:9090", false),
        ] {
            assert_eq!(Client::new(url.parse().unwrap(), "1", None, None).is_ok(), is_good, "{url}");
        }
    }
}
