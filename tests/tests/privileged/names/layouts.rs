//! Cgroups as every runtime names them, made by hand: what runs in them is told with its container, unit and pod.

use serde_json::Value;

use super::objects::Pod;
use crate::running::{TestCgroup, command, has_argument, nonce, ready};

const UID: &str = "5c3f4a5b-1c2d-4e5f-8a9b-0c1d2e3f4a5b";

/// A path, in which `{U}` is the pod's uid, `{S}` the same as systemd has it, and `{I}` the container's id.
struct Layout {
    path: &'static str,
    is_of_pod: bool,
    /// `{I}` as well.
    container: Option<&'static str>,
    unit: Option<&'static str>,
}

const fn pod(path: &'static str) -> Layout {
    Layout { path, is_of_pod: true, container: Some("{I}"), unit: None }
}

const fn container(path: &'static str) -> Layout {
    Layout { path, is_of_pod: false, container: Some("{I}"), unit: None }
}

const fn host(path: &'static str, unit: &'static str) -> Layout {
    Layout { path, is_of_pod: false, container: None, unit: Some(unit) }
}

const LAYOUTS: [Layout; 17] = [
    // kubelet with the cgroupfs driver, by quality of service.
    pod("kubepods/burstable/pod{U}/{I}"),
    pod("kubepods/besteffort/pod{U}/{I}"),
    pod("kubepods/pod{U}/{I}"),
    // kubelet with the systemd driver: containerd, CRI-O (with what runs in the container in a folder of its own), cri-dockerd.
    pod("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{S}.slice/cri-containerd-{I}.scope"),
    pod("kubepods.slice/kubepods-pod{S}.slice/crio-{I}.scope/container"),
    pod("kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{S}.slice/docker-{I}.scope"),
    // A node in a container, as kind has it.
    pod(
        "system.slice/docker-{I}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{S}.slice/cri-containerd-{I}.scope",
    ),
    // What a container makes below itself is still that container.
    pod("kubepods/burstable/pod{U}/{I}/init.scope"),
    Layout { container: None, ..pod("kubepods/burstable/pod{U}") },
    container("docker/{I}"),
    container("system.slice/docker-{I}.scope"),
    container("machine.slice/libpod-{I}.scope/container"),
    container("user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{I}.scope"),
    Layout { container: Some("ctr-demo"), ..container("default/ctr-demo") },
    // Beside a container, not in it.
    host("kubepods.slice/kubepods-pod{S}.slice/crio-conmon-{I}.scope", ""),
    host("system.slice/ssh.service", "ssh.service"),
    host("user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
];

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

pub(crate) fn all() {
    let pod = Pod { uid: UID, ..Pod::new("web", "") };
    let agent = command(&["--manifests", "manifests", "--container-runtime", "none"])
        .with_file("manifests/web.yaml", &pod.manifest());
    let agent = ready(agent.start());
    for (index, layout) in LAYOUTS.iter().enumerate() {
        let id = format!("{index:08x}").repeat(8);
        let fill =
            |text: &str| text.replace("{U}", UID).replace("{S}", &UID.replace('-', "_")).replace("{I}", &id);
        let path = fill(layout.path);
        // Gone before the next: a folder of one runtime is no unit of another.
        let cgroup = TestCgroup::new(&path);
        let nonce = nonce("layout");
        let script = format!("exec /bin/sh -c 'exit 0' {nonce}");
        assert!(cgroup.shell(&script).status().unwrap().success());
        for action in ["exec", "exit"] {
            let record = agent.record(&format!("the {action} in {path}"), |record| {
                record["action"] == action && has_argument(record, &nonce)
            });
            let process = &record["process"];
            assert_eq!(process["cgroup"], format!("/{path}"), "{record}");
            let is_monitor = layout.unit == Some("");
            let name = (layout.is_of_pod || is_monitor).then_some("web");
            assert_eq!(text(&process["pod"]["name"]), name, "{path}: {record}");
            assert_eq!(
                process["container"]["id"].as_str(),
                layout.container.map(fill).as_deref(),
                "{path}: {record}"
            );
            assert_eq!(
                text(&process["unit"]),
                layout.unit.filter(|unit| !unit.is_empty()),
                "{path}: {record}"
            );
            assert_eq!(record["enrichment"], Value::Null, "{path}: {record}");
        }
    }
}
