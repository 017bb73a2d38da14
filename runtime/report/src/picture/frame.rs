//! Where on the sheet ops and bytes lie, and which of them the axes name.

use std::fmt;
use std::ops::Range;

/// A place for a map: ops to the right, bytes upwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) ops: u64,
    pub(crate) bytes: u64,
}

/// A rectangle on the sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// The least side of a rectangle: thinner ones cannot be seen, and not be pointed at.
const LEAST: f64 = 0.4;

impl Frame {
    /// Where an op begins.
    pub(crate) fn x(&self, op: u64) -> f64 {
        self.left + self.width * op.min(self.ops) as f64 / self.ops.max(1) as f64
    }

    /// Where a byte begins.
    pub(crate) fn y(&self, byte: u64) -> f64 {
        self.bottom() - self.height * byte.min(self.bytes) as f64 / self.bytes.max(1) as f64
    }

    pub(crate) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// The rectangle of ops and bytes.
    pub(crate) fn rect(&self, ops: &Range<u32>, bytes: &Range<u64>) -> Rect {
        let (x, y) = (self.x(ops.start.into()), self.y(bytes.end));
        Rect {
            x,
            y,
            width: (self.x(ops.end.into()) - x).max(LEAST),
            height: (self.y(bytes.start) - y).max(LEAST),
        }
    }

    /// Offsets to name: multiples of a power of two, and the end.
    pub(crate) fn byte_ticks(&self) -> Vec<u64> {
        let most = (self.height / 52.0).max(1.0) as u64;
        let step = self.bytes.div_ceil(most).max(1).checked_next_power_of_two().unwrap_or(1 << 63);
        let room = |&tick: &u64| self.y(tick) - self.top > 13.0;
        let mut ticks: Vec<u64> =
            (0..=most).map_while(|at| step.checked_mul(at)).filter(|&tick| tick < self.bytes).collect();
        ticks.retain(room);
        ticks.push(self.bytes);
        ticks
    }

    /// Ops to name: multiples of 1, 2 or 5 of a power of ten.
    pub(crate) fn op_ticks(&self) -> Vec<u64> {
        const MOST: u64 = 12;
        let steps = (0..19).flat_map(|power| [1, 2, 5].map(|digit| digit * 10u64.pow(power)));
        let step = steps.into_iter().find(|step| self.ops / step <= MOST).unwrap_or(u64::MAX);
        (0..=MOST).map_while(|at| step.checked_mul(at)).filter(|&tick| tick < self.ops).collect()
    }
}

/// A length on the sheet: hundredths at most, so that files stay short and the same everywhere.
pub(crate) struct Px(pub(crate) f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0 * 100.0).round() as i64;
        let sign = if hundredths < 0 { "-" } else { "" };
        let (whole, rest) = (hundredths.unsigned_abs() / 100, hundredths.unsigned_abs() % 100);
        match rest {
            0 => write!(f, "{sign}{whole}"),
            rest if rest % 10 == 0 => write!(f, "{sign}{whole}.{}", rest / 10),
            rest => write!(f, "{sign}{whole}.{rest:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(ops: u64, bytes: u64) -> Frame {
        Frame { left: 80.0, top: 40.0, width: 1000.0, height: 480.0, ops, bytes }
    }

    #[test]
    fn lengths_are_short() {
        let cases = [(0.0, "0"), (1.5, "1.5"), (2.004, "2"), (2.006, "2.01"), (-0.25, "-0.25"), (80.0, "80")];
        for (length, expect) in cases {
            assert_eq!(Px(length).to_string(), expect);
        }
    }

    #[test]
    fn axes_name_round_values_that_do_not_touch() {
        let ticks = frame(287, 13 << 20).byte_ticks();
        assert_eq!(ticks.iter().map(|tick| tick >> 20).collect::<Vec<_>>(), [0, 2, 4, 6, 8, 10, 12, 13]);
        // 8 MiB would lie under the label of the end.
        let ticks = frame(287, (8 << 20) + 4096).byte_ticks();
        assert_eq!(ticks.last(), Some(&((8 << 20) + 4096)));
        assert!(!ticks.contains(&(8 << 20)), "{ticks:?}");
        assert_eq!(frame(6, 1).op_ticks(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(frame(287, 1).op_ticks(), [0, 50, 100, 150, 200, 250]);
        for (ops, bytes) in [(0, 0), (1, 1), (u64::MAX, u64::MAX), (1 << 24, 3)] {
            let frame = frame(ops, bytes);
            assert!(frame.op_ticks().len() <= 13 && frame.byte_ticks().len() <= 12, "{ops} {bytes}");
        }
    }

    #[test]
    fn everything_stays_within_its_frame() {
        let frame = frame(4, 1024);
        let rect = frame.rect(&(1..2), &(512..1024));
        assert_eq!(rect, Rect { x: 330.0, y: 40.0, width: 250.0, height: 240.0 });
        // A damaged plan may say anything.
        let rect = frame.rect(&(3..u32::MAX), &(512..u64::MAX));
        assert!(rect.x + rect.width <= frame.right() && rect.y >= frame.top);
    }
}
