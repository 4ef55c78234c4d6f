//! Records by page, as a stream and live; problems; and the audit of it all.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use watchfire_api::Peer;
use watchfire_export::ApiRefusal;

use crate::fixture::{Api, RECORDS, encoded, local, record, text};

fn numbers(page: &Value) -> Vec<u64> {
    page["records"].as_array().unwrap().iter().map(|record| record["n"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn pages_go_through_everything_while_records_are_appended() {
    let api = Api::new(Some(RECORDS)).await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/events?limit=40".to_owned();
    loop {
        let (status, page) = api.json(&path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        seen.extend(numbers(&page));
        api.append(&[record(RECORDS + seen.len())]);
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/events?limit=40&cursor={next}");
    }
    let first: Vec<u64> = seen.iter().copied().take(RECORDS).collect();
    assert!(first.iter().copied().eq(0..RECORDS as u64), "{seen:?}");
    assert!(seen.is_sorted(), "{seen:?}");
}

#[tokio::test]
async fn filters_and_times_narrow_what_is_found() {
    let api = Api::new(Some(RECORDS)).await;
    let (_, page) = api.json("/api/v1/events?filter=process.pid%20%3D%20142").await;
    assert_eq!(numbers(&page), [42]);
    let (_, page) = api.json("/api/v1/flows?since=2026-01-02T03:00:00Z&until=2026-01-02T03:00:09Z").await;
    assert_eq!(numbers(&page), [0, 3, 6, 9]);
    let (_, page) = api.json("/api/v1/findings").await;
    assert_eq!((numbers(&page), &page["next"]), (vec![10], &Value::Null));
    let (status, tree) = api.json("/api/v1/processes/3f2a91bc-102-5/tree").await;
    assert_eq!(status, StatusCode::OK, "{tree}");
    assert_eq!(tree["roots"], json!(["3f2a91bc-102-5"]));
    assert_eq!(tree["processes"].as_array().unwrap().len(), (0..RECORDS).filter(|n| n % 3 == 2).count());
}

#[tokio::test]
async fn a_stream_has_everything_that_matches() {
    let api = Api::new(Some(RECORDS)).await;
    let (status, lines) = api.ask("/api/v1/events", "application/x-ndjson").await;
    assert_eq!(status, StatusCode::OK);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, (0..RECORDS).map(record).collect::<Vec<_>>());
    let (_, lines) = api.ask("/api/v1/events?limit=7", "application/x-ndjson").await;
    assert_eq!(lines.lines().count(), 7);
}

/// A page says what it lacks; a stream, which cannot, is cut behind all that could be read.
#[tokio::test]
async fn a_damaged_part_of_the_ledger_is_told_and_the_rest_is_answered() {
    let api = Api::with_segments(Some(RECORDS), 10 * 1024).await;
    let table = api.dir().join("segments/000000000001/event.parquet");
    while !table.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let whole = std::fs::read(&table).unwrap();
    std::fs::write(&table, &whole[..whole.len() / 2]).unwrap();
    let (status, page) = api.json("/api/v1/events?limit=1000").await;
    assert_eq!(status, StatusCode::OK);
    let found = numbers(&page).len();
    assert!(RECORDS / 2 < found && found < RECORDS, "{found}");
    let damaged = page["damaged"].as_array().unwrap();
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    assert!(damaged[0].as_str().unwrap().starts_with(table.to_str().unwrap()), "{damaged:?}");
    let (_, flows) = api.json("/api/v1/flows?limit=1000").await;
    assert!(flows.get("damaged").is_none(), "{flows}");
    let (_, tree) = api.json("/api/v1/processes/3f2a91bc-102-5/tree").await;
    assert_eq!(tree["damaged"].as_array().unwrap().len(), 1, "{tree}");

    let request = Request::get("/api/v1/events").header("accept", "application/x-ndjson").extension(local());
    let mut body = api.send(request.body(Body::empty()).unwrap()).await.into_body();
    let (mut text, mut cut) = (String::new(), None);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.push_str(str::from_utf8(frame.data_ref().unwrap()).unwrap()),
            Err(error) => cut = Some(error.to_string()),
        }
    }
    assert_eq!(text.lines().count(), found);
    assert!(cut.is_some_and(|why| why.contains("event.parquet")));
}

#[tokio::test]
async fn who_follows_gets_new_records_and_is_told_of_gaps() {
    let api = Api::new(None).await;
    let request = Request::get("/api/v1/events?follow=true&filter=type%20%3D%20file").extension(local());
    let response = api.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut read = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(frame.to_vec()).unwrap()
    };
    assert_eq!(read().await, ": following\n\n");
    api.hub.publish(&[encoded(&record(0)), encoded(&record(1))]);
    assert_eq!(read().await, format!("event: record\ndata: {}\n\n", record(1)));
    // More than the queue of one client holds, at once.
    api.hub.publish(&vec![encoded(&record(1)); watchfire_export::CLIENT_QUEUE_RECORDS_MAX + 5]);
    let text = read().await;
    assert!(text.ends_with("event: lost\ndata: {\"lost\":5}\n\n"), "{}", &text[text.len() - 100..]);
    api.hub.close();
    assert!(body.frame().await.is_none());
}

