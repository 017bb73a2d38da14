//! The queries, and both sides of each comparison as JSON of the same form.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Runs by how they ended.
pub(crate) const RUNS: &str = "
    select s.name as name, count(*) as n from slice s join track t on t.id = s.track_id
    where t.name = 'runs' group by s.name order by s.name";

/// The largest value of each counter, and its last one.
const COUNTERS: &str = "
    select name, cast(max(most) as int) as most, cast(sum(last) as int) as last from (
        select t.id, t.name as name, max(c.value) as most,
            (select value from counter l where l.track_id = t.id order by l.id desc limit 1) as last
        from counter c join counter_track t on t.id = c.track_id group by t.id
    ) group by name order by name";

/// What a recording shows as it is.
pub(crate) const RAW: [&str; 2] = [RUNS, COUNTERS];

/// What an export shows.
pub(crate) const FULL: [&str; 8] = [RUNS, COUNTERS, LATEST, PLANS, ARENAS, OPS, TENSORS, ALARMS];

const LATEST: &str = "
    select s.dur as ns, (
        select extract_arg(f.arg_set_id, 'debug.plan') from slice f join track ft on ft.id = f.track_id
        where ft.name = 'runs' order by f.ts limit 1) as first_plan
    from slice s join track t on t.id = s.track_id
    where t.name = 'runs' and s.name = 'run' order by s.ts desc limit 1";

const PLANS: &str = "
    select extract_arg(s.arg_set_id, 'debug.plan') as number, extract_arg(s.arg_set_id, 'debug.model') as model,
        extract_arg(s.arg_set_id, 'debug.target') as target,
        extract_arg(s.arg_set_id, 'debug.strategy') as strategy, extract_arg(s.arg_set_id, 'debug.dims') as dims,
        extract_arg(s.arg_set_id, 'debug.ops') as ops, extract_arg(s.arg_set_id, 'debug.buffers') as buffers,
        (select count(*) from slice r join track rt on rt.id = r.track_id where rt.name = 'runs'
            and r.name in ('run', 'failed run')
            and extract_arg(r.arg_set_id, 'debug.plan') = extract_arg(s.arg_set_id, 'debug.plan')) as runs
    from slice s join track t on t.id = s.track_id where t.name = 'plans' and s.name = 'plan' order by number";

const ARENAS: &str = "
    select extract_arg(s.arg_set_id, 'debug.plan') as plan, extract_arg(s.arg_set_id, 'debug.arena') as name,
        extract_arg(s.arg_set_id, 'debug.size') as size, extract_arg(s.arg_set_id, 'debug.alignment') as alignment,
        extract_arg(s.arg_set_id, 'debug.lower_bound') as lower_bound,
        extract_arg(s.arg_set_id, 'debug.peak_live') as peak_live,
        extract_arg(s.arg_set_id, 'debug.live') as live, extract_arg(s.arg_set_id, 'debug.padding') as padding,
        extract_arg(s.arg_set_id, 'debug.holes') as holes, extract_arg(s.arg_set_id, 'debug.tail') as tail,
        extract_arg(s.arg_set_id, 'debug.hole_count') as hole_count,
        extract_arg(s.arg_set_id, 'debug.largest_hole') as largest_hole
    from slice s join track t on t.id = s.track_id where t.name = 'plans' and s.name = 'arena' order by plan, s.id";

/// Times are whole nanoseconds, so that sums and quotients are those of the report; `dur` is that of the largest `ts`. Means
/// leave out the first run, where others followed.
const OPS: &str = "
    with timed as (
        select extract_arg(s.arg_set_id, 'debug.plan') as plan, extract_arg(s.arg_set_id, 'debug.op') as op,
            s.name as name, extract_arg(s.arg_set_id, 'debug.kernel') as kernel,
            extract_arg(s.arg_set_id, 'debug.source_node') as source_node,
            extract_arg(s.arg_set_id, 'debug.source_op') as source_op,
            extract_arg(s.arg_set_id, 'debug.bytes') as bytes, extract_arg(s.arg_set_id, 'debug.flops') as flops,
            s.ts as ts, s.dur as dur, row_number() over (partition by extract_arg(s.arg_set_id, 'debug.plan'),
                extract_arg(s.arg_set_id, 'debug.op') order by s.ts, s.id) as nth
        from slice s join track t on t.id = s.track_id where t.name = 'ops'
    )
    select plan, op, name, kernel, source_node, source_op, bytes, flops, count(*) as count,
        case count(*) when 1 then sum(dur) else sum(case nth when 1 then 0 else dur end) / (count(*) - 1) end as mean_ns,
        max(ts), dur as latest_ns
    from timed group by plan, op order by plan, mean_ns desc, op";

