//! Tables and pages: Parquet and CSV in DuckDB, CSV, JSON of the Trace Event Format and of the Vulkan Memory Allocator in
//! Python, each summed and held against the report.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bayplan_tests::program::Sandbox;
use bayplan_tests::root;
use serde_json::{Value, json};

use crate::{arenas, export, figure, list, made, most_of, number, report, sql, told};

/// A path in SQL.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "''"))
}

/// What a query says of a table, and what the report says. Sums are told as integers: DuckDB's are wider than 64 bits.
fn questions(table: &str, said: &Value) -> Vec<(String, Value)> {
    let count = |kind: &str| format!("SELECT count(*) AS n FROM {table} WHERE kind = '{kind}'");
    let plans = || list(&said["plans"]).iter();
    let of_arenas = |key: &'static str| {
        let arenas = plans().flat_map(|plan| list(&plan["arenas"]));
        arenas.map(|arena| number(arena, key)).sum::<u64>()
    };
    let one = |n: u64| json!([{"n": n}]);
    let op_time = &said["figures"]["op_time"];
    let times = json!([{
        "n": op_time["count"], "sum": op_time["sum"], "least": op_time["min"], "most": op_time["max"],
    }]);
    let runs = &said["runs"];
    let plan_numbers = plans().map(|plan| json!({"plan": plan["number"], "n": plan["buffers"]}));
    vec![
        (count("arena"), one(plans().map(|plan| list(&plan["arenas"]).len() as u64).sum())),
        (count("tensor"), one(plans().map(|plan| number(plan, "buffers")).sum())),
        (count("op"), one(plans().map(|plan| number(plan, "ops")).sum())),
        (
            format!(
                "SELECT plan, count(*) AS n FROM {table} WHERE kind = 'tensor' GROUP BY plan ORDER BY plan"
            ),
            plan_numbers.collect(),
        ),
        (format!("SELECT sum(bytes)::BIGINT AS n FROM {table} WHERE kind = 'arena'"), one(of_arenas("size"))),
        (
            format!("SELECT sum(lower_bound)::BIGINT AS n FROM {table} WHERE kind = 'arena'"),
            one(of_arenas("lower_bound")),
        ),
        (
            format!("SELECT ok, count(*) AS n FROM {table} WHERE kind = 'run' GROUP BY ok ORDER BY ok"),
            [(false, "failed"), (true, "ok")]
                .into_iter()
                .filter(|(_, key)| number(runs, key) > 0)
                .map(|(ok, key)| json!({"ok": ok, "n": runs[key]}))
                .collect(),
        ),
        (
            format!("SELECT max(duration) AS n FROM {table} WHERE kind = 'run' AND ok"),
            one(number(&said["figures"]["run_time"], "max")),
        ),
        (
            format!(
                "SELECT count(*) AS n, sum(duration)::BIGINT AS sum, min(duration) AS least, max(duration) AS most \
                 FROM {table} WHERE kind = 'op_time'"
            ),
            times,
        ),
        (
            format!(
                "SELECT coalesce(sum(CASE kind WHEN 'device_alloc' THEN bytes ELSE -bytes::BIGINT END), 0)::BIGINT AS n \
                 FROM {table} WHERE kind IN ('device_alloc', 'device_free')"
            ),
            one(figure(said, "device_bytes")),
        ),
        (
            format!("SELECT count(*) AS n FROM {table} WHERE kind = 'device_alloc' AND NOT ok"),
            one(number(said, "unplanned")),
        ),
        (
            format!("SELECT count(*) AS n FROM {table} WHERE kind = 'pool_alloc'"),
            one(list(&said["figures"]["pool_allocations"]["of"]).iter().map(|of| number(of, "value")).sum()),
        ),
    ]
}

/// Every figure of the report by name and what it is of, with its value, or the least that it is.
fn figures(said: &Value) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let mut put = |key: String, value: &Value, least: &Value| {
        if let Some(value) = value.as_f64().or(least.as_f64()) {
            assert!(found.insert(key.clone(), value).is_none(), "{key} twice");
        }
    };
    let at = |of: &Value, key: &str| of.get(key).map(Value::to_string).unwrap_or_default();
    for (name, row) in said["figures"].as_object().expect("figures") {
        for statistic in ["count", "sum", "min", "max", "mean", "p50", "p90", "p95", "p99"] {
            put(format!("{name} {statistic}   "), &row[statistic], &Value::Null);
        }
        put(format!("{name}    "), &row["value"], &row["at_least"]);
        for of in list(&row["of"]) {
            let id = at(of, "heap") + &at(of, "pool");
            let arena = of["name"].as_str().unwrap_or_default();
            put(format!("{name}  {} {arena} {id}", at(of, "plan")), &of["value"], &of["at_least"]);
        }
    }
    found
}

