//! One reading against the look for each field.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Cell, FIELDS, cell};
use super::*;

/// What is taken in one reading is what is looked for field by field.
fn check(record: &Value, family: Family) {
    let line = record.to_string();
    let layout = Layout::of(FIELDS.iter(), family);
    let mut row = Row::default();
    layout.read(line.as_bytes(), &mut row);
    for (field, taken) in FIELDS.iter().zip(row.take()) {
        let taken = taken.map(|taken| match taken {
            Taken::Text(text) => Cell::Text(text.into_owned()),
            Taken::Int(number) => Cell::Int(number),
        });
        let expected = field.families.contains(family).then(|| cell(field, record)).flatten();
        assert_eq!(taken, expected, "{} of {line}", field.name);
    }
}

#[test]
fn each_place_is_read_and_the_first_counts() {
    let record = json!({
        "type": "flow", "time": "1970-01-01T00:00:00.000000007Z", "cookie": u64::MAX, "plaintext": true, "result": -13,
        "client": {"address": "10.0.1.5:40112", "pod": {"namespace": "shop", "name": "w\"eb"}},
        "server": {"address": "[2001:db8:0::7]:5432", "names": ["a", 3, ["x"], {"y": 1}, "b\n"], "pod": {"name": "x"}},
        "destination": {"namespace": "n", "name": "m"}, "port": 9,
        "process": {"pid": 7, "args": [], "exec_id": "p", "pod": {"namespace": "a", "name": "b"}},
        "pod": {"namespace": "c", "name": "d"}, "example": {"process": {"exec_id": "other"}},
    });
    for family in Family::ALL {
        check(&record, family);
    }
}

#[test]
fn what_is_no_json_has_no_values() {
    let layout = Layout::of(FIELDS.iter(), Family::Flow);
    let mut row = Row::default();
    for line in ["", "{", r#"{"type":"flow","node":"n""#, r#"{"node":"n"} {"#, "nonsense"] {
        layout.read(line.as_bytes(), &mut row);
        assert!(row.take().all(|value| value.is_none()), "{line}");
    }
}

/// A record with keys that fields are taken from, and values of any form.
fn any_record() -> impl Strategy<Value = Value> {
    let keys: Vec<&str> = FIELDS
        .iter()
        .flat_map(|field| field.takes)
        .flat_map(|take| match *take {
            Take::At(path)
            | Take::IpOf(path)
            | Take::PortOf(path)
            | Take::Object(path)
            | Take::Words(path) => path.split('/').skip(1),
        })
        .chain(["namespace", "name", "other"])
        .collect();
    let key = proptest::sample::select(keys);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1.0e9..1.0e9).prop_map(Value::from),
        proptest::sample::select(vec![
            "10.0.0.1:80",
            "::1",
            "[::ffff:1.2.3.4]:9",
            "10.0.0.1",
            "a\\b\"\u{e9}\n",
            "17",
            ""
        ])
        .prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..12).prop_map(|entries| {
                Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    });
    value.prop_filter("a record is an object", Value::is_object)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn one_reading_gives_what_each_field_is(record in any_record(), family in proptest::sample::select(Family::ALL.to_vec())) {
        check(&record, family);
    }
}
