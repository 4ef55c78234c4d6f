//! DNS queries that wait for their answer.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use watchfire_dissect::dns::Question;
use watchfire_model::Flow;

/// Most queries that wait.
pub(crate) const QUERIES_MAX: usize = 16_384;
/// Most queries with the same id from one socket to one server.
pub(crate) const QUERIES_ALIKE_MAX: usize = 8;
/// How long an answer is waited for, nanoseconds. Resolvers ask again after five seconds.
pub(crate) const ANSWER_TIMEOUT_NS: u64 = 10_000_000_000;

/// A query.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Query {
    pub(crate) flow: Flow,
    pub(crate) sent_ns: u64,
    pub(crate) id: u16,
    pub(crate) name: String,
    pub(crate) query_type: Cow<'static, str>,
}

/// What an answer has in common with its query before names are compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    cookie: u64,
    server: SocketAddr,
    id: u16,
}

/// Queries that wait for their answer.
#[derive(Default, Debug)]
pub(crate) struct Queries {
    /// In the order of their asking.
    open: BTreeMap<u64, Query>,
    alike: HashMap<Key, Vec<u64>>,
    next: u64,
    evicted: u64,
}

impl Query {
    const fn key(&self) -> Key {
        Key { cookie: self.flow.cookie, server: self.flow.server, id: self.id }
    }

    fn is_asked_by(&self, question: &Question) -> bool {
        self.name.eq_ignore_ascii_case(&question.name) && self.query_type == question.query_type
    }
}

impl Queries {
    /// A query was sent. One that is sent again waits besides the first: each gets its record.
    pub(crate) fn put(&mut self, query: Query) {
        let number = self.next;
        self.next += 1;
        let alike = self.alike.entry(query.key()).or_default();
        alike.push(number);
        let surplus = (alike.len() > QUERIES_ALIKE_MAX).then(|| alike[0]);
        self.open.insert(number, query);
        let oldest = (self.open.len() > QUERIES_MAX).then(|| self.open.first_key_value());
        let evicted = surplus.or(oldest.flatten().map(|(number, _)| *number));
        if let Some(number) = evicted {
            self.remove(number);
            self.evicted += 1;
        }
    }

    /// The query, of those that were sent over the flow, that was answered: the oldest where it was sent again. An answer
    /// that does not repeat the question fits where no other query could be meant.
    pub(crate) fn answered(&mut self, flow: &Flow, id: u16, question: Option<&Question>) -> Option<Query> {
        let alike = self.alike.get(&Key { cookie: flow.cookie, server: flow.server, id })?;
        let number = match question {
            Some(question) => alike
                .iter()
                .find(|number| self.open.get(number).is_some_and(|query| query.is_asked_by(question))),
            None if alike.len() == 1 => alike.first(),
            None => None,
        };
        self.remove(*number?)
    }

    /// The next query that has waited too long.
    pub(crate) fn unanswered(&mut self, now_ns: u64) -> Option<Query> {
        let (number, query) = self.open.first_key_value()?;
        if query.sent_ns + ANSWER_TIMEOUT_NS > now_ns {
            return None;
        }
        self.remove(*number)
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many were forgotten because of [`QUERIES_MAX`] or [`QUERIES_ALIKE_MAX`].
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn remove(&mut self, number: u64) -> Option<Query> {
        let query = self.open.remove(&number)?;
        let key = query.key();
        if let Some(alike) = self.alike.get_mut(&key) {
            alike.retain(|other| *other != number);
            if alike.is_empty() {
                self.alike.remove(&key);
            }
        }
        Some(query)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::flow;
    use super::*;

    fn query(cookie: u64, id: u16, name: &str, sent_ns: u64) -> Query {
        let flow = Flow { cookie, ..flow() };
        Query { flow, sent_ns, id, name: name.to_owned(), query_type: "A".into() }
    }

    fn question(name: &str, query_type: &'static str) -> Question {
        Question { name: name.to_owned(), query_type: query_type.into(), class: "IN".into() }
    }

    #[test]
    fn an_answer_finds_its_query_once() {
        let mut queries = Queries::default();
        let asked = query(1, 7, "db.example", 5);
        queries.put(asked.clone());
        let answered = |queries: &mut Queries, flow: Flow, id, name, query_type| {
            queries.answered(&flow, id, Some(&question(name, query_type)))
        };
        let flow = asked.flow;
        let elsewhere = Flow { server: "192.0.2.9:53".parse().unwrap(), ..flow };
        for (flow, id, name, query_type) in [
            (Flow { cookie: 2, ..flow }, 7, "db.example", "A"),
            (elsewhere, 7, "db.example", "A"),
            (flow, 8, "db.example", "A"),
            (flow, 7, "db2.example", "A"),
            (flow, 7, "db.example", "AAAA"),
        ] {
            assert_eq!(answered(&mut queries, flow, id, name, query_type), None, "{id} {name} {query_type}");
        }
        assert_eq!(answered(&mut queries, flow, 7, "DB.Example", "A"), Some(asked));
        assert_eq!(answered(&mut queries, flow, 7, "db.example", "A"), None);
        assert_eq!((queries.len(), queries.alike.len()), (0, 0));
    }

    #[test]
    fn an_answer_without_its_question_fits_a_single_query() {
        let mut queries = Queries::default();
        let (first, second) = (query(1, 7, "a.example", 5), query(1, 7, "b.example", 6));
        queries.put(first.clone());
        queries.put(second.clone());
        assert_eq!(queries.answered(&first.flow, 7, None), None);
        assert_eq!(queries.answered(&first.flow, 7, Some(&question("b.example", "A"))), Some(second));
        assert_eq!(queries.answered(&first.flow, 7, None), Some(first));
    }

    #[test]
    fn the_oldest_of_the_same_is_answered_first_and_the_rest_times_out() {
        let mut queries = Queries::default();
        for sent_ns in [5, 6] {
            queries.put(query(1, 7, "a.example", sent_ns));
        }
        let flow = query(1, 7, "", 0).flow;
        assert_eq!(queries.answered(&flow, 7, Some(&question("a.example", "A"))).unwrap().sent_ns, 5);
        assert_eq!(queries.unanswered(5 + ANSWER_TIMEOUT_NS), None);
        assert_eq!(queries.unanswered(6 + ANSWER_TIMEOUT_NS).unwrap().sent_ns, 6);
        assert_eq!(queries.unanswered(u64::MAX), None);
    }

    #[test]
    fn the_limits_hold_and_are_counted() {
        let mut queries = Queries::default();
        for n in 0..QUERIES_MAX as u64 + 3 {
            queries.put(query(n, 7, "a.example", n));
        }
        assert_eq!((queries.len(), queries.alike.len(), queries.evicted()), (QUERIES_MAX, QUERIES_MAX, 3));
        assert_eq!(queries.unanswered(u64::MAX).unwrap().sent_ns, 3);
        let mut queries = Queries::default();
        for n in 0..QUERIES_ALIKE_MAX as u64 + 2 {
            queries.put(query(1, 7, "a.example", n));
        }
        assert_eq!((queries.len(), queries.evicted()), (QUERIES_ALIKE_MAX, 2));
        assert_eq!(queries.unanswered(u64::MAX).unwrap().sent_ns, 2);
    }
}
