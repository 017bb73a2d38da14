//! What the reports say in the same words of roofs, and of ops under them.

use bayplan_text::{Nanos, Percent, Rate};
use bayplan_trace::{OpShare, RoofClock, RoofSource, SessionInfo};
use serde_json::{Value, json};

/// What the device does at most, and since when that is known: `copies 11.2 GB/s, computes 48.1 Gflop/s; measured as the
/// session began`.
pub(crate) fn roof_words(session: &SessionInfo) -> Option<String> {
    let roofs = session.roofs?;
    let when = match (roofs.source, session.start_unix_ns.checked_sub(roofs.measured_unix_ns)) {
        (RoofSource::Measured, _) => "as the session began".to_owned(),
        (RoofSource::Cached, Some(before)) if roofs.measured_unix_ns > 0 => {
            format!("{} before the session", Nanos(before))
        }
        (RoofSource::Cached, _) => "by an earlier session".to_owned(),
    };
    let clock = if roofs.clock == RoofClock::Host { ", by the host's clock" } else { "" };
    let (copy, flops) = (Rate(roofs.bytes_per_second, "B"), Rate(roofs.flops_per_second, "flop"));
    Some(format!("copies {copy} (read + written), computes {flops}; measured {when}{clock}"))
}

/// The roofs for programs.
pub(crate) fn roofs_json(session: &SessionInfo) -> Option<Value> {
    let roofs = session.roofs?;
    Some(json!({
        "bytes_per_second": roofs.bytes_per_second, "flops_per_second": roofs.flops_per_second,
        "source": roofs.source.name(), "clock": roofs.clock.name(), "measured_unix_ns": roofs.measured_unix_ns,
    }))
}

/// How far an op is from the roof: `84.2 % memory`; `–` where no roof holds for it.
pub(crate) fn share_words(op: &OpShare) -> String {
    op.roof.map_or_else(|| "–".to_owned(), |roof| format!("{} {}", Percent(roof.share), roof.bound.name()))
}

/// What is to be said of the means of ops: that a first, cold run is no part of them.
pub(crate) fn means_words(ops: &[OpShare]) -> &'static str {
    if ops.iter().any(|op| op.averaged < op.count) { " by the means of the runs after the first" } else { "" }
}

/// Its bytes and its flops per second: `3.42 GB/s`; `–` where there are none.
pub(crate) fn rate_words(op: &OpShare) -> [String; 2] {
    let words = |rate: Option<f64>, unit| match rate {
        Some(rate) if rate > 0.0 => Rate(rate as u64, unit).to_string(),
        _ => "–".to_owned(),
    };
    [words(op.bytes_per_second, "B"), words(op.flops_per_second, "flop")]
}
