//! Containers, sandboxes and pods that have been told.

use std::collections::HashMap;
use std::sync::Arc;

use watchfire_inventory::{ContainerObject, ContainerState, PodObject, PodRef};

use crate::convert::{Sandbox, is_id};
use crate::limits::CONTAINERS_MAX;

#[derive(Debug)]
struct Entry {
    object: Arc<ContainerObject>,
    /// The pod of a sandbox, once its status is known.
    pod: Option<Arc<PodObject>>,
    /// The list that was begun last when this was told.
    list: u64,
}

/// What has been told. It outlives connections: what a list names again is not asked for again.
#[derive(Default, Debug)]
pub(crate) struct Known {
    entries: HashMap<String, Entry>,
    sandboxes: usize,
    list: u64,
    refused: u64,
}

impl Known {
    pub(crate) fn object(&self, id: &str) -> Option<&Arc<ContainerObject>> {
        self.entries.get(id).map(|entry| &entry.object)
    }

    pub(crate) fn pod(&self, sandbox_id: &str) -> Option<&Arc<PodObject>> {
        self.entries.get(sandbox_id)?.pod.as_ref()
    }

    /// Who the pod of a sandbox is.
    pub(crate) fn pod_ref(&self, sandbox_id: &str) -> Option<PodRef> {
        self.object(sandbox_id)?.pod.clone()
    }

    /// Whether all that the runtime can tell of it is known. A pod may get its addresses later.
    pub(crate) fn is_complete(&self, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| {
            let object = &entry.object;
            let has_address = |pod: &Arc<PodObject>| !pod.ips.is_empty() || pod.host_network || pod.is_ended;
            object.is_complete && (!object.is_sandbox || entry.pod.as_ref().is_some_and(has_address))
        })
    }

    /// A list is asked for: what is taken from now on is newer than it.
    pub(crate) const fn begin_list(&mut self) -> u64 {
        self.list += 1;
        self.list
    }

    /// Takes a container; none if there is no room.
    pub(crate) fn take(&mut self, object: ContainerObject) -> Option<Arc<ContainerObject>> {
        self.insert(object, None)
    }

    /// Takes a sandbox and its pod.
    pub(crate) fn take_sandbox(
        &mut self,
        sandbox: Sandbox,
    ) -> Option<(Arc<ContainerObject>, Arc<PodObject>)> {
        let pod = Arc::new(sandbox.pod);
        let object = self.insert(sandbox.container, Some(Arc::clone(&pod)))?;
        Some((object, pod))
    }

    /// Something that a list names: kept as it is known, unless its state has changed, or taken as the list has it.
    pub(crate) fn take_listed(&mut self, listed: ContainerObject) -> bool {
        let list = self.list;
        match self.entries.get_mut(&listed.id) {
            Some(entry) => {
                entry.list = list;
                if entry.object.state != listed.state {
                    let object = Arc::make_mut(&mut entry.object);
                    object.state = listed.state;
                    object.is_complete = false;
                }
                true
            }
            None => self.insert(listed, None).is_some(),
        }
    }

    /// The list that was begun as `list` is over: what it did not name, and was not told since, is gone.
    pub(crate) fn end_list(&mut self, list: u64) {
        self.entries.retain(|_, entry| entry.list >= list);
        self.sandboxes = self.entries.values().filter(|entry| entry.object.is_sandbox).count();
    }

    /// It ended; none if it is unknown or that is known.
    pub(crate) fn ended(&mut self, id: &str) -> Option<Arc<ContainerObject>> {
        let entry = self.entries.get_mut(id)?;
        if entry.object.state == ContainerState::Exited {
            return None;
        }
        Arc::make_mut(&mut entry.object).state = ContainerState::Exited;
        Some(Arc::clone(&entry.object))
    }

    /// Whether it was known.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let removed = self.entries.remove(id);
        self.sandboxes -= usize::from(removed.as_ref().is_some_and(|entry| entry.object.is_sandbox));
        removed.is_some()
    }

    /// Everything, as another runtime answers now.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.sandboxes = 0;
    }

    /// All objects, sandboxes first, each with its pod.
    pub(crate) fn all(&self) -> Vec<(Arc<ContainerObject>, Option<Arc<PodObject>>)> {
        let mut all: Vec<_> =
            self.entries.values().map(|entry| (Arc::clone(&entry.object), entry.pod.clone())).collect();
        all.sort_unstable_by(|(a, _), (b, _)| (!a.is_sandbox, &a.id).cmp(&(!b.is_sandbox, &b.id)));
        all
    }

    /// Containers and sandboxes.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.entries.len() - self.sandboxes, self.sandboxes)
    }

    /// How many had no room since the last call.
    pub(crate) const fn take_refused(&mut self) -> u64 {
        std::mem::replace(&mut self.refused, 0)
    }

    fn insert(
        &mut self,
        object: ContainerObject,
        pod: Option<Arc<PodObject>>,
    ) -> Option<Arc<ContainerObject>> {
        let has_room = self.entries.len() < CONTAINERS_MAX || self.entries.contains_key(&object.id);
        if !is_id(&object.id) || !has_room {
            self.refused += 1;
            return None;
        }
        let object = Arc::new(object);
        let entry = Entry { object: Arc::clone(&object), pod, list: self.list };
        let replaced = self.entries.insert(object.id.clone(), entry);
        self.sandboxes += usize::from(object.is_sandbox);
        self.sandboxes -= usize::from(replaced.is_some_and(|entry| entry.object.is_sandbox));
        Some(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(id: &str) -> ContainerObject {
        ContainerObject { id: id.to_owned(), is_complete: true, ..ContainerObject::default() }
    }

    #[test]
    fn what_is_told_while_a_list_is_under_way_outlives_it() {
        let mut known = Known::default();
        known.take(object("old"));
        let list = known.begin_list();
        known.take(object("new"));
        known.take_listed(object("listed"));
        known.end_list(list);
        assert!(known.object("old").is_none());
        assert!(known.object("new").is_some() && known.object("listed").is_some());
        let list = known.begin_list();
        known.end_list(list);
        assert_eq!(known.counts(), (0, 0));
    }

    #[test]
    fn a_list_does_not_undo_what_is_known_but_for_the_state() {
        let mut known = Known::default();
        let of_state = |state, pid| ContainerObject { state, pid, ..object("c") };
        known.take(of_state(ContainerState::Running, Some(7)));
        known.take_listed(of_state(ContainerState::Running, None));
        assert!(known.is_complete("c") && known.object("c").unwrap().pid == Some(7));
        known.take_listed(of_state(ContainerState::Exited, None));
        assert!(!known.is_complete("c"));
        assert!(known.ended("c").is_none());
    }

    #[test]
    fn a_pod_is_complete_with_its_address() {
        let mut known = Known::default();
        let mut sandbox = Sandbox {
            container: ContainerObject { is_sandbox: true, ..object("s") },
            pod: PodObject::default(),
        };
        known.take_sandbox(sandbox.clone());
        assert!(!known.is_complete("s"));
        sandbox.pod.host_network = true;
        known.take_sandbox(sandbox);
        assert!(known.is_complete("s"));
        assert_eq!(known.counts(), (0, 1));
        known.remove("s");
        assert_eq!(known.counts(), (0, 0));
    }

    #[test]
    fn limits_hold_and_are_counted() {
        let mut known = Known::default();
        for number in 0..CONTAINERS_MAX + 2 {
            known.take(object(&number.to_string()));
        }
        known.take(object("0"));
        known.take(object(""));
        assert_eq!((known.counts().0, known.take_refused(), known.take_refused()), (CONTAINERS_MAX, 3, 0));
    }
}
