//! Users, groups and capabilities.

use agent_common::{HANDLER_CREDENTIALS, Operation};

use super::{Hook, Probe, Rung, SYS_EXIT_HOOK};

pub(super) const PROBES: [Probe; 2] = [
    Probe {
        name: "credentials",
        purpose: "processes that change their users, groups and capabilities",
        wanted: |options| options.families.credentials,
        structs: &[],
        rungs: &[
            Rung {
                hook: "fentry/commit_creds",
                programs: &[("credentials_commit", Hook::FEntry("commit_creds"))],
            },
            Rung {
                hook: SYS_EXIT_HOOK,
                programs: &[(
                    "credentials_syscall",
                    Hook::SysExit(
                        HANDLER_CREDENTIALS,
                        &[Operation::SETUID, Operation::SETGID, Operation::SETGROUPS, Operation::CAPSET],
                    ),
                )],
            },
        ],
    },
    Probe {
        name: "capability",
        purpose: "the use of dangerous capabilities",
        wanted: |options| options.families.capability && options.capabilities != 0,
        structs: &[],
        rungs: &[
            Rung {
                hook: "fexit/security_capable",
                programs: &[("capability_fexit", Hook::FExit("security_capable"))],
            },
            Rung {
                hook: "tp_btf/cap_capable",
                programs: &[("capability_tracepoint", Hook::TpBtf("cap_capable"))],
            },
        ],
    },
];