/// What one connection that follows is told: for each event its id, what it is, and its data.
struct Following(Body, String);

impl Following {
    async fn of(api: &Api, query: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(format!("/api/v1/events?follow=true{query}")).extension(local());
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = api.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        Self(response.into_body(), String::new())
    }

    /// The next event that says or is something.
    async fn next(&mut self) -> (Option<String>, Option<String>, Value) {
        loop {
            while let Some((event, rest)) = self.1.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
                    line.map(str::to_owned)
                };
                let (id, kind, data) = (field("id"), field("event"), field("data"));
                self.1 = rest.to_owned();
                if id.is_some() || kind.is_some() {
                    let data = data.map_or(Value::Null, |data| serde_json::from_str(&data).unwrap());
                    return (id, kind, data);
                }
            }
            let frame = tokio::time::timeout(Duration::from_secs(60), self.0.frame()).await;
            let frame = frame.unwrap().unwrap().unwrap().into_data().unwrap();
            self.1.push_str(str::from_utf8(&frame).unwrap());
        }
    }

    /// So many records, and the id of the last.
    async fn records(&mut self, count: usize) -> (Vec<u64>, String) {
        let (mut numbers, mut last) = (Vec::new(), String::new());
        while numbers.len() < count {
            let (id, kind, data) = self.next().await;
            last = id.unwrap_or(last);
            if let Some(kind) = kind {
                assert_eq!(kind, "record", "{data}");
                numbers.push(data["n"].as_u64().unwrap());
            }
        }
        (numbers, last)
    }
}

/// However often a client is cut off, among what it missed or among what is new: nothing twice, nothing missing.
#[tokio::test]
async fn who_comes_again_goes_on_behind_what_it_had_last() {
    const ALL: usize = RECORDS + 300;
    let api = Api::with_segments(Some(RECORDS), 10 * 1024).await;
    let mut following = Following::of(&api, "", None).await;
    api.publish(&[record(RECORDS)]);
    let (first, mut last) = following.records(1).await;
    assert_eq!(first, [RECORDS as u64]);
    drop(following);
    // Records that come in another order than they happened, as long as nobody follows and while somebody does.
    let mut seen = first;
    let mut next = RECORDS + 1;
    for round in 1.. {
        let until = ALL.min(next + 40);
        let late: Vec<Value> = (next..until).rev().map(record).collect();
        let (before, during) = late.split_at(late.len() / 2);
        before.chunks(7).for_each(|records| api.publish(records));
        let by_header = round % 2 == 0;
        let query = if by_header { String::new() } else { format!("&cursor={last}") };
        let mut following = Following::of(&api, &query, by_header.then_some(&last)).await;
        during.chunks(3).for_each(|records| api.publish(records));
        next = until;
        // Cut off somewhere; in the last round, at the end.
        let missing = next - RECORDS - seen.len();
        let read = if next == ALL { missing } else { 1 + (round * 13) % missing };
        let (numbers, id) = following.records(read).await;
        seen.extend(numbers);
        last = id;
        if next == ALL && seen.len() == ALL - RECORDS {
            // Nothing of what was told out of the ledger comes again.
            api.publish(&[record(ALL)]);
            assert_eq!(following.records(1).await.0, [ALL as u64]);
            break;
        }
    }
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(RECORDS as u64..ALL as u64), "{seen:?}");
}

