//! Reading YAML and, as its subset, JSON.

use serde::de::DeserializeOwned;
use serde_saphyr::{Options, UserMessageFormatter};

/// Sizes that one document may reach: ten thousand policies in one list, with room to spare.
const NODES_MAX: usize = 5_000_000;
const EVENTS_MAX: usize = 10_000_000;

/// Why a text cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReadError {
    /// Line within the text, from 1, where the parser knows it.
    pub(crate) line: Option<u64>,
    pub(crate) reason: String,
}

/// Reads one document. Plain scalars that YAML 1.1 takes for numbers or booleans are refused where a string is
/// expected, as `kubectl` refuses them: `name: 1` and `namespace: y` are mistakes there as well.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, ReadError> {
    let mut path = None;
    let result = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        let mut track = serde_path_to_error::Track::new();
        let result = T::deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track));
        path = result.is_err().then(|| track.path().to_string());
        result
    });
    result.map_err(|error| {
        let rendered = error.without_snippet().render_with_formatter(&UserMessageFormatter);
        // The parser counts lines from the start of the text it was given; callers know where that lies in the file.
        let message = match rendered.rsplit_once(" at line ") {
            Some((message, place)) if place.starts_with(|c: char| c.is_ascii_digit()) => message,
            _ => &rendered,
        };
        ReadError {
            line: error.location().map(|location| location.line()),
            reason: at_path(path.as_deref().unwrap_or_default(), message),
        }
    })
}

/// Reads a part of a document that has been read as a value.
pub(crate) fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| at_path(&error.path().to_string(), &error.inner().to_string()))
}

/// The tracker writes `.` for the root and `?` for what it has lost.
fn at_path(path: &str, message: &str) -> String {
    if path.is_empty() || path == "." || path.contains('?') {
        message.to_owned()
    } else {
        format!("{path}: {message}")
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        with_snippet: false,
        no_schema: true,
        budget: serde_saphyr::budget! { max_nodes: NODES_MAX, max_events: EVENTS_MAX },
    }
}
