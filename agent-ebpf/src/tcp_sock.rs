//! TCP sockets where no socket program is asked: how connections go that do not end, and the end of those that are older
//! than the programs. Their facts are read from the kernel's own `tcp_sock`.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use agent_common::{CONNECTION_FOUND, Kind, SocketState, TcpRecord};
use aya_ebpf::bindings::seq_file;
use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_seq_write, bpf_sock_from_file};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::account::{Count, count};
use crate::maps::socket_state;
use crate::owner::write_owner;
use crate::ring::{reserve, submit};
use crate::settings::{UPDATE_AGE_NS, field, load, offset};
use crate::sock::Socket;
use crate::tcp::{TCP_CLOSE, TCP_CLOSE_WAIT, TCP_FIN_WAIT2, fin_flags, is_fin_received, net_ns, tcp_sock};

/// See [`TCP_CLOSE`].
const TCP_ESTABLISHED: u32 = 1;
const TCP_FIN_WAIT1: u32 = 4;
/// Where `struct minmax` has the value of its first sample, which is the minimum (include/linux/win_minmax.h).
const MINIMUM: usize = 4;

/// `struct bpf_iter__bpf_sk_storage_map` of net/core/bpf_sk_storage.c.
#[repr(C)]
pub(crate) struct Visit {
    /// `struct bpf_iter_meta`, whose first member is the file that is written to.
    meta: *const *mut seq_file,
    map: *const c_void,
    sock: *mut c_void,
    state: *mut SocketState,
}

/// `struct bpf_iter__task_file` of kernel/bpf/task_iter.c.
#[repr(C)]
pub(crate) struct FileVisit {
    meta: *const *mut seq_file,
    task: *const c_void,
    descriptor: u32,
    file: *mut c_void,
}

/// Every socket with a state, in whatever network namespace, when the agent reads the iterator: what moved since it was told
/// last is written as a [`TcpRecord`].
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
pub(crate) extern "C" fn tcp_sweep(visit: *const Visit) -> i32 {
    // SAFETY: the program's context; the last visit has no socket.
    let (sock, state) = unsafe { ((*visit).sock, (*visit).state) };
    if !sock.is_null() && !state.is_null() {
        // SAFETY: as above; there always is a file to write to.
        unsafe { update(*(*visit).meta, sock, state) };
    }
    0
}

/// Every open file of every process, when the agent reads the iterator. It holds the files that it visits, and so the sockets
/// behind them. One that several processes have was told at the first visit.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub(crate) extern "C" fn tcp_sweep_files(visit: *const FileVisit) -> i32 {
    // SAFETY: the program's context; the last visit has no file.
    unsafe {
        let file = (*visit).file;
        if file.is_null() {
            return 0;
        }
        let socket = bpf_sock_from_file(file.cast());
        if socket.is_null() {
            return 0;
        }
        let sock = field!(socket.cast::<u8>().cast_const(), socket_sk as *mut c_void);
        if !sock.is_null()
            && let Some(state) = socket_state(sock, false)
        {
            update(*(*visit).meta, sock, state);
        }
    }
    0
}

#[inline(always)]
fn update(seq: *mut seq_file, sock: *mut c_void, state: *mut SocketState) {
    let tcp = tcp_sock(sock);
    if tcp.is_null() {
        return;
    }
    let tcp_state = u32::from(field!(tcp, sock_state as u8));
    if !matches!(tcp_state, TCP_ESTABLISHED | TCP_FIN_WAIT1 | TCP_FIN_WAIT2 | TCP_CLOSE_WAIT) {
        return;
    }
    let acked = field!(tcp, tcp_bytes_acked as u64);
    let received = field!(tcp, tcp_bytes_received as u64);
    let retransmits = field!(tcp, tcp_retransmits as u32);
    // SAFETY: a helper call without arguments, and a state that is not null.
    let (now, moved, since) = unsafe {
        let moved = acked != (*state).told_acked
            || received != (*state).told_received
            || retransmits != (*state).told_retransmits;
        // Of one that was found nothing was told yet.
        let begun = if (*state).flags & CONNECTION_FOUND == 0 { (*state).opened_ns } else { 0 };
        let told = (*state).told_ns;
        (bpf_ktime_get_boot_ns(), moved, if told == 0 { begun } else { told })
    };
    if !moved || now.wrapping_sub(since) < UPDATE_AGE_NS.load() {
        return;
    }
    let mut record = MaybeUninit::<TcpRecord>::uninit();
    let flags = fin_flags(tcp_state, 0, is_fin_received(tcp));
    // SAFETY: room for a record, every byte of which is written; a state that is not null.
    let refused = unsafe {
        fill(record.as_mut_ptr(), Kind::TCP_OPEN, tcp, state, (flags, tcp_state, 0));
        bpf_seq_write(seq, record.as_ptr().cast(), size_of::<TcpRecord>() as u32)
    };
    // Where the file is full, the kernel comes again with the same socket.
    if refused != 0 {
        return;
    }
    // SAFETY: as above.
    unsafe {
        (*state).told_ns = now;
        (*state).told_acked = acked;
        (*state).told_received = received;
        (*state).told_retransmits = retransmits;
    }
}

