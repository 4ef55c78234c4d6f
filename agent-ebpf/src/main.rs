//! Watchfire's kernel programs: one file per event family.
#![no_std]
#![no_main]
#![cfg_attr(
    target_arch = "bpf",
    expect(unstable_features, reason = "the verifier's masks are inline assembly"),
    feature(asm_experimental_arch)
)]

mod account;
mod capability;
mod cgroup;
mod credentials;
mod datagram;
mod dropped;
mod endpoint;
mod event;
mod exec;
mod fd;
mod file;
mod filter;
mod hooks;
mod kernel_code;
mod limit;
mod listen;
mod maps;
mod memory;
mod namespace;
mod owner;
mod packet;
mod path;
mod payload;
mod process;
mod ring;
mod room;
mod settings;
mod signal;
mod sock;
mod stdio;
mod syscall;
mod task;
mod tcp;
mod tcp_sock;

/// The helpers that read kernel memory are for GPL-compatible programs.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: the verifier refuses a program in which this could be reached.
    unsafe { core::hint::unreachable_unchecked() }
}
