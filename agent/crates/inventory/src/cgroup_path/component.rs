//! What a component of a path names.

use std::borrow::Cow;

use super::Runtime;

/// Digits of the ids that runtimes make: 32 random bytes or a SHA-256 in hexadecimal.
const ID_DIGITS: usize = 64;
/// Longest name of a container that containerd takes (containerd `pkg/identifiers/validate.go`), bytes.
const CONTAINERD_NAME_BYTES_MAX: usize = 76;

/// How runtimes write an id into the name of a unit or folder, and whether the container itself is meant or the runtime's
/// own process beside it.
const PREFIXES: [(&str, Runtime, bool); 8] = [
    // containerd `internal/cri/server/helpers.go` getCgroupsPath: `<slice>:cri-containerd:<id>`
    ("cri-containerd", Runtime::Containerd, true),
    // nerdctl `pkg/cmd/container/run_cgroup_linux.go`: `<slice>:nerdctl:<id>`
    ("nerdctl", Runtime::Containerd, true),
    // cri-o `internal/config/cgmgr`: crioPrefix, and `crio-conmon` for the monitor
    ("crio-conmon", Runtime::CriO, false),
    ("crio", Runtime::CriO, true),
    // moby `daemon/daemon_unix.go` getCgroupPath: scopePrefix
    ("docker", Runtime::Docker, true),
    // podman `libpod/container_internal_linux.go`, `libpod/oci_conmon_linux.go`
    ("libpod-conmon", Runtime::Podman, false),
    ("libpod-payload", Runtime::Podman, true),
    ("libpod", Runtime::Podman, true),
];

/// Folders of the root in which ctr and nerdctl put containers of containerd's namespaces, by id or by the name that the
/// user chose. Other namespaces may be named like anything on the host: only full ids are taken there.
const CONTAINERD_NAMESPACES: [&str; 2] = ["default", "k8s.io"];

/// Kinds of systemd units that processes run in, systemd.unit(5).
const UNIT_KINDS: [&str; 5] = [".service", ".scope", ".mount", ".socket", ".swap"];

#[derive(Clone, Copy)]
pub(super) struct Component<'a> {
    pub(super) text: &'a str,
    pub(super) parent: Option<&'a str>,
    /// How many components are above it.
    pub(super) depth: usize,
}

pub(super) enum Named<'a> {
    Nothing,
    Container(Cow<'a, str>, Option<Runtime>),
    Monitor(Cow<'a, str>, Runtime),
    /// What looks after the machine above, should that be one.
    Supervisor,
}

/// A pod, a container, or both at once.
pub(super) struct Names<'a> {
    pub(super) pod_uid: Option<Cow<'a, str>>,
    pub(super) what: Named<'a>,
}

impl<'a> Component<'a> {
    pub(super) fn named(self, in_pod: bool) -> Names<'a> {
        // What runc makes of a systemd path where it was told to use cgroupfs: `<slice>:<prefix>:<id>` as one name.
        if let Some((slice, rest)) = self.text.split_once(':')
            && let Some((prefix, id)) = rest.rsplit_once(':')
        {
            return Names { pod_uid: pod(slice), what: prefixed(prefix, id) };
        }
        if let Some(uid) = pod(self.text) {
            return Names { pod_uid: Some(uid), what: Named::Nothing };
        }
        Names { pod_uid: None, what: self.container(in_pod) }
    }

    fn container(self, in_pod: bool) -> Named<'a> {
        if is_id(self.text) {
            return Named::Container(Cow::Borrowed(self.text), self.runtime_of_folder(in_pod));
        }
        if self.text == "supervisor" {
            return Named::Supervisor;
        }
        let name = self.text.strip_suffix(".scope").unwrap_or(self.text);
        if let Some((prefix, id)) = name.rsplit_once('-')
            && is_id(id)
        {
            return prefixed(prefix, id);
        }
        if let Some(machine) = nspawn(self.text) {
            return Named::Container(machine, Some(Runtime::Nspawn));
        }
        self.lxc().or_else(|| self.ctr()).unwrap_or(Named::Nothing)
    }

    /// A bare id is written by any runtime with the cgroupfs driver; who it was, the folder may tell.
    fn runtime_of_folder(self, in_pod: bool) -> Option<Runtime> {
        match self.parent? {
            "docker" if !in_pod => Some(Runtime::Docker),
            parent if !in_pod && CONTAINERD_NAMESPACES.contains(&parent) => Some(Runtime::Containerd),
            // An old Podman: `/libpod_parent/libpod-conmon-<id>/<id>`.
            parent if parent.starts_with("libpod") => Some(Runtime::Podman),
            _ => None,
        }
    }

    /// lxc `src/lxc/cgroups/cgfsng.c`: `lxc.payload.<name>` and `lxc.monitor.<name>`; for a while folders of names; before
    /// `/lxc/<name>`, which Proxmox keeps.
    fn lxc(self) -> Option<Named<'a>> {
        let payload = |name| Named::Container(Cow::Borrowed(name), Some(Runtime::Lxc));
        let monitor = |name| Named::Monitor(Cow::Borrowed(name), Runtime::Lxc);
        if let Some(name) = self.text.strip_prefix("lxc.payload.").filter(|name| !name.is_empty()) {
            return Some(payload(name));
        }
        if let Some(name) = self.text.strip_prefix("lxc.monitor.").filter(|name| !name.is_empty()) {
            return Some(monitor(name));
        }
        match self.parent? {
            "lxc.payload" => Some(payload(self.text)),
            "lxc.monitor" => Some(monitor(self.text)),
            // An everyday word: only as a folder of the root.
            "lxc" if self.depth == 1 && unit(self.text).is_none() => Some(payload(self.text)),
            _ => None,
        }
    }

    fn ctr(self) -> Option<Named<'a>> {
        let is_container = self.depth == 1
            && CONTAINERD_NAMESPACES.contains(&self.parent?)
            && unit(self.text).is_none()
            && is_containerd_name(self.text);
        is_container.then_some(Named::Container(Cow::Borrowed(self.text), Some(Runtime::Containerd)))
    }
}

