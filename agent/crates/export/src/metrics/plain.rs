//! The exposition in Prometheus' own text format, for whoever does not ask for OpenMetrics.

/// Turns OpenMetrics text, as the registry writes it, into version 0.0.4 of the older format: there the name of a
/// family is that of its series, units are no lines of their own, and nothing marks the end.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            plain.push_str(line);
            plain.push('\n');
            continue;
        };
        let Some((word, rest)) = comment.split_once(' ') else { continue };
        match (word, rest.split_once(' ')) {
            ("HELP", Some((_, text))) => help = Some(text),
            ("TYPE", Some((name, kind))) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    other => ("", other),
                };
                if let Some(help) = help.take() {
                    plain.push_str(&format!("# HELP {name}{suffix} {help}\n"));
                }
                plain.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
            }
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_named_as_their_series() {
        let open = "# HELP a_seconds How long.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
                    a_seconds_total 3\n# HELP b Which.\n# TYPE b info\nb_info{c=\"# HELP\"} 1\n\
                    # HELP d Size.\n# TYPE d gauge\nd 1\n# EOF\n";
        let plain = "# HELP a_seconds_total How long.\n# TYPE a_seconds_total counter\na_seconds_total 3\n\
                     # HELP b_info Which.\n# TYPE b_info gauge\nb_info{c=\"# HELP\"} 1\n\
                     # HELP d Size.\n# TYPE d gauge\nd 1\n";
        assert_eq!(from_open_metrics(open), plain);
    }
}
