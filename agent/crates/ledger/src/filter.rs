//! Which records are wanted: `verdict = denied and dst.port in (5432, 6379) and process.binary startswith "/tmp/"`.

mod evaluate;
mod parse;
mod prune;
mod suggest;
mod token;

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde_json::Value;

use crate::family::{Families, Family};
use crate::field::{Cell, Field, cell};

pub(crate) use self::evaluate::CellRef;
pub(crate) use self::prune::GroupFacts;
pub use self::prune::Range;
pub use self::suggest::nearest;

/// Longest text of a filter, bytes.
pub const FILTER_BYTES_MAX: usize = 16 * 1024;

/// A filter that was read.
#[derive(Clone, Default, Debug)]
pub struct Filter {
    root: Expr,
    text: String,
}

#[derive(Clone, Default, Debug)]
enum Expr {
    #[default]
    All,
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Test(Test),
}

/// One comparison; an alias has several fields, of which any may meet it.
#[derive(Clone, Debug)]
struct Test {
    fields: Vec<&'static Field>,
    operation: Operation,
}

#[derive(Clone, Debug)]
enum Operation {
    Exists,
    Is(Vec<Literal>),
    Order(Order, i64),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Literal {
    Text(String),
    Int(i64),
    Net(IpNet),
}

/// Why a text is no filter.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct FilterError {
    /// Where, in characters, from 1.
    pub column: usize,
    /// What was found and what was expected.
    pub message: String,
    /// What may have been meant in its place.
    pub suggestion: Option<String>,
}

impl Filter {
    /// Reads a filter. Without any text it is met by every record.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::parse(text).map(|root| Self { root, text: text.to_owned() })
    }

    /// The same with another condition beside it.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.root, other.root) {
            (Expr::All, root) => Self { root, text: other.text },
            (root, Expr::All) => Self { root, text: self.text },
            (one, two) => Self {
                root: Expr::And(vec![one, two]),
                text: format!("({}) and ({})", self.text, other.text),
            },
        }
    }

    /// Whether no record is left out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.root, Expr::All)
    }

    /// Whether a record is wanted.
    #[must_use]
    pub fn matches(&self, record: &Value) -> bool {
        let record_type = record.get("type").and_then(Value::as_str).unwrap_or_default();
        let time = Field::named("time").and_then(|field| cell(field, record));
        let time = time.and_then(|time| if let Cell::Int(ns) = time { Some(ns) } else { None });
        self.matches_in(Family::of_type(record_type), record, time)
    }

    /// The same of a record of a known family and time.
    pub(crate) fn matches_in(&self, family: Family, record: &Value, time: Option<i64>) -> bool {
        self.root.is_met(&|field, test| {
            if field.name == "time" {
                return time.is_some_and(|ns| test(CellRef::Int(ns)));
            }
            // What a table lacks is absent, whether or not the record has it.
            let cell = field.families.contains(family).then(|| cell(field, record)).flatten();
            match &cell {
                Some(Cell::Text(text)) => test(CellRef::Text(text)),
                Some(Cell::Int(number)) => test(CellRef::Int(*number)),
                None => false,
            }
        })
    }

    /// The fields that it asks for, each once.
    pub(crate) fn fields(&self) -> Vec<&'static Field> {
        let mut fields = Vec::new();
        self.root.collect_fields(&mut fields);
        fields
    }

    /// Names of fields that no record of these tables has.
    #[must_use]
    pub fn foreign_fields(&self, families: Families) -> Vec<&'static str> {
        let is_foreign = |field: &&Field| !families.iter().any(|family| field.families.contains(family));
        self.fields().into_iter().filter(is_foreign).map(|field| field.name).collect()
    }

    pub(crate) fn is_met(&self, get: &evaluate::Get<'_>) -> bool {
        self.root.is_met(get)
    }

    /// False if no row of a group can be wanted.
    pub(crate) fn may_match(&self, facts: &dyn GroupFacts) -> bool {
        self.root.possible(facts).met
    }
}

impl Expr {
    fn collect_fields(&self, fields: &mut Vec<&'static Field>) {
        match self {
            Self::All => {}
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.collect_fields(fields)),
            Self::Not(part) => part.collect_fields(fields),
            Self::Test(test) => {
                for field in &test.fields {
                    if !fields.iter().any(|known| known.name == field.name) {
                        fields.push(field);
                    }
                }
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}
