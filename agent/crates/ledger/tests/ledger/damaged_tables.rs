//! Tables that are not as they were sealed: told by name, and everything else is found.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter, RowGroupMetaData,
};
use serde_json::Value;
use watchfire_ledger::{
    BundleQuery, ChainHash, Column, Families, Family, Ledger, OpenPiece, Scan, Search, SearchQuery, Verdict,
    export, verify,
};

use crate::common::{close, config, folder, open};

/// Three segments, each with a flow and an event.
fn three_segments() -> tempfile::TempDir {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    for n in 1..=3 {
        for of in ["flow", "file"] {
            ledger.append(&[format!("{{\"type\":\"{of}\",\"n\":{n},\"path\":\"/etc/shadow\"}}")]).1.unwrap();
        }
        ledger.rotate().unwrap();
    }
    close(ledger);
    dir
}

fn second(dir: &Path) -> PathBuf {
    dir.join("segments/000000000002")
}

/// How many records a search finds, and what it says is damaged.
fn searched(dir: &Path) -> (usize, Vec<String>) {
    found_of(dir, SearchQuery::default())
}

fn found_of(dir: &Path, query: SearchQuery) -> (usize, Vec<String>) {
    let mut search = Search::open(dir, query).unwrap();
    let found = search.by_ref().map(Result::unwrap).fold(0, |found, _| found + 1);
    (found, search.explanation().damaged.clone())
}

/// The same by columns.
fn scanned(dir: &Path, columns: &[Column]) -> (usize, Vec<String>) {
    let scan = Scan::open(dir).unwrap();
    let mut rows = 0;
    for piece in scan.pieces(Family::Flow) {
        let Some(OpenPiece::Sealed(table)) = scan.read(&piece).unwrap() else { continue };
        for group in 0..table.groups() {
            match table.values(group, columns) {
                Ok(values) => rows += values[0].rows(),
                Err(error) => scan.tell_damage(&error),
            }
        }
    }
    (rows, scan.damaged())
}

/// A footer in which every group says that it has so many rows, and its columns so many values.
fn with_rows(table: &Path, rows: i64) -> Vec<u8> {
    let bytes = fs::read(table).unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(table).unwrap()).unwrap();
    let groups = metadata.row_groups().iter().map(|group| absurd(group, rows)).collect();
    let changed = ParquetMetaData::new(metadata.file_metadata().clone(), groups);
    let begin = footer_begin(&bytes);
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &changed).finish().unwrap();
    // The file stays as long as it was.
    let mut written = bytes[..begin].to_vec();
    written.resize((bytes.len() - footer.len()).max(begin), 0);
    written.extend_from_slice(&footer);
    written
}

fn absurd(group: &RowGroupMetaData, rows: i64) -> RowGroupMetaData {
    let columns = group
        .columns()
        .iter()
        .map(|column| column.clone().into_builder().set_num_values(rows).build().unwrap());
    let columns = columns.collect();
    group.clone().into_builder().set_num_rows(rows).set_column_metadata(columns).build().unwrap()
}

fn footer_begin(bytes: &[u8]) -> usize {
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap());
    bytes.len() - 8 - length as usize
}

/// Changes what the manifest of the second segment says of its table of flows.
fn change_manifest(dir: &Path, change: impl Fn(&mut Value)) {
    let path = second(dir).join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest["tables"]["flow"]);
    fs::write(&path, manifest.to_string()).unwrap();
}

#[test]
fn absurd_counts_in_a_footer_are_told_and_the_rest_is_found() {
    for rows in [-1, 0, 2, 1 << 33, i64::MAX] {
        let dir = three_segments();
        let table = second(dir.path()).join("flow.parquet");
        fs::write(&table, with_rows(&table, rows)).unwrap();
        let told = |damaged: &[String]| {
            assert_eq!(damaged.len(), 1, "{rows}: {damaged:?}");
            assert!(damaged[0].starts_with(&format!("{}: ", table.display())), "{damaged:?}");
        };
        let (found, damaged) = searched(dir.path());
        assert_eq!(found, 5, "{rows}");
        told(&damaged);
        // What is not read is not told either.
        let events = SearchQuery { families: Families::of(&[Family::Event]), ..SearchQuery::default() };
        assert_eq!(found_of(dir.path(), events), (3, Vec::new()), "{rows}");
        let (found, damaged) = scanned(dir.path(), &[Column::Time, Column::Record]);
        assert_eq!(found, 2);
        told(&damaged);
        let Verdict::Broken(fault) = verify(dir.path(), None, &[]).unwrap() else { panic!("{rows}") };
        assert_eq!((&fault.path, fault.segment), (&table, Some(2)));

        let bundle = dir.path().join("bundle");
        let query =
            BundleQuery { search: SearchQuery::default(), agent_version: "test".to_owned(), key: None };
        let made = export(dir.path(), &bundle, &query).unwrap();
        assert_eq!((made.records, made.damaged.len()), (5, 1));
        let Verdict::Broken(fault) = verify(&bundle, None, &[]).unwrap() else { panic!("{rows}") };
        assert_eq!(fault.path, bundle.join("segments/000000000002/flow.parquet"));
    }
}

