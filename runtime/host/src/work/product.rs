//! Matrix products of packed panels.
//!
//! ```text
//!            n                A is packed in panels of MR rows, B in panels of NR columns, both with k outermost,
//!        ┌───┬───┐            so that a tile reads them front to back:
//!      k │ B │   │
//!        └───┴───┘              tile += Σ over CHUNK steps of k, in f32 registers
//!   k   ┌───┬───┐               then added to the tile's f64 sums
//!  ┌──┐ │MR×│   │ m
//!  │A │ │ NR│   │
//!  └──┘ └───┴───┘
//! ```
//!
//! An inner product thus carries the rounding of at most `CHUNK` additions in f32, however long it is.

use std::thread;

use crate::parallel;

/// Rows of a tile.
pub(super) const MR: usize = 4;
/// Columns of a tile.
pub(super) const NR: usize = 8;
/// Steps of k that are summed up in f32.
pub(super) const CHUNK: usize = 64;

/// Elements of packed B that are computed with at once: half of a common second-level cache.
const BLOCK: usize = 1 << 17;

/// The sizes of a product `[m, k] · [k, n]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
}

impl Sizes {
    /// Multiplications and additions.
    pub(super) fn work(self) -> u64 {
        [self.m, self.n, self.k].iter().fold(2, |work: u64, &size| work.saturating_mul(size as u64))
    }
}

/// Writes a panel: `panel[step][lane]` for `lanes` rows of A or columns of B from the given one on. The room of lanes that
/// do not exist holds zeros already.
pub(super) trait Pack: Fn(usize, usize, &mut [f32]) + Sync {}
impl<F: Fn(usize, usize, &mut [f32]) + Sync> Pack for F {}

/// `out[m, n] = A · B`, shared out among threads.
pub(super) fn product(
    sizes: Sizes,
    pack_a: &impl Pack,
    pack_b: &impl Pack,
    out: &mut [f32],
) -> Result<(), String> {
    let Sizes { m, n, k } = sizes;
    let threads = parallel::threads(sizes.work());
    if threads < 2 || m >= n {
        return parallel::rows(out, n, sizes.work(), |first, out| {
            let rows = out.len() / n;
            serial(
                Sizes { m: rows, ..sizes },
                &|at, lanes, panel| pack_a(first + at, lanes, panel),
                pack_b,
                out,
            );
            Ok(())
        });
    }
    // Every thread has some of the columns; what it computes is put in place afterwards.
    let a = packed::<MR>(m, k, pack_a);
    let share = n.div_ceil(threads).next_multiple_of(NR);
    let parts: Vec<(usize, Vec<f32>)> = thread::scope(|scope| {
        let a = &a;
        let running: Vec<_> = (0..n)
            .step_by(share)
            .map(|first| {
                scope.spawn(move || {
                    let columns = share.min(n - first);
                    let mut part = vec![0.0; m * columns];
                    let pack = |at: usize, lanes: usize, panel: &mut [f32]| pack_b(first + at, lanes, panel);
                    columns_of(Sizes { n: columns, ..sizes }, a, &pack, &mut part);
                    (first, part)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for (first, part) in parts {
        let columns = part.len() / m;
        for (out, part) in out.chunks_exact_mut(n).zip(part.chunks_exact(columns)) {
            out[first..first + columns].copy_from_slice(part);
        }
    }
    Ok(())
}

/// `out[m, n] = A · B` on this thread.
pub(super) fn serial(sizes: Sizes, pack_a: &impl Pack, pack_b: &impl Pack, out: &mut [f32]) {
    columns_of(sizes, &packed::<MR>(sizes.m, sizes.k, pack_a), pack_b, out);
}

/// Panels of `LANES` rows (or columns), one after the other.
fn packed<const LANES: usize>(count: usize, k: usize, pack: &impl Pack) -> Vec<f32> {
    let mut panels = vec![0.0; count.div_ceil(LANES) * LANES * k];
    for (number, panel) in panels.chunks_exact_mut(LANES * k).enumerate() {
        let first = number * LANES;
        pack(first, LANES.min(count - first), panel);
    }
    panels
}

/// The product with A packed already.
fn columns_of(sizes: Sizes, a: &[f32], pack_b: &impl Pack, out: &mut [f32]) {
    let Sizes { m, n, k } = sizes;
    let wide = (BLOCK / k.max(1) / NR).max(1) * NR;
    for first in (0..n).step_by(wide) {
        let columns = wide.min(n - first);
        let b = packed::<NR>(columns, k, &|at: usize, lanes: usize, panel: &mut [f32]| {
            pack_b(first + at, lanes, panel);
        });
        for (above, a) in (0..m).step_by(MR).zip(a.chunks_exact(MR * k)) {
            for (before, b) in (first..n).step_by(NR).zip(b.chunks_exact(NR * k)) {
                let sums = tile(a, b);
                let count = NR.min(first + columns - before);
                for (row, sums) in sums.iter().enumerate().take(m - above) {
                    let out = &mut out[(above + row) * n + before..][..count];
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = *sum as f32);
                }
            }
        }
    }
}

/// One tile from a panel of A and a panel of B.
fn tile(a: &[f32], b: &[f32]) -> [[f64; NR]; MR] {
    let mut sums = [[0.0_f64; NR]; MR];
    for (a, b) in a.chunks(CHUNK * MR).zip(b.chunks(CHUNK * NR)) {
        let mut part = [[0.0_f32; NR]; MR];
        for (a, b) in a.as_chunks::<MR>().0.iter().zip(b.as_chunks::<NR>().0) {
            for (part, a) in part.iter_mut().zip(a) {
                for (part, b) in part.iter_mut().zip(b) {
                    *part += a * b;
                }
            }
        }
        for (sums, part) in sums.iter_mut().zip(&part) {
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum += f64::from(*part);
            }
        }
    }
    sums
}
