//! The list of a kind, page by page.

use std::time::Instant;

use watchfire_inventory::{Change, object_of};

use super::failed::{count_malformed, malformed};
use super::{Ended, Watcher};
use crate::api::Failure;
use crate::items::{ListMetadata, ListReader, NotAList, Piece};
use crate::state::Phase;

impl Watcher {
    /// Tells all objects. The version that the list is of.
    pub(super) async fn list(&mut self) -> Result<String, Ended> {
        let kind = self.resource.kind;
        let (mut go_on, mut objects, mut has_begun) = (String::new(), 0, false);
        let version = loop {
            let metadata = self.page(&go_on, &mut has_begun, &mut objects).await?;
            if metadata.go_on.is_empty() {
                break metadata.resource_version;
            }
            go_on = metadata.go_on;
        };
        if version.is_empty() {
            return Err(failed(Failure::Malformed("the list has no resourceVersion".to_owned())));
        }
        self.batches.push(Change::ListEnds(kind));
        self.batches.send().await?;
        self.was_listed = true;
        self.is_told_absent = false;
        self.warned = None;
        self.failures = 0;
        self.warned = None;
        self.failures = 0;
        let before = self.state.kind(kind, |known| {
            known.phase = Phase::Synced;
            known.objects = objects;
            known.last_contact = Some(Instant::now());
        });
        tracing::debug!(%kind, objects, ?before, "listed");
        Ok(version)
    }

    async fn page(
        &mut self,
        go_on: &str,
        has_begun: &mut bool,
        objects: &mut u64,
    ) -> Result<ListMetadata, Ended> {
        let resource = self.resource;
        let path = resource.list_path(&self.age, go_on);
        let silence_max = self.timing.list_silence_max;
        let mut answer = self.api.get(&path, resource.accepts_list(), silence_max).await.map_err(failed)?;
        self.reached();
        if !*has_begun {
            *has_begun = true;
            let is_again = self.was_listed;
            self.state.kind(resource.kind, |known| {
                known.phase = Phase::Listing;
                known.relists += u64::from(is_again);
            });
            self.batches.push(Change::ListBegins(resource.kind));
        }
        let (mut reader, api_version) = (ListReader::new(), resource.api_version());
        while let Some(chunk) = answer.next().await.map_err(failed)? {
            let Self { state, batches, .. } = self;
            let each = |piece: Piece<'_>| {
                *objects += 1;
                match piece {
                    Piece::Item(json) => match object_of(resource.kind, &api_version, json) {
                        Ok(manifest) => batches.push(Change::Apply(Box::new(manifest.object))),
                        Err(error) => malformed(state, resource, &error, batches),
                    },
                    Piece::Unreadable(why) => {
                        count_malformed(state, resource, format!("{} in a list: {why}", resource.kind));
                    }
                }
            };
            reader.feed(&chunk, each).map_err(not_a_list)?;
            self.batches.send_full().await?;
        }
        reader.end().map_err(not_a_list)
    }
}

fn failed(failure: Failure) -> Ended {
    Ended::Failed { verb: "list", failure }
}

fn not_a_list(error: NotAList) -> Ended {
    failed(Failure::Malformed(error.to_string()))
}
