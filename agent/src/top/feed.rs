//! Lines of the observe socket, again and again where the agent goes away.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use watchfire_export::{ObserveRequest, ObservedLines, RECENT_RECORDS_MAX, RecordType, observe};

use super::screen::Message;

/// First pause before the agent is tried again; doubled up to the longest.
const RETRY_MS_MIN: u64 = 500;

/// Longest pause before the agent is tried again.
const RETRY_MS_MAX: u64 = 8000;

/// What is asked for: what the views are made of, beginning with what the agent still remembers.
pub(super) fn request() -> ObserveRequest {
    let types = vec![RecordType::Process, RecordType::Flow, RecordType::Dns, RecordType::Loss];
    ObserveRequest { last: RECENT_RECORDS_MAX, types: Some(types), follow: true, flows: None }
}

/// Hands on lines until nobody takes them. `stop` ends the pauses when its other end is gone.
pub(super) fn run(socket: &Path, lines: ObservedLines, to: &SyncSender<Message>, stop: &Receiver<()>) {
    let mut connection = Some(lines);
    let mut retry_ms = RETRY_MS_MIN;
    loop {
        let why = match connection.take() {
            Some(lines) => {
                let (why, any) = hand_on(lines, to);
                // An agent that refuses is not asked at the pace of one that was restarted.
                if any {
                    retry_ms = RETRY_MS_MIN;
                }
                why
            }
            None => match observe(socket, &request()) {
                Ok(lines) => {
                    if to.send(Message::Connected).is_err() {
                        return;
                    }
                    connection = Some(lines);
                    continue;
                }
                Err(error) => error.to_string(),
            },
        };
        let pause = Duration::from_millis(retry_ms);
        if to.send(Message::Broken { why, pause }).is_err() {
            return;
        }
        retry_ms = (retry_ms * 2).min(RETRY_MS_MAX);
        if stop.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Answers with the reason of the end, and whether any line came before it.
fn hand_on(lines: ObservedLines, to: &SyncSender<Message>) -> (String, bool) {
    let mut any = false;
    for line in lines {
        let line = match line {
            Ok(line) => line,
            Err(error) => return (error.to_string(), any),
        };
        // A full channel makes the agent's queue for this client fill up: what is lost then, it counts and tells.
        if to.send(Message::Line(line)).is_err() {
            break;
        }
        any = true;
    }
    ("it closed the connection".to_owned(), any)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc::{channel, sync_channel};
    use std::thread;

    use super::*;

    /// An agent that takes one client, tells it this, and goes away.
    fn tell_one(listener: &UnixListener, text: &str) -> String {
        let (mut client, _) = listener.accept().unwrap();
        let mut asked = String::new();
        BufReader::new(client.try_clone().unwrap()).read_line(&mut asked).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        asked
    }

    #[test]
    fn an_agent_that_comes_back_is_found_and_one_that_refuses_is_asked_later() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("observe.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let agent = thread::spawn(move || {
            let refusal = "{\"type\":\"error\",\"error\":\"16 clients watch already\"}\n";
            let asked = tell_one(&listener, "{\"n\":1}\n{\"n\":2}\n");
            tell_one(&listener, refusal);
            tell_one(&listener, "{\"n\":3}\n");
            asked
        });
        let lines = observe(&socket, &request()).unwrap();
        let (to, messages) = sync_channel(1);
        let (stopper, stop) = channel();
        let feed = thread::spawn(move || run(&socket, lines, &to, &stop));
        let told = |message: Message| match message {
            Message::Line(line) => line,
            Message::Connected => "connected".to_owned(),
            Message::Broken { why, pause } => format!("{} ms: {why}", pause.as_millis()),
            other => panic!("{other:?}"),
        };
        let expected = [
            "{\"n\":1}",
            "{\"n\":2}",
            "500 ms: it closed the connection",
            "connected",
            "1000 ms: the agent refused: 16 clients watch already",
            "connected",
            "{\"n\":3}",
            "500 ms: it closed the connection",
        ];
        for expected in expected {
            assert_eq!(told(messages.recv().unwrap()), expected);
        }
        let asked = agent.join().unwrap();
        assert!(asked.contains("\"last\":4096") && asked.contains("\"follow\":true"), "{asked}");
        drop(stopper);
        feed.join().unwrap();
    }
}
