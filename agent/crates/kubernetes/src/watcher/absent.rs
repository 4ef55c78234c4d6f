//! Kinds that the API does not have.

use std::time::Instant;

use watchfire_inventory::Change;

use super::Watcher;
use crate::batch::Closed;
use crate::resource::{Age, Resource};
use crate::state::Phase;

impl Watcher {
    /// No such kind in this version of its group, or none any more. Whether to go on at once.
    pub(super) async fn not_found(&mut self, verb: &str) -> Result<bool, Closed> {
        self.reached();
        (self.position, self.age) = (None, Age::Any);
        match self.resource.next() {
            // What was watched is gone. A list tells whether the kind is.
            _ if verb != "list" => {
                self.resource = Resource::first(self.resource.kind);
                Ok(false)
            }
            Some(next) => {
                self.resource = next;
                Ok(true)
            }
            None => self.absent().await.map(|()| true),
        }
    }

    /// Tells that the kind does not exist, and waits until it may.
    pub(super) async fn absent(&mut self) -> Result<(), Closed> {
        let kind = self.resource.kind;
        self.reached();
        self.resource = Resource::first(kind);
        (self.position, self.age) = (None, Age::Any);
        if self.mark_absent() != Phase::Absent {
            tracing::debug!(%kind, "the API does not have this kind");
        }
        if !self.is_told_absent {
            self.batches.push(Change::Absent(kind));
            self.batches.send().await?;
            self.is_told_absent = true;
        }
        while !self.arrivals.may_be_there(kind).await {
            self.mark_absent();
        }
        Ok(())
    }

    /// What was known before.
    fn mark_absent(&self) -> Phase {
        self.state.kind(self.resource.kind, |known| {
            known.phase = Phase::Absent;
            known.objects = 0;
            known.last_contact = Some(Instant::now());
        })
    }
}
