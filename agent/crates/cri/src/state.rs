//! What is known of the runtime and of the work with it, for metrics and `who`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::CriError;

/// Most errors of one socket that are named in the log until a runtime answers.
const NAMED_MAX: usize = 8;

/// A snapshot.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CriState {
    /// The socket that is used, or was used last.
    pub socket: Option<PathBuf>,
    /// Who answers, or answered last.
    pub runtime: Option<RuntimeVersion>,
    /// Whether there is a connection over which the runtime has told its version.
    pub is_connected: bool,
    /// Whether a list has been complete since the connection was made.
    pub is_listed: bool,
    /// Whether the runtime tells of new containers by itself.
    pub has_events: bool,
    /// Why there is no connection, or what failed last.
    pub last_error: Option<String>,
    /// Containers known, sandboxes not counted.
    pub containers: usize,
    /// Sandboxes known.
    pub sandboxes: usize,
    /// Counts since the start.
    pub counters: CriCounters,
}

/// `VersionResponse`
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RuntimeVersion {
    /// `runtime_name`
    pub name: String,
    /// `runtime_version`
    pub version: String,
}

/// Counts since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CriCounters {
    /// Connections made to a runtime that speaks CRI.
    pub connections: u64,
    /// Attempts to connect that failed, socket by socket.
    pub connect_failures: u64,
    /// Connections that were lost or given up.
    pub disconnections: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests that were answered with an error (`NotFound`, which is an answer, left out), or not readably.
    pub failures: u64,
    /// Requests that were not answered in time.
    pub timeouts: u64,
    /// Lists that were complete.
    pub lists: u64,
    /// Containers that were asked for.
    pub lookups: u64,
    /// Look-ups refused because [`crate::LOOKUPS_QUEUED_MAX`] were waiting.
    pub lookups_refused: u64,
    /// Look-ups that found nothing.
    pub lookups_unknown: u64,
    /// Events of the runtime that came in.
    pub events: u64,
    /// Texts, labels, mounts and addresses that were cut or left out at a limit.
    pub cut: u64,
    /// Containers that were not taken since [`crate::CONTAINERS_MAX`] were known, or since their id is none.
    pub containers_refused: u64,
    /// Verbose information that was too long or not readable: mounts are known, privileged and pid are not.
    pub info_unreadable: u64,
}

/// The state, and which errors have been named in the log.
#[derive(Default, Debug)]
pub(crate) struct Shared {
    state: Mutex<CriState>,
    named: Mutex<HashMap<PathBuf, Vec<String>>>,
}

impl Shared {
    pub(crate) fn snapshot(&self) -> CriState {
        lock(&self.state).clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut CriState)) {
        change(&mut lock(&self.state));
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut CriCounters)) {
        change(&mut lock(&self.state).counters);
    }

    /// A socket leads to no runtime.
    pub(crate) fn not_connected(&self, socket: Option<&Path>, error: &CriError) {
        self.count(|counters| counters.connect_failures += 1);
        self.name(socket, error);
    }

    /// A connection is over.
    pub(crate) fn disconnected(&self, socket: &Path, error: &CriError) {
        self.update(|state| {
            state.is_connected = false;
            state.is_listed = false;
            state.has_events = false;
            state.counters.disconnections += 1;
        });
        self.name(Some(socket), error);
    }

    /// Names an error once per socket, until a runtime answers; the first few of them.
    fn name(&self, socket: Option<&Path>, error: &CriError) {
        let text = error.chain();
        self.update(|state| state.last_error = Some(text.clone()));
        let key = socket.map(Path::to_path_buf).unwrap_or_default();
        let mut named = lock(&self.named);
        let named = named.entry(key).or_default();
        // What speaks another protocol fails in one way today and in another in a second.
        if named.contains(&text) || named.len() >= NAMED_MAX {
            return;
        }
        match socket {
            None => tracing::info!("{text}: containers are known by their cgroups alone until one appears"),
            Some(socket) => tracing::warn!(socket = %socket.display(), "container runtime: {text}"),
        }
        named.push(text);
    }

    /// A runtime answers: whatever fails from now on is named again.
    pub(crate) fn connected(&self, socket: &Path, runtime: RuntimeVersion) {
        tracing::info!(socket = %socket.display(), "container runtime: {} {}", runtime.name, runtime.version);
        lock(&self.named).clear();
        self.update(|state| {
            state.socket = Some(socket.to_path_buf());
            state.runtime = Some(runtime);
            state.is_connected = true;
            state.last_error = None;
            state.counters.connections += 1;
        });
    }

    /// One request failed, the connection stays.
    pub(crate) fn failed(&self, error: &CriError) {
        let text = error.chain();
        tracing::debug!("container runtime: {text}");
        self.update(|state| state.last_error = Some(text));
    }
}

/// The state stays readable after a panic of its writer: every change to it is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
