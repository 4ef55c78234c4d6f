use proptest::prelude::*;

use super::*;

const UID: &str = "0aa1e9f0-1c2d-4e5f-8a9b-0c1d2e3f4a5b";
const STATIC: &str = "36b6d6be73b1065af369b3985edafa09";
const ID: &str = "aaefb9d8feed2d453b543f6d928cede7a4dbefa6a0ae7c9b990dd234c56e93b9";
const ID2: &str = "0ba8ac17e4e7a31fb82279503552fe94e64bab4745bf6fd2ff231e7c8ca8bed0";

/// The path with `{U}` uid, `{S}` uid of a static pod, `{V}` uid as systemd has it, `{I}` and `{J}` ids.
fn fill(text: &str) -> String {
    text.replace("{U}", UID)
        .replace("{S}", STATIC)
        .replace("{V}", &UID.replace('-', "_"))
        .replace("{I}", ID)
        .replace("{J}", ID2)
}

/// All that is set, as `pod=… id=… runtime=… monitors=… unit=… outer=… other`.
fn told(placement: &Placement<'_>) -> String {
    let mut told = Vec::new();
    let mut tell = |key: &str, value: Option<&str>| told.extend(value.map(|value| format!("{key}={value}")));
    tell("pod", placement.pod_uid.as_deref());
    tell("id", placement.container_id.as_deref());
    tell("runtime", placement.runtime.map(Runtime::name));
    tell("monitors", placement.monitored_id.as_deref());
    tell("unit", placement.unit);
    tell("outer", placement.outer_container_id.as_deref());
    if placement.names_other_pod {
        told.push("other".to_owned());
    }
    told.join(" ")
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        assert_eq!(told(&CgroupPath::parse(&fill(path))), fill(expected), "{path}");
    }
}

#[test]
fn kubelet_with_each_driver_and_runtime() {
    check(&[
        // The pod's own cgroup, and those above.
        ("/kubepods/burstable/pod{U}", "pod={U}"),
        ("/kubepods/pod{U}", "pod={U}"),
        ("/kubepods/burstable", ""),
        ("/kubepods.slice/kubepods-burstable.slice", ""),
        ("/kubepods.slice/kubepods-pod{V}.slice", "pod={U}"),
        // containerd
        ("/kubepods/besteffort/pod{U}/{I}", "pod={U} id={I}"),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{V}.slice/cri-containerd-{I}.scope",
            "pod={U} id={I} runtime=containerd unit=cri-containerd-{I}.scope",
        ),
        // containerd told to use cgroupfs while kubelet names slices, and at the root
        (
            "/system.slice/containerd.service/kubepods-burstable-pod{S}.slice:cri-containerd:{I}",
            "pod={S} id={I} runtime=containerd unit=containerd.service",
        ),
        ("/kubepods-besteffort-pod{V}.slice:cri-containerd:{I}", "pod={U} id={I} runtime=containerd"),
        // CRI-O: scope, with what crun makes below, its monitor, and with cgroupfs
        (
            "/kubepods.slice/kubepods-pod{V}.slice/crio-{I}.scope/container",
            "pod={U} id={I} runtime=cri-o unit=crio-{I}.scope",
        ),
        (
            "/kubepods.slice/kubepods-pod{V}.slice/crio-conmon-{I}.scope",
            "pod={U} runtime=cri-o monitors={I} unit=crio-conmon-{I}.scope",
        ),
        ("/kubepods/burstable/pod{U}/crio-{I}", "pod={U} id={I} runtime=cri-o"),
        ("/kubepods/burstable/pod{U}/crio-conmon-{I}", "pod={U} runtime=cri-o monitors={I}"),
        // cri-dockerd
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{V}.slice/docker-{I}.scope",
            "pod={U} id={I} runtime=docker unit=docker-{I}.scope",
        ),
        // A static pod, and another --cgroup-root.
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{S}.slice/cri-containerd-{I}.scope",
            "pod={S} id={I} runtime=containerd unit=cri-containerd-{I}.scope",
        ),
        ("/custom/kubepods/pod{S}/{I}", "pod={S} id={I}"),
    ]);
}

#[test]
fn runtimes_without_kubernetes() {
    check(&[
        ("/docker/{I}", "id={I} runtime=docker"),
        ("/system.slice/docker-{I}.scope", "id={I} runtime=docker unit=docker-{I}.scope"),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{I}.scope",
            "id={I} runtime=docker unit=user@1000.service",
        ),
        ("/machine.slice/libpod-{I}.scope/container", "id={I} runtime=podman unit=libpod-{I}.scope"),
        (
            "/machine.slice/libpod-conmon-{I}.scope",
            "runtime=podman monitors={I} unit=libpod-conmon-{I}.scope",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{I}.scope/container",
            "id={I} runtime=podman unit=user@1000.service",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_{J}.slice/libpod-{I}.scope",
            "id={I} runtime=podman unit=user@1000.service",
        ),
        ("/libpod_parent/libpod-{I}", "id={I} runtime=podman"),
        ("/libpod_parent/libpod-conmon-{I}", "runtime=podman monitors={I}"),
        ("/libpod-parent/libpod-conmon-{I}/{I}", "id={I} runtime=podman"),
        ("/system.slice/web.service/libpod-payload-{I}", "id={I} runtime=podman unit=web.service"),
        ("/system.slice/nerdctl-{I}.scope", "id={I} runtime=containerd unit=nerdctl-{I}.scope"),
        ("/default/{I}", "id={I} runtime=containerd"),
        ("/default/redis-1", "id=redis-1 runtime=containerd"),
        ("/k8s.io/probe", "id=probe runtime=containerd"),
        ("/other/{I}", "id={I}"),
        ("/ecs/5f6a/{I}", "id={I}"),
        ("/lxc.payload.web/system.slice/ssh.service", "id=web runtime=lxc"),
        ("/lxc.monitor.web", "runtime=lxc monitors=web"),
        ("/lxc.payload/web", "id=web runtime=lxc"),
        ("/lxc/101/ns/init.scope", "id=101 runtime=lxc"),
        (
            r"/machine.slice/machine-my\x2dbox.scope/payload/init.scope",
            r"id=my-box runtime=systemd-nspawn unit=machine-my\x2dbox.scope",
        ),
        (
            r"/machine.slice/machine-my\x2dbox.scope/supervisor",
            r"runtime=systemd-nspawn monitors=my-box unit=machine-my\x2dbox.scope",
        ),
        (
            "/machine.slice/systemd-nspawn@box.service/payload",
            "id=box runtime=systemd-nspawn unit=systemd-nspawn@box.service",
        ),
    ]);
}

