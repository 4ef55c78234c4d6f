//! The JSON form of records is a public format: every shape has a golden line.
//!
//! `WATCHFIRE_BLESS=1` writes the golden files anew; the difference is then for the reviewer.

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use watchfire_export::Encoder;

use crate::common;

#[test]
fn every_shape_has_its_golden_line() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/records");
    let bless = env::var_os("WATCHFIRE_BLESS").is_some();
    let mut encoder = Encoder::new();
    let mut names = BTreeSet::new();
    for (name, record) in common::every_shape() {
        let line = encoder.encode(&record).line;
        let path = golden.join(format!("{name}.jsonl"));
        if bless {
            fs::write(&path, &line).unwrap();
        }
        let expected =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(std::str::from_utf8(&line).unwrap(), expected, "{name}");
        names.insert(format!("{name}.jsonl"));
    }
    let files: BTreeSet<_> = fs::read_dir(&golden)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, names, "a golden file without a shape, or the other way round");
}
