//! Programs that break a rule on purpose, to prove that the validation layers see it. For tests only.
//!
//! "No message" is worth something only where a message would have come. Whoever asserts that a program causes none runs
//! these controls in the same test, and asserts that each of them fires.

use std::time::Duration;

use crate::buffer::Buffer;
use crate::decide::Location;
use crate::device::Device;
use crate::error::Error;
use crate::info::DeviceInfo;
use crate::instance::{Instance, InstanceOptions};
use crate::messages::Message;
use crate::pipeline::{BindingKind, Pipeline, PipelineDesc};
use crate::recorder::Window;

/// The kernel of the controls, compiled from `copy.wgsl` (a test compares them).
const COPY_SPIRV: &[u8] = include_bytes!("copy.spv");

/// Bytes that each dispatch of a control copies.
const WINDOW: u64 = 4096;

/// A program that breaks one rule.
pub struct Control {
    /// What is broken.
    pub name: &'static str,
    /// A message whose id begins with one of these is the one expected.
    pub expect: &'static [&'static str],
    /// Breaks the rule.
    pub run: fn(&Device) -> Result<(), Error>,
}

/// What the layer said to one control.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was broken.
    pub name: &'static str,
    /// Whether the layer said what was expected.
    pub fired: bool,
    /// All that it said.
    pub messages: Vec<Message>,
}

/// The negative controls.
pub const CONTROLS: [Control; 4] = [
    Control { name: "missing barrier", expect: &["SYNC-HAZARD-READ-AFTER-WRITE"], run: missing_barrier },
    Control {
        name: "aliasing as read after write",
        expect: &["SYNC-HAZARD-READ-AFTER-WRITE"],
        run: aliased_windows,
    },
    Control {
        name: "descriptor window past its buffer",
        expect: &["VUID-VkDescriptorBufferInfo-range-00342", "VUID-VkDescriptorBufferInfo-offset-00340"],
        run: window_past_buffer,
    },
    Control {
        name: "leaked object",
        // The same rule under its older and its newer number.
        expect: &["VUID-vkDestroyDevice-device-00378", "VUID-vkDestroyDevice-device-05137"],
        run: leaked_object,
    },
];

/// Runs every control on the device, each in an instance of its own with validation on, so that no other program's
/// messages come between.
///
/// # Errors
/// [`Error::MissingLayer`] where the layer is not installed, or as the calls that a control makes.
pub fn run_all(info: &DeviceInfo) -> Result<Vec<Outcome>, Error> {
    CONTROLS.iter().map(|control| run(control, info)).collect()
}

fn run(control: &Control, info: &DeviceInfo) -> Result<Outcome, Error> {
    let options = InstanceOptions { validation: true, ..InstanceOptions::default() };
    let instance = Instance::new(&options)?;
    let device = Device::new(&instance, info)?;
    (control.run)(&device)?;
    drop(device); // a leak is seen when the device is destroyed
    let messages = instance.messages();
    let fired = messages.iter().any(|m| control.expect.iter().any(|e| m.id.starts_with(e)));
    Ok(Outcome { name: control.name, fired, messages })
}

/// A dispatch reads what the one before it wrote, with no barrier between.
fn missing_barrier(device: &Device) -> Result<(), Error> {
    let copy = copy_pipeline(device)?;
    let [a, b, c] = ["a", "b", "c"].map(|name| device.create_buffer(name, WINDOW, Location::Device));
    let (a, b, c) = (a?, b?, c?);
    two_copies(device, &copy, [whole(&a), whole(&b)], [whole(&b), whole(&c)])
}

/// As [`missing_barrier`], but the two dispatches bind different windows of one buffer, which overlap by half: what a
/// plan does that gives two tensors the same bytes.
fn aliased_windows(device: &Device) -> Result<(), Error> {
    let copy = copy_pipeline(device)?;
    let arena = device.create_buffer("arena", 8 * WINDOW, Location::Device)?;
    let window = |offset| Window { buffer: &arena, offset, len: WINDOW };
    two_copies(
        device,
        &copy,
        [window(0), window(2 * WINDOW)],
        [window(2 * WINDOW + WINDOW / 2), window(6 * WINDOW)],
    )
}

/// A descriptor is written for a window that ends after its buffer. It is not submitted.
fn window_past_buffer(device: &Device) -> Result<(), Error> {
    let copy = copy_pipeline(device)?;
    let source = device.create_buffer("source", WINDOW, Location::Device)?;
    let target = device.create_buffer("target", WINDOW, Location::Device)?;
    let mut recorder = device.record("a window past its buffer");
    let past = Window { len: WINDOW + 256, ..whole(&source) };
    recorder.dispatch_unchecked(&copy, &[past, whole(&target)], [1, 1, 1]);
    recorder.finish().map(drop)
}

/// A buffer is alive when its device is destroyed.
fn leaked_object(device: &Device) -> Result<(), Error> {
    device.create_buffer("leaked on purpose", WINDOW, Location::Device)?.leak();
    Ok(())
}

fn two_copies(
    device: &Device,
    copy: &Pipeline,
    first: [Window<'_>; 2],
    second: [Window<'_>; 2],
) -> Result<(), Error> {
    let mut recorder = device.record("two copies without a barrier");
    let groups = [u32::try_from(WINDOW / 4 / 64).unwrap_or(1), 1, 1];
    recorder.dispatch(copy, &first, groups)?;
    recorder.dispatch(copy, &second, groups)?;
    let commands = recorder.finish()?;
    let ticket = device.submit(&commands)?;
    device.wait(&ticket, Duration::MAX).map(|_| ())
}

fn whole(buffer: &Buffer) -> Window<'_> {
    Window { buffer, offset: 0, len: buffer.size() }
}

fn copy_pipeline(device: &Device) -> Result<Pipeline, Error> {
    let spirv: Vec<u32> =
        COPY_SPIRV.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    device.create_pipeline(&PipelineDesc {
        name: "copy",
        spirv: &spirv,
        entry: "main",
        bindings: &[BindingKind::Storage, BindingKind::Storage],
        push_constants: 0,
        required_subgroup_size: None,
    })
}
