//! What is taken away verifies wherever it is.

use std::fs;

use watchfire_ledger::{BundleQuery, Filter, Search, SearchQuery, Verdict, export, verify};
use watchfire_model::WallTime;

use crate::common::{close, fill, folder, found, intact, open};
use crate::made::{Dice, START_NS};

#[test]
fn a_bundle_verifies_alone_and_tells_the_same() {
    let (dir, away) = (folder(), folder());
    let mut ledger = open(dir.path(), 150 * 1024);
    fill(&mut ledger, &mut Dice::new(6), 0, 1500);
    let at = |n: i64| Some(WallTime(START_NS + n * 1_000_000));
    let cases = [
        (at(500), at(800), "pod = shop/web-3"),
        (at(1400), None, ""),
        (None, at(100), "verdict = denied"),
        (None, None, ""),
    ];
    for (number, (since, until, filter)) in cases.into_iter().enumerate() {
        let filter = Filter::parse(filter).unwrap();
        let search = SearchQuery { filter, since, until, ..SearchQuery::default() };
        let expected = found(dir.path(), search.clone());
        let bundle = away.path().join(number.to_string());
        let query = BundleQuery { search: search.clone(), agent_version: "test".to_owned() };
        // While the ledger is written to.
        let made = export(dir.path(), &bundle, &query).unwrap();
        assert_eq!(made.records, expected.len() as u64);
        assert!(!expected.is_empty());
        assert_eq!(found(&bundle, search), expected, "{number}");
        let records = fs::read_to_string(bundle.join("records.jsonl")).unwrap();
        assert!(records.lines().eq(expected.iter()), "{number}");
        let intact = intact(&bundle);
        assert!(intact.notes.iter().any(|note| note.starts_with("a bundle of")), "{intact:?}");
        assert!(intact.records >= made.records);

        let path = bundle.join("records.jsonl");
        fs::write(&path, records.replacen("shop", "shep", 1)).unwrap();
        assert!(matches!(verify(&bundle, None, &[]).unwrap(), Verdict::Broken(fault) if fault.path == path));
    }
    let all = Search::open(&away.path().join("3"), SearchQuery::default()).unwrap().count();
    assert_eq!(all, 1500);
    close(ledger);
}

#[test]
fn a_bundle_never_goes_into_a_folder_that_is_there() {
    let dir = folder();
    close(open(dir.path(), 1 << 20));
    let query = BundleQuery { search: SearchQuery::default(), agent_version: "test".to_owned() };
    assert!(export(dir.path(), dir.path(), &query).is_err());
}
