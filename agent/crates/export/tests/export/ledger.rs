//! The ledger as a way out.

use std::time::Duration;

use watchfire_export::{LedgerSink, Metrics};
use watchfire_ledger::{LedgerConfig, Search, SearchQuery, Verdict, verify};

use crate::common::{PATIENCE, eventually, numbered};

#[test]
fn a_log_that_is_old_enough_is_sealed_though_nothing_more_comes() {
    let dir = tempfile::tempdir().unwrap();
    let counters = Metrics::new("", "").sink("ledger");
    let mut config = LedgerConfig::new(dir.path(), "node-1", "test");
    config.segment.age_max = Duration::from_millis(300);
    config.retention.free_bytes_min = None;
    config.retention.age_max = None;
    let sink = LedgerSink::start(config, counters.clone()).unwrap();
    for first in [0, 5] {
        sink.send(&mut numbered(first, 5));
        eventually("the records are sealed", || {
            sink.facts().opened().unwrap().stats.sealed.get() == 1 + first / 5
        });
    }
    assert_eq!(counters.written(), 10);
    assert!(sink.stop(PATIENCE));
    let found = Search::open(dir.path(), SearchQuery::default()).unwrap().count();
    assert_eq!(found, 10);
    assert!(matches!(verify(dir.path(), None, &[]).unwrap(), Verdict::Intact(_)));
}
