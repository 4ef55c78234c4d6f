//! The real agent beside a real Kubernetes node: what pods do, and what the agent says about them.
//!
//! `cargo xtask test --tier cluster` starts the node and tells these tests of it.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test panics; the message says where")]

mod api_component;
mod api_tokens;
mod containers;
mod control;
mod cri;
mod definitions;
mod deploy;
mod deployment;
mod flow;
mod inventory;
mod kube;
mod manifests;
mod node;
mod overlays;
mod pod;
mod policy;
mod process;
mod production;
mod rights;
mod source;
mod verdict;

use watchfire_tests::{Need, Suite};

/// What a test of the node takes.
const NODE: &[Need] = &[KUBERNETES, Need::Root];
/// What a test of the agent beside the node takes.
const AGENT: &[Need] = &[KUBERNETES, Need::Root, Need::Btf, Need::CgroupV2];
/// What a test of the agent's API over TLS takes.
const API: &[Need] = &[KUBERNETES, Need::Root, Need::Btf, Need::CgroupV2, Need::Program("openssl")];
/// What a test of the agent beside a container runtime takes.
const CONTAINERS: &[Need] = &[CONTAINERD, Need::Root, Need::Btf, Need::CgroupV2];
/// What the API's component takes, with certificates by cert-manager's resources.
const API_COMPONENT: &[Need] =
    &[KUBERNETES, CERTIFICATES, Need::Root, Need::Btf, Need::CgroupV2, Need::Program("openssl")];
/// What the overlays for production and staging take, which have objects for the Prometheus Operator.
const PRODUCTION: &[Need] = &[KUBERNETES, MONITORS, Need::Root, Need::Btf, Need::CgroupV2];
/// What checking manifests takes.
const MANIFESTS: &[Need] =
    &[KUBERNETES, Need::Root, Need::That("no kubeconform: Go builds it", manifests::has_kubeconform)];

const CONTAINERD: Need =
    Need::That("no containerd: `cargo xtask test --tier cluster` starts one", kube::has_containerd);
const KUBERNETES: Need = Need::That(
    "no Kubernetes node: `cargo xtask test --tier cluster` starts one where there is Go",
    kube::has_kubernetes,
);
const MONITORS: Need = Need::That(
    "no definitions of the Prometheus Operator's resources: Go fetches them",
    definitions::has_monitors,
);
const CERTIFICATES: Need =
    Need::That("no definitions of cert-manager's resources: Go fetches them", definitions::has_certificates);

fn main() {
    Suite::new()
        .test("node_pods_and_services_work", NODE, node::pods_and_services)
        .test("node_service_accounts_have_their_rights_alone", NODE, node::service_accounts)
        .test("node_custom_resources", NODE, node::custom_resources)
        .test("process_of_a_pod_has_its_cgroup", AGENT, process::of_a_pod)
        .test("process_of_a_deleted_pod_ends", AGENT, process::of_a_deleted_pod)
        .test("process_by_kubectl_exec_is_of_the_container", AGENT, process::by_exec)
        .test("process_of_a_container_without_kubernetes", CONTAINERS, process::without_kubernetes)
        .test("flow_through_a_service_has_both_ends", AGENT, flow::through_a_service)
        .test("deployed_agent_works_with_its_rights", AGENT, deploy::daemon_set)
        .test("deployed_agent_is_told_by_the_kubelet", AGENT, deploy::told_by_the_kubelet)
        .test("manifests_are_valid", MANIFESTS, manifests::are_valid)
        .test("rights_are_all_used", AGENT, rights::each_is_used)
        .test("rights_of_the_kubelet_component_are_used", AGENT, rights::of_the_kubelet_is_used)
        .test("production_overlay_tells_what_passed", PRODUCTION, production::overlay)
        .test("overlay_dev_tells_more", AGENT, overlays::dev)
        .test("overlay_staging_is_as_production", PRODUCTION, overlays::staging)
        .test(
            "api_component_serves_what_the_secret_has",
            API_COMPONENT,
            api_component::serves_what_the_secret_has,
        )
        .test("api_tokens_of_service_accounts", API, api_tokens::of_service_accounts)
        .test("names_first_exec_of_every_container", AGENT, inventory::first_exec_of_every_container)
        .test("names_workloads_of_pods", AGENT, inventory::workloads)
        .test("names_every_container_of_a_pod", AGENT, inventory::every_container_of_a_pod)
        .test("names_short_lived_pods", AGENT, inventory::short_lived_pods)
        .test("names_many_pods", AGENT, source::many_pods)
        .test("source_kinds_come_and_go", AGENT, source::kinds_that_come_and_go)
        .test("source_right_is_missing", AGENT, source::a_right_that_is_missing)
        .test("verdict_flips_with_the_policy", AGENT, verdict::flips_with_the_policy)
        .test("policy_suggestion_is_accepted_and_holds", AGENT, policy::suggestion)
        // Without kubelet, as long as each of them takes.
        .test("containers_first_exec_of_each_has_its_names", CONTAINERS, containers::first_exec_of_each)
        .test("containers_of_a_cgroup_without_a_pod", CONTAINERS, containers::of_a_cgroup_without_a_pod)
        .test("containers_with_privileges_and_mounts", CONTAINERS, containers::privileges_and_mounts)
        .test("containers_older_than_the_agent", CONTAINERS, containers::older_than_the_agent)
        .test("containers_of_ctr_have_their_id", CONTAINERS, containers::of_ctr)
        .test("containers_runtime_restarts", CONTAINERS, containers::runtime_restarts)
        // After these, the node's clients take their time to come back.
        .test("source_api_is_away", AGENT, source::an_api_that_is_away)
        .test("source_versions_have_expired", AGENT, source::versions_that_have_expired)
        .test("node_api_server_restarts", NODE, node::api_server_restart)
        .test("node_old_versions_are_gone_after_compaction", NODE, node::compaction)
        .run();
}
