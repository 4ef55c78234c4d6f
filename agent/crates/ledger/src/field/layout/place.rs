//! Goes through a record's JSON and takes what stands at the places of a layout.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Node, Part, Row, Taken, put};

/// Reads what stands at a place.
pub(super) struct Place<'p, 'r, 'a> {
    pub(super) node: &'p Node,
    pub(super) row: &'r mut Row<'a>,
    /// An element of the list that stands there.
    pub(super) in_list: bool,
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
