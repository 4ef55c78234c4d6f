//! Questions over the observe socket, and what a client makes of answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use watchfire_export::{
    Answer, Ask, Metrics, ObserveError, ObserveHub, ObserveServer, Question, StateOf, state, who,
};

/// Lines beyond what sockets hold, so that the answer is written while it is read.
const LINES: u64 = 20_000;

#[test]
fn each_kind_of_question_has_its_answer() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("observe.sock");
    let runtime = Runtime::new().unwrap();
    let (asked, mut questions) = mpsc::channel(1);
    let hub = Arc::new(ObserveHub::new(Metrics::new("", "").sink("observe")).with_questions(asked));
    let server = runtime.block_on(async { ObserveServer::bind(&path) }).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = runtime.spawn(server.serve(Arc::clone(&hub), async { drop(stopped.await) }));
    let answering = thread::spawn(move || {
        while let Some(Question { ask, answer }) = questions.blocking_recv() {
            let lines: Answer = match ask {
                Ask::Who(who) => Box::new(std::iter::once(json!({ "query": who }))),
                Ask::State(StateOf::Policies) => Box::new(std::iter::once(json!({ "kind": "head" }))),
                Ask::State(StateOf::Candidates) => Box::new(std::iter::empty()),
                Ask::State(StateOf::Policy) => Box::new((0..LINES).map(|line| json!({ "line": line }))),
            };
            _ = answer.send(lines);
        }
    });
    assert_eq!(who(&path, "shop/db").unwrap(), json!({ "query": "shop/db" }));
    let lines = state(&path, StateOf::Policy).unwrap();
    assert_eq!(lines.len() as u64, LINES);
    assert_eq!(lines.last(), Some(&json!({ "line": LINES - 1 })));
    assert_eq!(state(&path, StateOf::Policies).unwrap(), [json!({ "kind": "head" })]);
    assert!(matches!(who(&path, ""), Err(ObserveError::Refused(why)) if why.contains("0 bytes long")));
    stop.send(()).unwrap();
    runtime.block_on(served).unwrap();
    drop(hub);
    answering.join().unwrap();
}

/// What a client says when an agent answers with these lines and ends.
fn answered(lines: &str) -> Result<Vec<Value>, ObserveError> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("observe.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let asking = |path: &Path| state(path, StateOf::Policy);
    thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut request = String::new();
            reader.read_line(&mut request).unwrap();
            assert_eq!(request, "{\"state\":\"policy\"}\n");
            reader.get_mut().write_all(lines.as_bytes()).unwrap();
        });
        let answer = asking(&path);
        answering.join().unwrap();
        answer
    })
}

#[test]
fn an_answer_that_is_not_whole_is_none() {
    let whole = "{\"line\":0}\n{\"type\":\"end\",\"lines\":1}\n";
    assert_eq!(answered(whole).unwrap(), [json!({ "line": 0 })]);
    for cut in ["", "{\"line\":0}\n", "{\"line\":0}\n{\"type\":\"end\",\"lines\":2}\n", "{\"line\":"] {
        assert!(matches!(answered(cut), Err(ObserveError::Broken(_))), "{cut}");
    }
    let refused = answered("{\"type\":\"error\",\"error\":\"bad request\"}\n");
    assert!(matches!(refused, Err(ObserveError::Refused(why)) if why == "bad request"));
}
