//! Keeps a socket to connection tracking, as far as that can be had.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{io, thread};

use watchfire_model::Protocol;

use crate::message::Tracked;
use crate::socket::Netlink;
use crate::{NetworkNamespace, Tuple};

/// How long connection tracking that cannot be asked is left alone.
pub const REOPEN_INTERVAL: Duration = Duration::from_secs(30);

/// There only where the kernel tracks connections. To ask where it does not would make the kernel load modules.
const TRACKED_CONNECTIONS: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

/// Why connection tracking cannot be asked.
#[derive(thiserror::Error, Debug)]
pub enum ConntrackError {
    /// The kernel does not do it.
    #[error(
        "this kernel tracks no connections (nf_conntrack is not loaded), so it translates no addresses of services"
    )]
    Absent,
    /// Its network namespace cannot be entered.
    #[error("cannot enter the network namespace {}, which takes CAP_SYS_ADMIN from outside", .path.display())]
    Namespace {
        /// The namespace.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel gives no socket to it.
    #[error("cannot open a netlink socket to connection tracking")]
    Socket(#[source] io::Error),
    /// The kernel does not answer, or refuses to.
    #[error("connection tracking does not answer, which takes CAP_NET_ADMIN")]
    Refused(#[source] io::Error),
}

/// Whether connection tracking can be asked.
pub fn examine(namespace: &NetworkNamespace) -> Result<(), ConntrackError> {
    let namespace = namespace.clone();
    // On a thread of its own, since it may move into another namespace.
    let examination = thread::spawn(move || open(&namespace).map(|_| ()));
    examination
        .join()
        .unwrap_or_else(|_| Err(ConntrackError::Socket(io::Error::other("the examination panicked"))))
}

/// Opens a socket in a namespace, and makes sure that it answers.
fn open(namespace: &NetworkNamespace) -> Result<Netlink, ConntrackError> {
    namespace.enter().map_err(|(path, source)| ConntrackError::Namespace { path, source })?;
    if !Path::new(TRACKED_CONNECTIONS).exists() {
        return Err(ConntrackError::Absent);
    }
    let mut netlink = Netlink::open().map_err(ConntrackError::Socket)?;
    // Of no connection: it has no ports.
    let nowhere = ([127, 0, 0, 1], 0).into();
    let tuple = Tuple { protocol: Protocol::Tcp, source: nowhere, destination: nowhere };
    netlink.ask(&tuple).map_err(ConntrackError::Refused)?;
    Ok(netlink)
}

/// The socket, and what was said in the log of it.
#[derive(Debug)]
pub(crate) struct Reader {
    namespace: NetworkNamespace,
    state: State,
    complained: bool,
}

#[derive(Debug)]
enum State {
    Open(Netlink),
    /// Not tried before then.
    Closed(Option<Instant>),
}

impl Reader {
    pub(crate) const fn new(namespace: NetworkNamespace) -> Self {
        Self { namespace, state: State::Closed(None), complained: false }
    }

    /// The connection whose first packet had this tuple. An error says that it could not be asked for.
    pub(crate) fn ask(&mut self, tuple: &Tuple) -> Result<Option<Tracked>, Unavailable> {
        self.reopen();
        let State::Open(netlink) = &mut self.state else { return Err(Unavailable) };
        netlink.ask(tuple).map_err(|error| {
            tracing::debug!(%error, "connection tracking did not answer");
            // A new socket has no answers to earlier questions.
            self.state = State::Closed(None);
            Unavailable
        })
    }

    fn reopen(&mut self) {
        let State::Closed(next) = &self.state else { return };
        if next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        match open(&self.namespace) {
            Ok(netlink) => {
                if self.complained {
                    tracing::info!("connection tracking answers now");
                }
                self.complained = false;
                self.state = State::Open(netlink);
            }
            Err(error) => {
                // Once: it is tried again and again.
                if !self.complained {
                    complain(&error);
                }
                self.complained = true;
                self.state = State::Closed(Some(Instant::now() + REOPEN_INTERVAL));
            }
        }
    }
}

/// Connection tracking could not be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unavailable;

fn complain(error: &ConntrackError) {
    const CONSEQUENCE: &str = "backends of services are told by the inventory's endpoints alone";
    let source = std::error::Error::source(error).map(ToString::to_string);
    match error {
        ConntrackError::Absent => tracing::info!("{error}; {CONSEQUENCE}"),
        _ => tracing::warn!(error = source.unwrap_or_default(), "{error}; {CONSEQUENCE}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_not_there_is_named() {
        let nowhere = NetworkNamespace::At("/proc/self/ns/no-such".into());
        let error = examine(&nowhere).unwrap_err();
        assert!(error.to_string().contains("/proc/self/ns/no-such"), "{error}");
    }

    #[test]
    fn what_cannot_be_asked_is_left_alone_for_a_while() {
        let mut reader = Reader::new(NetworkNamespace::At("/proc/self/ns/no-such".into()));
        let end = ([127, 0, 0, 1], 1).into();
        let tuple = Tuple { protocol: Protocol::Tcp, source: end, destination: end };
        assert_eq!(reader.ask(&tuple), Err(Unavailable));
        let State::Closed(Some(next)) = reader.state else { panic!("{reader:?}") };
        assert_eq!(reader.ask(&tuple), Err(Unavailable));
        assert!(matches!(reader.state, State::Closed(Some(same)) if same == next), "not tried again");
    }
}
