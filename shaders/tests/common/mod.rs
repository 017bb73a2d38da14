//! Runs launches on a Vulkan device, with guard words around the result and poisoned memory everywhere else.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::sync::OnceLock;
use std::time::Duration;

use bayplan_graph::DType;
use bayplan_shaders::{
    Access, Approx, Arg, Chain, Class, ElementwiseSpec, Features, Launch, Operand, Slot, Spec, Step, StepOp,
    Subgroup, Target, compile_wgsl, error_bound, launch,
};
use bayplan_vulkan::{
    BindingKind, Buffer, Commands, Device, Instance, InstanceOptions, Location, PipelineDesc, Window,
};

/// What memory holds where nobody wrote: a NaN.
pub const POISON: u32 = 0x7fc0_dead;
/// Words between two tensors, all poison: more than any stray access of a block would skip.
const GAP: u64 = 1024;

/// The driver of this program's tests: lavapipe, and SwiftShader in the program that bears its name.
fn driver() -> &'static str {
    if env!("CARGO_CRATE_NAME") == "swiftshader" { "SwiftShader" } else { "llvmpipe" }
}

/// The driver's device, or else, where it is not installed and so not asked for, the first there is; opened once.
pub fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let instance = Instance::new(&InstanceOptions::default()).expect("a Vulkan loader and driver");
        let devices = instance.devices().expect("devices");
        let named = devices.iter().find(|d| d.name.contains(driver()));
        let found = named.or_else(|| devices.first().filter(|_| driver() == "llvmpipe"));
        let found = found.unwrap_or_else(|| {
            panic!("no {}: run scripts/setup.sh test, then . target/env-test.sh", driver())
        });
        Device::new(&instance, found).expect("the device opens")
    })
}

/// One step over a row of `n` elements: `operands` of type `from`, the result of type `to`.
pub fn single(op: StepOp, from: DType, to: DType, operands: usize, n: usize) -> Spec {
    let args = (0..operands as u32).map(Arg::Operand).collect();
    Spec::Elementwise(ElementwiseSpec {
        shape: vec![n as u64],
        chain: Chain {
            operands: vec![Operand { dtype: from, base: 0, strides: vec![1] }; operands],
            steps: vec![Step { op, args, dtype: to }],
            result: to,
            layout: None,
        },
        in_place: None,
    })
}

/// The device as it is, as a target.
pub fn cpu() -> Target {
    let info = device().info();
    Target {
        name: info.name.clone(),
        class: Class::Cpu,
        subgroup: Some(Subgroup { size: info.subgroup.size, shuffle: true, arithmetic: true }),
        features: Features {
            int64: info.features.shader_int64,
            float64: info.features.shader_float64,
            ..Features::default()
        },
        max_workgroup_invocations: info.limits.max_compute_workgroup_invocations,
        max_workgroup_size: info.limits.max_compute_workgroup_size,
        max_workgroup_count: info.limits.max_compute_workgroup_count,
        max_shared_memory: info.limits.max_compute_shared_memory_size,
        storage_alignment: info.limits.min_storage_buffer_offset_alignment,
        storage_granule: bayplan_shaders::VEC4,
        uniform_alignment: info.limits.min_uniform_buffer_offset_alignment,
        max_storage_range: info.limits.max_storage_buffer_range,
        max_allocation: info.limits.max_memory_allocation_size,
        max_loop_passes: Some(bayplan_shaders::CPU_LOOP_PASSES),
    }
}

/// Every style of kernel that the device can run.
pub fn targets() -> Vec<Target> {
    let cpu = cpu();
    let alone = Target { name: "cpu without subgroups".into(), subgroup: None, ..cpu.clone() };
    let gpu = Target { name: "gpu".into(), class: Class::Gpu, ..cpu.clone() };
    let plain = Target { name: "gpu without subgroups".into(), subgroup: None, ..gpu.clone() };
    let small = Target {
        name: "small gpu".into(),
        max_workgroup_invocations: 128,
        max_workgroup_size: [128, 128, 64],
        max_workgroup_count: [7, 65_535, 65_535],
        max_shared_memory: 16_384,
        ..plain.clone()
    };
    vec![cpu, alone, gpu, plain, small]
}

/// Where the tensors of one launch lie, in words.
struct Places {
    operands: Vec<u64>,
    out: u64,
    params: u64,
    total: u64,
}

