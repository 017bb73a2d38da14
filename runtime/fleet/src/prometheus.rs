//! Metrics as text for Prometheus: its own format, version 0.0.4, and that of OpenMetrics 1.0.

use core::fmt::Write;

use bayplan_trace::quantities::{Number, Unit};

use crate::metrics::{Family, Measured, Point, Told, about, families, seconds};

/// What the text is.
pub(crate) fn content_type(open_metrics: bool) -> &'static str {
    match open_metrics {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    }
}

/// What is known of a session.
pub(crate) fn text(told: &Told<'_>, open_metrics: bool) -> String {
    let mut text = String::new();
    info(&about(told), open_metrics, &mut text);
    for family in families(told) {
        put(&family, open_metrics, &mut text);
    }
    if open_metrics {
        text += "# EOF\n";
    }
    text
}

/// Who runs what, as labels of a metric that is always 1.
fn info(about: &[(&'static str, String)], open_metrics: bool, text: &mut String) {
    let (name, kind) =
        if open_metrics { ("bayplan_session", "info") } else { ("bayplan_session_info", "gauge") };
    head(name, ("what runs, and on what", kind, ""), open_metrics, text);
    sample("bayplan_session_info", about, "1", text);
}

/// The name of a family's metric: its unit comes last.
fn name_of(family: &Family) -> (String, &'static str) {
    let unit = match family.unit {
        Unit::Bytes => "bytes",
        Unit::Nanos => "seconds",
        Unit::Ratio => "ratio",
        Unit::BytesPerSecond => "bytes_per_second",
        Unit::Count => "",
    };
    // The suffix `_count` is a summary's.
    if let Some(own) = family.name.strip_suffix("_count") {
        return (format!("bayplan_{own}_number"), "");
    }
    let own = family.name.strip_suffix(unit).map_or(family.name, |own| own.trim_end_matches('_'));
    let between = if unit.is_empty() { "" } else { "_" };
    (format!("bayplan_{own}{between}{unit}"), unit)
}

fn put(family: &Family, open_metrics: bool, text: &mut String) {
    let (name, unit) = name_of(family);
    let summary = family.points.iter().any(|point| matches!(point.value, Measured::Summary(_)));
    let (kind, suffix) = match (summary, family.cumulative) {
        (true, _) => ("summary", ""),
        (false, true) => ("counter", "_total"),
        (false, false) => ("gauge", ""),
    };
    let sampled = format!("{name}{suffix}");
    // The older format names a counter with its suffix everywhere.
    let own = if open_metrics { &name } else { &sampled };
    head(own, (family.help, kind, unit), open_metrics, text);
    for point in &family.points {
        put_point(family.unit, &sampled, point, text);
    }
}

fn put_point(unit: Unit, name: &str, point: &Point, text: &mut String) {
    match &point.value {
        Measured::Number(value) => sample(name, &point.labels, &number(unit, *value), text),
        Measured::Summary(summary) => {
            for &(share, value) in &summary.quantiles {
                let mut labels = point.labels.clone();
                labels.push(("quantile", share.to_string()));
                sample(name, &labels, &number(unit, Number::Real(value)), text);
            }
            sample(&format!("{name}_sum"), &point.labels, &number(unit, Number::Real(summary.sum)), text);
            sample(&format!("{name}_count"), &point.labels, &summary.count.to_string(), text);
        }
    }
}

fn head(name: &str, (help, kind, unit): (&str, &str, &str), open_metrics: bool, text: &mut String) {
    // The older format knows no quotes in a help text. Writing to a text cannot fail.
    let help = if open_metrics { escaped(help) } else { help.replace('\\', "\\\\").replace('\n', "\\n") };
    let _ = writeln!(text, "# HELP {name} {help}");
    let _ = writeln!(text, "# TYPE {name} {kind}");
    if open_metrics && !unit.is_empty() {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
}

fn sample(name: &str, labels: &[(&'static str, String)], value: &str, text: &mut String) {
    text.push_str(name);
    for (at, (label, of)) in labels.iter().enumerate() {
        let _ = write!(text, "{}{label}=\"{}\"", if at == 0 { '{' } else { ',' }, escaped(of));
    }
    let _ = writeln!(text, "{} {value}", if labels.is_empty() { "" } else { "}" });
}

fn number(unit: Unit, value: Number) -> String {
    match (unit, value) {
        (Unit::Nanos, value) => seconds(value.as_f64()).to_string(),
        (_, Number::Whole(value)) => value.to_string(),
        (_, Number::Real(value)) if value.is_infinite() => {
            (if value > 0.0 { "+Inf" } else { "-Inf" }).to_owned()
        }
        (_, Number::Real(value)) => value.to_string(),
    }
}

/// A label's value, or a help text of OpenMetrics, with what must be escaped in it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Summary;

    fn family(name: &'static str, unit: Unit, cumulative: bool, points: Vec<Point>) -> Family {
        Family { name, help: "a \"help\"", unit, cumulative, points }
    }

    fn one(value: Measured) -> Vec<Point> {
        vec![Point { labels: Vec::new(), value }]
    }

    fn written(family: &Family, open_metrics: bool) -> String {
        let mut text = String::new();
        put(family, open_metrics, &mut text);
        text
    }

    #[test]
    fn counters_gauges_and_summaries_in_both_formats() {
        let whole = |value| Measured::Number(Number::Whole(value));
        let runs = family("runs", Unit::Count, true, one(whole(u64::MAX)));
        assert_eq!(
            written(&runs, false),
            "# HELP bayplan_runs_total a \"help\"\n# TYPE bayplan_runs_total counter\n\
             bayplan_runs_total 18446744073709551615\n"
        );
        assert_eq!(
            written(&runs, true),
            "# HELP bayplan_runs a \\\"help\\\"\n# TYPE bayplan_runs counter\n\
             bayplan_runs_total 18446744073709551615\n"
        );
        let times = Summary { count: 2, sum: 3e9, quantiles: vec![(0.5, 1e6), (1.0, 2_000_000_001.0)] };
        assert_eq!(
            written(&family("op_time", Unit::Nanos, false, one(Measured::Summary(times))), true),
            "# HELP bayplan_op_time_seconds a \\\"help\\\"\n# TYPE bayplan_op_time_seconds summary\n\
             # UNIT bayplan_op_time_seconds seconds\n\
             bayplan_op_time_seconds{quantile=\"0.5\"} 0.001\n\
             bayplan_op_time_seconds{quantile=\"1\"} 2.000000001\n\
             bayplan_op_time_seconds_sum 3\nbayplan_op_time_seconds_count 2\n"
        );
        let share =
            |value| written(&family("waste", Unit::Ratio, false, one(Measured::Number(value))), false);
        assert!(share(Number::Real(0.25)).ends_with("\nbayplan_waste_ratio 0.25\n"));
        assert!(share(Number::Real(f64::INFINITY)).ends_with(" +Inf\n"));
        assert!(share(Number::Real(f64::NAN)).ends_with(" NaN\n"));
    }

    #[test]
    fn names_have_their_unit_once_and_last() {
        let name = |name, unit| name_of(&family(name, unit, false, Vec::new())).0;
        assert_eq!(name("peak", Unit::Bytes), "bayplan_peak_bytes");
        assert_eq!(name("deviation_bytes", Unit::Bytes), "bayplan_deviation_bytes");
        assert_eq!(name("trace_cost", Unit::Ratio), "bayplan_trace_cost_ratio");
        assert_eq!(name("hole_count", Unit::Count), "bayplan_hole_number");
    }

    #[test]
    fn labels_cannot_leave_their_quotes() {
        let labels = vec![("arena", "a\"} 1\nb\\".to_owned())];
        let point = Point { labels, value: Measured::Number(Number::Whole(1)) };
        let text = written(&family("peak", Unit::Bytes, false, vec![point]), false);
        assert!(text.ends_with("\nbayplan_peak_bytes{arena=\"a\\\"} 1\\nb\\\\\"} 1\n"), "{text}");
    }

    #[test]
    fn every_figure_of_the_table_has_a_name_of_its_own() {
        let mut names: Vec<String> = bayplan_trace::quantities::QUANTITIES
            .iter()
            .map(|row| name_of(&family(row.name, row.unit, row.cumulative, Vec::new())).0)
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
        let plain =
            |name: &String| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        assert!(names.iter().all(plain), "{names:?}");
    }
}
