//! The query of a request for records.

use std::time::{SystemTime, UNIX_EPOCH};

use watchfire_ledger::{Families, Filter, SearchQuery, nearest};
use watchfire_model::WallTime;

use crate::cursor::Cursor;
use crate::event_id::EventId;
use crate::limits::PAGE_RECORDS_MAX;
use crate::moment;
use crate::problem::{Problem, ProblemKind};

/// Names of all parameters.
pub const PARAMETERS: [&str; 6] = ["filter", "since", "until", "limit", "cursor", "follow"];

/// What is asked for.
#[derive(Clone, Default, Debug)]
pub(crate) struct Parameters {
    pub(crate) filter: Filter,
    pub(crate) since: Option<WallTime>,
    pub(crate) until: Option<WallTime>,
    pub(crate) limit: Option<usize>,
    pub(crate) cursor: Option<Cursor>,
    /// A cursor that is the id of an event.
    pub(crate) event_id: Option<EventId>,
    pub(crate) follow: bool,
}

impl Parameters {
    /// Reads a query of which these parameters may be there.
    pub(crate) fn read(query: &str, allowed: &[&'static str], families: Families) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(name) = allowed.iter().copied().find(|known| *known == name) else {
                let allowed_here = match allowed {
                    [] => "none is known here".to_owned(),
                    _ => format!("expected {}", allowed.join(", ")),
                };
                let detail = format!("unknown parameter {:?}: {allowed_here}", shortened(&name));
                let meant = nearest(&name, allowed.iter().copied()).map(str::to_owned);
                return Err(Problem::new(ProblemKind::BadParameter, detail).meant(meant));
            };
            if seen.contains(&name) {
                return Err(bad(name, "it is there twice"));
            }
            seen.push(name);
            parameters.take(name, &value, families)?;
        }
        if let (Some(since), Some(until)) = (parameters.since, parameters.until)
            && since > until
        {
            return Err(bad("since", format!("{since} is after until, which is {until}")));
        }
        Ok(parameters)
    }

    fn take(&mut self, name: &'static str, value: &str, families: Families) -> Result<(), Problem> {
        let failed = |why: &dyn std::fmt::Display| bad(name, format!("found {:?}, {why}", shortened(value)));
        match name {
            "filter" => self.filter = filter(value, families)?,
            "since" => self.since = Some(moment::parse(value).map_err(|why| failed(&why))?),
            "until" => self.until = Some(moment::parse(value).map_err(|why| failed(&why))?),
            "cursor" => match value.parse() {
                Ok(id) => self.event_id = Some(id),
                Err(_) => self.cursor = Some(value.parse().map_err(|why| failed(&why))?),
            },
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=PAGE_RECORDS_MAX).contains(number));
                let expected = format!("expected a whole number from 1 to {PAGE_RECORDS_MAX}");
                self.limit = Some(number.ok_or_else(|| failed(&expected))?);
            }
            _ => self.follow = value.parse().map_err(|_| failed(&"expected true or false"))?,
        }
        Ok(())
    }

    pub(crate) fn query(&self, families: Families) -> SearchQuery {
        let behind = self.cursor.map(|cursor| cursor.time);
        SearchQuery {
            families,
            filter: self.filter.clone(),
            since: self.since.max(behind),
            until: self.until,
            ..SearchQuery::default()
        }
    }

    /// Whether a record is behind the page before.
    pub(crate) fn is_new(&self, time: WallTime, seq: u64) -> bool {
        self.cursor.is_none_or(|cursor| (cursor.time, cursor.seq) < (time, seq))
    }
}

fn filter(text: &str, families: Families) -> Result<Filter, Problem> {
    let filter = Filter::parse(text).map_err(|error| {
        Problem::new(ProblemKind::BadFilter, error.message)
            .of("filter")
            .at(error.column)
            .meant(error.suggestion)
    })?;
    match filter.foreign_fields(families).first() {
        Some(field) => {
            let detail = format!("{field} is no field of these records");
            Err(Problem::new(ProblemKind::BadFilter, detail).of("filter"))
        }
        None => Ok(filter),
    }
}

fn bad(parameter: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::BadParameter, detail).of(parameter)
}

/// The beginning of what a client sent, for a message to it.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Refuses the id of an event where pages and streams are asked for: they are in the order of time.
pub(crate) fn refuse_event_id(parameters: &Parameters) -> Result<(), Problem> {
    match parameters.event_id {
        Some(_) => Err(bad("cursor", "it is the id of an event, which goes with follow=true alone")),
        None => Ok(()),
    }
}

/// The wall clock.
pub(crate) fn now() -> WallTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}