fn places(operands: &[Vec<u32>], out_words: u64) -> Places {
    let mut at = GAP;
    let mut place = |words: u64| {
        let here = at;
        at = (at + words).next_multiple_of(64) + GAP;
        here
    };
    let operands = operands.iter().map(|o| place(o.len() as u64)).collect();
    let out = place(out_words);
    let params = place(256);
    Places { operands, out, params, total: at }
}

/// A launch ready to run, over and over.
pub struct Ready {
    pub launch: Launch,
    buffer: Buffer,
    commands: Commands,
    before: Vec<u32>,
    out: u64,
    out_words: u64,
}

/// Prepares a launch. `in_place` names the operand that the result overwrites.
pub fn prepare(
    spec: &Spec,
    target: &Target,
    operands: &[Vec<u32>],
    out_words: u64,
    in_place: Option<u32>,
) -> Ready {
    prepare_launch(launch(spec, target).unwrap_or_else(|e| panic!("{e}")), operands, out_words, in_place)
}

/// As [`prepare`], of a launch as it is.
pub fn prepare_launch(launch: Launch, operands: &[Vec<u32>], out_words: u64, in_place: Option<u32>) -> Ready {
    let spirv = compile_wgsl(&launch.kernel).unwrap_or_else(|e| panic!("{e}\n{}", launch.kernel.wgsl));
    let device = device();
    let kernel = &launch.kernel;
    let mut kinds = vec![BindingKind::Storage; kernel.bindings.len()];
    kinds.extend(kernel.has_params.then_some(BindingKind::Uniform));
    let pipeline = device
        .create_pipeline(&PipelineDesc {
            name: &kernel.name,
            spirv: &spirv,
            entry: "main",
            bindings: &kinds,
            push_constants: 0,
            required_subgroup_size: kernel.subgroup,
        })
        .expect("the pipeline builds");
    let places = places(operands, out_words);
    let mut before = vec![POISON; usize::try_from(places.total).unwrap()];
    let mut put =
        |at: u64, words: &[u32]| before[at as usize..at as usize + words.len()].copy_from_slice(words);
    for (i, (words, &at)) in operands.iter().zip(&places.operands).enumerate() {
        put(if in_place == Some(i as u32) { places.out } else { at }, words);
    }
    put(places.params, &launch.params);
    let buffer = device.create_buffer("test", places.total * 4, Location::Device).expect("memory");
    let window = |at: u64, words: u64| Window {
        buffer: &buffer,
        offset: at * 4,
        len: (words.max(1) * 4).next_multiple_of(16),
    };
    let mut windows: Vec<_> = kernel
        .bindings
        .iter()
        .map(|b| match b.slot {
            Slot::Operand(i) => {
                assert_eq!(b.access, Access::Read);
                window(places.operands[i as usize], operands[i as usize].len() as u64)
            }
            Slot::Output => {
                assert_ne!(b.access, Access::Read);
                window(places.out, out_words)
            }
        })
        .collect();
    if kernel.has_params {
        windows.push(window(places.params, launch.params.len() as u64));
    }
    let mut recorder = device.record(&kernel.name);
    recorder.dispatch(&pipeline, &windows, launch.grid).expect("the dispatch is valid");
    let commands = recorder.finish().expect("commands");
    Ready { launch, buffer, commands, before, out: places.out, out_words }
}

impl Ready {
    /// Fills the memory.
    pub fn load(&self) {
        let bytes: Vec<u8> = self.before.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.buffer.mapped().expect("mapped").write(0, &bytes).expect("mapped");
    }

    /// Runs once.
    pub fn run(&self) {
        let ticket = device().submit(&self.commands).expect("submits");
        assert!(device().wait(&ticket, Duration::from_secs(120)).expect("runs"), "timed out");
    }

    /// The result, after a check that all other memory is as it was.
    pub fn result(&self) -> Vec<u32> {
        let mut bytes = vec![0; self.before.len() * 4];
        self.buffer.mapped().expect("mapped").read(0, &mut bytes).expect("mapped");
        let words: Vec<u32> =
            bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
        let out = self.out as usize..(self.out + self.out_words.max(1).next_multiple_of(4)) as usize;
        for (i, (now, before)) in words.iter().zip(&self.before).enumerate() {
            if !out.contains(&i) {
                let name = &self.launch.kernel.name;
                assert_eq!(
                    now,
                    before,
                    "{name} wrote word {} of the result ({} long)",
                    i as i64 - self.out as i64,
                    self.out_words
                );
            }
        }
        words[self.out as usize..(self.out + self.out_words) as usize].to_vec()
    }
}

