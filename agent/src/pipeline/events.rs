//! Security events on their way to records: who did it, to whom, and in which pod.

use std::sync::Arc;

use watchfire_inventory::unknown_process;
use watchfire_model::{
    ANCESTORS_MAX, Detail, Event, EventFacts, EventRecord, ExecId, FileView, Gap, KernelView, LossRecord,
    MemoryEvent, MemoryView, NamespaceView, PodView, Process, ProcessView, RecordBody, SignalView,
    SocketView, TargetView,
};

use super::Stages;
use super::processes::Belonging;

impl Stages {
    pub(super) fn event(&mut self, event: Event) -> RecordBody {
        let process = self.actor(&event);
        let ancestors = self.lineages.of(event.process, &self.processes);
        let Event { operation, result, interface, truncated, unreadable, .. } = event;
        let facts = EventFacts { operation, result, interface, truncated, unreadable };
        macro_rules! record {
            ($kind:ident, $view:expr) => {{
                let view = $view;
                RecordBody::$kind(Box::new(EventRecord::new(&facts, process, ancestors, view)))
            }};
        }
        match event.detail {
            Detail::Credentials(credentials) => {
                if result.is_none_or(|result| result >= 0) {
                    self.processes.credentials(event.process, &credentials.new, credentials.user_ns);
                }
                record!(Credentials, credentials.into())
            }
            Detail::Capability(capability) => record!(Capability, capability.into()),
            Detail::File(file) => record!(File, {
                let host_path = if file.path_in_filesystem {
                    None
                } else {
                    let mnt_ns = event.namespaces.mnt;
                    // Most processes are short; whoever started them in their container may still be there.
                    let elders = self.processes.ancestry(event.process).take(ANCESTORS_MAX);
                    let elders = elders.filter(|elder| elder.namespaces.mnt == mnt_ns);
                    let pids =
                        std::iter::once(event.process.pid).chain(elders.map(|elder| elder.exec_id.pid));
                    self.host_paths.of(mnt_ns, pids, &file.path)
                };
                FileView { host_path, ..FileView::new(operation, file) }
            }),
            Detail::Namespace(namespace) => record!(Namespace, NamespaceView::new(operation, namespace)),
            Detail::Kernel(kernel) => record!(Kernel, KernelView::new(operation, kernel)),
            Detail::Memory(memory) => record!(Memory, {
                let target = self.memory_target(event.process, event.namespaces.pid, &memory);
                MemoryView::new(operation, memory, target)
            }),
            Detail::Socket(socket) => record!(Socket, SocketView::new(operation, socket)),
            Detail::Signal(signal) => record!(Signal, {
                let target = self.target(signal.target);
                let cgroup_id = (signal.target_cgroup_id != 0).then_some(signal.target_cgroup_id);
                let target = TargetView { cgroup_id: cgroup_id.or(target.cgroup_id), ..target };
                SignalView::new(signal, self.with_pod(target))
            }),
            Detail::Stdio(stdio) => record!(Stdio, stdio.into()),
        }
    }

    pub(super) fn loss(&mut self, gap: &Gap) -> RecordBody {
        let Gap { kind, cgroup_id, lost, suppressed, first_boot_ns, last_boot_ns, counters } = *gap;
        let Belonging { cgroup, pod, .. } = self.belonging(cgroup_id.unwrap_or(0));
        RecordBody::Loss(Box::new(LossRecord {
            kind,
            cgroup_id,
            pod: pod.as_deref().map(PodView::from),
            cgroup: cgroup.map(|cgroup| Arc::clone(&cgroup.path)),
            lost,
            suppressed,
            first: self.clock.timebase().wall(first_boot_ns),
            last: self.clock.timebase().wall(last_boot_ns),
            counters,
        }))
    }

    /// The process that did it, as it was at that moment: what the event says of it stands over what is known.
    fn actor(&mut self, event: &Event) -> ProcessView {
        let Event { process: id, uid, euid, gid, cgroup_id, namespaces, .. } = *event;
        let known = self.processes.get(id);
        let unknown = known.is_none().then(|| unknown_process(id));
        let mut process: Process =
            known.or(unknown.as_ref()).cloned().expect("one of the two is there by construction");
        (process.uid, process.euid, process.gid) = (uid, euid, gid);
        (process.cgroup_id, process.namespaces) = (cgroup_id, namespaces);
        self.view_of(&process)
    }

    /// The process that code or control went into: as the kernel names it, or as the caller did.
    fn memory_target(
        &mut self,
        actor: ExecId,
        actor_pid_ns: u32,
        memory: &MemoryEvent,
    ) -> Option<TargetView> {
        let id = match memory.target {
            Some(id) => id,
            None if memory.target_ns_pid != 0 => {
                // What a process that called unshare(2) for its children names is still in its own namespace.
                let pid_ns = self.processes.pid_namespace(actor).unwrap_or(actor_pid_ns);
                self.processes.in_namespace(pid_ns, memory.target_ns_pid)?.exec_id
            }
            None => return None,
        };
        let target = self.target(id);
        Some(self.with_pod(target))
    }

    /// What is known of a process. A start of 0 is one that the kernel program did not know.
    fn target(&self, id: ExecId) -> TargetView {
        let known = self.processes.get(id);
        let known = known.or_else(|| self.processes.running_pid(id.pid).filter(|_| id.start_ticks == 0));
        TargetView {
            exec_id: known.map(|known| known.exec_id).or((id.start_ticks != 0).then_some(id)),
            pid: id.pid,
            binary: known.map(|known| known.binary.clone()),
            cgroup_id: known.map(|known| known.cgroup_id),
            pod: None,
        }
    }

    fn with_pod(&mut self, target: TargetView) -> TargetView {
        let Belonging { pod, .. } = self.belonging(target.cgroup_id.unwrap_or(0));
        TargetView { pod: pod.as_deref().map(PodView::from), ..target }
    }
}
