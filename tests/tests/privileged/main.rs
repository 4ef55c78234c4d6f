//! The real agent on the real kernel: known operations, and what it says about them.
#![deny(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test panics; the message says where")]

mod actor;
mod api;
mod calls;
mod credentials;
mod datagram;
mod exec_detail;
mod family;
mod file;
mod findings;
mod interop;
mod kernel;
mod lifecycle;
mod loss;
mod memory;
mod names;
mod namespace;
mod no_cgroups;
#[expect(unsafe_code, reason = "system calls as an attacker makes them, of which no safe library knows")]
mod operate;
mod other_programs;
mod outputs;
mod overlap;
mod packet_cost;
mod peer;
mod pin;
mod policy;
mod process;
mod running;
mod scraped;
mod segments;
mod service;
mod shipping;
mod signal;
mod socket;
mod space;
mod stage;
mod stdio;
mod storm;
mod tcp;
mod tcp_long;
mod udp;
mod verdict;
mod verdict_changes;

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

/// What a node with pods behind it needs, in which the kernel translates the addresses of services.
const SERVICES_BY_NFT: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Program("unshare"),
    Need::Program("nsenter"),
    Need::Program("setpriv"),
    Need::Program("ip"),
    Need::Program("mount"),
    Need::Program("nft"),
    Need::Runs("unshare --net nft add table ip services"),
];
const SERVICES_BY_IPTABLES: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Program("unshare"),
    Need::Program("nsenter"),
    Need::Program("ip"),
    Need::Program("mount"),
    Need::Program("iptables"),
    Need::Program("ip6tables"),
    Need::Runs("unshare --net iptables -t nat -L -n && unshare --net ip6tables -t nat -L -n"),
];

/// What an S3 server beside the agent needs, and a database that reads what is in it.
const S3: &[Need] = &[Need::Root, Need::Btf, Need::CgroupV2, Need::Program("versitygw")];
const S3_AND_DUCKDB: &[Need] =
    &[Need::Root, Need::Btf, Need::CgroupV2, Need::Program("versitygw"), Need::Program("python-with-duckdb")];

/// What a cgroup namespace, as every container has one, needs.
const CGROUP_NAMESPACE: &[Need] = &[Need::Root, Need::Btf, Need::CgroupV2, Need::Runs("unshare -C true")];

/// What ids that are used again need.
const PIDS: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Path("/proc/sys/kernel/ns_last_pid"),
    Need::Runs("unshare -p -f true"),
];

/// What pods on wires of their own need.
const WIRED_PODS: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Program("unshare"),
    Need::Program("nsenter"),
    Need::Program("mount"),
    Need::Runs("unshare --net --mount sh -c 'mount -t tmpfs tmpfs /run && ip netns add pod'"),
];

const MULTIPATH: &[Need] =
    &[Need::Root, Need::Btf, Need::CgroupV2, Need::Runs("test \"$(cat /proc/sys/net/mptcp/enabled)\" = 1")];

/// What an agent needs that may not mount.
const LATE_MOUNT: &[Need] =
    &[Need::Root, Need::Btf, Need::CgroupV2, Need::Program("unshare"), Need::Program("nsenter")];

/// What a BPF filesystem of the test's own needs.
const PINS: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Runs("d=$(mktemp -d) && mount -t bpf bpf $d && umount $d && rmdir $d"),
];

/// What the 32-bit interface needs.
const COMPAT: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::That("this kernel has no 32-bit system calls", operate::has_compat),
];

const RING: &[Need] =
    &[Need::Root, Need::Btf, Need::CgroupV2, Need::That("this kernel has no io_uring", operate::has_ring)];

const OVERLAY: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Runs("grep -q overlay /proc/filesystems || modprobe overlay"),
];

const TERMINALS: &[Need] = &[Need::Root, Need::Btf, Need::CgroupV2, Need::Path("/dev/ptmx")];

const UNSHARE: &[Need] = &[Need::Root, Need::Btf, Need::CgroupV2, Need::Runs("unshare -p -f true")];

