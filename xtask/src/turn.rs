//! Taking turns: what exists once on a machine is used by one task at a time, whichever folder the task runs in.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::wait_until;

const WAIT_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Held by one process at a time: a name in the kernel, which is free again when the process ends, however that comes.
pub(crate) struct Turn {
    _listener: UnixListener,
}

impl Turn {
    /// Waits until nobody else holds it.
    pub(crate) fn take(what: &str) -> Result<Self> {
        let address = SocketAddr::from_abstract_name(format!("watchfire {what}"))?;
        let mut has_waited = false;
        let attempt = || match UnixListener::bind_addr(&address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                if !has_waited {
                    eprintln!("==> another task uses the {what}; waiting for it to end");
                    has_waited = true;
                }
                None
            }
            outcome => Some(outcome),
        };
        let outcome = wait_until(WAIT_LIMIT, attempt);
        let listener = outcome.with_context(|| format!("another task still uses the {what}"))?;
        Ok(Self { _listener: listener.with_context(|| format!("take turns for the {what}"))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_free_again_when_it_is_dropped() {
        let what = format!("test {}", std::process::id());
        let address = SocketAddr::from_abstract_name(format!("watchfire {what}")).unwrap();
        let turn = Turn::take(&what).unwrap();
        assert!(UnixListener::bind_addr(&address).is_err());
        drop(turn);
        drop(Turn::take(&what).unwrap());
    }
}
