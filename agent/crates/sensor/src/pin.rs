//! Programs, links and maps that outlive the agent, in a folder of a BPF filesystem.
//!
//! `<pin>/<fingerprint>/{maps,programs,links}/NAME`. A folder with the fingerprint of what would be loaded is adopted; the
//! others are taken over and removed. What is not complete yet lies under a name of its own and is never adopted.

mod adopt;
mod bpf;
mod detach;
mod ledger;
mod place;
mod prepare;
mod settle;
mod takeover;

pub use detach::{Detached, detach};
pub use place::PinError;

pub(crate) use ledger::Ledger;
pub(crate) use place::examine;
pub(crate) use prepare::{Pinned, Prepared, prepare};
pub(crate) use settle::Unsettled;

use adopt::adopt;

/// What an agent had handed on when it was killed is received by the account, and perhaps in no output.
pub(crate) fn warn_of_kill(ledger: &Ledger) {
    if ledger.was_killed() {
        tracing::warn!(
            "the agent before this one was killed: what it saw in its last moments (outputs are written every half second) \
             may be missing from its outputs"
        );
    }
}

/// Subfolders.
pub(crate) const MAPS: &str = "maps";
pub(crate) const PROGRAMS: &str = "programs";
pub(crate) const LINKS: &str = "links";
