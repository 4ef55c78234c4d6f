//! The values of many fields out of a record's JSON, in one reading of it and without a copy of what need not be changed.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use watchfire_model::WallTime;

use super::{Field, Kind, Take};
use crate::family::Family;

/// One value, as part of the line where it stands there as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Taken<'a> {
    Text(Cow<'a, str>),
    Int(i64),
}

/// Where the fields of some columns stand in records of one table: what [`super::cell`] looks for field by field.
#[derive(Debug)]
pub(crate) struct Layout {
    root: Node,
    kinds: Vec<Kind>,
    /// Fields of objects that are told as `namespace/name`, with the rank of that place among the field's.
    objects: Vec<(usize, usize)>,
}

/// A place in a record.
#[derive(Default, Debug)]
struct Node {
    leaves: Vec<Leaf>,
    children: Vec<(&'static str, Node)>,
}

/// What is taken from a place.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    part: Part,
    /// Number of the field, of the object for its parts.
    of: usize,
    /// The first place of a field that has a value counts.
    rank: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Value,
    Ip,
    Port,
    Words,
    Namespace,
    Name,
}

/// The values of one record, by number of the field.
#[derive(Default, Debug)]
pub(crate) struct Row<'a> {
    values: Vec<Option<(usize, Taken<'a>)>>,
    objects: Vec<[Option<Cow<'a, str>>; 2]>,
}

impl Layout {
    /// Where these fields stand in records of the table; those that it lacks nowhere.
    pub(crate) fn of(fields: impl Iterator<Item = &'static Field>, family: Family) -> Self {
        let mut layout = Self { root: Node::default(), kinds: Vec::new(), objects: Vec::new() };
        for field in fields {
            let of = layout.kinds.len();
            layout.kinds.push(field.kind);
            let takes = field.takes.iter().enumerate().filter(|_| field.families.contains(family));
            for (rank, take) in takes {
                let (path, part) = match *take {
                    Take::At(path) => (path, Part::Value),
                    Take::IpOf(path) => (path, Part::Ip),
                    Take::PortOf(path) => (path, Part::Port),
                    Take::Words(path) => (path, Part::Words),
                    Take::Object(path) => {
                        let object = layout.objects.len();
                        layout.objects.push((of, rank));
                        for (key, part) in [("namespace", Part::Namespace), ("name", Part::Name)] {
                            let leaf = Leaf { part, of: object, rank };
                            layout.root.at(path).child(key).leaves.push(leaf);
                        }
                        continue;
                    }
                };
                layout.root.at(path).leaves.push(Leaf { part, of, rank });
            }
        }
        layout
    }

    /// Takes the values out of a line. What is no JSON has none.
    pub(crate) fn read<'a>(&self, line: &'a [u8], row: &mut Row<'a>) {
        row.clear(self);
        // Looked through once as a whole, and not text by text.
        let is_read = str::from_utf8(line).is_ok_and(|line| {
            let mut json = serde_json::Deserializer::from_str(line);
            let read = Place { node: &self.root, row, in_list: false }.deserialize(&mut json);
            read.and_then(|()| json.end()).is_ok()
        });
        if !is_read {
            row.clear(self);
        }
        for (parts, (of, rank)) in row.objects.iter_mut().zip(&self.objects) {
            if let [Some(namespace), Some(name)] = parts {
                let text = Taken::Text(Cow::Owned(format!("{namespace}/{name}")));
                put(&mut row.values, *of, *rank, text);
            }
        }
        for (value, kind) in row.values.iter_mut().zip(&self.kinds) {
            *value = value.take().and_then(|(rank, taken)| Some((rank, of_kind(*kind, taken)?)));
        }
    }
}

impl<'a> Row<'a> {
    /// Hands out the values.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Option<Taken<'a>>> + '_ {
        self.values.iter_mut().map(|value| value.take().map(|(_, taken)| taken))
    }

    fn clear(&mut self, layout: &Layout) {
        self.values.clear();
        self.values.resize(layout.kinds.len(), None);
        self.objects.clear();
        self.objects.resize(layout.objects.len(), [None, None]);
    }

    fn text(&mut self, leaf: Leaf, text: Cow<'a, str>) {
        let taken = match leaf.part {
            Part::Value => Some(Taken::Text(text)),
            Part::Ip => ip_of(text).map(Taken::Text),
            Part::Port => text.parse().ok().map(|address: SocketAddr| Taken::Int(address.port().into())),
            Part::Words => None,
            Part::Namespace | Part::Name => {
                let part = usize::from(leaf.part == Part::Name);
                self.objects[leaf.of][part] = Some(text);
                None
            }
        };
        if let Some(taken) = taken {
            put(&mut self.values, leaf.of, leaf.rank, taken);
        }
    }

    /// One more word of a list.
    fn word(&mut self, leaf: Leaf, word: &str) {
        if let Some((rank, Taken::Text(words))) = &mut self.values[leaf.of]
            && *rank == leaf.rank
        {
            match words {
                // The first.
                Cow::Borrowed(_) => *words = Cow::Owned(word.to_owned()),
                Cow::Owned(words) => {
                    words.push(' ');
                    words.push_str(word);
                }
            }
        }
    }
}

