//! Which hook the kernel gave each probe of the agent.

use serde::Serialize;

use crate::metrics::Samples;

const METRIC: &str = "watchfire_probe_info";

/// A probe as the agent has attached it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub(crate) struct Probe {
    pub(crate) name: String,
    /// Position in its attach ladder, 1 is best; 0 where the kernel refused every rung.
    pub(crate) rung: u8,
    pub(crate) hook: String,
}

impl Probe {
    /// All of them, by name.
    pub(crate) fn all(samples: &Samples) -> Vec<Self> {
        let probe = |[name, rung, hook]: [&str; 3]| {
            Some(Self { name: name.to_owned(), rung: rung.parse().ok()?, hook: hook.to_owned() })
        };
        let mut probes: Vec<Self> = samples
            .labelled(METRIC, ["probe", "rung", "hook"])
            .filter_map(|(labels, _)| probe(labels))
            .collect();
        probes.sort();
        probes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attached_and_refused() {
        let samples = Samples::of(
            "watchfire_probe_info{probe=\"file\",hook=\"\",rung=\"0\"} 0\n\
             watchfire_probe_info{probe=\"exec\",hook=\"tp_btf/sched_process_exec\",rung=\"1\"} 1\n",
        );
        let probe = |name: &str, rung, hook: &str| Probe { name: name.into(), rung, hook: hook.into() };
        assert_eq!(
            Probe::all(&samples),
            [probe("exec", 1, "tp_btf/sched_process_exec"), probe("file", 0, "")]
        );
    }
}
