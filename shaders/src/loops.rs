//! Loops that a CPU driver would cut short.
//!
//! The compiler that lavapipe is made of gives every invocation 65,535 passes through loops, nested and consecutive ones
//! counted together, and leaves any loop without a word once they are spent ([`Target::max_loop_passes`]). Kernels for
//! such drivers therefore take several steps to a pass where a loop is longer, and are refused where
//! that does not suffice. The pass in which a loop finds its end is one of them.

use core::fmt::Write as _;

use bayplan_graph::DType;
use bayplan_graph::op::BinaryOp;

use crate::chain::wide;
use crate::source::Source;
use crate::tape::Taped;
use crate::tape::specs::Chain;
use crate::{Refusal, Step, StepOp, Target};

/// Steps to a pass, of which the first that suffices is taken: every one is written out in the text.
const STEPS: [u32; 3] = [1, 8, MOST_STEPS];
/// Most steps to a pass.
pub(crate) const MOST_STEPS: u32 = 64;
/// Passes of an integer power and of a quotient of 64 bits where it is emulated, one per bit; a remainder of floats has fewer.
pub(crate) const BIT_PASSES: u64 = 65;
/// Passes of a remainder of 64-bit floats, eleven bits each of the distance between the exponents.
const DOUBLE_PASSES: u64 = 188;

/// Passes of `loops` loops of `steps` steps each, with `per` steps to a pass.
fn passes(loops: Taped, steps: Taped, per: u32) -> Taped {
    (steps.div_ceil(per) + 1) * loops
}

/// Steps to a pass for an invocation that goes through `loops` loops of `steps` steps each, and makes `others` passes
/// besides, whatever the answer. `most` bounds it where a step is a long text.
pub(crate) fn steps_per_pass(
    src: &Source<'_>,
    most: u32,
    [loops, steps, others]: [Taped; 3],
) -> Result<u32, Refusal> {
    let Some(limit) = src.target().max_loop_passes else { return Ok(STEPS[0]) };
    let total = |per: &u32| passes(loops, steps, *per) + others;
    let choices = STEPS.into_iter().filter(|&per| per <= most);
    choices.clone().find(|per| total(per) <= limit).ok_or_else(|| {
        let fewest = choices.map(|per| total(&per)).min().unwrap_or_default();
        src.refuse(format!(
            "an invocation loops {fewest:?} times, and this driver leaves loops after {limit}; use a GPU, or the host"
        ))
    })
}

/// Whether loops of those steps within each other, and `others` passes besides, come to their end on the device.
pub(crate) fn nest_ends(target: &Target, steps: &[Taped], others: impl Into<Taped>) -> bool {
    // Every step of a loop is a pass, with the passes of the loop inside it.
    let inner = |inside: Taped, &n: &Taped| n * (inside + 1) + 1;
    let passes = steps.iter().rev().fold(Taped::constant(0), inner) + others;
    target.max_loop_passes.is_none_or(|limit| passes <= limit)
}

/// Passes of the loops in a chain, for that many results.
pub(crate) fn of_chain(chain: &Chain, results: impl Into<Taped>) -> Taped {
    let passes = |s: &Step| match s.op {
        StepOp::Binary(BinaryOp::Mod) if s.dtype == DType::F64 => DOUBLE_PASSES,
        StepOp::Binary(BinaryOp::Pow | BinaryOp::Mod) => BIT_PASSES,
        StepOp::Binary(op) if wide::loops(op, s.dtype) => BIT_PASSES,
        _ => 0,
    };
    results.into() * chain.steps.iter().map(passes).sum::<u64>()
}

/// Part of a kernel's name for its steps to a pass.
pub(crate) fn label(per: u32) -> String {
    if per == 1 { String::new() } else { format!(".by{per}") }
}

/// `for (var i = from; i < to; i += by)` around `inside`, with `per` steps to a pass.
pub(crate) fn write(body: &mut String, per: u32, head: [&str; 4], inside: &str) {
    let [i, from, to, by] = head;
    let _ = writeln!(body, "for (var {i} = {from}; {i} < {to}; {i} += {by}) {{");
    if per == 1 {
        body.push_str(inside);
    } else {
        let _ = write!(body, "{{\n{inside}}}\n");
        for _ in 1..per {
            let _ = write!(body, "{i} += {by};\nif ({i} >= {to}) {{ break; }}\n{{\n{inside}}}\n");
        }
    }
    body.push_str("}\n");
}
