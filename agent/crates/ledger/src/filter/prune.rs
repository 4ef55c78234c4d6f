//! Whether any row of a group can meet a filter, by what is known of its columns without reading them.

use super::{Expr, Literal, Operation, Order, Test};
use crate::field::{Field, Kind};

/// What is known of a column in a group of rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Range {
    /// Nothing.
    Unknown,
    /// No row has a value.
    Absent,
    /// Every value is one of these numbers.
    Ints(i64, i64),
    /// Every value is one of these texts, by their bytes.
    Texts(Vec<u8>, Vec<u8>),
}

/// What is known of a group of rows. To be told more costs more, so texts are asked for last.
pub(crate) trait GroupFacts {
    fn range(&self, field: &'static Field) -> Range;
    /// False if no row has exactly this text.
    fn may_have(&self, field: &'static Field, text: &str) -> bool;
}

/// Whether there can be a row that meets the condition, and one that does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Possible {
    pub(super) met: bool,
    pub(super) unmet: bool,
}

impl Expr {
    pub(super) fn possible(&self, facts: &dyn GroupFacts) -> Possible {
        match self {
            Self::All => Possible { met: true, unmet: false },
            Self::And(parts) => {
                let mut all = Possible { met: true, unmet: false };
                for part in parts {
                    let part = part.possible(facts);
                    all = Possible { met: all.met && part.met, unmet: all.unmet || part.unmet };
                    if !all.met {
                        break;
                    }
                }
                // Once no row meets all, every row is one that does not.
                Possible { unmet: all.unmet || !all.met, ..all }
            }
            Self::Or(parts) => {
                let parts = parts.iter().map(|part| part.possible(facts));
                parts.fold(Possible { met: false, unmet: true }, |any, part| Possible {
                    met: any.met || part.met,
                    unmet: any.unmet && part.unmet,
                })
            }
            Self::Not(part) => {
                let Possible { met, unmet } = part.possible(facts);
                Possible { met: unmet, unmet: met }
            }
            Self::Test(Test { fields, operation }) => {
                let met = fields.iter().any(|field| operation.may_be_met(field, facts));
                Possible { met, unmet: true }
            }
        }
    }
}

impl Operation {
    fn may_be_met(&self, field: &'static Field, facts: &dyn GroupFacts) -> bool {
        let range = facts.range(field);
        match (self, &range) {
            (_, Range::Absent) => false,
            (Self::Is(literals), _) => literals.iter().any(|literal| literal.may_be(field, &range, facts)),
            (Self::Order(order, than), Range::Ints(min, max)) => match order {
                Order::Less | Order::LessOrEqual => order.is_met(*min, *than),
                Order::Greater | Order::GreaterOrEqual => order.is_met(*max, *than),
            },
            (Self::StartsWith(part), Range::Texts(min, max)) => {
                let part = part.as_bytes();
                let beginning = &min[..min.len().min(part.len())];
                max.as_slice() >= part && beginning <= part
            }
            _ => true,
        }
    }
}

impl Literal {
    fn may_be(&self, field: &'static Field, range: &Range, facts: &dyn GroupFacts) -> bool {
        match (self, range) {
            (Self::Int(number), Range::Ints(min, max)) => (min..=max).contains(&number),
            (Self::Text(text), Range::Texts(min, max)) => {
                let bytes = text.as_bytes();
                let is_within = min.as_slice() <= bytes && bytes <= max.as_slice();
                is_within && (!field.is_id || facts.may_have(field, text))
            }
            // Addresses are texts, whose order says nothing of networks.
            (Self::Net(net), _)
                if field.kind == Kind::Ip && field.is_id && net.prefix_len() == net.max_prefix_len() =>
            {
                facts.may_have(field, &net.addr().to_string())
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Filter;
    use super::*;

    struct Known;

    impl GroupFacts for Known {
        fn range(&self, field: &'static Field) -> Range {
            match field.name {
                "dst.port" => Range::Ints(80, 443),
                "process.binary" => Range::Texts(b"/bin/a".to_vec(), b"/usr/bin/z".to_vec()),
                "dst.pod" => Range::Absent,
                _ => Range::Unknown,
            }
        }

        fn may_have(&self, field: &'static Field, text: &str) -> bool {
            match field.name {
                "process.binary" => text == "/bin/sh",
                "src.ip" => text == "10.0.0.1",
                _ => true,
            }
        }
    }

    #[test]
    fn groups_are_skipped_only_where_no_row_can_match() {
        for (text, expected) in [
            ("", true),
            ("dst.port = 80", true),
            ("dst.port = 5432", false),
            ("dst.port != 5432", true),
            ("not (dst.port = 5432 and node = a)", true),
            ("dst.port in (1, 443)", true),
            ("dst.port > 443", false),
            ("dst.port >= 443", true),
            ("dst.port < 80", false),
            ("process.binary = /bin/sh", true),
            ("process.binary = /bin/ls", false),
            ("process.binary = /zzz", false),
            ("process.binary startswith /tmp", true),
            ("process.binary startswith /v", false),
            ("process.binary startswith /a", false),
            ("process.binary startswith /bi", true),
            ("process.binary startswith /bin/ab", true),
            ("dst.pod exists", false),
            ("not dst.pod exists", true),
            ("dst.pod = a/b or dst.port = 1", false),
            ("dst.pod = a/b or node = a", true),
            ("src.ip = 10.0.0.1", true),
            ("src.ip = 10.0.0.2", false),
            ("src.ip = 10.0.0.0/8", true),
            ("pod = a/b", true),
        ] {
            assert_eq!(Filter::parse(text).unwrap().may_match(&Known), expected, "{text}");
        }
    }
}
