//! The real agent on the real kernel: known operations, and what it says about them.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test panics; the message says where")]

mod lifecycle;
mod loss;
mod outputs;
mod peer;
mod pin;
mod process;
mod running;
mod tcp;
mod verdict;

use watchfire_tests::{Need, Suite};

/// What every agent needs.
const AGENT: &[Need] = &[Need::Root, Need::Btf, Need::CgroupV2];
/// What pods in a network namespace of their own need besides.
const PODS: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Program("unshare"),
    Need::Program("ip"),
    Need::Program("mount"),
];

/// What a cgroup namespace, as every container has one, needs.
const CGROUP_NAMESPACE: &[Need] = &[Need::Root, Need::Btf, Need::CgroupV2, Need::Runs("unshare -C true")];

const MULTIPATH: &[Need] =
    &[Need::Root, Need::Btf, Need::CgroupV2, Need::Runs("test \"$(cat /proc/sys/net/mptcp/enabled)\" = 1")];

/// What a BPF filesystem of the test's own needs.
const PINS: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Runs("d=$(mktemp -d) && mount -t bpf bpf $d && umount $d && rmdir $d"),
];

fn main() {
    // The workload's ends are this very binary, so that it needs no other program on a VM.
    if peer::run_if_asked() {
        return;
    }
    Suite::new()
        .test("process_exec_and_exit_are_reported", AGENT, process::exec_and_exit)
        .test("process_ended_by_a_signal", AGENT, process::signal)
        .test("process_threads_are_filtered", AGENT, process::threads)
        .test("process_from_a_file_in_no_folder", AGENT, process::memfd)
        .test("process_long_arguments_are_cut_and_marked", AGENT, process::long_arguments)
        .test("process_secrets_are_redacted", AGENT, process::secrets)
        .test("process_older_than_the_agent_is_found", AGENT, process::older)
        .test("first_process_of_a_short_lived_cgroup_has_its_pod", AGENT, process::short_lived_cgroups)
        .test("tcp_bytes_are_exact_at_both_ends", AGENT, tcp::exact_bytes)
        .test("tcp_ipv6_and_mapped_addresses", AGENT, tcp::families)
        .test("tcp_reset_is_told_from_fin", AGENT, tcp::reset)
        .test("tcp_refused_attempt", AGENT, tcp::refused)
        .test("tcp_attempt_that_times_out", PODS, tcp::timed_out)
        .test("tcp_accepted_by_a_multipath_listener", MULTIPATH, tcp::multipath)
        .test("tcp_sockets_older_than_the_agent", AGENT, tcp::older)
        .test("verdicts_with_pods_processes_and_rules", PODS, verdict::between_pods)
        .test("flood_from_one_cgroup_loses_nothing", AGENT, loss::flood)
        .test("flood_that_overruns_the_ring_is_accounted", AGENT, loss::overrun)
        .test("sigterm_drains_and_exits_0", AGENT, lifecycle::sigterm)
        .test("kill_9_and_restart", AGENT, lifecycle::kill_and_restart)
        .test("port_in_use_is_named", AGENT, lifecycle::port_in_use)
        .test("doctor_attaches_every_probe", AGENT, lifecycle::doctor)
        .test("without_btf_connections_are_still_seen", PODS, tcp::without_btf)
        .test("without_cgroup_v2_processes_are_still_seen", PODS, process::without_cgroups)
        .test("agent_in_a_cgroup_namespace_sees_the_host", CGROUP_NAMESPACE, lifecycle::cgroup_namespace)
        .test("metrics_health_and_readiness", AGENT, outputs::http)
        .test("observe_shows_recent_and_live_records", AGENT, outputs::observe)
        .test("full_disk_is_counted_and_survived", PODS, outputs::full_disk)
        .test("bad_policy_object_is_rejected_and_the_rest_loads", AGENT, outputs::bad_policy)
        .test("pin_collects_while_the_agent_restarts", PINS, pin::restart)
        .test("pin_collects_after_kill_9", PINS, pin::kill_and_restart)
        .test("pin_is_taken_over_with_other_settings", PINS, pin::other_settings)
        .test("pin_is_removed_by_detach", PINS, pin::detach)
        .test("pin_overrun_is_accounted", PINS, pin::overrun)
        .test("pin_that_is_removed_is_noticed", PINS, pin::tampering)
        .test("pin_is_for_one_agent", PINS, pin::one_agent)
        .run();
}
