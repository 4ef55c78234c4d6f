//! The life of one connection.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{self, MissedTickBehavior};
use watchfire_inventory::{ContainerChange, UnknownReason};

use crate::client::Client;
use crate::connection::Connection;
use crate::convert::Convert;
use crate::events::Events;
use crate::known::Known;
use crate::limits::{DETAILS_IN_FLIGHT_MAX, LOOKUPS_UNDER_WAY_MAX, TIMEOUTS_IN_A_ROW_MAX};
use crate::list::{self, Listing};
use crate::lookup::{self, Found, Kind, SharedKnown};
use crate::options::Timing;
use crate::proto::{self, event_type};
use crate::state::Shared;
use crate::stop::Stop;
use crate::{CriError, RuntimeVersion};

/// Why a session is over.
#[derive(Debug)]
pub(crate) enum End {
    /// It was told to stop, or nobody listens any more.
    Stop,
    /// The runtime is lost.
    Lost(CriError),
}

/// What goes on between the connections as well.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) shared: Arc<Shared>,
    pub(crate) known: SharedKnown,
    pub(crate) changes: mpsc::Sender<ContainerChange>,
    pub(crate) lookups: mpsc::Receiver<String>,
    pub(crate) stop: Stop,
    pub(crate) timing: Timing,
}

impl Ends {
    /// Tells a change; waits for room as long as nobody says stop.
    pub(crate) async fn tell(&mut self, change: ContainerChange) -> Result<(), End> {
        tokio::select! {
            sent = self.changes.send(change) => sent.map_err(|_| End::Stop),
            () = self.stop.wished() => Err(End::Stop),
        }
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who wants to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asker {
    Lookup,
    Event,
    List,
}

#[derive(Debug)]
enum Done {
    Listed(Result<Listing, CriError>),
    Asked { id: String, asker: Asker, answer: Result<Box<Found>, CriError> },
}

#[derive(Debug)]
pub(crate) struct Session<'a> {
    ends: &'a mut Ends,
    connection: Connection,
    client: Client,
    convert: Convert,
    events: Events,
    jobs: JoinSet<Done>,
    is_listing: bool,
    asked: HashMap<String, Asker>,
    details: VecDeque<(String, Kind)>,
    details_in_flight: HashSet<String>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        ends: &'a mut Ends,
        connection: Connection,
        client: Client,
        runtime: &RuntimeVersion,
    ) -> Self {
        let events = Events::start(&client, runtime);
        let convert = Convert { runtime: runtime.name.clone(), ..Convert::default() };
        Self {
            ends,
            connection,
            client,
            convert,
            events,
            jobs: JoinSet::new(),
            is_listing: false,
            asked: HashMap::new(),
            details: VecDeque::new(),
            details_in_flight: HashSet::new(),
        }
    }

    pub(crate) async fn run(mut self) -> End {
        let end = self.serve().await;
        if let End::Lost(error) = &end {
            let reason = error.reason();
            let asked = std::mem::take(&mut self.asked);
            for (id, _) in asked.into_iter().filter(|(_, asker)| *asker == Asker::Lookup) {
                if let Err(end) = self.unknown(id, reason).await {
                    return end;
                }
            }
        }
        end
    }

