//! `bayplan devices`.

use std::process::ExitCode;

use bayplan::{DeviceInfo, Target, devices as list, target_of};
use bayplan_text::{Bytes, ellipsis};
use serde_json::{Value, json};

use crate::args::DevicesOptions;
use crate::exit::Outcome;
use crate::out;

/// Version of the JSON that this command prints.
const VERSION: u32 = 1;

/// Columns of a name.
const NAME: usize = 84;

pub(crate) fn devices(options: &DevicesOptions) -> Outcome {
    let all = list()?;
    if options.format.is_json() {
        let all: Vec<Value> = all.iter().map(json).collect();
        out::print_json(&json!({ "version": VERSION, "devices": all }))?;
    } else {
        let all: Vec<String> = all.iter().map(|info| text(info, &target_of(info))).collect();
        out::print(&all.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(info: &DeviceInfo, target: &Target) -> String {
    let mut rows = vec![
        ("kind", info.kind.to_string()),
        ("driver", format!("{} · Vulkan {}", ellipsis(&info.driver, 60), info.api_version)),
        ("uuid", info.uuid.to_string()),
    ];
    for (index, heap) in info.heaps.iter().enumerate() {
        let place = if heap.device_local { "device" } else { "host" };
        rows.push(("memory", format!("heap {index}: {} ({place})", Bytes(heap.size))));
    }
    rows.push(("kernels", format!("class {}, {}", class(target), subgroup(target))));
    let features: Vec<&str> =
        features(target).into_iter().filter_map(|(name, has)| has.then_some(name)).collect();
    rows.push(("features", if features.is_empty() { "none".into() } else { features.join(" ") }));
    rows.push(("limits", {
        let (allocation, window) = (Bytes(target.max_allocation), Bytes(target.max_storage_range));
        format!("allocation {allocation} · window {window} · alignment {}", Bytes(target.storage_alignment))
    }));
    let mut text = format!("{:<3} {}\n", info.index, ellipsis(&info.name, NAME));
    for (name, value) in rows {
        text += &format!("    {name:<9} {value}\n");
    }
    text
}

fn class(target: &Target) -> String {
    format!("{:?}", target.class).to_lowercase()
}

fn subgroup(target: &Target) -> String {
    let Some(subgroup) = target.subgroup else { return "no subgroups".into() };
    let abilities = [("shuffle", subgroup.shuffle), ("arithmetic", subgroup.arithmetic)];
    let abilities: Vec<&str> = abilities.into_iter().filter_map(|(name, has)| has.then_some(name)).collect();
    let with = if abilities.is_empty() { "" } else { " with " };
    format!("subgroups of {} lanes{with}{}", subgroup.size, abilities.join(" and "))
}

fn features(target: &Target) -> [(&'static str, bool); 5] {
    let features = target.features;
    [
        ("int64", features.int64),
        ("float64", features.float64),
        ("float16", features.float16),
        ("storage16", features.storage16),
        ("storage8", features.storage8),
    ]
}

fn json(info: &DeviceInfo) -> Value {
    let heaps = info.heaps.iter();
    let heaps: Vec<Value> =
        heaps.map(|heap| json!({ "bytes": heap.size, "device_local": heap.device_local })).collect();
    json!({
        "index": info.index,
        "name": info.name,
        "kind": info.kind.to_string(),
        "driver": info.driver,
        "vulkan": info.api_version.to_string(),
        "uuid": info.uuid.to_string(),
        "heaps": heaps,
        "target": target_json(&target_of(info)),
    })
}

/// What programs are compiled for.
pub(crate) fn target_json(target: &Target) -> Value {
    let subgroup = target.subgroup.map(|subgroup| {
        json!({
            "size": subgroup.size,
            "shuffle": subgroup.shuffle,
            "arithmetic": subgroup.arithmetic,
        })
    });
    let features: serde_json::Map<String, Value> =
        features(target).into_iter().map(|(name, has)| (name.to_owned(), json!(has))).collect();
    json!({
        "name": target.name,
        "class": class(target),
        "subgroup": subgroup,
        "features": features,
        "max_workgroup_invocations": target.max_workgroup_invocations,
        "max_workgroup_size": target.max_workgroup_size,
        "max_workgroup_count": target.max_workgroup_count,
        "max_shared_memory": target.max_shared_memory,
        "storage_alignment": target.storage_alignment,
        "uniform_alignment": target.uniform_alignment,
        "max_storage_range": target.max_storage_range,
        "max_allocation": target.max_allocation,
    })
}