/// The end of a connection that is older than the programs: no `sock_ops` program was there to ask for it. Those that one
/// is asked about all the same, since an agent before this one wanted it, are not marked any more when this is called
/// (net/ipv4/tcp.c, `tcp_set_state`).
///
/// proto: `void inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn tcp_older_end(ctx: BtfTracePointContext) -> i32 {
    if ctx.arg::<u32>(2) != TCP_CLOSE {
        return 0;
    }
    let sock = ctx.arg::<*mut c_void>(0);
    let Some(state) = socket_state(sock, false) else { return 0 };
    if state.flags & CONNECTION_FOUND == 0 {
        return 0;
    }
    let tcp = tcp_sock(sock);
    if tcp.is_null() {
        return 0;
    }
    count(Kind::TCP_CLOSE, Count::Seen);
    if let Some(record) = reserve::<TcpRecord>(Kind::TCP_CLOSE, state.cgroup_id) {
        let old_state = ctx.arg::<u32>(1);
        let error = field!(tcp, sock_err as u32);
        let flags = fin_flags(old_state, error, is_fin_received(tcp));
        // SAFETY: room for a record.
        unsafe { fill(record, Kind::TCP_CLOSE, tcp, state, (flags, old_state, error)) };
        submit(Kind::TCP_CLOSE, record);
    }
    state.flags &= !CONNECTION_FOUND;
    0
}

/// Writes a record of what the kernel keeps of a socket, with flags, state and error.
///
/// # Safety
/// There is room for a record, and there is a state.
#[inline(always)]
unsafe fn fill(
    record: *mut TcpRecord,
    kind: Kind,
    tcp: *const u8,
    state: *const SocketState,
    (flags, tcp_state, error): (u32, u32, u32),
) {
    let socket = Socket::of_sock(tcp);
    let (local, remote) = (socket.local(), socket.remote());
    // SAFETY: as promised; addresses lie at a multiple of 8.
    unsafe {
        write_owner(record.cast(), kind, size_of::<TcpRecord>() as u32, &*state);
        (*record).header.net_ns = net_ns(tcp, (*state).net_ns);
        (*record).cookie = field!(tcp, sock_cookie as u64);
        (*record).opened_ns = (*state).opened_ns;
        (&raw mut (*record).local).cast::<[u32; 4]>().write(local.words);
        (&raw mut (*record).remote).cast::<[u32; 4]>().write(remote.words);
        // The number that is kept in host byte order is 0 once the port is given back, which is before the end is told.
        (*record).local_port = u16::from_be(field!(tcp, inet_source_port as u16));
        (*record).remote_port = remote.port;
        (*record).flags = (*state).tcp_flags | flags;
        (*record).owner_flags = (*state).flags;
        (*record).old_state = tcp_state;
        (*record).error = error;
        (*record).retransmits = field!(tcp, tcp_retransmits as u32);
        (*record).bytes_acked = field!(tcp, tcp_bytes_acked as u64);
        (*record).bytes_received = field!(tcp, tcp_bytes_received as u64);
        (*record).segments_out = field!(tcp, tcp_segments_out as u32);
        (*record).segments_in = field!(tcp, tcp_segments_in as u32);
        (*record).srtt_us_8 = field!(tcp, tcp_srtt as u32);
        (*record).min_rtt_us = load::<u32>(tcp, offset!(tcp_min_rtt) + MINIMUM);
        (*record).handshake_ns = (*state).handshake_ns;
    }
}
