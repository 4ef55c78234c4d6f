//! Whatever is sent, the answer is one of those that are described: never a failure of the agent's, never a panic.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;
use watchfire_api::{PARAMETERS, PROBLEM_TYPE, ROUTES};

use crate::fixture::{Api, local, text};

/// A path and query out of pieces that mean something, and of any bytes.
fn targets() -> impl Strategy<Value = String> {
    let route = prop_oneof![
        6 => proptest::sample::select(ROUTES.to_vec()).prop_map(str::to_owned),
        1 => "(/|%2e%2e|\\.\\.|%00|%ff|[a-z0-9%]{1,8}){1,12}".prop_map(|path| format!("/{path}")),
    ];
    let exec_id = prop_oneof!["[0-9a-f]{8}-[0-9]{1,9}-[0-9]{1,12}", "[!-~]{0,40}"];
    let name = prop_oneof![
        6 => proptest::sample::select(PARAMETERS.to_vec()).prop_map(str::to_owned),
        1 => "[a-z%]{0,8}",
    ];
    let value = prop_oneof![
        "[0-9]{0,20}",
        "[0-9a-f]{32}",
        "[0-9]{1,3}[smhd]",
        "(verdict|dst.port|ip|type|time|not|and|or|in|[()=<>!,\"'*]|denied|[0-9]{1,4}|%20|\\+){1,20}",
        "\\PC{0,40}",
        "%[0-9a-fA-F]{0,2}.{0,20}",
        Just("true".to_owned()),
    ];
    let query = proptest::collection::vec((name, value), 0..4);
    (route, exec_id, query).prop_map(|(route, exec_id, query)| {
        let path = route.replace("{exec_id}", &exec_id);
        let pairs: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("{path}{mark}{}", pairs.join("&"))
    })
}

fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = proptest::sample::select(vec![
        "accept",
        "authorization",
        "content-length",
        "transfer-encoding",
        "cookie",
        "range",
        "host",
        "expect",
    ]);
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        "(application/(json|x-ndjson|\\*)|\\*/\\*|text/event-stream|;q=[0-9.]+|,| ){0,6}"
            .prop_map(String::into_bytes),
    ];
    proptest::collection::vec((name.prop_map(str::to_owned), value), 0..4)
}

#[test]
fn nothing_that_is_sent_makes_the_agent_fail() {
    let runtime = Runtime::new().unwrap();
    let mut api = runtime.block_on(Api::new(Some(60)));
    let mut runner = TestRunner::new(Config { cases: 3000, failure_persistence: None, ..Config::default() });
    let methods = proptest::sample::select(vec!["GET", "GET", "GET", "GET", "HEAD", "POST", "DELETE", "X"]);
    let (mut answered, mut refused) = (0, 0);
    let api = std::cell::RefCell::new(&mut api);
    let counts = std::cell::RefCell::new((&mut answered, &mut refused));
    runner
        .run(&(methods, targets(), headers()), |(method, target, headers)| {
            // What is no URI never gets beyond the HTTP library.
            let Ok(uri) = target.parse::<Uri>() else { return Ok(()) };
            let mut request =
                Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri);
            for (name, value) in headers {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    request = request.header(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
                }
            }
            let request = request.extension(local()).body(Body::empty()).unwrap();
            let mut api = api.borrow_mut();
            runtime.block_on(async {
                let response = api.send(request).await;
                let status = response.status();
                prop_assert!(!status.is_server_error(), "{status} of {target:?}");
                let kind = response.headers().get("content-type").cloned();
                if status.is_success() {
                    *counts.borrow_mut().0 += 1;
                    if kind.as_ref().is_none_or(|kind| kind != "text/event-stream") {
                        drop(text(response).await);
                    } else {
                        drop(response);
                    }
                } else {
                    *counts.borrow_mut().1 += 1;
                    prop_assert_eq!(kind.unwrap(), PROBLEM_TYPE);
                    if method != "HEAD" {
                        serde_json::from_str::<serde_json::Value>(&text(response).await).unwrap();
                    }
                }
                // So that there is room for the next.
                while api.accesses.try_recv().is_ok() {}
                while !api.metrics.render().contains("watchfire_api_followers 0\n") {
                    tokio::task::yield_now().await;
                }
                Ok(())
            })
        })
        .unwrap();
    let (answered, refused) = counts.into_inner();
    assert!(*answered > 100 && *refused > 100, "{answered} answered, {refused} refused");
}
