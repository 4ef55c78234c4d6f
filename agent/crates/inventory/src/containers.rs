//! Containers by id: as the runtime tells of them, or else as the status of their pod does.

use std::collections::HashMap;
use std::sync::Arc;

use watchfire_model::ContainerView;

use crate::gone::Gone;
use crate::{ContainerObject, PodContainer};

/// Most containers that are kept, those included that are gone since a short while. A node runs some hundreds.
pub const CONTAINERS_MAX: usize = 16_384;
/// How long a container is kept that is gone, for records that come late, milliseconds.
pub const CONTAINER_GONE_KEEP_MS: u64 = 300_000;

const NS_PER_MS: u64 = 1_000_000;

#[derive(Debug)]
struct Entry {
    view: Arc<ContainerView>,
    /// What the runtime tells; none where only the status of the pod does.
    object: Option<Arc<ContainerObject>>,
    list: u32,
}

/// Containers of this node.
#[derive(Default, Debug)]
pub struct Containers {
    entries: HashMap<Arc<str>, Entry>,
    gone: Gone<Arc<str>>,
    list: u32,
    refused: u64,
}

impl Containers {
    /// The runtime tells all of its containers from the beginning.
    pub const fn list_begins(&mut self) {
        self.list += 1;
    }

    /// What the list did not tell of is gone.
    pub fn list_ends(&mut self, now_ns: u64) {
        // Those that are gone already stay so.
        let is_stale = |entry: &Entry| entry.object.is_some() && entry.list != self.list;
        let stale: Vec<_> =
            self.entries.iter().filter(|(_, entry)| is_stale(entry)).map(|(id, _)| Arc::clone(id)).collect();
        for id in stale {
            self.delete(&id, now_ns);
        }
    }

    /// The runtime tells of a container.
    pub fn apply(&mut self, object: &Arc<ContainerObject>) {
        let digest = object.image_digest.as_deref().unwrap_or(&object.image_ref);
        let view = ContainerView {
            id: object.id.as_str().into(),
            name: object.name.as_str().into(),
            image: object.image.as_str().into(),
            image_digest: digest.into(),
            sandbox: object.is_sandbox,
            privileged: object.privileged,
        };
        self.put(view, Some(Arc::clone(object)));
    }

    /// The status of a pod tells of a container.
    pub fn apply_status(&mut self, status: &PodContainer) {
        if self.entries.get(status.id.as_str()).is_some_and(|known| known.object.is_some()) {
            return;
        }
        let digest = status.image_id.rsplit_once('@').map_or(status.image_id.as_str(), |(_, digest)| digest);
        let view = ContainerView {
            id: status.id.as_str().into(),
            name: status.name.as_str().into(),
            image: status.image.as_str().into(),
            image_digest: digest.into(),
            sandbox: false,
            privileged: None,
        };
        self.put(view, None);
    }

    /// The runtime does not know a container that was asked for, or not yet: no more than its id is to be had for now.
    pub fn unknown(&mut self, id: &str, now_ns: u64) {
        if self.entries.contains_key(id) {
            return;
        }
        self.put(ContainerView { id: id.into(), ..ContainerView::default() }, None);
        // Nobody will say when it is gone.
        self.delete(id, now_ns);
    }

    fn put(&mut self, view: ContainerView, object: Option<Arc<ContainerObject>>) {
        let id = Arc::clone(&view.id);
        if let Some(known) = self.entries.get_mut(&id) {
            // The same again is not made again: records share it.
            if *known.view != view {
                known.view = Arc::new(view);
            }
            (known.object, known.list) = (object, self.list);
            self.gone.remove(&id);
            return;
        }
        if self.entries.len() >= CONTAINERS_MAX && !self.forget_first_gone() {
            self.refused += 1;
            return;
        }
        self.entries.insert(id, Entry { view: Arc::new(view), object, list: self.list });
    }

    /// A container was removed; it is kept for a while.
    pub fn delete(&mut self, id: &str, now_ns: u64) {
        if let Some((id, _)) = self.entries.get_key_value(id) {
            self.gone.insert(Arc::clone(id), now_ns);
        }
    }

