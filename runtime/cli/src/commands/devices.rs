//! `bayplan devices`.

use std::process::ExitCode;

use bayplan::{DeviceInfo, Target, devices as list, target_of};
use bayplan_text::{Bytes, escape};
use serde_json::{Value, json};

use crate::args::DevicesOptions;
use crate::exit::Outcome;

pub(crate) fn devices(options: &DevicesOptions) -> Outcome {
    let all = list()?;
    if options.json {
        let all: Vec<Value> = all.iter().map(json).collect();
        println!("{:#}", json!({ "version": 1, "devices": all }));
        return Ok(ExitCode::SUCCESS);
    }
    for info in &all {
        println!("{} {}", info.index, escape(&info.name));
        println!("  kind      {}", info.kind);
        println!("  driver    {} · Vulkan {}", escape(&info.driver), info.api_version);
        println!("  uuid      {}", info.uuid);
        for (index, heap) in info.heaps.iter().enumerate() {
            let place = if heap.device_local { "device" } else { "host" };
            println!("  heap {index}    {} ({place})", Bytes(heap.size));
        }
        println!("  subgroup  {} lanes", info.subgroup.size);
    }
    Ok(ExitCode::SUCCESS)
}

fn json(info: &DeviceInfo) -> Value {
    json!({
        "index": info.index,
        "name": info.name,
        "kind": info.kind.to_string(),
        "driver": info.driver,
        "vulkan": info.api_version.to_string(),
        "uuid": info.uuid.to_string(),
        "heaps": info.heaps.iter().map(|heap| json!({ "bytes": heap.size, "device_local": heap.device_local })).collect::<Vec<_>>(),
        "target": target(&target_of(info)),
    })
}

/// What programs are compiled for.
fn target(target: &Target) -> Value {
    json!({
        "class": format!("{:?}", target.class).to_lowercase(),
        "subgroup": target.subgroup.map(|s| json!({ "size": s.size, "shuffle": s.shuffle, "arithmetic": s.arithmetic })),
        "features": {
            "int64": target.features.int64,
            "float64": target.features.float64,
            "float16": target.features.float16,
            "storage16": target.features.storage16,
            "storage8": target.features.storage8,
        },
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
