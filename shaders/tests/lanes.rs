//! A kernel that takes the number of lanes for granted is noticed: by its results where there are others, and before.

mod common;

use bayplan_shaders::{Access, Binding, Class, Kernel, Launch, Slot, Target};
use common::{Random, cpu, floats, run_launch, words};

const ROWS: u32 = 5;
const LEN: u32 = 64;

/// Sums of rows of 64, one subgroup to a row, written for so many lanes without a word about it.
fn hard_coded(lanes: u32) -> Launch {
    let wgsl = format!(
        "struct B0 {{ d: array<f32> }}
struct B1 {{ d: array<f32> }}
@group(0) @binding(0) var<storage, read> b0: B0;
@group(0) @binding(1) var<storage, read_write> b1: B1;
@compute @workgroup_size({lanes})
fn main(@builtin(subgroup_invocation_id) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {{
    var sum = 0.0;
    for (var j = lane; j < {LEN}u; j += {lanes}u) {{ sum += b0.d[group.x * {LEN}u + j]; }}
    let all = subgroupAdd(sum);
    if (lane == 0u) {{ b1.d[group.x] = all; }}
}}
"
    );
    let binding = |slot, access| Binding { slot, access };
    let kernel = Kernel {
        name: format!("sum for {lanes} lanes"),
        wgsl,
        workgroup: [lanes, 1, 1],
        bindings: vec![binding(Slot::Operand(0), Access::Read), binding(Slot::Output, Access::Write)],
        has_params: false,
        subgroup: None,
    };
    Launch { kernel, params: Vec::new(), grid: [ROWS, 1, 1], flops: 0 }
}

/// Whether the kernel's sums are right on this device.
fn right(lanes: u32) -> bool {
    // Whole numbers: sums are exact in any order.
    let mut random = Random::new(8);
    let x: Vec<f32> = (0..ROWS * LEN).map(|_| random.below(100) as f32 + 1.0).collect();
    let want: Vec<f32> = x.chunks(LEN as usize).map(|row| row.iter().sum()).collect();
    floats(&run_launch(hard_coded(lanes), &[words(&x)], ROWS.into(), None)) == want
}

fn lanes_of(target: &Target) -> u32 {
    target.subgroup.expect("a device that knows its subgroups").size
}

#[test]
fn a_hard_coded_number_of_lanes_is_right_only_where_it_holds() {
    let lanes = lanes_of(&cpu());
    assert!(right(lanes), "written for the {lanes} lanes that the device has");
    // Fewer fill a part of one subgroup; more fall apart into several, each with a sum of its own.
    for other in [4, 8, 16, 32] {
        assert_eq!(right(other), other <= lanes, "written for {other} lanes, on {lanes}");
    }
}

#[test]
fn other_lanes() {
    common::with_other_lanes("other_lanes", a_hard_coded_number_of_lanes_is_right_only_where_it_holds);
}

#[test]
fn a_hard_coded_number_of_lanes_is_refused() {
    let target = cpu();
    let mut kernel = hard_coded(8).kernel;
    let refusal = kernel.suits(&target).unwrap_err();
    assert!(refusal.reason.contains("without stating for how many lanes"), "{refusal}");
    // Stated, it goes where it fits and nowhere else.
    kernel.subgroup = Some(8);
    let with = |size| Target {
        subgroup: target.subgroup.map(|s| bayplan_shaders::Subgroup { size, ..s }),
        ..target.clone()
    };
    assert_eq!(kernel.suits(&with(8)), Ok(()));
    let refusal = kernel.suits(&with(4)).unwrap_err();
    assert!(refusal.reason.starts_with("written for 8 lanes, device"), "{refusal}");
    let unknown = Target { subgroup: None, class: Class::Gpu, ..target.clone() };
    assert!(kernel.suits(&unknown).unwrap_err().reason.ends_with("has an unknown number"));
    kernel.workgroup = [16, 1, 1];
    let refusal = kernel.suits(&with(8)).unwrap_err();
    assert!(refusal.reason.contains("16 invocations are not one subgroup of 8 lanes"), "{refusal}");
}
