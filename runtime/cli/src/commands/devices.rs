//! `bayplan devices`.

use std::process::ExitCode;

use bayplan::{
    Device, DeviceInfo, Io, Target, WeightsPath, devices as list, memory, target_of, weights_path,
};
use bayplan_text::{Bytes, ellipsis};
use serde_json::{Value, json};

use crate::args::DevicesOptions;
use crate::commands::probe::{Probed, probed};
use crate::exit::Outcome;
use crate::out::{self, Progress};

/// Version of the JSON that this command prints.
const VERSION: u32 = 1;

/// Columns of a name.
const NAME: usize = 84;

pub(crate) fn devices(options: &DevicesOptions) -> Outcome {
    // The host is there whatever drivers are not.
    let all = list().unwrap_or_else(|e| {
        out::error_line("warning", &e.to_string());
        Vec::new()
    });
    let host = Device::host();
    let mut progress = Progress::new(false);
    let with_roofs = |info: DeviceInfo| {
        let probed = probed(&info, options.probe, &mut progress);
        (info, probed)
    };
    let all: Vec<(DeviceInfo, Probed)> = all.into_iter().map(with_roofs).collect();
    progress.clear();
    if options.format.is_json() {
        let devices = all.iter().map(|(info, probed)| json(info, probed));
        let all: Vec<Value> = devices.chain([host_json(&host)]).collect();
        out::print_json(&json!({ "version": VERSION, "devices": all }))?;
    } else {
        let devices = all.iter().map(|(info, probed)| text(info, probed, &target_of(info)));
        let all: Vec<String> = devices.chain([host_text(&host)]).collect();
        out::print(&all.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The driver that the host stands for: this program.
fn host_driver() -> String {
    format!("bayplan {}", env!("CARGO_PKG_VERSION"))
}

fn host_text(host: &Device) -> String {
    let mut rows = vec![("kind", "cpu".into()), ("driver", format!("{}, no Vulkan", host_driver()))];
    if let Some(memory) = memory() {
        rows.push(("memory", format!("{} of {} available", Bytes(memory.available), Bytes(memory.total))));
    }
    rows.push(("weights", words(WeightsPath::Host).into()));
    let alignment = Bytes(host.target().storage_alignment);
    rows.push(("limits", format!("none but memory · alignment {alignment}")));
    rows.push(("roof", Probed::host().words()));
    listed(&format!("-   {}", host.name()), &rows)
}

fn host_json(host: &Device) -> Value {
    let heaps: Vec<Value> =
        memory().map(|memory| json!({ "bytes": memory.total, "device_local": true })).into_iter().collect();
    let mut device = json!({
        "index": null,
        "name": host.name(),
        "kind": "cpu",
        "driver": host_driver(),
        "vulkan": null,
        "uuid": null,
        "heaps": heaps,
        "weights_path": WeightsPath::Host.name(),
        "imports": false,
        "target": target_json(host.target()),
    });
    Probed::host().put(&mut device);
    device
}

/// A device's name, then its rows.
fn listed(head: &str, rows: &[(&str, String)]) -> String {
    let rows = rows.iter().map(|(name, value)| format!("    {name:<9} {value}\n"));
    format!("{head}\n{}", rows.collect::<String>())
}

fn text(info: &DeviceInfo, probed: &Probed, target: &Target) -> String {
    let mut rows = vec![
        ("kind", info.kind.to_string()),
        ("driver", format!("{} · Vulkan {}", ellipsis(&info.driver, 60), info.api_version)),
        ("uuid", info.uuid.to_string()),
    ];
    for (index, heap) in info.heaps.iter().enumerate() {
        let place = if heap.device_local { "device" } else { "host" };
        rows.push(("memory", format!("heap {index}: {} ({place})", Bytes(heap.size))));
    }
    let files = if imports(info) { "; --io import reads them in their files" } else { "" };
    rows.push(("weights", format!("{}{files}", words(weights_path(info, Io::Auto)))));
    rows.push(("kernels", format!("class {}, {}", class(target), subgroup(target))));
    let features: Vec<&str> =
        features(target).into_iter().filter_map(|(name, has)| has.then_some(name)).collect();
    rows.push(("features", if features.is_empty() { "none".into() } else { features.join(" ") }));
    rows.push(("limits", {
        let (allocation, window) = (Bytes(target.max_allocation), Bytes(target.max_storage_range));
        format!("allocation {allocation} · window {window} · alignment {}", Bytes(target.storage_alignment))
    }));
    rows.push(("roof", probed.words()));
    listed(&format!("{:<3} {}", info.index, ellipsis(&info.name, NAME)), &rows)
}

/// Whether a device can read weights in their files.
fn imports(info: &DeviceInfo) -> bool {
    weights_path(info, Io::Import) == WeightsPath::Imported
}

/// How weights come to a device, for people.
fn words(path: WeightsPath) -> &'static str {
    match path {
        WeightsPath::Imported => "read in their files",
        WeightsPath::Mapped => "read straight into its memory",
        WeightsPath::Staged => "through staging buffers",
        WeightsPath::Host => "read into the host's memory",
    }
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

fn json(info: &DeviceInfo, probed: &Probed) -> Value {
    let heaps = info.heaps.iter();
    let heaps: Vec<Value> =
        heaps.map(|heap| json!({ "bytes": heap.size, "device_local": heap.device_local })).collect();
    let mut device = json!({
        "index": info.index,
        "name": info.name,
        "kind": info.kind.to_string(),
        "driver": info.driver,
        "vulkan": info.api_version.to_string(),
        "uuid": info.uuid.to_string(),
        "heaps": heaps,
        "weights_path": weights_path(info, Io::Auto).name(),
        "imports": imports(info),
        "target": target_json(&target_of(info)),
    });
    probed.put(&mut device);
    device
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
        "max_loop_passes": target.max_loop_passes,
    })
}
