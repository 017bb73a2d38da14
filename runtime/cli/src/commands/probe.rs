//! What `devices` says of how fast each device is.

use bayplan::{DeviceInfo, DeviceOptions, EngineError, Selector};
use bayplan_engine::{Device, measured_device};
use bayplan_record::Places;
use bayplan_text::{Nanos, Rate, ellipsis, escape};
use bayplan_trace::{RoofClock, RoofSource, Roofs};
use serde_json::{Value, json};

use crate::out::{self, Progress};

/// What a device was measured to do at most, or why that is not known.
pub(crate) struct Probed(Result<Option<Roofs>, String>);

/// Measures a device and keeps what was found, or, where that was not asked for, looks up what was kept.
pub(crate) fn probed(info: &DeviceInfo, measure: bool, progress: &mut Progress) -> Probed {
    let cache = Places::from_env().cache;
    let known = measured_device(info);
    if !measure {
        return Probed(Ok(cache.and_then(|cache| known.roofs(&cache))));
    }
    progress.stage(&format!("measuring {}", ellipsis(&info.name, 50)));
    let options = DeviceOptions { selector: Selector::Index(info.index), ..DeviceOptions::default() };
    let found = Device::open(&options).and_then(|device| device.measure_roofs());
    progress.clear();
    if let (Ok(roofs), Some(cache)) = (&found, &cache)
        && let Err(e) = known.keep(cache, roofs)
    {
        out::error_line("warning", &format!("what was measured is not kept: {e}"));
    }
    Probed(found.map(Some).map_err(|e: EngineError| e.to_string()))
}

impl Probed {
    /// The host has no figures that would mean something.
    pub(crate) fn host() -> Self {
        Self(Err("the host computes for exactness, not for speed: how far it is from what a CPU can do says nothing".into()))
    }

    /// For people.
    pub(crate) fn words(&self) -> String {
        let roofs = match &self.0 {
            Ok(Some(roofs)) => roofs,
            Ok(None) => return "not measured; --probe measures it".to_owned(),
            Err(why) => return format!("not measured: {}", escape(why)),
        };
        let (copy, flops) = (Rate(roofs.bytes_per_second, "B"), Rate(roofs.flops_per_second, "flop"));
        let clock = if roofs.clock == RoofClock::Host { ", by the host's clock" } else { "" };
        let when = match roofs.source {
            RoofSource::Measured => "now".to_owned(),
            RoofSource::Cached => format!("{} ago", Nanos(age(roofs))),
        };
        format!("copies {copy} (read + written), multiplies and adds {flops} · measured {when}{clock}")
    }

    /// For programs.
    pub(crate) fn put(&self, device: &mut Value) {
        let (roof, why) = match &self.0 {
            Ok(roofs) => (roofs.as_ref().map(roof_json), None),
            Err(why) => (None, Some(why)),
        };
        device["roof"] = roof.into();
        device["roof_error"] = why.cloned().into();
    }
}

fn roof_json(roofs: &Roofs) -> Value {
    json!({
        "bytes_per_second": roofs.bytes_per_second,
        "flops_per_second": roofs.flops_per_second,
        "source": roofs.source.name(),
        "clock": roofs.clock.name(),
        "measured_unix_ns": roofs.measured_unix_ns,
    })
}

/// Nanoseconds since it was measured.
fn age(roofs: &Roofs) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).saturating_sub(roofs.measured_unix_ns)
}
