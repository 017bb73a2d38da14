//! How far an op is from what its device does at most: the roofline.
//!
//! ```text
//! time at the roof = the larger of   bytes moved / bytes per second of a copy      memory binds
//!                                    flops / flops per second of multiply-adds     compute binds
//! share of the roof = time at the roof / measured mean time
//! ```

use crate::schema::event::Nanos;
use crate::schema::plan_record::OpRecord;
use crate::schema::roofs::Roofs;

/// How far an op is from the device's roof.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpRoof {
    /// The time in which a kernel at the roof would be done, in nanoseconds.
    pub attainable_ns: f64,
    /// That time in parts of the measured mean time. 1 is the roof; more is what was measured all the same, as caches are
    /// faster than the memory that a copy goes through.
    pub share: f64,
    /// Which of the two roofs is the lower one for this op.
    pub bound: RoofBound,
}

/// Which roof an op meets first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoofBound {
    /// Moving its bytes takes longer than its arithmetic.
    Memory,
    /// Its arithmetic takes longer than moving its bytes.
    Compute,
}

impl RoofBound {
    /// Its name, as reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Compute => "compute",
        }
    }
}

/// How often per second something happens that happened so often within a mean time; `None` where that is 0.
pub(crate) fn per_second(count: u64, mean: Nanos) -> Option<f64> {
    (mean > 0).then(|| count as f64 * 1e9 / mean as f64)
}

/// The time of an op at the device's roof, in nanoseconds, and which roof that is; 0 for an op without bytes and flops.
/// `None` for what the host computes, and where a roof that counts was not measured.
pub fn op_attainable(op: &OpRecord, roofs: &Roofs) -> Option<(f64, RoofBound)> {
    if op.host {
        return None;
    }
    let moving = at_roof(op.bytes, roofs.bytes_per_second)?;
    let computing = at_roof(op.flops, roofs.flops_per_second)?;
    let bound = if computing > moving { RoofBound::Compute } else { RoofBound::Memory };
    Some((moving.max(computing), bound))
}

/// How far an op of that mean time is from the device's roof. `None` where [`op_attainable`] is that or 0, and where the mean
/// is 0.
pub fn op_roof(op: &OpRecord, mean: Nanos, roofs: &Roofs) -> Option<OpRoof> {
    let (attainable_ns, bound) = op_attainable(op, roofs)?;
    (mean > 0 && attainable_ns > 0.0).then(|| OpRoof {
        attainable_ns,
        share: attainable_ns / mean as f64,
        bound,
    })
}

/// Nanoseconds for so many at that rate; `None` where there are some and the rate is not known.
fn at_roof(count: u64, per_second: u64) -> Option<f64> {
    match (count, per_second) {
        (0, _) => Some(0.0),
        (_, 0) => None,
        _ => Some(count as f64 * 1e9 / per_second as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(bytes: u64, flops: u64) -> OpRecord {
        OpRecord { bytes, flops, ..OpRecord::default() }
    }

    /// 2 bytes and 8 flops a nanosecond.
    const ROOFS: Roofs = Roofs {
        bytes_per_second: 2_000_000_000,
        flops_per_second: 8_000_000_000,
        source: crate::RoofSource::Measured,
        clock: crate::RoofClock::Timestamps,
        measured_unix_ns: 0,
    };

    #[test]
    fn the_slower_of_both_binds() {
        let check = |bytes, flops, mean, attainable_ns: f64, share: f64, bound| {
            let found = op_roof(&op(bytes, flops), mean, &ROOFS);
            assert_eq!(found, Some(OpRoof { attainable_ns, share, bound }), "{bytes} {flops} {mean}");
        };
        check(200, 80, 400, 100.0, 0.25, RoofBound::Memory);
        check(200, 1600, 400, 200.0, 0.5, RoofBound::Compute);
        // Both take as long: no arithmetic would make it faster, so memory is told.
        check(200, 800, 100, 100.0, 1.0, RoofBound::Memory);
        check(200, 0, 100, 100.0, 1.0, RoofBound::Memory);
        check(0, 80, 100, 10.0, 0.1, RoofBound::Compute);
        // From a cache: above the roof, and told as it was measured.
        check(200, 0, 50, 100.0, 2.0, RoofBound::Memory);
    }

    #[test]
    fn what_no_roof_holds_for_has_none() {
        assert_eq!(op_roof(&op(0, 0), 100, &ROOFS), None);
        assert_eq!(op_attainable(&op(0, 0), &ROOFS), Some((0.0, RoofBound::Memory)));
        assert_eq!(op_roof(&op(10, 10), 0, &ROOFS), None);
        assert_eq!(op_roof(&OpRecord { host: true, ..op(10, 10) }, 100, &ROOFS), None);
        let none = Roofs { bytes_per_second: 0, flops_per_second: 0, ..ROOFS };
        assert_eq!(op_roof(&op(10, 10), 100, &none), None);
        // A roof that does not count need not be known.
        let memory = Roofs { flops_per_second: 0, ..ROOFS };
        assert_eq!(op_roof(&op(200, 0), 100, &memory).map(|roof| roof.share), Some(1.0));
        assert_eq!(op_roof(&op(200, 1), 100, &memory), None);
    }

    #[test]
    fn figures_stay_finite_at_the_ends() {
        let most = op(u64::MAX, u64::MAX);
        for roofs in [Roofs { bytes_per_second: 1, flops_per_second: 1, ..ROOFS }, ROOFS] {
            for mean in [1, u64::MAX] {
                let roof = op_roof(&most, mean, &roofs).expect("a roof");
                assert!(roof.attainable_ns.is_finite() && roof.share.is_finite() && roof.share > 0.0);
            }
        }
        assert_eq!(per_second(5, 0), None);
        assert_eq!(per_second(0, 5), Some(0.0));
        assert_eq!(per_second(5, 10), Some(5e8));
    }
}