#[tokio::test]
async fn an_id_that_cannot_be_gone_on_from_is_refused() {
    let api = Api::new(Some(5)).await;
    let mut following = Following::of(&api, "", None).await;
    api.publish(&[record(5)]);
    let (_, last) = following.records(1).await;
    let number = last.len() - 16;
    let other = if last.as_bytes()[1] == b'0' { '1' } else { '0' };
    for (id, why) in [
        ("x".to_owned(), "expected what `next`"),
        (last[..20].to_owned(), "expected what `next`"),
        (format!("e{other}{}", &last[2..]), "another ledger"),
        (format!("{}{:016x}", &last[..number], 7), "behind the last record, which is number 6"),
    ] {
        let (status, problem) = api.json(&format!("/api/v1/events?follow=true&cursor={id}")).await;
        assert_eq!((status, &problem["parameter"]), (StatusCode::BAD_REQUEST, &json!("cursor")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
    let request = Request::get("/api/v1/events?follow=true").header("last-event-id", "7").extension(local());
    let response = api.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    // Pages are in another order.
    let (status, problem) = api.json(&format!("/api/v1/events?cursor={last}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    let without = Api::new(None).await;
    let (status, _) = without.json(&format!("/api/v1/events?follow=true&cursor={last}")).await;
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
}

/// What the ledger does not hold any more is told as a gap, with the rest behind it.
#[tokio::test]
async fn what_is_gone_is_told_as_a_gap() {
    let api = Api::with_segments(Some(RECORDS), 10 * 1024).await;
    let mut following = Following::of(&api, "", None).await;
    api.publish(&[record(RECORDS)]);
    let (_, last) = following.records(1).await;
    drop(following);
    let begin = format!("{}{:016x}", &last[..last.len() - 16], 10);
    let segments = api.dir().join("segments");
    while std::fs::read_dir(&segments).unwrap().count() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let manifest = std::fs::read(segments.join("000000000001/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let gone = manifest["frames"]["last_record"].as_u64().unwrap();
    std::fs::remove_dir_all(segments.join("000000000001")).unwrap();
    let mut following = Following::of(&api, "", Some(&begin)).await;
    let (_, kind, data) = following.next().await;
    assert_eq!(kind.as_deref(), Some("gap"));
    assert_eq!(data, json!({ "reason": "retention", "records": gone - 10 }));
    let (numbers, id) = following.records(RECORDS + 1 - gone as usize).await;
    assert!(numbers.iter().copied().eq(gone..=RECORDS as u64), "{numbers:?}");
    assert_ne!(id, last);
}

#[tokio::test]
async fn so_many_follow_and_no_more() {
    let api = Api::new(None).await;
    let mut following = Vec::new();
    for _ in 0..watchfire_export::CLIENTS_MAX {
        let request = Request::get("/api/v1/flows?follow=true").extension(local());
        following.push(api.send(request.body(Body::empty()).unwrap()).await);
    }
    let (status, problem) = api.json("/api/v1/flows?follow=true").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(api.metrics.api().refusals(ApiRefusal::Followers), 1);
    following.clear();
    // Places are free again once those who followed are noticed to have gone.
    let again = async {
        loop {
            let request = Request::get("/api/v1/flows?follow=true").extension(local());
            if api.send(request.body(Body::empty()).unwrap()).await.status() == StatusCode::OK {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.unwrap();
}

#[tokio::test]
async fn mistakes_are_answered_as_problems() {
    let api = Api::new(Some(5)).await;
    for (path, status, kind, more) in [
        (
            "/api/v1/events?filter=dst.prt%20%3D%201",
            400,
            "bad-filter",
            json!({ "parameter": "filter", "position": 1, "suggestion": "dst.port" }),
        ),
        ("/api/v1/events?filter=(verdict%20%3D%20denied", 400, "bad-filter", json!({ "position": 1 })),
        ("/api/v1/events?filter=dst.port%20%3D%20http", 400, "bad-filter", json!({ "position": 12 })),
        ("/api/v1/findings?filter=dns.query%20exists", 400, "bad-filter", json!({})),
        ("/api/v1/events?fliter=x", 400, "bad-parameter", json!({ "suggestion": "filter" })),
        ("/api/v1/events?limit=0", 400, "bad-parameter", json!({ "parameter": "limit" })),
        ("/api/v1/events?limit=1001", 400, "bad-parameter", json!({ "parameter": "limit" })),
        ("/api/v1/events?limit=1&limit=1", 400, "bad-parameter", json!({ "parameter": "limit" })),
        ("/api/v1/events?cursor=7", 400, "bad-parameter", json!({ "parameter": "cursor" })),
        ("/api/v1/events?since=soon", 400, "bad-parameter", json!({ "parameter": "since" })),
        ("/api/v1/events?since=1m&until=2m", 400, "bad-parameter", json!({ "parameter": "since" })),
        ("/api/v1/events?follow=true&limit=1", 400, "bad-parameter", json!({ "parameter": "limit" })),
        ("/api/v1/status?x=1", 400, "bad-parameter", json!({})),
        ("/api/v1/processes/..%2F..%2Fetc/tree", 404, "not-found", json!({})),
        ("/api/v1/processes/%A0/tree", 404, "not-found", json!({})),
        ("/api/v1/processes/3f2a91bc-9999-5/tree", 404, "not-found", json!({})),
        ("/api/v1/../../etc/passwd", 404, "not-found", json!({})),
        ("/api/v2/events", 404, "not-found", json!({})),
    ] {
        let (found, problem) = api.json(path).await;
        assert_eq!(found.as_u16(), status, "{path}: {problem}");
        assert_eq!(problem["type"], format!("urn:watchfire:problem:{kind}"), "{path}");
        assert_eq!(problem["status"], status);
        for (key, value) in more.as_object().unwrap() {
            assert_eq!(problem[key], *value, "{path}: {key} of {problem}");
        }
    }
    let (status, _) = api.ask("/api/v1/events", "text/html").await;
    assert_eq!(status, StatusCode::NOT_ACCEPTABLE);
    let without = Api::new(None).await;
    let (status, problem) = without.json("/api/v1/events").await;
    assert_eq!(
        (status, &problem["title"]),
        (StatusCode::NOT_IMPLEMENTED, &json!("this agent keeps no ledger"))
    );
}

#[tokio::test]
async fn what_is_not_asked_for_in_the_right_way_is_refused() {
    let api = Api::new(Some(5)).await;
    let status = async |request: Request<Body>| api.send(request).await.status().as_u16();
    let path = "/api/v1/status";
    let request = || Request::get(path).extension(local());
    assert_eq!(status(Request::get(path).body(Body::empty()).unwrap()).await, 403, "from nowhere");
    let stranger = Peer::Unix { uid: Some(1000), pid: Some(7), is_permitted: false };
    assert_eq!(status(Request::get(path).extension(stranger).body(Body::empty()).unwrap()).await, 403);
    let tcp = Peer::Tcp("10.0.0.1:5".parse().unwrap());
    assert_eq!(
        status(Request::get(path).extension(tcp).body(Body::empty()).unwrap()).await,
        403,
        "no tokens"
    );
    assert_eq!(status(request().body(Body::from("x")).unwrap()).await, 413);
    assert_eq!(status(request().header("content-length", "5").body(Body::empty()).unwrap()).await, 413);
    assert_eq!(status(request().method("POST").body(Body::empty()).unwrap()).await, 405);
    assert_eq!(status(request().method("HEAD").body(Body::empty()).unwrap()).await, 200);
    let long = format!("/api/v1/events?filter={}", "a".repeat(watchfire_api::limits::URI_BYTES_MAX));
    assert_eq!(status(Request::get(long).extension(local()).body(Body::empty()).unwrap()).await, 414);
}

#[tokio::test]
async fn every_request_leaves_a_record() {
    let mut api = Api::new(Some(RECORDS)).await;
    let (_, body) = api.ask("/api/v1/events?limit=3", "application/json").await;
    let access = api.accesses.recv().await.unwrap();
    assert_eq!((access.caller.uid, access.caller.pid), (Some(0), Some(7)));
    assert_eq!((access.request.method.as_str(), access.request.path.as_str()), ("GET", "/api/v1/events"));
    assert_eq!(access.request.query, "limit=3");
    assert_eq!((access.answer.status, access.answer.records), (200, 3));
    assert_eq!((access.answer.bytes, access.answer.cut), (body.len() as u64, false));
    api.ask("/api/v1/nowhere?x", "*/*").await;
    let access = api.accesses.recv().await.unwrap();
    assert_eq!((access.request.path.as_str(), access.answer.status), ("/api/v1/nowhere", 404));
    api.ask("/api/v1/events", "application/x-ndjson").await;
    let access = api.accesses.recv().await.unwrap();
    assert_eq!((access.answer.records, access.answer.cut), (RECORDS as u64, false));
}

#[tokio::test]
async fn without_room_for_its_record_a_request_is_not_answered() {
    let mut api = Api::new(Some(5)).await;
    let mut held = Vec::new();
    for _ in 0..watchfire_api::limits::ACCESSES_MAX {
        let request = Request::get("/api/v1/status").extension(local());
        held.push(api.send(request.body(Body::empty()).unwrap()).await);
    }
    let (status, problem) = api.json("/api/v1/status").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(api.metrics.api().refusals(ApiRefusal::Audit), 1);
    text(held.pop().unwrap()).await;
    api.accesses.recv().await.unwrap();
    assert_eq!(api.ask("/api/v1/status", "*/*").await.0, StatusCode::OK);
}
