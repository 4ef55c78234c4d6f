//! Cgroups and addresses of this host, looked at again when something unknown turns up or time has passed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use watchfire_inventory::{CGROUPS_MAX, Cgroup, Cgroups, HostNet, scan_cgroups};
use watchfire_sensor::CgroupRoot;

/// How often the host's addresses are read again: interfaces come and go.
const ADDRESSES_INTERVAL: Duration = Duration::from_secs(5);

/// Cgroups and addresses of this host.
#[derive(Debug)]
pub(crate) struct HostView {
    /// None where the hierarchy is out of reach.
    cgroup_root: Option<CgroupRoot>,
    cgroups: Cgroups,
    net: HostNet,
    net_read: Instant,
    started: Instant,
}

impl HostView {
    /// Looks at the host for the first time.
    pub(crate) fn read(cgroup_root: Option<CgroupRoot>) -> Self {
        let now = Instant::now();
        let mut view = Self {
            cgroup_root,
            cgroups: Cgroups::default(),
            net: HostNet::default(),
            net_read: now,
            started: now,
        };
        view.scan();
        view.read_net();
        view
    }

    /// Looks there for cgroups from now on.
    pub(crate) fn set_cgroup_root(&mut self, root: CgroupRoot) {
        self.cgroup_root = Some(root);
        self.scan();
    }

    /// A cgroup. One that is not known may be new.
    pub(crate) fn cgroup(&mut self, id: u64) -> Option<Arc<Cgroup>> {
        if id == 0 {
            return None;
        }
        if self.cgroups.get(id).is_none() && self.cgroups.may_scan(self.now_ms()) {
            self.scan();
        }
        self.cgroups.get(id).cloned()
    }

    /// A cgroup was made. Where its path did not fit into the record, it is looked up when it is met.
    pub(crate) fn cgroup_made(&mut self, id: u64, path: &str) {
        if !path.is_empty() {
            self.cgroups.made(id, path);
        }
    }

    /// A cgroup was removed.
    pub(crate) fn cgroup_removed(&mut self, id: u64) {
        let now_ms = self.now_ms();
        self.cgroups.removed(id, now_ms);
    }

    /// Whether cgroups can be looked up at all.
    pub(crate) const fn sees_cgroups(&self) -> bool {
        self.cgroup_root.is_some()
    }

    /// The host's network namespace and addresses.
    pub(crate) const fn net(&self) -> &HostNet {
        &self.net
    }

    pub(crate) const fn cgroups(&self) -> &Cgroups {
        &self.cgroups
    }

    /// To be called about every second.
    pub(crate) fn tick(&mut self) {
        if self.net_read.elapsed() >= ADDRESSES_INTERVAL {
            self.read_net();
        }
        let now_ms = self.now_ms();
        self.cgroups.expire(now_ms);
    }

    fn scan(&mut self) {
        let Some(root) = &self.cgroup_root else { return };
        let before_ms = self.now_ms();
        let scan = scan_cgroups(root.path(), CGROUPS_MAX);
        let now_ms = self.now_ms();
        self.cgroups.take(scan, now_ms, now_ms - before_ms);
    }

    fn read_net(&mut self) {
        self.net_read = Instant::now();
        match HostNet::read() {
            Ok(net) => self.net = net,
            Err(error) => {
                tracing::warn!(%error, "cannot read the host's addresses; the last known ones stay");
            }
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
