//! One file for each view. A view says which columns and rows it has, and draws into a buffer.

mod closer;
mod drops;
mod flows;
mod frame;
mod help;
mod loss;
mod processes;
mod talkers;
mod verdicts;

use super::state::State;
use super::table::{Column, Row, Sort};

pub(crate) use self::frame::draw;

/// The views, in the order of their keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum View {
    Flows,
    Talkers,
    Verdicts,
    Processes,
    Drops,
    Loss,
}

impl View {
    pub(crate) const ALL: [Self; 6] =
        [Self::Flows, Self::Talkers, Self::Verdicts, Self::Processes, Self::Drops, Self::Loss];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Flows => "flows",
            Self::Talkers => "talkers",
            Self::Verdicts => "verdicts",
            Self::Processes => "processes",
            Self::Drops => "drops",
            Self::Loss => "loss",
        }
    }

    pub(crate) const fn columns(self) -> &'static [Column] {
        match self {
            Self::Flows => flows::COLUMNS,
            Self::Talkers => talkers::COLUMNS,
            Self::Verdicts => verdicts::COLUMNS,
            Self::Processes => processes::COLUMNS,
            Self::Drops => drops::COLUMNS,
            Self::Loss => loss::COLUMNS,
        }
    }

    /// How it is sorted until somebody sorts it otherwise.
    pub(crate) const fn first_sort(self) -> Sort {
        match self {
            Self::Flows => flows::FIRST_SORT,
            Self::Talkers => talkers::FIRST_SORT,
            Self::Verdicts => verdicts::FIRST_SORT,
            Self::Processes => processes::FIRST_SORT,
            Self::Drops => drops::FIRST_SORT,
            Self::Loss => loss::FIRST_SORT,
        }
    }

    /// All its rows, in no order.
    fn rows(self, state: &State, now_ns: i64) -> Vec<Row> {
        match self {
            Self::Flows => flows::rows(state, now_ns),
            Self::Talkers => talkers::rows(state, now_ns),
            Self::Verdicts => verdicts::rows(state, now_ns),
            Self::Processes => processes::rows(state, now_ns),
            Self::Drops => drops::rows(state, now_ns),
            Self::Loss => loss::rows(state, now_ns),
        }
    }

    /// What its rows add up to, in a line.
    fn summary(self, state: &State, now_ns: i64) -> String {
        match self {
            Self::Flows => flows::summary(state, now_ns),
            Self::Talkers => talkers::summary(state),
            Self::Verdicts => verdicts::summary(state),
            Self::Processes => processes::summary(state, now_ns),
            Self::Drops => drops::summary(state),
            Self::Loss => loss::summary(state),
        }
    }
}

/// `, 12 evicted`, where there were any.
fn evicted(evicted: u64) -> String {
    if evicted == 0 { String::new() } else { format!(", {evicted} evicted") }
}
