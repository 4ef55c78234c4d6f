//! What goes wrong: counted, told once, and what follows from it.

use watchfire_inventory::{Change, ManifestError, ObjectKey};

use super::Watcher;
use crate::api::Failure;
use crate::batch::Batches;
use crate::resource::{Age, Resource};
use crate::state::{Phase, State};

/// Malformed objects of a kind that are told in the log one by one; of more, each whose number is a power of two.
const MALFORMED_TOLD_MAX: u64 = 16;

/// Failures in a row that are told where one alone says little.
const FAILURES_TOLD_MIN: u32 = 4;

impl Watcher {
    /// Takes note of a failure, and of where to go on after it.
    pub(super) fn failed(&mut self, verb: &str, failure: &Failure) {
        let rule = self.resource.rule_name();
        let is_expected = matches!(failure, Failure::Expired(_));
        let (phase, text) = match failure {
            Failure::Expired(_) => (Phase::Listing, format!("cannot {verb} {rule}: {failure}")),
            Failure::Forbidden(message) => (Phase::Forbidden, format!("forbidden: {verb} {rule}: {message}")),
            other => (Phase::Unreachable, format!("cannot {verb} {rule}: {other}")),
        };
        match (failure, verb) {
            (Failure::Unreachable(message), _) => {
                if self.state.unreachable() {
                    tracing::warn!(
                        "the Kubernetes API does not answer, what was known last stays: {message}"
                    );
                }
            }
            // What is asked for has expired although it was not older than what was told, or the server is behind it.
            (Failure::Expired(_) | Failure::Refused { status: 504, .. }, "list") => {
                self.reached();
                self.age = Age::Newest;
            }
            (Failure::Expired(_) | Failure::Malformed(_), _) => {
                self.reached();
                if let Some(position) = self.position.take() {
                    self.age = Age::NotBefore(position);
                }
            }
            _ => self.reached(),
        }
        self.state.kind(self.resource.kind, |kind| {
            kind.phase = phase;
            if !is_expected {
                kind.errors += 1;
                kind.last_error = Some(text.clone());
            }
        });
        self.failures = self.failures.saturating_add(1);
        let is_quiet = match failure {
            Failure::Forbidden(_) | Failure::Malformed(_) => false,
            // Told once for all kinds, or no failure at all.
            Failure::Unreachable(_) | Failure::Expired(_) | Failure::NotFound(_) => true,
            // A server that starts or is busy says so for a while.
            Failure::Refused { .. } | Failure::Cut(_) => self.failures < FAILURES_TOLD_MIN,
        };
        if is_quiet || self.warned.as_ref() == Some(&text) {
            tracing::debug!("{text}");
        } else {
            tracing::warn!("{text}");
            self.warned = Some(text);
        }
    }

    pub(super) fn reached(&self) {
        if self.state.reached() {
            tracing::info!("the Kubernetes API answers");
        }
    }
}

/// An object that could not be read is as if it did not exist.
pub(super) fn malformed(state: &State, resource: Resource, error: &ManifestError, batches: &mut Batches) {
    if !error.key.name.is_empty() {
        batches.push(Change::Delete(resource.kind, ObjectKey::clone(&error.key)));
    }
    count_malformed(state, resource, error.to_string());
}

pub(super) fn count_malformed(state: &State, resource: Resource, text: String) {
    let mut is_told = false;
    state.kind(resource.kind, |kind| {
        kind.malformed += 1;
        // One that changes every second would fill the log.
        is_told = kind.malformed <= MALFORMED_TOLD_MAX || kind.malformed.is_power_of_two();
        kind.last_error = Some(text.clone());
    });
    if is_told {
        tracing::warn!("an object is left out: {text}");
    }
}
