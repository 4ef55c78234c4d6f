//! What is not done, and what is not understood.

use std::fs;

use watchfire_sql::{SQL_BYTES_MAX, SqlError};

use crate::common::{ledger, rows, session};

#[test]
fn nothing_is_changed_read_or_made() {
    let dir = ledger(31, 200, 1 << 20);
    let file = dir.path().join("made.csv");
    let path = file.display();
    let session = session(dir.path());
    for (sql, verb) in [
        ("CREATE TABLE x AS SELECT 1".to_owned(), "CREATE"),
        ("CREATE VIEW flows AS SELECT 1".to_owned(), "CREATE"),
        (format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{path}'"), "CREATE"),
        ("CREATE FUNCTION f() RETURNS INT RETURN 1".to_owned(), "CREATE"),
        ("DROP TABLE flows".to_owned(), "DROP"),
        ("ALTER TABLE flows ADD COLUMN x INT".to_owned(), "ALTER"),
        ("INSERT INTO flows (seq) VALUES (1)".to_owned(), "INSERT"),
        ("UPDATE flows SET node = 'x'".to_owned(), "UPDATE"),
        ("DELETE FROM flows".to_owned(), "DELETE"),
        ("TRUNCATE TABLE flows".to_owned(), "TRUNCATE"),
        (format!("COPY flows TO '{path}'"), "COPY"),
        (format!("COPY (SELECT * FROM flows) TO '{path}' STORED AS CSV"), "COPY"),
        (format!("EXPLAIN COPY flows TO '{path}'"), "COPY"),
        (format!("EXPLAIN ANALYZE COPY flows TO '{path}'"), "COPY"),
        ("EXPLAIN DELETE FROM flows".to_owned(), "DELETE"),
        ("SET datafusion.execution.batch_size = 1".to_owned(), "SET"),
        ("RESET datafusion.execution.batch_size".to_owned(), "RESET"),
        ("BEGIN".to_owned(), "BEGIN"),
        ("COMMIT".to_owned(), "COMMIT"),
        ("PREPARE p AS SELECT 1".to_owned(), "PREPARE"),
        ("EXECUTE p".to_owned(), "EXECUTE"),
        ("USE x".to_owned(), "USE"),
    ] {
        match rows(&session, &sql) {
            Err(SqlError::Refused { verb: found, .. }) => assert_eq!(found, verb, "{sql}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    // These are questions in form, and refused by what they mean.
    fs::write(&file, "a\n1\n").unwrap();
    for sql in [
        format!("SELECT * FROM '{path}'"),
        format!("SELECT * FROM \"{path}\""),
        "SELECT * INTO x FROM flows".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        "WITH x AS (DELETE FROM flows) SELECT * FROM x".to_owned(),
    ] {
        assert!(matches!(rows(&session, &sql), Err(SqlError::Query { .. })), "{sql}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "a\n1\n");
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let dir = ledger(32, 50, 1 << 20);
    let session = session(dir.path());
    for (sql, at, part) in [
        ("SELECT node FROM flows GROUP node", Some((1, 24)), "Expected"),
        ("SELECT 1 +", None, "Expected"),
        ("SELECT\n  dst_prot FROM flows", Some((2, 3)), "dst_port"),
        ("SELECT x.node FROM flows", Some((1, 8)), "x.node"),
        ("SELECT * FROM flwos", Some((1, 15)), "flwos"),
        ("SELECT nosuch(node) FROM flows", None, "nosuch"),
        ("SELECT node, count(*) FROM flows", Some((1, 8)), "GROUP BY"),
        ("SELECT 'open", Some((1, 8)), "Unterminated"),
        ("", None, ""),
        ("-- nothing", None, ""),
    ] {
        match rows(&session, sql) {
            Err(SqlError::Query { message, at: found }) => {
                assert!(message.contains(part) && !message.contains('\n'), "{sql}: {message}");
                if at.is_some() {
                    assert_eq!(found, at, "{sql}: {message}");
                }
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    let error = rows(&session, "SELECT 1 / 0 * result FROM events").unwrap_err();
    assert!(
        matches!(&error, SqlError::Compute(message) | SqlError::Query { message, .. } if message.contains("ivide by zero")),
        "{error:?}"
    );
}

#[test]
fn long_and_deep_queries_are_bounded_not_fatal() {
    let dir = ledger(33, 50, 1 << 20);
    let session = session(dir.path());
    let long = format!("SELECT '{}'", "x".repeat(SQL_BYTES_MAX));
    assert!(matches!(rows(&session, &long), Err(SqlError::TooLong { .. })));
    let nested = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(matches!(rows(&session, &nested), Err(SqlError::Query { .. })));
    let term = " OR dst_port = 1";
    let terms = (SQL_BYTES_MAX - 100) / (term.len() + 4);
    let chain: String = (0..terms).map(|n| format!("{term}{:04}", n % 5000)).collect();
    let sql = format!("SELECT count(*) FROM flows WHERE dst_port = 80{chain}");
    assert!(rows(&session, &sql).is_ok());
}
