//! Parts of manifests that have a limit. What is null is as what is not there: the API server writes both.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use watchfire_model::Labels;

/// Longest text that is kept of a manifest, bytes: a name, a label, an image. The longest that the API admits are image
/// names of some 500.
pub const MANIFEST_TEXT_BYTES_MAX: usize = 1024;
/// Most labels of an object, and most entries of a selector. Nodes with feature discovery have some 200.
pub const MANIFEST_LABELS_MAX: usize = 512;

/// A text of at most [`MANIFEST_TEXT_BYTES_MAX`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                if text.len() > MANIFEST_TEXT_BYTES_MAX {
                    let length = text.len();
                    return Err(E::custom(format_args!(
                        "found a text of {length} bytes, expected at most {MANIFEST_TEXT_BYTES_MAX}"
                    )));
                }
                Ok(Text(text.to_owned()))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A list of at most `MAX` entries.
#[derive(Clone, Debug)]
pub(super) struct List<T, const MAX: usize>(pub(super) Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_none<E: de::Error>(self) -> Result<Vec<T>, E> {
                Ok(Vec::new())
            }

            fn visit_unit<E: de::Error>(self) -> Result<Vec<T>, E> {
                Ok(Vec::new())
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
                deserializer.deserialize_seq(self)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    if list.len() == MAX {
                        return Err(de::Error::custom(format_args!("found more than {MAX} entries")));
                    }
                    list.push(entry);
                }
                Ok(list)
            }
        }
        deserializer.deserialize_option(ListVisitor::<T, MAX>(PhantomData)).map(Self)
    }
}

/// At most [`MANIFEST_LABELS_MAX`] labels.
#[derive(Clone, Default, Debug)]
pub(super) struct LabelMap(pub(super) Labels);

impl<'de> Deserialize<'de> for LabelMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;
        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_none<E: de::Error>(self) -> Result<Labels, E> {
                Ok(Labels::new())
            }

            fn visit_unit<E: de::Error>(self) -> Result<Labels, E> {
                Ok(Labels::new())
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Labels, D::Error> {
                deserializer.deserialize_map(self)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Labels, A::Error> {
                let mut labels = Labels::new();
                while let Some((Text(key), Text(value))) = entries.next_entry()? {
                    if labels.len() == MANIFEST_LABELS_MAX {
                        return Err(de::Error::custom(format_args!(
                            "found more than {MANIFEST_LABELS_MAX} entries"
                        )));
                    }
                    labels.insert(key, value);
                }
                Ok(labels)
            }
        }
        deserializer.deserialize_option(LabelsVisitor).map(Self)
    }
}

/// An address; an empty text stands for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address(pub(super) Option<IpAddr>);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        address(&text).map(Self).map_err(de::Error::custom)
    }
}

/// Reads an address; an empty text stands for none.
pub(super) fn address(text: &str) -> Result<Option<IpAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("found `{text}`, expected an IP address"))
}

/// A port that something can be sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PortNumber(pub(super) u16);

impl<'de> Deserialize<'de> for PortNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        match u16::try_from(number) {
            Ok(port) if port != 0 => Ok(Self(port)),
            _ => Err(de::Error::custom(format_args!("found {number}, expected a port from 1 to 65535"))),
        }
    }
}
