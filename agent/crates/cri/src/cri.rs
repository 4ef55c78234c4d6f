//! What the agent holds of it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time;
use watchfire_inventory::ContainerChange;

use crate::convert::is_id;
use crate::limits::{LOOKUPS_QUEUED_MAX, STOP_TIMEOUT};
use crate::options::Timing;
use crate::session::Ends;
use crate::state::Shared;
use crate::stop::Stop;
use crate::{CriOptions, CriState, worker};

/// A client of the node's container runtime. Clones are the same client; it ends with [`Cri::stop`], with the last clone,
/// or with the receiver of its changes.
#[derive(Clone, Debug)]
pub struct Cri {
    lookups: mpsc::Sender<String>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Cri {
    /// Begins to look for a runtime and to tell of its containers. Never fails: a runtime may come later.
    ///
    /// Changes wait for room in `changes`, and only this client waits with them.
    #[must_use]
    pub fn start(runtime: &Handle, options: CriOptions, changes: mpsc::Sender<ContainerChange>) -> Self {
        Self::start_with(runtime, options, changes, Timing::default())
    }

    pub(crate) fn start_with(
        runtime: &Handle,
        options: CriOptions,
        changes: mpsc::Sender<ContainerChange>,
        timing: Timing,
    ) -> Self {
        let (lookups, receiver) = mpsc::channel(LOOKUPS_QUEUED_MAX);
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared::default());
        let ends = Ends {
            shared: Arc::clone(&shared),
            known: Arc::default(),
            changes,
            lookups: receiver,
            stop: Stop::new(stopped),
            timing,
        };
        let task = runtime.spawn(worker::run(options, ends));
        Self { lookups, shared, stop, task: Arc::new(Mutex::new(Some(task))) }
    }

    /// Asks for a container or sandbox, by its whole id; from any thread, without waiting. What is found comes as
    /// [`ContainerChange::Apply`], and otherwise [`ContainerChange::Unknown`] says why not. False if it was not taken:
    /// too many wait, or it is no id.
    #[must_use]
    pub fn lookup(&self, id: &str) -> bool {
        let is_taken = is_id(id) && self.lookups.try_send(id.to_owned()).is_ok();
        self.shared.count(|counters| {
            counters.lookups += 1;
            counters.lookups_refused += u64::from(!is_taken);
        });
        is_taken
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> CriState {
        self.shared.snapshot()
    }

    /// Closes the connection and ends the task.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if time::timeout(STOP_TIMEOUT, &mut task).await.is_err() {
            task.abort();
        }
        self.shared.update(|state| state.is_connected = false);
    }
}
