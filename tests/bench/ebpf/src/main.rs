//! Kernel programs of the designs that Watchfire is measured against: one file per design, each as good as the design
//! allows.
#![no_std]
#![no_main]

mod early_out;
mod flow_table;
mod frame;
mod packet_records;
mod tally;
mod wakeup_each;

/// The helpers that read kernel memory are for GPL-compatible programs.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: the verifier refuses a program in which this could be reached.
    unsafe { core::hint::unreachable_unchecked() }
}
