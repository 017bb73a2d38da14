//! The least peak there is, by trying everything.

use bayplan_plan::Buffer;

use super::{aligned, largest_load, meet};

/// Most buffers that [`least_peak`] takes.
pub const MOST: usize = 8;

/// The least peak that any plan of at most [`MOST`] buffers has.
///
/// ```text
///   +---+      A plan's buffers can be pressed down, one after the other, until each lies at 0 or on top of
///   | c |      another that lives with it (at the next multiple of its alignment). No end rises, so some best
///   +---+---+  plan is of this form; and put down in the order of their offsets, each rests on one that lies
///   | a | b |  already. Every such way of putting them down is tried.
/// --+---+---+
/// ```
///
/// # Panics
/// When there are more.
pub fn least_peak(buffers: &[Buffer]) -> u64 {
    let buffers: Vec<Buffer> = buffers.iter().filter(|b| b.size > 0).copied().collect();
    assert!(buffers.len() <= MOST, "{} buffers are too many to try everything", buffers.len());
    let mut search =
        Search { enough: largest_load(&buffers), best: u64::MAX, offsets: [None; MOST], buffers };
    let mut peak = 0;
    for (index, buffer) in search.buffers.iter().enumerate() {
        search.offsets[index] = buffer.fixed;
        peak = peak.max(buffer.fixed.map_or(0, |offset| offset + buffer.size));
    }
    search.put_down((0, 0), peak);
    search.best
}

struct Search {
    buffers: Vec<Buffer>,
    /// Bytes that any plan needs: one of so many is a best one.
    enough: u64,
    best: u64,
    offsets: [Option<u64>; MOST],
}

impl Search {
    /// Puts down the buffers that are left at offsets from `least` on: an offset, and the least number of a buffer that
    /// may still go exactly there.
    fn put_down(&mut self, least: (u64, usize), peak: u64) {
        if self.best <= self.enough || peak >= self.best {
            return;
        }
        if (0..self.buffers.len()).all(|index| self.offsets[index].is_some()) {
            self.best = peak;
            return;
        }
        for index in 0..self.buffers.len() {
            if self.offsets[index].is_some() {
                continue;
            }
            for offset in self.tops(index) {
                if (offset, index) >= least && self.is_free(index, offset) {
                    let end = offset + self.buffers[index].size;
                    self.offsets[index] = Some(offset);
                    self.put_down((offset, index + 1), peak.max(end));
                    self.offsets[index] = None;
                }
            }
        }
    }

    /// Where a buffer would lie at the bottom, or on one of those that lie already and live with it.
    fn tops(&self, index: usize) -> impl Iterator<Item = u64> + use<> {
        let buffer = &self.buffers[index];
        let mut tops = [None; MOST + 1];
        tops[MOST] = Some(0);
        for (top, (other, offset)) in tops.iter_mut().zip(self.buffers.iter().zip(&self.offsets)) {
            let offset = offset.filter(|_| meet(buffer, other));
            *top = offset.map(|offset| aligned(offset + other.size, buffer.align));
        }
        tops.into_iter().flatten()
    }

    fn is_free(&self, index: usize, offset: u64) -> bool {
        let buffer = &self.buffers[index];
        let end = offset + buffer.size;
        self.buffers.iter().zip(&self.offsets).all(|(other, taken)| {
            taken.is_none_or(|taken| !meet(buffer, other) || end <= taken || taken + other.size <= offset)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planners::instances::ABOVE_LOAD;

    #[track_caller]
    fn check(rows: &[Buffer], expect: u64) {
        assert_eq!(least_peak(rows), expect, "{rows:?}");
    }

    #[test]
    fn known_optima() {
        check(&[], 0);
        check(&[Buffer::new(0, 0, 9)], 0);
        check(&[Buffer::new(3, 0, 2), Buffer::new(4, 1, 3), Buffer::new(3, 2, 4)], 7);
        // Two odd ones on even offsets, and a fixed one in the middle that parts the arena.
        let odd = Buffer::new(1, 0, 2).aligned(2);
        check(&[odd, odd], 3);
        check(&[Buffer::new(2, 0, 1).at(3), Buffer::new(3, 0, 1), Buffer::new(4, 0, 1)], 9);
        check(&[Buffer::new(2, 0, 1).at(100), Buffer::new(0, 0, 1).at(200)], 102);
    }

    #[test]
    fn the_load_is_not_always_reached() {
        let rows: Vec<Buffer> = ABOVE_LOAD.iter().map(|&(size, a, b)| Buffer::new(size, a, b)).collect();
        assert_eq!((largest_load(&rows), least_peak(&rows)), (14, 15));
    }
}
