//! Plans a small problem and generates from two prompts without the standard library: exits with 0 if both are right.
//!
//! The program brings its own panic handler and allocator. Were `std` linked by any crate below it, it would bring a
//! second panic handler, and the program would not build: `tests/tests/no_std.rs` builds it, runs it, and sees that it
//! does not build with `--features std`.
//!
//! It is the one program outside of `runtime/vulkan` with unsafe code: an allocator cannot be written without, nor can
//! C's `main`, and where there is no standard library there is nobody else to give them.
#![no_std]
#![no_main]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use bayplan_expr::{Bindings, Expr};
use bayplan_kv::{Admission, BlockPool, Limits, Outcome, Request, Scheduler};
use bayplan_plan::csv;
use bayplan_plan::explain::{REGRET_WORK, Verdict, why_not_smaller};
use bayplan_plan::{Effort, Plan, Status, solve, validate};
use bayplan_text::Bytes;

/// Bytes of the heap: it only grows, and the program ends soon.
const HEAP_BYTES: usize = 64 << 20;

/// Hands out one byte after the other and takes none back.
struct Heap {
    bytes: UnsafeCell<[u8; HEAP_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: bytes are only reached through pointers from `alloc`, no two of which overlap.
unsafe impl Sync for Heap {}

// SAFETY: a block lies within the heap (checked), at a multiple of its alignment, and is handed out once.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.bytes.get().cast::<u8>();
        let mut start = 0;
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let free = (base as usize).checked_add(used)?;
            start = free.checked_next_multiple_of(layout.align())? - base as usize;
            start.checked_add(layout.size()).filter(|&end| end <= HEAP_BYTES)
        });
        match taken {
            // SAFETY: `start` is at most HEAP_BYTES.
            Ok(_) => unsafe { base.add(start) },
            Err(_) => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static HEAP: Heap = Heap { bytes: UnsafeCell::new([0; HEAP_BYTES]), used: AtomicUsize::new(0) };

// The start-up code and the functions that copy memory are C's.
#[link(name = "c")]
unsafe extern "C" {
    safe fn abort() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    abort()
}

// `core` and `alloc` come compiled for unwinding and name these two; with panics that abort nobody calls them.
// SAFETY: no other function of the program has their names.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    abort()
}

// SAFETY: as above; the start-up code calls it once.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    match check().and_then(|()| generate()) {
        Ok(()) => 0,
        Err(step) => step,
    }
}

/// A stack of three where the caller has placed one, planned, judged, explained and written; the step that failed.
fn check() -> Result<(), i32> {
    let size: Expr = "4096*((n + 999) // 1000)".parse().map_err(|_| 1)?;
    let size = size.eval(&Bindings::default().with("n", 1000)).map_err(|_| 2)?;
    let text = alloc::format!("id,lower,upper,size,fixed\na,0,2,{size},\nb,1,3,1024,{size}\nc,2,4,{size},\n");
    let instance = csv::read(&text).map_err(|_| 3)?;
    let plan: Plan = solve(&instance.problem, Effort::Normal);
    validate(&instance.problem, &plan).map_err(|_| 4)?;
    let why = why_not_smaller(&instance.problem, &plan, REGRET_WORK);
    let told = Bytes(plan.peak).to_string();
    let right = plan.peak == 5120
        && plan.status == Status::Optimal
        && why.verdict == Verdict::BoundMet
        && told == "5.00 KiB"
        && csv::read(&csv::write(&instance, Some(&plan)))
            .is_ok_and(|back| back.offsets == Some(plan.offsets));
    if right { Ok(()) } else { Err(5) }
}

/// Two sequences whose blocks are four, of which they share the first: three are enough. The step that failed.
fn generate() -> Result<(), i32> {
    let mut scheduler = Scheduler::new(BlockPool::new(3, 16), Limits::default(), Admission::Exact);
    for (sequence, length) in [(1, 30), (2, 20)] {
        let prompt = (0..length).collect();
        scheduler.submit(Request { sequence, prompt, max_new: 3 }).map_err(|_| 6)?;
    }
    let mut steps = 0;
    while !scheduler.is_idle() {
        let planned = scheduler.plan();
        let wanted = planned.rows().iter().filter(|row| row.wanted);
        let outcome = |table| Outcome { table, tokens: [7].into(), stop: false };
        let outcomes: Vec<Outcome> = wanted.map(|row| outcome(row.table)).collect();
        planned.commit(&outcomes).map_err(|_| 7)?;
        steps += 1;
    }
    if steps == 3 && scheduler.cache().pool().free() == 3 { Ok(()) } else { Err(8) }
}
