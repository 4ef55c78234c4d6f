//! Who may ask, and the record of every request.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::mpsc::error::TrySendError;
use watchfire_export::{ApiMetrics, ApiRefusal};
use watchfire_model::{ApiAccessRecord, ApiAnswer, ApiCaller, ApiRequest};

use crate::answers::RecordCount;
use crate::limits::{
    AUDIT_TEXT_BYTES_MAX, TOKEN_BYTES_MAX, URI_BYTES_MAX, WRONG_TOKENS_MAX, WRONG_TOKENS_SECONDS,
};
use crate::peer::Peer;
use crate::problem::{Problem, ProblemKind};
use crate::reviews::{REVIEW_PATH_PREFIX, Review};
use crate::setup::Setup;

/// Route of requests that none fits.
const NO_ROUTE: &str = "none";

/// Lets a request through if it may be answered. Its record leaves with the last byte of the answer; a request for whose
/// record there is no room is not answered.
pub(crate) async fn guarded(State(setup): State<Setup>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let metrics = setup.metrics().clone();
    let route = route(&request);
    let peer = request.extensions().get::<Peer>().copied();
    if let Some(problem) = shut_out(&setup, peer) {
        metrics.refused(ApiRefusal::WrongTokens);
        metrics.answered(route, 429, 0, 0);
        return problem.into_response();
    }
    let permit = match setup.0.accesses.clone().try_reserve_owned() {
        Ok(permit) => permit,
        Err(TrySendError::Full(_)) => {
            metrics.refused(ApiRefusal::Audit);
            metrics.answered(route, 503, 0, 0);
            return Problem::new(ProblemKind::Busy, "the audit cannot take more").into_response();
        }
        Err(TrySendError::Closed(_)) => {
            metrics.answered(route, 503, 0, 0);
            return Problem::new(ProblemKind::Ending, "ask again later").into_response();
        }
    };
    let is_head = request.method() == Method::HEAD;
    let asked = asked(&request);
    let limits = within_limits(&request);
    let mut caller = peer.as_ref().map_or_else(ApiCaller::default, Peer::caller);
    let admitted = admit(&setup, peer, route, request.headers(), &mut caller).await;
    let response = match admitted.and(limits) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    count_refusal(&metrics, &response);
    let audit = Audit {
        permit: Some(permit),
        caller,
        request: Some(asked),
        route,
        status: response.status().as_u16(),
        records: response.extensions().get::<RecordCount>().cloned().unwrap_or_default(),
        bytes: 0,
        is_complete: is_head || response.body().is_end_stream(),
        started,
        metrics,
    };
    response.map(|body| Body::new(Audited { body, audit }))
}

fn route(request: &Request) -> &'static str {
    let matched = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str);
    crate::ROUTES.into_iter().find(|route| *route == matched).unwrap_or(NO_ROUTE)
}

fn count_refusal(metrics: &ApiMetrics, response: &Response) {
    if response.extensions().get() == Some(&ProblemKind::Review) {
        metrics.refused(ApiRefusal::Review);
        return;
    }
    metrics.refused(match response.status().as_u16() {
        401 => ApiRefusal::Unauthenticated,
        403 => ApiRefusal::Forbidden,
        400..500 => ApiRefusal::BadRequest,
        503 => ApiRefusal::Busy,
        504 => ApiRefusal::TooLong,
        _ => return,
    });
}

/// Whether the request may go on. Who asks is told in any case, as far as it is known.
async fn admit(
    setup: &Setup,
    peer: Option<Peer>,
    route: &'static str,
    headers: &HeaderMap,
    caller: &mut ApiCaller,
) -> Result<(), Problem> {
    match peer {
        Some(Peer::Unix { is_permitted: true, .. }) => Ok(()),
        Some(Peer::Tcp(address)) => by_token(setup, address.ip(), route, headers, caller).await,
        Some(Peer::Unix { is_permitted: false, .. }) | None => {
            Err(Problem::new(ProblemKind::Forbidden, "records are for root and the agent's user"))
        }
    }
}