/// What a link that is slow on purpose needs.
const SLOW: &[Need] = &[
    Need::Root,
    Need::Btf,
    Need::CgroupV2,
    Need::Program("ss"),
    // By its path: busybox has one of its own, which knows less and comes first by name.
    Need::Runs("unshare --net \"$(which tc)\" qdisc add dev lo root netem delay 1ms"),
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
        .test("tcp_unreachable_attempt", PODS, tcp_long::unreachable)
        .test("tcp_long_lived_connection_has_updates", AGENT, tcp_long::updates)
        .test("tcp_sockets_that_close_while_all_are_visited", AGENT, tcp_long::closing)
        .test("tcp_updates_without_btf", AGENT, tcp_long::without_btf)
        .test("tcp_older_connection_has_updates_and_an_end", AGENT, tcp_long::older)
        .test("tcp_older_connection_that_is_reset", AGENT, tcp_long::older_reset)
        .test("tcp_connection_across_a_restart", AGENT, tcp_long::restart)
        .test("tcp_connections_across_a_pinned_restart", PINS, tcp_long::pinned_restart)
        .test("tcp_on_a_slow_link_agrees_with_ss", SLOW, tcp_long::slow)
        .test("datagrams_are_exact_at_both_ends", AGENT, datagram::exact)
        .test("datagrams_of_one_socket_to_many", AGENT, datagram::unconnected)
        .test("datagrams_that_the_device_cuts", AGENT, datagram::segmented)
        .test("datagrams_to_a_socket_older_than_the_agent", AGENT, datagram::older)
        .test("datagrams_of_an_echo", AGENT, datagram::echo)
        .test("datagrams_of_sctp", AGENT, datagram::sctp)
        .test("packets_of_a_connection_cost_nothing", AGENT, packet_cost::tcp)
        .test("drops_at_closed_ports", AGENT, datagram::dropped)
        .test("flows_switched_off_have_no_programs", AGENT, datagram::off)
        .test("verdicts_with_pods_processes_and_rules", PODS, verdict::between_pods)
        .test("findings_of_repeated_denials_are_one", PODS, findings::repeated)
        .test("findings_of_what_no_policy_covers", PODS, findings::uncovered)
        .test("findings_of_verdicts_that_change", PODS, findings::changed)
        .test("findings_of_plaintext_in_a_strict_mesh", PODS, findings::plaintext)
        .test("candidates_that_would_break_and_open", PODS, findings::candidates)
        .test("verdict_changes_while_a_connection_is_open", PODS, verdict_changes::while_open)
        .test("verdict_by_names_that_dns_answered", interop::NAMES, interop::verdict_by_names)
        .test("services_translated_by_nft", SERVICES_BY_NFT, service::by_nft)
        .test("services_translated_by_iptables", SERVICES_BY_IPTABLES, service::by_iptables)
        .test("services_without_conntrack", SERVICES_BY_NFT, service::without_conntrack)
        .test("doctor_tells_of_conntrack", SERVICES_BY_NFT, service::doctor)
        .test("exec_tells_the_binary", AGENT, exec_detail::binary)
        .test("exec_of_a_script", AGENT, exec_detail::script)
        .test("exec_with_setuid_and_setgid_bits", AGENT, exec_detail::setuid)
        .test("exec_with_file_capabilities", AGENT, exec_detail::capabilities)
        .test("exec_of_files_without_a_name", AGENT, exec_detail::fileless)
        .test("exec_from_the_layers_of_an_overlay", OVERLAY, exec_detail::drift)
        .test("exec_with_variables_that_are_kept", AGENT, exec_detail::environment)
        .test("exec_without_variables_to_keep", AGENT, exec_detail::no_environment)
        .test("exec_notes_that_it_masked_secrets", AGENT, exec_detail::redaction)
        .test("exec_with_arguments_that_are_not_utf8", AGENT, exec_detail::non_utf8)
        .test("exec_of_a_shell_with_a_terminal", TERMINALS, exec_detail::terminal)
        .test("fork_with_namespace_flags", AGENT, namespace::clone_flags)
        .test("process_1_of_a_pid_namespace_acts", UNSHARE, namespace::in_a_container)
        .test("credentials_by_system_calls", AGENT, credentials::native)
        .test("credentials_by_32_bit_system_calls", COMPAT, credentials::compat)
        .test("credentials_capset", AGENT, credentials::capset)
        .test("capability_use_is_told_once", AGENT, credentials::capability_use)
        .test("capability_set_is_configurable", AGENT, credentials::capability_set)
        .test("file_operations_by_system_calls", AGENT, file::native)
        .test("file_operations_by_32_bit_system_calls", COMPAT, file::compat)
        .test("file_operations_by_io_uring", RING, file::ring)
        .test("file_operations_on_relative_paths", AGENT, file::relative)
        .test("file_operations_that_fail", AGENT, file::failures)
        .test("file_names_that_are_not_utf8", AGENT, file::non_utf8)
        .test("file_filter_leaves_out_other_files", AGENT, file::other_files)
        .test("file_filter_for_reading_alone", AGENT, file::read_only)
        .test("file_filter_for_writing_alone", AGENT, file::write_only)
        .test("file_filter_for_a_path_that_appears_later", AGENT, file::later)
        .test("file_filter_with_a_wildcard", AGENT, file::wildcards)
        .test("file_filter_by_inode", AGENT, file::inodes)
        .test("file_filter_with_too_many_paths_is_refused", AGENT, file::too_many)
        .test("namespaces_and_mounts_by_system_calls", AGENT, namespace::native)
        .test("namespaces_and_mounts_by_32_bit_system_calls", COMPAT, namespace::compat)
        .test("namespace_operations_that_are_refused", AGENT, namespace::refused)
        .test("kernel_code_by_system_calls", AGENT, kernel::native)
        .test("kernel_code_by_32_bit_system_calls", COMPAT, kernel::compat)
        .test("kernel_calls_that_are_harmless", AGENT, kernel::harmless)
        .test("memory_by_system_calls", AGENT, memory::native)
        .test("memory_by_32_bit_system_calls", COMPAT, memory::compat)
        .test("memory_file_by_io_uring", RING, memory::ring)
        .test("memory_calls_that_are_harmless", AGENT, memory::harmless)
        .test("sockets_by_system_calls", AGENT, socket::native)
        .test("sockets_by_32_bit_system_calls", COMPAT, socket::compat)
        .test("sockets_by_socketcall", COMPAT, socket::socketcall)
        .test("sockets_by_io_uring", RING, socket::ring)
        .test("sockets_that_nobody_asked_about", AGENT, socket::harmless)
        .test("signals_across_cgroups", AGENT, signal::across_cgroups)
        .test("signals_within_a_cgroup", AGENT, signal::within_a_cgroup)
        .test("signals_to_the_agent", AGENT, signal::to_the_agent)
        .test("sockets_as_standard_streams", AGENT, stdio::native)
        .test("sockets_as_standard_streams_by_32_bit_system_calls", COMPAT, stdio::compat)
        .test("sockets_as_standard_streams_by_fcntl", AGENT, stdio::fcntl)
        .test("reverse_shell", AGENT, stdio::reverse_shell)
        .test("copies_of_descriptors_that_are_harmless", AGENT, stdio::harmless)
        .test("families_switched_off_have_no_programs", AGENT, family::off)
        .test("families_one_at_a_time", AGENT, family::one_at_a_time)
        .test("storm_of_file_events_loses_nothing_that_matters", AGENT, loss::storm)
        .test("storm_of_refused_calls_loses_no_process", AGENT, loss::storm_of_refused_calls)
        .test("storm_of_one_cgroup_leaves_others_heard", AGENT, loss::fairness)
        .test("flood_from_one_cgroup_loses_nothing", AGENT, loss::flood)
        .test("flood_that_overruns_the_ring_is_accounted", AGENT, loss::overrun)
        .test("sigterm_drains_and_exits_0", AGENT, lifecycle::sigterm)
        .test("kill_9_and_restart", AGENT, lifecycle::kill_and_restart)
        .test("port_in_use_is_named", AGENT, lifecycle::port_in_use)
        .test("doctor_attaches_every_probe", AGENT, lifecycle::doctor)
        .test("without_btf_connections_are_still_seen", PODS, tcp::without_btf)
        .test("without_a_cgroup_v2_mount_flows_are_seen", PODS, no_cgroups::own_mount)
        .test("without_a_cgroup_v2_mount_until_later", LATE_MOUNT, no_cgroups::late_mount)
        .test("agent_in_a_cgroup_namespace_sees_the_host", CGROUP_NAMESPACE, lifecycle::cgroup_namespace)
        .test("metrics_health_and_readiness", AGENT, outputs::http)
        .test("api_answers_and_records_who_asked", AGENT, api::socket)
        .test("api_under_the_load_of_a_hundred_users", api::LOADED, api::load)
        .test("observe_shows_recent_and_live_records", AGENT, outputs::observe)
        .test("full_disk_is_counted_and_survived", PODS, outputs::full_disk)
        .test("full_disk_of_the_ledger_is_survived", PODS, outputs::full_disk_of_the_ledger)
        .test("bad_policy_object_is_rejected_and_the_rest_loads", AGENT, outputs::bad_policy)
        .test("pin_collects_while_the_agent_restarts", PINS, pin::restart)
        .test("pin_collects_after_kill_9", PINS, pin::kill_and_restart)
        .test("other_programs_that_were_there_first", AGENT, other_programs::there_first)
        .test("pin_is_taken_over_with_other_settings", PINS, pin::other_settings)
        .test("pin_is_removed_by_detach", PINS, pin::detach)
        .test("pin_overrun_is_accounted", PINS, pin::overrun)
        .test("pin_that_is_removed_is_noticed", PINS, pin::tampering)
        .test("pin_is_for_one_agent", PINS, pin::one_agent)
        .test("process_ancestry_of_a_container", UNSHARE, names::ancestry::of_a_container)
        .test("process_ancestry_of_the_host", AGENT, names::ancestry::of_the_host)
        .test("names_pid_reuse_in_a_namespace", PIDS, names::pid::in_a_namespace)
        .test("names_pid_reuse_on_the_host", PIDS, names::pid::on_the_host)
        .test("names_cgroup_layouts", AGENT, names::layouts::all)
        .test("names_address_reuse", WIRED_PODS, names::address::reuse)
        .test("names_address_reuse_tombstone", WIRED_PODS, names::address::tombstone)
        .test("names_manifests_verdicts", WIRED_PODS, names::manifests::verdicts)
        .test("names_manifests_mistakes", AGENT, names::manifests::mistakes)
        .test("names_manifests_contradictions", WIRED_PODS, names::manifests::contradictions)
        .test("names_manifests_absurd_labels", AGENT, names::manifests::absurd_labels)
        .test("names_hanging_runtime", AGENT, names::runtime::hangs)
        .test("names_hanging_runtime_speaks_garbage", AGENT, names::runtime::speaks_garbage)
        .test("names_hanging_runtime_appears_later", AGENT, names::runtime::appears_later)
        .test("who_is_a_pid", AGENT, names::who::pid)
        .test("who_is_an_address", AGENT, names::who::address)
        .test("who_is_nobody", AGENT, names::who::nobody)
        .test("who_without_an_agent", &[], names::who::without_an_agent)
        .test("policy_explain_of_the_agent", AGENT, policy::explain)
        .test("policy_state_of_the_agent", AGENT, policy::others)
        .test("scraped_dashboards_and_rules_have_data", scraped::SERVERS, scraped::every_query_has_data)
        .test("scraped_by_nobody_metrics_are_sent", scraped::RECEIVERS, scraped::to_both)
        .test("scraped_by_nobody_over_tls", scraped::TLS_RECEIVER, scraped::to_one_with_tls)
        .test("scraped_metrics_are_clean", scraped::CHECKED, scraped::metrics_are_clean)
        .test("alerts_fire_when_they_should", &[Need::Program("promtool")], scraped::rules_are_right)
        .test("interop_tcp_agrees_with_tshark", interop::CAPTURED, interop::tcp)
        .test("interop_udp_agrees_with_tshark", interop::CAPTURED, interop::datagrams)
        .test("interop_icmp_agrees_with_tshark", interop::ECHOES, interop::echoes)
        .test("interop_dns_with_a_real_resolver", interop::NAMES, interop::dns)
        .test("interop_tls_with_a_real_server", interop::ENCRYPTED, interop::tls)
        .test("interop_dns_in_several_segments", interop::NAMES, interop::dns_in_segments)
        .test("interop_tls_in_several_segments", interop::ENCRYPTED, interop::tls_in_segments)
        .test("segments_of_client_hellos", PODS, segments::client_hellos)
        .test("segments_of_dns_messages", PODS, segments::dns)
        .test("interop_netem_agrees_with_ss", interop::NETEM, interop::netem)
        .test("interop_loss_agrees_with_ss", interop::LOSSY, interop::loss)
        .test("interop_drops_agree_with_nft", interop::WALLED, interop::drops)
        .test("interface_that_vanishes_under_open_flows", interop::WIRED, interop::vanish)
        .test("same_ends_of_tcp_in_two_namespaces", PODS, overlap::tcp_in_two_namespaces)
        .test("same_ends_of_udp_in_two_namespaces", PODS, overlap::udp_in_two_namespaces)
        .test("same_ends_one_after_the_other", PODS, overlap::one_after_the_other)
        .test("same_ends_of_two_sockets", PODS, overlap::two_sockets)
        .test("same_ends_of_echoes_answered_on_every_cpu", PODS, overlap::echoes_answered_on_every_cpu)
        .test("interop_connect_flood", interop::WIRED, interop::connects)
        .test("interop_half_open_flood", interop::FORGED, interop::half_open)
        .test("interop_port_scan", interop::FORGED, interop::scan)
        .test("ship_to_a_directory_and_back", AGENT, shipping::a_directory_gets_segments_and_gives_them_back)
        .test(
            "ship_three_nodes_to_s3_for_duckdb",
            S3_AND_DUCKDB,
            shipping::duckdb_reads_what_three_nodes_ship_to_s3,
        )
        .test(
            "ship_with_a_key_that_is_refused",
            S3,
            shipping::a_server_that_refuses_the_key_is_counted_and_costs_nothing_else,
        )
        .run();
}
