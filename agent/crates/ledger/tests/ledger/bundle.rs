//! What is taken away verifies wherever it is.

use std::fs;
use std::path::Path;

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
        let query = BundleQuery { search: search.clone(), agent_version: "test".to_owned(), key: None };
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
    let query = BundleQuery { search: SearchQuery::default(), agent_version: "test".to_owned(), key: None };
    assert!(export(dir.path(), dir.path(), &query).is_err());
}

/// What a bundle says of itself is signed where the key is, and said not to be where it is not.
#[test]
fn a_bundle_is_signed_by_who_has_the_key() {
    let (dir, away) = (folder(), folder());
    let mut ledger = open(dir.path(), 1 << 20);
    fill(&mut ledger, &mut Dice::new(6), 0, 30);
    ledger.rotate().unwrap();
    fill(&mut ledger, &mut Dice::new(7), 30, 40);
    close(ledger);
    let (first, second) = (away.path().join("first"), away.path().join("second"));
    let query = |key| BundleQuery { search: SearchQuery::default(), agent_version: "test".to_owned(), key };
    assert!(export(dir.path(), &first, &query(None)).unwrap().signed);
    let noted = |dir: &Path, what: &str| intact(dir).notes.iter().any(|note| note.contains(what));
    assert!(noted(&first, "signed with the node's key"));
    assert_eq!((intact(&first).records, intact(&first).unsigned_frames), (40, 0));

    assert!(!export(&first, &second, &query(None)).unwrap().signed);
    assert!(noted(&second, "not signed"));
    let third = away.path().join("third");
    assert!(export(&first, &third, &query(Some(dir.path().join("node.key")))).unwrap().signed);
    assert!(noted(&third, "signed with the node's key"));

    let said = first.join("bundle.json");
    let text = fs::read_to_string(&said).unwrap();
    fs::write(&said, text.replace("\"records\": 40", "\"records\": 41")).unwrap();
    let is_broken =
        |dir: &Path| matches!(verify(dir, None, &[]).unwrap(), Verdict::Broken(fault) if fault.path == said);
    assert!(is_broken(&first));
    fs::write(&said, text).unwrap();
    fs::remove_file(first.join("bundle.json.sig")).unwrap();
    assert!(is_broken(&first));

    let other = folder();
    close(open(other.path(), 1 << 20));
    let error = export(dir.path(), &away.path().join("4"), &query(Some(other.path().join("node.key"))));
    assert!(error.unwrap_err().to_string().ends_with("it is not the key that this ledger is signed with"));
    let error = export(dir.path(), &away.path().join("4"), &query(Some(other.path().join("none"))));
    assert!(error.unwrap_err().to_string().ends_with("there is no such file"));
    assert!(!away.path().join("4").exists());
}
