//! Workloads that do much of one thing.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::peer::tell;

/// Longest time that a storm goes on.
const STORM_MAX: Duration = Duration::from_secs(5);

/// Opens a file again and again as fast as it can, and prints how often.
pub(crate) fn open(path: &str, threads: usize, opens: usize) {
    again_and_again(threads, opens, || drop(File::open(path).expect("open the watched file")));
}

/// Asks for a root folder that is not there, again and again, and prints how often.
pub(crate) fn refused(threads: usize, calls: usize) {
    again_and_again(threads, calls, || {
        std::os::unix::fs::chroot("/nowhere").expect_err("there is no such folder");
    });
}

fn again_and_again(threads: usize, times: usize, call: impl Fn() + Sync) {
    let end = Instant::now() + STORM_MAX;
    let run = || {
        let mut done = 0;
        while done < times && Instant::now() < end {
            call();
            done += 1;
        }
        done
    };
    let total: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that only calls")).sum()
    });
    tell(&total.to_string());
}

/// Runs so many programs, and prints how many ended well.
pub(crate) fn execs(count: usize, each_second: usize, nonce: &str) {
    let start = Instant::now();
    let interval = Duration::from_secs(1) / u32::try_from(each_second).expect("a rate");
    let mut done = 0;
    for number in 0..count {
        let at = start + interval * u32::try_from(number).expect("a count");
        std::thread::park_timeout(at.saturating_duration_since(Instant::now()));
        let mut program = Command::new("/bin/sh");
        program.args(["-c", "exit 0", nonce]).stdin(Stdio::null()).stdout(Stdio::null());
        done += usize::from(program.status().is_ok_and(|status| status.success()));
    }
    tell(&done.to_string());
}
