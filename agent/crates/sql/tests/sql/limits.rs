//! Memory, and damage.

use std::fs;
use std::path::PathBuf;

use watchfire_sql::{MEMORY_BYTES_MIN, Options, Session, SqlError};

use crate::common::{EVERYTHING, close, fill, folder, ledger, open, rows, session, value};
use crate::made::Dice;

#[test]
fn a_query_that_needs_too_much_memory_says_so() {
    let dir = ledger(41, 3000, 400 * 1024);
    let options = Options { memory_bytes: MEMORY_BYTES_MIN, ..Options::default() };
    let session = Session::open(dir.path(), &options).unwrap();
    for sql in [
        "SELECT record, count(*) FROM flows GROUP BY record",
        "SELECT record FROM flows ORDER BY record",
        "SELECT count(*) FROM flows a JOIN flows b ON a.record = b.record",
    ] {
        match rows(&session, sql) {
            Err(error @ SqlError::Memory { limit: MEMORY_BYTES_MIN }) => {
                assert!(error.to_string().contains("1048576 bytes"), "{error}");
            }
            other => panic!("{sql}: {:?}", other.map(|rows| rows.len())),
        }
    }
    // The session goes on, and what is small is answered.
    let flows: u64 = value(&session, "SELECT count(*) FROM flows WHERE dst_port > 0").parse().unwrap();
    assert!(flows > 1000);
}

fn table(dir: &std::path::Path, segment: u64, name: &str) -> PathBuf {
    dir.join(format!("segments/{segment:012}/{name}.parquet"))
}

#[test]
fn a_damaged_table_is_named_and_the_others_are_answered_from() {
    let dir = ledger(42, 1000, 200 * 1024);
    let all: u64 = value(&session(dir.path()), "SELECT count(*) FROM flows").parse().unwrap();
    let path = table(dir.path(), 2, "flow");
    let good = fs::read(&path).unwrap();
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.clear(),
        |bytes| {
            let end = bytes.len();
            bytes[end - 1] ^= 1;
        },
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[4..middle].fill(0xa5);
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let mut bytes = good.clone();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let asked = session(dir.path());
        let found = rows(&asked, "SELECT * FROM flows").unwrap();
        assert!(found.len() as u64 > 0 && (found.len() as u64) < all, "{number}: {} of {all}", found.len());
        let damaged = asked.damaged();
        assert_eq!(damaged.len(), 1, "{number}: {damaged:?}");
        assert!(damaged[0].starts_with(&format!("{}: ", path.display())), "{number}: {damaged:?}");
        // The other tables are as they were.
        assert_ne!(value(&session(dir.path()), "SELECT count(*) FROM processes"), "0");
    }
    fs::write(&path, &good).unwrap();
    assert!(rows(&session(dir.path()), "SELECT * FROM flows").is_ok());
    assert!(Session::open(&dir.path().join("segments"), &Options::default()).is_err());
}

#[test]
fn a_damaged_end_of_the_log_is_told() {
    let dir = folder();
    let mut writing = open(dir.path(), 1 << 20, EVERYTHING);
    fill(&mut writing, &mut Dice::new(43), 0, 300);
    close(writing);
    let log = fs::read_dir(dir.path().join("wal")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 10]).unwrap();
    let session = session(dir.path());
    let flows: u64 = value(&session, "SELECT count(*) FROM flows").parse().unwrap();
    assert!(flows > 50);
    assert!(
        session.unreadable().iter().any(|what| what.contains("cannot be read")),
        "{:?}",
        session.unreadable()
    );
}
