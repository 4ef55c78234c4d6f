//! Which system calls do what, by number.
//!
//! Numbers of the running architecture come from the C library's headers; those of the 32-bit interface of x86 are
//! arch/x86/entry/syscalls/syscall_32.tbl.

mod credentials;
mod file;
mod others;
mod reserving;

use agent_common::{NO_ARGUMENT, Operation, SYSCALL_NUMBERS, Syscall};

pub(crate) use reserving::{reserving, reserving_compat};

/// A system call of one table: its number there, and what it does.
pub(crate) type Numbered = (u32, Syscall);

/// No such system call on this architecture.
const ABSENT: i64 = -1;

/// One system call with its numbers.
#[derive(Clone)]
struct Row {
    native: i64,
    compat: i64,
    entry: Syscall,
}

/// Name of the function that enters a system call (`SYSCALL_DEFINE`, arch/*/include/asm/syscall_wrapper.h).
pub(crate) fn wrapper(name: &str) -> String {
    let prefix = if cfg!(target_arch = "aarch64") { "__arm64_sys_" } else { "__x64_sys_" };
    format!("{prefix}{name}")
}

/// The table of the programs that tell of operations, those of the 32-bit interface after the native ones.
pub(crate) fn table(handed_over: &[(u16, &[Operation])]) -> Vec<Numbered> {
    let mut table = Vec::new();
    for row in rows() {
        let wanted = handed_over.iter().any(|(handler, operations)| {
            *handler == row.entry.handler && operations.contains(&row.entry.operation)
        });
        if !wanted {
            continue;
        }
        let known =
            |number: i64| u32::try_from(number).ok().filter(|&number| number < SYSCALL_NUMBERS as u32);
        table.extend(known(row.native).map(|number| (number, row.entry)));
        if cfg!(target_arch = "x86_64") {
            let compat = known(row.compat).map(|number| (number + SYSCALL_NUMBERS as u32, row.entry));
            table.extend(compat);
        }
    }
    table
}

fn rows() -> Vec<Row> {
    [file::rows(), credentials::rows(), others::rows()].concat()
}

/// An entry without arguments.
const fn entry(operation: Operation, handler: u16) -> Syscall {
    Syscall {
        operation,
        handler,
        path: NO_ARGUMENT,
        folder: NO_ARGUMENT,
        other: NO_ARGUMENT,
        other_folder: NO_ARGUMENT,
        file: NO_ARGUMENT,
        flags: NO_ARGUMENT,
        value: NO_ARGUMENT,
        group: NO_ARGUMENT,
        name: NO_ARGUMENT,
        how: 0,
        reserved: [0; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_stands_once() {
        let mut numbers: Vec<i64> =
            rows().iter().map(|row| row.native).filter(|&number| number != ABSENT).collect();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all);
        let mut compat: Vec<i64> =
            rows().iter().map(|row| row.compat).filter(|&number| number != ABSENT).collect();
        let all = compat.len();
        compat.sort_unstable();
        compat.dedup();
        assert_eq!(compat.len(), all);
    }

    #[test]
    fn only_what_is_asked_for_is_in_the_table() {
        assert!(table(&[]).is_empty());
        let opens = table(&[(agent_common::HANDLER_FILE, &[Operation::OPEN])]);
        assert!(opens.iter().all(|(_, entry)| entry.operation == Operation::OPEN));
        assert!(opens.iter().any(|(number, _)| i64::from(*number) == libc::SYS_openat));
    }
}