    /// Forgets those that are gone long enough.
    pub fn expire(&mut self, now_ns: u64) {
        let keep_ns = CONTAINER_GONE_KEEP_MS * NS_PER_MS;
        while let Some(id) = self.gone.expired(now_ns, keep_ns) {
            self.entries.remove(&id);
        }
    }

    /// Whether there was one.
    fn forget_first_gone(&mut self) -> bool {
        let first = self.gone.first();
        first.is_some_and(|id| self.entries.remove(&id).is_some())
    }

    /// A container as records name it.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<ContainerView>> {
        self.entries.get(id).map(|entry| &entry.view)
    }

    /// What the runtime told of a container, if it did.
    #[must_use]
    pub fn object(&self, id: &str) -> Option<&Arc<ContainerObject>> {
        self.entries.get(id)?.object.as_ref()
    }

    /// Ids that begin so.
    pub fn ids<'a>(&'a self, beginning: &'a str) -> impl Iterator<Item = &'a Arc<str>> {
        self.entries.keys().filter(move |id| id.starts_with(beginning))
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many [`CONTAINERS_MAX`] kept from coming in.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(id: &str, name: &str) -> Arc<ContainerObject> {
        Arc::new(ContainerObject { id: id.to_owned(), name: name.to_owned(), ..ContainerObject::default() })
    }

    #[test]
    fn the_runtime_knows_better_than_the_pods_status() {
        let mut containers = Containers::default();
        let status = PodContainer {
            id: "4bc7".to_owned(),
            name: "web".to_owned(),
            image: "nginx:1".to_owned(),
            image_id: "docker.io/library/nginx@sha256:aa".to_owned(),
        };
        containers.apply_status(&status);
        assert_eq!(&*containers.get("4bc7").unwrap().image_digest, "sha256:aa");
        let object = Arc::new(ContainerObject {
            privileged: Some(true),
            ..ContainerObject::clone(&object("4bc7", "web"))
        });
        containers.apply(&object);
        containers.apply_status(&status);
        assert_eq!(containers.get("4bc7").unwrap().privileged, Some(true));
        let before = Arc::clone(containers.get("4bc7").unwrap());
        containers.apply(&object);
        assert!(Arc::ptr_eq(&before, containers.get("4bc7").unwrap()));
    }

    #[test]
    fn what_the_runtime_does_not_know_is_known_by_its_id_until_it_does() {
        let mut containers = Containers::default();
        containers.unknown("4bc7", 0);
        assert_eq!(&*containers.get("4bc7").unwrap().id, "4bc7");
        containers.apply(&object("4bc7", "web"));
        containers.unknown("4bc7", 0);
        assert_eq!(&*containers.get("4bc7").unwrap().name, "web");
        containers.expire(u64::MAX);
        assert!(containers.get("4bc7").is_some(), "it is not gone after all");
    }

    #[test]
    fn those_that_are_gone_stay_for_a_while() {
        let mut containers = Containers::default();
        containers.apply(&object("a", ""));
        containers.apply(&object("b", ""));
        containers.list_begins();
        containers.apply(&object("a", ""));
        containers.list_ends(5);
        containers.expire(CONTAINER_GONE_KEEP_MS * NS_PER_MS);
        assert!(containers.get("b").is_some());
        containers.expire(5 + CONTAINER_GONE_KEEP_MS * NS_PER_MS);
        assert_eq!((containers.get("b"), containers.len()), (None, 1));
    }

    #[test]
    fn the_limit_is_counted_and_those_that_are_gone_make_room() {
        let mut containers = Containers::default();
        for id in 0..=CONTAINERS_MAX {
            containers.apply(&object(&id.to_string(), ""));
        }
        assert_eq!((containers.len(), containers.refused()), (CONTAINERS_MAX, 1));
        containers.delete("0", 0);
        containers.apply(&object("new", ""));
        assert!(containers.get("new").is_some() && containers.get("0").is_none());
    }
}
