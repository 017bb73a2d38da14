//! What a device does at most: bytes per second of a copy, and flops per second of multiply-adds, measured on itself.
//!
//! ```text
//! two buffers, filled ── copy ×1 ─► how long? ─► × n, so that it can be timed ─► several rounds, the best counts
//!                     └─ multiply-add, the same
//! ```
//! Timed by the device's timestamps, by the host's clock where it has none. What was measured is kept, in the process and in
//! a folder of the user ([`bayplan_record::MeasuredDevice`]), for each device and driver.

mod sizes;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bayplan_record::{MeasuredDevice, RecordingOptions};
use bayplan_shaders::{COPIED, Kernel, MULTIPLY_ADD_FLOPS, probe_copy, probe_multiply_add};
use bayplan_trace::{Level, RoofClock, RoofSource, Roofs};
use bayplan_vulkan::{Barrier, Buffer, DeviceInfo, Location, Pipeline, QueryPool, Window};

use crate::device::Device;
use crate::error::EngineError;
use crate::pipelines::compile;
use crate::target::target_of;
use crate::transfer::finish;
use sizes::{Sizes, another, repeats};

/// What both buffers are filled with: 0.5, with which the chains of multiply-adds stay near 1.
const HALF: u32 = 0x3f00_0000;

/// Time for the rounds of one kernel, where a session waits for it.
const BRIEF: Duration = Duration::from_millis(60);
/// The same where people asked for nothing else.
const THOROUGH: Duration = Duration::from_millis(500);

/// What was measured of a device in this process. A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Mutex<Option<Roofs>>>);

impl Known {
    fn get(&self) -> Option<Roofs> {
        // Held for an assignment or a copy.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, roofs: Roofs) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Roofs { source: RoofSource::Cached, ..roofs });
    }
}

/// What the cache of measurements knows a device by.
pub fn measured_device(info: &DeviceInfo) -> MeasuredDevice {
    MeasuredDevice { uuid: info.uuid.to_string(), device: info.name.clone(), driver: info.driver.clone() }
}

impl Device {
    /// Measures what it does at most. Takes some 1 to 2 s on a CPU, less on a GPU, and memory for two buffers of at most 256 MiB
    /// for so long.
    ///
    /// # Errors
    /// Less than 64 MiB of its memory are free, or the driver fails.
    pub fn measure_roofs(&self) -> Result<Roofs, EngineError> {
        let roofs = measure(self, THOROUGH)?;
        self.roofs.set(roofs);
        Ok(roofs)
    }
}

/// The roofs that a recording with these options begins with: what is known of the device, or, where the times of ops are
/// recorded and nothing is known, what is measured now. That it could not be measured is no reason not to run: the error goes into
/// the recording.
pub(crate) fn roofs(
    device: &Device,
    options: Option<&RecordingOptions>,
) -> (Option<Roofs>, Option<EngineError>) {
    let Some(options) = options.filter(|options| options.level >= Level::Run) else { return (None, None) };
    let cache = options.places.cache.as_deref();
    let known = || cache.and_then(|cache| measured_device(device.info()).roofs(cache));
    if let Some(roofs) = device.roofs.get().or_else(known) {
        return (Some(roofs), None);
    }
    if options.level < Level::Op {
        return (None, None);
    }
    match measure(device, BRIEF) {
        Ok(roofs) => {
            device.roofs.set(roofs);
            if let Some(cache) = cache {
                // Who cannot keep it measures again.
                let _ = measured_device(device.info()).keep(cache, &roofs);
            }
            (Some(roofs), None)
        }
        Err(e) => (None, Some(e)),
    }
}

fn measure(device: &Device, budget: Duration) -> Result<Roofs, EngineError> {
    // What is allocated here is no session's, and freed before the next one asks.
    let build = device.ledger.build(&device.vulkan);
    let roofs = Bench::new(device).and_then(|mut bench| bench.roofs(budget));
    drop(build);
    roofs
}

/// The two buffers, and what times the work on them.
struct Bench<'a> {
    device: &'a Device,
    sizes: Sizes,
    given: Buffer,
    written: Buffer,
    times: Option<QueryPool>,
}

