//! Code and observers that enter the kernel.

use serde::Serialize;

use crate::Operation;

/// Code was loaded into the kernel, or an observer of other tasks.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct KernelEvent {
    /// The module's file, or the program's or map's name; empty where there is none.
    pub name: String,
    /// Program or map type, perf event config, module or kexec flags.
    pub value: u64,
    /// bpf(2) command, or perf event type.
    pub command: u32,
    /// Process of a perf event, in the caller's pid namespace; -1 for all of a CPU.
    pub target_pid: i32,
    /// CPU of a perf event; -1 for any.
    pub cpu: i32,
}

/// Code that enters the kernel as records show it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct KernelView {
    /// The module's file, or the program's or map's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Type of the BPF program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_type: Option<NumberName>,
    /// Type of the BPF map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_type: Option<NumberName>,
    /// Type of the perf event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<NumberName>,
    /// Number of the bpf(2) command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<u32>,
    /// Process of a perf event, in the caller's pid namespace; -1 for all of a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_pid: Option<i32>,
    /// CPU of a perf event; -1 for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<i32>,
    /// Config of the perf event, flags of a module or kexec call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
}

/// A number of the kernel's with its name, where it has a known one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct NumberName {
    /// The number.
    pub number: u64,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
}

impl KernelView {
    /// The view of an event; which of its numbers mean something depends on the operation.
    #[must_use]
    pub fn new(operation: Operation, event: KernelEvent) -> Self {
        let KernelEvent { name, value, command, target_pid, cpu } = event;
        let view = Self { name, ..Self::default() };
        let named = |names: &[&'static str], number: u64| NumberName {
            number,
            name: usize::try_from(number).ok().and_then(|number| names.get(number)).copied(),
        };
        match operation {
            Operation::BpfProgLoad => {
                Self { program_type: Some(named(&PROGRAM_TYPES, value)), command: Some(command), ..view }
            }
            Operation::BpfMapCreate => {
                Self { map_type: Some(named(&MAP_TYPES, value)), command: Some(command), ..view }
            }
            Operation::BpfDetach | Operation::Bpf => Self { command: Some(command), ..view },
            Operation::PerfEventOpen => Self {
                event_type: Some(named(&PERF_TYPES, command.into())),
                target_pid: Some(target_pid),
                cpu: Some(cpu),
                value: Some(value),
                ..view
            },
            _ => Self { value: Some(value), ..view },
        }
    }
}

/// `enum bpf_prog_type` of include/uapi/linux/bpf.h.
const PROGRAM_TYPES: [&str; 33] = [
    "unspec",
    "socket_filter",
    "kprobe",
    "sched_cls",
    "sched_act",
    "tracepoint",
    "xdp",
    "perf_event",
    "cgroup_skb",
    "cgroup_sock",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sock_ops",
    "sk_skb",
    "cgroup_device",
    "sk_msg",
    "raw_tracepoint",
    "cgroup_sock_addr",
    "lwt_seg6local",
    "lirc_mode2",
    "sk_reuseport",
    "flow_dissector",
    "cgroup_sysctl",
    "raw_tracepoint_writable",
    "cgroup_sockopt",
    "tracing",
    "struct_ops",
    "ext",
    "lsm",
    "sk_lookup",
    "syscall",
    "netfilter",
];

/// `enum bpf_map_type` of include/uapi/linux/bpf.h.
const MAP_TYPES: [&str; 34] = [
    "unspec",
    "hash",
    "array",
    "prog_array",
    "perf_event_array",
    "percpu_hash",
    "percpu_array",
    "stack_trace",
    "cgroup_array",
    "lru_hash",
    "lru_percpu_hash",
    "lpm_trie",
    "array_of_maps",
    "hash_of_maps",
    "devmap",
    "sockmap",
    "cpumap",
    "xskmap",
    "sockhash",
    "cgroup_storage",
    "reuseport_sockarray",
    "percpu_cgroup_storage",
    "queue",
    "stack",
    "sk_storage",
    "devmap_hash",
    "struct_ops",
    "ringbuf",
    "inode_storage",
    "task_storage",
    "bloom_filter",
    "user_ringbuf",
    "cgrp_storage",
    "arena",
];

/// `enum perf_type_id` of include/uapi/linux/perf_event.h.
const PERF_TYPES: [&str; 6] = ["hardware", "software", "tracepoint", "hw-cache", "raw", "breakpoint"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_names_where_they_are_known() {
        let view = |operation, value| {
            KernelView::new(operation, KernelEvent { value, command: 5, ..KernelEvent::default() })
        };
        let kprobe = view(Operation::BpfProgLoad, 2).program_type.unwrap();
        assert_eq!((kprobe.number, kprobe.name), (2, Some("kprobe")));
        assert_eq!(view(Operation::BpfMapCreate, 27).map_type.unwrap().name, Some("ringbuf"));
        assert_eq!(view(Operation::BpfMapCreate, 99).map_type.unwrap().name, None);
        assert_eq!(view(Operation::PerfEventOpen, 1).event_type.unwrap().name, Some("breakpoint"));
        let module = view(Operation::FinitModule, 3);
        assert_eq!((module.value, module.command), (Some(3), None));
    }
}
