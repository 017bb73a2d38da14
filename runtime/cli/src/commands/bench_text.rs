//! What `bayplan bench` says.

use std::time::Duration;

use bayplan_plan::{Plan, Status};
use bayplan_text::{Bytes, Count, Nanos, ellipsis};
use serde_json::{Value, json};

use super::bench::{Measured, Row};
use crate::args::BenchOptions;
use crate::out::counted;

/// Version of the JSON that this command prints.
const VERSION: u32 = 1;

/// Columns of an instance's name.
const NAME: usize = 22;

/// A line of the table; the status comes last, for it has no width of its own.
fn line(cells: [&str; 7]) -> String {
    let [name, buffers, peak, bound, ratio, time, status] = cells;
    let text = format!("{name:<NAME$} {buffers:>9} {peak:>15} {bound:>15} {ratio:>7} {time:>8}  {status}");
    text.trim_end().to_owned() + "\n"
}

pub(crate) fn head() -> String {
    line(["instance", "buffers", "peak, bytes", "proved bound", "ratio", "CPU", "status"])
}

/// The peak as a multiple of bytes that any plan needs.
fn ratio(plan: &Plan, bound: u64) -> f64 {
    if bound == 0 { 1.0 } else { plan.peak as f64 / bound as f64 }
}

fn nanos(time: Duration) -> u64 {
    Nanos::from(time).0
}

/// An instance as one line.
pub(crate) fn row(row: &Row) -> String {
    let plan = &row.plan;
    let status = match plan.status {
        Status::OptimalBySearch => "optimal by search",
        other => other.name(),
    };
    line([
        &shortened(&row.name),
        &Count(row.buffers as u64).to_string(),
        &Count(plan.peak).to_string(),
        &Count(plan.proved_bound).to_string(),
        &format!("{:.4}", ratio(plan, plan.lower_bound.bytes)),
        &Nanos::from(row.median()).to_string(),
        status,
    ])
}

/// A name without its `.csv`, the front cut off where it is too long: files of one folder differ at the end.
fn shortened(name: &str) -> String {
    let stem = name.get(..name.len().saturating_sub(4)).unwrap_or(name);
    let columns = bayplan_text::columns(stem);
    let skip = columns.saturating_sub(NAME - 1);
    if columns <= NAME {
        return ellipsis(stem, NAME).to_string();
    }
    let end: String = stem.chars().skip(skip).collect();
    ellipsis(&format!("…{end}"), NAME).to_string()
}

/// What there is to say of all instances.
pub(crate) fn tail(measured: &Measured, files: usize, memory: Option<u64>) -> String {
    let rows = &measured.instances;
    let of = |status: Status| rows.iter().filter(|row| row.plan.status == status).count();
    let mut parts = vec![counted(rows.len(), "instance", "instances")];
    for (count, what) in [
        (of(Status::Optimal), "optimal"),
        (of(Status::OptimalBySearch), "optimal by search"),
        (of(Status::BestFound) + of(Status::BoundNotReached), "above what is proved"),
        (measured.failures.len(), "without a plan"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", Count(count as u64)));
        }
    }
    let total: Duration = rows.iter().map(Row::median).sum();
    parts.push(format!("{} of processor time", Nanos::from(total)));
    if let Some(bytes) = memory {
        parts.push(format!("{} of memory at most", Bytes(bytes)));
    }
    let mut text = parts.join(", ") + "\n";
    if measured.interrupted {
        let left = files - rows.len() - measured.failures.len();
        text += &format!("interrupted, {} left\n", counted(left, "file", "files"));
    }
    text
}

