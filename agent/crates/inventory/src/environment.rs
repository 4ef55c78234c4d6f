//! Which variables of the environment are kept.

use serde::Deserialize;

/// Most names that may be configured.
pub const VARIABLES_MAX: usize = 256;

/// The name of a variable, or the beginning of names with `*` for any rest.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct VariableName(String);

impl VariableName {
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == self.0,
        }
    }
}

impl TryFrom<String> for VariableName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let beginning = name.strip_suffix('*').unwrap_or(&name);
        if name.is_empty() || beginning.contains(['*', '=', '\0']) {
            return Err(format!(
                "found `{name}`, expected the name of a variable, or its beginning and `*` for any rest"
            ));
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_beginnings() {
        let name = |text: &str| VariableName::try_from(text.to_owned());
        for (pattern, variable, expected) in
            [("PATH", "PATH", true), ("PATH", "PATHS", false), ("LD_*", "LD_PRELOAD", true), ("*", "X", true)]
        {
            assert_eq!(name(pattern).unwrap().matches(variable), expected, "{pattern} {variable}");
        }
        for wrong in ["", "A*B", "A=b", "**"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
