//! Counters as the agent's metrics show them.

use std::collections::HashMap;

/// Values by the name and labels as they are written.
#[derive(Debug)]
pub(crate) struct Samples(HashMap<String, u64>);

impl Samples {
    /// Of a text exposition; what is no whole number is left out.
    pub(crate) fn of(text: &str) -> Self {
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// How much a counter of records of a kind has grown.
    pub(crate) fn grown(&self, before: &Self, name: &str, kind: &str) -> u64 {
        let series = format!("{name}{{kind=\"{kind}\"}}");
        self.value(&series).saturating_sub(before.value(&series))
    }

    /// How much all series of a name have grown together.
    pub(crate) fn grown_all(&self, before: &Self, name: &str) -> u64 {
        let of = |samples: &Self| {
            let is_asked =
                |series: &str| series.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
            samples.0.iter().filter(|(series, _)| is_asked(series)).map(|(_, value)| value).sum::<u64>()
        };
        of(self).saturating_sub(of(before))
    }

    /// All series of a name that have these labels: the labels' values and their own.
    pub(crate) fn labelled<'a, const N: usize>(
        &'a self,
        name: &'a str,
        labels: [&'a str; N],
    ) -> impl Iterator<Item = ([&'a str; N], u64)> {
        self.0.iter().filter_map(move |(series, value)| {
            let rest = series.strip_prefix(name)?.strip_prefix('{')?;
            let values = labels.map(|key| label(rest, key));
            values.iter().all(Option::is_some).then(|| (values.map(Option::unwrap_or_default), *value))
        })
    }

    fn value(&self, series: &str) -> u64 {
        self.0.get(series).copied().unwrap_or(0)
    }
}

/// The value of a label, in which nothing is escaped.
fn label<'a>(labels: &'a str, key: &str) -> Option<&'a str> {
    labels.split("\",").find_map(|pair| pair.strip_prefix(key)?.strip_prefix("=\""))?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_by_kind_and_of_all() {
        let before =
            Samples::of("# TYPE x counter\nx_total{kind=\"a\"} 1\nx_total{kind=\"b\"} 2\nx_total_more{} 9\n");
        let after =
            Samples::of("x_total{kind=\"a\"} 5\nx_total{kind=\"b\"} 2\nx_total{kind=\"c\"} 3\ny 0.5\n");
        assert_eq!(after.grown(&before, "x_total", "a"), 4);
        assert_eq!(after.grown(&before, "x_total", "c"), 3);
        assert_eq!(after.grown_all(&before, "x_total"), 7);
    }

    #[test]
    fn labels_by_their_names() {
        let samples = Samples::of("x{a=\"1, 2\",b=\"/c\"} 3\nx{a=\"4\"} 5\nxy{a=\"1\",b=\"2\"} 6\n");
        assert_eq!(samples.labelled("x", ["b", "a"]).collect::<Vec<_>>(), [(["/c", "1, 2"], 3)]);
        assert_eq!(samples.labelled("x", ["a"]).map(|(_, value)| value).sum::<u64>(), 8);
    }
}
