//! The values of many fields out of a record's JSON, in one reading of it and without a copy of what need not be changed.

mod place;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use serde::de::DeserializeSeed as _;
use watchfire_model::WallTime;

use self::place::Place;
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

#[cfg(test)]
mod tests;