impl Node {
    fn at(&mut self, path: &'static str) -> &mut Self {
        path.split('/').skip(1).fold(self, Self::child)
    }

    fn child(&mut self, key: &'static str) -> &mut Self {
        let at = self.children.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.children.push((key, Self::default()));
            self.children.len() - 1
        });
        &mut self.children[at].1
    }

    fn find(&self, key: &str) -> Option<&Self> {
        // Most keys of a length begin otherwise.
        let first = key.as_bytes().first();
        let is_it =
            |known: &str| known.len() == key.len() && known.as_bytes().first() == first && known == key;
        self.children.iter().find(|(known, _)| is_it(known)).map(|(_, child)| child)
    }
}

fn put<'a>(values: &mut [Option<(usize, Taken<'a>)>], of: usize, rank: usize, taken: Taken<'a>) {
    if values[of].as_ref().is_none_or(|(known, _)| rank <= *known) {
        values[of] = Some((rank, taken));
    }
}

fn of_kind(kind: Kind, taken: Taken<'_>) -> Option<Taken<'_>> {
    match (kind, taken) {
        (Kind::Int, Taken::Text(text)) => text.parse().ok().map(Taken::Int),
        (Kind::Time, Taken::Text(text)) => text.parse().ok().map(|WallTime(ns)| Taken::Int(ns)),
        (Kind::Text | Kind::Ip, Taken::Int(number)) => Some(Taken::Text(Cow::Owned(number.to_string()))),
        (_, taken) => Some(taken),
    }
}

/// The address of an `address:port` or of an address alone.
fn ip_of(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let ip = match text.parse::<SocketAddr>() {
        // Of IPv4 there is one way to write it.
        Ok(SocketAddr::V4(_)) => {
            let length = text.rfind(':')?;
            return Some(match text {
                Cow::Borrowed(text) => Cow::Borrowed(&text[..length]),
                Cow::Owned(mut text) => {
                    text.truncate(length);
                    Cow::Owned(text)
                }
            });
        }
        Ok(SocketAddr::V6(address)) => IpAddr::V6(*address.ip()),
        Err(_) => text.parse().ok()?,
    };
    Some(Cow::Owned(ip.to_string()))
}

/// Reads what stands at a place.
struct Place<'p, 'r, 'a> {
    node: &'p Node,
    row: &'r mut Row<'a>,
    /// An element of the list that stands there.
    in_list: bool,
}

impl<'a> Place<'_, '_, 'a> {
    fn text(self, text: Cow<'a, str>) {
        for leaf in &self.node.leaves {
            match (self.in_list, leaf.part) {
                (true, Part::Words) => self.row.word(*leaf, &text),
                (true, _) => {}
                (false, _) => self.row.text(*leaf, text.clone()),
            }
        }
    }

    fn value(self, taken: &Taken<'a>) {
        if !self.in_list {
            for leaf in self.node.leaves.iter().filter(|leaf| leaf.part == Part::Value) {
                put(&mut self.row.values, leaf.of, leaf.rank, taken.clone());
            }
        }
    }
}

impl<'a> DeserializeSeed<'a> for Place<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Place<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, is_so: bool) -> Result<(), E> {
        self.value(&Taken::Text(Cow::Borrowed(if is_so { "true" } else { "false" })));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.value(&Taken::Int(number));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        // What does not fit stays in the record alone.
        if let Ok(number) = number.try_into() {
            self.value(&Taken::Int(number));
        }
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<(), E> {
        self.text(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.text(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let node = self.node;
        while let Some(child) = map.next_key_seed(Key(node))? {
            match child.filter(|_| !self.in_list) {
                Some(node) => map.next_value_seed(Place { node, row: self.row, in_list: false })?,
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut list: S) -> Result<(), S::Error> {
        if self.in_list || !self.node.leaves.iter().any(|leaf| leaf.part == Part::Words) {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        for leaf in self.node.leaves.iter().filter(|leaf| leaf.part == Part::Words) {
            put(&mut self.row.values, leaf.of, leaf.rank, Taken::Text(Cow::Borrowed("")));
        }
        while list.next_element_seed(Place { node: self.node, row: self.row, in_list: true })?.is_some() {}
        Ok(())
    }
}

/// Reads a key, and finds what is wanted of it.
struct Key<'p>(&'p Node);

impl<'a, 'p> DeserializeSeed<'a> for Key<'p> {
    type Value = Option<&'p Node>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Key<'p> {
    type Value = Option<&'p Node>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.find(key))
    }
}

#[cfg(test)]
mod tests {
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
}