/// The figures that a table has.
fn figures_of(rows: &[Value]) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for row in rows.iter().filter(|row| row["kind"] == "figure") {
        let word = |key: &str| match &row[key] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let key =
            format!("{} {} {} {} {}", word("name"), word("class"), word("plan"), word("arena"), word("id"));
        // By the same reader as the report's numbers: it may be off in the last bit.
        let value: Value = serde_json::from_str(&word("value")).expect("a number");
        found.insert(key, value.as_f64().expect("a number"));
    }
    found
}

/// Fails with the figures that differ.
#[track_caller]
fn same(found: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>, file: &Path) {
    let keys: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differ = keys.into_iter().filter(|key| found.get(*key) != expected.get(*key));
    let differ: Vec<_> = differ.map(|key| (key, found.get(key), expected.get(key))).collect();
    assert!(differ.is_empty(), "{}: {differ:?}", file.display());
}

/// DuckDB on the Parquet of one recording, on its CSV, and on all at once says what the reports say.
#[test]
fn duckdb_says_what_the_report_says() {
    let sandbox = Sandbox::new();
    let (mut queries, mut expected) = (Vec::new(), Vec::new());
    let mut ask = |query: String, answer: Value| {
        queries.push(query);
        expected.push(answer);
    };
    let recordings = made::all(&sandbox);
    let said: Vec<Value> = recordings.iter().map(|recording| report(&sandbox, recording)).collect();
    for (recording, said) in recordings.iter().zip(&said) {
        let parquet = format!("read_parquet({})", quoted(&export(&sandbox, recording, "parquet")));
        questions(&parquet, said).into_iter().for_each(|(query, answer)| ask(query, answer));
        // Cell by cell the same table: as texts, but for what texts of floats differ in.
        let texts = |of: &str| {
            format!("SELECT * REPLACE (value::DOUBLE AS value) FROM (SELECT COLUMNS(*)::VARCHAR FROM {of})")
        };
        let csv = quoted(&export(&sandbox, recording, "csv"));
        let csv = texts(&format!("read_csv({csv}, all_varchar = true, header = true)"));
        let parquet = texts(&parquet);
        for (a, b) in [(&csv, &parquet), (&parquet, &csv)] {
            ask(format!("SELECT count(*) AS n FROM ({a} EXCEPT ALL {b})"), json!([{"n": 0}]));
        }
    }
    let all = format!("read_parquet({}, union_by_name = true)", quoted(&sandbox.path("*.parquet")));
    ask(format!("SELECT count(DISTINCT session) AS n FROM {all}"), json!([{"n": recordings.len()}]));
    let runs = said.iter().map(|said| number(&said["runs"], "ok")).sum::<u64>();
    ask(format!("SELECT count(*) AS n FROM {all} WHERE kind = 'run' AND ok"), json!([{"n": runs}]));
    for ((query, answer), expected) in queries.iter().zip(sql(&queries)).zip(&expected) {
        assert_eq!(answer.to_string(), expected.to_string(), "{query}");
    }
}

/// Every figure of the report stands in the tables, and no other.
#[test]
fn tables_have_every_figure_of_the_report() {
    let sandbox = Sandbox::new();
    for recording in made::all(&sandbox) {
        let expected = figures(&report(&sandbox, &recording));
        assert!(expected.len() > 60);
        let csv = export(&sandbox, &recording, "csv");
        let rows = told("exchange.py", &["csv".as_ref(), csv.as_os_str()]);
        same(&figures_of(list(&rows)), &expected, &csv);
        let parquet = export(&sandbox, &recording, "parquet");
        let rows = sql(&[format!(
            "SELECT kind, name, class, plan, arena, id, value FROM {} WHERE kind = 'figure'",
            quoted(&parquet)
        )]);
        same(&figures_of(list(&rows[0])), &expected, &parquet);
    }
}

