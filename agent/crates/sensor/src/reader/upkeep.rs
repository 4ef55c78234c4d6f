//! What the reader does beside emptying the rings: it must not come ahead of what is in them.

use std::sync::PoisonError;

use watchfire_model::{Body, Gap, KindCounters, Observation, RecordKind};

use super::{Closed, Reader};
use crate::host::boot_ns;
use crate::late::Older;

impl Reader {
    /// Looks for a moment in which the rings are empty, while it is not known what the agent before this one lost.
    pub(super) fn settle_look(&mut self) -> Result<(), Closed> {
        let Some(mut unsettled) = self.unsettled.take() else { return Ok(()) };
        let before = self.account.totals();
        if self.drain(None)? == 0 && self.is_empty() {
            let account = &self.account;
            let gaps = unsettled
                .look(&before, &account.totals(), |kind, lost| account.count_lost_at_restart(kind, lost));
            if !gaps.is_empty() {
                let observation = |gap: Gap| Observation { boot_ns: gap.last_boot_ns, body: Body::Gap(gap) };
                self.send(gaps.into_iter().map(observation).collect())?;
                self.enter();
            }
        }
        if !unsettled.is_settled() {
            self.unsettled = Some(unsettled);
        }
        Ok(())
    }

    /// Hands on what the sweep finds next. In this thread, so that the end of a connection, which is in a ring by then, comes
    /// after its last update.
    pub(super) fn sweep_on(&mut self) -> Result<(), Closed> {
        let Some((sweep, totals)) = &mut self.sweep else { return Ok(()) };
        let mut updates = sweep.go_on(self.context, totals);
        updates.iter_mut().for_each(|update| self.fill_in_owner(&mut update.body));
        self.send(updates)
    }

    /// Whether nothing is in the rings, nor on its way into them.
    pub(super) fn is_empty(&self) -> bool {
        self.wait(0) == 0
    }

    /// Looks whether somebody took the programs away.
    pub(super) fn look_at_links(&self) {
        // Whoever holds them detaches them, which takes the kernel seconds where there are trampolines: the rings must not
        // wait for that.
        if let Some(links) = &self.links
            && let Ok(mut links) = links.try_lock()
        {
            links.look();
        }
    }

    /// Looks through the maps of flows.
    pub(super) fn sweep_flows(&mut self) -> Result<(), Closed> {
        let Some(maps) = &mut self.flow_maps else { return Ok(()) };
        let mut observations = Vec::new();
        if let Err(error) = maps.sweep(boot_ns(), &mut observations) {
            tracing::debug!("the maps of flows changed under the look: {error}");
        }
        self.send(observations)
    }

    /// Takes in what was there before programs that were attached late.
    pub(super) fn take_older(&mut self) -> Result<(), Closed> {
        let Some(Older { found, unmarked, context }) =
            self.late.as_ref().and_then(|late| late.try_recv().ok())
        else {
            return Ok(());
        };
        self.late = None;
        self.context = context;
        if let Some(maps) = &mut self.flow_maps {
            maps.set_context(context);
        }
        self.know(unmarked);
        self.send_all(found)
    }

    /// Whether the account has not moved since, and balances.
    pub(super) fn is_all_out(&self, before: &[(RecordKind, KindCounters)]) -> bool {
        let now = self.account.totals();
        now == before && now.iter().all(|(_, counters)| counters.balances())
    }

    /// A gap becomes an observation like any other.
    pub(super) fn report_gaps(&mut self) -> Result<(), Closed> {
        let gaps = self.gaps.look(&self.account.totals());
        if gaps.is_empty() {
            return Ok(());
        }
        self.send(gaps)?;
        if let Err(error) = self.gaps.keep() {
            tracing::error!("cannot keep for the next agent what was told of losses: {error}");
        }
        self.enter();
        Ok(())
    }

    /// Looks for the files that are watched by identity.
    pub(super) fn find_inodes(&self) {
        let mut filters = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = filters.find_inodes() {
            tracing::error!("cannot watch files by identity: {error}");
        }
    }
}
