//! YAML as people write it: block style, keys in the order in which they are put.

/// Words that YAML 1.1, which `kubectl` reads, takes for something else than text.
const WORDS: [&str; 11] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"];

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Yaml {
    Text(String),
    Number(u64),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Yaml {
    pub(super) fn text_of(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// Texts by their keys.
    pub(super) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.clone(), Self::text_of(value))).collect())
    }

    /// A document.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0, false);
        text
    }

    /// Writes it where a line has begun, or behind the `- ` of a list where `in_list`.
    fn write(&self, text: &mut String, indent: usize, in_list: bool) {
        match self {
            Self::Text(_) | Self::Number(_) => *text += &format!("{}\n", self.inline()),
            Self::List(entries) if entries.is_empty() => *text += "[]\n",
            Self::Map(entries) if entries.is_empty() => *text += "{}\n",
            Self::List(entries) => {
                for entry in entries {
                    *text += &format!("{:indent$}- ", "");
                    entry.write(text, indent + 2, true);
                }
            }
            Self::Map(entries) => {
                for (at, (key, value)) in entries.iter().enumerate() {
                    let indent_here = if at == 0 && in_list { 0 } else { indent };
                    *text += &format!("{:indent_here$}{}:", "", scalar(key));
                    if value.is_inline() {
                        *text += &format!(" {}\n", value.inline());
                    } else {
                        *text += "\n";
                        value.write(text, indent + 2, false);
                    }
                }
            }
        }
    }

    const fn is_inline(&self) -> bool {
        match self {
            Self::Text(_) | Self::Number(_) => true,
            Self::List(entries) => entries.is_empty(),
            Self::Map(entries) => entries.is_empty(),
        }
    }

    fn inline(&self) -> String {
        match self {
            Self::Text(text) => scalar(text),
            Self::Number(number) => number.to_string(),
            Self::List(_) => "[]".to_owned(),
            Self::Map(_) => "{}".to_owned(),
        }
    }
}

/// Text as it is where nothing can take it for something else, in quotes otherwise.
fn scalar(text: &str) -> String {
    let is_plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    let is_plain = text.bytes().all(is_plain_byte)
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let map = Yaml::map([
            ("plain", Yaml::text_of("a.b/c-d_e")),
            ("no", Yaml::text_of("yes")),
            ("port", Yaml::text_of("80")),
            ("number", Yaml::Number(80)),
            ("odd", Yaml::text_of("a: b # \"c\"\n")),
            ("empty", Yaml::List(Vec::new())),
            ("all", Yaml::Map(Vec::new())),
            (
                "list",
                Yaml::List(vec![
                    Yaml::map([("a", Yaml::text_of("x")), ("b", Yaml::map([("c", Yaml::text_of(""))]))]),
                    Yaml::text_of("1e3"),
                    Yaml::Map(Vec::new()),
                ]),
            ),
        ]);
        let (values, rejected) = watchfire_policy::parse_values("x", &map.text());
        assert_eq!(rejected, []);
        let expected = serde_json::json!({
            "plain": "a.b/c-d_e", "no": "yes", "port": "80", "number": 80, "odd": "a: b # \"c\"\n", "empty": [],
            "all": {}, "list": [{ "a": "x", "b": { "c": "" } }, "1e3", {}],
        });
        assert_eq!(values[0].1, expected, "{}", map.text());
    }
}
