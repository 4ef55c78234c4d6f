//! What is known of the API: for metrics, for health, and for whoever asks how old the answer is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use watchfire_inventory::ResourceKind;

/// How long the API must not have answered for the log to say so.
const UNREACHABLE_TOLD_AFTER: Duration = Duration::from_secs(3);

/// How far a kind is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Not asked for yet.
    Waiting,
    /// Its objects are being listed.
    Listing,
    /// All objects were told, and their changes are being watched.
    Synced,
    /// This agent may not read it.
    Forbidden,
    /// The API does not have it.
    Absent,
    /// The API does not answer, or not what was asked for. What was known last stays.
    Unreachable,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Listing, Self::Synced, Self::Forbidden, Self::Absent, Self::Unreachable];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Listing => "listing",
            Self::Synced => "synced",
            Self::Forbidden => "forbidden",
            Self::Absent => "absent",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What is known of a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KindState {
    /// How far it is.
    pub phase: Phase,
    /// Objects that the API has of it, as of the last contact.
    pub objects: u64,
    /// When the API told anything of it for the last time: an object, the end of a list, a bookmark, a watch that began.
    /// What is known of the kind is as old as this.
    pub last_contact: Option<Instant>,
    /// Lists that began after the first was complete.
    pub relists: u64,
    /// Requests that failed or whose answer broke off. Neither a kind that is absent nor a watch that ended is one.
    pub errors: u64,
    /// Objects that could not be read, or were over a limit. They are treated as if they did not exist.
    pub malformed: u64,
    /// The last of either.
    pub last_error: Option<String>,
}

impl KindState {
    const NEW: Self = Self {
        phase: Phase::Waiting,
        objects: 0,
        last_contact: None,
        relists: 0,
        errors: 0,
        malformed: 0,
        last_error: None,
    };
}

/// What is known of the kubelet.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct KubeletState {
    /// Whether its answer stands in for the API's now.
    pub is_asked: bool,
    /// Pods of its last answer.
    pub pods: u64,
    /// When it answered for the last time.
    pub last_contact: Option<Instant>,
    /// Requests that failed.
    pub errors: u64,
    /// Pods that could not be read.
    pub malformed: u64,
    /// The last of either.
    pub last_error: Option<String>,
}

/// What is known of all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Since when the API has not answered; none while it does, and before it was asked.
    pub unreachable_since: Option<Instant>,
    /// By kind.
    pub kinds: BTreeMap<ResourceKind, KindState>,
    /// The kubelet; none where it is not to be asked.
    pub kubelet: Option<KubeletState>,
    is_told_unreachable: bool,
}

/// A handle on what is known. Cheap to clone, and cheap to read.
#[derive(Clone, Debug)]
pub struct State(Arc<Mutex<Snapshot>>);

impl State {
    pub(crate) fn new(kinds: impl IntoIterator<Item = ResourceKind>, has_kubelet: bool) -> Self {
        let kinds = kinds.into_iter().map(|kind| (kind, KindState::NEW)).collect();
        let kubelet = has_kubelet.then(KubeletState::default);
        Self(Arc::new(Mutex::new(Snapshot {
            unreachable_since: None,
            kinds,
            kubelet,
            is_told_unreachable: false,
        })))
    }

    /// All that is known now.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    /// Whether kubelet's pods are needed: the API's were never listed, or it has not answered for long.
    pub(crate) fn needs_kubelet(&self, unreachable_for: Duration) -> bool {
        let known = self.lock();
        let listed = known.kinds.get(&ResourceKind::Pod).is_some_and(|pods| pods.last_contact.is_some());
        !listed || known.unreachable_since.is_some_and(|since| since.elapsed() >= unreachable_for)
    }

    pub(crate) fn kubelet(&self, change: impl FnOnce(&mut KubeletState)) {
        change(self.lock().kubelet.get_or_insert_default());
    }

    /// Changes what is known of a kind; tells what the phase was.
    pub(crate) fn kind(&self, kind: ResourceKind, change: impl FnOnce(&mut KindState)) -> Phase {
        let mut known = self.lock();
        let state = known.kinds.entry(kind).or_insert(KindState::NEW);
        let before = state.phase;
        change(state);
        before
    }

    /// The API has answered, whatever it said. True if it was told that it does not.
    pub(crate) fn reached(&self) -> bool {
        let mut known = self.lock();
        known.unreachable_since = None;
        std::mem::take(&mut known.is_told_unreachable)
    }

    /// The API has not answered. True if that is worth telling: a connection that was kept for too long, or a server that
    /// is being replaced, is not.
    pub(crate) fn unreachable(&self) -> bool {
        let mut known = self.lock();
        let since = *known.unreachable_since.get_or_insert_with(Instant::now);
        let is_worth_telling = since.elapsed() >= UNREACHABLE_TOLD_AFTER;
        is_worth_telling && !std::mem::replace(&mut known.is_told_unreachable, true)
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        // Whoever panicked has left numbers behind, and numbers are never half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