    async fn serve(&mut self) -> End {
        // The first tick is at once.
        let mut resync = time::interval(self.ends.timing.resync);
        resync.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.ask_for_details();
            let has_room = self.asked.len() < LOOKUPS_UNDER_WAY_MAX;
            let step = tokio::select! {
                biased;
                () = self.ends.stop.wished() => Err(End::Stop),
                error = self.connection.closed() => Err(End::Lost(error)),
                Some(done) = self.jobs.join_next() => self.done(done).await,
                Some(event) = self.events.next(), if has_room => self.event(event).await,
                id = self.ends.lookups.recv(), if has_room => match id {
                    Some(id) => self.look_up(id).await,
                    None => Err(End::Stop),
                },
                _ = resync.tick(), if !self.is_listing => {
                    self.list();
                    Ok(())
                }
            };
            self.count();
            if let Err(end) = step {
                return end;
            }
            let timeouts = self.client.timeouts_in_a_row();
            if timeouts >= TIMEOUTS_IN_A_ROW_MAX {
                return End::Lost(CriError::Hung(timeouts));
            }
        }
    }

    fn list(&mut self) {
        self.is_listing = true;
        let (client, number) = (self.client.clone(), self.ends.known().begin_list());
        self.jobs.spawn(async move { Done::Listed(list::fetch(&client, number).await) });
    }

    async fn look_up(&mut self, id: String) -> Result<(), End> {
        let told = {
            let known = self.ends.known();
            let pod = || known.pod(&id).cloned();
            known.is_complete(&id).then(|| (known.object(&id).cloned(), pod()))
        };
        if let Some((object, pod)) = told {
            return self
                .tell_all(pod.map(ContainerChange::ApplyPod), object.map(ContainerChange::Apply))
                .await;
        }
        self.ask(id, Kind::Any, Asker::Lookup);
        Ok(())
    }

    async fn event(&mut self, event: proto::ContainerEventResponse) -> Result<(), End> {
        self.ends.shared.update(|state| {
            state.has_events = true;
            state.counters.events += 1;
        });
        let id = event.container_id;
        match event.container_event_type {
            event_type::CREATED | event_type::STARTED => self.ask(id, Kind::Any, Asker::Event),
            event_type::STOPPED => {
                let ended = self.ends.known().ended(&id);
                return self.tell_all(None, ended.map(ContainerChange::Apply)).await;
            }
            event_type::DELETED => return self.deleted(id).await,
            _ => {}
        }
        Ok(())
    }

    async fn deleted(&mut self, id: String) -> Result<(), End> {
        let was_known = self.ends.known().remove(&id);
        self.tell_all(None, was_known.then_some(ContainerChange::Delete { id })).await
    }

    fn ask(&mut self, id: String, kind: Kind, asker: Asker) {
        if asker == Asker::List {
            self.details_in_flight.insert(id.clone());
        } else if let Some(first) = self.asked.get_mut(&id) {
            // One answer for both; that there is none is told if either was a look-up.
            if asker == Asker::Lookup {
                *first = asker;
            }
            return;
        } else {
            self.asked.insert(id.clone(), asker);
        }
        let (client, known, timing) =
            (self.client.clone(), Arc::clone(&self.ends.known), self.ends.timing.clone());
        let changes = (asker == Asker::Lookup).then(|| self.ends.changes.clone());
        self.jobs.spawn(async move {
            let not_yet = || {
                // Without room it is told nothing, and waits until it is known.
                if let Some(changes) = changes {
                    _ = changes
                        .try_send(ContainerChange::Unknown { id: id.clone(), reason: UnknownReason::NotYet });
                }
            };
            let answer = lookup::ask(&client, &known, &id, kind, &timing, not_yet).await.map(Box::new);
            Done::Asked { id, asker, answer }
        });
    }

    fn ask_for_details(&mut self) {
        while self.details_in_flight.len() < DETAILS_IN_FLIGHT_MAX
            && let Some((id, kind)) = self.details.pop_front()
        {
            // A look-up, or an earlier list, may have been faster.
            let is_asked = self.asked.contains_key(&id) || self.details_in_flight.contains(&id);
            if !is_asked && !self.ends.known().is_complete(&id) {
                self.ask(id, kind, Asker::List);
            }
        }
    }

    async fn done(&mut self, done: Result<Done, JoinError>) -> Result<(), End> {
        match done {
            Err(_) => Err(End::Lost(CriError::Closed(None))),
            Ok(Done::Listed(Err(error))) => Err(End::Lost(error)),
            Ok(Done::Listed(Ok(listing))) => self.listed(listing).await,
            Ok(Done::Asked { id, asker, answer }) => {
                let asker = if asker == Asker::List {
                    self.details_in_flight.remove(&id);
                    asker
                } else {
                    self.asked.remove(&id).unwrap_or(asker)
                };
                match answer {
                    Ok(found) => self.found(*found).await,
                    Err(error) => self.not_found(id, asker, &error).await,
                }
            }
        }
    }

    async fn listed(&mut self, listing: Listing) -> Result<(), End> {
        self.is_listing = false;
        let taken = list::take(&mut self.ends.known(), &mut self.convert, listing);
        self.details = taken.incomplete.into();
        for change in taken.changes {
            self.ends.tell(change).await?;
        }
        self.ends.shared.update(|state| {
            state.is_listed = true;
            state.counters.lists += 1;
        });
        Ok(())
    }

    async fn found(&mut self, found: Found) -> Result<(), End> {
        if let Some((status, info)) = found.sandbox {
            let sandbox = self.convert.sandbox(status, info);
            let taken = self.ends.known().take_sandbox(sandbox);
            if let Some((object, pod)) = taken {
                self.tell_all(Some(ContainerChange::ApplyPod(pod)), Some(ContainerChange::Apply(object)))
                    .await?;
            }
        }
        if let Some((status, info, sandbox_id)) = found.container {
            let pod = self.ends.known().pod_ref(&sandbox_id);
            let object = self.convert.container(status, info, sandbox_id, pod);
            let taken = self.ends.known().take(object);
            self.tell_all(None, taken.map(ContainerChange::Apply)).await?;
        }
        Ok(())
    }

    async fn not_found(&mut self, id: String, asker: Asker, error: &CriError) -> Result<(), End> {
        match asker {
            Asker::Lookup => self.unknown(id, error.reason()).await,
            // It ended between the list and now.
            Asker::List if error.is_not_found() => self.deleted(id).await,
            Asker::List | Asker::Event => Ok(()),
        }
    }

    async fn unknown(&mut self, id: String, reason: UnknownReason) -> Result<(), End> {
        self.ends.shared.count(|counters| counters.lookups_unknown += 1);
        self.ends.tell(ContainerChange::Unknown { id, reason }).await
    }

    async fn tell_all(
        &mut self,
        first: Option<ContainerChange>,
        second: Option<ContainerChange>,
    ) -> Result<(), End> {
        for change in first.into_iter().chain(second) {
            self.ends.tell(change).await?;
        }
        Ok(())
    }

    fn count(&mut self) {
        let (cut, unreadable) = (self.convert.cut, self.convert.info_unreadable);
        (self.convert.cut, self.convert.info_unreadable) = (0, 0);
        let ((containers, sandboxes), refused) = {
            let mut known = self.ends.known();
            (known.counts(), known.take_refused())
        };
        self.ends.shared.update(|state| {
            (state.containers, state.sandboxes) = (containers, sandboxes);
            state.counters.cut += cut;
            state.counters.info_unreadable += unreadable;
            state.counters.containers_refused += refused;
        });
    }
}
