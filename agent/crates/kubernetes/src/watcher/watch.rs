//! The changes of a kind, from a version on.

use std::time::Instant;

use serde::Deserialize;
use serde_json::value::RawValue;
use watchfire_inventory::{Change, object_of};

use super::failed::malformed;
use super::{Ended, Watcher};
use crate::api::Failure;
use crate::lines::Lines;
use crate::state::Phase;
use crate::timing::random;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    happened: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// A `Status`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
    message: String,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: BookmarkMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMetadata {
    resource_version: String,
}

impl Watcher {
    /// Tells what changes until the watch ends, as each does after some minutes. Where it is cut off is no loss: it is
    /// resumed from the last version.
    pub(super) async fn watch(&mut self, from: String) -> Result<(), Ended> {
        let seconds = f64::from(self.timing.watch_s) * (1.0 + random());
        let path = self.resource.watch_path(&from, seconds as u32);
        let silence_max = self.timing.watch_silence_max;
        let answer = self.api.get(&path, self.resource.accepts_watch(), silence_max).await;
        let mut answer = answer.map_err(failed)?;
        self.reached();
        self.failures = 0;
        self.contact();
        let mut lines = Lines::default();
        loop {
            let chunk = match answer.next().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(()),
                Err(failure) => {
                    tracing::debug!(kind = %self.resource.kind, %failure, "a watch ended");
                    return Ok(());
                }
            };
            let mut result = Ok(());
            lines.feed(&chunk, |line| {
                if result.is_ok() {
                    result = line.ok_or_else(too_large).and_then(|line| self.event(line));
                }
            });
            // What came before the failure is told all the same.
            self.batches.send().await?;
            result.map_err(failed)?;
            self.contact();
        }
    }

    fn event(&mut self, line: &[u8]) -> Result<(), Failure> {
        let event: Event<'_> = serde_json::from_slice(line)
            .map_err(|error| Failure::Malformed(format!("an event is malformed: {error}")))?;
        let (resource, json) = (self.resource, event.object.get());
        match event.happened {
            "BOOKMARK" => {
                let bookmark: Bookmark = serde_json::from_str(json)
                    .map_err(|error| Failure::Malformed(format!("a bookmark is malformed: {error}")))?;
                self.advance(bookmark.metadata.resource_version)
            }
            "ERROR" => {
                let status: Status = serde_json::from_str(json).unwrap_or_default();
                Err(Failure::of(status.code, status.message))
            }
            happened @ ("ADDED" | "MODIFIED" | "DELETED") => {
                let (key, version, object) = match object_of(resource.kind, &resource.api_version(), json) {
                    Ok(manifest) => (manifest.key, manifest.resource_version, Some(manifest.object)),
                    Err(error) => {
                        if happened != "DELETED" {
                            malformed(&self.state, resource, &error, &mut self.batches);
                        }
                        (*error.key, error.resource_version, None)
                    }
                };
                match (happened, object) {
                    ("DELETED", _) => self.batches.push(Change::Delete(resource.kind, key)),
                    (_, Some(object)) => self.batches.push(Change::Apply(Box::new(object))),
                    (_, None) => {}
                }
                self.state.kind(resource.kind, |known| match happened {
                    "ADDED" => known.objects += 1,
                    "DELETED" => known.objects = known.objects.saturating_sub(1),
                    _ => {}
                });
                self.advance(version)
            }
            other => Err(Failure::Malformed(format!("an event is of the unknown type `{other}`"))),
        }
    }

    fn advance(&mut self, version: String) -> Result<(), Failure> {
        if version.is_empty() {
            return Err(Failure::Malformed("an event has no resourceVersion".to_owned()));
        }
        self.position = Some(version);
        Ok(())
    }

    /// The kind is known as it is now.
    fn contact(&self) {
        self.state.kind(self.resource.kind, |known| {
            known.phase = Phase::Synced;
            known.last_contact = Some(Instant::now());
        });
    }
}

fn too_large() -> Failure {
    Failure::Malformed("an event is larger than is read".to_owned())
}

fn failed(failure: Failure) -> Ended {
    Ended::Failed { verb: "watch", failure }
}