/// The whole for programs.
pub(crate) fn json(options: &BenchOptions, measured: &Measured, memory: Option<u64>) -> Value {
    let row = |row: &Row| {
        let plan = &row.plan;
        json!({
            "name": row.name,
            "buffers": row.buffers,
            "peak": plan.peak,
            "lower_bound": plan.lower_bound.bytes,
            "proved_bound": plan.proved_bound,
            "gap": plan.gap(),
            "ratio": ratio(plan, plan.lower_bound.bytes),
            "status": plan.status.name(),
            "strategy": plan.strategy,
            "runs": row.times.len(),
            "cpu_ns": nanos(row.median()),
            "cpu_ns_min": row.times.first().copied().map_or(0, nanos),
        })
    };
    let failure = |(name, message): &(String, String)| json!({ "name": name, "message": message });
    json!({
        "version": VERSION,
        "folder": options.folder.display().to_string(),
        "effort": format!("{:?}", options.effort).to_lowercase(),
        "instances": measured.instances.iter().map(row).collect::<Vec<_>>(),
        "failures": measured.failures.iter().map(failure).collect::<Vec<_>>(),
        "cpu_ns": nanos(measured.instances.iter().map(Row::median).sum()),
        "memory_bytes": memory,
        "interrupted": measured.interrupted,
    })
}

#[cfg(test)]
mod tests {
    use bayplan_plan::{Buffer, Problem};
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::args::{Arguments, Command};

    fn measured() -> Measured {
        let problem = Problem::new(vec![Buffer::new(1 << 60, 0, 2), Buffer::new(1 << 60, 1, 3)]).unwrap();
        let plan = |offsets: [u64; 2]| Plan::from_offsets(&problem, offsets.to_vec(), "given").unwrap();
        let row = |name: &str, plan: Plan| {
            let times = vec![Duration::from_micros(4), Duration::from_secs(90), Duration::from_secs(91)];
            Row { name: name.into(), buffers: 2, plan, times }
        };
        let long = "folder/deep/".repeat(9) + "A.1048576.csv";
        let rows = vec![row("a\u{1b}[2J.csv", plan([0, 1 << 60])), row(&long, plan([0, 3 << 59]))];
        Measured {
            instances: rows,
            failures: vec![("b.csv".into(), "line 1: bad".into())],
            interrupted: true,
        }
    }

    #[test]
    fn the_table_is_harmless_and_fits_a_hundred_columns_for_usual_sizes() {
        let measured = measured();
        let text = head() + &row(&measured.instances[0]) + &row(&measured.instances[1]);
        assert!(!text.contains('\u{1b}') && text.contains("…folder/deep/A.1048576 "), "{text}");
        assert!(text.contains("1.0000") && text.contains("1.2500") && text.contains("90.0 s"), "{text}");
        assert!(head().len() <= 100 && line(["x"; 7]).len() <= 100);
        let longest = line(["", "", "", "", "", "", Status::BoundNotReached.name()]);
        assert!(bayplan_text::columns(longest.trim_end()) <= 100, "{longest}");
        let text = tail(&measured, 5, Some(1 << 30));
        let expect = "2 instances, 1 optimal, 1 above what is proved, 1 without a plan, 3 min 00 s of processor time, \
            1.00 GiB of memory at most\ninterrupted, 2 files left\n";
        assert_eq!(text, expect);
    }

    #[test]
    fn help_names_every_key_of_the_json() {
        let options = match Arguments::parse_from(["bayplan", "bench", "plan", "x"]).command {
            Command::Bench(options) => options,
            other => panic!("{other:?}"),
        };
        let json = json(&options, &measured(), None);
        assert_eq!((&json["effort"], &json["interrupted"]), (&json!("normal"), &json!(true)));
        assert_eq!(json["instances"][1]["gap"], json!(1u64 << 59));
        assert_eq!(json["instances"][1]["cpu_ns_min"], json!(4000));
        let mut program = Arguments::command();
        let help = program.find_subcommand_mut("bench").unwrap().render_long_help().to_string();
        let (row, failure) = (&json["instances"][0], &json["failures"][0]);
        let objects = [&json, row, failure].map(|value| value.as_object().unwrap());
        for key in objects.iter().flat_map(|object| object.keys()) {
            let named = help.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == key);
            assert!(named, "{key} is not in\n{help}");
        }
    }
}
