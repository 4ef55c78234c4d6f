use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use watchfire_ledger::{
    Families, Filter, Ledger, LedgerConfig, Retention, Search, SearchQuery, SegmentLimits,
};
use watchfire_sql::arrow::array::RecordBatch;
use watchfire_sql::arrow::util::display::{ArrayFormatter, FormatOptions};
use watchfire_sql::{Options, Session, SqlError};

use crate::made::{Dice, line};

/// A folder in memory where there is one: what is tried out here is not whether a disk can sync.
pub(crate) fn folder() -> TempDir {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() { TempDir::new_in(shared_memory) } else { TempDir::new() }.unwrap()
}

/// Nothing is removed: the records are old.
pub(crate) const EVERYTHING: Retention =
    Retention { bytes_max: None, age_max: None, findings_age_max: None, free_bytes_min: None };

pub(crate) fn open(dir: &Path, segment_bytes: u64, retention: Retention) -> Ledger {
    let mut config = LedgerConfig::new(dir, "node-1", "test");
    config.segment = SegmentLimits { bytes_max: segment_bytes, ..SegmentLimits::default() };
    config.retention = retention;
    Ledger::open(config).unwrap().0
}

/// Appends records `from..to` in frames of different size.
pub(crate) fn fill(ledger: &mut Ledger, dice: &mut Dice, from: u64, to: u64) {
    let lines: Vec<String> = (from..to).map(|n| line(dice, n)).collect();
    let mut rest = lines.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at((1 + dice.below(50) as usize).min(rest.len()));
        ledger.append(now).1.unwrap();
        rest = later;
    }
}

/// Waits for everything that was to be sealed.
pub(crate) fn close(ledger: Ledger) {
    assert!(ledger.close(Duration::from_secs(60)).unwrap());
}

/// A ledger of so many records, some of them sealed and some in the log.
pub(crate) fn ledger(seed: u64, records: u64, segment_bytes: u64) -> TempDir {
    let dir = folder();
    let mut ledger = open(dir.path(), segment_bytes, EVERYTHING);
    fill(&mut ledger, &mut Dice::new(seed), 0, records);
    close(ledger);
    dir
}

pub(crate) fn session(dir: &Path) -> Session {
    Session::open(dir, &Options::default()).unwrap()
}

/// The values of an answer as texts; NULL is empty.
pub(crate) fn rows(session: &Session, sql: &str) -> Result<Vec<Vec<String>>, SqlError> {
    let mut rows = Vec::new();
    for batch in session.ask(sql)? {
        rows.extend(texts(&batch?));
    }
    Ok(rows)
}

fn texts(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new();
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|array| ArrayFormatter::try_new(array, &options).unwrap()).collect();
    let rows = 0..batch.num_rows();
    rows.map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect()
}

/// The only value of an answer.
pub(crate) fn value(session: &Session, sql: &str) -> String {
    let rows = rows(session, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!((rows.len(), rows.first().map(Vec::len)), (1, Some(1)), "{sql}: {rows:?}");
    rows[0][0].clone()
}

/// What a search finds, as records.
pub(crate) fn found(dir: &Path, families: Families, filter: &str) -> Vec<String> {
    let filter = Filter::parse(filter).unwrap();
    let search = Search::open(dir, SearchQuery { families, filter, ..SearchQuery::default() }).unwrap();
    search.map(|found| String::from_utf8(found.unwrap().line.to_vec()).unwrap()).collect()
}

/// The last record batch has only valid values, so that a test may look at types.
pub(crate) fn types(session: &Session, sql: &str) -> Vec<String> {
    let answer = session.ask(sql).unwrap();
    answer.schema().fields().iter().map(|field| field.data_type().to_string()).collect()
}