/// As earlier versions sealed them: what the manifest says of the whole file judges it.
#[test]
fn a_segment_without_a_hash_of_its_footers_is_judged_by_its_checksum() {
    let dir = three_segments();
    let table = second(dir.path()).join("flow.parquet");
    change_manifest(dir.path(), |table| _ = table.as_object_mut().unwrap().remove("footer").unwrap());
    assert_eq!(searched(dir.path()), (6, Vec::new()));
    let mut bytes = fs::read(&table).unwrap();
    let begin = footer_begin(&bytes);
    bytes[begin + 3] ^= 1;
    fs::write(&table, bytes).unwrap();
    let (found, damaged) = searched(dir.path());
    assert_eq!(found, 5);
    assert!(damaged[0].ends_with("its checksum is not the one in its manifest"), "{damaged:?}");
}

/// Whoever changes the manifest too is found out by its signature; until then no search falls over it.
#[test]
fn absurd_counts_that_the_manifest_repeats_are_no_reason_to_make_room_for_them() {
    for rows in [2, 1000, 1 << 33, i64::MAX] {
        let dir = three_segments();
        let table = second(dir.path()).join("flow.parquet");
        let bytes = with_rows(&table, rows);
        fs::write(&table, &bytes).unwrap();
        change_manifest(dir.path(), |table| {
            table["records"] = rows.into();
            table["bytes"] = bytes.len().into();
            table["blake3"] = ChainHash::of(&bytes).to_string().into();
            table["footer"] = ChainHash::of(&bytes[footer_begin(&bytes)..]).to_string().into();
        });
        let (found, damaged) = searched(dir.path());
        assert_eq!((found, damaged.len()), (5, 1), "{rows}: {damaged:?}");
        let (found, damaged) = scanned(dir.path(), &[Column::Time]);
        assert_eq!((found, damaged.len()), (2, 1), "{rows}: {damaged:?}");
    }
}

/// Bytes all over a small table: each search answers, and what is changed in the footer is always told.
#[test]
fn a_search_of_a_table_with_any_byte_changed_answers() {
    const STEP: usize = 5;
    let dir = three_segments();
    let table = second(dir.path()).join("flow.parquet");
    let whole = fs::read(&table).unwrap();
    let begin = footer_begin(&whole);
    let all: Vec<Column> = Column::of(Families::of(&[Family::Flow])).collect();
    for at in (0..whole.len()).step_by(STEP) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at / STEP % 8);
        fs::write(&table, &changed).unwrap();
        let (found, damaged) = searched(dir.path());
        assert!((5..=6).contains(&found) && found + damaged.len() == 6, "byte {at}: {found}, {damaged:?}");
        let (_, by_columns) = scanned(dir.path(), &all);
        if at >= begin {
            assert_eq!((damaged.len(), by_columns.len()), (1, 1), "byte {at}");
        }
    }
}

#[test]
fn a_manifest_that_cannot_be_read_is_told_and_the_rest_is_found() {
    let dir = three_segments();
    let manifest = second(dir.path()).join("manifest.json");
    fs::write(&manifest, "{").unwrap();
    let (found, damaged) = searched(dir.path());
    assert_eq!((found, damaged.len()), (4, 1));
    assert!(damaged[0].starts_with(&manifest.display().to_string()), "{damaged:?}");
    let (found, damaged) = scanned(dir.path(), &[Column::Seq]);
    assert_eq!((found, damaged.len()), (2, 1));
}

/// Whichever of three it is: the ledger opens and goes on, what is damaged lies aside, and it is told from there on.
#[test]
fn a_ledger_with_a_damaged_manifest_opens_and_goes_on() {
    for number in 1..=3 {
        let dir = three_segments();
        let name = format!("{number:012}");
        let manifest = dir.path().join("segments").join(&name).join("manifest.json");
        fs::write(&manifest, "{").unwrap();
        let (ledger, recovery) = Ledger::open(config(dir.path(), 1 << 20)).unwrap();
        assert!(recovery.damage[0].starts_with(&manifest.display().to_string()), "{recovery:?}");
        assert_eq!(recovery.segments, 2, "{recovery:?}");
        // Once more before anything is sealed: the number of what lies aside stays taken.
        close(ledger);
        let (mut ledger, _) = Ledger::open(config(dir.path(), 1 << 20)).unwrap();
        ledger.append(&[r#"{"type":"flow","n":4}"#]).1.unwrap();
        ledger.rotate().unwrap();
        close(ledger);
        assert!(dir.path().join("segments/000000000004/manifest.json").exists());
        assert_eq!(searched(dir.path()), (5, Vec::new()));
        let aside = dir.path().join(format!("damaged/segment-{name}.damaged"));
        assert!(aside.join("flow.parquet").exists());
        let Verdict::Broken(fault) = verify(dir.path(), None, &[]).unwrap() else {
            panic!("{number} is damaged")
        };
        assert_eq!(fault.path, aside);
        let (ledger, again) = Ledger::open(config(dir.path(), 1 << 20)).unwrap();
        assert_eq!(again.segments, 3);
        close(ledger);
    }
}
