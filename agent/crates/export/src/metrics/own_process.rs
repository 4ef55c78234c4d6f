//! What the agent itself takes, by the names that Prometheus' own libraries give to it.

use std::fs;
use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustix::param::{clock_ticks_per_second, page_size};

/// Where cgroup v2 says how much memory the agent may have, seen from inside its container, and the same of v1.
const LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

#[derive(Debug)]
pub(super) struct ProcessMetrics {
    resident: Gauge,
    virtual_memory: Gauge,
    cpu_seconds: Counter<f64, std::sync::atomic::AtomicU64>,
    descriptors: Gauge,
    threads: Gauge,
    limit: Gauge,
}

impl ProcessMetrics {
    /// `plain` is the registry whose names have no prefix.
    pub(super) fn register(plain: &mut Registry, own: &mut Registry) -> Self {
        let metrics = Self {
            resident: Gauge::default(),
            virtual_memory: Gauge::default(),
            cpu_seconds: Counter::default(),
            descriptors: Gauge::default(),
            threads: Gauge::default(),
            limit: Gauge::default(),
        };
        let Self { resident, virtual_memory, cpu_seconds, descriptors, threads, limit } = &metrics;
        plain.register("process_resident_memory_bytes", "Resident memory size in bytes", resident.clone());
        plain.register(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes",
            virtual_memory.clone(),
        );
        plain.register(
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds",
            cpu_seconds.clone(),
        );
        plain.register("process_open_fds", "Number of open file descriptors", descriptors.clone());
        plain.register("process_threads", "Number of OS threads in the process", threads.clone());
        own.register(
            "memory_limit_bytes",
            "What the agent's cgroup may take of memory; 0 where there is no limit",
            limit.clone(),
        );
        metrics.look();
        metrics
    }

    /// Reads /proc/self. What cannot be read stays as it was.
    pub(super) fn look(&self) {
        // proc_pid_stat(5): after the name in parentheses come state (3), …, utime (14), stime (15), …,
        // num_threads (20), …, vsize (23), rss in pages (24).
        if let Ok(stat) = fs::read_to_string("/proc/self/stat")
            && let Some((_, fields)) = stat.rsplit_once(')')
        {
            let fields: Vec<&str> = fields.split_whitespace().collect();
            let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
            if let (Some(user), Some(system)) = (field(14), field(15)) {
                let seconds = (user + system) as f64 / clock_ticks_per_second() as f64;
                // The bits of floats from 0 on are in the order of their values.
                self.cpu_seconds.inner().fetch_max(seconds.to_bits(), Ordering::Relaxed);
            }
            let set = |gauge: &Gauge, value: Option<u64>| {
                if let Some(value) = value {
                    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
                }
            };
            set(&self.threads, field(20));
            set(&self.virtual_memory, field(23));
            set(&self.resident, field(24).map(|pages| pages * page_size() as u64));
        }
        if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
            // One is that of the look itself.
            super::set(&self.descriptors, descriptors.count().saturating_sub(1));
        }
        // `max`, and what v1 says for it, are no limit.
        let limit = LIMITS.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<i64>().ok());
        self.limit.set(limit.filter(|limit| *limit < 1 << 60).unwrap_or(0));
    }
}
