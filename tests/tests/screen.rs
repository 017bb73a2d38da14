//! The figures on the screen are those of `bayplan report --json` of the same recording: found by their labels in pictures of
//! the views, for every recording that the project keeps and for one that is made here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bayplan_record::{Clock, Destination, Places, Recorder, RecordingOptions};
use bayplan_tests::program::{Sandbox, run};
use bayplan_tests::root;
use bayplan_text::{Bytes, Count, Nanos, Percent, Rate, Signed, plural};
use bayplan_trace::{Event, PlanRecord, Playhead, Reader, Record, SessionInfo, Timeline, Writer};
use serde_json::Value;

/// Room for all that a view says.
const SIZE: &str = "240x100";

/// Every recording that the project keeps: one of each version of the format.
fn kept() -> Vec<PathBuf> {
    let folder = root().join("runtime/trace/tests/versions/fixtures");
    let entries = std::fs::read_dir(folder).expect("a folder of recordings");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "bptrace")).collect();
    found.sort();
    found
}

/// A recording with its report, and what to call it.
struct Case<'a> {
    sandbox: &'a Sandbox,
    path: PathBuf,
    json: Value,
}

/// The words of a view, without frames and bars, with one blank between them.
struct Picture {
    words: String,
    lines: Vec<String>,
    of: String,
}

impl<'a> Case<'a> {
    fn new(sandbox: &'a Sandbox, path: &Path) -> Self {
        let path = path.to_owned();
        let ended = run(&mut sandbox.command("bayplan", &["report", path.to_str().unwrap(), "--json"]));
        assert_eq!(ended.code, Some(0), "{}: {}", path.display(), ended.stderr);
        let json = serde_json::from_str(&ended.stdout).expect("a report is JSON");
        Self { sandbox, path, json }
    }

    /// The view of a title.
    fn view(&self, title: &str) -> Picture {
        let picture = |number: usize| {
            let number = number.to_string();
            let arguments = [self.path.to_str().unwrap(), "--snapshot", SIZE, "--view", &number];
            let ended = run(&mut self.sandbox.command("bayplan-tui", &arguments));
            assert_eq!(ended.code, Some(0), "{}: {}", self.path.display(), ended.stderr);
            ended.stdout
        };
        let tabs = picture(1).lines().nth(1).expect("a row of tabs").to_owned();
        let number =
            tabs.split_once(title).and_then(|(before, _)| before.split_whitespace().last()?.parse().ok());
        let text = picture(number.unwrap_or_else(|| panic!("no view {title}: {tabs}")));
        let is_frame = |c: char| "│┌┐└┘├┤─".contains(c);
        let lines = text.lines().flat_map(|line| line.split('│'));
        let tidy = |line: &str| line.replace(is_frame, " ").split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = lines.map(tidy).filter(|line| !line.is_empty()).collect();
        Picture {
            words: lines.join(" "),
            lines,
            of: format!("{} of {}:\n{text}", title, self.path.display()),
        }
    }

    fn plan(&self) -> Option<&Value> {
        Some(&self.json["plans"][self.json["current_plan"].as_u64()? as usize])
    }

    /// The arena that a viewer shows first: the largest one of activations, else the largest.
    fn arena(&self) -> Option<&Value> {
        let arenas = self.plan()?["arenas"].as_array()?;
        arenas.iter().rev().max_by_key(|arena| (arena["kind"] == "activations", whole(&arena["size"])))
    }
}

impl Picture {
    /// The words stand in the view, and no longer word or number does in their place.
    fn says(&self, words: &str) {
        let whole = self.words.match_indices(words).any(|(at, _)| {
            let after = self.words[at + words.len()..].chars().next();
            let before = self.words[..at].chars().next_back();
            !after.is_some_and(char::is_alphanumeric) && !before.is_some_and(char::is_alphanumeric)
        });
        assert!(whole, "`{words}` is not in {}", self.of);
    }

    /// A line begins with a label and ends with a figure.
    fn row(&self, label: &str, figure: &str) {
        let there = self.lines.iter().any(|line| line.starts_with(label) && line.ends_with(figure));
        assert!(there, "no line `{label} … {figure}` in {}", self.of);
    }
}

