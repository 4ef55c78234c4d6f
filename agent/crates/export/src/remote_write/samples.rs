//! What the exposition shows, as samples.

use super::wire::{Label, Sample, TimeSeries};

/// Every series of the text in Prometheus' own format, with more labels.
pub(super) fn series(text: &str, outer: &[(&str, &str)], at_ms: i64) -> Vec<TimeSeries> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| one(line, outer, at_ms)).collect()
}

/// None where the line is none that this agent writes.
fn one(line: &str, outer: &[(&str, &str)], at_ms: i64) -> Option<TimeSeries> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let label = |name: &str, value: String| Label { name: name.to_owned(), value };
    let mut all = vec![label("__name__", name.to_owned())];
    all.extend(outer.iter().map(|(name, value)| label(name, (*value).to_owned())));
    let mut rest = labels;
    while let Some((name, quoted)) = rest.split_once("=\"") {
        let (value, after) = unquoted(quoted)?;
        // An empty label is none ("Remote-Write 1.0", "Labels").
        if !value.is_empty() {
            all.push(label(name.trim_start_matches(','), value));
        }
        rest = after;
    }
    all.sort();
    Some(TimeSeries { labels: all, samples: vec![Sample { value, timestamp: at_ms }] })
}

/// The value up to its closing quote, and what follows.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_sorted_and_joined() {
        let text = "# TYPE a_total counter\na_total{z=\"1\",b=\"x\\\"\\\\,\\n}=\\\"\",empty=\"\"} 3\nb 1.5\n";
        let read = series(text, &[("job", "j")], 7);
        let labels: Vec<Vec<(&str, &str)>> = read
            .iter()
            .map(|series| series.labels.iter().map(|label| (&*label.name, &*label.value)).collect())
            .collect();
        assert_eq!(labels[0], [("__name__", "a_total"), ("b", "x\"\\,\n}=\""), ("job", "j"), ("z", "1")]);
        assert_eq!(labels[1], [("__name__", "b"), ("job", "j")]);
        let values: Vec<_> = read.iter().map(|series| series.samples[0]).collect();
        assert_eq!(values, [Sample { value: 3.0, timestamp: 7 }, Sample { value: 1.5, timestamp: 7 }]);
    }

    #[test]
    fn everything_that_an_agent_shows_is_read() {
        let text = crate::Metrics::new("1", "2").render_plain();
        let lines = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!(lines > 100);
        assert_eq!(series(&text, &[], 0).len(), lines);
    }
}
