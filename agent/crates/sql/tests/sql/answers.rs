//! What can be asked, and how little is read for it.

use std::fs::File;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use watchfire_ledger::Column;
use watchfire_sql::{ParquetWriter, TABLES};

use crate::common::{EVERYTHING, close, fill, folder, ledger, open, rows, session, types, value};
use crate::made::Dice;

#[test]
fn every_column_of_every_table_can_be_named() {
    let dir = ledger(51, 400, 100 * 1024);
    let session = session(dir.path());
    for table in &TABLES {
        let columns: Vec<_> = table.columns().map(Column::name).collect();
        let sql = format!("SELECT {} FROM {} LIMIT 3", columns.join(", "), table.names[1]);
        let named = types(&session, &sql);
        let all = types(&session, &format!("SELECT * FROM {}", table.names[0]));
        assert_eq!(named, all, "{sql}");
        for column in &columns {
            let sql = format!("SELECT {column} FROM {} WHERE {column} IS NOT NULL", table.names[0]);
            assert!(rows(&session, &sql).is_ok(), "{sql}");
        }
    }
    let shown = rows(&session, "SHOW TABLES").unwrap();
    assert!(shown.iter().any(|row| row.contains(&"flows".to_owned())), "{shown:?}");
    let described = rows(&session, "DESCRIBE flows").unwrap();
    assert_eq!(described.len(), TABLES[1].columns().count());
}

#[test]
fn an_id_that_is_nowhere_is_ruled_out_without_reading_rows() {
    let dir = folder();
    let mut writing = open(dir.path(), 512 * 1024, EVERYTHING);
    fill(&mut writing, &mut Dice::new(1), 0, 2000);
    writing.rotate().unwrap();
    close(writing);
    let session = session(dir.path());
    // Within the range of what is there, so that only the Bloom filters can tell.
    let sql = "SELECT count(*) FROM flows WHERE process_exec_id = '3f2a91bc-1042-99999'";
    assert_eq!(value(&session, sql), "0");
    let (read, skipped) = session.account().groups();
    assert!(skipped > 0 && session.account().rows() < 200, "{read} read, {skipped} skipped");
}

#[test]
fn a_limit_ends_reading() {
    let dir = ledger(52, 3000, 100 * 1024);
    let session = session(dir.path());
    assert_eq!(rows(&session, "SELECT seq FROM flows LIMIT 5").unwrap().len(), 5);
    let (read, _) = session.account().pieces();
    let all = std::fs::read_dir(dir.path().join("segments")).unwrap().count() as u64;
    assert!(read < all, "{read} of {all}");
}

#[test]
fn records_are_looked_into() {
    let dir = ledger(53, 600, 100 * 1024);
    let session = session(dir.path());
    let sql = "SELECT count(*) FROM flows WHERE json_text(record, '/client/kind') = 'pod' AND json_text(record, '/side') = side";
    assert_eq!(value(&session, sql), value(&session, "SELECT count(*) FROM flows"));
    let sql = "SELECT count(*) FROM flows f JOIN processes p ON f.process_exec_id = p.process_exec_id WHERE p.action = 'exec'";
    assert_ne!(value(&session, sql), "0");
    let sql = "SELECT seq, rank() OVER (PARTITION BY dst_port ORDER BY bytes_sent DESC) FROM flows";
    assert!(rows(&session, sql).unwrap().len() > 200);
    let explained = rows(&session, "EXPLAIN SELECT count(*) FROM flows WHERE dst_port = 80").unwrap();
    assert!(explained.iter().flatten().any(|text| text.contains("LedgerScan: table=flow")), "{explained:?}");
}

#[test]
fn answers_are_parquet_that_others_read() {
    let dir = ledger(54, 900, 100 * 1024);
    let session = session(dir.path());
    let sql = "SELECT time, node, dst_port, bytes_sent / 3.0 AS third, dst_port = 80 AS web, CAST(NULL AS INT) AS none FROM flows";
    let path = dir.path().join("answer.parquet");
    let answer = session.ask(sql).unwrap();
    let mut writer = ParquetWriter::begin(File::create(&path).unwrap(), &answer.schema()).unwrap();
    for batch in answer {
        writer.add(&batch.unwrap()).unwrap();
    }
    writer.end().unwrap();
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let rows = reader.metadata().file_metadata().num_rows();
    assert_eq!(rows.to_string(), value(&session, "SELECT count(*) FROM flows"));
    let first = reader.get_row_iter(None).unwrap().next().unwrap().unwrap();
    let names: Vec<&String> = first.get_column_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["time", "node", "dst_port", "third", "web", "none"]);
    let too_great = session.ask("SELECT CAST(18446744073709551615 AS BIGINT UNSIGNED) AS x").unwrap();
    let mut writer = ParquetWriter::begin(Vec::new(), &too_great.schema()).unwrap();
    for batch in too_great {
        writer.add(&batch.unwrap()).unwrap();
    }
    assert!(writer.end().is_err());
}
