//! What each record counts for.

use std::sync::{PoisonError, RwLockReadGuard};
use std::time::Duration;

use watchfire_model::{FlowStage, Operation, ProcessAction, ProcessView, Record, RecordBody};

use super::labels::Fixed;
use super::{Metrics, flows, stages};

impl Metrics {
    /// Counts records that leave the agent now.
    pub fn observe_all(&self, records: &[Record]) {
        if records.is_empty() {
            return;
        }
        let now_ns = stages::boot_ns();
        let _kept = self.keep_names();
        for record in records {
            self.0.stages.observe(record, now_ns);
            self.count(record);
        }
    }

    /// Counts what a record tells.
    pub fn observe(&self, record: &Record) {
        let _kept = self.keep_names();
        self.count(record);
    }

    /// Takes in how long the agent runs, and removes the series of workloads, policies, namespaces and ports of which nothing
    /// was told for [`NAME_SILENT_SECONDS_MAX`](super::NAME_SILENT_SECONDS_MAX), within a minute. Where one is told of again,
    /// its series begin at 0.
    pub fn forget_silent(&self, running: Duration) {
        let families = &*self.0;
        let _swept = families.sweeping.write().unwrap_or_else(PoisonError::into_inner);
        let running_s = running.as_secs();
        let are_workloads_gone = families.workloads.forget_silent(running_s);
        let are_policies_gone = families.verdicts.forget_silent(running_s);
        if are_workloads_gone {
            families.workload_flows.sweep();
            families.workload_processes.sweep();
        }
        if are_workloads_gone || are_policies_gone {
            families.verdicts.sweep();
        }
        families.findings.forget_silent(running_s);
        if let Some(hubble) = &families.hubble {
            hubble.forget_silent(running_s);
        }
    }

    /// No name is forgotten between the moment that it is found and the one that it is counted: its series would be there
    /// twice when it comes back.
    fn keep_names(&self) -> RwLockReadGuard<'_, ()> {
        self.0.sweeping.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, record: &Record) {
        let families = &*self.0;
        let workloads = &families.workloads;
        match &record.body {
            RecordBody::Process(process) => {
                match process.action {
                    ProcessAction::Fork => &families.forks,
                    ProcessAction::Exec => &families.execs,
                    ProcessAction::Exit => &families.exits,
                    ProcessAction::Found => &families.found,
                }
                .inc();
                families.workload_processes.observe_process(process, workloads);
            }
            RecordBody::Flow(flow) => {
                families.flows.observe(flow);
                // Whatever its stage, it tells that both are there.
                let ends = workloads.of_ends(flow);
                if flows::begins(flow) {
                    families.workload_flows.began(flow, &ends);
                    families.verdicts.observe(flow, &ends);
                }
                if matches!(flow.stage, FlowStage::Close | FlowStage::Failed) {
                    families.workload_flows.ended(flow, workloads);
                }
                if let Some(hubble) = &families.hubble {
                    hubble.observe(flow);
                }
            }
            RecordBody::Dns(dns) => {
                families.dns.observe(dns);
                families.workload_flows.observe_dns(dns, workloads);
                if let Some(hubble) = &families.hubble {
                    hubble.observe_dns(dns);
                }
            }
            RecordBody::Finding(finding) => {
                families.findings.observe(finding);
                families.workload_processes.observe_finding(finding, workloads);
            }
            // Its totals come by `set_records`.
            RecordBody::Loss(loss) => {
                if let Some(hubble) = &families.hubble {
                    hubble.observe_loss(loss);
                }
            }
            // Counted where it is answered.
            RecordBody::ApiAccess(_) => {}
            RecordBody::Credentials(event) => {
                if event.detail.gained.as_ref().is_some_and(|gained| !gained.is_empty()) {
                    families.workload_processes.observe_gain(&event.process, workloads);
                }
                self.observe_event(&record.body, &event.process);
            }
            RecordBody::Capability(event) => self.observe_event(&record.body, &event.process),
            RecordBody::File(event) => self.observe_event(&record.body, &event.process),
            RecordBody::Namespace(event) => self.observe_event(&record.body, &event.process),
            RecordBody::Kernel(event) => self.observe_event(&record.body, &event.process),
            RecordBody::Memory(event) => self.observe_event(&record.body, &event.process),
            RecordBody::Socket(event) => self.observe_event(&record.body, &event.process),
            RecordBody::Signal(event) => self.observe_event(&record.body, &event.process),
            RecordBody::Stdio(event) => self.observe_event(&record.body, &event.process),
        }
    }

    fn observe_event(&self, body: &RecordBody, process: &ProcessView) {
        if let Some(operation) = body.operation() {
            self.0.events.get_or_create(&event_labels(operation)).inc();
            let kind = operation.kind().as_str();
            self.0.workload_processes.observe_event(kind, process, &self.0.workloads);
        }
    }
}

/// Each operation belongs to one type, so these are no more series than operations.
pub(super) const fn event_labels(operation: Operation) -> Fixed<2> {
    [("type", operation.kind().as_str()), ("operation", operation.as_str())]
}
