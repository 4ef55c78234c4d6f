//! Lists with a limit, and what stands in them.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use watchfire_model::{capability_name, capability_number};
use watchfire_sensor::FILTER_COMPONENT_BYTES_MAX;

/// At most `MAX` entries.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(try_from = "Vec<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub(crate) struct Limited<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Limited<T, MAX> {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    pub(crate) const fn as_slice(&self) -> &[T] {
        self.0.as_slice()
    }
}

impl<T, const MAX: usize> Default for Limited<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for Limited<T, MAX> {
    type Error = String;

    fn try_from(list: Vec<T>) -> Result<Self, String> {
        if list.len() > MAX {
            return Err(format!("found {} entries, expected at most {MAX}", list.len()));
        }
        Ok(Self(list))
    }
}

/// A path of the file filter: absolute, `*` for any one component.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WatchedPath(String);

impl fmt::Display for WatchedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for WatchedPath {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        let Some(below_root) = path.strip_prefix('/') else {
            return Err(format!("found `{path}`, expected an absolute path"));
        };
        let trimmed = below_root.strip_suffix('/').unwrap_or(below_root);
        for name in trimmed.split('/').filter(|_| !trimmed.is_empty()) {
            if matches!(name, "" | "." | "..") {
                return Err(format!(
                    "found `{path}`, expected a path without empty components, `.` and `..`"
                ));
            }
            if name.contains('*') && name != "*" {
                return Err(format!(
                    "found `{path}`, expected `*` as a whole component: it stands for any one"
                ));
            }
            if name.len() > FILTER_COMPONENT_BYTES_MAX {
                return Err(format!(
                    "found `{path}`, expected components of at most {FILTER_COMPONENT_BYTES_MAX} bytes"
                ));
            }
        }
        Ok(Self(format!("/{trimmed}")))
    }
}

/// A path of the host, absolute.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "PathBuf")]
pub(crate) struct AbsolutePath(PathBuf);

impl AbsolutePath {
    pub(crate) fn to_path_buf(&self) -> PathBuf {
        self.0.clone()
    }
}

impl TryFrom<PathBuf> for AbsolutePath {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        if path.is_absolute() {
            return Ok(Self(path));
        }
        Err(format!("found `{}`, expected an absolute path", path.display()))
    }
}

impl std::str::FromStr for AbsolutePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        PathBuf::from(text).try_into()
    }
}

/// A port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "u16")]
pub(crate) struct Port(u16);

impl Port {
    pub(crate) const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Port {
    type Error = String;

    fn try_from(port: u16) -> Result<Self, String> {
        match port {
            0 => Err(format!("found {port}, expected a port from 1 to {}", u16::MAX)),
            _ => Ok(Self(port)),
        }
    }
}

/// A capability by its name, kept by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Capability(u32);

impl Capability {
    pub(crate) const fn bit(self) -> u64 {
        1 << self.0
    }
}

impl TryFrom<String> for Capability {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        capability_number(&name).map(Self).ok_or_else(|| {
            format!("found `{name}`, expected the name of a capability, such as {}", capability_name(21))
        })
    }
}