/// A number that the report must have.
fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no whole number: {value}"))
}

fn real(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn bytes(value: &Value) -> Bytes {
    Bytes(whole(value))
}

fn count(value: &Value) -> Count {
    Count(whole(value))
}

fn percent(value: &Value) -> Percent {
    Percent(real(value))
}

fn nanos(value: &Value) -> Nanos {
    Nanos(whole(value))
}

/// The parts of an arena and their sum, as every view says them.
fn loss_words(loss: &Value, size: &Value) -> String {
    let part = |name: &str| format!("{name} {}", bytes(&loss[name]));
    let parts = ["live", "padding", "holes", "tail"];
    let sum: u64 = parts.iter().map(|name| whole(&loss[*name])).sum();
    assert_eq!(sum, whole(size), "the parts sum to the arena");
    format!("{} = {}", parts.map(part).join(" + "), Bytes(sum))
}

fn header(case: &Case<'_>) {
    let (json, shown) = (&case.json, case.view("Overview"));
    let dropped: u64 = json["dropped"].as_object().unwrap().values().map(whole).sum();
    shown.says(&format!("{} lost", plural(dropped, "event")));
    if whole(&json["runs"]["started"]) > 0 {
        shown.says(&format!("run {}", count(&json["runs"]["started"])));
    }
    if !json["trace_cost"]["share"].is_null() {
        shown.says(&format!("trace cost {}", percent(&json["trace_cost"]["share"])));
    }
    for kind in ["deviation", "overlap", "unplanned"] {
        let figure = &json["figures"][kind];
        if whole(&json[kind]) > 0 {
            shown.says(&format!("{} {kind}", count(&json[kind])));
            assert!(figure["value"] == json[kind] || figure["at_least"] == json[kind], "{kind}: {figure}");
        }
    }
}

fn overview(case: &Case<'_>) {
    let (json, shown) = (&case.json, case.view("Overview"));
    for heap in json["heaps"].as_array().unwrap() {
        let limit = if heap["budget"].is_null() { &heap["size"] } else { &heap["budget"] };
        shown.says(&format!("{} of {}", bytes(&heap["usage"]), bytes(limit)));
        if heap["budget"].is_null() {
            shown.says("the driver tells no budget");
            continue;
        }
        let headroom = whole(&heap["budget"]).saturating_sub(whole(&heap["usage"]));
        shown.says(&format!("headroom {}", Bytes(headroom)));
        shown.says(&format!("heap {}", bytes(&heap["size"])));
        shown.says(&format!("others {}", bytes(&heap["others"])));
        let of = json["figures"]["heap_headroom"]["of"].as_array().unwrap();
        assert!(of.iter().any(|of| of["heap"] == heap["heap"] && of["value"] == headroom), "{of:?}");
    }
    let memory = &json["memory"];
    if case.plan().is_some() || memory["seen"] == true {
        let parts = memory["parts"].as_object().unwrap();
        parts.iter().for_each(|(name, size)| shown.row(name, &bytes(size).to_string()));
        assert_eq!(parts.values().map(whole).sum::<u64>(), whole(&memory["total"]));
    }
    if memory["seen"] == true {
        let blocks = json["blocks"].as_array().unwrap();
        assert_eq!(blocks.iter().map(|block| whole(&block["bytes"])).sum::<u64>(), whole(&memory["total"]));
        let label = if blocks.len() == 1 { "in 1 block" } else { "= all blocks" };
        shown.row(label, &bytes(&memory["total"]).to_string());
        let unaccounted = memory["parts"]["unaccounted"].as_u64().unwrap_or(0);
        shown.row("unaccounted", &Bytes(unaccounted).to_string());
        assert_eq!(json["figures"]["unaccounted"]["value"], unaccounted);
    }
    let runs = &json["runs"];
    shown.says(&format!("{} done", count(&runs["ok"])));
    if whole(&runs["failed"]) > 0 {
        shown.says(&format!("{} failed", count(&runs["failed"])));
    }
    if !runs["latest_ns"].is_null() {
        let slow = if whole(&runs["recent"]) < 100 { "slowest" } else { "99 % in" };
        let times = [("latest", "latest_ns"), ("median", "median_ns"), (slow, "p99_ns")];
        times.iter().for_each(|(word, key)| shown.says(&format!("{word} {}", nanos(&runs[*key]))));
    }
    if let Some(plan) = case.plan() {
        for arena in plan["arenas"].as_array().unwrap() {
            let waste = arena["waste"].as_f64().map_or("n/a".to_owned(), |waste| Percent(waste).to_string());
            let figures = format!("{} {} {waste}", bytes(&arena["size"]), bytes(&arena["lower_bound"]));
            shown.row(arena["name"].as_str().unwrap(), &figures);
        }
    }
    let Some(arena) = case.arena().filter(|arena| !arena["peak_op"].is_null()) else { return };
    let peak = format!("{} at op {}", bytes(&arena["peak_live"]), count(&arena["peak_op"]));
    shown.says(&format!("peak {peak}"));
    match &arena["live_now"] {
        Value::Null => shown.says("now not known"),
        live => shown.says(&format!("now {}", bytes(live))),
    }
    let tensors = whole(&arena["live_at_peak_count"]);
    shown.says(&format!("{}, {}", plural(tensors, "tensor"), bytes(&arena["peak_live"])));
    for tensor in arena["live_at_peak"].as_array().unwrap() {
        let name = tensor["name"].as_str().unwrap();
        shown.row(&bytes(&tensor["size"]).to_string(), name);
    }
}

fn fragmentation(case: &Case<'_>) {
    let shown = case.view("Fragmentation");
    if let Some(arena) = case.arena() {
        of_arena(&shown, arena);
        let deviations = &case.plan().unwrap()["deviations"];
        if deviations.is_null() {
            shown.says("off the plan not known");
        } else if deviations["largest_op"].is_null() {
            assert_eq!(deviations["largest_bytes"], 0);
            shown.says("off the plan none");
        } else {
            let (most, op) = (bytes(&deviations["largest_bytes"]), count(&deviations["largest_op"]));
            shown.says(&format!("off the plan at most {most} at op {op}"));
        }
    }
    let of = |name: &str| case.json["figures"][name]["of"].as_array().cloned().unwrap_or_default();
    for (at, pool) in of("pool_size").iter().enumerate() {
        let figure = |name: &str| of(name)[at]["value"].clone();
        shown.says(&format!("live {} of {}", bytes(&figure("pool_live")), bytes(&pool["value"])));
        shown.says(&format!("in {} range", count(&figure("pool_ranges"))).replace(" range", ""));
        shown.says(&format!("free {} in {}", bytes(&figure("pool_free")), count(&figure("pool_holes"))));
        shown.says(&format!("largest free {}", bytes(&figure("pool_largest_free"))));
        shown.says(&format!("fragmentation {}", percent(&figure("fragmentation"))));
    }
}

/// What grows into its limit, in the view that shows each kind.
fn forecasts(case: &Case<'_>) {
    let forecasts = case.json["forecasts"].as_array().unwrap();
    for forecast in forecasts {
        let what = if forecast["budget"] == true { "budget" } else { "full" };
        let rate = Bytes(real(&forecast["bytes_per_second"]) as u64);
        let seconds = whole(&forecast["left_ns"]) / 1_000_000_000;
        assert!((2..120).contains(&seconds), "the words below are of seconds: {forecast}");
        let words = format!("{what} in about {seconds} s at +{rate}/s");
        case.view("Overview").says(&words);
        if forecast["kind"] == "pool" {
            case.view("Fragmentation").says(&words);
            let live = &case.json["figures"]["pool_live"]["of"][0]["value"];
            assert_eq!(live, &forecast["used"]);
        }
    }
}

fn of_arena(shown: &Picture, arena: &Value) {
    if !arena["waste"].is_null() && whole(&arena["lower_bound"]) > 0 {
        let waste = format!("waste {} ({})", percent(&arena["waste"]), bytes(&arena["gap"]));
        shown.says(&waste);
    }
    shown.says(&format!("arena {}", bytes(&arena["size"])));
    shown.says(&format!("least for this order {}", bytes(&arena["lower_bound"])));
    if arena["peak_op"].is_null() {
        return;
    }
    shown.says(&format!("most {} at op {}", percent(&arena["utilisation"]), count(&arena["peak_op"])));
    shown.says(&format!(
        "least {} at op {}",
        percent(&arena["least_utilisation"]),
        count(&arena["least_op"])
    ));
    shown.says(&format!("on average {}", percent(&arena["area_efficiency"])));
    let loss = &arena["loss"];
    shown.says(&format!("at the peak {}", loss_words(loss, &arena["size"])));
    // The cursor begins at the peak.
    let largest = bytes(&loss["largest_hole"]);
    let holes = match whole(&loss["hole_count"]) {
        0 => "no hole".to_owned(),
        1 => format!("1 hole of {largest}"),
        holes => format!("{} holes, the largest of {largest}", Count(holes)),
    };
    let fits = match whole(&loss["largest_fit"]) {
        0 => "no tensor more would fit".to_owned(),
        fits => format!("a tensor of {} would still fit", Bytes(fits)),
    };
    shown.says(&format!("{holes}; {fits}"));
}

fn bay_plan(case: &Case<'_>) {
    let shown = case.view("Bay plan");
    let Some(arena) = case.arena() else { return };
    shown.says(&bytes(&arena["size"]).to_string());
    if whole(&arena["lower_bound"]) > 0 {
        shown.says(&format!("lower bound {}", bytes(&arena["lower_bound"])));
    }
    if arena["peak_op"].is_null() {
        return;
    }
    let at = format!("{} at op {}", bytes(&arena["peak_live"]), count(&arena["peak_op"]));
    shown.says(&at);
    // The cursor is on the largest tensor of the peak, and the inspector tells of it.
    let Some(tensor) = arena["live_at_peak"].get(0) else { return };
    let (size, offset) = (&tensor["size"], &tensor["offset"]);
    shown.says(&format!("size {} = {} B", bytes(size), count(size)));
    shown.says(&format!("offset {} = {}", bytes(offset), count(offset)));
    let share = Percent(whole(size) as f64 / whole(&arena["peak_live"]) as f64);
    shown.says(&format!("at peak {share}, number 1"));
    let times = case.plan().unwrap()["op_times"].as_array().unwrap();
    if let Some(op) = times.iter().find(|op| op["op"] == arena["peak_op"]) {
        shown.says(&format!("takes {}, mean {}", nanos(&op["latest_ns"]), nanos(&op["mean_ns"])));
        shown.says(&format!("moves {}", bytes(&op["bytes"])));
    }
}

/// Rows of the Operators view that a picture of that height has room for.
const ROWS: usize = 90;

fn operators(case: &Case<'_>) {
    let Some(plan) = case.plan() else { return };
    let shown = case.view("Operators");
    for op in plan["op_times"].as_array().unwrap().iter().take(ROWS) {
        let begins = format!("{} ", count(&op["op"]));
        // The tabs have numbers, too.
        let line = shown.lines.iter().skip(2).find(|line| line.starts_with(&begins));
        let line = line.unwrap_or_else(|| panic!("no row of op {begins}in {}", shown.of));
        let times =
            format!(" {} {} {} ", nanos(&op["mean_ns"]), nanos(&op["latest_ns"]), percent(&op["share"]));
        assert!(line.contains(&times), "`{times}` is not in `{line}`: {}", shown.of);
        let work = format!(" {} {} ", bytes(&op["bytes"]), count(&op["flops"]));
        assert!(line.contains(&work), "`{work}` is not in `{line}`: {}", shown.of);
        for (key, unit) in [("bytes_per_second", "B"), ("flops_per_second", "flop")] {
            if let Some(rate) = op[key].as_f64() {
                let rate = format!(" {} ", Rate(rate as u64, unit));
                assert!(line.contains(&rate), "`{rate}` is not in `{line}`: {}", shown.of);
            }
        }
    }
}

fn check(sandbox: &Sandbox, path: &Path) {
    let case = Case::new(sandbox, path);
    for view in [header, overview, fragmentation, forecasts, bay_plan, operators] {
        view(&case);
    }
}

/// Sizes of screens: without the panel beside the map, with it, and with room for more.
const SCREENS: [(u16, u16); 4] = [(60, 16), (80, 24), (120, 40), (200, 60)];

/// Columns of the panel beside the map, from which width on it is there, and what stands at both sides of a map.
const PANEL: (u16, u16) = (38, 112);
const LEFT: u16 = 9;
const RIGHT: u16 = 1;

/// What a report's map has beside the cells: columns on the left, lines.
const REPORT: (u16, u16) = (11, 4);

/// The cells of the map in the Bay plan view, in characters.
fn map_in_the_view(sandbox: &Sandbox, path: &Path, (cols, rows): (u16, u16), is_ascii: bool) -> Vec<String> {
    let size = format!("{cols}x{rows}");
    let mut arguments =
        vec![path.to_str().unwrap(), "--snapshot", &size, "--view", "bay plan", "--color", "never"];
    if is_ascii {
        arguments.push("--ascii");
    }
    let ended = run(sandbox.command("bayplan-tui", &arguments).env("NO_COLOR", "1"));
    assert_eq!(ended.code, Some(0), "{}: {}", path.display(), ended.stderr);
    let panel = if cols >= PANEL.1 { PANEL.0 } else { 0 };
    let width = usize::from(cols - panel - LEFT - RIGHT);
    let is_row = |line: &&str| {
        let at = |col: usize| line.chars().nth(col).unwrap_or(' ');
        "│|".contains(at(0)) && "┤│►+|>".contains(at(usize::from(LEFT) - 1))
    };
    let mut rows: Vec<&str> = ended.stdout.lines().filter(is_row).collect();
    if is_ascii {
        // The corner of the axis under the map is a plus sign, too.
        rows.pop();
    }
    rows.iter().map(|line| line.chars().skip(LEFT.into()).take(width).collect()).collect()
}

/// A cell of the view is that of the report, or the cursor's cross-hair stands where the report leaves it free.
fn same_cell(view: char, report: char, is_ascii: bool) -> bool {
    let [across, down, centre] = if is_ascii { ['"', '\'', '+'] } else { ['╌', '╎', '┼'] };
    view == report || report == ' ' && (view == across || view == down) || view == centre
}

/// What a recording comes to.
fn folded(path: &Path) -> Timeline {
    let mut reader = Reader::new();
    reader.feed(&std::fs::read(path).expect("a recording"));
    let mut timeline = Timeline::new();
    while let Some(record) = reader.next_record() {
        record.into_iter().for_each(|record| timeline.apply(record));
    }
    timeline
}

/// A recording of the same plan that stops in its first run, behind this op.
fn stopped(sandbox: &Sandbox, of: &Timeline, op: u32) -> PathBuf {
    let (_, plan) = of.current_plan().expect("a plan");
    let mut writer = Writer::new(of.session.clone().expect("a session"));
    writer.plan(&plan.record);
    let windows = plan.windows.to_vec();
    writer.event(&Event::Windows { t: 1, recording: 1, plan: 0, part: 0, windows });
    writer.event(&Event::RunStart { run: 0, plan: 0, t: 2 });
    writer.event(&Event::Completed { run: 0, plan: 0, op, t: 3 });
    writer.flush();
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    let path = sandbox.path(&format!("stopped-{op}.bptrace"));
    std::fs::write(&path, bytes).expect("a file");
    path
}

fn same_map(sandbox: &Sandbox, path: &Path) {
    let timeline = folded(path);
    for ((cols, rows), is_ascii) in SCREENS.into_iter().flat_map(|size| [(size, false), (size, true)]) {
        let view = map_in_the_view(sandbox, path, (cols, rows), is_ascii);
        let (width, height) = (view.first().map_or(0, |row| row.chars().count()), view.len());
        let context = format!("{} at {cols}x{rows}", path.display());
        assert!(width >= 29 && height >= 4, "{context}: {width}x{height}");
        let (cols, rows) = (width as u16 + REPORT.0, height as u16 + REPORT.1);
        let map = bayplan_report::map(&timeline, cols, rows, is_ascii);
        assert!(!is_ascii || map.is_ascii(), "{map}");
        for (row, (seen, line)) in view.iter().zip(map.lines().skip(1)).enumerate() {
            let cells = line.chars().skip(REPORT.0.into()).chain(std::iter::repeat(' ')).take(width);
            let cells: String = cells.collect();
            let same =
                seen.chars().zip(cells.chars()).all(|(view, report)| same_cell(view, report, is_ascii));
            assert!(same, "{context}, row {row}\n{seen}|\n{cells}|\nof\n{map}");
            // The centre of the cross-hair alone stands over what the report shows.
            let other =
                seen.chars().zip(cells.chars()).filter(|(view, report)| view != report && *report != ' ');
            assert!(other.count() <= 1, "{context}, row {row}\n{seen}\n{cells}");
        }
    }
}

#[test]
fn the_map_of_the_view_is_that_of_the_report_cell_for_cell() {
    let sandbox = Sandbox::new();
    kept().iter().for_each(|path| same_map(&sandbox, path));
    let trace = recorded(&sandbox);
    same_map(&sandbox, &trace);
    let timeline = folded(&trace);
    let ops = timeline.current_plan().expect("a plan").1.record.ops.len() as u32;
    for op in [0, ops / 2, ops - 1] {
        let trace = stopped(&sandbox, &timeline, op);
        assert_eq!(folded(&trace).playhead(0), Playhead::At(op));
        same_map(&sandbox, &trace);
    }
}

#[test]
fn of_every_recording_that_is_kept() {
    let sandbox = Sandbox::new();
    let recordings = kept();
    assert!(recordings.len() >= 5, "{recordings:?}");
    recordings.iter().for_each(|path| check(&sandbox, path));
}

/// A run of a small model on the host.
fn recorded(sandbox: &Sandbox) -> PathBuf {
    let (model, trace) = (root().join("assets/digits.onnx"), sandbox.path("run.bptrace"));
    let arguments = [
        "run",
        model.to_str().unwrap(),
        "--dim",
        "batch=8",
        "--runs",
        "5",
        "--device",
        "host",
        "--trace",
        trace.to_str().unwrap(),
        "--trace-level",
        "op",
        "--quiet",
    ];
    let ended = run(&mut sandbox.command("bayplan", &arguments));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    trace
}

#[test]
fn of_a_run_that_is_recorded_here() {
    let sandbox = Sandbox::new();
    check(&sandbox, &recorded(&sandbox));
}

/// Both say what changes from the recording that is named first to the one named second, in the same figures.
#[test]
fn the_diff_on_the_screen_has_the_direction_and_the_figures_of_bayplan_diff() {
    let sandbox = Sandbox::new();
    let first = recorded(&sandbox);
    let timeline = folded(&first);
    // Left within its run, so that the memory of the moment differs, too; and with a smaller arena.
    let (_, plan) = timeline.current_plan().expect("a plan");
    let mut other = Timeline::new();
    let mut record = (*plan.record).clone();
    let largest = (0..record.buffers.len()).max_by_key(|at| record.buffers[*at].size).expect("a tensor");
    record.buffers[largest].size /= 2;
    // Of one session they would be two moments.
    let session = timeline.session.clone().expect("a session");
    other.apply(Record::Session(SessionInfo { id: "other".to_owned(), ..session }));
    other.apply(Record::Plan { plan: 0, record });
    let second = stopped(&sandbox, &other, 1);
    for (a, b) in [(&first, &second), (&second, &first)] {
        let arguments = ["diff", a.to_str().unwrap(), b.to_str().unwrap(), "--json"];
        let json: Value =
            serde_json::from_str(&run(&mut sandbox.command("bayplan", &arguments)).success()).unwrap();
        let arguments =
            [a.to_str().unwrap(), "--diff", b.to_str().unwrap(), "--snapshot", SIZE, "--view", "diff"];
        let text = run(&mut sandbox.command("bayplan-tui", &arguments)).success();
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let says = |expect: String| assert!(words.contains(&expect), "`{expect}` is not in\n{text}");
        let grown = |a: &Value, b: &Value| Signed(i128::from(whole(b)) - i128::from(whole(a)), Bytes);
        let change = |a: &Value, b: &Value| match a == b {
            true => format!("{} in both", bytes(a)),
            false => format!("{} → {} ({})", bytes(a), bytes(b), grown(a, b)),
        };
        let plan = &json["plans"][0];
        assert_eq!(plan["same"], false);
        let tensors = plan["tensors"].as_array().unwrap();
        assert_eq!(tensors.len(), 1, "{tensors:?}");
        let (before, after) = (&tensors[0]["a"]["size"], &tensors[0]["b"]["size"]);
        says(format!("{} {} {}", bytes(before), bytes(after), grown(before, after)));
        for arena in plan["arenas"].as_array().unwrap().iter().filter(|arena| arena["same"] == false) {
            says(format!("peak {}", change(&arena["a"]["peak_live"], &arena["b"]["peak_live"])));
            says(format!("size {}", change(&arena["a"]["size"], &arena["b"]["size"])));
        }
        let ops = timeline.current_plan().expect("a plan").1.record.ops.len();
        let within = |op: u64| format!("run 1, op {op} seen complete ({} of {ops})", op + 1);
        let at = |op: &Value| op.as_u64().map_or_else(|| "after run 5".to_owned(), within);
        says(format!("moments {}", at(&plan["live"]["op_a"])));
        assert!(words.contains(&at(&plan["live"]["op_b"])), "{text}");
        assert_eq!(plan["live"]["op_a"].is_null(), a == &first);
    }
}

/// A pool that grows and is given back in part, beside a heap that nears its budget, as a recorder writes them.
#[test]
fn of_a_pool_that_grows() {
    const SECOND: u64 = 1_000_000_000;
    let sandbox = Sandbox::new();
    let path = sandbox.path("pool.bptrace");
    let options = RecordingOptions {
        destination: Destination::File(path.clone()),
        model: "server".to_owned(),
        device: "a device".to_owned(),
        clock: Arc::new(After(60 * SECOND)),
        ..RecordingOptions::new(Places::under(sandbox.path("places")))
    };
    let recorder = Recorder::create(options, &PlanRecord::default()).expect("a recording");
    recorder.emit(Event::PoolReady { t: 0, pool: 0, bytes: 1 << 20, name: "outputs".to_owned() });
    let bytes = 12_000;
    for at in 0..60 {
        let t = at * SECOND;
        recorder.emit(Event::PoolAllocated { t, pool: 0, id: at, offset: at * bytes, bytes });
        // Holes, and less that lives than was taken.
        if at % 10 == 9 {
            recorder.emit(Event::PoolFreed { t: t + 1, pool: 0, id: at - 3 });
        }
        let (usage, budget) = ((100 + at) << 20, Some(200 << 20));
        recorder.emit(Event::HeapSample { t: t + 2, heap: 0, size: 1 << 30, usage, budget });
    }
    assert_eq!(recorder.finish().lost, 0);
    let case = Case::new(&sandbox, &path);
    let kinds: Vec<&str> = case.json["forecasts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|found| found["kind"].as_str())
        .collect();
    assert!(kinds.contains(&"pool") && kinds.contains(&"heap"), "{}", case.json["forecasts"]);
    assert_eq!(case.json["figures"]["pool_holes"]["of"].as_array().map(Vec::len), Some(1));
    check(&sandbox, &path);
}

/// A clock that stands at the end of what is told.
struct After(u64);

impl Clock for After {
    fn now(&self) -> u64 {
        self.0
    }

    fn start_unix_ns(&self) -> u64 {
        1_700_000_000_000_000_000
    }
}