/// Runs a spec once and answers its result's words.
pub fn run(
    spec: &Spec,
    target: &Target,
    operands: &[Vec<u32>],
    out_words: u64,
    in_place: Option<u32>,
) -> Vec<u32> {
    let ready = prepare(spec, target, operands, out_words, in_place);
    ready.load();
    ready.run();
    ready.result()
}

/// Runs a launch once and answers its result's words.
pub fn run_launch(launch: Launch, operands: &[Vec<u32>], out_words: u64, in_place: Option<u32>) -> Vec<u32> {
    let ready = prepare_launch(launch, operands, out_words, in_place);
    ready.load();
    ready.run();
    ready.result()
}

/// Words of floats.
pub fn words(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

/// Floats of words.
pub fn floats(x: &[u32]) -> Vec<f32> {
    x.iter().map(|v| f32::from_bits(*v)).collect()
}

/// Words of 64-bit integers.
pub fn words64(x: &[i64]) -> Vec<u32> {
    x.iter().flat_map(|v| [*v as u32, (*v >> 32) as u32]).collect()
}

/// A reproducible source of numbers (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    /// From -1 to 1.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, n: u64) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}

/// Fails where results are further from the reference than `relative` of its magnitude plus `absolute`.
pub fn close(name: &str, got: &[u32], want: &[f64], relative: f64, absolute: f64) {
    assert_eq!(got.len(), want.len(), "{name}: lengths");
    for (i, (g, &w)) in floats(got).into_iter().zip(want).enumerate() {
        let g = f64::from(g);
        let same = (g.is_nan() && w.is_nan()) || g == w || (g - w).abs() <= relative * w.abs() + absolute;
        assert!(same, "{name}: element {i} is {g}, should be {w}");
    }
}

/// Runs a spec without a chain; fails where a result is further from the reference than the kernel's stated bound. Answers the
/// largest part of the bound that was used.
pub fn within_bound(
    what: &str,
    spec: &Spec,
    target: &Target,
    operands: &[Vec<u32>],
    want: &[f64],
    magnitudes: &[f64],
) -> f64 {
    let bound = error_bound(spec, target);
    let got = floats(&run(spec, target, operands, want.len() as u64, None));
    let mut worst = 0.0_f64;
    for (i, (&device, (&value, &magnitude))) in got.iter().zip(want.iter().zip(magnitudes)).enumerate() {
        let error = bound.of(value, magnitude);
        assert!(error.is_finite(), "{what}: {value} has no bound");
        assert!(
            Approx { value, error }.accepts(f64::from(device)),
            "{}: {what}: element {i} is {device}, should be {value} within {error:e}",
            target.name
        );
        let off = (f64::from(device) - value).abs();
        worst = worst.max(if error > 0.0 { off / error } else { 0.0 });
    }
    worst
}

/// Runs the test of that name again in a process of its own where the CPU driver has subgroups of other sizes, and has it
/// do `checks` there. Drivers that do not know the setting have one size: the checks run here.
pub fn with_other_lanes(test: &str, checks: impl Fn()) {
    const SETTING: &str = "LP_NATIVE_VECTOR_WIDTH";
    if !device().info().name.contains("llvmpipe") {
        return checks();
    }
    if let Ok(bits) = std::env::var(SETTING) {
        let size = device().info().subgroup.size;
        assert_eq!(size.to_string(), (bits.parse::<u32>().expect("a number") / 32).to_string());
        return checks();
    }
    for bits in ["128", "512"] {
        let program = std::env::current_exe().expect("this program");
        let output = std::process::Command::new(program)
            .args(["--exact", test])
            .env(SETTING, bits)
            // The driver's cache does not tell machine code by the setting: each has one of its own.
            .env("MESA_SHADER_CACHE_DIR", format!("{}/lanes-{bits}", env!("CARGO_TARGET_TMPDIR")))
            .output()
            .expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{bits} bits: {text}");
    }
}
