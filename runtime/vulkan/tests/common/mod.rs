//! What the tests of the device share: kernels in WGSL, one way to open a device, and a limit on time.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::mpsc;
use std::time::Duration;

use bayplan_vulkan::{
    BindingKind, Buffer, Device, DeviceInfo, DeviceOptions, Instance, InstanceOptions, Location, Pipeline,
    PipelineDesc, Selector, Window, select,
};
use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// Adds `inc` to each word: `y[i] = x[i] + 1`. Arrays stand in a struct, so that synchronization validation sees writes.
pub(crate) const INCREMENT: &str = "
struct Words { data: array<u32> }
@group(0) @binding(0) var<storage, read> x: Words;
@group(0) @binding(1) var<storage, read_write> y: Words;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if (i < min(arrayLength(&x.data), arrayLength(&y.data))) { y.data[i] = x.data[i] + 1u; }
}";

/// Multiplies each word by a uniform word: `y[i] = x[i] * factor`.
pub(crate) const SCALE: &str = "
struct Words { data: array<u32> }
struct Factor { value: vec4<u32> }
@group(0) @binding(0) var<storage, read> x: Words;
@group(0) @binding(1) var<uniform> factor: Factor;
@group(0) @binding(2) var<storage, read_write> y: Words;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if (i < min(arrayLength(&x.data), arrayLength(&y.data))) { y.data[i] = x.data[i] * factor.value.x; }
}";

/// Adds a pushed word to each word in place.
pub(crate) const ADD_PUSHED: &str = "
struct Words { data: array<u32> }
struct Pushed { value: u32 }
@group(0) @binding(0) var<storage, read_write> x: Words;
var<immediate> pushed: Pushed;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if (i < arrayLength(&x.data)) { x.data[i] = x.data[i] + pushed.value; }
}";

/// Writes the subgroup's size to each word.
pub(crate) const LANES: &str = "
struct Words { data: array<u32> }
@group(0) @binding(0) var<storage, read_write> x: Words;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(subgroup_size) lanes: u32) {
    let i = id.x;
    if (i < arrayLength(&x.data)) { x.data[i] = lanes; }
}";

/// Compiles WGSL to SPIR-V 1.3.
pub(crate) fn compile(wgsl: &str) -> Vec<u32> {
    let module = naga::front::wgsl::parse_str(wgsl).unwrap_or_else(|e| panic!("{}", e.emit_to_string(wgsl)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).expect("valid");
    let unchecked = BoundsCheckPolicy::Unchecked;
    let options = spv::Options {
        lang_version: (1, 3),
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        force_loop_bounding: false,
        ..Default::default()
    };
    spv::write_vec(&module, &info, &options, None).expect("SPIR-V")
}

/// Runs `body`, and fails where it takes longer than two minutes: a hang must not hang the suite.
pub(crate) fn limited(body: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match finished.recv_timeout(Duration::from_secs(120)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("not done after two minutes"),
        // Done, or the body panicked: then the join has its message.
        _ => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

pub(crate) fn instance(validation: bool) -> Instance {
    Instance::new(&InstanceOptions { validation, ..Default::default() }).expect("a Vulkan loader and driver")
}

/// The best device, or SwiftShader's in the program that bears its name.
pub(crate) fn best(instance: &Instance) -> DeviceInfo {
    let swiftshader = env!("CARGO_CRATE_NAME") == "swiftshader";
    let selector = if swiftshader { Selector::Name("SwiftShader".into()) } else { Selector::Best };
    let mut devices = instance.devices().expect("devices");
    let index = select(&devices, &selector).unwrap_or_else(|e| panic!("{e}"));
    devices.swap_remove(index)
}

pub(crate) fn open() -> Device {
    let instance = instance(false);
    Device::new(&instance, &best(&instance)).expect("the device opens")
}

/// Opens the device as if it had memory of its own.
pub(crate) fn open_separate() -> Device {
    let instance = instance(false);
    let options = DeviceOptions { separate_memory: true, ..Default::default() };
    Device::with_options(&instance, &best(&instance), &options).expect("the device opens")
}

pub(crate) fn pipeline(
    device: &Device,
    wgsl: &str,
    bindings: &[BindingKind],
    push_constants: u32,
) -> Pipeline {
    device
        .create_pipeline(&PipelineDesc {
            name: "kernel",
            spirv: &compile(wgsl),
            entry: "main",
            bindings,
            push_constants,
            required_subgroup_size: None,
        })
        .expect("a pipeline")
}

pub(crate) fn increment(device: &Device) -> Pipeline {
    pipeline(device, INCREMENT, &[BindingKind::Storage, BindingKind::Storage], 0)
}

pub(crate) fn whole(buffer: &Buffer) -> Window<'_> {
    Window { buffer, offset: 0, len: buffer.size() }
}

/// Words into a buffer, wherever it lies.
pub(crate) fn upload(device: &Device, buffer: &Buffer, offset: u64, words: &[u32]) {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    if let Some(mapped) = buffer.mapped() {
        return mapped.write(offset, &bytes).expect("a write");
    }
    let len = bytes.len() as u64;
    let staging = device.create_buffer("staging", len, Location::Upload).expect("staging");
    staging.mapped().expect("upload buffers are mapped").write(0, &bytes).expect("a write");
    let mut recorder = device.record("upload");
    recorder.copy(&staging, 0, buffer, offset, len).expect("a copy");
    run(device, recorder);
}

/// Words out of a buffer, wherever it lies.
pub(crate) fn download(device: &Device, buffer: &Buffer, offset: u64, count: usize) -> Vec<u32> {
    let mut bytes = vec![0; count * 4];
    let len = bytes.len() as u64;
    if let Some(mapped) = buffer.mapped() {
        mapped.read(offset, &mut bytes).expect("a read");
    } else {
        let staging = device.create_buffer("staging", len, Location::Readback).expect("staging");
        let mut recorder = device.record("download");
        recorder.copy(buffer, offset, &staging, 0, len).expect("a copy");
        run(device, recorder);
        staging.mapped().expect("readback buffers are mapped").read(0, &mut bytes).expect("a read");
    }
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

pub(crate) fn run(device: &Device, recorder: bayplan_vulkan::Recorder) {
    let commands = recorder.finish().expect("commands");
    let ticket = device.submit(&commands).expect("a submission");
    assert!(device.wait(&ticket, Duration::from_secs(60)).expect("a wait"), "not done in a minute");
}

/// A file without a name that holds these words.
pub(crate) fn file_of(words: &[u32]) -> std::fs::File {
    let mut file = tempfile::tempfile().expect("a file");
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    std::io::Write::write_all(&mut file, &bytes).expect("written");
    file
}
