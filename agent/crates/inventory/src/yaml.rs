//! Strict YAML: an error names the file, the line and column, the key, and what was expected there.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use serde::de::DeserializeOwned;

/// Largest YAML file that is read, bytes.
pub const YAML_FILE_BYTES_MAX: u64 = 64 << 20;

/// Why a YAML file was not taken.
#[derive(thiserror::Error, Debug)]
pub enum YamlError {
    /// It could not be read.
    #[error("cannot read {}", .file.display())]
    Read {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than [`YAML_FILE_BYTES_MAX`].
    #[error("{} is larger than {YAML_FILE_BYTES_MAX} bytes", .file.display())]
    TooLarge {
        /// Which file.
        file: PathBuf,
    },
    /// Its text has not the expected form.
    #[error("{}:{at}: {}{message}", .file.display(), Key(.key))]
    Form {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        at: Position,
        /// Path of the key, e.g. `pods[3].ips[0]`; empty at the top.
        key: String,
        /// What is wrong and what was expected.
        message: String,
    },
}

/// A place in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

struct Key<'a>(&'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

/// Reads and parses a file.
pub fn read<T: DeserializeOwned>(file: &Path) -> Result<T, YamlError> {
    let text = read_text(file)?;
    parse(file, &text)
}

fn read_text(file: &Path) -> Result<String, YamlError> {
    let failed = |source| YamlError::Read { file: file.to_owned(), source };
    let mut text = String::new();
    let opened = fs::File::open(file).map_err(failed)?;
    let read = opened.take(YAML_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if read as u64 > YAML_FILE_BYTES_MAX {
        return Err(YamlError::TooLarge { file: file.to_owned() });
    }
    Ok(text)
}

/// Parses the text of a file; the name is for the error only. An empty text, or one of comments alone, is an empty map.
pub fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, YamlError> {
    let blank = text.lines().all(|line| matches!(line.trim(), "" | "---") || line.trim().starts_with('#'));
    let text = if blank { "{}" } else { text };

    let mut key = String::new();
    let result = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            if !matches!(path.as_str(), "." | "?") {
                key = path;
            }
            error.into_inner()
        })
    });
    result.map_err(|error| {
        let error = error.without_snippet();
        let at = error.location();
        let at = at
            .map_or(Position { line: 1, column: 1 }, |at| Position { line: at.line(), column: at.column() });
        YamlError::Form { file: file.to_owned(), at, key, message: message(error) }
    })
}

/// The parser's words, in terms of what to write instead; without the position, which stands in front already.
fn message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error {
        Error::InvalidScalar { ty, .. } => format!("expected {}", scalar(ty)),
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            format!("found {unexpected}, expected {expected}")
        }
        Error::Unexpected { expected, .. } => format!("expected {}", shape(expected)),
        Error::DuplicateMappingKey { key, .. } => match key {
            Some(key) => format!("the key `{key}` stands there twice, expected it once"),
            None => "a key stands there twice, expected it once".to_owned(),
        },
        _ => {
            let text = error.to_string();
            text.split(" at line ").next().unwrap_or_default().trim_end().to_owned()
        }
    }
}

fn scalar(rust: &str) -> &str {
    match rust {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "bool" | "boolean" => "true or false",
        other => other,
    }
}

fn shape(parser: &str) -> &str {
    match parser {
        "sequence start" => "a list",
        "mapping start" => "a map of keys to values",
        "string scalar" => "a text",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Outer {
        #[serde(rename = "inner")]
        _inner: Vec<Inner>,
        #[serde(rename = "address")]
        _address: Option<std::net::IpAddr>,
        #[serde(rename = "strict")]
        _strict: bool,
        #[serde(rename = "name")]
        _name: String,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "port")]
        _port: u16,
    }

    #[test]
    fn errors_name_place_key_and_expectation() {
        for (text, expected) in [
            (
                "inner:\n  - port: 1\n  - port: many\n",
                "f.yaml:3:11: inner[1].port: expected a whole number from 0 to 65535",
            ),
            (
                "inner:\n  - port: 1\n    prot: tcp\n",
                "f.yaml:3:5: inner[0].prot: unknown field `prot`, expected one of port",
            ),
            (
                "iner: []\n",
                "f.yaml:1:1: iner: unknown field `iner`, expected one of inner, address, strict, name",
            ),
            ("address: 10.0.0.400\n", "f.yaml:1:10: address: invalid IP address syntax"),
            ("inner:\n  - {}\n", "f.yaml:2:5: inner[0]: missing field `port`"),
            ("inner: 4\n", "f.yaml:1:8: inner: expected a list"),
            ("inner: [\n", "f.yaml:1:8: inner: unclosed bracket '['"),
            ("inner: []\ninner: []\n", "f.yaml:2:1: the key `inner` stands there twice, expected it once"),
            ("- a\n", "f.yaml:1:1: expected a map of keys to values"),
            ("strict: maybe\n", "f.yaml:1:9: strict: expected true or false"),
            ("name: [a]\n", "f.yaml:1:7: name: expected a text"),
        ] {
            assert_eq!(parse::<Outer>(Path::new("f.yaml"), text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn blank_texts_are_empty_maps() {
        for text in ["", "\n", "# nothing\n---\n"] {
            parse::<Outer>(Path::new("f.yaml"), text).unwrap();
        }
    }
}