const TENSORS: &str = "
    select extract_arg(s.arg_set_id, 'debug.plan') as plan, extract_arg(s.arg_set_id, 'debug.buffer') as buffer,
        s.name as name, extract_arg(s.arg_set_id, 'debug.shape') as shape,
        extract_arg(s.arg_set_id, 'debug.size') as size, extract_arg(s.arg_set_id, 'debug.offset') as offset,
        extract_arg(s.arg_set_id, 'debug.first') as first, extract_arg(s.arg_set_id, 'debug.last') as last,
        min(s.dur) as shortest, count(*) as lives
    from slice s join track t on t.id = s.track_id where t.name glob 'tensors, *' group by plan, buffer";

const ALARMS: &str = "
    select count(*) as n from slice s join track t on t.id = s.track_id
    where t.name = 'messages' and s.name = 'alarm'";

/// Of a recording as it is: runs, and counters.
pub(crate) fn raw(rows: &[Vec<Value>]) -> Value {
    json!({ "runs": runs(&rows[0]), "counters": counters(&rows[1]) })
}

/// The same by the report.
pub(crate) fn raw_expected(said: &Value) -> Value {
    json!({
        "runs": { "failed": said["runs"]["failed"], "ok": said["runs"]["ok"] },
        "counters": counters_expected(said),
    })
}

/// Of an export: all there is.
pub(crate) fn full(rows: &[Vec<Value>]) -> Value {
    let [run_rows, counter_rows, latest, plans, arenas, ops, tensors, alarms] = rows else {
        panic!("{} answers", rows.len())
    };
    json!({
        "runs": runs(run_rows), "counters": counters(counter_rows),
        "latest_ns": latest[0]["ns"],
        "plans": plans.iter().map(|plan| with_dims(plan.clone())).collect::<Vec<_>>(),
        "arenas": arenas, "ops": ops.iter().map(without_time).collect::<Vec<_>>(),
        "first_plan": latest[0]["first_plan"],
        "tensors": tensors.iter().filter(|tensor| tensor["plan"] == latest[0]["first_plan"]).count(),
        "at_peak": tensors.iter().map(tensor).collect::<BTreeMap<_, _>>(),
        "device_memory": last(counter_rows, |name| name.starts_with("vulkan.mem.device.memory.type.")),
        "alarms": alarms[0]["n"],
    })
}

/// The same by the report, but for the tensors.
pub(crate) fn full_expected(said: &Value) -> Value {
    let device_memory: u64 = list(&said["blocks"]).iter().filter_map(|block| block["bytes"].as_u64()).sum();
    let mut expected = raw_expected(said);
    expected["latest_ns"] = said["runs"]["latest_ns"].clone();
    expected["plans"] = list(&said["plans"])
        .iter()
        .map(|plan| {
            let dims = plan["dims"].as_object().expect("dims are an object");
            let dims: Vec<String> = dims.iter().map(|(name, value)| format!("{name}={value}")).collect();
            json!({
                "number": plan["number"], "model": plan["model"], "target": plan["target"],
                "strategy": plan["strategy"], "dims": dims, "ops": plan["ops"], "buffers": plan["buffers"],
                "runs": plan["runs"],
            })
        })
        .collect();
    expected["arenas"] = per_plan(said, "arenas", |plan, arena| {
        let loss = &arena["loss"];
        json!({
            "plan": plan["number"], "name": arena["name"], "size": arena["size"],
            "alignment": arena["alignment"], "lower_bound": arena["lower_bound"],
            "peak_live": arena["peak_live"], "live": loss["live"], "padding": loss["padding"],
            "holes": loss["holes"], "tail": loss["tail"], "hole_count": loss["hole_count"],
            "largest_hole": loss["largest_hole"],
        })
    });
    expected["ops"] = per_plan(said, "op_times", |plan, op| {
        json!({
            "plan": plan["number"], "op": op["op"], "name": op["name"], "kernel": op["kernel"],
            "source_node": op["source_node"], "source_op": op["source_op"], "bytes": op["bytes"],
            "flops": op["flops"], "count": op["count"], "mean_ns": op["mean_ns"], "latest_ns": op["latest_ns"],
        })
    });
    expected["device_memory"] = device_memory.into();
    let alarms = ["deviation", "overlap", "unplanned"].map(|kind| said[kind].as_u64().unwrap_or(0));
    expected["alarms"] = alarms.iter().sum::<u64>().into();
    expected
}

