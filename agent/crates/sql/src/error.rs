//! What can go wrong with a query.

use std::error::Error;

use datafusion::common::DataFusionError;
use datafusion::common::diagnostic::Diagnostic;
use watchfire_ledger::LedgerError;

/// Why there is no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The same, met while the answer was computed: the file and what is wrong with it.
    #[error("{0}")]
    Read(String),
    /// The query is longer than queries may be.
    #[error("the query has {bytes} bytes, expected at most {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest.
        max: usize,
    },
    /// The statement would change something, or is no question to the ledger.
    #[error("{verb} is not done here: SQL asks the ledger and changes nothing; expected {expected}")]
    Refused {
        /// Its first word.
        verb: String,
        /// What can be said.
        expected: &'static str,
    },
    /// The query is not understood.
    #[error("{message}")]
    Query {
        /// What is wrong, with what may have been meant where that is known.
        message: String,
        /// Line and column where it is, from 1, where that is known.
        at: Option<(usize, usize)>,
    },
    /// The query needs more memory than it may take.
    #[error(
        "the query needs more than the {limit} bytes of memory that it may take: ask for fewer rows, columns or groups, or allow more"
    )]
    Memory {
        /// The limit.
        limit: usize,
    },
    /// The answer cannot be computed, such as a division by zero.
    #[error("{0}")]
    Compute(String),
}

impl SqlError {
    /// Of planning.
    pub(crate) fn of_query(error: &DataFusionError, limit: usize) -> Self {
        match Self::of_run(error, limit) {
            Self::Compute(message) => {
                let at = error.diagnostic().and_then(place).or_else(|| place_in(&message));
                let message = message.split(" at Line: ").next().unwrap_or_default().to_owned();
                Self::Query { message, at }
            }
            other => other,
        }
    }

    /// Of computing.
    pub(crate) fn of_run(error: &DataFusionError, limit: usize) -> Self {
        let mut file = None;
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<LedgerError>() {
                return Self::Read(chain(error));
            }
            if let Some(DataFusionError::Context(context, _)) = error.downcast_ref() {
                file = Some(context.clone());
            }
            cause = error.source();
        }
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Memory { limit },
            DataFusionError::ArrowError(error, _) if file.is_some() => {
                Self::Read(format!("{}: {error}", file.unwrap_or_default()))
            }
            root => Self::Compute(plain(root)),
        }
    }
}

/// An error and what it comes from.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The message without the names that the engine's parts have.
fn plain(error: &DataFusionError) -> String {
    let message = match error {
        DataFusionError::SQL(error, _) => error.to_string(),
        error => error.message().into_owned(),
    };
    let message = message.strip_prefix("sql parser error: ").unwrap_or(&message);
    let message = message.split("\n\nbacktrace").next().unwrap_or_default();
    // Where one column is near, the list of all is only in its way.
    let nearest = message.split("\nValid fields are").next().filter(|_| message.contains("Did you mean"));
    nearest.unwrap_or(message).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn place(diagnostic: &Diagnostic) -> Option<(usize, usize)> {
    let start = diagnostic.span?.start;
    Some((start.line.try_into().ok()?, start.column.try_into().ok()?))
}

/// The parser says places within its message.
fn place_in(message: &str) -> Option<(usize, usize)> {
    let (_, place) = message.rsplit_once("Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    let digits = column.find(|char: char| !char.is_ascii_digit()).unwrap_or(column.len());
    Some((line.parse().ok()?, column[..digits].parse().ok()?))
}
