//! Two kernels that measure what a device does at most: one copies, one multiplies and adds.
//!
//! They compute nothing of a model. Both take a storage binding that they read and one that they write, and no parameters.

use core::fmt::Write as _;

use crate::{Access, Binding, Class, Kernel, Slot, Target};

/// Bytes that an invocation of the copy moves: so many are read, and as many written.
pub const COPIED: u64 = 16 * VECTORS;
/// `vec4`s that an invocation of the copy moves, written out: a loop would cost more than what it repeats.
const VECTORS: u64 = 16;

/// Floating-point operations of an invocation that multiplies and adds.
pub const MULTIPLY_ADD_FLOPS: u64 = PASSES * STEPS * 4 * CHAINS * 2;
/// Chains of `vec4`s that do not wait for each other: twelve registers, of the sixteen that a CPU with AVX2 has.
const CHAINS: u64 = 3;
/// Steps of each chain in one pass of the loop.
const STEPS: u64 = 8;
/// Passes of the loop: far below what drivers of CPUs allow an invocation.
const PASSES: u64 = 256;

/// Invocations of a workgroup of both kernels on a device: on a CPU one subgroup, as all kernels have there, so that what it
/// moves lies side by side.
pub fn probe_lanes(target: &Target) -> u32 {
    let wanted = match target.class {
        Class::Cpu => target.subgroup.map_or(8, |subgroup| subgroup.size.max(1)),
        Class::Gpu => 256,
    };
    let most = target.max_workgroup_invocations.min(target.max_workgroup_size[0]).clamp(1, wanted);
    1 << most.ilog2()
}

/// Copies: invocation after invocation moves [`COPIED`] bytes, those of a workgroup side by side.
pub fn probe_copy(target: &Target) -> Kernel {
    let lanes = probe_lanes(target);
    let first = format!("group.x * {}u + lane", u64::from(lanes) * VECTORS);
    let mut body = format!("    let at = {first};\n");
    for vector in 0..VECTORS {
        let step = vector * u64::from(lanes);
        let _ = writeln!(body, "    written[at + {step}u] = given[at + {step}u];");
    }
    kernel("probe.copy", lanes, &body)
}

/// Multiplies and adds: each invocation has chains of `x * b + c` in registers, and writes a `vec4` so that none is idle work.
/// `b` and `c` are read, so that no compiler knows them; with both 0.5 the chains go towards 1.
pub fn probe_multiply_add(target: &Target) -> Kernel {
    let lanes = probe_lanes(target);
    let mut body = String::from("    let b = given[0].x;\n    let c = vec4<f32>(given[0].y);\n");
    for chain in 0..CHAINS {
        let _ = writeln!(body, "    var x{chain} = given[0] + vec4<f32>(f32(lane + {chain}u));");
    }
    let _ = writeln!(body, "    for (var turn = 0u; turn < {PASSES}u; turn++) {{");
    for _ in 0..STEPS {
        for chain in 0..CHAINS {
            let _ = writeln!(body, "        x{chain} = x{chain} * b + c;");
        }
    }
    let _ = writeln!(body, "    }}\n    written[group.x * {lanes}u + lane] = x0 + x1 + x2;");
    kernel("probe.multiply_add", lanes, &body)
}

fn kernel(name: &str, lanes: u32, body: &str) -> Kernel {
    let wgsl = format!(
        "@group(0) @binding(0) var<storage, read> given: array<vec4<f32>>;\n\
         @group(0) @binding(1) var<storage, read_write> written: array<vec4<f32>>;\n\n\
         @compute @workgroup_size({lanes})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n{body}}}\n"
    );
    let bindings = vec![
        Binding { slot: Slot::Operand(0), access: Access::Read },
        Binding { slot: Slot::Output, access: Access::Write },
    ];
    let workgroup = [lanes, 1, 1];
    Kernel { name: name.into(), wgsl, workgroup, bindings, has_params: false, subgroup: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CPU_LOOP_PASSES, Mode, compile_wgsl_as};

    #[test]
    fn both_compile_for_every_device() {
        let small = Target { max_workgroup_size: [96, 1, 1], ..Target::generic() };
        let cpu = Target { class: Class::Cpu, max_workgroup_invocations: 1024, ..Target::generic() };
        for (target, lanes) in [(Target::generic(), 128), (small, 64), (cpu, 8)] {
            assert_eq!(probe_lanes(&target), lanes);
            for kernel in [probe_copy(&target), probe_multiply_add(&target)] {
                assert_eq!(kernel.workgroup, [lanes, 1, 1]);
                for mode in [Mode::Production, Mode::Checked] {
                    compile_wgsl_as(&kernel, mode).unwrap_or_else(|e| panic!("{e}"));
                }
            }
        }
        const { assert!(PASSES < CPU_LOOP_PASSES) };
    }

    #[test]
    fn the_text_does_the_work_that_is_counted() {
        let copy = probe_copy(&Target::generic()).wgsl;
        assert_eq!(copy.matches("= given[at").count() as u64 * 16, COPIED);
        let add = probe_multiply_add(&Target::generic()).wgsl;
        // A multiplication and an addition for each of four components.
        assert_eq!(add.matches(" * b + c;").count() as u64 * 4 * 2 * PASSES, MULTIPLY_ADD_FLOPS);
    }
}
