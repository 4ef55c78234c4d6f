//! How the sources stand, for metrics.

use std::sync::PoisonError;
use std::time::Instant;

use watchfire_cri::CriState;
use watchfire_export::SourceState;
use watchfire_inventory::Source;
use watchfire_kubernetes::Snapshot;

use super::Sources;
use super::manifests::Reading;

impl Sources {
    /// Shows how the sources stand. To be called about every second.
    pub(crate) fn show(&self) {
        let mut states = Vec::new();
        if let Some(kubernetes) = &self.kubernetes {
            of_kubernetes(&kubernetes.snapshot(), &mut states);
        }
        if let Some(manifests) = &self.manifests {
            states.push(of_manifests(&manifests.lock().unwrap_or_else(PoisonError::into_inner)));
        }
        if let Some(runtime) = &self.runtime {
            states.push(of_runtime(&runtime.state()));
        }
        self.metrics.set_sources(&states);
    }
}

fn of_kubernetes(snapshot: &Snapshot, states: &mut Vec<SourceState>) {
    for (kind, state) in &snapshot.kinds {
        states.push(SourceState {
            source: Source::Api.as_str(),
            kind: kind.name(),
            state: state.phase.name(),
            objects: state.objects,
            age_seconds: state.last_contact.map(age),
            errors: state.errors + state.malformed,
            relists: state.relists,
        });
    }
    if let Some(kubelet) = &snapshot.kubelet {
        states.push(SourceState {
            source: Source::Kubelet.as_str(),
            kind: "Pod",
            state: if kubelet.is_asked { "asked" } else { "idle" },
            objects: kubelet.pods,
            age_seconds: kubelet.last_contact.map(age),
            errors: kubelet.errors + kubelet.malformed,
            relists: 0,
        });
    }
}

fn of_manifests(reading: &Reading) -> SourceState {
    SourceState {
        source: Source::File.as_str(),
        kind: "manifest",
        state: if reading.looked.is_some() { "synced" } else { "waiting" },
        objects: reading.objects,
        age_seconds: reading.looked.map(age),
        errors: reading.errors,
        relists: reading.readings.saturating_sub(1),
    }
}

fn of_runtime(state: &CriState) -> SourceState {
    let counters = state.counters;
    SourceState {
        source: Source::Runtime.as_str(),
        kind: "container",
        state: match (state.is_connected, state.is_listed) {
            (true, true) => "synced",
            (true, false) => "listing",
            (false, _) => "unreachable",
        },
        objects: (state.containers + state.sandboxes) as u64,
        age_seconds: None,
        errors: counters.connect_failures + counters.failures + counters.timeouts,
        relists: counters.lists.saturating_sub(1),
    }
}

fn age(since: Instant) -> u64 {
    since.elapsed().as_secs()
}
