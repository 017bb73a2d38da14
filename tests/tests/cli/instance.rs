//! Planning instances made here, and what is true of them, worked out the slow way.

use std::fmt::Write as _;

use bayplan_tests::random::Random;
use serde_json::Value;

/// One buffer: size in bytes, and the half-open range of points at which it lives.
#[derive(Clone, Debug)]
struct Buffer {
    id: String,
    lower: u64,
    upper: u64,
    size: u64,
}

/// Buffers to be placed.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    buffers: Vec<Buffer>,
}

impl Instance {
    /// Height of a cut rectangle.
    pub(crate) const HEIGHT: u64 = 1 << 20;

    /// So many buffers of sizes over five orders of magnitude.
    pub(crate) fn random(seed: u64, count: usize) -> Self {
        let mut random = Random::new(seed);
        let buffer = |index| {
            let lower = below(&mut random, 100);
            let magnitude = 1 + below(&mut random, 5) as u32;
            let size = 1 + below(&mut random, 10u64.pow(magnitude));
            Buffer { id: format!("b{index}"), lower, upper: lower + 1 + below(&mut random, 20), size }
        };
        Self { buffers: (0..count).map(buffer).collect() }
    }

    /// A rectangle of [`Self::HEIGHT`] bytes and 64 points, cut at random until there are `count` pieces: whatever is
    /// live at a point fills the height.
    pub(crate) fn cut_rectangle(seed: u64, count: usize) -> Self {
        let mut random = Random::new(seed);
        let mut pieces = vec![(0, 64, Self::HEIGHT)];
        while pieces.len() < count {
            let index = below(&mut random, pieces.len() as u64) as usize;
            let (lower, upper, size) = pieces[index];
            if below(&mut random, 2) == 0 && upper - lower > 1 {
                let middle = lower + 1 + below(&mut random, upper - lower - 1);
                pieces[index] = (lower, middle, size);
                pieces.push((middle, upper, size));
            } else if size > 1 {
                let first = 1 + below(&mut random, size - 1);
                pieces[index] = (lower, upper, first);
                pieces.push((lower, upper, size - first));
            }
        }
        let buffer = |(index, (lower, upper, size))| Buffer { id: format!("p{index}"), lower, upper, size };
        Self { buffers: pieces.into_iter().enumerate().map(buffer).collect() }
    }

    /// As a file: `id,lower,upper,size`.
    pub(crate) fn csv(&self) -> String {
        let mut text = String::from("id,lower,upper,size\n");
        for Buffer { id, lower, upper, size } in &self.buffers {
            writeln!(text, "{id},{lower},{upper},{size}").expect("strings grow");
        }
        text
    }

    /// The offsets that the program printed, in this instance's order; the rest of each row must be as it was given.
    pub(crate) fn offsets(&self, rows: &Value) -> Vec<u64> {
        let rows = rows.as_array().expect("a list of buffers");
        assert_eq!(rows.len(), self.buffers.len());
        let offset = |(row, buffer): (&Value, &Buffer)| {
            let given =
                (row["id"].as_str(), row["lower"].as_u64(), row["upper"].as_u64(), row["size"].as_u64());
            let expect = (Some(&*buffer.id), Some(buffer.lower), Some(buffer.upper), Some(buffer.size));
            assert_eq!(given, expect);
            row["offset"].as_u64().expect("an offset")
        };
        rows.iter().zip(&self.buffers).map(offset).collect()
    }

    /// No two buffers that live at the same time share a byte.
    pub(crate) fn assert_apart(&self, offsets: &[u64]) {
        let places: Vec<(&Buffer, u64)> = self.buffers.iter().zip(offsets.iter().copied()).collect();
        for (index, (a, at)) in places.iter().enumerate() {
            for (b, bt) in &places[index + 1..] {
                let together = a.lower < b.upper && b.lower < a.upper;
                let shared = *at < bt + b.size && *bt < at + a.size;
                assert!(!(together && shared), "{a:?} at {at} and {b:?} at {bt}");
            }
        }
    }

    /// The end of the highest buffer.
    pub(crate) fn peak(&self, offsets: &[u64]) -> u64 {
        self.buffers.iter().zip(offsets).map(|(b, offset)| offset + b.size).max().unwrap_or(0)
    }

    /// The ids of the buffers that live at a point.
    pub(crate) fn live(&self, point: u64) -> Vec<&str> {
        self.living(point).map(|b| b.id.as_str()).collect()
    }

    /// The sum of their sizes.
    pub(crate) fn live_bytes(&self, point: u64) -> u64 {
        self.living(point).map(|b| b.size).sum()
    }

    /// How many buffers.
    pub(crate) fn len(&self) -> usize {
        self.buffers.len()
    }

    /// The largest such sum: no plan can be smaller.
    pub(crate) fn max_live(&self) -> u64 {
        (0..=self.buffers.iter().map(|b| b.upper).max().unwrap_or(0))
            .map(|p| self.live_bytes(p))
            .max()
            .unwrap_or(0)
    }

    fn living(&self, point: u64) -> impl Iterator<Item = &Buffer> {
        self.buffers.iter().filter(move |b| b.lower <= point && point < b.upper)
    }
}

/// A number below `end`.
fn below(random: &mut Random, end: u64) -> u64 {
    random.between(0, end - 1)
}
