//! Families that are switched off, and what that removes.

use std::collections::BTreeSet;

use serde_json::json;
use watchfire_tests::Agent;

use crate::actor::{Actor, args};
use crate::calls::*;
use crate::running::{FAMILIES, metric};
use crate::stage::{agent_of, hooks, stopped};

/// An agent with these families on, and no other.
fn agent_with_families(wanted: &[&str]) -> Agent {
    agent_of(wanted, &json!({"files": {"read": ["/dev/null"], "write": ["/dev/null"]}}))
}

fn probes(agent: &Agent) -> BTreeSet<String> {
    hooks(agent, "").into_iter().map(|(probe, _)| probe).collect()
}

/// One operation of each family, the signal to `agent`.
fn act(actor: &mut Actor, agent: &Agent) {
    actor.prepare(OPENAT, args![libc::AT_FDCWD, "/dev/null", libc::O_RDWR]);
    actor.prepare(MEMFD_CREATE, args!["watchfire", 0]);
    actor.prepare(UNSHARE, args![libc::CLONE_NEWNS]);
    let _ = actor.attempt(DELETE_MODULE, args!["watchfire_none", libc::O_NONBLOCK]);
    let socket = actor.prepare(SOCKET, args![libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP]);
    actor.prepare(KILL, args![agent.pid(), libc::SIGWINCH]);
    actor.prepare(DUP3, args![socket, 0, 0]);
    actor.prepare(SETRESUID, args![1000, 1000, 1000]);
}

pub(crate) fn off() {
    let mut agent = agent_with_families(&[]);
    let base = probes(&agent);
    for name in ["process-fork", "process-exec", "process-exit", "cgroup", "tcp"] {
        assert!(base.contains(name), "{name} is not among {base:?}");
    }
    assert!(!hooks(&agent, "").iter().any(|(_, hook)| hook == crate::stage::SYS_EXIT));
    let mut actor = Actor::start();
    act(&mut actor, &agent);
    for family in FAMILIES {
        assert_eq!(
            metric(&agent, &format!("watchfire_records_seen_total{{kind=\"{family}\"}}")),
            0,
            "{family}"
        );
    }
    let records = stopped(&mut agent);
    let told: Vec<_> =
        records.iter().filter(|record| FAMILIES.iter().any(|family| record["type"] == *family)).collect();
    assert!(told.is_empty(), "{told:?}");
}

pub(crate) fn one_at_a_time() {
    let base = probes(&agent_with_families(&[]));
    for family in FAMILIES {
        let mut agent = agent_with_families(&[family]);
        let own: Vec<String> = probes(&agent).difference(&base).cloned().collect();
        assert!(!own.is_empty(), "{family} has no probe");
        let mut actor = Actor::start();
        act(&mut actor, &agent);
        let records = stopped(&mut agent);
        let types: BTreeSet<&str> = (records.iter())
            .filter(|record| record["process"]["pid"] == actor.pid())
            .filter_map(|record| record["type"].as_str())
            .collect();
        assert_eq!(types, BTreeSet::from(["process", family]), "{family} alone, by {own:?}");
    }
}
