//! A process that records and ships, killed at random moments: the store ends up with everything that was sealed, once.
#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

#[path = "ship/common.rs"]
mod common;
#[path = "../../ledger/tests/ledger/made.rs"]
mod made;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use libtest_mimic::{Arguments, Trial};
use object_store::local::LocalFileSystem;
use watchfire_ledger::SealedSegment;
use watchfire_ship::{Store, StoreOptions, Target};

use common::{assert_none_is_half, fetched, fill, folder, intact, objects, shipper};
use made::Dice;

/// Set for the process that is killed.
const CHILD_DIR: &str = "WATCHFIRE_SHIP_KILL_DIR";
const KILLS: u64 = 25;

fn main() {
    if let Ok(dir) = env::var(CHILD_DIR) {
        child(Path::new(&dir));
        return;
    }
    let trial = Trial::test("kill_nine_while_segments_are_shipped", || {
        killed_again_and_again();
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
}

fn store(dir: &Path) -> Store {
    std::fs::create_dir_all(dir.join("bucket")).unwrap();
    let target: Target = format!("file://{}", dir.join("bucket").display()).parse().unwrap();
    target.open(&StoreOptions::default()).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Ships what is there, and says so after each segment.
fn child(dir: &Path) {
    let (mut shipper, _ledger) = shipper(&dir.join("ledger"), "node-1", &store(dir));
    println!("begun");
    block_on(shipper.ship_all()).unwrap();
    println!("done");
}

fn killed_again_and_again() {
    let dir = folder();
    let ledger = dir.path().join("ledger");
    let bucket = dir.path().join("bucket");
    let mut dice = Dice::new(KILLS);
    let (mut sealed, mut unfinished) = (0, 0);
    for _ in 0..KILLS {
        sealed += fill(&ledger, "node-1", 3, 120);
        let mut child = Command::new(env::current_exe().unwrap())
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "begun");
        thread::park_timeout(Duration::from_micros(dice.below(40_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        unfinished += u64::from(lines.next().is_none());
        let names = block_on(objects(&LocalFileSystem::new_with_prefix(&bucket).unwrap()));
        assert_none_is_half(&ledger, &names);
    }
    assert!(unfinished > 0, "no kill came in time");
    let (mut last, open) = shipper(&ledger, "node-1", &store(dir.path()));
    block_on(last.ship_all()).unwrap();
    assert_eq!(last.stats().conflicts.get(), 0);
    drop((last, open));
    let segments = SealedSegment::numbers(&ledger).unwrap();
    let names = block_on(objects(&LocalFileSystem::new_with_prefix(&bucket).unwrap()));
    assert_eq!(assert_none_is_half(&ledger, &names), segments.len() as u64);
    let tables: usize = segments
        .iter()
        .map(|number| SealedSegment::read(&ledger, *number).unwrap().unwrap().tables().count())
        .sum();
    assert_eq!(names.keys().filter(|name| name.ends_with(".parquet")).count(), tables);
    let found = block_on(fetched(&store(dir.path()), "node-1", &dir.path().join("bundle")));
    assert_eq!((found.records, found.head), (sealed, intact(&ledger).head));
}
