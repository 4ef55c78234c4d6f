//! Whether one record meets a filter. What is absent meets no comparison, and so every `!=` and `not in`.

use std::net::IpAddr;

use super::{Expr, Literal, Operation, Order, Test};
use crate::field::Field;

/// A value, wherever it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CellRef<'a> {
    Text(&'a str),
    Int(i64),
}

/// Asks the test about the value of a field; false where the record lacks it.
pub(crate) type Get<'a> = dyn Fn(&'static Field, &dyn Fn(CellRef<'_>) -> bool) -> bool + 'a;

impl Expr {
    pub(super) fn is_met(&self, get: &Get<'_>) -> bool {
        match self {
            Self::All => true,
            Self::And(parts) => parts.iter().all(|part| part.is_met(get)),
            Self::Or(parts) => parts.iter().any(|part| part.is_met(get)),
            Self::Not(part) => !part.is_met(get),
            Self::Test(Test { fields, operation }) => {
                fields.iter().any(|field| get(field, &|cell| operation.is_met(cell)))
            }
        }
    }
}

impl Operation {
    fn is_met(&self, cell: CellRef<'_>) -> bool {
        match (self, cell) {
            (Self::Exists, _) => true,
            (Self::Is(literals), _) => literals.iter().any(|literal| literal.is(cell)),
            (Self::Order(order, than), CellRef::Int(number)) => order.is_met(number, *than),
            (Self::StartsWith(part), CellRef::Text(text)) => text.starts_with(part.as_str()),
            (Self::EndsWith(part), CellRef::Text(text)) => text.ends_with(part.as_str()),
            (Self::Contains(part), CellRef::Text(text)) => text.contains(part.as_str()),
            _ => false,
        }
    }
}

impl Literal {
    fn is(&self, cell: CellRef<'_>) -> bool {
        match (self, cell) {
            (Self::Text(wanted), CellRef::Text(text)) => wanted == text,
            (Self::Int(wanted), CellRef::Int(number)) => *wanted == number,
            (Self::Net(net), CellRef::Text(text)) => text.parse().is_ok_and(|ip: IpAddr| net.contains(&ip)),
            _ => false,
        }
    }
}

impl Order {
    pub(super) const fn is_met(self, number: i64, than: i64) -> bool {
        match self {
            Self::Less => number < than,
            Self::LessOrEqual => number <= than,
            Self::Greater => number > than,
            Self::GreaterOrEqual => number >= than,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Filter;

    const FLOW: &str = r#"{"type":"flow","stage":"open","node":"n","verdict":{"outcome":"denied"},
        "client":{"address":"10.0.1.5:40112","pod":{"namespace":"shop","name":"web"}},
        "server":{"address":"[2001:db8::7]:5432"},"process":{"binary":"/tmp/x y","pid":7}}"#;

    #[test]
    fn records_are_told_apart() {
        let record = serde_json::from_str(FLOW).unwrap();
        for (text, expected) in [
            ("", true),
            ("verdict = denied", true),
            ("verdict == denied", true),
            ("verdict=denied and dst.port in (5432,6379) and process.binary startswith \"/tmp/\"", true),
            ("dst.port in (1, 2)", false),
            ("dst.port not in (1, 2)", true),
            ("dst.port > 5431 and dst.port <= 5432", true),
            ("dst.port < 5432 or src.port >= 40112", true),
            ("not verdict = denied", false),
            ("NOT (verdict = allowed OR verdict = unknown)", true),
            ("verdict = allowed or verdict = denied and node = x", false),
            ("src.ip = 10.0.0.0/8", true),
            ("ip = 2001:db8::/32", true),
            ("ip != 2001:db8::7", false),
            ("port = 5432", true),
            ("pod = shop/web and namespace = shop", true),
            ("pod = web", false),
            ("process.binary endswith 'x y'", true),
            ("process.binary contains \"p/x\"", true),
            ("dst.pod exists", false),
            ("src.pod exists", true),
            ("dst.pod != shop/db", true),
            ("dst.pod = shop/db", false),
            ("file.path exists", false),
            ("file.path != /etc/shadow", true),
            ("type = flow", true),
        ] {
            assert_eq!(Filter::parse(text).unwrap().matches(&record), expected, "{text}");
        }
    }
}
