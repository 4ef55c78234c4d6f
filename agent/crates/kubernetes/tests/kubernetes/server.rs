//! An API server that says what a test tells it to, in the order in which it was told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde_json::Value;
use tokio::net::TcpListener;

/// An answer.
pub(crate) enum Reply {
    /// A status and a text.
    Text(u16, String),
    /// A text with a tag, which is not sent again to who has it. It stays.
    Tagged(&'static str, String),
    /// An answer that the test goes on with.
    Stream(Channel<Bytes, std::io::Error>),
    /// An answer that breaks off after a text.
    Cut(String),
    /// None, ever.
    Hang,
}

#[derive(Default)]
struct Script {
    /// By path and by whether it is a watch.
    replies: HashMap<(String, bool), VecDeque<Reply>>,
    requests: Vec<String>,
    /// What was sent, by path.
    bodies: Vec<(String, Value)>,
    accepts: Vec<String>,
}

/// The server. What nobody told it about does not exist; what it has no more replies for is an empty list, or a watch in
/// which nothing happens.
#[derive(Clone)]
pub(crate) struct Server {
    script: Arc<Mutex<Script>>,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { script: Arc::default(), port: listener.local_addr().unwrap().port() };
        let answering = server.clone();
        let router = Router::new().fallback(move |request: Request| {
            let server = answering.clone();
            async move { server.answer(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    pub(crate) fn on_list(&self, path: &str, reply: Reply) {
        self.push(path, false, reply);
    }

    pub(crate) fn on_watch(&self, path: &str, reply: Reply) {
        self.push(path, true, reply);
    }

    /// A watch that the test writes the events of.
    pub(crate) fn watch(&self, path: &str) -> Sender<Bytes, std::io::Error> {
        let (sender, channel) = Channel::new(64);
        self.on_watch(path, Reply::Stream(channel));
        sender
    }

    /// All requests for a path, as path and query.
    pub(crate) fn requests(&self, path: &str) -> Vec<String> {
        let script = self.script.lock().unwrap();
        let of_path = |request: &&String| request.split('?').next() == Some(path);
        script.requests.iter().filter(of_path).cloned().collect()
    }

    /// Path and content of each request that had any.
    pub(crate) fn bodies(&self) -> Vec<(String, Value)> {
        self.script.lock().unwrap().bodies.clone()
    }

    /// What each request accepts.
    pub(crate) fn accepts(&self) -> Vec<String> {
        self.script.lock().unwrap().accepts.clone()
    }

    /// As if the path had never been there.
    pub(crate) fn remove(&self, path: &str) {
        self.script.lock().unwrap().replies.retain(|(known, _), _| known != path);
    }

    fn push(&self, path: &str, is_watch: bool, reply: Reply) {
        let mut script = self.script.lock().unwrap();
        script.replies.entry((path.to_owned(), is_watch)).or_default().push_back(reply);
    }

    async fn answer(&self, request: Request) -> Response {
        let uri = request.uri().to_string();
        let path = request.uri().path().to_owned();
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=1"));
        let seen = request.headers().get("if-none-match").map(|tag| tag.to_str().unwrap().to_owned());
        let accept = request.headers()["accept"].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let reply = {
            let mut script = self.script.lock().unwrap();
            if !body.is_empty() {
                script.bodies.push((path.clone(), serde_json::from_slice(&body).unwrap()));
            }
            script.accepts.push(format!("{path} {accept}"));
            script.requests.push(uri);
            let is_known = script.replies.contains_key(&(path.clone(), false));
            let replies = script.replies.get_mut(&(path, is_watch));
            let next = replies.and_then(|replies| match replies.front() {
                Some(Reply::Tagged(tag, text)) if replies.len() == 1 => {
                    Some(Reply::Tagged(tag, text.clone()))
                }
                _ => replies.pop_front(),
            });
            next.unwrap_or(match (is_known, is_watch) {
                (false, _) => Reply::Text(404, "404 page not found\n".to_owned()),
                (true, false) => Reply::Text(200, list("1", &[])),
                (true, true) => Reply::Hang,
            })
        };
        match reply {
            Reply::Text(status, text) => Response::builder().status(status).body(text.into()).unwrap(),
            Reply::Tagged(tag, _) if seen.as_deref() == Some(tag) => {
                Response::builder().status(304).header("etag", tag).body(Body::empty()).unwrap()
            }
            Reply::Tagged(tag, text) => Response::builder().header("etag", tag).body(text.into()).unwrap(),
            Reply::Stream(channel) => Response::new(Body::new(channel)),
            Reply::Cut(text) => {
                let (mut sender, channel) = Channel::new(2);
                sender.send_data(text.into()).await.unwrap();
                tokio::spawn(async move {
                    // Once the text is on its way: the end would overtake it.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    sender.abort(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
                });
                Response::new(Body::new(channel))
            }
            Reply::Hang => std::future::pending().await,
        }
    }
}

/// A list of a version.
pub(crate) fn list(version: &str, items: &[String]) -> String {
    page(version, "", items)
}

/// A page of a list.
pub(crate) fn page(version: &str, go_on: &str, items: &[String]) -> String {
    let items = items.join(",");
    format!(
        r#"{{"kind":"List","metadata":{{"resourceVersion":"{version}","continue":"{go_on}"}},"items":[{items}]}}"#
    )
}

/// An object that has a name and a version.
pub(crate) fn named(name: &str, version: &str) -> String {
    format!(
        r#"{{"metadata":{{"namespace":"shop","name":"{name}","uid":"u-{name}","resourceVersion":"{version}"}}}}"#
    )
}

/// An event of a watch.
pub(crate) fn event(happened: &str, object: &str) -> Bytes {
    format!("{{\"type\":\"{happened}\",\"object\":{object}}}\n").into()
}

/// A status as the API writes it.
pub(crate) fn status(code: u16, message: &str) -> String {
    format!(r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","code":{code}}}"#)
}