impl<'a> Bench<'a> {
    fn new(device: &'a Device) -> Result<Self, EngineError> {
        let local = device.heaps().into_iter().filter(|heap| heap.device_local);
        let free = local.map(|heap| heap.available()).max().unwrap_or(0);
        // As the device is: limits that a caller adds say nothing of how fast it is.
        let sizes = Sizes::new(&target_of(device.info()), free).ok_or(EngineError::Probe { free })?;
        let vulkan = &device.vulkan;
        let buffer = |name| vulkan.create_buffer(name, sizes.bytes, Location::Device);
        let (given, written) = (buffer("probe: read")?, buffer("probe: written")?);
        let times = vulkan.timestamp_scale().map(|_| vulkan.create_query_pool("probe", 2)).transpose()?;
        let bench = Self { device, sizes, given, written, times };
        let mut recorder = vulkan.record("probe: fill");
        // Memory that was never written may be no memory yet.
        recorder.fill(&bench.given, 0, sizes.bytes, HALF)?;
        recorder.fill(&bench.written, 0, sizes.bytes, HALF)?;
        finish(vulkan, &recorder.finish()?)?;
        Ok(bench)
    }

    fn roofs(&mut self, budget: Duration) -> Result<Roofs, EngineError> {
        let target = target_of(self.device.info());
        let Sizes { bytes, copy_groups, add_groups, lanes } = self.sizes;
        let copy = self.best(&probe_copy(&target), copy_groups, budget)?;
        let add = self.best(&probe_multiply_add(&target), add_groups, budget)?;
        let flops = u64::from(add_groups) * u64::from(lanes) * MULTIPLY_ADD_FLOPS;
        debug_assert_eq!(u64::from(copy_groups) * u64::from(lanes) * COPIED, bytes);
        let clock = if self.times.is_some() { RoofClock::Timestamps } else { RoofClock::Host };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Roofs {
            bytes_per_second: rate(2 * bytes, copy),
            flops_per_second: rate(flops, add),
            source: RoofSource::Measured,
            clock,
            measured_unix_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        })
    }

    /// The least time that the kernel took.
    fn best(&mut self, kernel: &Kernel, groups: u32, budget: Duration) -> Result<Duration, EngineError> {
        let pipeline = compile(&self.device.vulkan, kernel)?;
        // Drivers compile at the first dispatch, and memory is touched then.
        self.time(&pipeline, groups, 1)?;
        let begun = Instant::now();
        let once = self.time(&pipeline, groups, 1)?;
        let times = repeats(once, self.times.is_some());
        let (mut best, mut rounds) = if times == 1 { (once, 1) } else { (Duration::MAX, 0) };
        while another(rounds, begun.elapsed(), budget) {
            best = best.min(self.time(&pipeline, groups, times)? / times);
            rounds += 1;
        }
        Ok(best)
    }

    /// How long so many dispatches took, one after another.
    fn time(&mut self, pipeline: &Pipeline, groups: u32, times: u32) -> Result<Duration, EngineError> {
        let vulkan = &self.device.vulkan;
        let window = |buffer| Window { buffer, offset: 0, len: self.sizes.bytes };
        let windows = [window(&self.given), window(&self.written)];
        let mut recorder = vulkan.record("probe");
        if let Some(pool) = &self.times {
            recorder.reset_queries(pool, 0..2)?;
            recorder.timestamp(pool, 0)?;
        }
        for dispatch in 0..times {
            if dispatch > 0 {
                recorder.barrier(Barrier::ComputeToCompute);
            }
            recorder.dispatch(pipeline, &windows, [groups, 1, 1])?;
        }
        if let Some(pool) = &self.times {
            recorder.timestamp(pool, 1)?;
        }
        let commands = recorder.finish()?;
        let begun = Instant::now();
        finish(vulkan, &commands)?;
        let by_host = begun.elapsed();
        let Some(pool) = &self.times else { return Ok(by_host) };
        if let [Some(from), Some(to)] = pool.results_nowait(0..2)?[..] {
            let ns = pool.scale().elapsed_ns(from, to) as u64;
            // What no clock can be: nothing, or longer than it was waited for.
            if ns > 0 && Duration::from_nanos(ns) <= by_host {
                return Ok(Duration::from_nanos(ns));
            }
        }
        self.times = None;
        Ok(by_host)
    }
}

/// How many per second, of so many in that time.
fn rate(count: u64, time: Duration) -> u64 {
    let per_second = u128::from(count) * 1_000_000_000 / time.as_nanos().max(1);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}
