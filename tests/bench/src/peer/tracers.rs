//! bpftrace, with programs of one line, and the tools of bcc.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::Mark;
use super::probe::FILES;
use super::tool::Tool;
use crate::workload::Workload;

/// Pages of the ring between bpftrace's programs and itself: 64 MiB.
const RING_PAGES: u32 = 16_384;

/// What the tools of bcc are called in Debian's package.
const EXECSNOOP: &str = "/usr/sbin/execsnoop-libbpf";
const OPENSNOOP: &str = "/usr/sbin/opensnoop-libbpf";
/// Tells of both ends of a connection when it is closed. Its neighbour tcpconnect needs kprobes.
const TCPLIFE: &str = "/usr/sbin/tcplife-libbpf";

/// The command for a workload.
pub(super) fn bpftrace(workload: Workload, watched: &Path) -> Result<Vec<String>> {
    let program = match workload {
        Workload::Exec => "tracepoint:sched:sched_process_exec {
            $mm = curtask->mm;
            printf(\"exec %d %s %r\\n\", pid, comm, buf(uptr($mm->arg_start), $mm->arg_end - $mm->arg_start));
        }"
        .to_owned(),
        Workload::Open => {
            let watched = watched.to_str().context("temporary folders are named in UTF-8")?;
            let folder = watched.rsplit_once('/').map_or("", |(folder, _)| folder);
            let prefix = format!("{folder}/{FILES}");
            format!(
                "tracepoint:syscalls:sys_enter_openat
                /strncmp(str(args.filename, {}), \"{prefix}\", {}) == 0/ {{
                    printf(\"open %d %s %s\\n\", pid, comm, str(args.filename, {}));
                }}",
                prefix.len() + 1,
                prefix.len(),
                watched.len().next_multiple_of(64),
            )
        }
        // 7 is TCP_CLOSE, 10 TCP_LISTEN (include/net/tcp_states.h): a listener that is closed is no connection.
        _ => "tracepoint:sock:inet_sock_set_state /args.newstate == 7 && args.oldstate != 10/ {
            printf(\"close %d %s %s:%d. > %s:%d.\\n\", pid, comm,
                ntop(args.saddr), args.sport, ntop(args.daddr), args.dport);
        }"
        .to_owned(),
    };
    let program = format!("config = {{ perf_rb_pages = {RING_PAGES}; max_strlen = 200 }} {program}");
    Ok(["/usr/bin/bpftrace", "-q", "-B", "full", "-e", &program].map(str::to_owned).to_vec())
}

/// What bpftrace's lines contain.
pub(super) fn bpftrace_texts(workload: Workload, mark: Mark<'_>) -> Option<Box<[String]>> {
    Some(match workload {
        // Arguments as they lie in memory; bytes that are no text are printed as `\x00`.
        Workload::Exec => Box::new(["exec ".to_owned(), format!("nothing\\x00{}\\x00", mark.tag)]),
        Workload::Open => Box::new(["open ".to_owned(), mark.path.to_owned()]),
        Workload::Connect => Box::new(["close ".to_owned(), format!("127.0.0.1:{}.", mark.port)]),
        Workload::Getppid | Workload::Stream | Workload::Datagram => return None,
    })
}

/// The command for a workload. These tools have buffers of one size, and no filter by path.
pub(super) fn bcc(workload: Workload) -> Option<Vec<String>> {
    let tool = match workload {
        Workload::Exec => EXECSNOOP,
        Workload::Open => OPENSNOOP,
        Workload::Connect => TCPLIFE,
        Workload::Getppid | Workload::Stream | Workload::Datagram => return None,
    };
    Some(vec![tool.to_owned()])
}

/// What their lines contain.
pub(super) fn bcc_texts(workload: Workload, mark: Mark<'_>) -> Option<Box<[String]>> {
    Some(match workload {
        Workload::Exec => Box::new([format!(" nothing {}", mark.tag)]),
        Workload::Open => Box::new([mark.path.to_owned()]),
        Workload::Connect => Box::new([format!("{:<15} {:<5} ", "127.0.0.1", mark.port)]),
        Workload::Getppid | Workload::Stream | Workload::Datagram => return None,
    })
}

/// What a tracer says was lost.
pub(super) fn lost(tool: &Tool) -> Result<u64> {
    let output = std::fs::read(tool.output()).context("read what a peer printed")?;
    let output = String::from_utf8_lossy(&output);
    Ok(lost_of(&output).max(lost_of(&tool.errors())))
}

/// All that lines like `Lost 12 events on CPU #1!` tell of.
fn lost_of(text: &str) -> u64 {
    let number = |line: &str| {
        let rest = line.strip_prefix("Lost ").or_else(|| line.strip_prefix("lost "))?;
        rest.split_once(" events")?.0.parse::<u64>().ok()
    };
    text.lines().filter_map(number).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_summed() {
        let text =
            "Lost 12 events on CPU #1!\n1 cat lost 7 events\nlost 30 events on CPU #0\nLost 5 events\n";
        assert_eq!(lost_of(text), 47);
        assert_eq!(lost_of("open 1 lost nothing"), 0);
    }
}
