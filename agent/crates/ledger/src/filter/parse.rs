//! From the text of a filter to its conditions.
//!
//! ```text
//! filter     = [ any ]
//! any        = all { "or" all }
//! all        = one { "and" one }
//! one        = "not" one | "(" any ")" | test
//! test       = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
//!            | field [ "not" ] "in" "(" value { "," value } ")"
//!            | field ( "startswith" | "endswith" | "contains" ) value
//!            | field "exists"
//! ```

use std::net::IpAddr;

use ipnet::IpNet;
use watchfire_model::WallTime;

use super::suggest::nearest;
use super::token::{Placed, Token, tokens};
use super::{Expr, FILTER_BYTES_MAX, FilterError, Literal, Operation, Order, Test};
use crate::field::{ALIASES, FIELDS, Field, Kind};

/// Brackets and `not` within one another.
const DEPTH_MAX: usize = 64;

const OPERATORS: [&str; 6] = ["in", "not", "startswith", "endswith", "contains", "exists"];

pub(super) fn parse(text: &str) -> Result<Expr, FilterError> {
    if text.len() > FILTER_BYTES_MAX {
        let message = format!("the filter has {} bytes, expected at most {FILTER_BYTES_MAX}", text.len());
        return Err(FilterError { column: 1, message, suggestion: None });
    }
    let end = text.chars().count() + 1;
    let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable(), end, depth: 0 };
    if parser.tokens.peek().is_none() {
        return Ok(Expr::All);
    }
    let root = parser.any()?;
    match parser.tokens.next() {
        None => Ok(root),
        Some(Placed { token: Token::Close, column }) => {
            Err(error(column, "found `)` without a `(` before it"))
        }
        Some(placed) => Err(error(
            placed.column,
            format!("found {}, expected `and`, `or` or the end", placed.token.shown()),
        )),
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Placed>>,
    end: usize,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Expr, FilterError> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
    }

    fn all(&mut self) -> Result<Expr, FilterError> {
        let mut parts = vec![self.one()?];
        while self.take_word("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
    }

    fn one(&mut self) -> Result<Expr, FilterError> {
        let column = self.column();
        if self.take_word("not") {
            return self.deeper(column, Self::one).map(|part| Expr::Not(Box::new(part)));
        }
        if self.take(&Token::Open) {
            let part = self.deeper(column, Self::any)?;
            return match self.tokens.next() {
                Some(Placed { token: Token::Close, .. }) => Ok(part),
                Some(placed) => Err(error(
                    placed.column,
                    format!("found {}, expected `and`, `or` or `)`", placed.token.shown()),
                )),
                None => Err(error(column, "the bracket that begins here is not closed")),
            };
        }
        self.test()
    }

    fn deeper(
        &mut self,
        column: usize,
        parse: impl FnOnce(&mut Self) -> Result<Expr, FilterError>,
    ) -> Result<Expr, FilterError> {
        if self.depth == DEPTH_MAX {
            return Err(error(column, format!("more than {DEPTH_MAX} brackets within one another")));
        }
        self.depth += 1;
        let part = parse(self);
        self.depth -= 1;
        part
    }

    fn test(&mut self) -> Result<Expr, FilterError> {
        let placed = self.next("a field, `not` or `(`")?;
        let Token::Word(name) = &placed.token else {
            return Err(error(placed.column, format!("found {}, expected a field", placed.token.shown())));
        };
        let fields = fields(name, placed.column)?;
        let operator = self.next("a comparison such as `=` or `in`")?;
        let is_no_operator = || {
            let message = format!("found {} after {name}, expected a comparison", operator.token.shown());
            let meant = match &operator.token {
                Token::Word(word) => nearest(word, OPERATORS.into_iter()),
                _ => None,
            };
            let hint = meant.as_ref().map_or_else(
                || ": =, !=, <, <=, >, >=, in, startswith, endswith, contains or exists".to_owned(),
                |meant| format!(", perhaps `{meant}`"),
            );
            FilterError {
                suggestion: meant.map(str::to_owned),
                ..error(operator.column, format!("{message}{hint}"))
            }
        };
        let operation = match &operator.token {
            Token::Equal => Operation::Is(vec![self.value(&fields)?]),
            Token::NotEqual => {
                let operation = Operation::Is(vec![self.value(&fields)?]);
                return Ok(Expr::Not(Box::new(Expr::Test(Test { fields, operation }))));
            }
            Token::Less => self.order(Order::Less, &fields, name, operator.column)?,
            Token::LessOrEqual => self.order(Order::LessOrEqual, &fields, name, operator.column)?,
            Token::Greater => self.order(Order::Greater, &fields, name, operator.column)?,
            Token::GreaterOrEqual => self.order(Order::GreaterOrEqual, &fields, name, operator.column)?,
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "exists" => Operation::Exists,
                "in" => Operation::Is(self.list(&fields)?),
                "not" if self.take_word("in") => {
                    let operation = Operation::Is(self.list(&fields)?);
                    return Ok(Expr::Not(Box::new(Expr::Test(Test { fields, operation }))));
                }
                "startswith" => Operation::StartsWith(self.text(&fields, name, operator.column)?),
                "endswith" => Operation::EndsWith(self.text(&fields, name, operator.column)?),
                "contains" => Operation::Contains(self.text(&fields, name, operator.column)?),
                _ => return Err(is_no_operator()),
            },
            _ => return Err(is_no_operator()),
        };
        Ok(Expr::Test(Test { fields, operation }))
    }

    fn order(
        &mut self,
        order: Order,
        fields: &[&'static Field],
        name: &str,
        column: usize,
    ) -> Result<Operation, FilterError> {
        let kind = fields[0].kind;
        if !matches!(kind, Kind::Int | Kind::Time) {
            return Err(error(
                column,
                format!("{name} is {}, only numbers and times have an order", kind.as_str()),
            ));
        }
        match self.value(fields)? {
            Literal::Int(number) => Ok(Operation::Order(order, number)),
            Literal::Text(_) | Literal::Net(_) => unreachable!("numbers and times are read as numbers"),
        }
    }

    fn text(&mut self, fields: &[&'static Field], name: &str, column: usize) -> Result<String, FilterError> {
        let kind = fields[0].kind;
        if kind != Kind::Text {
            return Err(error(
                column,
                format!("{name} is {}, expected a field that is a text", kind.as_str()),
            ));
        }
        let placed = self.next("a text")?;
        match placed.token {
            Token::Word(text) | Token::Quoted(text) => Ok(text),
            token => Err(error(placed.column, format!("found {}, expected a text", token.shown()))),
        }
    }

    fn list(&mut self, fields: &[&'static Field]) -> Result<Vec<Literal>, FilterError> {
        let begin = self.next("`(`")?;
        if begin.token != Token::Open {
            return Err(error(begin.column, format!("found {}, expected `(`", begin.token.shown())));
        }
        let mut values = vec![self.value(fields)?];
        loop {
            match self.tokens.next() {
                Some(Placed { token: Token::Comma, .. }) => values.push(self.value(fields)?),
                Some(Placed { token: Token::Close, .. }) => return Ok(values),
                Some(placed) => {
                    let found = placed.token.shown();
                    return Err(error(placed.column, format!("found {found}, expected `,` or `)`")));
                }
                None => return Err(error(begin.column, "the list that begins here is not closed")),
            }
        }
    }

    fn value(&mut self, fields: &[&'static Field]) -> Result<Literal, FilterError> {
        let field = fields[0];
        let placed = self.next(field.kind.as_str())?;
        let (Token::Word(text) | Token::Quoted(text)) = &placed.token else {
            let expected = field.kind.as_str();
            return Err(error(placed.column, format!("found {}, expected {expected}", placed.token.shown())));
        };
        literal(field, text).ok_or_else(|| {
            let mut suggestion = None;
            let mut message =
                format!("{} is {}: found {}", field.name, field.kind.as_str(), placed.token.shown());
            if !field.values.is_empty() {
                message =
                    format!("found {}, expected one of {}", placed.token.shown(), field.values.join(", "));
                if let Some(meant) = nearest(text, field.values.iter().copied()) {
                    message = format!("{message}; perhaps {meant}");
                    suggestion = Some(meant.to_owned());
                }
            }
            FilterError { suggestion, ..error(placed.column, message) }
        })
    }

    fn next(&mut self, expected: &str) -> Result<Placed, FilterError> {
        let end = self.end;
        self.tokens.next().ok_or_else(|| error(end, format!("the filter ends, expected {expected}")))
    }

    fn column(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |placed| placed.column)
    }

    fn take(&mut self, token: &Token) -> bool {
        self.tokens.next_if(|placed| placed.token == *token).is_some()
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_it =
            |placed: &Placed| matches!(&placed.token, Token::Word(found) if found.eq_ignore_ascii_case(word));
        self.tokens.next_if(is_it).is_some()
    }
}

fn fields(name: &str, column: usize) -> Result<Vec<&'static Field>, FilterError> {
    if let Some(field) = Field::named(name) {
        return Ok(vec![field]);
    }
    if let Some(alias) = ALIASES.iter().find(|alias| alias.name == name) {
        return Ok(alias.fields.iter().filter_map(|name| Field::named(name)).collect());
    }
    let known = FIELDS.iter().map(|field| field.name).chain(ALIASES.iter().map(|alias| alias.name));
    let meant = nearest(name, known);
    let hint = meant.map_or_else(String::new, |meant| format!(", perhaps `{meant}`"));
    let error = error(column, format!("there is no field `{name}`{hint}"));
    Err(FilterError { suggestion: meant.map(str::to_owned), ..error })
}

fn literal(field: &Field, text: &str) -> Option<Literal> {
    match field.kind {
        Kind::Text => {
            let is_possible = field.values.is_empty() || field.values.contains(&text);
            is_possible.then(|| Literal::Text(text.to_owned()))
        }
        Kind::Int => text.parse().ok().map(Literal::Int),
        Kind::Ip => net(text).map(Literal::Net),
        Kind::Time => text.parse().ok().map(|WallTime(ns)| Literal::Int(ns)),
    }
}

fn net(text: &str) -> Option<IpNet> {
    let address = text.parse().map(|ip: IpAddr| IpNet::from(ip.to_canonical()));
    address.ok().or_else(|| text.parse().ok().map(|net: IpNet| net.trunc()))
}

fn error(column: usize, message: impl Into<String>) -> FilterError {
    FilterError { column, message: message.into(), suggestion: None }
}

#[cfg(test)]
mod tests {
    use super::super::Filter;

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, column, expected) in [
            ("verdct = denied", 1, "there is no field `verdct`, perhaps `verdict`"),
            (
                "verdict = denyed",
                11,
                "found `denyed`, expected one of allowed, denied, not-covered, unknown; perhaps denied",
            ),
            ("dst.port = http", 12, "dst.port is a whole number: found `http`"),
            (
                "dst.ip = 10.0.0.0/33",
                10,
                "dst.ip is an address or a network such as 10.0.0.0/8: found `10.0.0.0/33`",
            ),
            ("(verdict = denied", 1, "the bracket that begins here is not closed"),
            ("verdict = denied)", 17, "found `)` without a `(` before it"),
            ("verdict = denied dst.port = 1", 18, "found `dst.port`, expected `and`, `or` or the end"),
            ("dst.port in (1, 2", 13, "the list that begins here is not closed"),
            ("dst.port in 1", 13, "found `1`, expected `(`"),
            ("dst.port in (1 2)", 16, "found `2`, expected `,` or `)`"),
            ("process.binary < x", 16, "process.binary is a text, only numbers and times have an order"),
            ("dst.port startswith 1", 10, "dst.port is a whole number, expected a field that is a text"),
            (
                "process.binary startwith /tmp",
                16,
                "found `startwith` after process.binary, expected a comparison, perhaps `startswith`",
            ),
            ("verdict", 8, "the filter ends, expected a comparison such as `=` or `in`"),
            ("verdict =", 10, "the filter ends, expected a text"),
            ("verdict = denied and", 21, "the filter ends, expected a field, `not` or `(`"),
            ("= 1", 1, "found `=`, expected a field"),
            ("node = \"a", 8, "the text that begins here has no \" at its end"),
            ("ü = 1", 1, "there is no field `ü`"),
            ("node = ü; and x", 9, "found `;`: a value with it stands in quotes"),
            ("!verdict = denied", 1, "found `!`, expected `!=`, or `not` before a condition"),
            (
                "time > yesterday",
                8,
                "time is an RFC 3339 time such as 2026-01-02T03:04:05Z: found `yesterday`",
            ),
        ] {
            let error = Filter::parse(text).unwrap_err();
            assert_eq!((error.column, error.message.as_str()), (column, expected), "{text}");
        }
    }

    #[test]
    fn limits_are_kept() {
        let deep = format!("{}node = a{}", "(".repeat(65), ")".repeat(65));
        assert!(Filter::parse(&deep).unwrap_err().message.starts_with("more than 64 brackets"));
        assert!(Filter::parse(&format!("{}node = a", "not ".repeat(65))).is_err());
        assert!(Filter::parse(&"x".repeat(20_000)).unwrap_err().message.contains("expected at most 16384"));
        assert!(Filter::parse(" ").unwrap().is_empty());
    }
}