/// The largest tensors at the peaks of every plan, by plan and buffer: as the export must show them. Weights are shown once,
/// for the plan that ran first.
pub(crate) fn at_peak_expected(said: &Value, first_plan: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for plan in list(&said["plans"]) {
        let shown_before = plan["number"] != *first_plan;
        let arenas = list(&plan["arenas"]).iter();
        for arena in arenas.filter(|arena| !(shown_before && arena["kind"] == "weights")) {
            for buffer in list(&arena["live_at_peak"]) {
                let mut buffer = buffer.clone();
                buffer["plan"] = plan["number"].clone();
                let (key, value) = tensor(&buffer);
                found.insert(key, value);
            }
        }
    }
    found
}

fn runs(rows: &[Value]) -> Value {
    let of =
        |name: &str| rows.iter().find(|row| row["name"] == name).map_or(json!(0), |row| row["n"].clone());
    json!({ "failed": of("failed run"), "ok": of("run") })
}

/// Maxima of arenas, last values of heaps and of device memory.
fn counters(rows: &[Value]) -> Value {
    let mut arenas = BTreeMap::new();
    let mut heaps = BTreeMap::new();
    for row in rows {
        let name = row["name"].as_str().expect("counters have names");
        if let Some(arena) = name.strip_prefix("planned live bytes, ") {
            arenas.insert(arena.to_owned(), row["most"].clone());
        } else if name.starts_with("heap ") {
            heaps.insert(name.to_owned(), row["last"].clone());
        }
    }
    let dropped: u64 = last(rows, |name| name == "dropped events");
    json!({
        "arenas": arenas, "heaps": heaps, "dropped": dropped,
        "device": last(rows, |name| name == "device memory allocated"),
    })
}

fn counters_expected(said: &Value) -> Value {
    let mut arenas: BTreeMap<String, u64> = BTreeMap::new();
    for plan in list(&said["plans"]).iter().filter(|plan| plan["runs"] != 0) {
        for arena in list(&plan["arenas"]) {
            let name = arena["name"].as_str().expect("arenas have names").to_owned();
            let most = arenas.entry(name).or_default();
            *most = (*most).max(arena["peak_live"].as_u64().expect("a peak"));
        }
    }
    let mut heaps = BTreeMap::new();
    for heap in list(&said["heaps"]) {
        heaps.insert(format!("heap {} in use", heap["heap"]), heap["usage"].clone());
        if !heap["budget"].is_null() {
            heaps.insert(format!("heap {} budget", heap["heap"]), heap["budget"].clone());
        }
    }
    let dropped: u64 =
        said["dropped"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    let device: u64 = list(&said["blocks"]).iter().filter_map(|block| block["bytes"].as_u64()).sum();
    json!({ "arenas": arenas, "heaps": heaps, "dropped": dropped, "device": device })
}

fn last(rows: &[Value], named: impl Fn(&str) -> bool) -> u64 {
    let of = rows.iter().filter(|row| row["name"].as_str().is_some_and(&named));
    of.filter_map(|row| row["last"].as_u64()).sum()
}

/// Dims as a list in the order of their names.
fn with_dims(mut plan: Value) -> Value {
    let mut dims: Vec<String> =
        plan["dims"].as_str().unwrap_or_default().split_whitespace().map(String::from).collect();
    dims.sort_unstable();
    plan["dims"] = dims.into();
    plan
}

fn without_time(op: &Value) -> Value {
    let mut op = op.clone();
    op.as_object_mut().expect("a row is an object").retain(|name, _| name != "max(ts)");
    op
}

fn tensor(row: &Value) -> (String, Value) {
    let values =
        ["name", "shape", "size", "offset", "first", "last"].map(|key| (key.to_owned(), row[key].clone()));
    (format!("plan {} buffer {}", row["plan"], row["buffer"]), Value::Object(values.into_iter().collect()))
}

fn per_plan(said: &Value, key: &str, row: impl Fn(&Value, &Value) -> Value) -> Value {
    let plans = list(&said["plans"]).iter();
    plans.flat_map(|plan| list(&plan[key]).iter().map(|item| row(plan, item)).collect::<Vec<_>>()).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