#[test]
fn the_host_is_named_by_its_units_and_lookalikes_are_no_containers() {
    check(&[
        ("/", ""),
        ("", ""),
        ("/init.scope", "unit=init.scope"),
        ("/system.slice/ssh.service", "unit=ssh.service"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "unit=getty@tty1.service"),
        ("/user.slice/user-0.slice/session-3.scope", "unit=session-3.scope"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service", "unit=user@1000.service"),
        ("/system.slice/_cgroup.service", "unit=cgroup.service"),
        (
            r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator",
            r"unit=machine-qemu\x2d1\x2dvm.scope",
        ),
        ("/system.slice/docker-prune.service", "unit=docker-prune.service"),
        ("/system.slice/docker-short.scope", "unit=docker-short.scope"),
        ("/docker/buildkit", ""),
        ("/kubepods/burstable/podcast", ""),
        ("/srv/default/redis", ""),
        ("/default/--x", ""),
        ("/system.slice/containerd.service/supervisor", "unit=containerd.service"),
        ("/a:b:c", ""),
        ("/.service", ""),
    ]);
}

#[test]
fn nesting() {
    check(&[
        // What a container makes below itself.
        ("/kubepods/pod{U}/{I}/init.scope", "pod={U} id={I}"),
        ("/kubepods/pod{U}/{I}/docker/{J}", "pod={U} id={I}"),
        ("/docker/{I}/system.slice/docker-{J}.scope", "id={I} runtime=docker"),
        ("/docker/{I}/machine.slice/libpod-conmon-{J}.scope", "id={I} runtime=docker"),
        // A Kubernetes node in a container: kind, minikube
        (
            "/docker/{J}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/\
             kubelet-kubepods-burstable-pod{V}.slice/cri-containerd-{I}.scope",
            "pod={U} id={I} runtime=containerd outer={J}",
        ),
        (
            "/system.slice/docker-{J}.scope/kubelet/kubepods/besteffort/pod{U}/{I}",
            "pod={U} id={I} unit=docker-{J}.scope outer={J}",
        ),
        ("/docker/{J}/system.slice/kubelet.service", "id={J} runtime=docker"),
        // One pod says that it is another.
        ("/kubepods/pod{U}/{I}/kubepods/pod{S}/{J}", "pod={U} id={I} other"),
        ("/kubepods/pod{U}/{I}/kubepods-pod{S}.slice:cri-containerd:{J}", "pod={U} id={I} other"),
        // As a reader in another cgroup namespace sees it, and after its end.
        ("/../../kubepods/pod{U}/{I}", "pod={U} id={I}"),
        ("/../pod{U}/{I}", "pod={U} id={I}"),
        ("/../cri-containerd-{I}.scope", "id={I} runtime=containerd unit=cri-containerd-{I}.scope"),
        ("/kubepods/pod{U}/{I} (deleted)", "pod={U} id={I}"),
    ]);
}

#[test]
fn uids_are_found_without_the_rest() {
    assert_eq!(pod_uid(&fill("/kubepods/burstable/pod{U}/4bc7")).as_deref(), Some(UID));
    assert_eq!(pod_uid("/system.slice/podman.service"), None);
}

#[test]
fn names_of_units_are_unescaped() {
    for (text, expected) in [
        (r"machine-a\x2db.scope", "a-b"),
        (r"machine-\x.scope", r"\x"),
        (r"machine-\xé.scope", r"\xé"),
        (r"machine-\xc3\xa9\x2.scope", r"é\x2"),
    ] {
        assert_eq!(CgroupPath::parse(text).container_id.as_deref(), Some(expected), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read(text in "\\PC*") {
        _ = CgroupPath::parse(&text);
    }

    #[test]
    fn any_order_of_known_components_is_read(parts in proptest::collection::vec(0_usize..16, 0..10)) {
        let known = [
            "kubepods", "pod{U}", "kubepods-pod{V}.slice", "{I}", "cri-containerd-{J}.scope", "docker", "default",
            "crio-conmon-{I}.scope", r"machine-\x", r"machine-a\x2d.scope", "supervisor", "..", ":{I}:", "lxc.payload",
            "x.slice:crio:{J}", "libpod-payload-{I}",
        ];
        let path = fill(&parts.iter().map(|&part| known[part]).collect::<Vec<_>>().join("/"));
        let placement = CgroupPath::parse(&path);
        // What is told stands in the path.
        if let Some(id) = &placement.container_id && id.len() == 64 {
            prop_assert!(path.contains(&**id));
        }
        prop_assert!(placement.outer_container_id.is_none() || placement.pod_uid.is_some());
    }
}
