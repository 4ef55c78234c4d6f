//! Asks connection tracking without ever waiting long for it.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::message::Tracked;
use crate::reader::{Reader, Unavailable};
use crate::{NetworkNamespace, Tuple};

/// Longest time that a question waits for its answer. The kernel answers at once, unless its table is held by something
/// slow, such as a flush; what takes longest on a busy machine is that the thread that asks has its turn.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);
/// The same for the first question, before which the socket is opened.
pub const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_millis(250);

/// What was asked so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ConntrackCounters {
    /// Questions.
    pub asked: u64,
    /// Those that could not be asked, or were not answered in time.
    pub failed: u64,
}

type Answer = Result<Option<Tracked>, Unavailable>;

/// Connection tracking of one network namespace. Nothing is opened before the first question.
#[derive(Debug)]
pub struct Conntrack {
    questions: SyncSender<Tuple>,
    answers: Receiver<Answer>,
    /// An answer that was not waited for is still to come.
    overdue: bool,
    counters: ConntrackCounters,
}

impl Conntrack {
    /// Starts the thread that asks. It ends when this is dropped.
    pub fn start(namespace: NetworkNamespace) -> io::Result<Self> {
        let mut reader = Reader::new(namespace);
        Self::by(move |tuple| reader.ask(tuple))
    }

    fn by(mut ask: impl FnMut(&Tuple) -> Answer + Send + 'static) -> io::Result<Self> {
        let (questions, tuples) = sync_channel::<Tuple>(1);
        let (answer, answers) = sync_channel(1);
        thread::Builder::new().name("conntrack".to_owned()).spawn(move || {
            for tuple in tuples {
                if answer.send(ask(&tuple)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { questions, answers, overdue: false, counters: ConntrackCounters::default() })
    }

    /// Where the packets of a flow really go: source and destination are what the client's socket shows. None where the
    /// kernel does not translate that destination, or cannot be asked.
    pub fn backend(&mut self, flow: &Tuple) -> Option<SocketAddr> {
        self.counters.asked += 1;
        match self.ask(flow) {
            Ok(tracked) => tracked.and_then(|tracked| translation(flow, &tracked)),
            Err(Unavailable) => {
                self.counters.failed += 1;
                None
            }
        }
    }

    fn ask(&mut self, flow: &Tuple) -> Answer {
        let timeout = if self.counters.asked == 1 { FIRST_ANSWER_TIMEOUT } else { ANSWER_TIMEOUT };
        if self.overdue {
            // Not waited for a second time: a table that is held long would slow every flow.
            self.answers.try_recv().map_err(|_| Unavailable)?.ok();
            self.overdue = false;
        }
        self.questions.try_send(*flow).map_err(|_| Unavailable)?;
        match self.answers.recv_timeout(timeout) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                self.overdue = true;
                Err(Unavailable)
            }
            Err(RecvTimeoutError::Disconnected) => Err(Unavailable),
        }
    }

    /// What was asked so far.
    #[must_use]
    pub const fn counters(&self) -> ConntrackCounters {
        self.counters
    }
}

/// Who answers a flow, where that is not whom it was sent to. The kernel finds a connection by either of its directions:
/// one that was opened the other way says nothing of this flow.
fn translation(flow: &Tuple, tracked: &Tracked) -> Option<SocketAddr> {
    let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    let is_asked = tracked.original.protocol == flow.protocol
        && tracked.original.source == canonical(flow.source)
        && tracked.original.destination == canonical(flow.destination);
    let backend = tracked.reply.source;
    (is_asked && backend != tracked.original.destination).then_some(backend)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use watchfire_model::Protocol;

    use super::*;

    fn tuple(source: &str, destination: &str) -> Tuple {
        Tuple {
            protocol: Protocol::Tcp,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    #[test]
    fn a_backend_is_who_answers_instead() {
        let flow = tuple("[::ffff:10.0.0.1]:5", "[::ffff:10.96.0.10]:80");
        let original = tuple("10.0.0.1:5", "10.96.0.10:80");
        let direct = tuple("10.96.0.10:80", "10.0.0.1:5");
        let translated = tuple("10.244.0.7:8080", "10.0.0.1:5");
        for (original, reply, expected) in [
            (original, translated, Some("10.244.0.7:8080")),
            (original, direct, None),
            (direct, original, None),
            (Tuple { protocol: Protocol::Udp, ..original }, translated, None),
        ] {
            let expected = expected.map(|backend| backend.parse().unwrap());
            assert_eq!(translation(&flow, &Tracked { original, reply }), expected, "{original:?}");
        }
    }

    #[test]
    fn who_asks_does_not_wait_for_a_kernel_that_hangs() {
        let (release, held) = channel::<()>();
        let flow = tuple("10.0.0.1:5", "10.96.0.10:80");
        let reply = tuple("10.244.0.7:8080", "10.0.0.1:5");
        let mut questions = 0;
        let mut conntrack = Conntrack::by(move |tuple| {
            questions += 1;
            if questions == 1 {
                held.recv().unwrap();
            }
            Ok(Some(Tracked { original: *tuple, reply }))
        })
        .unwrap();
        assert_eq!(conntrack.backend(&flow), None, "the first question hangs");
        assert_eq!(conntrack.backend(&flow), None, "and is not waited for again");
        assert_eq!(conntrack.counters(), ConntrackCounters { asked: 2, failed: 2 });
        release.send(()).unwrap();
        while conntrack.overdue {
            _ = conntrack.backend(&flow);
        }
        // The late answer is thrown away; later questions have their own, though on a busy machine not each in time.
        let answered = std::iter::repeat_with(|| conntrack.backend(&flow)).find_map(|backend| backend);
        assert_eq!(answered, Some(reply.source));
    }
}