/// The systemd unit that a component is, if processes run in units of its kind.
pub(super) fn unit(text: &str) -> Option<&str> {
    // systemd writes `_` before the name of a unit that would clash with a file of the kernel (`cg_escape`).
    let text = text.strip_prefix('_').unwrap_or(text);
    UNIT_KINDS.iter().any(|kind| text.strip_suffix(kind).is_some_and(|name| !name.is_empty())).then_some(text)
}

/// Whether systemd-nspawn made it, so that what is below is `payload` and `supervisor`.
pub(super) fn is_nspawn(text: &str) -> bool {
    nspawn(text).is_some()
}

/// The machine of a unit that systemd-machined or the template of systemd-nspawn makes. Virtual machines that libvirt
/// registers (`machine-qemu\x2d1\x2dname.scope`) are no containers: what runs in them is the hypervisor.
fn nspawn(text: &str) -> Option<Cow<'_, str>> {
    let scope = || text.strip_prefix("machine-")?.strip_suffix(".scope");
    let service = || text.strip_prefix("systemd-nspawn@")?.strip_suffix(".service");
    let name = unescape(scope().or_else(service)?);
    (!name.is_empty() && !name.starts_with("qemu-")).then_some(name)
}

/// kubernetes `pkg/kubelet/cm/cgroup_manager_linux.go`, `pod_container_manager_linux.go`:
/// * cgroupfs: `/kubepods/burstable/pod<uid>`;
/// * systemd: `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice`, where the dashes of the uid
///   are underscores, since a dash means nesting to systemd.
///
/// The folders above differ by kubelet's `--cgroup-root` and are not looked at.
fn pod(text: &str) -> Option<Cow<'_, str>> {
    if let Some(uid) = text.strip_prefix("pod") {
        return is_uid(uid).then_some(Cow::Borrowed(uid));
    }
    let (_, uid) = text.strip_suffix(".slice")?.rsplit_once("-pod")?;
    if !uid.contains('_') {
        return is_uid(uid).then_some(Cow::Borrowed(uid));
    }
    let uid = uid.replace('_', "-");
    is_uid(&uid).then_some(Cow::Owned(uid))
}

fn prefixed<'a>(prefix: &str, id: &'a str) -> Named<'a> {
    let found = PREFIXES.iter().find(|(known, ..)| *known == prefix);
    match found.filter(|_| is_id(id)) {
        Some(&(_, runtime, true)) => Named::Container(Cow::Borrowed(id), Some(runtime)),
        Some(&(_, runtime, false)) => Named::Monitor(Cow::Borrowed(id), runtime),
        None => Named::Nothing,
    }
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Uids are UUIDs; those of static pods are a bare hash of 32 digits.
fn is_uid(text: &str) -> bool {
    let dashes = text.bytes().filter(|&byte| byte == b'-').count();
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 32 && matches!(dashes, 0 | 4) && digits + dashes == text.len()
}

/// Letters and digits, with single separators between them.
fn is_containerd_name(text: &str) -> bool {
    let parts = text.split(['.', '_', '-']);
    text.len() <= CONTAINERD_NAME_BYTES_MAX
        && parts
            .into_iter()
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// systemd.unit(5): bytes that a name of a unit may not have are written as `\x` and two hexadecimal digits.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains("\\x") {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.extend_from_slice(b"\\x");
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