/// The queries of the pages are run as they are written, on folders of the names that they use.
#[test]
fn the_queries_that_we_show_run() {
    let sandbox = Sandbox::new();
    let recordings = made::all(&sandbox);
    let said = report(&sandbox, &recordings[0]);
    fs::create_dir(sandbox.path("runs")).expect("a folder");
    for (at, recording) in recordings.iter().enumerate() {
        let parquet = export(&sandbox, recording, "parquet");
        fs::copy(parquet, sandbox.path(&format!("runs/{at}.parquet"))).expect("a copy");
    }
    fs::copy(sandbox.path("runs/0.parquet"), sandbox.path("run.parquet")).expect("a copy");
    let mut shown = Vec::new();
    for page in ["runtime/report/src/export/table.rs", "README.md"] {
        let text = fs::read_to_string(root().join(page)).expect("a page");
        let lines = text.lines().map(|line| line.trim_start_matches("//!").trim());
        let mut within = false;
        for line in lines {
            match line {
                "```sql" => within = true,
                "```" => within = false,
                _ if within && !line.is_empty() => shown.push(line.to_owned()),
                _ => {}
            }
        }
    }
    assert!(shown.len() >= 2, "{shown:?}");
    let here = |query: &String| {
        let runs = quoted(&sandbox.path("runs/*.parquet"));
        query
            .replace("'runs/*.parquet'", &runs)
            .replace("'run.parquet'", &quoted(&sandbox.path("run.parquet")))
    };
    let answers = sql(&shown.iter().map(here).collect::<Vec<_>>());
    for (query, answer) in shown.iter().zip(&answers) {
        assert!(!list(answer).is_empty(), "{query} has no answer");
    }
    let largest = list(&answers[0]).iter().find(|row| row["model"] == "digits").expect("the model");
    assert_eq!(largest["max(bytes)"], most_of(&said, "activations", "size", false));
    let timed = list(&said["plans"][0]["op_times"]).iter().map(|op| op["name"].as_str().expect("a name"));
    let names: BTreeSet<&str> = timed.collect();
    let told: BTreeSet<&str> = list(&answers[1]).iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!((told, list(&answers[1]).len()), (names.clone(), names.len()));
}

/// Slices and counters of the Trace Event Format.
#[test]
fn chromes_json_sums_to_the_report() {
    let sandbox = Sandbox::new();
    for recording in made::all(&sandbox) {
        let said = report(&sandbox, &recording);
        let page = export(&sandbox, &recording, "chrome");
        let seen = told("exchange.py", &["chrome".as_ref(), page.as_os_str()]);
        let track = |name: &str, key: &str| seen["tracks"][name][key].clone();
        assert_eq!(track("runs", "slices"), said["runs"]["started"], "{}", page.display());
        let op_time = &said["figures"]["op_time"];
        assert_eq!(
            (track("ops", "slices"), track("ops", "ns")),
            (op_time["count"].clone(), op_time["sum"].clone())
        );
        for name in arenas(&said) {
            let most = most_of(&said, name, "peak_live", true);
            assert_eq!(seen["most"][format!("planned live bytes, {name}")], most, "{name}");
        }
        let device = |of: &str| seen[of]["device memory allocated"].as_u64().unwrap_or(0);
        assert_eq!(device("last"), figure(&said, "device_bytes"));
        assert_eq!(Some(device("most")), said["figures"]["device_bytes_max"]["value"].as_u64().or(Some(0)));
        for pool in list(&said["figures"]["pool_high_water"]["of"]) {
            let name = format!("pool {} {}, in use", pool["pool"], pool["name"].as_str().expect("a name"));
            assert_eq!(seen["most"][&name], pool["value"], "{name}");
        }
    }
}

/// A dump of the Vulkan Memory Allocator: what fills its blocks is the plan that ran last at its peak, and the pools.
#[test]
fn a_dump_of_memory_is_the_report_at_its_peak() {
    let sandbox = Sandbox::new();
    for recording in made::all(&sandbox) {
        let said = report(&sandbox, &recording);
        let dump = export(&sandbox, &recording, "vma");
        let seen = told("exchange.py", &["vma".as_ref(), dump.as_os_str()]);
        let parquet = quoted(&export(&sandbox, &recording, "parquet"));
        let last = sql(&[format!("SELECT arg_max(plan, t) AS plan FROM {parquet} WHERE kind = 'run'")]);
        let plans = list(&said["plans"]).iter();
        let last = plans.clone().find(|plan| plan["number"] == last[0][0]["plan"]).expect("a plan ran");
        let mut expected = BTreeMap::new();
        for arena in list(&last["arenas"]) {
            let name = arena["name"].as_str().expect("a name").to_owned();
            expected.insert(name, json!({"size": arena["size"], "live": arena["loss"]["live"]}));
        }
        let sizes = list(&said["figures"]["pool_size"]["of"]).iter();
        for (size, live) in sizes.zip(list(&said["figures"]["pool_live"]["of"])) {
            let name = size["name"].as_str().expect("a name").to_owned();
            expected.insert(name, json!({"size": size["value"], "live": live["value"]}));
        }
        assert_eq!(seen["blocks"], json!(expected), "{}", dump.display());
        for heap in list(&said["heaps"]) {
            let shown = &seen["heaps"][format!("Heap {}", heap["heap"])];
            assert_eq!((&shown["Size"], &shown["Budget"]["UsageBytes"]), (&heap["size"], &heap["usage"]));
        }
    }
}
