//! Loading the kernel programs of a design and attaching them.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use aya::programs::{BtfTracePoint, SchedClassifier, TcAttachType};
use aya::{Btf, Ebpf, EbpfLoader};

use super::Design;
use crate::network::DEVICE;

/// Where `struct pt_regs` has the number of the call, and the number of `openat`.
const CALLS: Option<(u64, u64)> = if cfg!(target_arch = "x86_64") {
    // `orig_ax` (arch/x86/include/asm/ptrace.h); arch/x86/entry/syscalls/syscall_64.tbl.
    Some((120, 257))
} else if cfg!(target_arch = "aarch64") {
    // `syscallno` (arch/arm64/include/asm/ptrace.h); include/uapi/asm-generic/unistd.h.
    Some((280, 56))
} else {
    None
};

/// Loads and attaches. The programs stay as long as what is returned.
pub(super) fn load(design: Design, object: &Path) -> Result<Ebpf> {
    let Some((number, openat)) = CALLS else { bail!("the layout of this machine's registers is not known") };
    let mut programs = EbpfLoader::new()
        .override_global("CALL_NUMBER_OFFSET", &number, true)
        .override_global("EACH_NUMBER_OFFSET", &number, true)
        .override_global("EACH_OPENAT", &openat, true)
        .load_file(object)
        .with_context(|| format!("load {}", object.display()))?;
    match design {
        Design::EarlyOut => {
            tracepoints(&mut programs, &[("early_enter", "sys_enter"), ("early_exit", "sys_exit")])
        }
        Design::WakeupEach => tracepoints(
            &mut programs,
            &[
                ("each_fork", "task_newtask"),
                ("each_exec", "sched_process_exec"),
                ("each_exit", "sched_process_exit"),
                ("each_open", "sys_exit"),
            ],
        ),
        Design::PacketRecords => classifiers(&mut programs, "packet_in", "packet_out"),
        Design::FlowTable => classifiers(&mut programs, "flow_in", "flow_out"),
    }?;
    Ok(programs)
}

fn tracepoints(programs: &mut Ebpf, wanted: &[(&str, &str)]) -> Result<()> {
    let btf = Btf::from_sys_fs().context("read the kernel's BTF")?;
    for (name, tracepoint) in wanted {
        let program: &mut BtfTracePoint =
            programs.program_mut(name).context("the object has it")?.try_into()?;
        program.load(tracepoint, &btf).with_context(|| format!("load {name}"))?;
        program.attach().with_context(|| format!("attach {name}"))?;
    }
    Ok(())
}

fn classifiers(programs: &mut Ebpf, ingress: &str, egress: &str) -> Result<()> {
    for (name, direction) in [(ingress, TcAttachType::Ingress), (egress, TcAttachType::Egress)] {
        let program: &mut SchedClassifier =
            programs.program_mut(name).context("the object has it")?.try_into()?;
        program.load().with_context(|| format!("load {name}"))?;
        program.attach(DEVICE, direction).with_context(|| format!("attach {name} to {DEVICE}"))?;
    }
    Ok(())
}
