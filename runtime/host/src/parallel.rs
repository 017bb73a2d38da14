//! Work over the rows of a result, on all cores.

use std::num::NonZero;
use std::thread;

/// Work below this many operations is done at once: threads take longer to start.
const WORTH: u64 = 1 << 19;

/// Threads for an amount of work.
pub(crate) fn threads(work: u64) -> usize {
    if work < WORTH {
        return 1;
    }
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    cores.min(usize::try_from(work / (WORTH / 2)).unwrap_or(usize::MAX))
}

/// Cuts `out` into parts of whole rows of `row` elements, one for each thread, and has `f` fill them: it gets the number of
/// its first row and its part. `work` is the number of operations in all.
pub(crate) fn rows<T: Send>(
    out: &mut [T],
    row: usize,
    work: u64,
    f: impl Fn(usize, &mut [T]) -> Result<(), String> + Sync,
) -> Result<(), String> {
    let row = row.max(1);
    let count = out.len() / row;
    let share = count.div_ceil(threads(work).min(count.max(1))).max(1);
    if share >= count {
        return f(0, out);
    }
    thread::scope(|scope| {
        let f = &f;
        let parts = out.chunks_mut(share * row).enumerate();
        let running: Vec<_> = parts.map(|(part, out)| scope.spawn(move || f(part * share, out))).collect();
        running
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
