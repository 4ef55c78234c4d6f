//! How kubelet names the cgroups of pods.

/// The pod uid in a cgroup path, as kubelet writes it with either cgroup driver (kubernetes
/// `pkg/kubelet/cm/cgroup_manager_linux.go`, `pod_container_manager_linux.go`):
/// * cgroupfs: `/kubepods/burstable/pod<uid>/<container>`;
/// * systemd: `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice/…`, where the dashes of
///   the uid are underscores, since a dash means nesting to systemd.
#[must_use]
pub fn pod_uid(path: &str) -> Option<String> {
    path.split('/').find_map(|component| match component.strip_prefix("pod") {
        Some(uid) => is_uid(uid).then(|| uid.to_owned()),
        None => {
            let (_, uid) = component.strip_suffix(".slice")?.rsplit_once("-pod")?;
            let uid = uid.replace('_', "-");
            is_uid(&uid).then_some(uid)
        }
    })
}

/// Uids are UUIDs; those of static pods are a bare hash of 32 digits.
fn is_uid(text: &str) -> bool {
    let dashes = text.bytes().filter(|&byte| byte == b'-').count();
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 32 && matches!(dashes, 0 | 4) && digits + dashes == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_uids_as_kubelet_writes_them() {
        const UID: &str = "0aa1e9f0-1c2d-4e5f-8a9b-0c1d2e3f4a5b";
        const SYSTEMD: &str = "kubepods-burstable-pod0aa1e9f0_1c2d_4e5f_8a9b_0c1d2e3f4a5b.slice";
        for (path, expected) in [
            (format!("/kubepods/burstable/pod{UID}/4bc7"), Some(UID)),
            (format!("/kubepods/pod{UID}"), Some(UID)),
            (
                format!("/kubepods.slice/kubepods-burstable.slice/{SYSTEMD}/cri-containerd-4b.scope"),
                Some(UID),
            ),
            (
                "/kubepods/besteffort/pod0aa1e9f01c2d4e5f8a9b0c1d2e3f4a5b".to_owned(),
                Some("0aa1e9f01c2d4e5f8a9b0c1d2e3f4a5b"),
            ),
            ("/system.slice/podman.service".to_owned(), None),
            ("/kubepods/burstable/podcast".to_owned(), None),
            ("/".to_owned(), None),
        ] {
            assert_eq!(pod_uid(&path).as_deref(), expected, "{path}");
        }
    }
}