/// Whose token the request shows (RFC 6750, 2.1): the file's first, since that takes nobody else.
async fn by_token(
    setup: &Setup,
    ip: IpAddr,
    route: &'static str,
    headers: &HeaderMap,
    caller: &mut ApiCaller,
) -> Result<(), Problem> {
    let Some(gate) = setup.gate() else {
        return Err(Problem::new(ProblemKind::Forbidden, "no tokens are taken here"));
    };
    // What is no route is for whoever may have all of them.
    let path = if route == NO_ROUTE { "/api/v1/" } else { route };
    let review = match shown(headers) {
        None => Review::Unknown,
        Some(token) => match (gate.credentials.current().tokens.owner(token), &gate.reviews) {
            (Some(owner), _) => Review::Allowed(owner),
            (None, None) => Review::Unknown,
            (None, Some(reviews)) => {
                reviews.ask(token, path).await.map_err(|why| Problem::new(ProblemKind::Review, &*why))?
            }
        },
    };
    match review {
        Review::Allowed(user) => {
            caller.user = Some(user);
            Ok(())
        }
        Review::Refused(user) => {
            let detail = format!("{user} may not get {REVIEW_PATH_PREFIX}{path}");
            caller.user = Some(user);
            Err(Problem::new(ProblemKind::Forbidden, detail))
        }
        Review::Unknown => {
            if gate.wrong.count(ip, Instant::now()) {
                tracing::warn!(%ip, "a request to the API had no token, or one that nobody knows");
            }
            let detail = "expected `Authorization: Bearer TOKEN` with a token that is known here";
            Err(Problem::new(ProblemKind::Unauthenticated, detail))
        }
    }
}

/// The token that the request shows, if it can be one.
fn shown(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    let token = token.trim();
    let can_be = scheme.eq_ignore_ascii_case("bearer") && (1..=TOKEN_BYTES_MAX).contains(&token.len());
    can_be.then_some(token)
}

/// Where too many tokens of the address were wrong. Requests like that leave no record: they would fill the ledger.
fn shut_out(setup: &Setup, peer: Option<Peer>) -> Option<Problem> {
    let (Some(gate), Some(Peer::Tcp(address))) = (setup.gate(), peer) else { return None };
    gate.wrong.is_shut_out(address.ip(), Instant::now()).then(|| {
        let detail = format!("{WRONG_TOKENS_MAX} within {WRONG_TOKENS_SECONDS} s");
        Problem::new(ProblemKind::WrongTokens, detail)
    })
}

fn within_limits(request: &Request) -> Result<(), Problem> {
    let bytes = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    if bytes > URI_BYTES_MAX {
        let detail = format!("path and query have {bytes} bytes, at most {URI_BYTES_MAX} are read");
        return Err(Problem::new(ProblemKind::UriTooLong, detail));
    }
    if has_content(request.headers()) || !request.body().is_end_stream() {
        return Err(Problem::new(ProblemKind::UnexpectedContent, "everything is in the query"));
    }
    Ok(())
}

fn has_content(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

fn asked(request: &Request) -> ApiRequest {
    let (path, is_path_cut) = cut(request.uri().path());
    let (query, is_query_cut) = cut(request.uri().query().unwrap_or_default());
    let (method, _) = cut(request.method().as_str());
    ApiRequest { method, path, query, truncated: is_path_cut || is_query_cut }
}

fn cut(text: &str) -> (String, bool) {
    let end = text.floor_char_boundary(AUDIT_TEXT_BYTES_MAX);
    (text[..end].to_owned(), end < text.len())
}

/// What becomes the record of a request.
struct Audit {
    permit: Option<OwnedPermit<ApiAccessRecord>>,
    caller: ApiCaller,
    request: Option<ApiRequest>,
    route: &'static str,
    status: u16,
    records: RecordCount,
    bytes: u64,
    is_complete: bool,
    started: Instant,
    metrics: ApiMetrics,
}

impl Drop for Audit {
    fn drop(&mut self) {
        let records = self.records.get();
        self.metrics.answered(self.route, self.status, records, self.bytes);
        let (Some(permit), Some(request)) = (self.permit.take(), self.request.take()) else { return };
        let answer = ApiAnswer {
            status: self.status,
            records,
            bytes: self.bytes,
            duration_ns: u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX),
            cut: !self.is_complete,
        };
        let record = ApiAccessRecord { caller: std::mem::take(&mut self.caller), request, answer };
        if permit.send(record).is_closed() {
            self.metrics.unaudited();
        }
    }
}

/// The content of an answer, watched.
struct Audited {
    body: Body,
    audit: Audit,
}

impl http_body::Body for Audited {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            self.audit.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        self.audit.is_complete = frame.is_none() || self.body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
