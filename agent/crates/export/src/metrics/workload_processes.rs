//! What processes of workloads do, and what is found about workloads.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use watchfire_model::{ExecDetail, Finding, FindingState, ProcessAction, ProcessRecord, ProcessView};

use super::series::{OpenFamily, SeriesBudget};
use super::workloads::{OfOne, Workloads};

/// Names of shells, as their executables are called.
const SHELLS: [&str; 10] = ["sh", "bash", "dash", "ash", "zsh", "fish", "ksh", "mksh", "csh", "tcsh"];

#[derive(Debug)]
pub(super) struct WorkloadProcessMetrics {
    execs: OpenFamily<OfOne<0>, Counter>,
    traits: OpenFamily<OfOne<1>, Counter>,
    events: OpenFamily<OfOne<1>, Counter>,
    privileges: OpenFamily<OfOne<1>, Counter>,
    findings: OpenFamily<OfOne<3>, Counter>,
}

impl WorkloadProcessMetrics {
    pub(super) fn register(registry: &mut Registry, budget: &SeriesBudget) -> Self {
        Self {
            execs: OpenFamily::counter(
                registry,
                budget,
                "workload_execs",
                "Programs that were started, by workload; what is in no pod has workload_kind=\"host\"",
            ),
            traits: OpenFamily::counter(
                registry,
                budget,
                "workload_execs_notable",
                "Programs that were started and are worth a look, by what they are: a shell, a shell with a terminal, not \
                 of the image (drift), of no file (fileless), with masked secrets",
            ),
            events: OpenFamily::counter(
                registry,
                budget,
                "workload_events",
                "Security events by the workload whose process acted and by record type",
            ),
            privileges: OpenFamily::counter(
                registry,
                budget,
                "workload_privilege_gains",
                "How often a process came to more rights than it had: by exec (setuid, setgid, file capabilities) or by a \
                 change of its credentials",
            ),
            findings: OpenFamily::counter(
                registry,
                budget,
                "workload_findings",
                "Findings that began, by each workload that they are about and its role in them",
            ),
        }
    }

    /// Removes the series of workloads that are gone.
    pub(super) fn sweep(&self) {
        let Self { execs, traits, events, privileges, findings } = self;
        execs.sweep();
        traits.sweep();
        events.sweep();
        privileges.sweep();
        findings.sweep();
    }

    pub(super) fn observe_process(&self, record: &ProcessRecord, workloads: &Workloads) {
        if record.action != ProcessAction::Exec {
            return;
        }
        let workload = workloads.of_process(&record.process);
        self.execs.add(&OfOne { workload: workload.clone(), closed: [] }, 1);
        let is_shell = SHELLS.contains(&record.process.binary.rsplit('/').next().unwrap_or_default());
        let detail = record.exec.as_ref();
        let is = |test: fn(&ExecDetail) -> bool| detail.is_some_and(test);
        for (name, is_it) in [
            ("shell", is_shell),
            ("shell-with-terminal", is(|exec| exec.shell_with_tty)),
            ("drift", is(|exec| exec.drift == Some(true))),
            ("fileless", is(|exec| exec.fileless)),
            ("secrets-masked", is(|exec| exec.args_redacted || exec.env_redacted)),
        ] {
            if is_it {
                self.traits.add(&OfOne { workload: workload.clone(), closed: [("trait", name)] }, 1);
            }
        }
        if is(|exec| exec.secure_exec || !exec.capabilities_gained.is_empty()) {
            self.privileges.add(&OfOne { workload, closed: [("by", "exec")] }, 1);
        }
    }

    pub(super) fn observe_event(&self, kind: &'static str, process: &ProcessView, workloads: &Workloads) {
        self.events.add(&OfOne { workload: workloads.of_process(process), closed: [("type", kind)] }, 1);
    }

    pub(super) fn observe_gain(&self, process: &ProcessView, workloads: &Workloads) {
        let workload = workloads.of_process(process);
        self.privileges.add(&OfOne { workload, closed: [("by", "credentials")] }, 1);
    }

    pub(super) fn observe_finding(&self, finding: &Finding, workloads: &Workloads) {
        if finding.state != FindingState::New {
            return;
        }
        for (role, party) in [("source", &finding.source), ("destination", &finding.destination)] {
            let Some(party) = party else { continue };
            let closed =
                [("role", role), ("kind", finding.kind.as_str()), ("severity", finding.severity.as_str())];
            self.findings.add(&OfOne { workload: workloads.of_party(party), closed }, 1);
        }
    }
}
