//! What is known of records by name: the fields of filters, which are the columns of segments.

mod extract;
mod layout;
mod table;

use serde_json::Value;
use watchfire_model::WallTime;

use crate::family::Families;

pub(crate) use self::extract::{Cell, cell};
pub(crate) use self::layout::{Layout, Row, Taken};
pub use self::table::{ALIASES, FIELDS};

/// What a field's values are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Int,
    /// An address.
    Ip,
    /// A moment.
    Time,
}

impl Kind {
    /// What the kind is called where a value of it is expected.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Int => "a whole number",
            Self::Ip => "an address or a network such as 10.0.0.0/8",
            Self::Time => "an RFC 3339 time such as 2026-01-02T03:04:05Z",
        }
    }
}

/// How a value is taken out of a record's JSON: from where (RFC 6901), and what of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Take {
    /// The value, a boolean as the text true or false.
    At(&'static str),
    /// The address of an `address:port`.
    IpOf(&'static str),
    /// The port of an `address:port`.
    PortOf(&'static str),
    /// `namespace/name` of an object.
    Object(&'static str),
    /// The texts of a list, with a space between.
    Words(&'static str),
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// Its name in filters.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Which tables have it as a column.
    pub families: Families,
    /// Where it comes from; the first that is there.
    pub takes: &'static [Take],
    /// Whether segments have a Bloom filter of it.
    pub is_id: bool,
    /// All values that there can be, where they are few.
    pub values: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

impl Field {
    /// The field of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.name == name)
    }

    /// The value that a record has of it, as a text; a time in RFC 3339.
    #[must_use]
    pub fn text_of(&self, record: &Value) -> Option<String> {
        cell(self, record).map(|cell| match cell {
            Cell::Text(text) => text,
            Cell::Int(ns) if self.kind == Kind::Time => WallTime(ns).to_string(),
            Cell::Int(number) => number.to_string(),
        })
    }

    /// Its name as a column.
    #[must_use]
    pub fn column(&self) -> String {
        self.name.replace('.', "_")
    }
}

/// A name that stands for several fields: it is met where any of them is.
#[derive(Debug)]
pub struct Alias {
    /// The name.
    pub name: &'static str,
    /// What it stands for.
    pub fields: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_aliases_lead_somewhere() {
        let mut names = HashSet::new();
        let mut columns: HashSet<String> = ["seq", "record"].map(str::to_owned).into_iter().collect();
        for field in FIELDS {
            assert!(names.insert(field.name), "{}", field.name);
            assert!(columns.insert(field.column()), "{}", field.name);
        }
        for alias in ALIASES {
            assert!(names.insert(alias.name), "{}", alias.name);
            let kinds: HashSet<_> =
                alias.fields.iter().map(|name| Field::named(name).unwrap().kind.as_str()).collect();
            assert_eq!(kinds.len(), 1, "{}", alias.name);
        }
    }
}
