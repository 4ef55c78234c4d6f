//! Records of processes, and processes as other records show them.

use std::sync::Arc;

use watchfire_inventory::Cgroup;
use watchfire_model::{
    ContainerView, Exec, ExecId, Pod, Process, ProcessAction, ProcessRecord, ProcessView, RecordBody,
};

use super::{Stages, view};

/// What a cgroup is, and whose, as far as that is known.
pub(super) struct Belonging {
    pub(super) cgroup: Option<Arc<Cgroup>>,
    pub(super) pod: Option<Arc<Pod>>,
    pub(super) container: Option<Arc<ContainerView>>,
}

impl Belonging {
    fn view(self, process: &Process) -> ProcessView {
        view::process(process, self.cgroup.as_deref(), self.pod.as_deref(), self.container)
    }
}

impl Stages {
    pub(super) fn exec(&mut self, exec: Exec, boot_ns: u64) -> Option<RecordBody> {
        let action = if exec.before_start { ProcessAction::Found } else { ProcessAction::Exec };
        let (process, detail) = self.processes.exec(exec, boot_ns);
        let id = process.exec_id;
        self.process_record(action, id, |record| record.exec = Some(detail))
    }

    /// The record of what a process did; `add` puts in what that action tells besides.
    pub(super) fn process_record(
        &mut self,
        action: ProcessAction,
        id: ExecId,
        add: impl FnOnce(&mut ProcessRecord),
    ) -> Option<RecordBody> {
        let parent = self.processes.get(id)?.parent;
        let process = self.process_view(id)?;
        let parent = parent.and_then(|parent| self.process_view(parent));
        let mut record = ProcessRecord { action, process, parent, exit: None, clone_flags: None, exec: None };
        add(&mut record);
        Some(RecordBody::Process(Box::new(record)))
    }

    pub(super) fn process_view(&mut self, id: ExecId) -> Option<ProcessView> {
        let cgroup_id = self.processes.get(id)?.cgroup_id;
        let belonging = self.belonging(cgroup_id);
        self.processes.get(id).map(|process| belonging.view(process))
    }

    pub(super) fn view_of(&mut self, process: &Process) -> ProcessView {
        self.belonging(process.cgroup_id).view(process)
    }

    /// What a cgroup is, and whose.
    pub(super) fn belonging(&mut self, cgroup_id: u64) -> Belonging {
        let cgroup = self.host.cgroup(cgroup_id);
        let pod = cgroup.as_deref().and_then(|cgroup| self.knowledge.pod_of(cgroup));
        let container = cgroup.as_deref().and_then(|cgroup| self.knowledge.container_of(cgroup));
        Belonging { cgroup, pod, container }
    }
}
